"""How the pieces of a streamed answer become one: text, parts, tool calls, usage, metadata.

Adding is associative: however a stream was cut, and in whatever order neighbours are added, the sum is the same.
"""

from __future__ import annotations

import json
from typing import Any, cast

from tracer.chat.messages import Content, InvalidToolCall, ToolCall, ToolCallChunk, UsageMetadata
from tracer.chat.partial import partial_json

_IDENTITY = frozenset({"id", "index", "type", "role", "name"})
"""Keys whose texts name a thing: the first one stays. All other texts are pieces of a longer one."""


def merge_content(contents: list[Content]) -> Content:
    """Contents joined: texts to a text, else to a list of parts, in which neighbouring texts and parts of one `index` are joined.

    >>> merge_content(["a", "b"])
    'ab'
    >>> merge_content(["a", [{"type": "image_url"}], "b", "c"])
    ['a', {'type': 'image_url'}, 'bc']
    """
    if all(isinstance(content, str) for content in contents):
        return "".join(cast("list[str]", contents))
    parts: list[str | dict[str, Any]] = []
    for content in contents:
        for part in [content] if isinstance(content, str) else content:
            _append_part(parts, part)
    return parts


def _append_part(parts: list[str | dict[str, Any]], part: str | dict[str, Any]) -> None:
    if isinstance(part, str):
        if not part:
            return
        if parts and isinstance(parts[-1], str):
            parts[-1] += part
        else:
            parts.append(part)
        return
    if not _append_indexed(parts, part):
        parts.append(part)


def _append_indexed(items: list[Any], item: dict[str, Any]) -> bool:
    """Add `item` to the last of `items` with the same `index`; False if there is none or it has another id."""
    index = item.get("index")
    if index is None:
        return False
    for position in range(len(items) - 1, -1, -1):
        earlier = items[position]
        if isinstance(earlier, dict):
            known = cast("dict[str, Any]", earlier)
            if known.get("index") == index:
                if known.get("id") and item.get("id") and known["id"] != item["id"]:
                    return False
                items[position] = merge_deltas([known, item])
                return True
    return False


def merge_deltas(deltas: list[dict[str, Any]]) -> dict[str, Any]:
    """Dicts whose texts are pieces: texts are joined, lists too (by `index`), other values are replaced by the later one.

    >>> merge_deltas([{"function_call": {"name": "add", "arguments": "{"}}, {"function_call": {"name": None, "arguments": "}"}}])
    {'function_call': {'name': 'add', 'arguments': '{}'}}
    """
    merged: dict[str, Any] = {}
    for delta in deltas:
        for key, value in delta.items():
            merged[key] = _merged_value(key, merged.get(key), value)
    return merged


def _merged_value(key: str, earlier: Any, later: Any) -> Any:
    if earlier is None or later is None:
        return earlier if later is None else later
    if isinstance(earlier, str) and isinstance(later, str):
        return (earlier or later) if key in _IDENTITY else earlier + later
    if isinstance(earlier, dict) and isinstance(later, dict):
        return merge_deltas([cast("dict[str, Any]", earlier), cast("dict[str, Any]", later)])
    if isinstance(earlier, list) and isinstance(later, list):
        joined: list[Any] = list(cast("list[Any]", earlier))
        for item in cast("list[Any]", later):
            if not (isinstance(item, dict) and _append_indexed(joined, cast("dict[str, Any]", item))):
                joined.append(item)
        return joined
    return later


def merge_metadata(metadata: list[dict[str, Any]]) -> dict[str, Any]:
    """What was said about an answer: the later value stands, except that the lists of `logprobs` are joined."""
    merged: dict[str, Any] = {}
    for item in metadata:
        for key, value in item.items():
            if key == "logprobs" and isinstance(merged.get(key), dict) and isinstance(value, dict):
                merged[key] = merge_deltas([merged[key], cast("dict[str, Any]", value)])
            elif value is not None or key not in merged:
                merged[key] = value
    return merged


def sum_usage(usages: list[UsageMetadata | None]) -> UsageMetadata | None:
    """Token counts added, details included; None if no piece has any.

    >>> sum_usage([None, {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}, {"output_tokens": 2, "total_tokens": 2}])
    {'input_tokens': 3, 'output_tokens': 3, 'total_tokens': 6}
    """
    known = [usage for usage in usages if usage]
    if not known:
        return None
    total: dict[str, Any] = {}
    for usage in known:
        add_counts(total, cast("dict[str, Any]", usage))
    return cast("UsageMetadata", total)


def add_counts(total: dict[str, Any], counts: dict[str, Any]) -> None:
    """Add numbers into `total`, nested dicts included; what is no number is replaced by the later value."""
    for key, value in counts.items():
        earlier = total.get(key)
        if isinstance(value, dict):
            inner: dict[str, Any] = dict(cast("dict[str, Any]", earlier)) if isinstance(earlier, dict) else {}
            add_counts(inner, cast("dict[str, Any]", value))
            total[key] = inner
        elif isinstance(value, int | float) and isinstance(earlier, int | float):
            total[key] = earlier + value
        elif value is not None or key not in total:
            total[key] = value


def merge_tool_call_chunks(chunks: list[ToolCallChunk]) -> list[ToolCallChunk]:
    """Pieces of tool calls joined by their `index`; a piece without one, or with another id, is a call of its own."""
    merged: list[ToolCallChunk] = []
    for chunk in chunks:
        earlier = next((item for item in reversed(merged) if item["index"] == chunk["index"] is not None), None)
        if earlier is None or (earlier["id"] and chunk["id"] and earlier["id"] != chunk["id"]):
            merged.append({**chunk})
            continue
        earlier["name"] = earlier["name"] or chunk["name"]
        earlier["id"] = earlier["id"] or chunk["id"]
        if chunk["args"] is not None:
            earlier["args"] = (earlier["args"] or "") + chunk["args"]
    return merged


def tool_call_chunks_of(calls: list[ToolCall], invalid: list[InvalidToolCall]) -> list[ToolCallChunk]:
    """Whole calls in the form of pieces."""
    whole = [_piece(call["name"], json.dumps(call["args"], ensure_ascii=False), call["id"]) for call in calls]
    return whole + [_piece(call["name"], call["args"], call["id"]) for call in invalid]


def _piece(name: str | None, args: str | None, id: str | None) -> ToolCallChunk:  # noqa: A002
    return {"name": name, "args": args, "id": id, "index": None, "type": "tool_call_chunk"}


def tool_calls_of(chunks: list[ToolCallChunk]) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """What can be read of tool calls so far: calls with the arguments that have come, and calls whose arguments are no object.

    A piece without a name continues a call that is not here: it is neither.
    """
    calls: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for chunk in chunks:
        if not chunk["name"]:
            continue
        args = partial_json(chunk["args"] or "{}")
        if isinstance(args, dict):
            calls.append({"name": chunk["name"], "args": cast("dict[str, Any]", args), "id": chunk["id"], "type": "tool_call"})
        else:
            invalid.append(
                {
                    "name": chunk["name"],
                    "args": chunk["args"],
                    "id": chunk["id"],
                    "error": "the arguments are not a JSON object",
                    "type": "invalid_tool_call",
                }
            )
    return calls, invalid
