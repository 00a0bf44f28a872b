"""Streams of the Responses API: typed events to the response object."""

from __future__ import annotations

from typing import Any, cast

from tracer.reading.merge import OTHER, REASONING, TEXT, TOOL_CALL, USAGE
from tracer.reading.values import Problems, kind, note

_FINAL = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_BEGUN = frozenset({"response.created", "response.in_progress", "response.queued"})

_DELTAS: dict[str, tuple[str, str, str, str]] = {
    "response.output_text.delta": (TEXT, "content", "output_text", "text"),
    "response.refusal.delta": (TEXT, "content", "refusal", "refusal"),
    "response.audio.transcript.delta": (TEXT, "content", "output_audio", "transcript"),
    "response.output_audio_transcript.delta": (TEXT, "content", "output_audio", "transcript"),
    "response.audio.delta": (OTHER, "content", "output_audio", "data"),
    "response.output_audio.delta": (OTHER, "content", "output_audio", "data"),
    "response.reasoning_text.delta": (REASONING, "content", "reasoning_text", "text"),
    "response.reasoning_summary_text.delta": (REASONING, "summary", "summary_text", "text"),
}
"""Events that bring a piece of a part: kind of chunk, list of the item that has the part, type of the part, field that grows."""

_ITEM_DELTAS: dict[str, tuple[str, str, str]] = {
    "response.function_call_arguments.delta": (TOOL_CALL, "function_call", "arguments"),
    "response.custom_tool_call_input.delta": (TOOL_CALL, "custom_tool_call", "input"),
    "response.mcp_call_arguments.delta": (OTHER, "mcp_call", "arguments"),
    "response.code_interpreter_call_code.delta": (OTHER, "code_interpreter_call", "code"),
}
"""Events that bring a piece of an item's own field: kind of chunk, type of the item, field that grows."""

_CLIENT_TOOL_CALLS = frozenset({"function_call", "custom_tool_call"})


class ResponseMerger:
    """Merges the events of one response. The last event has it whole; until then it is built from items and deltas."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._base: dict[str, Any] | None = None
        self._final: dict[str, Any] | None = None
        self._items: dict[int, _Item] = {}

    def add(self, event: dict[str, Any]) -> str:
        """Take one event and say what it brought."""
        type_ = event.get("type")
        if not isinstance(type_, str):
            note(self._problems, f"type of an event is {kind(type_)}")
            return OTHER
        part_delta = _DELTAS.get(type_)
        if part_delta is not None:
            brought, list_name, part_type, field = part_delta
            self._item(event, _owner_of(part_type)).add_to_part(event, list_name, part_type, field)
            return brought if event.get("delta") else OTHER
        item_delta = _ITEM_DELTAS.get(type_)
        if item_delta is not None:
            brought, item_type, field = item_delta
            self._item(event, item_type).add_to_field(field, event.get("delta"))
            return brought
        if type_ in _FINAL or type_ in _BEGUN:
            return self._add_response(event.get("response"), final=type_ in _FINAL)
        return self._add_item_event(type_, event)

    def answer(self) -> dict[str, Any] | None:
        """The response object; None if no event said anything of one."""
        output = [self._items[index].whole() for index in sorted(self._items)]
        response = self._final if self._final is not None else self._base
        if response is None:
            return {"object": "response", "output": output} if output else None
        # Some servers leave the output out of the last event.
        if output and not response.get("output"):
            return {**response, "output": output}
        return response

    def _add_response(self, response: Any, *, final: bool) -> str:
        if not isinstance(response, dict):
            note(self._problems, f"response of an event is {kind(response)}")
            return OTHER
        if final:
            self._final = cast("dict[str, Any]", response)
            return USAGE if self._final.get("usage") else OTHER
        self._base = cast("dict[str, Any]", response)
        return OTHER

    def _add_item_event(self, type_: str, event: dict[str, Any]) -> str:
        if type_ in ("response.output_item.added", "response.output_item.done"):
            item = event.get("item")
            if not isinstance(item, dict):
                note(self._problems, f"item of an event is {kind(item)}")
                return OTHER
            self._items[_position(event, "output_index", len(self._items))] = _Item(cast("dict[str, Any]", item))
            return TOOL_CALL if item.get("type") in _CLIENT_TOOL_CALLS else OTHER  # pyright: ignore[reportUnknownMemberType]
        if type_ == "response.content_part.added" and isinstance(event.get("part"), dict):
            self._item(event, "message").begin_part(event, "content", event["part"])
        elif type_ == "response.reasoning_summary_part.added" and isinstance(event.get("part"), dict):
            self._item(event, "reasoning").begin_part(event, "summary", event["part"])
        elif type_ == "response.output_text.annotation.added":
            self._item(event, "message").add_annotation(event)
        return OTHER

    def _item(self, event: dict[str, Any], type_: str) -> _Item:
        index = _position(event, "output_index", max(self._items, default=0))
        item = self._items.get(index)
        if item is None:
            fields: dict[str, Any] = {"id": event.get("item_id"), "type": type_}
            if type_ == "message":
                fields["role"] = "assistant"
            item = self._items[index] = _Item(fields)
        return item


class _Item:
    """One output item on its way: the fields as they were announced, and the fragments that came since."""

    __slots__ = ("_fields", "_parts", "_texts")

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields
        self._texts: dict[str, list[str]] = {}
        self._parts: dict[tuple[str, int], tuple[dict[str, Any], dict[str, list[str]]]] = {}

    def add_to_field(self, field: str, fragment: Any) -> None:
        if isinstance(fragment, str):
            self._texts.setdefault(field, []).append(fragment)

    def begin_part(self, event: dict[str, Any], list_name: str, part: dict[str, Any]) -> None:
        self._part(event, list_name, part)

    def add_to_part(self, event: dict[str, Any], list_name: str, part_type: str, field: str) -> None:
        fragment = event.get("delta")
        if not isinstance(fragment, str):
            return
        texts = self._part(event, list_name, {"type": part_type})[1]
        fragments = texts.get(field)
        if fragments is None:
            texts[field] = [fragment]
        else:
            fragments.append(fragment)

    def add_annotation(self, event: dict[str, Any]) -> None:
        fields = self._part(event, "content", {"type": "output_text"})[0]
        known = fields.get("annotations")
        fields["annotations"] = [*(cast("list[Any]", known) if isinstance(known, list) else ()), event.get("annotation")]

    def whole(self) -> dict[str, Any]:
        item = dict(self._fields)
        for field, fragments in self._texts.items():
            item[field] = "".join(fragments)
        for name in ("content", "summary"):
            parts = [self._parts[key] for key in sorted(self._parts) if key[0] == name]
            if parts:
                item[name] = [{**fields, **{key: "".join(fragments) for key, fragments in texts.items()}} for fields, texts in parts]
        return item

    def _part(self, event: dict[str, Any], list_name: str, fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
        index = event.get("content_index" if list_name == "content" else "summary_index")
        key = (list_name, index if isinstance(index, int) else 0)
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = (dict(fields), {})
        return part


def _owner_of(part_type: str) -> str:
    return "reasoning" if part_type in ("reasoning_text", "summary_text") else "message"


def _position(event: dict[str, Any], name: str, otherwise: int) -> int:
    index = event.get(name)
    return index if isinstance(index, int) and not isinstance(index, bool) else otherwise
