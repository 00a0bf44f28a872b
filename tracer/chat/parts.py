"""Parts of a message as the chat completions API takes them.

Parts in OpenAI's own shape go through untouched. Those of others that users and LangChain put into messages are written in it:
LangChain's standard blocks (`image`, `audio`, `file`, both of its versions) and Anthropic's images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracer.chat.messages import Content

Part = dict[str, Any]

_NOT_FOR_INPUT = frozenset(
    {"tool_use", "tool_call", "tool_call_chunk", "invalid_tool_call", "function_call", "thinking", "reasoning", "reasoning_content"}
)
"""Parts of answers that stand elsewhere in a request (tool calls) or have no place in it (reasoning)."""


def request_content(content: Content) -> Any:
    """Content for a request.

    >>> request_content([{"type": "image", "url": "https://example.com/a.png"}])
    [{'type': 'image_url', 'image_url': {'url': 'https://example.com/a.png'}}]
    """
    if isinstance(content, str):
        return content
    return [_request_part(part) for part in content if not _left_out(part)]


def _left_out(part: str | Part) -> bool:
    return not isinstance(part, str) and part.get("type") in _NOT_FOR_INPUT


def _request_part(part: str | Part) -> Part:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    write = _WRITERS.get(str(part.get("type")))
    return (write(part) if write is not None else None) or part


def image_url(part: Part) -> str | None:
    """The address of an image, of a data URL too, in the shape of OpenAI, LangChain or Anthropic."""
    given: Any = part.get("image_url")
    if given is not None:
        return given.get("url") if isinstance(given, dict) else given  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return part.get("url") or _anthropic_url(part.get("source")) or _data_url(part, "image/png")


def file_source(part: Part) -> tuple[str | None, str | None]:
    """The id of an uploaded file, or the address of its content, in the shape of OpenAI or LangChain."""
    given: Any = part.get("file")
    inner: Part = given if isinstance(given, dict) else {}  # pyright: ignore[reportUnknownVariableType]
    file_id = inner.get("file_id") or part.get("file_id") or (part.get("id") if part.get("source_type") == "id" else None)
    return file_id, inner.get("file_data") or part.get("url") or _data_url(part, "application/pdf")


def _image(part: Part) -> Part | None:
    url = image_url(part)
    return {"type": "image_url", "image_url": {"url": url}} if url else None


def _anthropic_url(source: Any) -> str | None:
    if not isinstance(source, dict):
        return None
    known: Part = source  # pyright: ignore[reportUnknownVariableType]
    if known.get("type") == "base64" and known.get("data"):
        return f"data:{known.get('media_type') or 'image/png'};base64,{known['data']}"
    url = known.get("url")
    return url if isinstance(url, str) else None


def _base64(part: Part) -> str | None:
    """The data of a block: `base64` in LangChain's second version of blocks, `data` in the first."""
    data = part.get("base64") or (part.get("data") if part.get("source_type", "base64") == "base64" else None)
    return data if isinstance(data, str) else None


def _data_url(part: Part, default_type: str) -> str | None:
    data = _base64(part)
    return f"data:{part.get('mime_type') or default_type};base64,{data}" if data else None


def _audio(part: Part) -> Part | None:
    data = _base64(part)
    if not data:
        return None
    format_name = str(part.get("mime_type") or "audio/wav").rpartition("/")[2]
    return {"type": "input_audio", "input_audio": {"data": data, "format": {"mpeg": "mp3", "x-wav": "wav"}.get(format_name, format_name)}}


def _file(part: Part) -> Part | None:
    if "file" in part:
        return None  # OpenAI's own shape
    file_id = part.get("file_id") or (part.get("id") if part.get("source_type") == "id" else None)
    if file_id:
        return {"type": "file", "file": {"file_id": file_id}}
    data_url = _data_url(part, "application/pdf")
    if not data_url:
        return None
    extras: Part = part.get("extras") or {}
    name: Any = part.get("filename") or part.get("name") or extras.get("filename") or "file"
    return {"type": "file", "file": {"file_data": data_url, "filename": name}}


_WRITERS: dict[str, Callable[[Part], Part | None]] = {"image": _image, "audio": _audio, "file": _file}
