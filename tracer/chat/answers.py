"""Answers and stream chunks of the chat completions API as messages. Everything is read by shape, objects and dicts alike."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, cast

from tracer.chat.messages import AIMessage, AIMessageChunk, Content, InvalidToolCall, ToolCall, ToolCallChunk, UsageMetadata, tool_call
from tracer.chat.results import ChatGeneration

JsonObject = dict[str, Any]

CUSTOM_CALLS = "custom_tool_calls"
"""Key of `additional_kwargs` for tool calls that are no function calls; they are sent back as they came."""


class _Attributes:
    """The attributes of any object in the manner of a dict."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def get(self, name: str) -> Any:
        return getattr(self._value, name, None)


def fields_of(value: Any) -> Any:
    """Something whose `get(name)` gives a field of `value`, an object or a dict, or None where there is none.

    Of pydantic objects it is the dict behind them: a field that they have not costs microseconds when asked for as an attribute.
    """
    if isinstance(value, dict):
        return cast("JsonObject", value)
    if not _is_pydantic(cast("type[object]", type(value))):
        return _Attributes(value)
    return {**value.__dict__, **value.__pydantic_extra__} if value.__pydantic_extra__ else value.__dict__


def read(value: Any, name: str) -> Any:
    """A field of an object or of a dict; None where there is none."""
    return fields_of(value).get(name)


@cache
def _is_pydantic(kind: type) -> bool:
    return hasattr(kind, "__pydantic_extra__") and hasattr(kind, "model_dump")


_SIMPLE = frozenset({str, int, float, bool})
_TEXTS_AND_NUMBERS = (str, int, float)


def plain(value: Any) -> Any:
    """Objects of an SDK as dicts and lists, without the fields that the provider did not send."""
    kind = cast("type[object]", type(value))
    if value is None or kind in _SIMPLE:
        return value
    if not isinstance(value, dict) and _is_pydantic(kind):
        sent: set[str] = value.__pydantic_fields_set__
        kept = {
            name: item if item is None or type(item) in _SIMPLE else plain(item) for name, item in value.__dict__.items() if name in sent
        }
        return {**kept, **plain(value.__pydantic_extra__)} if value.__pydantic_extra__ else kept
    if isinstance(value, _TEXTS_AND_NUMBERS):
        return value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in cast("JsonObject", value).items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("list[Any]", value)]
    return plain(vars(value)) if hasattr(value, "__dict__") else value


_BESIDE_THE_TEXT = ("function_call", "refusal", "audio", "annotations", "reasoning_content", "reasoning", "parsed")
_ABOUT = ("system_fingerprint", "service_tier", "id")


def answer_message(data: Any) -> AIMessage:
    """The message of an assistant: of a choice, or of a request dict."""
    fields = fields_of(data)
    message = AIMessage(_content(fields.get("content")))
    if calls := fields.get("tool_calls"):
        _read_calls(message, calls)
    for name in _BESIDE_THE_TEXT:
        if value := fields.get(name):
            message.additional_kwargs[name] = value if name == "parsed" else plain(value)
    return message


def _content(value: Any) -> Content:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return plain(value)
    return "" if value is None else str(value)


def _read_calls(message: AIMessage, calls: list[Any]) -> None:
    for call in calls:
        fields = fields_of(call)
        if fields.get("function") is None:
            message.additional_kwargs.setdefault(CUSTOM_CALLS, []).append(plain(call))
            continue
        function = fields_of(fields.get("function"))
        parsed = _parsed_call(function.get("name"), function.get("arguments"), fields.get("id"))
        if parsed["type"] == "tool_call":
            message.tool_calls.append(cast("ToolCall", parsed))
        else:
            message.invalid_tool_calls.append(cast("InvalidToolCall", parsed))


def _parsed_call(name: Any, arguments: Any, id: Any) -> ToolCall | InvalidToolCall:  # noqa: A002
    error = "the arguments are not a JSON object"
    args: Any = arguments
    try:
        if not isinstance(arguments, dict):
            args = json.loads(arguments or "{}", strict=False)
    except (ValueError, TypeError) as failure:
        error = str(failure)
    if isinstance(args, dict):
        return tool_call(name, cast("JsonObject", args), id)
    return InvalidToolCall(name=name, args=cast("str | None", arguments), id=id, error=error, type="invalid_tool_call")


def usage_metadata(usage: Any) -> UsageMetadata | None:
    """Token counts of an answer in the neutral form; details only as far as they were reported."""
    if not usage:
        return None
    fields = fields_of(usage)
    asked = fields.get("prompt_tokens") or 0
    answered = fields.get("completion_tokens") or 0
    total = fields.get("total_tokens")
    return {
        "input_tokens": asked,
        "output_tokens": answered,
        "total_tokens": asked + answered if total is None else total,
        "input_token_details": _details(fields.get("prompt_tokens_details"), _INPUT_DETAILS),
        "output_token_details": _details(fields.get("completion_tokens_details"), _OUTPUT_DETAILS),
    }


_INPUT_DETAILS = (("audio", "audio_tokens"), ("cache_read", "cached_tokens"), ("cache_creation", "cache_write_tokens"))
_OUTPUT_DETAILS = (("audio", "audio_tokens"), ("reasoning", "reasoning_tokens"))


def _details(counts: Any, names: tuple[tuple[str, str], ...]) -> dict[str, int]:
    if not counts:
        return {}
    fields = fields_of(counts)
    return {ours: value for ours, theirs in names if (value := fields.get(theirs)) is not None}


def read_answer(answer: Any) -> list[ChatGeneration]:
    """All choices of a `chat.completion`, an object of an SDK or a dict.

    Raises ValueError if it has no choices, naming the error that stands in their place.
    """
    fields = fields_of(answer)
    choices = fields.get("choices")
    if not choices:
        problem = fields.get("error")
        shown = plain(problem) if problem else f"{type(answer).__name__} without choices"
        raise ValueError(f"The endpoint's answer is no chat completion: {shown}")
    usage = fields.get("usage")
    about = _about(fields)
    about["token_usage"] = token_usage = plain(usage)
    generations: list[ChatGeneration] = []
    for choice in choices:
        choice_fields = fields_of(choice)
        info = _generation_info(choice_fields)
        message = answer_message(choice_fields.get("message"))
        message.id = fields.get("id")
        message.usage_metadata = usage_metadata(token_usage)
        message.response_metadata = {**about, **info}
        generations.append(ChatGeneration(message=message, generation_info=info))
    return generations


def _about(fields: Any) -> JsonObject:
    about: JsonObject = {"model_provider": "openai", "model_name": fields.get("model")}
    for name in _ABOUT:
        value = fields.get(name)
        if value is not None:
            about[name] = value
    return about


def _generation_info(fields: Any) -> JsonObject:
    info: JsonObject = {"finish_reason": fields.get("finish_reason")}
    if logprobs := fields.get("logprobs"):
        info["logprobs"] = plain(logprobs)
    return info


def read_chunk(chunk: Any) -> AIMessageChunk | None:
    """One `chat.completion.chunk`. None for pieces of other choices than the first, when several were asked for."""
    text = _text_of(chunk)
    if text is not None:
        return AIMessageChunk(text, id=chunk.id)
    fields = fields_of(chunk)
    choices = fields.get("choices")
    choice: Any = fields_of(choices[0]) if isinstance(choices, list) and choices else {}
    index = choice.get("index")
    if index and isinstance(index, int):
        return None
    delta = fields_of(choice.get("delta"))
    message = AIMessageChunk(_content(delta.get("content")), id=fields.get("id") or None)
    usage = fields.get("usage")
    if usage is not None:
        message.usage_metadata = usage_metadata(usage)
    _read_delta(message, delta)
    if choice.get("logprobs"):
        message.response_metadata["logprobs"] = plain(choice.get("logprobs"))
    if finish_reason := choice.get("finish_reason"):
        message.response_metadata.update({**_about(fields), "finish_reason": finish_reason})
    return message


def _text_of(chunk: Any) -> str | None:
    """The text of the usual chunk of an SDK, one that has a piece of text and nothing else; None for all others.

    A shortcut: it halves what reading costs for each piece of a stream.
    """
    try:
        (choice,) = chunk.choices
        fields = choice.__dict__
        delta = fields["delta"]
        said = delta.__dict__
        text = said["content"]
        if fields["index"] or fields["finish_reason"] or fields["logprobs"] or delta.__pydantic_extra__ or chunk.usage:
            return None
    except (AttributeError, TypeError, ValueError, KeyError):
        return None
    for name, value in said.items():
        if value and name != "content" and name != "role":
            return None
    return text if isinstance(text, str) else None


def _read_delta(message: AIMessageChunk, delta: Any) -> None:
    for name in _BESIDE_THE_TEXT:
        if value := delta.get(name):
            message.additional_kwargs[name] = plain(value)
    if calls := delta.get("tool_calls"):
        message.tool_call_chunks = [_call_chunk(fields_of(call)) for call in calls]
        message.__post_init__()


def _call_chunk(call: Any) -> ToolCallChunk:
    function = fields_of(call.get("function"))
    return {
        "name": function.get("name"),
        "args": function.get("arguments"),
        "id": call.get("id"),
        "index": call.get("index"),
        "type": "tool_call_chunk",
    }
