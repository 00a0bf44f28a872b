"""Headers as frameworks, queues and gateways hand them over, brought into one form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

Headers = Mapping[Any, Any] | Iterable[tuple[Any, Any]]
"""A mapping or pairs; names and values may be text or bytes (WSGI, ASGI, queues)."""

LONGEST = 8192
"""Characters of a header that are read: what W3C Baggage asks for, and what web servers take."""

JAEGER_BAGGAGE = "uberctx-"
PLACES = ("traceparent", "b3", "x-b3-traceid", "uber-trace-id", "langsmith-trace")
"""The headers that name a span or run. All others mean nothing without one of these."""

_KNOWN = {*PLACES, "tracestate", "baggage", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"}
_WSGI = "http_"


def read_carrier(given: Headers) -> dict[str, str]:
    """The headers we know, by lower-case name; those that came more than once are joined by a comma, as RFC 9110 says.

    A header that must be single is then malformed, as it should be.

    >>> read_carrier([(b"B3", b"x"), ("host", "y")]), read_carrier({"HTTP_X_B3_SPANID": "z"})
    ({'b3': 'x'}, {'x-b3-spanid': 'z'})
    """
    items = getattr(given, "items", None)
    pairs = cast("Iterable[tuple[Any, Any]]", items() if callable(items) else given)
    found: dict[str, str] = {}
    for name, value in pairs:
        key = _name(name)
        if key not in _KNOWN and not key.startswith(JAEGER_BAGGAGE):
            continue
        for text in _texts(value):
            # What is longer than LONGEST is not read; it only has to be told that it is.
            found[key] = f"{found[key]},{text}"[: LONGEST + 1] if key in found else text[: LONGEST + 1]
    return found


def _name(name: object) -> str:
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    if not isinstance(name, str) or len(name) > 128:
        return ""
    lowered = name.lower()
    return lowered.removeprefix(_WSGI).replace("_", "-") if lowered.startswith(_WSGI) else lowered


def _texts(value: object) -> list[str]:
    """The texts of a header's value; frameworks keep repeated headers as a list."""
    values = cast("list[object]", value) if isinstance(value, list | tuple) else [value]
    decoded = [item.decode("latin-1") if isinstance(item, bytes) else item for item in values[:64]]
    return [item.strip() for item in decoded if isinstance(item, str)]
