"""What a dialect reads: a record, its finished span, and the content of that span as messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import orjson

from tracer.export import names
from tracer.export.span import AttributeValue, SpanData
from tracer.export.values import json_text
from tracer.reading.record import Record
from tracer.settings import Settings

Attributes = dict[str, AttributeValue]
Part = Mapping[str, Any]


@dataclass(slots=True)
class Said:
    """One message as chat APIs have it: what one tool answered is a message of its own."""

    role: str
    contents: list[Part] = field(default_factory=list[Part])
    """Parts beside those about tools."""
    tool_calls: list[Part] = field(default_factory=list[Part])
    tool_call_id: str | None = None
    name: str | None = None

    @property
    def text(self) -> str:
        """Its texts, one after the other, without reasoning."""
        return "\n".join(text_of(part) for part in self.contents if part.get("type") == "text")


class Subject:
    """A record and its own span. Content is read from the span's attributes, so it is masked, shortened and left out as there."""

    def __init__(self, record: Record, span: SpanData, settings: Settings) -> None:
        self.record = record
        self.call = record.call
        self.span = span
        self.settings = settings
        self.attributes: Mapping[str, AttributeValue] = dict(span.attributes)

    @property
    def operation(self) -> str:
        """`gen_ai.operation.name`, empty where there is none."""
        return str(self.attributes.get(names.OPERATION_NAME, ""))

    @property
    def is_root(self) -> bool:
        """No call of this process or another is above it."""
        return self.span.parent_span_id is None and self.call.parent_run_id is None

    @cached_property
    def asked(self) -> list[Said]:
        """System instructions and input messages."""
        system = objects_in(self.content(names.SYSTEM_INSTRUCTIONS))
        return [*([Said("system", list[Part](system))] if system else ()), *_messages(self.content(names.INPUT_MESSAGES))]

    @cached_property
    def answered(self) -> list[Said]:
        """Output messages."""
        return _messages(self.content(names.OUTPUT_MESSAGES))

    @cached_property
    def tools(self) -> list[dict[str, Any]]:
        """Definitions of the tools that were offered."""
        return objects_in(self.content(names.TOOL_DEFINITIONS))

    def content(self, name: str) -> object:
        """The value of an attribute whose text is JSON; None where it is not there."""
        text = self.attributes.get(name)
        if not isinstance(text, str):
            return None
        try:
            return orjson.loads(text.encode("utf-8", "replace"))
        except orjson.JSONDecodeError:
            return None

    def whole(self, name: str) -> int:
        """A count, 0 where it is not there."""
        value = self.attributes.get(name)
        return value if isinstance(value, int) else 0

    @property
    def parameters(self) -> dict[str, AttributeValue]:
        """Request parameters by their names without the conventions' prefix; the model is none."""
        prefix = names.REQUEST_PREFIX
        apart = (names.REQUEST_MODEL, names.REQUEST_STREAM, names.REQUEST_PREVIOUS_RESPONSE_ID)
        return {name[len(prefix) :]: value for name, value in self.attributes.items() if name.startswith(prefix) and name not in apart}

    @property
    def metadata(self) -> dict[str, AttributeValue]:
        """The application's metadata by its own names."""
        prefix = names.METADATA_PREFIX
        return {name[len(prefix) :]: value for name, value in self.attributes.items() if name.startswith(prefix)}

    @property
    def tags(self) -> list[str]:
        """The application's tags."""
        tags = self.attributes.get(names.TAGS)
        return [str(tag) for tag in tags] if isinstance(tags, Sequence) and not isinstance(tags, str) else []

    @property
    def total_tokens(self) -> int | None:
        """Tokens of input and output together, where any were reported."""
        if names.USAGE_INPUT_TOKENS not in self.attributes and names.USAGE_OUTPUT_TOKENS not in self.attributes:
            return None
        return self.whole(names.USAGE_INPUT_TOKENS) + self.whole(names.USAGE_OUTPUT_TOKENS)


def renamed(subject: Subject, table: Mapping[str, str]) -> Attributes:
    """The attributes that are there, under the names of a table."""
    attributes = subject.attributes
    return {new: attributes[name] for name, new in table.items() if name in attributes}


def present(values: Mapping[str, AttributeValue | None]) -> Attributes:
    """What has a value: an empty text or list is none."""
    return {name: value for name, value in values.items() if value is not None and value not in ("", [], ())}


def text_of(part: Part) -> str:
    """What a part says, as text: the content of texts and reasoning, JSON of anything else."""
    content = part.get("content")
    return content if isinstance(content, str) and part.get("type") in ("text", "reasoning") else as_text(dict(part))


def as_text(value: object) -> str:
    """A text as it is, other values as JSON."""
    return value if isinstance(value, str) else json_text(value)


def link_of(part: Part) -> str | None:
    """The address of a part's picture or file: its own, or one that holds the data; None where only a reference is left."""
    if part.get("type") == "uri":
        return as_text(part.get("uri", ""))
    if part.get("type") == "blob" and "sha256" not in part:
        return f"data:{part.get('mime_type') or 'application/octet-stream'};base64,{part.get('content', '')}"
    return None


def objects_in(value: object) -> list[dict[str, Any]]:
    """The objects in a JSON list; none where it is no list."""
    return (
        [cast("dict[str, Any]", item) for item in cast("list[object]", value) if isinstance(item, dict)] if isinstance(value, list) else []
    )


def _messages(found: object) -> list[Said]:
    return [said for message in objects_in(found) for said in _said(message)]


def _said(message: Part) -> list[Said]:
    """Answers of tools come first, as in the chat APIs that need them right after the calls."""
    name = message.get("name")
    said, results = Said(as_text(message.get("role", "")), name=name if isinstance(name, str) else None), list[Said]()
    for part in objects_in(message.get("parts")):
        if part.get("type") == "tool_call_response":
            answer = {"type": "text", "content": as_text(part.get("response", ""))}
            results.append(Said("tool", [answer], tool_call_id=as_text(part["id"]) if part.get("id") else None))
        elif part.get("type") == "tool_call":
            said.tool_calls.append(part)
        else:
            said.contents.append(part)
    return [*results, said] if said.contents or said.tool_calls or not results else results
