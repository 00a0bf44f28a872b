"""Streams of Anthropic's Messages API: typed events to the message."""

from __future__ import annotations

from typing import Any, cast

from tracer.reading.json_text import parse
from tracer.reading.merge import NO_CHUNK, OTHER, REASONING, TEXT, TOOL_CALL, USAGE
from tracer.reading.values import Problems, kind, note

_DELTAS: dict[str, tuple[str, str]] = {
    "text_delta": (TEXT, "text"),
    "thinking_delta": (REASONING, "thinking"),
    "signature_delta": (OTHER, "signature"),
    "compaction_delta": (OTHER, "content"),
}
"""Types of deltas that bring a piece of a text: kind of chunk, and the field of delta and block that has it."""


class MessagesMerger:
    """Merges the events of one message: a head, blocks that grow, and at the end why it stopped and what it used."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._head: dict[str, Any] | None = None
        self._blocks: dict[int, _Block] = {}
        self._usage: dict[str, Any] = {}
        self._usage_is_final = False

    def add(self, event: dict[str, Any]) -> str:
        """Take one event and say what it brought; a ping is no chunk, the SDKs keep it to themselves."""
        type_: Any = event.get("type")
        if type_ == "content_block_delta":
            return self._add_delta(event)
        if type_ == "ping":
            return NO_CHUNK
        if type_ == "content_block_start":
            return self._begin_block(event)
        if type_ == "message_start":
            return self._begin(event.get("message"))
        if type_ == "message_delta":
            return self._end(event)
        if not isinstance(type_, str):
            note(self._problems, f"type of an event is {kind(type_)}")
        return OTHER

    def answer(self) -> dict[str, Any] | None:
        """The message so far; None before the first event that says something of it."""
        if self._head is None and not self._blocks:
            return None
        whole: dict[str, Any] = {"type": "message", "role": "assistant", **(self._head or {})}
        begun: Any = whole.get("content")
        content: list[Any] = [self._blocks[index].whole() for index in sorted(self._blocks)]
        whole["content"] = content or (begun if isinstance(begun, list) else [])
        usage = dict(self._usage)
        if not self._usage_is_final:
            # What the head says of the output is a count on the way, not what it came to.
            usage.pop("output_tokens", None)
        if usage:
            whole["usage"] = usage
        else:
            whole.pop("usage", None)
        return whole

    def _begin(self, message: Any) -> str:
        if not isinstance(message, dict):
            note(self._problems, f"message of an event is {kind(message)}")
            return OTHER
        self._head = cast("dict[str, Any]", message)
        self._add_usage(self._head.get("usage"))
        return OTHER

    def _begin_block(self, event: dict[str, Any]) -> str:
        block: Any = event.get("content_block")
        if not isinstance(block, dict):
            note(self._problems, f"content_block of an event is {kind(block)}")
            return OTHER
        begun = self._blocks[self._position(event, len(self._blocks))] = _Block(cast("dict[str, Any]", block))
        return begun.kind

    def _add_delta(self, event: dict[str, Any]) -> str:
        delta: Any = event.get("delta")
        if delta.__class__ is not dict:
            note(self._problems, f"delta of an event is {kind(delta)}")
            return OTHER
        try:
            block = self._blocks[event["index"]]
        except (KeyError, TypeError):
            block = self._blocks.setdefault(self._position(event, max(self._blocks, default=0)), _Block({}))
        return block.add(delta)

    def _end(self, event: dict[str, Any]) -> str:
        delta: Any = event.get("delta")
        head = self._head = dict(self._head or {})
        if isinstance(delta, dict):
            head.update((key, value) for key, value in cast("dict[str, Any]", delta).items() if value is not None or key not in head)
        head.update((key, value) for key, value in event.items() if key not in ("type", "delta", "usage") and value is not None)
        usage: Any = event.get("usage")
        self._add_usage(usage)
        if isinstance(usage, dict) and usage.get("output_tokens") is not None:  # pyright: ignore[reportUnknownMemberType]
            self._usage_is_final = True
        return USAGE if usage else OTHER

    def _add_usage(self, usage: Any) -> None:
        """Counts are totals so far, so the later one stands; one that is left out has not changed."""
        if isinstance(usage, dict):
            self._usage.update((key, value) for key, value in cast("dict[str, Any]", usage).items() if value is not None)
        elif usage is not None:
            note(self._problems, f"usage is {kind(usage)}")

    @staticmethod
    def _position(event: dict[str, Any], otherwise: int) -> int:
        index = event.get("index")
        return index if isinstance(index, int) and not isinstance(index, bool) else otherwise


class _Block:
    """One block on its way: the fields as they were announced, and the fragments that came since."""

    __slots__ = ("_citations", "_fields", "_input", "_texts", "kind")

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields
        self._texts: dict[str, list[str]] = {}
        self._input: list[str] = []
        self._citations: list[Any] = []
        type_ = fields.get("type")
        self.kind = TOOL_CALL if type_ == "tool_use" else TEXT if type_ == "text" and fields.get("text") else OTHER
        """What the beginning of the block brought."""

    def add(self, delta: dict[str, Any]) -> str:
        type_: Any = delta.get("type")
        known = _DELTAS.get(type_) if isinstance(type_, str) else None
        if known is not None:
            brought, name = known
            fragment = delta.get(name)
            if not isinstance(fragment, str):
                return OTHER
            try:
                self._texts[name].append(fragment)
            except KeyError:
                self._texts[name] = [fragment]
            return brought if fragment else OTHER
        if type_ == "input_json_delta":
            if isinstance(delta.get("partial_json"), str):
                self._input.append(delta["partial_json"])
            return TOOL_CALL if self.kind == TOOL_CALL else OTHER
        if type_ == "citations_delta":
            self._citations.append(delta.get("citation"))
        return OTHER

    def whole(self) -> dict[str, Any]:
        whole = dict(self._fields)
        for name, fragments in self._texts.items():
            begun = whole.get(name)
            whole[name] = (begun if isinstance(begun, str) else "") + "".join(fragments)
            whole.setdefault("type", "thinking" if name in ("thinking", "signature") else "text")
        written = "".join(self._input)
        if written:
            whole["input"] = _parsed(written)
            whole.setdefault("type", "tool_use")
        if self._citations:
            begun = whole.get("citations")
            whole["citations"] = [*(cast("list[Any]", begun) if isinstance(begun, list) else ()), *self._citations]
        return whole


def _parsed(written: str) -> Any:
    """The input of a tool; text as far as it came where it is no JSON yet."""
    try:
        return parse(written)
    except ValueError:
        return written
