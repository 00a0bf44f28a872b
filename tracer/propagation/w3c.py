"""W3C Trace Context (`traceparent`, `tracestate`) and W3C Baggage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

from tracer.propagation.carrier import LONGEST
from tracer.scope import Parent

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 0b1

_KEY = r"[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}"
_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_STATE = re.compile(rf"({_KEY})={_VALUE}")
_MOST_STATES = 32

_ENTRY = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*=[\t\x20-\x7e]*")
_MOST_ENTRIES = 64


def read_traceparent(carrier: Mapping[str, str]) -> Parent | None:
    """The span that `traceparent` names; None without one. Raises `ValueError` for one that is malformed."""
    text = carrier.get("traceparent")
    if text is None:
        return None
    parent = parse_traceparent(text)
    if parent is None:
        raise ValueError("traceparent")
    parent.tracestate = valid_tracestate(carrier.get("tracestate", ""))
    return parent


def parse_traceparent(text: str) -> Parent | None:
    """The parent that a `traceparent` names, or None if it is malformed.

    >>> parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").sampled
    True
    """
    match = _TRACEPARENT.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    trace_id, span_id = int(trace, 16), int(span, 16)
    # Version 00 has four fields; later ones may have more, which we may ignore. ff is forbidden.
    if version == "ff" or (version == "00" and more) or not trace_id or not span_id:
        return None
    return Parent(trace_id, span_id, None, bool(int(flags, 16) & _SAMPLED), True)


def format_traceparent(parent: Parent) -> str:
    """The same the other way. Of the flags only `sampled` is known to us, as the specification allows."""
    return f"00-{parent.trace_id:032x}-{parent.span_id:016x}-{_SAMPLED if parent.sampled else 0:02x}"


def valid_tracestate(text: str) -> str:
    """A `tracestate` as it came, or nothing where it is malformed: then all of it is to be discarded, and the trace goes on.

    >>> valid_tracestate("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"), valid_tracestate("a=1,a=2")
    ('rojo=00f067aa0ba902b7,congo=t61rcWkgMzE', '')
    """
    members = [member.strip() for member in text.split(",")] if len(text) <= LONGEST else []
    matches = [_STATE.fullmatch(member) for member in members if member]
    keys = [match[1] for match in matches if match is not None]
    if not keys or len(keys) != len(matches) or len(keys) != len(set(keys)) or len(keys) > _MOST_STATES:
        return ""
    return ",".join(member for member in members if member)


def parse_baggage(text: str) -> dict[str, str]:
    """The entries of a `baggage` header; properties are left out, broken entries ignored, the first of a name counts.

    >>> parse_baggage("session.id=s%201;p=1, user.id=u7, broken")
    {'session.id': 's 1', 'user.id': 'u7'}
    """
    found: dict[str, str] = {}
    for entry in baggage_entries(text):
        name, _, value = entry.partition(";")[0].partition("=")
        found.setdefault(name.strip(), unquote(value.strip()))
    return found


def baggage_entries(text: str) -> list[str]:
    """The well-formed entries of a `baggage` header, as they came; none of one that is too long."""
    if len(text) > LONGEST:
        return []
    entries = (entry.strip() for entry in text.split(","))
    return [entry for entry in entries if _ENTRY.fullmatch(entry.partition(";")[0]) and entry.isascii() and entry.isprintable()][
        :_MOST_ENTRIES
    ]


def baggage_entry(name: str, value: object) -> str:
    """One entry with its value in percent-encoding, as W3C and LangSmith's SDK read it."""
    return f"{name}={quote(str(value), safe='', errors='replace')}"


def join_baggage(entries: Iterable[str]) -> str:
    """As many entries as a header may have, the first ones first."""
    kept: list[str] = []
    room = LONGEST + 1
    for entry in entries:
        if len(entry) < room and len(kept) < _MOST_ENTRIES:
            kept.append(entry)
            room -= len(entry) + 1
    return ",".join(kept)
