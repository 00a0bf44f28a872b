"""The public functions, and where settings, capture and pipeline are put together."""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any, TypeVar

from tracer import settings as settings_module
from tracer.capture.evaluating import Unusable, call_and_id, feedback_of
from tracer.capture.langchain_joining import trace_every_run
from tracer.capture.run import Run, current_run
from tracer.capture.spans import Context, trace
from tracer.capture.wrapping import traced
from tracer.dotted_order import project_of
from tracer.evaluation import Feedback
from tracer.host.hook import HostHook
from tracer.host.loggers import logger_provider
from tracer.host.meters import HostMeters
from tracer.parsing import without_credentials
from tracer.pipeline.destinations import wanted, wanted_for_feedback
from tracer.runtime import has_host, has_meters, logger, nowhere, ready, report_fault, runtime
from tracer.sampling import SAMPLERS
from tracer.settings import DEFAULT_LANGSMITH, Settings

__all__ = [
    "configure",
    "context",
    "current",
    "feedback",
    "flush",
    "instrument",
    "run_url",
    "shutdown",
    "status",
    "trace",
    "uninstrument",
    "wrap",
]

_Target = TypeVar("_Target")

_configuring = threading.RLock()

_known_pages: list[tuple[Settings, Any]] = []
"""Where the pages of runs are (`run_url`). At most one: for the settings that hold."""


def _new_lock() -> None:
    global _configuring
    _configuring = threading.RLock()
    _known_pages.clear()


if hasattr(os, "register_at_fork"):
    # A thread that does not exist in the child may have held it.
    os.register_at_fork(after_in_child=_new_lock)


def wrap(target: _Target) -> _Target:
    """A traced stand-in for a chat client: same type, same behaviour, every call recorded. The original stays untouched.

    `target` is a client of the OpenAI SDK (1.55.3 or newer): `OpenAI`, `AsyncOpenAI`, `AzureOpenAI`, `AsyncAzureOpenAI`, a subclass, any
    `base_url`; or of Anthropic's SDK: `Anthropic`, `AsyncAnthropic`, those for Bedrock, Vertex and Foundry. Wrapping twice is wrapping
    once. With `TRACER_ENABLED=false` or `OTEL_SDK_DISABLED=true` the argument itself comes back.

        client = tracer.wrap(OpenAI())

    Raises `TypeError` for something without any call we know.
    """
    ready()
    return target if runtime.forbidden else traced(target)


def instrument() -> None:
    """Record every call of every client of the OpenAI and Anthropic SDKs and every run of LangChain in this process, without a change
    to the program.

    `tracer run app.py` does this before the program begins. It patches the SDK's client classes, now or when they are imported;
    `uninstrument` undoes it. Clients that were wrapped are recorded once.
    """
    ready()
    if not runtime.forbidden:
        from tracer.capture.whole_process import instrument_all

        instrument_all()


def uninstrument() -> None:
    """Undo `instrument`, and let LangChain's runs alone that the environment asks for. What was wrapped stays traced."""
    from tracer.capture.whole_process import uninstrument_all

    uninstrument_all()


def context(
    *,
    session: str | None = None,
    user: str | None = None,
    tags: list[str] | tuple[str, ...] = (),
    metadata: Mapping[str, object] | None = None,
    enabled: bool | None = None,
) -> Context:
    """Session, user, tags and metadata for everything recorded inside; `enabled` switches recording on or off inside.

        with tracer.context(session="s1", user="u7", tags=["beta"], metadata={"plan": "free"}):
            client.chat.completions.create(...)

    Contexts nest: later values win, tags add up, metadata is merged. With `enabled=True` and no destination configured, records go to
    the local store.
    """
    ready()
    if enabled and not runtime.can_record and runtime.pipeline is None and not runtime.forbidden and not has_host():
        with _configuring:
            try:
                if runtime.pipeline is None:
                    _start(runtime.settings.replaced(local=True), on=False)
            except Exception as fault:
                _not_configured(fault)
    return Context(session, user, tuple(tags), metadata, enabled)


def current() -> Run | None:
    """Handle of the innermost open span of the running code, or None outside of any."""
    return current_run()


def feedback(
    run: Run | uuid.UUID | str,
    key: str,
    score: float | None = None,
    value: object = None,
    comment: str | None = None,
    correction: Mapping[str, object] | None = None,
    source: str = "api",
) -> uuid.UUID | None:
    """Say what somebody thinks of a run, while it goes on or long after, from any process.

    `run` is a handle from `trace` or `current`, or a run id (`run.id`, `tracer.run_id` on spans) as UUID or text. `key` is what is judged.
    `score` is a number or truth value, `value` a judgement in words or an object, `correction` what would have been right, `source` who
    judges: `api` (people, the default), `model`, or a word of your own.

        with tracer.trace("answer") as run:
            ...
        tracer.feedback(run, "helpful", score=1, comment="to the point")

    It goes to LangSmith-style backends and the local store, where they are on, in the background like runs; `status()["feedback"]` has its
    account. Gives the id that it bears there, or None where it is not recorded; one log line says why. Raises `TypeError` for an argument
    of a wrong type.
    """
    ready()
    try:
        given = feedback_of(run, key, score, value, comment, correction, source)
    except Unusable as problem:
        if not runtime.forbidden:
            _warn_once(f"feedback is not recorded: {problem}", f"feedback {problem.argument}")
        return None
    return submit_feedback(given)


def submit_feedback(given: Feedback) -> uuid.UUID | None:
    """Hand feedback to the destinations that take it; gives its id, or None where there are none."""
    pipeline = _pipeline()
    if runtime.forbidden:
        return None
    if pipeline is None or not wanted_for_feedback(runtime.settings):
        _warn_once("feedback is not recorded: no destination takes it. Switch LangSmith tracing (LANGSMITH_TRACING) or TRACER_LOCAL on.")
        return None
    try:
        pipeline.submit_feedback(given)
        if not runtime.running:
            pipeline.start()
    except Exception as fault:
        if not report_fault("taking feedback", fault):
            raise
        return None
    return uuid.UUID(int=given.id)


def run_url(run: Run | uuid.UUID | str) -> str | None:
    """The page of a run at the LangSmith-style backend that runs go to; None where there is none or its page is not known.

    `run` is a handle or a run id. Only the backend knows under which address a project is: it is asked once for each project, within three
    seconds, in the thread that asks (in an event loop: `await asyncio.to_thread(tracer.run_url, run)`). One log line says why there is no
    answer. The page is there once the run has arrived. Raises `TypeError` for something that is no run.
    """
    ready()
    if not runtime.settings.langsmith_on or _pipeline() is None:
        return None
    try:
        call, run_id = call_and_id(run)
        return _pages().of(str(uuid.UUID(int=run_id)), project_of(call) if call is not None else "")
    except Unusable as problem:
        _warn_once(f"the page of a run is not known: {problem}", f"run_url {problem.argument}")
        return None


def configure(**arguments: Any) -> None:
    """Set tracing up in code. Arguments are the settings of `docs/settings.md` by field name and win over the environment.

        tracer.configure(local="traces.sqlite", content="off")

    Calling it again replaces the earlier arguments; what was recorded until then is sent first. A bad value is reported in one line
    and its default is used. Raises `TypeError` for an argument that is no setting.
    """
    resolved, problems, _ = settings_module.read(arguments=arguments)
    with _configuring:
        try:
            _shut_down(resolved.exit_timeout)
            _report(problems)
            _apply(resolved)
        except Exception as fault:
            _not_configured(fault)


def ensure_configured() -> None:
    """Read the settings; happens once for each process, at the first `wrap`, `context` or traced span.

    Threads that come while the first is at it wait for it: what they record must not be lost.
    """
    with _configuring:
        if not runtime.configured:
            try:
                resolved, problems, _ = settings_module.read()
                _report(problems)
                _apply(resolved)
            except Exception as fault:
                _not_configured(fault)


def _not_configured(fault: Exception) -> None:
    runtime.configured = True  # Trying again at each call would not help.
    if not report_fault("setting up", fault):
        raise fault


def flush(timeout: float = 5.0) -> bool:
    """Wait until everything recorded so far was handed to its destinations; False when `timeout` (seconds) went by first."""
    pipeline, host = _pipeline(), _host()
    ended = host.flush(timeout) if host is not None else True
    return pipeline.flush(timeout) and ended if pipeline is not None else ended


def shutdown(timeout: float = 5.0) -> bool:
    """Send what is left, within `timeout` (seconds), and stop tracing until the next `configure`."""
    return _shut_down(timeout)


def status() -> dict[str, Any]:
    """Where every record of this process went.

    Counting begins at `configure`. For each destination, `started` is the sum of `open` (not ended), `queued` (ended, on their way),
    `exported`, `sampled_out` and `dropped` by reason, and with a spool of `spooled` (kept on disk until they arrive). `shortened` counts
    records that lost contents, by reason, and `stopped` says why a destination takes nothing more. `recovered` counts records of earlier
    processes that this one has sent from the spool, `kept` the records of unsampled traces that TRACER_KEEP has kept, by reason; calls of
    traces about which that is undecided are `queued`. The outer `queued` is that of the slowest destination. `open_calls` lists the
    longest of the open calls. `faults` counts errors of our own by place. The destination `host` is the application's own tracer
    provider; it counts the calls that began while there was one, with a `started` and an `open` of its own, and `exported` are the spans
    that have ended in it. `feedback` has an account of feedback for each destination that takes any: `given` is the sum of `queued`,
    `exported`, `sampled_out`, `dropped` and `spooled`.

    >>> sorted(status())
    ['destinations', 'faults', 'feedback', 'on', 'open', 'open_calls', 'queued', 'started']
    """
    pipeline, host = _pipeline(), _host()
    nothing: dict[str, Any] = {}
    queued, destinations = pipeline.balance() if pipeline is not None else (0, nothing)
    host_account = host.balance() if host is not None else None
    if host_account is not None:
        destinations = {"host": host_account, **destinations}
        queued = max(queued, host_account["queued"])
    return {
        "on": runtime.on or has_host(),
        "started": runtime.started_count(),
        "open": len(runtime.open_calls),
        "open_calls": _longest_open_calls(),
        "queued": queued,
        "destinations": destinations,
        "feedback": pipeline.feedback_balance() if pipeline is not None else {},
        "faults": dict(runtime.faults),
    }


# How it is put together.


def _longest_open_calls(most: int = 100) -> list[dict[str, object]]:
    """Name, kind, run id and age (seconds) of the open calls, longest first."""
    try:
        calls = list(runtime.open_calls.values())
    except RuntimeError:
        # Collecting garbage may end calls while the list is made; the next time it works.
        calls = list(dict(runtime.open_calls).values())
    now = time.perf_counter_ns()
    calls = sorted((call for call in calls if call.started), key=lambda call: call.started)[:most]
    return [
        {
            "name": call.name or call.model or call.path,
            "kind": call.kind,
            "run_id": str(uuid.UUID(int=call.run_id)),
            "seconds": (now - call.started) / 1e9,
        }
        for call in calls
    ]


def _report(problems: list[settings_module.Problem]) -> None:
    for problem in problems:
        _warn_once(str(problem))


def _warn_once(text: str, about: str = "") -> None:
    """Say something, once about the same thing."""
    if (about or text) not in runtime.reported:
        runtime.reported.add(about or text)
        logger.warning("tracer: %s", text)


def _apply(resolved: Settings) -> None:
    runtime.forbidden = resolved.forbidden
    host = runtime.host = None if resolved.forbidden else HostHook(resolved, resolved.content_beside_host)
    if has_host():
        resolved = resolved.beside_host()
    meters = runtime.meters = None if resolved.metrics_names is None else HostMeters(_at_exit)
    runtime.loggers = logger_provider if resolved.events else None
    if (resolved.any_destination and wanted(resolved)) or resolved.own_metrics or has_meters() or _host_takes_events(resolved):
        _start(resolved, on=True)
    else:
        _use(resolved)
        runtime.pipeline = None
        runtime.submit = nowhere
        runtime.started = itertools.count(len(runtime.open_calls))
        runtime.on = runtime.can_record = False
        if has_host():
            _host_appears()
    if host is not None:
        host.noticed = _host_appears
    _follow_sigterm(resolved)
    if meters is not None:
        meters.noticed = _destinations_appear
    runtime.configured = True
    if runtime.set_up is not None:
        runtime.set_up()


_terminations: list[Any] = []


def _follow_sigterm(resolved: Settings) -> None:
    while _terminations:
        _terminations.pop().remove()
    if resolved.sigterm == "flush" and not resolved.forbidden:
        from tracer.pipeline.termination import Termination

        termination = Termination(flush, resolved.exit_timeout)
        if termination.install():
            _terminations.append(termination)


def _destinations_appear() -> None:
    """The application has set a provider of its own that takes what is told of calls: from now on they are recorded for it."""
    # Whoever holds the lock is about to look for it. Waiting could take long: it may be waiting for this thread.
    if _configuring.acquire(blocking=False):
        try:
            if runtime.pipeline is None:
                _start(runtime.settings.beside_host() if has_host() else runtime.settings, on=True)
        finally:
            _configuring.release()


def _at_exit() -> None:
    pipeline = sys.modules.get("tracer.pipeline.pipeline")
    if pipeline is not None:
        pipeline.at_exit()


def _host_takes_events(resolved: Settings) -> bool:
    return resolved.events and (has_host() or logger_provider() is not None)


def _host_appears() -> None:
    if runtime.settings.events and runtime.pipeline is None:
        _destinations_appear()  # Says where records go.
    else:
        trace_langchain()
        _say_start()


def _start(resolved: Settings, on: bool) -> None:
    from tracer.pipeline.destinations import make_destinations
    from tracer.pipeline.pipeline import Pipeline, at_exit

    _use(resolved)
    runtime.sampler = SAMPLERS[resolved.sampler](resolved.sampler_argument)
    pipeline = Pipeline(resolved, make_destinations)
    # The new accounts begin here, with the calls that are open and will be handed to them.
    runtime.started = itertools.count(len(runtime.open_calls))
    runtime.pipeline = pipeline
    runtime.submit = pipeline.submit
    runtime.running = False
    runtime.on = on
    runtime.can_record = True
    if "prometheus" in resolved.own_metrics:
        pipeline.start()  # There is something to fetch before the first call.
    trace_langchain()
    atexit.unregister(at_exit)
    atexit.register(at_exit)
    if resolved.local_by_default:
        _warn_once(
            "LangSmith tracing is on, but neither LANGSMITH_API_KEY nor LANGSMITH_ENDPOINT nor another destination is set; "
            "records are kept in the local store (read them with `tracer show`)."
        )
    if resolved.langsmith_runs_endpoints and resolved.langsmith_endpoint:
        _warn_once("LANGSMITH_RUNS_ENDPOINTS and LANGSMITH_ENDPOINT are both set; runs go to the former only. Unset one of them.")
    _say_start()


def _say_start() -> None:
    if not runtime.settings.quiet and sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison]  # there may be none
        try:
            sys.stderr.write(start_line(runtime.settings, has_host()) + "\n")
        except (OSError, ValueError):
            pass  # Closed by the application.


def _use(resolved: Settings) -> None:
    runtime.settings = resolved
    runtime.content = (resolved.content_inputs, resolved.content_outputs)


def trace_langchain() -> None:
    """Record LangChain's runs where calls are recorded, wrapped or not, unless `uninstrument` has ruled it out."""
    if runtime.every_run is None:
        trace_every_run()


def start_line(resolved: Settings, host: bool = False) -> str:
    """One line that says where traces go and what is captured; `host`: the application has a tracer provider of its own."""
    places = {
        "host": "the application's own OpenTelemetry",
        "local": f"local store {'' if resolved.local is True or not resolved.local else resolved.local}".rstrip(),
        "console": "console",
        "langsmith": _langsmith_place(resolved),
        "host-logs": "the application's own logger provider",
        "otlp-logs": f"OTLP logs {without_credentials(resolved.otlp_logs_endpoint or resolved.otlp_endpoint or 'http://localhost:4318')}",
        "otlp": f"OTLP {without_credentials(resolved.otlp_traces_endpoint or resolved.otlp_endpoint or 'http://localhost:4318')}",
    }
    captured = {
        (True, True): "prompts and answers are captured",
        (True, False): "prompts are captured, answers are not",
        (False, True): "answers are captured, prompts are not",
        (False, False): "prompts and answers are not captured",
    }[resolved.content_beside_host if host else (resolved.content_inputs, resolved.content_outputs)]
    names = ["host", *wanted(resolved.beside_host())] if host else wanted(resolved)
    to = ", ".join(places[name] for name in names)
    measured = _metrics_places(resolved)
    if not to:
        return f"tracer: recording metrics to {measured} (TRACER_QUIET=true hides this line)."
    metrics = f"metrics to {measured}; " if measured else ""
    return f"tracer: recording to {to}; {metrics}{captured} (TRACER_CONTENT changes this, TRACER_QUIET=true hides this line)."


def _metrics_places(resolved: Settings) -> str:
    if has_meters():
        return "the application's own OpenTelemetry"
    places = {
        "otlp": f"OTLP {without_credentials(resolved.otlp_metrics_endpoint or resolved.otlp_endpoint or 'http://localhost:4318')}",
        "prometheus": f"http://{resolved.prometheus_host}:{resolved.prometheus_port}/metrics",
        "console": "console",
    }
    return ", ".join(places[name] for name in resolved.own_metrics)


def _langsmith_place(resolved: Settings) -> str:
    if resolved.langsmith_runs_endpoints:
        return "LangSmith (LANGSMITH_RUNS_ENDPOINTS)"
    return f"LangSmith {without_credentials(resolved.langsmith_endpoint or DEFAULT_LANGSMITH)} (project {resolved.langsmith_project})"


def _pages() -> Any:
    # A marked place of a lazy import: the exporter's modules, only for those who ask.
    from tracer.export.langsmith.pages import Pages

    with _configuring:
        if not _known_pages or _known_pages[0][0] is not runtime.settings:
            _known_pages[:] = [(runtime.settings, Pages(runtime.settings))]
        return _known_pages[0][1]


def _pipeline() -> Any:
    return runtime.pipeline


def _host() -> Any:
    return runtime.host


def _shut_down(timeout: float) -> bool:
    pipeline, host = _pipeline(), _host()
    done = host.shutdown(timeout) if host is not None else True
    if pipeline is not None:
        done = pipeline.shutdown(timeout) and done
        runtime.on = runtime.can_record = runtime.running = False
    runtime.meters = runtime.loggers = None
    return done


runtime.configure = ensure_configured
