"""Answers and stream chunks of the chat completions API as messages. Everything is read by shape, objects and dicts alike."""

from __future__ import annotations

import json
from typing import Any, cast

from tracer.chat.messages import AIMessage, AIMessageChunk, InvalidToolCall, ToolCall, ToolCallChunk, UsageMetadata, tool_call
from tracer.chat.results import ChatGeneration

JsonObject = dict[str, Any]

CUSTOM_CALLS = "custom_tool_calls"
"""Key of `additional_kwargs` for tool calls that are no function calls; they are sent back as they came."""


def read(value: Any, name: str) -> Any:
    """A field of an object or of a dict; None where there is none."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]


def plain(value: Any) -> Any:
    """Objects of an SDK as dicts and lists."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in cast("JsonObject", value).items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("list[Any]", value)]
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        # `exclude_unset` keeps the object as it came: no nulls for fields that the provider did not send.
        return dump(exclude_unset=True, warnings=False)
    return plain(vars(value)) if hasattr(value, "__dict__") else value


def answer_message(data: Any) -> AIMessage:
    """The message of an assistant: of a choice, or of a request dict."""
    message = AIMessage(read(data, "content") or "")
    if calls := read(data, "tool_calls"):
        _read_calls(message, calls)
    extra = message.additional_kwargs
    for name in ("function_call", "refusal", "audio", "annotations", "reasoning_content", "reasoning", "parsed"):
        value = read(data, name)
        if value:
            extra[name] = value if name == "parsed" else plain(value)
    return message


def _read_calls(message: AIMessage, calls: list[Any]) -> None:
    for call in calls:
        function = read(call, "function")
        if function is None:
            message.additional_kwargs.setdefault(CUSTOM_CALLS, []).append(plain(call))
            continue
        parsed = _parsed_call(read(function, "name"), read(function, "arguments"), read(call, "id"))
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
    asked = read(usage, "prompt_tokens") or 0
    answered = read(usage, "completion_tokens") or 0
    total = read(usage, "total_tokens")
    given = read(usage, "prompt_tokens_details")
    made = read(usage, "completion_tokens_details")
    return {
        "input_tokens": asked,
        "output_tokens": answered,
        "total_tokens": asked + answered if total is None else total,
        "input_token_details": _details(
            given, ("audio", "audio_tokens"), ("cache_read", "cached_tokens"), ("cache_creation", "cache_write_tokens")
        ),
        "output_token_details": _details(made, ("audio", "audio_tokens"), ("reasoning", "reasoning_tokens")),
    }


def _details(counts: Any, *names: tuple[str, str]) -> dict[str, int]:
    if not counts:
        return {}
    return {ours: value for ours, theirs in names if (value := read(counts, theirs)) is not None}


def read_answer(answer: Any) -> list[ChatGeneration]:
    """All choices of a `chat.completion`, an object of an SDK or a dict.

    Raises ValueError if it has no choices, naming the error that stands in their place.
    """
    choices = read(answer, "choices")
    if not choices:
        problem = read(answer, "error")
        shown = plain(problem) if problem else f"{type(answer).__name__} without choices"
        raise ValueError(f"The endpoint's answer is no chat completion: {shown}")
    usage = read(answer, "usage")
    about = _about(answer)
    about["token_usage"] = plain(usage)
    generations: list[ChatGeneration] = []
    for choice in choices:
        info = _generation_info(choice)
        message = answer_message(read(choice, "message"))
        message.id = read(answer, "id")
        message.usage_metadata = usage_metadata(usage)
        message.response_metadata = {**about, **info}
        generations.append(ChatGeneration(message=message, generation_info=info))
    return generations


def _about(answer: Any) -> JsonObject:
    about: JsonObject = {"model_provider": "openai", "model_name": read(answer, "model")}
    for name in ("system_fingerprint", "service_tier", "id"):
        value = read(answer, name)
        if value is not None:
            about[name] = value
    return about


def _generation_info(choice: Any) -> JsonObject:
    info: JsonObject = {"finish_reason": read(choice, "finish_reason")}
    logprobs = read(choice, "logprobs")
    if logprobs:
        info["logprobs"] = plain(logprobs)
    return info


def read_chunk(chunk: Any) -> AIMessageChunk | None:
    """One `chat.completion.chunk`. None for pieces of other choices than the first, when several were asked for."""
    choices = read(chunk, "choices")
    choice = choices[0] if choices else None
    if choice is not None and read(choice, "index"):
        return None
    delta = read(choice, "delta") if choice is not None else None
    message = AIMessageChunk("" if delta is None else read(delta, "content") or "", id=read(chunk, "id") or None)
    usage = read(chunk, "usage")
    if usage:
        message.usage_metadata = usage_metadata(usage)
    if delta is not None:
        _read_delta(message, delta)
    if choice is not None:
        _read_finish(message, chunk, choice)
    return message


def _read_delta(message: AIMessageChunk, delta: Any) -> None:
    for name in ("function_call", "refusal", "audio", "reasoning_content", "reasoning"):
        value = read(delta, name)
        if value:
            message.additional_kwargs[name] = plain(value)
    calls = read(delta, "tool_calls")
    if calls:
        message.tool_call_chunks = [_call_chunk(call) for call in calls]
        message.__post_init__()


def _call_chunk(call: Any) -> ToolCallChunk:
    function = read(call, "function")
    return {
        "name": read(function, "name"),
        "args": read(function, "arguments"),
        "id": read(call, "id"),
        "index": read(call, "index"),
        "type": "tool_call_chunk",
    }


def _read_finish(message: AIMessageChunk, chunk: Any, choice: Any) -> None:
    logprobs = read(choice, "logprobs")
    if logprobs:
        message.response_metadata["logprobs"] = plain(logprobs)
    finish_reason = read(choice, "finish_reason")
    if finish_reason:
        message.response_metadata.update({**_about(chunk), "finish_reason": finish_reason})
