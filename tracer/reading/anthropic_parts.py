"""Content blocks of Anthropic's Messages API that no other interface has, as parts.

What the provider keeps for itself (signatures of thinking, redacted thinking, encrypted search results) is opaque and left out, as
OpenAI's encrypted reasoning is.
"""

from __future__ import annotations

import re

from tracer.reading.generation import Part
from tracer.reading.media import modality_of
from tracer.reading.values import Json, as_list, as_object, as_text

_RESULT_SUFFIX = "_tool_result"
_OPAQUE = frozenset({"encrypted_content", "encrypted_index", "encrypted_stdout", "signature"})
_NOT_OF_CALL = frozenset({"type", "id", "name", "cache_control", "caller"})
_NOT_OF_RESULT = frozenset({"type", "tool_use_id", "cache_control", "caller"})
_KEPT_OF_DOCUMENT = ("title", "context", "citations")


def is_server_result(type_: str) -> bool:
    """The block is what came of a tool that the provider ran.

    >>> is_server_result("web_search_tool_result"), is_server_result("tool_result")
    (True, False)
    """
    return type_.endswith(_RESULT_SUFFIX)


def redacted_thinking_part(_item: Json) -> Part:
    """Thinking that the provider keeps to itself: there was some, and no more can be said."""
    return {"type": "reasoning", "content": "", "redacted": True}


def thinking_part(item: Json) -> Part | None:
    """A block of thinking; it may be empty, where the request asked not to see it."""
    thinking = item.get("thinking")
    return {"type": "reasoning", "content": thinking} if isinstance(thinking, str) else None


def server_call_part(item: Json) -> Part:
    """A tool that the provider runs by itself: web search, code execution, tools of an MCP server."""
    name = as_text(item.get("name")) or "unknown"
    details: Json = {"type": name, **{key: value for key, value in item.items() if key not in _NOT_OF_CALL and value is not None}}
    return _with_id({"type": "server_tool_call", "name": name, "server_tool_call": details}, item.get("id"))


def server_result_part(item: Json) -> Part:
    """What came of such a call."""
    tool = str(item.get("type")).removesuffix(_RESULT_SUFFIX)
    kept = {key: without_opaque(value) for key, value in item.items() if key not in _NOT_OF_RESULT and value is not None}
    part: Part = {"type": "server_tool_call_response", "server_tool_call_response": {"type": tool, **kept}}
    return _with_id(part, item.get("tool_use_id"))


def _with_id(part: Part, id_: object) -> Part:
    if isinstance(id_, str):
        part["id"] = id_
    return part


def without_opaque(value: object) -> object:
    """The value without what only the provider can read."""
    items = as_list(value)
    if items is not None:
        return [without_opaque(item) for item in items]
    fields = as_object(value)
    return value if fields is None else {key: without_opaque(item) for key, item in fields.items() if key not in _OPAQUE}


def source_part(item: Json, modality: str) -> Part | None:
    """An image or document: its `source` holds the data, a URL, the id of a file, or text."""
    source = as_object(item.get("source"))
    if source is None:
        return None
    part = _source(source, modality)
    if part is not None:
        for name in _KEPT_OF_DOCUMENT:
            if item.get(name) is not None:
                part[name] = item[name]
    return part


def _source(source: Json, modality: str) -> Part | None:
    mime_type, data = as_text(source.get("media_type")), as_text(source.get("data"))
    url, file_id = as_text(source.get("url")), as_text(source.get("file_id"))
    if source.get("type") == "text" and data is not None:
        return {"type": "text", "content": data, "mime_type": mime_type or "text/plain"}
    if data is not None:
        part: Part = {"type": "blob", "modality": modality_of(mime_type) if mime_type is not None else modality}
        if mime_type is not None:
            part["mime_type"] = mime_type
        return {**part, "content": data}
    if url is not None:
        return {"type": "uri", "modality": modality, "uri": url}
    return {"type": "file", "modality": modality, "file_id": file_id} if file_id is not None else None


def container_file_part(item: Json) -> Part | None:
    """A file put into the container of the code execution tool."""
    file_id = as_text(item.get("file_id"))
    return {"type": "file", "modality": "document", "file_id": file_id} if file_id is not None else None


def compaction_part(item: Json) -> Part:
    """What the provider made of the earlier conversation."""
    content = as_text(item.get("content"))
    return {"type": "compaction", "content": content} if content is not None else {"type": "compaction"}


_DATED = re.compile(r"_\d{8}$")


def tool_type(type_: str | None) -> str:
    """The conventions' type of a tool: what the client runs is a `function`, tools of the provider go by their own name.

    >>> tool_type("custom"), tool_type("web_search_20250305")
    ('function', 'web_search')
    """
    return "function" if type_ in (None, "", "custom") else _DATED.sub("", type_)
