"""The one piece of global state: the settings in force, the pipeline that takes finished calls, and the calls that are open.

Capture sees only this module, never a pipeline or an exporter: it opens calls here and hands them back here when they end.
"""

from __future__ import annotations

import itertools
import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from tracer.call import COMPLETED, LLM, UNFINISHED, Call, HostSpan
from tracer.sampling import SAMPLERS, Sampler
from tracer.scope import Parent, Scope, current, new_run_id, new_span_id
from tracer.settings import Settings

logger = logging.getLogger("tracer")


def nowhere(call: Call) -> None:
    """Takes calls while nothing is configured."""


def _nothing() -> None:
    """Stands in until `tracer.assembly` is loaded."""


class Worker(Protocol):
    """What the runtime knows of the pipeline."""

    def start(self) -> None:
        """Start the background thread."""


class Host(Protocol):
    """What the runtime knows of the application's own telemetry (`tracer.host`)."""

    def present(self) -> bool:
        """Whether the application has a tracer provider of its own. Cheap enough to be asked for each call."""
        ...

    def parent(self) -> Parent | None:
        """The span that is current there."""
        ...

    def begin(self, call: Call, scope: Scope) -> None:
        """Begin the call's span there, if there is a provider: the call gets its ids."""
        ...

    def balance(self) -> dict[str, Any] | None:
        """Its account, as in `tracer.status()`; None if there never was a provider."""
        ...


class HostMeters(Protocol):
    """What the runtime knows of the application's own metrics."""

    def provider(self) -> object:
        """The application's meter provider, or None. Cheap enough to be asked for each call."""
        ...


class Runtime:
    """Settings and hand-over points. `on` says whether calls are recorded where the scope does not say otherwise."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.content: tuple[bool, bool] = (True, True)
        """Whether prompts and whether answers are recorded."""
        self.configured = False
        self.configure: Callable[[], None] = _nothing
        """Reads the settings and sets everything up; called once, at the first use of the library."""
        self.reported: set[str] = set()
        """Bad values that were reported already."""
        self.on = False
        self.can_record = False
        self.forbidden = False
        self.every_run: bool | None = None
        """Whether LangChain runs are recorded that nobody wrapped: yes, no (`uninstrument`), or nobody has said so yet."""
        self.submit: Callable[[Call], None] = nowhere
        self.pipeline: Worker | None = None
        self.host: Host | None = None
        self.set_up: Callable[[], None] | None = None
        """Called whenever settings were applied: `tracer.testing` stands before the destinations for a while."""
        self.loggers: Callable[[], object] | None = None
        """Gives the logger provider of the application, or None; set where events are asked for."""
        self.meters: HostMeters | None = None
        self.running = False
        """The pipeline's thread runs in this process."""
        self.sampler: Sampler = SAMPLERS["parentbased_always_on"](1.0)
        # Keyed by run id; removing the entry is the one atomic step that decides who ends a call.
        self.open_calls: dict[int, Call] = {}
        self.started = itertools.count()
        # Endpoints (host, port and path) that refused to be asked for usage, and that send it without being asked.
        self.usage_refused: set[str] = set()
        self.usage_unasked: set[str] = set()
        self.faults: dict[str, int] = {}
        self.raise_faults = False

    def started_count(self) -> int:
        """How many calls were opened."""
        return count_of(self.started)


def count_of(counter: itertools.count[int]) -> int:
    """Where a counter stands. It is read through its text: that is atomic and takes nothing from it.

    >>> count_of(itertools.count(3))
    3
    """
    return int(repr(counter)[6:-1])


runtime = Runtime()


def recording(scope: Scope) -> bool:
    """Whether a call that begins in `scope` is recorded."""
    enabled = scope.enabled
    if enabled is None:
        return runtime.on or has_host() or has_meters()
    return enabled and (runtime.can_record or has_host() or has_meters())


def has_host() -> bool:
    """Whether calls are spans of the application's own telemetry now."""
    return runtime.host is not None and runtime.host.present()


def has_meters() -> bool:
    """Whether the application has a meter provider of its own, and metrics are wanted."""
    return runtime.meters is not None and runtime.meters.provider() is not None


def ready() -> Runtime:
    """The runtime, with the settings read."""
    if not runtime.configured:
        runtime.configure()
    return runtime


def open_call(kind: str, scope: Scope | None = None) -> Call:
    """`new_call` and `begin_call` at once, for a call of which nothing more is known yet."""
    scope = current() if scope is None else scope
    return begin_call(new_call(kind, scope), scope)


def new_call(kind: str, scope: Scope) -> Call:
    """A record: identity, parent, session and clocks are taken from the scope. It is not open until `begin_call`.

    What samplers are to see is filled in between: name, operation, model, address.
    """
    if runtime.meters is not None:
        runtime.meters.provider()  # One that is new has to be noticed before the call ends.
    if not runtime.running and runtime.pipeline is not None:
        runtime.pipeline.start()
    wall = time.time_ns()
    upcoming = scope.upcoming
    if upcoming is not None and upcoming.call is not None:
        upcoming = None
    run_id = upcoming.run_id if upcoming is not None and upcoming.run_id is not None else new_run_id(wall)
    parent = scope.parent
    if parent is None and runtime.host is not None:
        parent = runtime.host.parent()
    if parent is None:
        call = Call(run_id, run_id, new_span_id(), None, None, False, run_id)
        call.sampled = runtime.sampler(run_id, None)
    else:
        # A run of LangSmith alone (a caller without W3C headers) has no span that ours could be under.
        call = Call(run_id, parent.trace_id, new_span_id(), parent.span_id or None, parent.run_id, parent.remote)
        call.root_run_id = run_id if parent.run_id is None else parent.root_run_id or parent.trace_id
        call.above = parent
        call.sampled = runtime.sampler(parent.trace_id, parent)
    call.kind = kind
    if kind == LLM and parent is not None:
        call.left_to = parent.model_call_of
    call.session = scope.session
    call.user = scope.user
    call.tags = scope.tags
    call.metadata = scope.metadata
    if upcoming is not None:
        _take(upcoming_of=scope, call=call)
    call.content_inputs, call.content_outputs = runtime.content
    call.started_wall = wall
    call.started = time.perf_counter_ns()
    return call


def begin_call(call: Call, scope: Scope) -> Call:
    """Open a new call, which is then certain to be ended by `close_call`. Its ids are settled from here on."""
    if runtime.host is not None:
        runtime.host.begin(call, scope)
    next(runtime.started)
    runtime.open_calls[call.run_id] = call
    return call


def serving(scope: Scope) -> Call | None:
    """A call that serves the model call of a layer above, if one waits for it in this scope (`Scope.absorbers`).

    It shares that call's identity and has no record of its own; attempts of an earlier one that served the same call stay seen.
    """
    waiting = scope.absorbers
    if not waiting:
        return None
    try:
        outer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
    except IndexError:
        return None  # Another thread took it meanwhile.
    call = Call(outer.run_id, outer.trace_id, outer.span_id, absorbed=True, host=outer.host)
    if outer.inner is not None:
        call.attempts += outer.inner.attempts
    call.kind = LLM
    call.sampled = outer.sampled
    call.started_wall = time.time_ns()
    call.started = time.perf_counter_ns()
    outer.inner = call
    return call


def _take(*, upcoming_of: Scope, call: Call) -> None:
    """Give the call what the layer above said about the next call, and tell that layer which call it became."""
    upcoming = upcoming_of.upcoming
    if upcoming is None:
        return
    upcoming.call = call
    call.by_chat_model = upcoming.by_chat_model
    call.name = upcoming.name or ""
    call.tags = call.tags + tuple(tag for tag in upcoming.tags if tag not in call.tags)
    if upcoming.metadata:
        call.metadata = {**(call.metadata or {}), **upcoming.metadata}


def close_call(call: Call, ending: str = COMPLETED, ended: int = 0, finalizing: bool = False) -> bool:
    """End a record and hand it over. Only the first of several endings counts; says whether this was it.

    `ended` is the reading of the monotonic clock (nanoseconds) at which it was over, 0 for now: a stream that was dropped is noticed late.
    Safe in finalizers that say so (`finalizing`; generators being closed count as such): it takes no lock, logs nothing and allocates next
    to nothing.
    """
    if call.absorbed:
        if not call.ending:
            call.ended = ended or time.perf_counter_ns()
            call.ending = ending
        return False
    if runtime.open_calls.pop(call.run_id, None) is None:
        return False
    call.ended = ended or time.perf_counter_ns()
    call.ending = ending
    try:
        if call.host is not None:
            finalizing = finalizing or isinstance(sys.exc_info()[1], GeneratorExit)
            _end_in(call.host, finalizing)
    finally:
        try:
            runtime.submit(call)
        except Exception as fault:
            if not report_fault("handing over a call", fault, silent=finalizing):
                raise
    return True


def _end_in(host: HostSpan, finalizing: bool) -> None:
    try:
        host.end(finalizing)
    except Exception as fault:
        if not report_fault("ending a call", fault, silent=finalizing):
            raise


def finish_open_calls() -> int:
    """End every open call as unfinished (the process is going away); gives their number."""
    open_calls = list(runtime.open_calls.values())
    return sum(close_call(call, UNFINISHED) for call in open_calls)


def report_fault(place: str, error: BaseException, silent: bool = False) -> bool:
    """Count an error of ours and log it the first time it happens at `place`; True when it is to be swallowed.

    `silent` only counts: in finalizers, where nothing may take the locks of logging. So does the end of the interpreter, which takes
    modules away from threads that are still at work.
    """
    seen = runtime.faults.get(place, 0)
    runtime.faults[place] = seen + 1
    if seen == 0 and not silent and not sys.is_finalizing():
        try:
            _log_fault(place, error)
        except Exception:
            pass  # The application's own handlers and filters may raise, and so does everything at the end of the stack.
    return not runtime.raise_faults


def _log_fault(place: str, error: BaseException) -> None:
    """Log an error with its traceback as a text.

    Handlers may keep records, and a traceback keeps every frame below which it was raised: those of the caller too, whose streams would
    live as long as the record.
    """
    if not logger.isEnabledFor(logging.WARNING):
        return
    text = "tracer: internal error in %s; the traced program is not affected"
    record = logger.makeRecord(logger.name, logging.WARNING, __file__, 0, text, (place,), None)
    record.exc_text = "".join(traceback.format_exception(error)).rstrip("\n")
    logger.handle(record)
