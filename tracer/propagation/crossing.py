"""`tracer.headers` and `tracer.continue_from`: which headers are written and read, and what becomes of them.

Out only when the application asks: nothing is ever added to the requests that go to a model host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracer.propagation.b3 import read_b3, write_b3_several, write_b3_single
from tracer.propagation.carrier import LONGEST, PLACES, Headers, read_carrier
from tracer.propagation.jaeger import read_jaeger, read_jaeger_baggage, write_jaeger, write_jaeger_baggage
from tracer.propagation.langsmith import PREFIX, read_entries, read_run, write_entries, write_run
from tracer.propagation.trust import say, trusted
from tracer.propagation.w3c import (
    baggage_entries,
    baggage_entry,
    format_traceparent,
    join_baggage,
    parse_baggage,
    read_traceparent,
)
from tracer.runtime import ready, report_fault, runtime
from tracer.scope import Parent, Scope, current, enter, extended, leave

_SESSION, _USER = "session.id", "user.id"

_READERS: dict[str, Callable[[Mapping[str, str]], Parent | None]] = {
    "tracecontext": read_traceparent,
    "b3": read_b3,
    "b3multi": read_b3,
    "jaeger": read_jaeger,
}
"""By the names of `OTEL_PROPAGATORS`."""


def headers() -> dict[str, str]:
    """The headers that let another process continue the trace, in the formats of `OTEL_PROPAGATORS`.

    By default `traceparent`, `tracestate` where one came in, and `baggage` with session and user where they are set; with a LangSmith-style
    backend as a destination also `langsmith-trace`, and project, tags and metadata of `tracer.context` in `baggage`. Empty outside of any
    span of ours. They hold no prompts and answers.

        requests.post(url, headers={**tracer.headers()}, json=job)

    Source: W3C Trace Context, W3C Baggage, Zipkin B3, Jaeger, LangSmith.
    """
    scope = current()
    if scope.parent is None:
        return {}
    try:
        return _written(scope, scope.parent)
    except Exception as fault:
        if not report_fault("writing headers", fault):
            raise
        return {}


def continue_from(headers: Headers, *, client: str | None = None) -> Continued:
    """A context manager in which spans become children of the span that the caller's `headers` name.

    `headers` is a mapping or pairs, of text or bytes: a framework's request headers, a WSGI environment, the `headers` of an ASGI scope, or
    what a job in a queue carries. `client` is the caller's address or a name of your own, compared with `TRACER_TRUST_HEADERS`; headers of
    callers that are not trusted (the default trusts nobody) and headers that are malformed are ignored with one log line. Session and user
    come from `baggage` where they are not set.

        with tracer.continue_from(request.headers, client=request.client.host):
            answer()
    """
    ready()
    return Continued(headers, client)


class Continued:
    """What `continue_from` gives back: sync and async, to be entered once."""

    __slots__ = ("_client", "_earlier", "_headers")

    def __init__(self, headers: Headers, client: str | None) -> None:
        self._headers = headers
        self._client = client
        self._earlier: Any = None

    def __enter__(self) -> None:
        self._earlier = enter(_continued(self._headers, self._client))

    def __exit__(self, *details: object) -> None:
        leave(self._earlier)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *details: object) -> None:
        self.__exit__(*details)


# Out.


def _written(scope: Scope, parent: Parent) -> dict[str, str]:
    settings = runtime.settings
    names = settings.propagators
    said = {name: value for name, value in ((_SESSION, scope.session), (_USER, scope.user)) if value}
    found: dict[str, str] = {}
    if parent.span_id:
        if "tracecontext" in names:
            found |= {"traceparent": format_traceparent(parent), **_tracestate(scope, parent)}
        if "b3" in names:
            found |= write_b3_single(parent)
        if "b3multi" in names:
            found |= write_b3_several(parent)
        if "jaeger" in names:
            found |= {**write_jaeger(parent), **write_jaeger_baggage(said)}
    entries = [baggage_entry(name, value) for name, value in said.items()] if "baggage" in names else []
    if names and settings.langsmith_on:
        run = write_run(parent)
        found |= run
        entries += write_entries(scope, settings) if run else []
    if "baggage" in names and scope.caller is not None:
        entries += scope.caller.baggage
    baggage = join_baggage(entries)
    if baggage:
        found["baggage"] = baggage
    return found


def _tracestate(scope: Scope, parent: Parent) -> dict[str, str]:
    """What the systems before us have left, if the trace is still theirs."""
    if parent.host is not None:
        state = parent.host.tracestate()
    else:
        caller = scope.caller
        state = caller.tracestate if caller is not None and caller.trace_id == parent.trace_id else ""
    return {"tracestate": state} if state else {}


# In.


def _continued(given: Headers, client: str | None) -> Scope:
    scope = current()
    try:
        carrier = read_carrier(given)
        if not any(name in carrier for name in PLACES) or not runtime.settings.propagators:
            return scope
        if not trusted(client):
            who = repr(client)[:80] if client else "an unknown caller"
            say("trust", f"headers of {who} are not trusted: name it in TRACER_TRUST_HEADERS, or set that to all")
            return scope
        parent = _parent_in(carrier)
        return scope if parent is None else _scope_under(parent, carrier, scope)
    except Exception:
        say("unreadable", "headers could not be read and are ignored")
        return scope


def _parent_in(carrier: Mapping[str, str]) -> Parent | None:
    """The span that the headers name: of several formats the last one counts, and LangSmith's run is added to it."""
    parent: Parent | None = None
    for name in runtime.settings.propagators:
        reader = _READERS.get(name)
        if reader is not None:
            parent = _attempt(reader, carrier) or parent
    run = _attempt(read_run, carrier)
    if run is None:
        return parent
    if parent is None:
        run.sampled = runtime.sampler(run.trace_id, None)
        return run
    parent.run_id, parent.root_run_id, parent.dotted_order = run.run_id, run.root_run_id, run.dotted_order
    return parent


def _attempt(reader: Callable[[Mapping[str, str]], Parent | None], carrier: Mapping[str, str]) -> Parent | None:
    try:
        return reader(carrier)
    except ValueError as malformed:
        say(f"malformed {malformed}", f"a {malformed} header was malformed and is ignored")
        return None


def _scope_under(parent: Parent, carrier: Mapping[str, str], scope: Scope) -> Scope:
    text = carrier.get("baggage", "")
    if len(text) > LONGEST:
        say("long baggage", f"a baggage header had more than {LONGEST} characters and is ignored")
    names = runtime.settings.propagators
    baggage = parse_baggage(text)
    said = {**(read_jaeger_baggage(carrier) if "jaeger" in names else {}), **(baggage if "baggage" in names else {})}
    # LangSmith's entries belong to its own header.
    runs = read_entries(baggage if parent.run_id is not None else {})
    parent.project = runs.project
    others = [entry for entry in baggage_entries(text) if not _is_read(entry.partition("=")[0].strip())]
    parent.baggage = tuple(others) if "baggage" in names else ()
    inside = extended(
        scope,
        session=scope.session or said.get(_SESSION) or runs.session,
        user=scope.user or said.get(_USER),
        tags=runs.tags,
        metadata={**runs.metadata, **(scope.metadata or {})},
    )
    inside.parent = inside.caller = parent
    inside.foreign = None
    inside.absorbers = None
    return inside


def _is_read(name: str) -> bool:
    return name in (_SESSION, _USER) or name.startswith(PREFIX)
