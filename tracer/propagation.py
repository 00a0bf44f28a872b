"""The place of the running code in a trace, in and out of a process: W3C `traceparent`, `tracestate` and `baggage`.

Out only when the application asks (`tracer.headers()`): nothing is ever added to the requests that go to a model host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, cast
from urllib.parse import quote, unquote

from tracer.runtime import logger, ready
from tracer.scope import Parent, Scope, current, enter, extended, leave

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1
_SESSION, _USER = "session.id", "user.id"
_LONGEST = 8192
"""Characters of a baggage header (W3C Baggage) and of a `tracestate` that are read."""

Headers = Mapping[Any, Any] | Iterable[tuple[Any, Any]]
"""A mapping or pairs; names and values may be text or bytes (WSGI, ASGI, queues)."""


def headers() -> dict[str, str]:
    """The headers that let another process continue the trace: `traceparent`, and `baggage` with session and user where they are set.

    Empty outside of any span of ours. They hold ids, session and user, and no content.

        requests.post(url, headers={**tracer.headers()}, json=job)

    Source: W3C Trace Context and W3C Baggage.
    """
    scope = current()
    parent = scope.parent
    if parent is None:
        return {}
    found = {"traceparent": f"00-{parent.trace_id:032x}-{parent.span_id:016x}-{int(parent.sampled):02x}"}
    baggage = [f"{name}={quote(value, safe='')}" for name, value in ((_SESSION, scope.session), (_USER, scope.user)) if value]
    if baggage:
        found["baggage"] = ",".join(baggage)
    return found


def continue_from(headers: Headers, *, client: str | None = None) -> Continued:
    """A context manager in which spans become children of the span that the caller's `headers` name.

    `client` is the caller's address, compared with `TRACER_TRUST_HEADERS`; headers of callers that are not trusted (the default trusts
    nobody) and headers that are malformed are ignored with one log line. Session and user come from `baggage` where they are not set.

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


def _continued(given: Headers, client: str | None) -> Scope:
    scope = current()
    try:
        named = _read(given)
        text = named.get("traceparent")
        if text is None:
            return scope
        if not trusted(client):
            _say(f"headers of {client or 'an unknown caller'} are not trusted: name it in TRACER_TRUST_HEADERS, or set that to all")
            return scope
        parent = parse_traceparent(text)
        if parent is None:
            _say("a traceparent header was malformed and is ignored")
            return scope
        baggage = parse_baggage(named.get("baggage", ""))
        inside = extended(scope, session=scope.session or baggage.get(_SESSION), user=scope.user or baggage.get(_USER))
        inside.parent = parent
        inside.foreign = None
        inside.absorbers = None
        return inside
    except Exception:
        _say("headers could not be read and are ignored")
        return scope


def _read(given: Headers) -> dict[str, str]:
    """The headers we know, by lower-case name. WSGI's names (`HTTP_TRACEPARENT`) are known too."""
    pairs = cast("Mapping[Any, Any]", given).items() if isinstance(given, Mapping) else given
    found: dict[str, str] = {}
    for name, value in pairs:
        key = _text(name).lower().removeprefix("http_")
        if key in ("traceparent", "baggage"):
            found.setdefault(key, _text(value).strip())
    return found


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, list | tuple) and value:
        return str(cast("list[Any]", value)[0])  # Frameworks keep repeated headers as a list.
    return str(cast("object", value))


def parse_traceparent(text: str) -> Parent | None:
    """The parent that a `traceparent` names, or None if it is malformed.

    >>> parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").sampled
    True
    """
    match = _TRACEPARENT.fullmatch(text)
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    trace_id, span_id = int(trace, 16), int(span, 16)
    # Version 00 has four fields; later ones may have more, which we may ignore. ff is forbidden.
    if version == "ff" or (version == "00" and more) or not trace_id or not span_id:
        return None
    return Parent(trace_id, span_id, None, bool(int(flags, 16) & _SAMPLED), True)


def parse_baggage(text: str) -> dict[str, str]:
    """The entries of a `baggage` header; properties are left out, broken entries ignored.

    >>> parse_baggage("session.id=s%201;p=1, user.id=u7, broken")
    {'session.id': 's 1', 'user.id': 'u7'}
    """
    found: dict[str, str] = {}
    for entry in text[:_LONGEST].split(","):
        name, equals, value = entry.partition(";")[0].partition("=")
        if equals and name.strip():
            found[name.strip()] = unquote(value.strip())
    return found


def trusted(client: str | None) -> bool:
    """Whether headers of this caller are believed, by `TRACER_TRUST_HEADERS`."""
    allowed = ready().settings.trust_headers
    if "all" in allowed:
        return True
    if client is None or not allowed:
        return False
    return any(_matches(client, entry) for entry in allowed)


def _matches(client: str, entry: str) -> bool:
    if client == entry:
        return True
    try:
        return ip_address(client) in ip_network(entry, strict=False)
    except ValueError:
        return False


_said: set[str] = set()


def _say(text: str) -> None:
    """One log line for each reason."""
    if text not in _said:
        _said.add(text)
        logger.warning("tracer: %s", text)
