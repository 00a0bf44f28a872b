"""Endpoints beside those of language models: pictures, sound, videos, moderation, search, assistants, answers fetched later."""

from __future__ import annotations

from collections.abc import Callable

from tracer.reading.facts import REQUEST, RESPONSE, kept, plain, read_facts, read_parameters
from tracer.reading.generation import Generation, Message, Part
from tracer.reading.media import media_part
from tracer.reading.messages import read_messages
from tracer.reading.parts import content_parts, text_part
from tracer.reading.tools import tool_definitions
from tracer.reading.usage import read_usage
from tracer.reading.values import Json, as_list, as_number, as_object, as_text, read_each, text_at, whole_at

Reader = Callable[[Json, Generation], None]

OUTPUT_TYPES = {"image": "image", "speech": "speech", "transcription": "text", "video": "video"}
"""`gen_ai.output.type` by operation of the call."""

AGENT_ID = "gen_ai.agent.id"
AGENT_DESCRIPTION = "gen_ai.agent.description"
TOP_K = "gen_ai.retrieval.top_k"
STREAM_CURSOR = "gen_ai.request.stream_cursor"


# What was asked.


def _prompt(*names: str) -> Reader:
    """A text that the model is asked with."""

    def read(request: Json, generation: Generation) -> None:
        for name in names:
            text = as_text(request.get(name))
            if text is not None:
                generation.input_messages.append(Message("user", [text_part(text)]))

    return read


def _asked_instructions(request: Json, generation: Generation) -> None:
    text = as_text(request.get("instructions"))
    if text is not None:
        generation.system_instructions = [text_part(text)]


def _judged(request: Json, generation: Generation) -> None:
    """`input`: a text, texts, or parts of one message; of decisions also messages."""
    value = request.get("input")
    items = as_list(value)
    if items is None:
        _prompt("input")(request, generation)
    elif any("role" in (as_object(item) or {}) for item in items):
        generation.input_messages = read_messages(items, generation.problems)
    elif all(isinstance(item, str) for item in items):
        generation.input_messages = [Message("user", [text_part(str(item))]) for item in items]
    else:
        generation.input_messages = [Message("user", content_parts(items, generation.problems))]


def _search(request: Json, generation: Generation) -> None:
    query = request.get("query")
    texts = [query] if isinstance(query, str) else [item for item in as_list(query) or () if isinstance(item, str)]
    generation.query = "\n".join(texts) or None
    generation.vendor_attributes[TOP_K] = whole_at(request, "max_num_results", generation.problems)


def _agent_asked(request: Json, generation: Generation) -> None:
    generation.agent_name = text_at(request, "name", generation.problems)
    generation.vendor_attributes[AGENT_DESCRIPTION] = plain(request.get("description"))
    # OpenAI's assistants have instructions, Anthropic's agents a system prompt.
    for name in ("instructions", "system"):
        _asked_instructions({"instructions": request.get(name)}, generation)
        if generation.system_instructions:
            break
    generation.tool_definitions = tool_definitions(request, generation.problems)


def _run_asked(request: Json, generation: Generation) -> None:
    generation.vendor_attributes[AGENT_ID] = plain(request.get("assistant_id"))
    _asked_instructions(request, generation)
    thread = as_object(request.get("thread")) or {}
    for messages in (as_list(thread.get("messages")), as_list(request.get("additional_messages"))):
        generation.input_messages += read_messages(messages or [], generation.problems)
    generation.tool_definitions = tool_definitions(request, generation.problems)


def _fetch_asked(request: Json, generation: Generation) -> None:
    cursor = request.get("starting_after")
    generation.vendor_attributes[STREAM_CURSOR] = None if cursor is None else str(cursor)


def _model(request: Json, generation: Generation) -> None:
    model = request.get("model")
    if isinstance(model, str) and model:
        generation.request_model = model


def _numbers(request: Json, generation: Generation) -> None:
    """Parameters that the conventions have names for."""
    temperature = as_number(request.get("temperature"))
    if temperature is not None:
        generation.parameters["temperature"] = temperature
    count = whole_at(request, "n", generation.problems)
    if count is not None and count != 1:
        generation.parameters["choice.count"] = count


_EVERY: tuple[tuple[str, Reader], ...] = (("model", _model), ("parameters", _numbers), ("further parameters", read_parameters))

ASKED: dict[str, tuple[tuple[str, Reader], ...]] = {
    "image": (*_EVERY, ("prompt", _prompt("prompt"))),
    "video": (*_EVERY, ("prompt", _prompt("prompt"))),
    "speech": (*_EVERY, ("instructions", _asked_instructions), ("input", _prompt("input"))),
    "transcription": (*_EVERY, ("prompt", _prompt("prompt"))),
    "moderation": (*_EVERY, ("input", _judged)),
    "decision": (*_EVERY, ("input", _judged)),
    "search": (*_EVERY, ("query", _search)),
    "agent": (*_EVERY, ("agent", _agent_asked)),
    "run": (*_EVERY, ("run", _run_asked)),
    "fetched_response": (("parameters", _fetch_asked),),
    "fetched_chat": (),
    "fetched_run": (),
    "endpoint": _EVERY,
}


def read_endpoint_request(request: Json, operation: str, generation: Generation) -> None:
    """Fill the asked side of such a call. Nothing is kept of the request but what was read."""
    read_each(ASKED[operation], request, generation, generation.problems)
    generation.request = {
        **({"model": generation.request_model} if generation.request_model else {}),
        **generation.parameters,
        **kept(generation.vendor_attributes, REQUEST),
        **{name: request[name] for name in _CONTENT.get(operation, ()) if request.get(name)},
    }


_CONTENT: dict[str, tuple[str, ...]] = {
    "image": ("prompt",),
    "video": ("prompt",),
    "speech": ("instructions", "input"),
    "transcription": ("prompt",),
    "moderation": ("input",),
    "decision": ("input", "questions"),
    "search": ("query",),
    "agent": ("name", "description", "instructions", "system"),
    "run": ("assistant_id", "instructions", "additional_messages", "thread"),
}
"""Fields of a request that are content: whole, where content is recorded at all."""


# What was answered.


def _usage(answer: Json, generation: Generation) -> None:
    generation.usage = read_usage(answer, generation.problems)
    seconds = as_number((as_object(answer.get("usage")) or {}).get("seconds"))
    if seconds is not None:
        # Models that are paid by the duration of the sound.
        generation.vendor_attributes[RESPONSE + "usage.seconds"] = seconds


def _head(answer: Json, generation: Generation) -> None:
    generation.response_id = text_at(answer, "id", generation.problems) or generation.response_id
    generation.response_model = text_at(answer, "model", generation.problems)
    generation.response_status = text_at(answer, "status", generation.problems)


def _pictures(answer: Json, generation: Generation) -> None:
    """Pictures by their address; of those that came as data the sizes."""
    parts: list[Part] = []
    items: list[Json] = []
    for item in map(as_object, as_list(answer.get("data")) or ()):
        if item is None:
            continue
        url, data, revised = as_text(item.get("url")), as_text(item.get("b64_json")), as_text(item.get("revised_prompt"))
        if revised is not None:
            parts.append(text_part(revised))
        if url is not None:
            # What follows in the address is the signature that lets anybody load it.
            parts.append(media_part(url if url[:5] == "data:" else url.partition("?")[0], "image"))
        elif data is not None:
            format_ = as_text(item.get("output_format")) or as_text(answer.get("output_format")) or "png"
            size = len(data) * 3 // 4 - data[-2:].count("=")
            parts.append({"type": "generic", "generic_type": "image", "modality": "image", "mime_type": f"image/{format_}", "bytes": size})
        items.append({name: value for name, value in item.items() if name not in ("b64_json", "url")})
    if parts:
        generation.output_messages = [Message("assistant", parts)]
    generation.answer = {**{name: value for name, value in answer.items() if name != "b64_json"}, "data": items}


def _heard(answer: Json, generation: Generation) -> None:
    text = as_text(answer.get("text"))
    if text is not None:
        generation.output_messages = [Message("assistant", [text_part(text)])]
    # Words and segments with their times repeat the text.
    generation.answer = {name: value for name, value in answer.items() if name not in ("words", "segments", "logprobs")}


def _judgement(answer: Json, generation: Generation) -> None:
    results = [as_object(item) or {} for item in as_list(answer.get("results")) or ()]
    if results:
        generation.vendor_attributes[RESPONSE + "flagged"] = any(result.get("flagged") is True for result in results)


def _found(answer: Json, generation: Generation) -> None:
    """Documents in the conventions' shape: id and score, and what was found."""
    for item in map(as_object, as_list(answer.get("data")) or ()):
        if item is not None:
            texts = [as_text(part.get("text")) for part in map(as_object, as_list(item.get("content")) or ()) if part is not None]
            document: Json = {"id": item.get("file_id"), "score": as_number(item.get("score")), "filename": item.get("filename")}
            document["content"] = "\n".join(text for text in texts if text)
            generation.documents.append({name: value for name, value in document.items() if value not in (None, "")})


def _agent_answered(answer: Json, generation: Generation) -> None:
    generation.vendor_attributes[AGENT_ID] = plain(answer.get("id"))
    generation.agent_name = generation.agent_name or text_at(answer, "name", generation.problems)
    generation.answer = {"id": answer.get("id"), "name": answer.get("name")}


def _run_answered(answer: Json, generation: Generation) -> None:
    """A run that goes on has no usage yet; what it said comes in streams only."""
    generation.vendor_attributes.setdefault(AGENT_ID, plain(answer.get("assistant_id")))
    generation.conversation_id = text_at(answer, "thread_id", generation.problems) or generation.conversation_id
    for message in map(as_object, as_list(answer.get("messages")) or ()):
        texts = [as_object((as_object(part) or {}).get("text")) for part in as_list((message or {}).get("content")) or ()]
        parts = [text_part(str(text.get("value"))) for text in texts if text is not None]
        if parts:
            generation.output_messages.append(Message("assistant", parts))
    names = ("id", "object", "status", "assistant_id", "thread_id", "model", "usage", "messages", "incomplete_details", "last_error")
    generation.answer = {name: answer[name] for name in names if answer.get(name) is not None}


def fetched(answer: Json, generation: Generation) -> None:
    """What an answer that is only fetched says of usage was used by the call that asked for it."""
    generation.response_status = text_at(answer, "status", generation.problems)
    generation.fetched_usage = read_usage(answer, generation.problems)


ANSWERED: dict[str, tuple[tuple[str, Reader], ...]] = {
    "image": (("usage", _usage), ("facts", read_facts), ("pictures", _pictures)),
    "video": (("id", _head), ("facts", read_facts)),
    "speech": (("usage", _usage),),
    "transcription": (("usage", _usage), ("facts", read_facts), ("text", _heard)),
    "moderation": (("id", _head), ("results", _judgement)),
    "decision": (("id", _head), ("usage", _usage)),
    "search": (("facts", read_facts), ("documents", _found)),
    "agent": (("agent", _agent_answered),),
    "run": (("id", _head), ("usage", _usage), ("run", _run_answered)),
    "fetched_run": (("id", _head), ("usage", fetched), ("run", _run_answered)),
}
