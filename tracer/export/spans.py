"""A record as spans: the call's own, and one for each attempt where the SDK tried more than once."""

from __future__ import annotations

from hashlib import blake2b
from typing import TypeVar

from tracer.call import AGENT, FAILED, RETRIEVER, TOOL, Attempt, Call, Failure
from tracer.export import names
from tracer.export.attributes import OWN_SPAN, attributes_of, error_type_of, model_of, operation_of
from tracer.export.span import CLIENT, INTERNAL, SpanData, SpanEvent
from tracer.export.texts import shorten_text, well_formed
from tracer.export.values import ATTRIBUTE_TEXT
from tracer.reading.record import Record
from tracer.settings import Settings

ATTEMPT = "attempt"
EXCEPTION = "exception"

_NANOSECONDS = 1e9
_MOST_TIME = 2**64 - 1
_NAME_BYTES = 512

_Value = TypeVar("_Value")


def spans_of(record: Record, settings: Settings, *, content: bool = True) -> list[SpanData]:
    """The spans of one record, the call's own first.

    Its name and kind follow the GenAI conventions v0.1.0 (`chat gpt-4o`, CLIENT); an own chain bears its own name, which says
    more than `invoke_workflow`. Its status is an error only for the outcome `failed`. When there was more than one attempt, every
    attempt, the last included, is a child span named `attempt`. Prompts and answers are left out without `content`.
    """
    call = record.call
    start, end = wall_time(call, call.started), end_of(call)
    span = SpanData(
        name=span_name(record),
        kind=kind_of(call),
        trace_id=call.trace_id,
        span_id=call.span_id,
        parent_span_id=call.parent_span_id,
        parent_is_remote=call.parent_is_remote,
        start=start,
        end=end,
        attributes=attributes_of(record, settings, content=content),
    )
    if record.outcome == FAILED:
        span.error = _description(record)
        span.events.append(_exception(record, end))
    if len(call.attempts) < 2:
        return [span]
    return [span, *(_attempt(call, index) for index in range(len(call.attempts)))]


def span_name(record: Record) -> str:
    """The span's name: `chat gpt-4o`, `execute_tool get_weather`, `GET /files/{id}`, or a chain's own name.

    >>> span_name(Record(Call(1, 1, 1, method="GET", path="/models"), "completed"))
    'GET /models'
    """
    call = record.call
    operation = operation_of(record)
    if call.operation == OWN_SPAN:
        prefix = operation if call.kind in (TOOL, AGENT, RETRIEVER) else ""
        name = f"{prefix} {call.name}".strip() or operation or "span"
    elif operation:
        name = f"{operation} {_target(record, operation)}".strip()
    else:
        name = f"{call.method} {call.template or call.path}".strip() or call.name or "request"
    return shorten_text(well_formed(name), _NAME_BYTES)


def _target(record: Record, operation: str) -> str:
    """What an operation acts on: a model, or an agent by its name. Ids stay out, since there are many of them."""
    if operation in (names.FETCH_RESPONSE, names.RETRIEVAL):
        return ""
    if operation in (names.CREATE_AGENT, names.INVOKE_AGENT):
        return (record.generation.agent_name if record.generation else None) or ""
    return model_of(record) or ""


def attempt_span_id(span_id: int, index: int) -> int:
    """The span id of an attempt: the same for the same call and index, wherever it is asked for, and never 0."""
    digest = blake2b(f"{span_id}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1


def kind_of(call: Call) -> str:
    """The kind of the call's span: CLIENT or INTERNAL."""
    # A retriever asks a store outside of the process; other spans of the application's own run inside.
    return CLIENT if call.operation != OWN_SPAN or call.kind == RETRIEVER else INTERNAL


def end_of(call: Call) -> int:
    """When the call's span ends, in Unix nanoseconds."""
    return wall_time(call, max(call.ended, call.started))


def wall_time(call: Call, reading: int) -> int:
    """Unix time in nanoseconds of a reading of the monotonic clock, within what OTLP can carry."""
    return min(max(call.started_wall + reading - call.started, 0), _MOST_TIME)


def _text(text: str) -> str:
    return shorten_text(well_formed(text), ATTRIBUTE_TEXT)


def _description(record: Record) -> str:
    failure, generation = record.call.failure, record.generation
    message = (failure.message if failure else "") or (generation.error_message if generation else "")
    return _text(message or error_type_of(record) or "")


def _exception(record: Record, time: int) -> SpanEvent:
    failure = record.call.failure
    kind = failure.type if failure and failure.type else error_type_of(record)
    values = {
        names.EXCEPTION_TYPE: _text(kind or ""),
        names.EXCEPTION_MESSAGE: _description(record),
        names.EXCEPTION_STACKTRACE: _text(stack_trace(failure)),
    }
    return SpanEvent(EXCEPTION, time, {name: value for name, value in values.items() if value})


def stack_trace(failure: Failure | None) -> str:
    """The stack of an exception as Python prints it; empty where none was kept or it cannot be written."""
    if failure is None or failure.trace is None:
        return ""
    try:
        return "".join(failure.trace.format())
    except Exception:
        # Formatting runs code of the caller's own exception classes and reads source files.
        return ""


def _attempt(call: Call, index: int) -> SpanData:
    attempt = call.attempts[index]
    previous = call.attempts[index - 1] if index else None
    error = attempt_error_of(attempt)
    ended = max(attempt.ended or call.ended, attempt.started)
    return SpanData(
        name=ATTEMPT,
        kind=CLIENT,
        trace_id=call.trace_id,
        span_id=attempt_span_id(call.span_id, index),
        parent_span_id=call.span_id,
        parent_is_remote=False,
        start=wall_time(call, attempt.started),
        end=wall_time(call, ended),
        error=None if error is None else _text((attempt.failure.message if attempt.failure else "") or error),
        attributes=_present(
            {
                names.HTTP_RESPONSE_STATUS_CODE: attempt.status,
                names.HTTP_REQUEST_RESEND_COUNT: index or None,
                names.ATTEMPT_WAIT: None if previous is None else max(attempt.started - previous.ended, 0) / _NANOSECONDS,
                names.ATTEMPT_REQUEST_ID: well_formed(attempt.request_id) if attempt.request_id else None,
                names.ERROR_TYPE: error,
            }
        ),
    )


def attempt_error_of(attempt: Attempt) -> str | None:
    """`error.type` of an attempt after the HTTP conventions: the status as text, else the exception's class."""
    if attempt.status is not None and attempt.status >= 400:
        return str(attempt.status)
    return _text(attempt.failure.type) or "_OTHER" if attempt.failure else None


def _present(values: dict[str, _Value | None]) -> dict[str, _Value]:
    return {name: value for name, value in values.items() if value is not None}
