"""Messages of chat completions, asked and answered, in neutral form."""

from __future__ import annotations

from tracer.reading.generation import Message, Part
from tracer.reading.media import generated_audio
from tracer.reading.parts import (
    content_parts,
    generic_part,
    part_of,
    reasoning_part,
    text_part,
    tool_call_part,
    tool_response_part,
)
from tracer.reading.values import Json, Problems, as_list, as_object, as_text, kind, list_at, note, object_at

UNKNOWN_ROLE = "unknown"

_SPEAKERS = ("user", "assistant", "system", "developer")
_REASONING_NAMES = ("reasoning_content", "reasoning", "thinking", "reasoning_text")
_FURTHER = ("name", *_REASONING_NAMES, "reasoning_details", "refusal", "audio", "images", "tool_calls", "function_call")
"""What a message may hold beside its role and content."""


def read_messages(messages: list[object], problems: Problems) -> list[Message]:
    """The messages of a request, each for itself: one that cannot be read does not cost the others."""
    read: list[Message] = []
    for item in messages:
        fields = as_object(item)
        if fields is None:
            note(problems, f"a message is {kind(item)}")
            if isinstance(item, str):
                read.append(Message("user", [text_part(item)]))
            continue
        try:
            read.append(read_message(fields, problems))
        except Exception as fault:
            note(problems, f"a message: {type(fault).__name__} while reading")
    return read


def read_message(fields: Json, problems: Problems, *, role: str = UNKNOWN_ROLE, audio_format: str | None = None) -> Message:
    """One message. `role` is taken where the message has none; `audio_format` is the one that the request asked for."""
    given, content = fields.get("role"), fields.get("content")
    has_more = len(fields) > 2 and any(map(fields.get, _FURTHER))
    if type(content) is str and content and type(given) is str and given in _SPEAKERS and not has_more:
        return Message(given, [text_part(content)])  # Most messages are so, and need none of the rest.
    given = as_text(given)
    if given is None and role == UNKNOWN_ROLE:
        note(problems, f"role of a message is {kind(fields.get('role'))}")
    message = Message(given or role, name=as_text(fields.get("name")))
    if message.role in ("tool", "function"):
        message.parts.append(_tool_response(fields, problems))
        return message
    message.parts += _reasoning(fields, problems)
    message.parts += content_parts(content, problems)
    refusal = as_text(fields.get("refusal"))
    if refusal is not None:
        message.parts.append(text_part(refusal))
    if fields.get("audio"):
        message.parts += generated_audio(fields["audio"], audio_format)
    if fields.get("images"):
        # OpenRouter's field for images that the model made.
        message.parts += [part_of(image) for image in list_at(fields, "images", problems) or ()]
    if fields.get("tool_calls") or fields.get("function_call"):
        message.parts += _tool_calls(fields, problems)
    return message


def _tool_response(fields: Json, problems: Problems) -> Part:
    part = tool_response_part(fields.get("tool_call_id"), fields.get("content"), problems)
    name = as_text(fields.get("name"))
    if name is not None:
        part["name"] = name
    return part


def _reasoning(fields: Json, problems: Problems) -> list[Part]:
    """The reasoning beside the content; servers that repeat it under a second name are read once."""
    for name in _REASONING_NAMES:
        text = fields.get(name)
        if text and isinstance(text, str):
            return [reasoning_part(text)]
    parts: list[Part] = []
    if not fields.get("reasoning_details"):
        return parts
    for item in list_at(fields, "reasoning_details", problems) or ():
        detail = as_object(item)
        text = (as_text(detail.get("text")) or as_text(detail.get("summary"))) if detail is not None else None
        if text is not None:
            parts.append(reasoning_part(text))
    return parts


def _tool_calls(fields: Json, problems: Problems) -> list[Part]:
    parts: list[Part] = []
    for item in (list_at(fields, "tool_calls", problems) if fields.get("tool_calls") else None) or ():
        call = as_object(item)
        if call is None:
            note(problems, f"a tool call is {kind(item)}")
        else:
            parts.append(_tool_call(call, problems))
    call = object_at(fields, "function_call", problems) if fields.get("function_call") else None
    if call is not None:
        parts.append(tool_call_part(None, call.get("name"), call.get("arguments")))
    return parts


def _tool_call(call: Json, problems: Problems) -> Part:
    function = object_at(call, "function", problems, "tool call ")
    if function is not None:
        return tool_call_part(call.get("id"), function.get("name"), function.get("arguments"))
    custom = object_at(call, "custom", problems, "tool call ")
    if custom is not None:
        return tool_call_part(call.get("id"), custom.get("name"), custom.get("input"))
    if as_text(call.get("name")) is not None:
        return tool_call_part(call.get("id"), call.get("name"), call.get("arguments"))
    note(problems, "a tool call has no function")
    return generic_part("tool_call", call)


def prompt_messages(prompt: object) -> list[Message]:
    """The prompts of a legacy completion: a text, a list of texts, or tokens. Each prompt is one user message."""
    if isinstance(prompt, str):
        return [Message("user", [text_part(prompt)])]
    prompts = as_list(prompt)
    if not prompts:
        return []
    if all(isinstance(item, int) for item in prompts):
        return [Message("user", [{"type": "generic", "generic_type": "tokens", "content": prompts}])]
    return [message for item in prompts for message in prompt_messages(item)]
