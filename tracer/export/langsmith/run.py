"""A record as a run of the LangSmith protocol."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracer.call import CANCELLED, CHAIN, COMPLETED, EMBEDDING, FAILED, LLM, RETRIEVER, TOOL, Call, Failure
from tracer.dotted_order import iso, project_of
from tracer.export import names
from tracer.export.langsmith import langchain_shape, openai_shape
from tracer.export.langsmith.facts import runtime_json
from tracer.export.langsmith.places import place_of
from tracer.export.langsmith.usage import usage_metadata
from tracer.export.spans import stack_trace
from tracer.export.texts import shorten_text, well_formed
from tracer.export.values import ATTRIBUTE_TEXT, json_bytes
from tracer.factories import new_dict
from tracer.reading.generation import Generation
from tracer.reading.langchain import OPERATION as LANGCHAIN
from tracer.reading.read import read_begun
from tracer.reading.record import Record
from tracer.settings import Settings

Json = dict[str, object]

_TYPES = {LLM: "llm", EMBEDDING: "embedding", TOOL: "tool", RETRIEVER: "retriever", CHAIN: "chain"}
_PROMPT = "prompt"
_PARSER = "parser"
_RUN_TYPE = "tracer.run_type"
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
    session_name: str
    end_time: str | None = None
    fields: Json = field(default_factory=new_dict)
    inputs: bytes | None = None
    outputs: bytes | None = None
    error: str | None = None
    extra: bytes = b"{}"
    events: bytes | None = None
    serialized: bytes | None = None


@dataclass(slots=True)
class _Shown:
    """What of a run may be seen: by what the application records at all, and by `LANGSMITH_HIDE_*`."""

    inputs: bool
    outputs: bool
    metadata: bool

    @property
    def texts(self) -> bool:
        """Errors often quote what was asked or answered."""
        return self.inputs and self.outputs


@dataclass(slots=True)
class _Content:
    """What the shape of a run decides."""

    inputs: bytes
    outputs: bytes | None = None
    metadata: Json = field(default_factory=new_dict)
    extra: Json = field(default_factory=new_dict)
    serialized: bytes | None = None


def run_of(record: Record, settings: Settings) -> LangSmithRun:
    """The run of a call that is over."""
    call = record.call
    shown = _shown(call, settings)
    run, start = _placed(call, settings)
    lasted = call.ended - call.started
    end = start + (lasted // 1000 if lasted > 0 else 0)
    content = _content(call, record.generation, shown, over=True)
    _fill(run, call, content, shown, record.outcome)
    run.end_time = iso(end)
    run.error = _error(record, shown.texts)
    run.events = _events(record, start, end)
    return run


def start_of(call: Call, settings: Settings) -> LangSmithRun:
    """The run of a call that goes on. It bears the name that it will have at its end."""
    shown = _shown(call, settings)
    run, start = _placed(call, settings)
    _fill(run, call, _content(call, read_begun(call), shown, over=False), shown, "")
    run.events = json_bytes([_event("start", start)]) if _tells_events(call) else b"[]"
    return run


def _shown(call: Call, settings: Settings) -> _Shown:
    return _Shown(
        call.content_inputs and not settings.langsmith_hide_inputs,
        call.content_outputs and not settings.langsmith_hide_outputs,
        not settings.langsmith_hide_metadata,
    )


def _placed(call: Call, settings: Settings) -> tuple[LangSmithRun, int]:
    place = place_of(call)
    run = LangSmithRun(
        id=place.id,
        trace_id=place.trace_id,
        parent_run_id=place.parent_run_id,
        dotted_order=place.dotted_order,
        name=well_formed(run_name(call))[:_MOST_NAME],
        run_type=run_type_of(call),
        start_time=iso(place.start),
        session_name=project_of(call) or settings.langsmith_project,
        fields={"tags": list(call.tags)},
    )
    return run, place.start


def run_name(call: Call) -> str:
    """The name of the run of a call."""
    return call.name or openai_shape.name_of(call) or f"{call.method} {call.template or call.path}".strip() or call.kind


def run_type_of(call: Call) -> str:
    """The `run_type` of a call: llm, chain, tool, …"""
    told = (call.attributes or {}).get(_RUN_TYPE)
    return str(told) if told in (_PROMPT, _PARSER) else _TYPES.get(call.kind, "chain")


def _fill(run: LangSmithRun, call: Call, content: _Content, shown: _Shown, outcome: str) -> None:
    run.inputs, run.outputs = content.inputs, content.outputs
    run.serialized = content.serialized if shown.inputs else None
    metadata = {**content.metadata, **run_metadata(call, outcome)} if shown.metadata else {}
    others = b"".join(b',"' + name.encode() + b'":' + json_bytes(value) for name, value in content.extra.items())
    run.extra = b'{"metadata":' + json_bytes(metadata) + b',"runtime":' + runtime_json(call.library) + others + b"}"


def run_metadata(call: Call, outcome: str) -> Json:
    """What does not depend on the shape: the application's own, session and user, and how the call ended where that is no plain end."""
    metadata: Json = {**call.attributes} if call.attributes else {}
    metadata.pop(_RUN_TYPE, None)
    if call.metadata:
        metadata |= call.metadata
    if call.session is not None:
        metadata.setdefault("session_id", call.session)
    if call.user is not None:
        metadata.setdefault("user_id", call.user)
    if outcome not in ("", COMPLETED, FAILED):
        metadata[names.OUTCOME] = outcome
    if call.root_run_id not in (0, call.trace_id):
        # Under spans of other telemetry a trace of LangSmith has an id of its own.
        metadata |= {"otel.trace_id": f"{call.trace_id:032x}", "otel.span_id": f"{call.span_id:016x}"}
    return metadata


# Shapes.


def _content(call: Call, generation: Generation | None, shown: _Shown, over: bool) -> _Content:
    if generation is None:
        return _plain(call, shown, over)
    if call.operation == LANGCHAIN:
        return _of_model(call, generation, langchain_shape.told_of(call), shown, over)
    if call.by_chat_model and call.operation == "chat":
        told = langchain_shape.told_of_client(call, generation)
        told[0]["settings"] = langchain_shape.settings_of(openai_shape.metadata_of(call, generation, show_parameters=True))
        return _of_model(call, generation, told, shown, over)
    content = _Content(b"{}", metadata=openai_shape.metadata_of(call, generation, shown.inputs))
    usage = usage_metadata(generation)
    if usage is not None:
        content.metadata["usage_metadata"] = usage
    if shown.inputs:
        content.inputs = openai_shape.inputs_of(call, generation)
    if over:
        content.outputs = openai_shape.outputs_of(call, generation, usage) if shown.outputs else b"{}"
    return content


def _of_model(call: Call, generation: Generation, told: tuple[Json, Json], shown: _Shown, over: bool) -> _Content:
    asked, result = told
    content = _Content(b"{}", metadata=langchain_shape.metadata_of(asked, result, shown.inputs))
    content.serialized = call.serialized_json
    if call.by_chat_model:
        content.serialized = json_bytes(langchain_shape.serialized_of(call, asked))
    if shown.inputs:
        content.inputs = json_bytes(langchain_shape.inputs_of(asked))
        content.extra = langchain_shape.extra_of(asked, result)
    if over and not shown.outputs:
        content.outputs = b"{}"
    elif over:
        outputs = langchain_shape.outputs_of(result, call.streaming)
        content.outputs = None if outputs is None else json_bytes(outputs)
    usage = usage_metadata(generation)
    if usage is not None:
        content.metadata.setdefault("usage_metadata", usage)
    return content


def _plain(call: Call, shown: _Shown, over: bool) -> _Content:
    """Spans of the application's own, steps of frameworks, other requests."""
    framework = call.library == "langchain"
    name = "documents" if framework and call.kind == RETRIEVER else "output"
    # What a tool gives is one value to LangChain, whatever it is.
    single = call.output_is_value or (framework and call.kind == TOOL)
    run_type = run_type_of(call)
    # What a prompt gives is asked of the model, and what a parser takes is its answer.
    show_inputs = shown.inputs and (shown.outputs or run_type != _PARSER)
    show_outputs = shown.outputs and (shown.inputs or run_type != _PROMPT)
    content = _Content(_object(call.input_json if show_inputs else None, "input", call.input_is_value), serialized=call.serialized_json)
    if over:
        content.outputs = _object(call.output_json if show_outputs else None, name, single)
    return content


def _object(text: bytes | None, name: str, is_value: bool) -> bytes:
    """Both fields have to be objects: anything else becomes the entry of one."""
    if text is None:
        return b"{}"
    return text if text.startswith(b"{") and not is_value else b'{"' + name.encode() + b'":' + text + b"}"


# How it went.


def _error(record: Record, show: bool) -> str | None:
    """The exception and its stack; the type alone where the text could quote what is hidden."""
    if record.outcome != FAILED:
        return None
    failure, generation = record.call.failure, record.generation
    if failure is None:
        code = (generation.error_code if generation is not None else None) or "failed"
        message = generation.error_message if generation is not None and show else None
        return shorten_text(well_formed(f"{code}: {message}" if message else code), ATTRIBUTE_TEXT)
    if not show:
        return failure.type
    return shorten_text(well_formed(f"{_shown_error(failure)}\n\n{stack_trace(failure)}".strip()), ATTRIBUTE_TEXT)


def _shown_error(failure: Failure) -> str:
    return failure.shown or f"{failure.type.rpartition('.')[2]}({failure.message!r})"


def _tells_events(call: Call) -> bool:
    return call.library == "langchain" or call.by_chat_model


def _events(record: Record, start: int, end: int) -> bytes:
    """The first piece of a stream, without its text; where LangChain's tracer would have told it, begin and end too."""
    events: list[Json] = []
    first = record.clocks.time_to_first_chunk
    if first is not None:
        events.append(_event("new_token", min(start + int(first * 1e6), end)))
    if _tells_events(record.call):
        failed = record.outcome in (FAILED, CANCELLED)
        events = [_event("start", start), *events, _event("error" if failed else "end", end)]
    return json_bytes(events) if events else b"[]"


def _event(name: str, time: int) -> Json:
    return {"name": name, "time": iso(time)}
