"""Messages and parameters as Anthropic's Messages API takes them.

Parameters may be given in either spelling: those of chat completions (`stop`, `tools` with functions, `response_format`,
`reasoning_effort` …) are written as Anthropic's, and Anthropic's own (`thinking`, `top_k`, `system` …) go through as they are.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from tracer.chat.messages import AIMessage, BaseMessage, ChatMessage, Content, FunctionMessage, SystemMessage, ToolMessage
from tracer.chat.parts import file_source, image_url

JsonObject = dict[str, Any]

DEFAULT_MAX_TOKENS = 4096
"""`max_tokens` where none is given: the API demands one, and no model that it serves takes less than this."""

_NOT_SENT = ("index", "partial_json")


def anthropic_arguments(parameters: JsonObject, messages: list[BaseMessage]) -> JsonObject:
    """The arguments of `messages.create`.

    System messages become `system`; results of tools and what the user says beside them become one message, since the API wants
    all results of a turn together.

    Raises ValueError for what the API has no word for (`response_format` of type json_object).

    >>> from tracer.chat.messages import HumanMessage, SystemMessage
    >>> anthropic_arguments({"model": "m", "stop": "END"}, [SystemMessage("Be brief."), HumanMessage("hi")])
    {'model': 'm', 'stop_sequences': ['END'], 'max_tokens': 4096, 'system': 'Be brief.', 'messages': [{'role': 'user', 'content': 'hi'}]}
    """
    arguments = _translated(parameters)
    arguments.setdefault("max_tokens", DEFAULT_MAX_TOKENS)
    system = _system(arguments.pop("system", None), [message for message in messages if isinstance(message, SystemMessage)])
    if system:
        arguments["system"] = system
    arguments["messages"] = _turns([message for message in messages if not isinstance(message, SystemMessage)])
    return arguments


_SAMPLING = ("temperature", "top_p", "top_k")


def fitted(create: Callable[..., Any], arguments: JsonObject) -> JsonObject:
    """The arguments as `create` takes them: newer SDKs have lost the sampling parameters, which older models still know."""
    given = [name for name in _SAMPLING if name in arguments]
    lost = [name for name in given if not _takes(getattr(create, "__func__", create), name)] if given else []
    if not lost:
        return arguments
    kept = {name: value for name, value in arguments.items() if name not in lost}
    kept["extra_body"] = {**{name: arguments[name] for name in lost}, **(kept.get("extra_body") or {})}
    return kept


@cache
def _takes(function: Callable[..., Any], name: str) -> bool:
    known = inspect.signature(function).parameters
    return name in known or any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())


# Parameters.


def _translated(parameters: JsonObject) -> JsonObject:
    arguments: JsonObject = {}
    for name, value in parameters.items():
        write = _WRITERS.get(name)
        if write is None:
            arguments[name] = value
        else:
            write(arguments, value)
    return arguments


def _most_tokens(arguments: JsonObject, value: Any) -> None:
    arguments["max_tokens"] = value


def _stop(arguments: JsonObject, value: Any) -> None:
    arguments["stop_sequences"] = [value] if isinstance(value, str) else list(value)


def _tools(arguments: JsonObject, value: Any) -> None:
    arguments["tools"] = [_tool(tool) for tool in value]


def _tool(tool: JsonObject) -> JsonObject:
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        return tool
    given = cast("JsonObject", function)
    made: JsonObject = {"name": given["name"], "input_schema": given.get("parameters") or {"type": "object", "properties": {}}}
    for name in ("description", "strict"):
        if given.get(name) is not None:
            made[name] = given[name]
    return made


def _tool_choice(arguments: JsonObject, value: Any) -> None:
    choice: JsonObject
    if isinstance(value, dict):
        given = cast("JsonObject", value)
        choice = {"type": "tool", "name": given["function"]["name"]} if given.get("type") == "function" else given
    else:
        choice = {"type": "any" if value == "required" else value}
    arguments["tool_choice"] = {**arguments.get("tool_choice", {}), **choice}


def _parallel(arguments: JsonObject, value: Any) -> None:
    choice: JsonObject = arguments.setdefault("tool_choice", {"type": "auto"})
    choice["disable_parallel_tool_use"] = not value


def _response_format(arguments: JsonObject, value: Any) -> None:
    given = cast("JsonObject", value)
    if given.get("type") == "json_schema":
        schema = given["json_schema"]["schema"]
        arguments["output_config"] = {**arguments.get("output_config", {}), "format": {"type": "json_schema", "schema": schema}}
    elif given.get("type") != "text":
        raise ValueError(f"Anthropic's API has no response_format {given.get('type')!r}: use method json_schema or function_calling.")


def _effort(arguments: JsonObject, value: Any) -> None:
    arguments["output_config"] = {**arguments.get("output_config", {}), "effort": value}


def _output_config(arguments: JsonObject, value: Any) -> None:
    arguments["output_config"] = {**arguments.get("output_config", {}), **value}


def _user(arguments: JsonObject, value: Any) -> None:
    arguments["metadata"] = {"user_id": value, **arguments.get("metadata", {})}


def _leave_out(_arguments: JsonObject, _value: Any) -> None:
    """Usage comes with every stream, asked for or not."""


_WRITERS: dict[str, Callable[[JsonObject, Any], None]] = {
    "max_completion_tokens": _most_tokens,
    "stop": _stop,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _parallel,
    "response_format": _response_format,
    "reasoning_effort": _effort,
    "output_config": _output_config,
    "user": _user,
    "stream_usage": _leave_out,
    "stream_options": _leave_out,
}


# Messages.


def _system(given: Any, messages: list[SystemMessage]) -> Any:
    texts = [given] if given else []
    texts += [message.content for message in messages if message.content]
    if len(texts) == 1:
        return texts[0] if isinstance(texts[0], str) else _blocks(texts[0])
    return [block for text in texts for block in _blocks(text)]


def _turns(messages: list[BaseMessage]) -> list[JsonObject]:
    turns: list[JsonObject] = []
    for message in messages:
        turn = {"role": _role_of(message), "content": _content(message)}
        if turns and turns[-1]["role"] == turn["role"]:
            turns[-1]["content"] = [*_blocks(turns[-1]["content"]), *_blocks(turn["content"])]
        else:
            turns.append(turn)
    return turns


def _role_of(message: BaseMessage) -> str:
    if isinstance(message, AIMessage):
        return "assistant"
    return message.role if isinstance(message, ChatMessage) else "user"


def _content(message: BaseMessage) -> Any:
    if isinstance(message, ToolMessage):
        result: JsonObject = {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": _written(message.content)}
        if message.status == "error":
            result["is_error"] = True
        return [result]
    if isinstance(message, FunctionMessage):
        raise ValueError("Anthropic's API has no function messages: use ToolMessage.")
    if not isinstance(message, AIMessage) or not (message.tool_calls or message.invalid_tool_calls):
        return _written(message.content)
    blocks = _blocks(message.content)
    known = {block.get("id") for block in blocks if block.get("type") == "tool_use"}
    blocks += [
        {"type": "tool_use", "id": call["id"], "name": call["name"], "input": call["args"]}
        for call in message.tool_calls
        if call["id"] not in known
    ]
    blocks += [
        {"type": "tool_use", "id": call["id"], "name": call["name"] or "", "input": {}}
        for call in message.invalid_tool_calls
        if call["id"] not in known
    ]
    return blocks


def _written(content: Content) -> Any:
    return content if isinstance(content, str) else _blocks(content)


def _blocks(content: Content | list[JsonObject]) -> list[JsonObject]:
    """Content as blocks; empty texts are left out, the API refuses them."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    blocks = [{"type": "text", "text": part} if isinstance(part, str) else _block(part) for part in content]
    return [block for block in blocks if block.get("type") != "text" or block.get("text")]


def _block(part: JsonObject) -> JsonObject:
    """One part. Anthropic's own go through; OpenAI's and LangChain's images and files are written in its shape."""
    kind = part.get("type")
    if kind in ("image_url", "image"):
        source = _source(image_url(part)) or part.get("source")
        return {"type": "image", "source": source} if source else part
    if kind == "file":
        source = _file_source(part)
        return {"type": "document", "source": source} if source else part
    made = {name: value for name, value in part.items() if name not in _NOT_SENT}
    if isinstance(part.get("partial_json"), str):
        made["input"] = _parsed(part["partial_json"])
    return made


def _parsed(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return {}


def _source(url: str | None) -> JsonObject | None:
    """A URL as the source of a block; `data:` URLs hold the data themselves."""
    if not url:
        return None
    head, comma, data = url.partition(",")
    if not (comma and head.startswith("data:")):
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": head[len("data:") :].partition(";")[0], "data": data}


def _file_source(part: JsonObject) -> JsonObject | None:
    file_id, url = file_source(part)
    return {"type": "file", "file_id": file_id} if file_id else _source(url)
