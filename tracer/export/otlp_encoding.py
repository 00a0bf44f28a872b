"""Spans as OTLP bytes, written field by field: a quarter of what the official classes take, without loading them.

Field numbers are those of `opentelemetry/proto/trace/v1/trace.proto` and `common.proto`; the tests compare with the official classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import cast

from tracer.export import names
from tracer.export.limits import Bounded, SpanLimits
from tracer.export.span import CLIENT, AttributeValue, SpanData, SpanEvent

_FIXED64 = Struct("<Q").pack
_DOUBLE = Struct("<d").pack
_TIMES = Struct("<cQcQ").pack
_FLAGS = Struct("<I").pack

_HAS_IS_REMOTE = 0x100
_IS_REMOTE = 0x200
_KIND_CLIENT = b"\x30\x03"
_KIND_INTERNAL = b"\x30\x01"
_MASK64 = (1 << 64) - 1
# `KeyValue.value` of a number: its length, and the field of `AnyValue`.
_A_DOUBLE = b"\x12\x09\x21"
_AN_INTEGER = b"\x12\x02\x18"

# Texts that come again with every call (names of models, operations, addresses) are kept as they were encoded.
_MOST_KEPT = 1024
_SHORT = 64
_texts: dict[tuple[str, str], bytes] = {}
_names: dict[str, bytes] = {}
_doubles: dict[str, bytes] = {}
_integers: dict[str, bytes] = {}
# Different with each call: kept, they would only push out what comes again.
_UNIQUE = frozenset((names.RUN_ID, names.RESPONSE_ID))
_small = [bytes((length,)) for length in range(128)]


def encoded_span(span: SpanData, limits: SpanLimits | None = None) -> bytes:
    """The span as an entry of `ScopeSpans.spans`, tag and length included. What `limits` takes away is counted in it; None is no limit.

    Nothing of a span that `spans_of` made makes this raise.
    """
    attributes: Mapping[str, AttributeValue] = span.attributes
    dropped = dropped_events = 0
    if limits is None:
        events = [_event(event) for event in span.events]
    else:
        bounded = limits.attributes_of(span)
        attributes, dropped = bounded.kept, bounded.dropped
        kept = span.events[: limits.events]
        events = [_event(event, limits.attributes_of_event(event.attributes)) for event in kept]
        dropped_events = len(span.events) - len(kept)
    parts = [
        b"\x0a\x10",
        span.trace_id.to_bytes(16, "big"),
        b"\x12\x08",
        span.span_id.to_bytes(8, "big"),
        b"" if span.parent_span_id is None else b"\x22\x08" + span.parent_span_id.to_bytes(8, "big"),
        field(b"\x2a", span.name.encode("utf-8", "replace")),
        _KIND_CLIENT if span.kind == CLIENT else _KIND_INTERNAL,
        _TIMES(b"\x39", span.start, b"\x41", span.end),
    ]
    add_attributes(parts, b"\x4a", attributes)
    if dropped:
        parts.append(b"\x50" + varint(dropped))
    parts += events
    if dropped_events:
        parts.append(b"\x60" + varint(dropped_events))
    parts.append(b"\x7a\x00" if span.error is None else _error(span.error))
    parts.append(b"\x85\x01" + _FLAGS(_HAS_IS_REMOTE | (_IS_REMOTE if span.parent_is_remote and span.parent_span_id is not None else 0)))
    return field(b"\x12", b"".join(parts))


def add_attributes(parts: list[bytes], tag: bytes, attributes: Mapping[str, AttributeValue]) -> None:
    """Append each attribute as a `KeyValue` in the field of `tag`."""
    for name, value in attributes.items():
        parts.append(tag)
        kind = type(value)
        if kind is str:
            text = cast("str", value)
            kept = _texts.get((name, text)) if len(text) <= _SHORT else None
            parts.append(kept or _text_pair(name, text))
        elif kind is float:
            parts.append(_doubles.get(name) or _head(_doubles, name, _A_DOUBLE, 8))
            parts.append(_DOUBLE(cast("float", value)))
        elif kind is int and 0 <= cast("int", value) < 0x80:
            parts.append(_integers.get(name) or _head(_integers, name, _AN_INTEGER, 1))
            parts.append(_small[cast("int", value)])
        else:
            inside = _key(name) + field(b"\x12", _any_value(value))
            parts.append(varint(len(inside)))
            parts.append(inside)


def varint(number: int) -> bytes:
    """A number as protobuf writes it: seven bits a byte, the lowest first.

    >>> varint(300)
    b'\\xac\\x02'
    """
    if number < 0x80:
        return _small[number]
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def field(tag: bytes, data: bytes) -> bytes:
    """A field with a length: a text, bytes or a message."""
    return b"%b%b%b" % (tag, varint(len(data)), data)


def _text_pair(name: str, value: str) -> bytes:
    """Length and content of a `KeyValue` with a text."""
    data = value.encode("utf-8", "replace")
    text = field(b"\x0a", data)
    key = _key(name)
    inside = field(b"\x12", text)
    pair = b"%b%b%b" % (varint(len(key) + len(inside)), key, inside)
    if len(value) <= _SHORT and name not in _UNIQUE:
        if len(_texts) >= _MOST_KEPT:
            _texts.clear()
        _texts[name, value] = pair
    return pair


def _head(heads: dict[str, bytes], name: str, kind: bytes, length: int) -> bytes:
    """What stands before a number of `length` bytes in a `KeyValue`, the length of the whole included."""
    inside = _key(name) + kind
    if len(heads) >= _MOST_KEPT:
        heads.clear()
    head = heads[name] = varint(len(inside) + length) + inside
    return head


def _key(name: str) -> bytes:
    key = _names.get(name)
    if key is None:
        key = field(b"\x0a", name.encode("utf-8", "replace"))
        if len(_names) >= _MOST_KEPT:
            _names.clear()
        _names[name] = key
    return key


def _any_value(value: object) -> bytes:
    if isinstance(value, str):
        return field(b"\x0a", value.encode("utf-8", "replace"))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value & _MASK64)
    if isinstance(value, float):
        return b"\x21" + _DOUBLE(value)
    items = cast("Iterable[object]", value)
    return field(b"\x2a", b"".join(field(b"\x0a", _any_value(item)) for item in items))


def _event(event: SpanEvent, bounded: Bounded | None = None) -> bytes:
    parts = [b"\x09" + _FIXED64(event.time), field(b"\x12", event.name.encode("utf-8", "replace"))]
    add_attributes(parts, b"\x1a", event.attributes if bounded is None else bounded.kept)
    if bounded is not None and bounded.dropped:
        parts.append(b"\x20" + varint(bounded.dropped))
    return field(b"\x5a", b"".join(parts))


def _error(description: str) -> bytes:
    text = field(b"\x12", description.encode("utf-8", "replace")) if description else b""
    return field(b"\x7a", text + b"\x18\x02")


def message(tag: bytes, head: bytes, inside: Sequence[bytes]) -> bytes:
    """A message of `head` and what is already written for it, in the field of `tag`."""
    return field(tag, head + b"".join(inside))
