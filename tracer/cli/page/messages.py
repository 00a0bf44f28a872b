"""Prompts and answers of a span on the page."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from tracer.cli.page.markup import Markup, element, isolated, joined
from tracer.cli.page.values import code_block, folded, pretty, section, text_block, value_block
from tracer.export import names
from tracer.export.wording import one_line

_TITLES = {
    "retrieval_query": "Query",
    "retrieval_documents": "Documents",
    "arguments": "Arguments",
    "result": "Result",
    "input": "Input",
    "output": "Output",
}
_NAME_LENGTH = 80

# By allow-list, with the bytes that such a file begins with: SVG and anything unknown are not handed to a decoder.
_IMAGES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8", "image/webp": b"RIFF"}
_SAID_OF_MEDIA = ("filename", "uri", "file_id", "detail", "title", "sha256")


def content_sections(said: Mapping[str, Any], attributes: Mapping[str, Any]) -> Iterator[Markup]:
    """What was asked and answered (the result of `contents`), with the tools that were offered."""
    if "tool_definitions" in said:
        yield section("Tools offered", *_tools(said["tool_definitions"]), class_="wide")
    structured = attributes.get(names.OUTPUT_TYPE) == "json"
    system = [_message("system", _parts(said["system_instructions"]))] if "system_instructions" in said else []
    asked = [*system, *_messages(said.get("input_messages"))]
    yield section("Asked", _list(asked), class_="wide")
    yield section("Answered", _list(_messages(said.get("output_messages"), structured=structured)), class_="wide")
    for key, title in _TITLES.items():
        if key in said:
            yield section(title, value_block(said[key]), class_="wide")


def _list(messages: list[Markup]) -> Markup:
    return element("ol", *messages, class_="messages") if messages else Markup()


def _messages(value: Any, *, structured: bool = False) -> list[Markup]:
    if value is None:
        return []
    if not isinstance(value, list):
        return [_message("message", value_block(value))]
    found: list[Markup] = []
    for item in cast("list[object]", value):
        if isinstance(item, dict):
            message = cast("dict[str, Any]", item)
            notes = [f"{said}{message[key]}" for key, said in (("name", ""), ("finish_reason", "finish reason: ")) if message.get(key)]
            found.append(_message(str(message.get("role", "")), _parts(message.get("parts"), structured=structured), *notes))
        else:
            found.append(_message("message", value_block(item)))
    return found


def _message(role: str, parts: Markup, *notes: str) -> Markup:
    said = [element("span", isolated(one_line(note, _NAME_LENGTH)), class_="note") for note in notes]
    # The class only picks a colour, and only for roles that are known.
    known = role if role in ("system", "developer", "user", "assistant", "tool") else "other"
    heading = element("div", element("b", isolated(one_line(role, _NAME_LENGTH))), *said, class_="role")
    return element("li", heading, parts, class_=f"message {known}")


def _parts(value: Any, *, structured: bool = False) -> Markup:
    if not isinstance(value, list):
        return value_block(value) if value is not None else Markup()
    return joined(*(_part(item, structured=structured) for item in cast("list[object]", value)))


def _part(item: object, *, structured: bool) -> Markup:
    if not isinstance(item, dict):
        return value_block(item)
    part = cast("dict[str, Any]", item)
    kind, content = part.get("type"), part.get("content")
    if kind == "text" and isinstance(content, str):
        found = _json_container(content) if structured else None
        return text_block(content) if found is None else _labelled("structured output", code_block(pretty(found)))
    if kind == "reasoning" and isinstance(content, str):
        return _labelled("reasoning", text_block(content) if content else element("div", "not shown by the provider", class_="note"))
    if kind in ("tool_call", "server_tool_call"):
        arguments = part.get("arguments", part.get("server_tool_call"))
        return _labelled("tool call", *_called(part), value_block(arguments) if arguments is not None else Markup())
    if kind in ("tool_call_response", "server_tool_call_response"):
        response = part.get("response", part.get("server_tool_call_response"))
        return _labelled("tool result", *_called(part), _response(response))
    if kind in ("blob", "uri", "file"):
        return _media(part)
    return _labelled(str(part.get("generic_type") or kind or "part"), value_block(part))


def _labelled(label: str, *children: Markup) -> Markup:
    return element("div", element("span", isolated(one_line(label, _NAME_LENGTH)), class_="label"), *children, class_="part")


def _called(part: Mapping[str, Any]) -> Iterator[Markup]:
    if part.get("name"):
        yield element("b", isolated(one_line(str(part["name"]), _NAME_LENGTH)), class_="called")
    if part.get("is_error"):
        yield element("span", "error", class_="failed")
    if part.get("id"):
        yield element("span", isolated(one_line(str(part["id"]), _NAME_LENGTH)), class_="note")


def _response(response: Any) -> Markup:
    """What a tool gave back: a value, or a list of parts."""
    items = cast("list[Any]", response if isinstance(response, list) else [])
    if items and all(map(_is_part, items)):
        return joined(*(_media(part) if part["type"] == "blob" else text_block(part["content"]) for part in items))
    return value_block(cast("object", response))


def _is_part(item: object) -> bool:
    if not isinstance(item, dict):
        return False
    part = cast("dict[str, object]", item)
    return part.get("type") in ("text", "blob") and isinstance(part.get("content"), str)


def _media(part: Mapping[str, Any]) -> Markup:
    """An image that the record has whole; of everything else the kind, type and size."""
    content = part.get("content")
    mime_type = str(part.get("mime_type") or "")
    facts = [str(part.get("modality") or part.get("type")), mime_type]
    if isinstance(content, str):
        facts.append(f"{_length(part.get('bytes'), len(content)):,} bytes of base64")
    facts += [f"{name} {part[name]}" for name in _SAID_OF_MEDIA if part.get(name)]
    line = text_block(" · ".join(fact for fact in facts if fact))
    data = _image_data(mime_type, content) if "bytes" not in part else None
    if data is None:
        return _labelled("media", line)
    encoded = base64.b64encode(data).decode("ascii")
    return _labelled("media", line, element("img", alt="the image that was sent", src=f"data:{mime_type};base64,{encoded}"))


def _length(given: object, otherwise: int) -> int:
    return given if isinstance(given, int) else otherwise


def _image_data(mime_type: str, content: object) -> bytes | None:
    begins = _IMAGES.get(mime_type)
    if begins is None or not isinstance(content, str):
        return None
    try:
        data = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if data.startswith(begins) else None


def _json_container(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("Any", found) if isinstance(found, dict | list) else None


def _tools(value: Any) -> Iterator[Markup]:
    if not isinstance(value, list):
        yield value_block(value)
        return
    for item in cast("list[object]", value):
        if not isinstance(item, dict):
            yield value_block(item)
            continue
        tool = cast("dict[str, Any]", item)
        kind = str(tool.get("type") or "")
        title = joined(
            element("b", isolated(one_line(str(tool.get("name") or kind), _NAME_LENGTH))),
            element("span", isolated(one_line(kind, _NAME_LENGTH)), class_="note"),
        )
        rest = {key: entry for key, entry in tool.items() if key not in ("name", "type", "description")}
        description = tool.get("description")
        yield folded(
            title, value_block(description) if description else Markup(), value_block(rest) if rest else Markup(), class_="more tool"
        )
