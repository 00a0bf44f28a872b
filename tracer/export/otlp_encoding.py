"""Spans as OTLP bytes, written field by field: a quarter of what the official classes take, without loading them.

Field numbers are those of `opentelemetry/proto/trace/v1/trace.proto` and `common.proto`; the tests compare with the official classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import cast

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

# What comes again with every call (names, models, operations, addresses) is kept as it was encoded: that many of each, and no long texts.
_MOST_KEPT = 1024
_SHORT = 32
_kept = lru_cache(_MOST_KEPT)


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
    pairs = [
        (_short_text(name, value) if len(value) <= _SHORT else _text(name, value)) if type(value) is str else _other(name, value)
        for name, value in attributes.items()
    ]
    if pairs:
        parts += (tag, tag.join(pairs))


@_kept
def varint(number: int) -> bytes:
    """A number as protobuf writes it: seven bits a byte, the lowest first.

    >>> varint(300)
    b'\\xac\\x02'
    """
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def field(tag: bytes, data: bytes) -> bytes:
    """A field with a length: a text, bytes or a message."""
    return tag + varint(len(data)) + data


# Length and content of a `KeyValue`, by the kind of its value.


def _text(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    key, size = _key(name), len(data)
    length = varint(size)
    text = 1 + len(length) + size
    text_length = varint(text)
    return b"".join((varint(len(key) + 1 + len(text_length) + text), key, b"\x12", text_length, b"\x0a", length, data))


_short_text = _kept(_text)


@_kept
def _one_short_text(name: str, value: str) -> bytes:
    """A list of one text."""
    return _pair(name, [value])


@_kept
def _number_head(name: str, tag: bytes, size: int) -> bytes:
    """What stands before a number that is written in `size` bytes."""
    inside = _key(name) + b"\x12" + varint(len(tag) + size) + tag
    return varint(len(inside) + size) + inside


def _other(name: str, value: object) -> bytes:
    if type(value) is float:
        return _number_head(name, b"\x21", 8) + _DOUBLE(value)
    if type(value) is int and value >= 0:
        number = varint(value & _MASK64)
        return _number_head(name, b"\x18", len(number)) + number
    if isinstance(value, list):
        texts = cast("list[object]", value)
        if len(texts) == 1 and type(texts[0]) is str and len(texts[0]) <= _SHORT:
            return _one_short_text(name, texts[0])  # Finish reasons, nearly always.
        return _pair(name, texts)
    return _pair(name, value)


def _pair(name: str, value: object) -> bytes:
    inside = _key(name) + field(b"\x12", _any_value(value))
    return varint(len(inside)) + inside


@_kept
def _key(name: str) -> bytes:
    return field(b"\x0a", name.encode("utf-8", "replace"))


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
