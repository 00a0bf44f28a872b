"""What an answer says: messages, finish reasons, ids, usage. One reader for streamed and unstreamed answers."""

from __future__ import annotations

from collections.abc import Callable

from tracer.reading import anthropic
from tracer.reading.endpoints import ANSWERED, fetched
from tracer.reading.errors import read_error
from tracer.reading.generation import Generation, Message
from tracer.reading.items import is_client_call, output_parts
from tracer.reading.messages import read_message
from tracer.reading.parts import text_part
from tracer.reading.usage import read_usage
from tracer.reading.values import Json, as_list, as_object, as_text, kind, list_at, note, read_each, text_at

FINISH_REASONS = {"tool_calls": "tool_call", "function_call": "tool_call", **anthropic.FINISH_REASONS}
"""Words of providers where the conventions have their own."""

UNDER_WAY = ("queued", "in_progress")
"""States of an answer that is made in the background, and whose tokens are told when it is fetched."""

_INCOMPLETE_REASONS = {"max_output_tokens": "length", "max_tokens": "length"}

AnswerReader = Callable[[Json, Generation], None]


def read_answer(answer: Json, operation: str, generation: Generation) -> None:
    """Fill the answered side of a generation from an answer, or from what a stream was merged to.

    `generation.request` must have been read before, where there is one.
    """
    read_each(_READERS[operation], answer, generation, generation.problems)


def _read_head(answer: Json, generation: Generation) -> None:
    problems = generation.problems
    generation.response_id = text_at(answer, "id", problems) or generation.response_id
    generation.response_model = text_at(answer, "model", problems)
    generation.response_service_tier = text_at(answer, "service_tier", problems)
    generation.system_fingerprint = text_at(answer, "system_fingerprint", problems)


def _read_usage(answer: Json, generation: Generation) -> None:
    generation.usage = read_usage(answer, generation.problems)


def _read_error(answer: Json, generation: Generation) -> None:
    if answer.get("error"):
        read_error(generation, answer["error"])


def _read_choices(read_choice: Callable[[Json, Generation], Message]) -> AnswerReader:
    def read(answer: Json, generation: Generation) -> None:
        choices = list_at(answer, "choices", generation.problems)
        if choices is None:
            if answer.get("choices") is None:
                note(generation.problems, "the answer has no choices")
            return
        for choice in choices:
            fields = as_object(choice)
            if fields is None:
                note(generation.problems, f"a choice is {kind(choice)}")
                continue
            try:
                message = read_choice(fields, generation)
            except Exception as fault:
                note(generation.problems, f"a choice: {type(fault).__name__} while reading")
                continue
            generation.output_messages.append(message)
            message.finish_reason = _finish_reason(fields, generation)
        _settle_finish_reasons(generation)

    return read


def _finish_reason(choice: Json, generation: Generation) -> str | None:
    reason = text_at(choice, "finish_reason", generation.problems)
    return FINISH_REASONS.get(reason, reason) if reason is not None else None


def _read_chat_choice(choice: Json, generation: Generation) -> Message:
    fields = as_object(choice.get("message"))
    if fields is None:
        note(generation.problems, f"message of a choice is {kind(choice.get('message'))}")
        text = as_text(choice.get("text"))
        return Message("assistant", [text_part(text)] if text is not None else [])
    encoding = _audio_format(generation.request) if fields.get("audio") else None
    return read_message(fields, generation.problems, role="assistant", audio_format=encoding)


def _audio_format(request: Json | None) -> str | None:
    audio = as_object(request.get("audio")) if request is not None else None
    return as_text(audio.get("format")) if audio is not None else None


def _read_text_choice(choice: Json, generation: Generation) -> Message:
    text = text_at(choice, "text", generation.problems)
    return Message("assistant", [text_part(text)] if text is not None else [])


def _settle_finish_reasons(generation: Generation) -> None:
    """Collect the reasons that are known, and whether none is missing."""
    reasons = [message.finish_reason for message in generation.output_messages]
    generation.finish_reasons = [reason for reason in reasons if reason is not None]
    asked = generation.parameters.get("choice.count")
    wanted = asked if isinstance(asked, int) else 1
    generation.all_finished = None not in reasons and len(reasons) >= wanted


def _read_response(answer: Json, generation: Generation) -> None:
    """All output items of a response are one message of the assistant."""
    output = list_at(answer, "output", generation.problems)
    status = text_at(answer, "status", generation.problems)
    if output is None and status is None:
        return
    generation.response_status = status if status in UNDER_WAY else generation.response_status
    message = Message("assistant", output_parts(output or [], generation.problems))
    message.finish_reason = _response_finish_reason(answer, status, output or [])
    if message.parts or message.finish_reason is not None:
        generation.output_messages = [message]
        _settle_finish_reasons(generation)


def _response_finish_reason(answer: Json, status: str | None, output: list[object]) -> str | None:
    if answer.get("object") == "response.compaction":
        return "compaction"
    if status == "completed":
        calls = any(is_client_call(item) for item in map(as_object, output) if item is not None)
        return "tool_call" if calls else "stop"
    if status == "incomplete":
        details = as_object(answer.get("incomplete_details"))
        reason = as_text(details.get("reason")) if details is not None else None
        return _INCOMPLETE_REASONS.get(reason, reason) if reason is not None else "length"
    return "error" if status in ("failed", "cancelled") else None


def _read_vectors(answer: Json, generation: Generation) -> None:
    """The length of the vectors; the vectors themselves are left out of what is kept, since they are large and say little."""
    data = list_at(answer, "data", generation.problems)
    if data is None:
        return
    items = [as_object(item) for item in data]
    if generation.embedding_dimensions is None and items and items[0] is not None:
        generation.embedding_dimensions = _dimensions(items[0].get("embedding"))
    kept = [{key: value for key, value in item.items() if key != "embedding"} for item in items if item is not None]
    generation.answer = {**answer, "data": kept}


def _dimensions(vector: object) -> int | None:
    if isinstance(vector, str):
        # Base64 of 32-bit floats.
        return (len(vector) * 3 // 4 - vector[-2:].count("=")) // 4 or None
    numbers = as_list(vector)
    return len(numbers) if numbers else None


_READERS: dict[str, tuple[tuple[str, AnswerReader], ...]] = {
    "chat": (
        ("id and model of the answer", _read_head),
        ("usage", _read_usage),
        ("error", _read_error),
        ("choices", _read_choices(_read_chat_choice)),
    ),
    "completions": (
        ("id and model of the answer", _read_head),
        ("usage", _read_usage),
        ("error", _read_error),
        ("choices", _read_choices(_read_text_choice)),
    ),
    "responses": (
        ("id and model of the answer", _read_head),
        ("usage", _read_usage),
        ("error", _read_error),
        ("output", _read_response),
    ),
    "complete": (
        ("id and model of the answer", _read_head),
        ("error", _read_error),
        ("completion", anthropic.read_completion),
    ),
    "fetched_response": (
        ("id and model of the answer", _read_head),
        ("usage and status", fetched),
        ("output", _read_response),
    ),
    "fetched_chat": (
        ("id and model of the answer", _read_head),
        ("usage", fetched),
        ("choices", _read_choices(_read_chat_choice)),
    ),
    **ANSWERED,
    "messages": (
        ("id and model of the answer", anthropic.read_head),
        ("usage", anthropic.read_message_usage),
        ("error", _read_error),
        ("content", anthropic.read_message_answer),
    ),
    "embeddings": (
        ("id and model of the answer", _read_head),
        ("usage", _read_usage),
        ("error", _read_error),
        ("data", _read_vectors),
    ),
}
