"""Items of the Responses API, asked and answered, in neutral form."""

from __future__ import annotations

from tracer.reading.generation import Message, Part
from tracer.reading.json_text import parse_container
from tracer.reading.media import modality_of
from tracer.reading.messages import UNKNOWN_ROLE
from tracer.reading.parts import (
    content_parts,
    generic_part,
    joined_texts,
    reasoning_part,
    text_part,
    tool_call_part,
    tool_response_part,
)
from tracer.reading.values import Json, Problems, as_list, as_object, as_text, guarded, kind, note

_RESULTS = ("results", "outputs", "output", "error")
_NOT_OF_CALL = frozenset({"id", "type", "status", "result", "encrypted_content", *_RESULTS})


def read_input(value: object, problems: Problems) -> list[Message]:
    """The `input` of a request: a text, or items.

    Reasoning, calls and the message that follows them are what one turn of the assistant said, so they become one message.
    """
    if isinstance(value, str):
        return [Message("user", [text_part(value)])] if value else []
    items = as_list(value)
    if items is None:
        if value is not None:
            note(problems, f"input is {kind(value)}")
        return []
    messages: list[Message] = []
    open_turn = False
    for item in items:
        fields = as_object(item)
        if fields is None:
            note(problems, f"an input item is {kind(item)}")
            continue
        message = guarded(problems, "an input item", _input_message, fields, problems)
        if message is None:
            continue
        if open_turn and message.role == "assistant":
            messages[-1].parts += message.parts
        else:
            messages.append(message)
        open_turn = message.role == "assistant" and not _is_message(fields)
    return messages


def _input_message(fields: Json, problems: Problems) -> Message:
    if _is_message(fields):
        role = as_text(fields.get("role"))
        if role is None:
            note(problems, f"role of a message is {kind(fields.get('role'))}")
        return Message(role or UNKNOWN_ROLE, content_parts(fields.get("content"), problems), name=as_text(fields.get("name")))
    type_ = _type_of(fields)
    if type_.endswith("_output"):
        return Message("tool", [tool_response_part(fields.get("call_id"), fields.get("output"), problems)])
    if type_.endswith("_call") or type_ == "reasoning":
        return Message("assistant", item_parts(fields, problems))
    return Message("user", item_parts(fields, problems))


def _is_message(fields: Json) -> bool:
    return fields.get("type") in (None, "message")


def _type_of(fields: Json) -> str:
    return as_text(fields.get("type")) or "unknown"


def output_parts(output: list[object], problems: Problems) -> list[Part]:
    """The parts of a response's one assistant message, in the order of its output items."""
    parts: list[Part] = []
    for item in output:
        fields = as_object(item)
        if fields is None:
            note(problems, f"an output item is {kind(item)}")
            continue
        parts += guarded(problems, "an output item", item_parts, fields, problems) or []
    return parts


def item_parts(fields: Json, problems: Problems) -> list[Part]:
    """One item as parts. What is not understood becomes a generic part."""
    if _is_message(fields):
        return content_parts(fields.get("content"), problems)
    type_ = _type_of(fields)
    if type_ == "reasoning":
        return _reasoning(fields)
    if type_ == "compaction":
        return [_compaction(fields)]
    if is_client_call(fields):
        return [_client_call(type_, fields)]
    if type_.endswith("_call"):
        return _server_call(type_, fields)
    if type_.endswith("_output"):
        return [tool_response_part(fields.get("call_id"), fields.get("output"), problems)]
    return [generic_part(type_, {key: value for key, value in fields.items() if key != "encrypted_content"})]


def is_client_call(fields: Json) -> bool:
    """The item asks the client to run something: functions, and the tools whose calls carry a call id (computer, shell, …)."""
    type_ = _type_of(fields)
    if type_ in ("function_call", "custom_tool_call"):
        return True
    return type_.endswith("_call") and as_text(fields.get("call_id")) is not None


def _reasoning(fields: Json) -> list[Part]:
    # The content is the reasoning itself; a summary of it is all that OpenAI's own models give.
    for name in ("content", "summary"):
        texts = [joined_texts([item]) for item in as_list(fields.get(name)) or ()]
        parts = [reasoning_part(text) for text in texts if text is not None]
        if parts:
            return parts
    return []


def _compaction(fields: Json) -> Part:
    part: Part = {"type": "compaction"}
    for name in ("id", "content"):
        value = as_text(fields.get(name))
        if value is not None:
            part[name] = value
    return part


def _client_call(type_: str, fields: Json) -> Part:
    arguments = next((fields[name] for name in ("arguments", "input", "action", "operation") if fields.get(name) is not None), None)
    name = as_text(fields.get("name")) or type_.removesuffix("_call")
    return tool_call_part(as_text(fields.get("call_id")) or fields.get("id"), name, arguments)


def _server_call(type_: str, fields: Json) -> list[Part]:
    """A call that the provider made by itself, and what came of it where the answer says so."""
    tool = type_.removesuffix("_call")
    details: Json = {"type": tool}
    for key, value in fields.items():
        if key not in _NOT_OF_CALL and value is not None:
            details[key] = parse_container(value) if key == "arguments" and isinstance(value, str) else value
    call: Part = {"type": "server_tool_call", "name": as_text(fields.get("name")) or tool, "server_tool_call": details}
    parts = [call]
    results: Json = {key: fields[key] for key in _RESULTS if fields.get(key) is not None}
    if results:
        parts.append({"type": "server_tool_call_response", "server_tool_call_response": {"type": tool, **results}})
    id_ = as_text(fields.get("id"))
    if id_ is not None:
        for part in parts:
            part["id"] = id_
    image = as_text(fields.get("result"))
    if image is not None:
        parts.append(_made_image(image, as_text(fields.get("output_format")) or "png"))
    return parts


def _made_image(data: str, encoding: str) -> Part:
    mime_type = f"image/{encoding}"
    return {"type": "blob", "modality": modality_of(mime_type), "mime_type": mime_type, "content": data}
