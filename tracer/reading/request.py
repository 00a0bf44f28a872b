"""What a request asked for: model, parameters, tools and messages."""

from __future__ import annotations

from collections.abc import Callable

from tracer.reading import anthropic
from tracer.reading.generation import Generation
from tracer.reading.items import read_input
from tracer.reading.messages import prompt_messages, read_messages
from tracer.reading.parts import content_parts, text_part
from tracer.reading.tools import tool_definitions
from tracer.reading.values import (
    Json,
    as_list,
    as_object,
    as_text,
    kind,
    list_at,
    note,
    number_at,
    object_at,
    read_present,
    text_at,
    whole_at,
)

_NUMBERS = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_WHOLES = ("seed", "top_k")
_OUTPUT_TYPES = {"json_object": "json", "json_schema": "json", "text": "text"}

RequestReader = Callable[[Json, Generation], None]


def read_request(request: Json, operation: str, generation: Generation) -> None:
    """Fill the asked side of a generation. `operation` is that of the call: chat, completions, responses, messages or embeddings."""
    read_present(_READERS[operation], request, generation, generation.problems)


def _read_model(request: Json, generation: Generation) -> None:
    generation.request_model = text_at(request, "model", generation.problems) or generation.request_model


def _read_numbers(request: Json, generation: Generation) -> None:
    for name in _NUMBERS:
        if name in request:
            _put(generation, name, number_at(request, name, generation.problems))
    for name in _WHOLES:
        if name in request:
            _put(generation, name, whole_at(request, name, generation.problems))


def _read_most_tokens(*names: str) -> RequestReader:
    def read(request: Json, generation: Generation) -> None:
        for name in names:
            value = whole_at(request, name, generation.problems)
            if value is not None:
                generation.parameters["max_tokens"] = value
                return

    return read


def _read_choice_count(request: Json, generation: Generation) -> None:
    count = whole_at(request, "n", generation.problems)
    if count is not None and count != 1:
        generation.parameters["choice.count"] = count


def _read_stop(request: Json, generation: Generation) -> None:
    stop = request.get("stop")
    if isinstance(stop, str):
        generation.parameters["stop_sequences"] = [stop]
    elif stop is not None:
        items = as_list(stop)
        sequences = [item for item in items or () if isinstance(item, str)]
        if sequences:
            generation.parameters["stop_sequences"] = sequences
        if items is None or len(sequences) != len(items):
            note(generation.problems, f"stop is {kind(stop)} where text or texts are expected")


def _read_reasoning(request: Json, generation: Generation) -> None:
    effort = text_at(request, "reasoning_effort", generation.problems)
    if effort is None:
        reasoning = object_at(request, "reasoning", generation.problems)
        effort = text_at(reasoning, "effort", generation.problems, "reasoning.") if reasoning is not None else None
    _put(generation, "reasoning.level", effort)


def _read_stream(request: Json, generation: Generation) -> None:
    if request.get("stream") is True:
        generation.parameters["stream"] = True


def _read_service_tier(request: Json, generation: Generation) -> None:
    tier = text_at(request, "service_tier", generation.problems)
    generation.service_tier = tier if tier != "auto" else None


def _read_chat_output_type(request: Json, generation: Generation) -> None:
    if "audio" in (as_list(request.get("modalities")) or ()):
        generation.output_type = "speech"
        return
    generation.output_type = _output_type(object_at(request, "response_format", generation.problems))


def _read_responses_output_type(request: Json, generation: Generation) -> None:
    text = object_at(request, "text", generation.problems)
    generation.output_type = _output_type(object_at(text, "format", generation.problems, "text.") if text is not None else None)


def _output_type(layout: Json | None) -> str | None:
    return _OUTPUT_TYPES.get(as_text(layout.get("type")) or "") if layout is not None else None


def _read_messages(request: Json, generation: Generation) -> None:
    generation.input_messages = read_messages(list_at(request, "messages", generation.problems) or [], generation.problems)


def _read_prompt_texts(request: Json, generation: Generation) -> None:
    generation.input_messages = prompt_messages(request.get("prompt"))


def _read_input(request: Json, generation: Generation) -> None:
    generation.input_messages = read_input(request.get("input"), generation.problems)


def _read_tools(request: Json, generation: Generation) -> None:
    generation.tool_definitions = tool_definitions(request, generation.problems)


def _read_instructions(request: Json, generation: Generation) -> None:
    instructions = request.get("instructions")
    if isinstance(instructions, str):
        generation.system_instructions = [text_part(instructions)] if instructions else []
        return
    for item in as_list(instructions) or ():
        fields = as_object(item)
        parts = content_parts(fields.get("content") if fields is not None else item, generation.problems)
        # The conventions want texts only here.
        generation.system_instructions += [part for part in parts if part.get("type") == "text"]


def _read_conversation(request: Json, generation: Generation) -> None:
    conversation = request.get("conversation")
    holder = as_object(conversation)
    generation.conversation_id = as_text(conversation) if holder is None else as_text(holder.get("id"))
    generation.previous_response_id = text_at(request, "previous_response_id", generation.problems)


def _read_prompt_template(request: Json, generation: Generation) -> None:
    prompt = object_at(request, "prompt", generation.problems)
    if prompt is not None:
        generation.prompt_name = text_at(prompt, "id", generation.problems, "prompt.")
        generation.prompt_version = text_at(prompt, "version", generation.problems, "prompt.")


def _read_embedding(request: Json, generation: Generation) -> None:
    encoding = text_at(request, "encoding_format", generation.problems)
    if encoding is not None:
        generation.parameters["encoding_formats"] = [encoding]
    generation.embedding_dimensions = whole_at(request, "dimensions", generation.problems)


def _put(generation: Generation, name: str, value: object) -> None:
    if value is not None:
        generation.parameters[name] = value


_Step = tuple[str, frozenset[str], RequestReader]
"""What is lost when it fails, the fields it looks for, and the reader."""


def _step(what: str, reader: RequestReader, *names: str) -> _Step:
    return what, frozenset(names or (what,)), reader


def _most_tokens(*names: str) -> _Step:
    return _step(names[-1], _read_most_tokens(*names), *names)


_SAMPLING = (
    _step("model", _read_model),
    _step("sampling parameters", _read_numbers, *_NUMBERS, *_WHOLES),
    _step("stream", _read_stream),
)
_SERVICE_TIER = _step("service_tier", _read_service_tier)
_CHOICES = (_step("n", _read_choice_count), _step("stop", _read_stop))
_REASONING = _step("reasoning effort", _read_reasoning, "reasoning_effort", "reasoning")
_TOOLS = _step("tools", _read_tools, "tools", "functions")

_READERS: dict[str, tuple[_Step, ...]] = {
    "chat": (
        *_SAMPLING,
        _SERVICE_TIER,
        *_CHOICES,
        _most_tokens("max_completion_tokens", "max_tokens"),
        _REASONING,
        _step("response_format", _read_chat_output_type, "modalities", "response_format"),
        _TOOLS,
        _step("messages", _read_messages),
    ),
    "completions": (*_SAMPLING, _SERVICE_TIER, *_CHOICES, _most_tokens("max_tokens"), _step("prompt", _read_prompt_texts)),
    "responses": (
        *_SAMPLING,
        _SERVICE_TIER,
        _most_tokens("max_output_tokens"),
        _REASONING,
        _step("text.format", _read_responses_output_type, "text"),
        _TOOLS,
        _step("instructions", _read_instructions),
        _step("conversation", _read_conversation, "conversation", "previous_response_id"),
        _step("prompt", _read_prompt_template),
        _step("input", _read_input),
    ),
    "messages": (
        *_SAMPLING,
        _most_tokens("max_tokens"),
        _step("stop_sequences", anthropic.read_stop_sequences),
        _step("service_tier", anthropic.read_service_tier),
        _step("thinking", anthropic.read_thinking, "output_config", "thinking"),
        _step("output format", anthropic.read_output_type, "output_config", "output_format"),
        _step("tools", anthropic.read_tools),
        _step("system", anthropic.read_system),
        _step("messages", anthropic.read_input_messages),
    ),
    "complete": (
        *_SAMPLING,
        _most_tokens("max_tokens_to_sample"),
        _step("stop_sequences", anthropic.read_stop_sequences),
        _step("prompt", _read_prompt_texts),
    ),
    "embeddings": (
        _step("model", _read_model),
        _step("embedding parameters", _read_embedding, "encoding_format", "dimensions"),
    ),
}
