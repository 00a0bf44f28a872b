"""What can be given to a chat model, made into messages.

A text, a message or a list of messages, where a message may be one of ours, a role/content dict, a `(role, content)` pair, a text,
a message of an SDK's answer, or LangChain's, told by their shape: LangChain is never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from tracer.chat.answers import JsonObject, plain, read
from tracer.chat.convert import from_openai
from tracer.chat.messages import FIELD_NAMES, MESSAGE_TYPES, BaseMessage, HumanMessage, SystemMessage

_CHUNK_TYPES = {
    f"{name}MessageChunk": kind
    for name, kind in (("Human", "human"), ("System", "system"), ("Function", "function"), ("Tool", "tool"), ("Chat", "chat"))
}
_ROLE_OF_TYPE = {"human": "user", "ai": "assistant"}
# As tuples: a union would be made anew at each look.
_PAIRS = (tuple, list)
_PLAIN_ROLES: dict[str, Callable[[Any], BaseMessage]] = {"user": HumanMessage, "human": HumanMessage, "system": SystemMessage}
_CONTENTS = (str, list)
_ACCEPTED = "a message, a (role, content) pair, a dict with role and content, or a text"


def messages_from(value: Any) -> list[BaseMessage]:
    """The messages of one input.

    Raises TypeError for what cannot be a message, naming its position and type.

    >>> messages_from("hi")
    [HumanMessage(content='hi')]
    >>> messages_from([("system", "Be brief."), {"role": "user", "content": "hi"}])
    [SystemMessage(content='Be brief.'), HumanMessage(content='hi')]
    """
    if isinstance(value, str):
        return [HumanMessage(value)]
    if type(value) is list:  # By far the most common, and quickly told.
        return [_message(item, position) for position, item in enumerate(cast("list[Any]", value))]
    to_messages = getattr(value, "to_messages", None)
    if callable(to_messages):
        return messages_from(to_messages())
    if isinstance(value, BaseMessage | Mapping) or _is_foreign_message(value):
        return [_message(value, 0)]
    if isinstance(value, Iterable):
        return [_message(item, position) for position, item in enumerate(cast("Iterable[Any]", value))]
    raise TypeError(f"A chat model takes a text or a list of messages, not {_kind(value)}.")


def _message(item: Any, position: int) -> BaseMessage:
    if isinstance(item, BaseMessage):
        return item
    if isinstance(item, str):
        return HumanMessage(item)
    if isinstance(item, _PAIRS):
        pair = cast("list[Any]", item)
        if len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], _CONTENTS):
            kind = _PLAIN_ROLES.get(pair[0])
            return kind(pair[1]) if kind is not None else from_openai({"role": pair[0], "content": pair[1]})
    elif isinstance(item, Mapping):
        return _from_mapping(dict(cast("Mapping[str, Any]", item)), position)
    elif _is_foreign_message(item):
        return _from_foreign(item, position)
    raise TypeError(f"The message at position {position} is {_kind(item)}; accepted is {_ACCEPTED}.")


def _kind(value: Any) -> str:
    kind = cast("type[object]", type(value))
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"of type {name}"


def _from_mapping(data: JsonObject, position: int) -> BaseMessage:
    role = data.get("role")
    if role is None and data.get("type") in MESSAGE_TYPES and "content" in data:
        return _by_type(data["type"], data)
    if not isinstance(role, str):
        keys = ", ".join(map(str, data)) or "none"
        raise TypeError(f"The message at position {position} is a dict without a role (keys: {keys}); accepted is {_ACCEPTED}.")
    content = data.get("content")
    if content is not None and not isinstance(content, str | list | tuple):
        raise TypeError(f"The message at position {position} has content {_kind(content)}; accepted is a text or a list of parts.")
    if isinstance(content, tuple):
        data["content"] = list(cast("tuple[Any, ...]", content))
    return from_openai(data)


def _is_foreign_message(value: Any) -> bool:
    if isinstance(value, type):
        return False
    return hasattr(value, "content") and (isinstance(getattr(value, "type", None), str) or isinstance(getattr(value, "role", None), str))


def _from_foreign(item: Any, position: int) -> BaseMessage:
    kind = getattr(item, "type", None)
    kind = _CHUNK_TYPES.get(kind, kind) if isinstance(kind, str) else None
    if kind in MESSAGE_TYPES:
        return _by_type(kind, item)
    if isinstance(getattr(item, "role", None), str):
        return _from_mapping(plain(item), position)
    raise TypeError(f"The message at position {position} is {_kind(item)} with the unknown message type {kind!r}; accepted is {_ACCEPTED}.")


def _by_type(kind: str, source: Any) -> BaseMessage:
    """A message from something that has the fields of one, under their LangChain names."""
    made = MESSAGE_TYPES[kind]
    values: JsonObject = {}
    for name in FIELD_NAMES[kind]:
        value = read(source, name)
        if value is not None:
            values[name] = copied(value)
    values.setdefault("content", "")
    return made(**values)


def copied(value: Any) -> Any:
    """Containers are copied: what the caller changes later in its message must not change ours."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in cast("JsonObject", value).items()}
    if isinstance(value, list):
        return [copied(item) for item in cast("list[Any]", value)]
    return value
