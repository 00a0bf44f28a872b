"""Messages as request dicts of the chat completions API, and back."""

from __future__ import annotations

import json
from typing import Any, cast

from tracer.chat.answers import CUSTOM_CALLS, answer_message
from tracer.chat.messages import (
    OPENAI_EXTRA,
    OPENAI_ROLE,
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from tracer.chat.parts import request_content

JsonObject = dict[str, Any]

_REQUEST_KEYS = frozenset({"role", "content", "name", "tool_calls", "function_call", "tool_call_id", "refusal", "audio"})


def to_openai(message: BaseMessage) -> JsonObject:
    """The request dict for one message.

    >>> to_openai(HumanMessage("hi"))
    {'role': 'user', 'content': 'hi'}
    """
    extra = message.additional_kwargs
    role = _PLAIN.get(type(message))
    if role is not None and not extra and message.name is None:
        return {"role": role, "content": request_content(message.content)}
    result: JsonObject = {"role": _role_of(message), "content": request_content(message.content)}
    if message.name is not None and not isinstance(message, ToolMessage):
        result["name"] = message.name
    if isinstance(message, ToolMessage):
        result["tool_call_id"] = message.tool_call_id
    if isinstance(message, AIMessage):
        _add_answer_fields(result, message)
    return {**result, **extra[OPENAI_EXTRA]} if OPENAI_EXTRA in extra else result


def _role_of(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        return message.role
    if isinstance(message, SystemMessage):
        return message.additional_kwargs.get(OPENAI_ROLE, "system")
    return _ROLES[type(message)]


_PLAIN: dict[type[BaseMessage], str] = {HumanMessage: "user", SystemMessage: "system"}
"""Messages that say nothing but their content, mostly."""

_ROLES: dict[type[BaseMessage], str] = {
    HumanMessage: "user",
    AIMessage: "assistant",
    AIMessageChunk: "assistant",
    FunctionMessage: "function",
    ToolMessage: "tool",
}


def _add_answer_fields(result: JsonObject, message: AIMessage) -> None:
    extra = message.additional_kwargs
    calls = [_openai_call(call["name"], json.dumps(call["args"], ensure_ascii=False), call["id"]) for call in message.tool_calls]
    calls += [_openai_call(call["name"] or "", call["args"] or "", call["id"]) for call in message.invalid_tool_calls]
    calls += extra.get(CUSTOM_CALLS, [])
    if calls:
        result["tool_calls"] = calls
    elif extra.get("tool_calls"):
        # Messages made by others (an older LangChain) may have their calls only here.
        result["tool_calls"] = [
            {key: call[key] for key in ("id", "type", "function") if key in call} for call in cast("list[JsonObject]", extra["tool_calls"])
        ]
    elif extra.get("function_call"):
        result["function_call"] = extra["function_call"]
    if extra.get("refusal"):
        result["refusal"] = extra["refusal"]
    if isinstance(audio := extra.get("audio"), dict):
        # The API takes back only the id of audio that it made.
        result["audio"] = {"id": audio["id"]} if "id" in audio else audio
    if not result["content"] and not result.keys() <= {"role", "content", "name"}:
        # The API refuses an empty list here, and wants null beside tool calls.
        result["content"] = None


def _openai_call(name: str, arguments: str, id: str | None) -> JsonObject:  # noqa: A002
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def from_openai(data: JsonObject) -> BaseMessage:
    """The message for one request dict, the reverse of `to_openai`. Fields it does not know are kept and sent as they came.

    >>> from_openai({"role": "user", "content": "hi"})
    HumanMessage(content='hi')
    """
    role = data["role"]
    content: Any = "" if data.get("content") is None else data["content"]
    extra: JsonObject = {}
    unknown = {key: value for key, value in data.items() if key not in _REQUEST_KEYS}
    if unknown:
        extra[OPENAI_EXTRA] = unknown
    name = data.get("name")
    if role in ("assistant", "ai"):
        message = answer_message(data)
        message.name = name
        message.additional_kwargs.update(extra)
        return message
    if role in ("user", "human"):
        return HumanMessage(content, name=name, additional_kwargs=extra)
    if role in ("system", "developer"):
        if role == "developer":
            extra[OPENAI_ROLE] = role
        return SystemMessage(content, name=name, additional_kwargs=extra)
    if role == "tool":
        return ToolMessage(content, name=name, additional_kwargs=extra, tool_call_id=data.get("tool_call_id") or "")
    if role == "function":
        return FunctionMessage(content, name=name, additional_kwargs=extra)
    return ChatMessage(content, name=name, additional_kwargs=extra, role=role)
