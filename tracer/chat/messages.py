"""Messages of a conversation: light classes with the names and fields that LangChain made common, without LangChain.

Content is a text, or a list of parts in OpenAI's shape (`{"type": "text", "text": …}`, `image_url`, `input_audio`, `file`) or plain
texts. Messages are values: two with the same fields are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, TypedDict, cast

Content = str | list[str | dict[str, Any]]
"""What a message says: a text or a list of parts."""

OPENAI_ROLE = "__openai_role__"
"""Key of `additional_kwargs` for a system message that goes by another role (`developer`); LangChain uses the same key."""

OPENAI_EXTRA = "__openai_extra__"
"""Key of `additional_kwargs` for fields of a request dict that have no place in a message; they are sent as they came."""


class ToolCall(TypedDict):
    """A call of a tool that the model asks for. `args` is the parsed JSON object; `type` is always `tool_call`."""

    name: str
    args: dict[str, Any]
    id: str | None
    type: str


class InvalidToolCall(TypedDict):
    """A call whose arguments are no JSON object: `args` is the text as it came, `error` what was wrong with it."""

    name: str | None
    args: str | None
    id: str | None
    error: str | None
    type: str


class ToolCallChunk(TypedDict):
    """A piece of a tool call in a stream: pieces with the same `index` belong together, their `args` are pieces of one JSON text."""

    name: str | None
    args: str | None
    id: str | None
    index: int | None
    type: str


class UsageMetadata(TypedDict, total=False):
    """Token counts. `input_tokens` includes cached tokens, `output_tokens` includes reasoning tokens; details only as reported."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: dict[str, int]
    output_token_details: dict[str, int]


def tool_call(name: str, args: dict[str, Any], id: str | None = None) -> ToolCall:  # noqa: A002
    """A tool call as `AIMessage.tool_calls` holds it.

    >>> tool_call("add", {"a": 1}, "call_1")
    {'name': 'add', 'args': {'a': 1}, 'id': 'call_1', 'type': 'tool_call'}
    """
    return {"name": name, "args": args, "id": id, "type": "tool_call"}


# The builtins themselves: a function of ours, or `list[ToolCall]`, would be called five times for each piece of a stream.
_empty_object = cast("Callable[[], dict[str, Any]]", dict)
_no_tool_calls = cast("Callable[[], list[ToolCall]]", list)
_no_invalid_tool_calls = cast("Callable[[], list[InvalidToolCall]]", list)
_no_tool_call_chunks = cast("Callable[[], list[ToolCallChunk]]", list)


@dataclass(slots=True, repr=False)
class BaseMessage:
    """What all messages have in common.

    `additional_kwargs` holds what has no field of its own (a refusal, audio, the older `function_call`); `response_metadata` what
    the provider said about an answer (model, finish reason, token usage …); `id` the provider's id of it.
    """

    type: ClassVar[str] = ""
    _quiet: ClassVar[tuple[str, ...]] = ("id", "additional_kwargs", "response_metadata", "usage_metadata", "artifact")

    content: Content
    name: str | None = field(default=None, kw_only=True)
    id: str | None = field(default=None, kw_only=True)
    additional_kwargs: dict[str, Any] = field(default_factory=_empty_object, kw_only=True)
    response_metadata: dict[str, Any] = field(default_factory=_empty_object, kw_only=True)

    @property
    def text(self) -> str:
        """The texts of the content, joined.

        >>> HumanMessage([{"type": "text", "text": "Look: "}, {"type": "image_url", "image_url": {"url": "…"}}, "nice"]).text
        'Look: nice'
        """
        if isinstance(self.content, str):
            return self.content
        return "".join(_text_of(part) for part in self.content)

    def __repr__(self) -> str:
        """Content, and what else was said; bookkeeping (ids, metadata, usage) is left out."""
        shown = [f"content={self.content!r}"]
        for item in fields(self):
            if item.name == "content" or item.name in self._quiet:
                continue
            value = getattr(self, item.name)
            default: object = item.default
            if default is MISSING and item.default_factory is not MISSING:
                default = item.default_factory()
            if value != default:
                shown.append(f"{item.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _text_of(part: str | dict[str, Any]) -> str:
    if isinstance(part, str):
        return part
    text = part.get("text") if part.get("type", "text") == "text" else None
    return text if isinstance(text, str) else ""


@dataclass(slots=True, repr=False)
class HumanMessage(BaseMessage):
    """What the user says.

    >>> HumanMessage("I love programming.")
    HumanMessage(content='I love programming.')
    """

    type: ClassVar[str] = "human"


@dataclass(slots=True, repr=False)
class SystemMessage(BaseMessage):
    """How the model is to behave."""

    type: ClassVar[str] = "system"


@dataclass(slots=True, repr=False)
class FunctionMessage(BaseMessage):
    """The result of a function in the older function-calling API; `name` is the function's and is required by the API."""

    type: ClassVar[str] = "function"


@dataclass(slots=True, repr=False)
class ToolMessage(BaseMessage):
    """The result of a tool: `tool_call_id` says which call it answers, `status` is success or error.

    `artifact` is the full result for the program; it is never sent to the model.
    """

    type: ClassVar[str] = "tool"

    tool_call_id: str = field(default="", kw_only=True)
    status: str = field(default="success", kw_only=True)
    artifact: Any = field(default=None, kw_only=True)


@dataclass(slots=True, repr=False)
class ChatMessage(BaseMessage):
    """A message with any role.

    >>> ChatMessage("Stay on topic.", role="critic")
    ChatMessage(content='Stay on topic.', role='critic')
    """

    type: ClassVar[str] = "chat"

    role: str = field(kw_only=True)


@dataclass(slots=True, repr=False)
class AIMessage(BaseMessage):
    """What the model says.

    `tool_calls` are the calls it asks for, `invalid_tool_calls` those whose arguments cannot be read; `usage_metadata` counts the
    tokens of the call (None if the provider did not say).
    """

    type: ClassVar[str] = "ai"

    content: Content = ""
    tool_calls: list[ToolCall] = field(default_factory=_no_tool_calls, kw_only=True)
    invalid_tool_calls: list[InvalidToolCall] = field(default_factory=_no_invalid_tool_calls, kw_only=True)
    usage_metadata: UsageMetadata | None = field(default=None, kw_only=True)


@dataclass(slots=True, repr=False)
class AIMessageChunk(AIMessage):
    """A piece of a streamed answer. Pieces add up to the whole.

    >>> AIMessageChunk("Hello") + AIMessageChunk(", world")
    AIMessageChunk(content='Hello, world')

    `tool_calls` is made from `tool_call_chunks`: what can be read of the arguments so far.
    """

    type: ClassVar[str] = "AIMessageChunk"
    _quiet: ClassVar[tuple[str, ...]] = (*BaseMessage._quiet, "tool_calls", "invalid_tool_calls")

    tool_call_chunks: list[ToolCallChunk] = field(default_factory=_no_tool_call_chunks, kw_only=True)

    def __post_init__(self) -> None:
        if self.tool_call_chunks or self.tool_calls or self.invalid_tool_calls:
            from tracer.chat.merging import tool_call_chunks_of, tool_calls_of

            # Whole calls become pieces too, so that adding has one rule.
            self.tool_call_chunks = self.tool_call_chunks or tool_call_chunks_of(self.tool_calls, self.invalid_tool_calls)
            self.tool_calls, self.invalid_tool_calls = tool_calls_of(self.tool_call_chunks)

    def __add__(self, other: object) -> AIMessageChunk:
        if not isinstance(other, AIMessageChunk):
            return NotImplemented
        return add_chunks([self, other])

    def __radd__(self, other: object) -> AIMessageChunk:
        # `sum(chunks)` begins with 0.
        return self if other == 0 else NotImplemented

    def to_message(self) -> AIMessage:
        """The same as a whole message."""
        shared = {item.name: getattr(self, item.name) for item in fields(AIMessage)}
        return AIMessage(**shared)


def add_chunks(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    """All pieces of a stream put together at once, which is cheaper than adding them one by one.

    Raises ValueError for an empty list.
    """
    from tracer.chat.merging import merge_content, merge_deltas, merge_metadata, merge_tool_call_chunks, sum_usage

    if not chunks:
        raise ValueError("no chunks to add")
    return AIMessageChunk(
        merge_content([chunk.content for chunk in chunks]),
        name=next((chunk.name for chunk in chunks if chunk.name), None),
        id=next((chunk.id for chunk in chunks if chunk.id), None),
        additional_kwargs=merge_deltas([chunk.additional_kwargs for chunk in chunks]),
        response_metadata=merge_metadata([chunk.response_metadata for chunk in chunks]),
        usage_metadata=sum_usage([chunk.usage_metadata for chunk in chunks]),
        tool_call_chunks=merge_tool_call_chunks([piece for chunk in chunks for piece in chunk.tool_call_chunks]),
    )


MESSAGE_TYPES: dict[str, type[BaseMessage]] = {
    kind.type: kind for kind in (AIMessage, HumanMessage, SystemMessage, FunctionMessage, ToolMessage, ChatMessage, AIMessageChunk)
}
"""The class for each value of `type`."""

FIELD_NAMES: dict[str, tuple[str, ...]] = {kind: tuple(item.name for item in fields(made)) for kind, made in MESSAGE_TYPES.items()}
"""The fields of a message for each value of `type`."""
