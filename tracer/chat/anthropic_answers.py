"""Answers and streams of Anthropic's Messages API as messages. Everything is read by shape, objects and dicts alike.

Calls of tools stand in `tool_calls`; text alone is a text; with thinking, citations or tools that the provider ran the content is a
list of Anthropic's blocks, which can be sent back as they are.
"""

from __future__ import annotations

from typing import Any, cast

from tracer.chat.answers import fields_of, plain
from tracer.chat.messages import AIMessage, AIMessageChunk, Content, ToolCallChunk, UsageMetadata, tool_call
from tracer.chat.results import ChatGeneration

JsonObject = dict[str, Any]

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Anthropic's words in those of chat completions, so that programs need to know one kind; its own stand in `stop_reason`."""

_ABOUT = ("id", "stop_sequence", "container", "context_management")


def read_message(answer: Any) -> list[ChatGeneration]:
    """The one choice of an answer.

    Raises ValueError if it is no message, naming the error that stands in its place.
    """
    fields = fields_of(answer)
    blocks = fields.get("content")
    if not isinstance(blocks, list):
        problem = fields.get("error")
        shown = plain(problem) if problem else f"{type(answer).__name__} without content"
        raise ValueError(f"The endpoint's answer is no message: {shown}")
    message = AIMessage(id=fields.get("id"))
    kept: list[str | JsonObject] = []
    for block in cast("list[Any]", blocks):
        data: JsonObject = plain(block)
        if data.get("type") == "tool_use":
            arguments: Any = data.get("input")
            given = cast("JsonObject", arguments) if isinstance(arguments, dict) else {}
            message.tool_calls.append(tool_call(data.get("name") or "", given, data.get("id")))
        else:
            kept.append({name: value for name, value in data.items() if value is not None})
    message.content = _text_alone(kept)
    token_usage: Any = plain(fields.get("usage"))
    message.usage_metadata = usage_metadata(token_usage)
    info = _finish(fields, message)
    message.response_metadata = {**_about(fields), "token_usage": token_usage, **info}
    return [ChatGeneration(message=message, generation_info={"finish_reason": info["finish_reason"]})]


def _text_alone(blocks: list[str | JsonObject]) -> Content:
    """A text if there is nothing but one plain text."""
    if not blocks:
        return ""
    first = blocks[0]
    if len(blocks) == 1 and isinstance(first, dict) and set(first) == {"type", "text"}:
        return first["text"]
    return blocks


def _about(fields: Any) -> JsonObject:
    about: JsonObject = {"model_provider": "anthropic", "model_name": fields.get("model")}
    for name in _ABOUT:
        value = fields.get(name)
        if value is not None:
            about[name] = plain(value)
    return about


def _finish(fields: Any, message: AIMessage) -> JsonObject:
    reason = fields.get("stop_reason")
    if reason == "refusal":
        details = fields_of(fields.get("stop_details") or {})
        message.additional_kwargs["refusal"] = details.get("explanation") or details.get("category") or "refusal"
    return {"finish_reason": _FINISH_REASONS.get(reason, reason), "stop_reason": reason}


def usage_metadata(usage: JsonObject | None) -> UsageMetadata | None:
    """Token counts in the neutral form: `input_tokens` with those that were read from the cache or written to it.

    >>> usage_metadata({"input_tokens": 21, "cache_read_input_tokens": 1733, "output_tokens": 568})["input_tokens"]
    1754
    """
    if not usage:
        return None
    read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    asked = (usage.get("input_tokens") or 0) + (read or 0) + (written or 0)
    answered = usage.get("output_tokens") or 0
    details: JsonObject = usage.get("output_tokens_details") or {}
    thought = details.get("thinking_tokens")
    return {
        "input_tokens": asked,
        "output_tokens": answered,
        "total_tokens": asked + answered,
        "input_token_details": {name: count for name, count in (("cache_read", read), ("cache_creation", written)) if count is not None},
        "output_token_details": {} if thought is None else {"reasoning": thought},
    }


class MessagesReader:
    """Reads the events of one stream. Usage is told once, at the end: what the beginning says of it is only a part."""

    __slots__ = ("_about", "_calling", "_plain", "_usage")

    def __init__(self) -> None:
        self._about: JsonObject = {}
        self._usage: JsonObject = {}
        self._calling = False
        """The block under way is a call of a tool of the program."""
        self._plain = False
        """The block under way is the first one and a plain text: its pieces are texts."""

    def read(self, event: Any) -> AIMessageChunk | None:
        """The piece that an event brings; None where it brings none."""
        fields = fields_of(event)
        reader = _EVENTS.get(fields.get("type") or "")
        return reader(self, fields) if reader is not None else None

    def begin(self, fields: Any) -> AIMessageChunk:
        """The head: id and model."""
        head = fields_of(fields.get("message"))
        self._usage = plain(head.get("usage")) or {}
        self._about = _about(head)
        return AIMessageChunk("", id=head.get("id"))

    def begin_block(self, fields: Any) -> AIMessageChunk | None:
        """A block begins: a call of a tool with its name, or a block of the content."""
        index = fields.get("index")
        block: JsonObject = plain(fields.get("content_block")) or {}
        kind = block.get("type")
        self._plain = index == 0 and kind == "text" and block.get("citations") is None
        self._calling = kind == "tool_use"
        if self._calling:
            return _call_piece(block.get("name"), "", block.get("id"), index)
        if kind == "text" and (self._plain or not block.get("text")):
            return AIMessageChunk(block["text"]) if block.get("text") else None
        return _block_piece({name: value for name, value in block.items() if value is not None}, index)

    def add(self, fields: Any) -> AIMessageChunk | None:
        """A piece of a block."""
        index, delta = fields.get("index"), fields_of(fields.get("delta"))
        kind = delta.get("type")
        if kind == "text_delta":
            text = delta.get("text") or ""
            return AIMessageChunk(text) if self._plain else _block_piece({"type": "text", "text": text}, index)
        if kind == "input_json_delta":
            written = delta.get("partial_json")
            return _call_piece(None, written, None, index) if self._calling else _block_piece({"partial_json": written}, index)
        if kind == "citations_delta":
            return _block_piece({"type": "text", "citations": [plain(delta.get("citation"))]}, index)
        if kind in ("thinking_delta", "signature_delta"):
            name = str(kind).removesuffix("_delta")
            return _block_piece({"type": "thinking", name: delta.get(name)}, index)
        if kind == "compaction_delta":
            return _block_piece({"type": "compaction", "content": delta.get("content")}, index)
        return None

    def end(self, fields: Any) -> AIMessageChunk:
        """Why it stopped, and what it used in all."""
        usage: JsonObject = plain(fields.get("usage")) or {}
        self._usage.update((name, value) for name, value in usage.items() if value is not None)
        piece = AIMessageChunk("", usage_metadata=usage_metadata(self._usage))
        delta = fields_of(fields.get("delta"))
        said = {name: plain(delta.get(name)) for name in ("stop_sequence", "container") if delta.get(name) is not None}
        finish = _finish(delta, piece)
        piece.response_metadata = {**self._about, **said, "token_usage": self._usage, **finish}
        return piece


_EVENTS = {
    "message_start": MessagesReader.begin,
    "content_block_start": MessagesReader.begin_block,
    "content_block_delta": MessagesReader.add,
    "message_delta": MessagesReader.end,
}


def _block_piece(block: JsonObject, index: Any) -> AIMessageChunk:
    return AIMessageChunk([{**block, "index": index}])


def _call_piece(name: str | None, args: str | None, id: str | None, index: Any) -> AIMessageChunk:  # noqa: A002
    piece: ToolCallChunk = {"name": name, "args": args, "id": id, "index": index, "type": "tool_call_chunk"}
    return AIMessageChunk("", tool_call_chunks=[piece])
