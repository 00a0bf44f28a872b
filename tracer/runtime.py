"""The one piece of global state: the settings in force, the pipeline that takes finished calls, and the calls that are open.

Capture sees only this module, never a pipeline or an exporter: it opens calls here and hands them back here when they end.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from typing import Protocol

from tracer.call import COMPLETED, LLM, Call
from tracer.sampling import SAMPLERS, Sampler
from tracer.scope import Scope, current, new_run_id, new_span_id
from tracer.settings import Settings

logger = logging.getLogger("tracer")


def _nowhere(call: Call) -> None:
    """Takes calls while nothing is configured."""


def _nothing() -> None:
    """Stands in until `tracer.api` is loaded."""


class Worker(Protocol):
    """What the runtime knows of the pipeline."""

    def start(self) -> None:
        """Start the background thread."""


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
        self.submit: Callable[[Call], None] = _nowhere
        self.pipeline: Worker | None = None
        self.running = False
        """The pipeline's thread runs in this process."""
        self.sampler: Sampler = SAMPLERS["parentbased_always_on"](1.0)
        # Keyed by span id; removing the entry is the one atomic step that decides who ends a call.
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
        return runtime.on
    return enabled and runtime.can_record


def ready() -> Runtime:
    """The runtime, with the settings read."""
    if not runtime.configured:
        runtime.configure()
    return runtime


def open_call(kind: str, scope: Scope | None = None) -> Call:
    """Begin a record: identity, parent, session and clocks are taken from the scope of the running code."""
    scope = current() if scope is None else scope
    if not runtime.running and runtime.pipeline is not None:
        runtime.pipeline.start()
    wall = time.time_ns()
    upcoming = scope.upcoming
    if upcoming is not None and upcoming.call is not None:
        upcoming = None
    run_id = upcoming.run_id if upcoming is not None and upcoming.run_id is not None else new_run_id(wall)
    parent = scope.parent
    if parent is None:
        call = Call(run_id, run_id, new_span_id())
        call.sampled = runtime.sampler(run_id, None)
    else:
        call = Call(run_id, parent.trace_id, new_span_id(), parent.span_id, parent.run_id, parent.remote)
        call.sampled = runtime.sampler(parent.trace_id, parent)
    call.kind = kind
    call.session = scope.session
    call.user = scope.user
    call.tags = scope.tags
    call.metadata = scope.metadata
    if upcoming is not None:
        _take(upcoming_of=scope, call=call)
    call.content_inputs, call.content_outputs = runtime.content
    call.started_wall = wall
    next(runtime.started)
    runtime.open_calls[call.span_id] = call
    call.started = time.perf_counter_ns()
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
    call = Call(outer.run_id, outer.trace_id, outer.span_id, absorbed=True)
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
    call.name = upcoming.name or ""
    call.tags = call.tags + tuple(tag for tag in upcoming.tags if tag not in call.tags)
    if upcoming.metadata:
        call.metadata = {**(call.metadata or {}), **upcoming.metadata}


def close_call(call: Call, ending: str = COMPLETED, ended: int = 0) -> bool:
    """End a record and hand it over. Only the first of several endings counts; says whether this was it.

    `ended` is the reading of the monotonic clock (nanoseconds) at which it was over, 0 for now: a stream that was dropped is noticed late.
    Safe in finalizers and signal handlers: it takes no lock, logs nothing and allocates next to nothing.
    """
    if call.absorbed:
        if not call.ending:
            call.ended = ended or time.perf_counter_ns()
            call.ending = ending
        return False
    if runtime.open_calls.pop(call.span_id, None) is None:
        return False
    call.ended = ended or time.perf_counter_ns()
    call.ending = ending
    runtime.submit(call)
    return True


def report_fault(place: str, error: Exception) -> bool:
    """Count an error of ours and log it the first time it happens at `place`; True when it is to be swallowed."""
    seen = runtime.faults.get(place, 0)
    runtime.faults[place] = seen + 1
    if seen == 0:
        logger.warning("tracer: internal error in %s; the traced program is not affected", place, exc_info=error)
    return not runtime.raise_faults
