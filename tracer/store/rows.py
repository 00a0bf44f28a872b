"""`SpanRow`: a span as it stands in the local store, made from a record and its spans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from tracer.call import COMPLETED, FAILED
from tracer.export import names
from tracer.export.span import SpanData
from tracer.export.texts import well_formed
from tracer.export.values import json_text
from tracer.reading.record import Record

ATTEMPT = "attempt"
"""Kind of the child spans that stand for single HTTP requests of a call that was retried."""

_LARGEST = 2**63 - 1


@dataclass(slots=True)
class SpanRow:
    """One row of table `spans`. Ids are lower-case hex, times Unix nanoseconds, `time_to_first_chunk` seconds.

    `tags` is a JSON array and `attributes` a JSON object with everything that an OTLP backend would get; the stack of an exception, which
    is in an event there, is one of them.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    run_id: str | None
    name: str
    kind: str
    operation: str | None
    start_ns: int
    end_ns: int
    outcome: str
    error_type: str | None
    error_message: str | None
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    currency: str | None
    time_to_first_chunk: float | None
    session: str | None
    user: str | None
    tags: str
    attributes: str


COLUMNS = tuple(item.name for item in fields(SpanRow))


def rows_of(record: Record, spans: list[SpanData]) -> list[SpanRow]:
    """The rows of one record: the span of the call itself, and one for each attempt."""
    return [_row(record, span) for span in spans]


def values_of(row: SpanRow) -> tuple[object, ...]:
    """The row in the order of `COLUMNS`, for SQL."""
    return tuple(getattr(row, name) for name in COLUMNS)


def _row(record: Record, span: SpanData) -> SpanRow:
    call = record.call
    own = span.span_id == call.span_id
    attributes = span.attributes
    return SpanRow(
        trace_id=f"{span.trace_id:032x}",
        span_id=f"{span.span_id:016x}",
        parent_span_id=None if span.parent_span_id is None else f"{span.parent_span_id:016x}",
        run_id=UUID(int=call.run_id).hex if own else None,
        name=well_formed(span.name),
        kind=call.kind if own else ATTEMPT,
        operation=_text(attributes, names.OPERATION_NAME),
        start_ns=min(span.start, _LARGEST),
        end_ns=min(span.end, _LARGEST),
        outcome=record.outcome if own else (COMPLETED if span.error is None else FAILED),
        error_type=_text(attributes, names.ERROR_TYPE),
        error_message=None if not span.error else well_formed(span.error),
        model=_text(attributes, names.REQUEST_MODEL) or _text(attributes, names.RESPONSE_MODEL),
        input_tokens=_whole(attributes, names.USAGE_INPUT_TOKENS),
        output_tokens=_whole(attributes, names.USAGE_OUTPUT_TOKENS),
        cost=_number(attributes, names.COST_TOTAL),
        currency=_text(attributes, names.COST_CURRENCY),
        time_to_first_chunk=_number(attributes, names.RESPONSE_TIME_TO_FIRST_CHUNK),
        session=None if call.session is None else well_formed(call.session),
        user=None if call.user is None else well_formed(call.user),
        tags=json_text(list(call.tags)),
        attributes=json_text({**attributes, **_stack(span)}),
    )


def _stack(span: SpanData) -> dict[str, Any]:
    stacks = [event.attributes[names.EXCEPTION_STACKTRACE] for event in span.events if names.EXCEPTION_STACKTRACE in event.attributes]
    return {names.EXCEPTION_STACKTRACE: stacks[-1]} if stacks else {}


def _text(attributes: Mapping[str, Any], name: str) -> str | None:
    value = attributes.get(name)
    return well_formed(value) if isinstance(value, str) else None


def _whole(attributes: Mapping[str, Any], name: str) -> int | None:
    value = attributes.get(name)
    return value if isinstance(value, int) and abs(value) <= _LARGEST else None


def _number(attributes: Mapping[str, Any], name: str) -> float | None:
    value = attributes.get(name)
    return float(value) if isinstance(value, int | float) else None
