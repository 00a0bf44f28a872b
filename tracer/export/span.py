"""`SpanData`: a span as every destination of OpenTelemetry's shape takes it, free of any SDK class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tracer.factories import new_dict, new_list

AttributeValue = str | bool | int | float | Sequence[str] | Sequence[int] | Sequence[float] | Sequence[bool]

CLIENT = "client"
INTERNAL = "internal"


@dataclass(slots=True)
class SpanEvent:
    """A point in time inside a span, Unix time in nanoseconds."""

    name: str
    time: int
    attributes: dict[str, AttributeValue] = field(default_factory=new_dict)


@dataclass(slots=True)
class SpanData:
    """One span. Times are Unix time in nanoseconds; `error` is the status description, None when the status stays unset."""

    name: str
    kind: str
    trace_id: int
    span_id: int
    parent_span_id: int | None
    parent_is_remote: bool
    start: int
    end: int
    error: str | None = None
    attributes: dict[str, AttributeValue] = field(default_factory=new_dict)
    events: list[SpanEvent] = field(default_factory=new_list)
