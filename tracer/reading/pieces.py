"""The pieces of a stream that an object gave, added up: texts, messages in pieces (LangChain's shape), chunks of OpenAI's shape."""

from __future__ import annotations

from tracer.reading.merge_choices import ChoicesMerger
from tracer.reading.values import Json, as_object


def merge_pieces(pieces: list[object], problems: list[str]) -> Json | None:
    """One answer in the shape of a chat completion, or None where there were no pieces.

    >>> merge_pieces(["Hello ", "world"], [])["choices"][0]["message"]["content"]
    'Hello world'
    """
    if not pieces:
        return None
    merger = ChoicesMerger("chat.completion", problems)
    for piece in pieces:
        merger.add(_chunk(piece))
    return merger.answer()


def _chunk(piece: object) -> Json:
    values = as_object(piece)
    if values is None:
        return _with_delta({"content": piece if isinstance(piece, str) else None})
    if "choices" in values:
        return values
    metadata = as_object(values.get("response_metadata")) or {}
    delta: Json = {"content": values.get("content")}
    calls = values.get("tool_call_chunks")
    if isinstance(calls, list):
        delta["tool_calls"] = [_tool_call(as_object(item) or {}) for item in calls]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    chunk = _with_delta(delta, metadata.get("finish_reason") or metadata.get("stop_reason"))
    for name, value in (("id", values.get("id")), ("model", metadata.get("model_name") or metadata.get("model"))):
        if value:
            chunk[name] = value
    usage = as_object(values.get("usage_metadata"))
    if usage is not None:
        chunk["usage"] = {name: usage.get(theirs) for name, theirs in _USAGE}
    return chunk


_USAGE = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"), ("total_tokens", "total_tokens"))


def _with_delta(delta: Json, reason: object = None) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def _tool_call(told: Json) -> Json:
    return {
        "index": told.get("index"),
        "id": told.get("id"),
        "type": "function",
        "function": {"name": told.get("name"), "arguments": told.get("args")},
    }
