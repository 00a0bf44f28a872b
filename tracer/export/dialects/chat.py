"""Messages as chat completion APIs write them, which older conventions and Langfuse show as a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracer.export.dialects.subject import Part, Said, as_text, link_of, text_of


def chat_messages(messages: Sequence[Said]) -> list[dict[str, Any]]:
    """Messages with `role` and `content`, calls of tools and the ids they are answered by.

    >>> chat_messages([Said("user", [{"type": "text", "content": "hi"}])])
    [{'role': 'user', 'content': 'hi'}]
    """
    return [_message(message) for message in messages]


def _message(message: Said) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role}
    if message.name:
        written["name"] = message.name
    plain = all(part.get("type") == "text" for part in message.contents)
    written["content"] = message.text if plain else [_content(part) for part in message.contents]
    if message.tool_calls:
        written["tool_calls"] = [_tool_call(part) for part in message.tool_calls]
    if message.tool_call_id:
        written["tool_call_id"] = message.tool_call_id
    return written


def _content(part: Part) -> dict[str, Any]:
    link = link_of(part)
    if link is not None and part.get("modality") == "image":
        return {"type": "image_url", "image_url": {"url": link}}
    if part.get("type") == "reasoning":
        return {"type": "reasoning", "text": text_of(part)}
    return {"type": "text", "text": text_of(part)}


def _tool_call(part: Part) -> dict[str, Any]:
    function = {"name": as_text(part.get("name", "")), "arguments": as_text(part.get("arguments", ""))}
    return {**({"id": part["id"]} if part.get("id") else {}), "type": "function", "function": function}
