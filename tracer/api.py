"""The public functions."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from typing import Any, TypeVar

from tracer import assembly
from tracer.assembly import flush, running_host, running_pipeline, warn_once
from tracer.capture.evaluating import Unusable, call_and_id, feedback_of
from tracer.capture.run import Run, current_run
from tracer.capture.spans import Context, trace
from tracer.capture.wrapping import traced
from tracer.dotted_order import project_of
from tracer.evaluation import Feedback
from tracer.pipeline.destinations import wanted_for_feedback
from tracer.runtime import has_host, ready, report_fault, runtime
from tracer.settings import Settings

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

_known_pages: list[tuple[Settings, Any]] = []
"""Where the pages of runs are (`run_url`). At most one: for the settings that hold."""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_known_pages.clear)


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
        assembly.start_locally()
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
            warn_once(f"feedback is not recorded: {problem}", f"feedback {problem.argument}")
        return None
    return submit_feedback(given)


def submit_feedback(given: Feedback) -> uuid.UUID | None:
    """Hand feedback to the destinations that take it; gives its id, or None where there are none."""
    pipeline = running_pipeline()
    if runtime.forbidden:
        return None
    if pipeline is None or not wanted_for_feedback(runtime.settings):
        warn_once("feedback is not recorded: no destination takes it. Switch LangSmith tracing (LANGSMITH_TRACING) or TRACER_LOCAL on.")
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
    if not runtime.settings.langsmith_on or running_pipeline() is None:
        return None
    try:
        call, run_id = call_and_id(run)
    except Unusable as problem:
        warn_once(f"the page of a run is not known: {problem}", f"run_url {problem.argument}")
        return None
    try:
        return _pages().of(str(uuid.UUID(int=run_id)), project_of(call) if call is not None else "")
    except Exception as fault:
        if not report_fault("asking for the page of a run", fault):
            raise
        return None


def configure(**arguments: Any) -> None:
    """Set tracing up in code. Arguments are the settings of `docs/settings.md` by field name and win over the environment.

        tracer.configure(local="traces.sqlite", content="off")

    Calling it again replaces the earlier arguments; what was recorded until then is sent first. A bad value is reported in one line
    and its default is used. Raises `TypeError` for an argument that is no setting.
    """
    assembly.configure(arguments)


def shutdown(timeout: float = 5.0) -> bool:
    """Send what is left, within `timeout` (seconds), and stop tracing until the next `configure`."""
    return assembly.shut_down(timeout)


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
    pipeline, host = running_pipeline(), running_host()
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


def _pages() -> Any:
    # A marked place of a lazy import: the exporter's modules, only for those who ask.
    from tracer.export.langsmith.pages import Pages

    with assembly.configuring():
        if not _known_pages or _known_pages[0][0] is not runtime.settings:
            _known_pages[:] = [(runtime.settings, Pages(runtime.settings))]
        return _known_pages[0][1]
