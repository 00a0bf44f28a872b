"""Content of messages to parts: one table for the spellings of chat completions, responses and compatible servers."""

from __future__ import annotations

from collections.abc import Callable

from tracer.reading.anthropic_parts import (
    compaction_part,
    container_file_part,
    is_server_result,
    redacted_thinking_part,
    server_call_part,
    server_result_part,
    source_part,
    thinking_part,
    without_opaque,
)
from tracer.reading.generation import Part
from tracer.reading.json_text import parse_container
from tracer.reading.media import audio_part, file_part, generated_audio, image_part, linked_part
from tracer.reading.values import Json, Problems, as_list, as_object, as_text, guarded, kind, note

_TEXT_OWN_KEYS = frozenset({"type", "text", "content", "logprobs"})


def text_part(content: str) -> Part:
    """A text part."""
    return {"type": "text", "content": content}


def reasoning_part(content: str) -> Part:
    """A reasoning part."""
    return {"type": "reasoning", "content": content}


def tool_call_part(id_: object, name: object, arguments: object) -> Part:
    """A call that the model asks the client to make. Arguments written as JSON text become the object they mean."""
    part: Part = {"type": "tool_call"}
    if isinstance(id_, str):
        part["id"] = id_
    part["name"] = name if isinstance(name, str) else ""
    if arguments is not None:
        part["arguments"] = parse_container(arguments) if isinstance(arguments, str) else arguments
    return part


def tool_response_part(id_: object, response: object, problems: Problems) -> Part:
    """What a tool gave back. Plain texts stay texts, JSON texts become values, lists of content become parts."""
    part: Part = {"type": "tool_call_response"}
    if isinstance(id_, str):
        part["id"] = id_
    part["response"] = _tool_response(response, problems)
    return part


def _tool_response(response: object, problems: Problems) -> object:
    if isinstance(response, str):
        return parse_container(response)
    items = as_list(response)
    if not items:
        return response
    parts = content_parts(items, problems)
    if len(parts) == 1 and parts[0].get("type") == "text":
        return _tool_response(parts[0]["content"], problems)
    return parts


def generic_part(generic_type: str, item: Json) -> Part:
    """A part of a kind that the conventions have no name for; what it has is kept."""
    return {**item, "type": "generic", "generic_type": generic_type}


def content_parts(content: object, problems: Problems) -> list[Part]:
    """The parts of a message's `content`: text, or a list of typed parts. Null and empty text have none."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [text_part(content)]
    items = as_list(content)
    if items is None:
        single = as_object(content)
        note(problems, f"content of a message is {kind(content)}")
        return [_guarded_part(single, problems)] if single is not None else []
    return [_guarded_part(item, problems) for item in items]


def _guarded_part(item: object, problems: Problems) -> Part:
    part = guarded(problems, "a part of a message", part_of, item)
    return part if part is not None else {"type": "generic", "generic_type": "unreadable"}


def part_of(item: object) -> Part:
    """One part of a content list. What is not understood becomes a generic part.

    >>> part_of({"type": "input_text", "text": "hi"}), part_of({"type": "hologram", "id": "h1"})
    ({'type': 'text', 'content': 'hi'}, {'type': 'generic', 'id': 'h1', 'generic_type': 'hologram'})
    """
    if isinstance(item, str):
        return text_part(item)
    fields = as_object(item)
    if fields is None:
        return {"type": "generic", "generic_type": "unknown", "content": item}
    type_ = as_text(fields.get("type"))
    if type_ is None:
        type_ = next((name for name in ("text", "image_url", "refusal") if name in fields), "unknown")
    reader = _READERS.get(type_) or (server_result_part if is_server_result(type_) else None)
    part = reader(fields) if reader is not None else None
    return part if part is not None else generic_part(type_, fields)


def _text(item: Json) -> Part | None:
    text = item.get("text")
    if not isinstance(text, str):
        return None
    part = text_part(text)
    if len(item) > 2:
        for key, value in item.items():
            # Annotations and cache marks say something; empty lists and the bulky log probabilities do not.
            if key not in _TEXT_OWN_KEYS and value is not None and value != []:
                part[key] = without_opaque(value) if key == "citations" else value
    return part


def _refusal(item: Json) -> Part | None:
    refusal = item.get("refusal")
    return text_part(refusal) if isinstance(refusal, str) else None


def _image(item: Json) -> Part | None:
    return source_part(item, "image") or image_part(item)


def _tool_use(item: Json) -> Part:
    return tool_call_part(item.get("id"), item.get("name"), item.get("input"))


def _tool_result(item: Json) -> Part:
    part = tool_response_part(item.get("tool_use_id"), item.get("content"), [])
    if item.get("is_error"):
        part["is_error"] = True
    return part


def _thinking(item: Json) -> Part | None:
    for name in ("thinking", "text", "content"):
        texts = joined_texts(item.get(name))
        if texts is not None:
            return reasoning_part(texts)
    return thinking_part(item)


def joined_texts(value: object) -> str | None:
    """Text, or the texts of a list of parts joined; None where there is none."""
    if isinstance(value, str):
        return value or None
    texts: list[str] = []
    for item in as_list(value) or ():
        fields = as_object(item)
        text = item if isinstance(item, str) else (fields.get("text") if fields is not None else None)
        if isinstance(text, str):
            texts.append(text)
    return "".join(texts) or None


def _generated_audio(item: Json) -> Part | None:
    parts = generated_audio(item, None)
    # A content part can become one part only: the sound if it is there, else what was said.
    return parts[-1] if parts else None


_READERS: dict[str, Callable[[Json], Part | None]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "summary_text": _text,
    "refusal": _refusal,
    "reasoning_text": _thinking,
    "thinking": _thinking,
    "reasoning": _thinking,
    "image_url": image_part,
    "input_image": image_part,
    "image": _image,
    "input_audio": audio_part,
    "output_audio": _generated_audio,
    "file": file_part,
    "input_file": file_part,
    "video_url": lambda item: linked_part(item, "video_url", "video"),
    "audio_url": lambda item: linked_part(item, "audio_url", "audio"),
    "document": lambda item: source_part(item, "document"),
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "server_tool_use": server_call_part,
    "mcp_tool_use": server_call_part,
    "redacted_thinking": redacted_thinking_part,
    "container_upload": container_file_part,
    "compaction": compaction_part,
}
