"""Events as OTLP bytes, written field by field like spans.

Field numbers are those of `opentelemetry/proto/logs/v1/logs.proto` and `common.proto`; the tests compare with the official classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import cast

from tracer.export.events import SEVERITIES, LogEvent
from tracer.export.otlp_encoding import field, varint
from tracer.export.values import json_text

_TIME = Struct("<cQ").pack
_DOUBLE = Struct("<d").pack
_FLAGS = Struct("<I").pack
_MASK64 = (1 << 64) - 1
_INT64 = range(-(2**63), 2**63)

# Protobuf's readers give up at a hundred messages inside of each other, and a list in a mapping is four of them.
_DEPTH = 16


def encoded_event(event: LogEvent, observed: int) -> bytes:
    """The event as an entry of `ScopeLogs.log_records`, tag and length included. `observed`: Unix time in nanoseconds."""
    parts = [
        _TIME(b"\x09", event.time & _MASK64),
        b"\x10" + varint(event.severity),
        field(b"\x1a", SEVERITIES[event.severity].encode()),
        *(encoded_pair(name, value) for name, value in event.attributes.items()),
        b"\x45" + _FLAGS(1 if event.sampled and event.trace_id else 0),
    ]
    if event.trace_id:
        parts.append(b"\x4a\x10" + event.trace_id.to_bytes(16, "big"))
    if event.span_id:
        parts.append(b"\x52\x08" + event.span_id.to_bytes(8, "big"))
    parts += [_TIME(b"\x59", observed & _MASK64), field(b"\x62", event.name.encode())]
    return field(b"\x12", b"".join(parts))


def encoded_pair(name: str, value: object) -> bytes:
    """An attribute as an entry of `LogRecord.attributes`, tag and length included."""
    return field(b"\x32", _pair(name, value, _DEPTH))


def _pair(name: str, value: object, depth: int) -> bytes:
    return field(b"\x0a", name.encode("utf-8", "replace")) + field(b"\x12", _any_value(value, depth))


def _any_value(value: object, depth: int) -> bytes:
    if value is None:
        return b""
    if isinstance(value, str):
        return field(b"\x0a", value.encode("utf-8", "replace"))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value & _MASK64) if value in _INT64 else _any_value(str(value), depth)
    if isinstance(value, float):
        return b"\x21" + _DOUBLE(value)
    if depth == 0:
        return _any_value(json_text(value), depth)
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        return field(b"\x32", b"".join(field(b"\x0a", _pair(name, item, depth - 1)) for name, item in entries.items()))
    items = cast("list[object]", value)
    return field(b"\x2a", b"".join(field(b"\x0a", _any_value(item, depth - 1)) for item in items))
