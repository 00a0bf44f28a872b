"""A record as a run of the LangSmith protocol: its plain form, for any record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from uuid import UUID

from tracer.call import CHAIN, EMBEDDING, FAILED, LLM, RETRIEVER, TOOL, Call
from tracer.export.spans import span_name
from tracer.export.values import json_bytes
from tracer.reading.record import Record
from tracer.settings import Settings

_TYPES = {LLM: "llm", EMBEDDING: "embedding", TOOL: "tool", RETRIEVER: "retriever", CHAIN: "chain"}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MOST_NAME = 128


@dataclass(slots=True)
class LangSmithRun:
    """One run. Bytes are JSON and become parts of their own in a multipart request; `fields` are further small fields."""

    id: str
    trace_id: str
    parent_run_id: str | None
    dotted_order: str
    name: str
    run_type: str
    start_time: str
    end_time: str | None
    session_name: str
    fields: dict[str, object]
    inputs: bytes | None
    outputs: bytes | None
    error: str | None
    extra: bytes
    events: bytes | None
    serialized: bytes | None


def run_of(record: Record, settings: Settings) -> LangSmithRun:
    """The run of a call that is over, without what `LANGSMITH_HIDE_*` keeps back."""
    return _hidden(_finished(record, settings), record.call, settings)


def start_of(call: Call, settings: Settings) -> LangSmithRun:
    """The run of a call that goes on, without what `LANGSMITH_HIDE_*` keeps back."""
    return _hidden(_begun(call, settings), call, settings)


def _hidden(run: LangSmithRun, call: Call, settings: Settings) -> LangSmithRun:
    if settings.langsmith_hide_inputs:
        run.inputs = b"{}"
    if settings.langsmith_hide_outputs and run.outputs is not None:
        run.outputs = b"{}"
    if run.error is not None and (settings.langsmith_hide_inputs or settings.langsmith_hide_outputs):
        # The text of an error often quotes what was asked or answered.
        run.error = call.failure.type if call.failure else "failed"
    if settings.langsmith_hide_metadata:
        run.extra = json_bytes({"metadata": {}})
    return run


def _finished(record: Record, settings: Settings) -> LangSmithRun:
    call = record.call
    run = _begun(call, settings)
    run.name = span_name(record)[:_MOST_NAME]
    run.end_time = _iso(call.started_wall + call.ended - call.started)
    generation = record.generation
    if generation is not None:
        run.inputs = json_bytes(generation.request or {}) if call.content_inputs else b"{}"
        run.outputs = json_bytes(generation.answer or {}) if call.content_outputs else b"{}"
    else:
        run.inputs = _object(call.input_json if call.content_inputs else None)
        run.outputs = _object(call.output_json if call.content_outputs else None)
    if record.outcome == FAILED:
        run.error = f"{call.failure.type}({call.failure.message!r})" if call.failure else "failed"
    return run


def _begun(call: Call, settings: Settings) -> LangSmithRun:
    run_id, trace_id = str(UUID(int=call.run_id)), str(UUID(int=call.root_run_id or call.trace_id))
    parent = None if call.parent_run_id is None else str(UUID(int=call.parent_run_id))
    # Ancestors are told by their ids alone, to the millisecond.
    ancestors = dict.fromkeys(item for item in (trace_id, parent) if item is not None and item != run_id)
    return LangSmithRun(
        id=run_id,
        trace_id=trace_id,
        parent_run_id=parent,
        dotted_order=".".join([*(_segment(_wall_of(item), item) for item in ancestors), _segment(call.started_wall, run_id)]),
        name=(call.name or call.model or call.kind)[:_MOST_NAME],
        run_type=_TYPES.get(call.kind, "chain"),
        start_time=_iso(call.started_wall),
        end_time=None,
        session_name=settings.langsmith_project,
        fields={"tags": list(call.tags)},
        inputs=_object(call.input_json if call.content_inputs else None),
        outputs=None,
        error=None,
        extra=json_bytes({"metadata": {**(call.metadata or {}), **_foreign_ids(call)}}),
        events=b"[]",
        serialized=None,
    )


def _foreign_ids(call: Call) -> dict[str, str]:
    """The ids in other telemetry, under whose spans a trace of LangSmith has an id of its own."""
    if call.root_run_id in (0, call.trace_id):
        return {}
    return {"otel.trace_id": f"{call.trace_id:032x}", "otel.span_id": f"{call.span_id:016x}"}


def _object(text: bytes | None) -> bytes:
    if text is None:
        return b"{}"
    return text if text.startswith(b"{") else b'{"value":' + text + b"}"


def _wall_of(run_id: str) -> int:
    return (UUID(run_id).int >> 80) * 1_000_000


def _moment(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _iso(nanoseconds: int) -> str:
    return _moment(nanoseconds).isoformat(timespec="microseconds")


def _segment(nanoseconds: int, run_id: str) -> str:
    return f"{_moment(nanoseconds):%Y%m%dT%H%M%S%fZ}{run_id}"
