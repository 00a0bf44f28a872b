"""LangChain's messages, results and parameters as plain JSON values, by shape: LangChain itself is not imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

_MESSAGE_FIELDS = (
    "name",
    "id",
    "tool_call_id",
    "tool_calls",
    "invalid_tool_calls",
    "usage_metadata",
    "response_metadata",
    "role",
    "status",
)

# What of a model's own parameters is recorded. Anything else (keys, headers, client arguments) stays where it is.
_PARAMETERS = (
    "model",
    "model_name",
    "model_id",
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "stop",
    "stop_sequences",
    "seed",
    "n",
    "frequency_penalty",
    "presence_penalty",
    "reasoning_effort",
    "reasoning",
    "service_tier",
    "response_format",
    "tools",
    "functions",
    "tool_choice",
    "stream",
    "_type",
)

# Of a message's response metadata: what the provider said about the answer. Headers and bodies of errors stay out.
_RESPONSE_METADATA = (
    "finish_reason",
    "stop_reason",
    "done_reason",
    "model_name",
    "model",
    "id",
    "system_fingerprint",
    "service_tier",
    "token_usage",
    "usage",
    "model_provider",
)


def plain_message(message: Any) -> dict[str, Any]:
    """A message of LangChain as a dict: type, content and what else it carries."""
    plain: dict[str, Any] = {"type": getattr(message, "type", None), "content": getattr(message, "content", message)}
    for field in _MESSAGE_FIELDS:
        value = getattr(message, field, None)
        if value:
            plain[field] = value
    metadata = plain.get("response_metadata")
    if isinstance(metadata, Mapping):
        plain["response_metadata"] = picked(cast("Mapping[str, Any]", metadata), _RESPONSE_METADATA)
    extra = getattr(message, "additional_kwargs", None)
    if isinstance(extra, Mapping) and extra:
        plain["additional_kwargs"] = picked(
            cast("Mapping[str, Any]", extra), ("function_call", "reasoning_content", "reasoning", "refusal", "audio", "tool_calls")
        )
    return plain


def picked(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The named entries that are there and not None."""
    return {name: values[name] for name in names if values.get(name) is not None}


def plain_parameters(parameters: Any) -> dict[str, Any]:
    """The invocation parameters on the allow-list."""
    return picked(cast("Mapping[str, Any]", parameters), _PARAMETERS) if isinstance(parameters, Mapping) else {}


def plain_constructor(serialized: dict[str, Any]) -> dict[str, Any]:
    """A model as LangChain writes its constructor, with the parameters on the allow-list and the names of its secrets."""
    given = serialized.get("kwargs")
    plain = {name: serialized[name] for name in ("lc", "type", "id", "name") if name in serialized}
    if isinstance(given, Mapping):
        settings = cast("Mapping[str, Any]", given)
        secrets = {name: value for name, value in settings.items() if _is_secret(value)}
        plain["kwargs"] = {**picked(settings, (*_PARAMETERS, "max_retries")), **secrets}
    return plain


def _is_secret(value: Any) -> bool:
    """LangChain's note that a secret stood here; it has the name of a variable."""
    if not isinstance(value, dict):
        return False
    noted = cast("dict[str, Any]", value)
    return set(noted) == {"lc", "type", "id"} and noted["type"] == "secret"


def plain_result(result: Any) -> dict[str, Any]:
    """A result of LangChain (`LLMResult`) as a dict: the generations of one prompt, and what the provider said about all."""
    groups = cast("list[Any]", getattr(result, "generations", None) or [])
    flat = [generation for group in groups for generation in (cast("list[Any]", group) if isinstance(group, list) else [group])]
    output = getattr(result, "llm_output", None)
    said = picked(cast("Mapping[str, Any]", output), _RESPONSE_METADATA) if isinstance(output, Mapping) else {}
    return {"generations": [_plain_generation(generation) for generation in flat], "llm_output": said}


def _plain_generation(generation: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {"text": getattr(generation, "text", ""), "generation_info": _info(generation)}
    message = getattr(generation, "message", None)
    if message is not None:
        plain["message"] = plain_message(message)
    return plain


def _info(generation: Any) -> dict[str, Any]:
    info = getattr(generation, "generation_info", None)
    return picked(cast("Mapping[str, Any]", info), _RESPONSE_METADATA) if isinstance(info, Mapping) else {}


def piece_kind(token: Any, chunk: Any) -> str | None:
    """What a streamed piece brings: text, reasoning, tool_call or other; None for LangChain's own end marker."""
    if isinstance(token, str) and token:
        return "text"
    message = getattr(chunk, "message", None)
    if message is None:
        return "other"
    if not token and getattr(message, "chunk_position", None) == "last" and not getattr(message, "usage_metadata", None):
        return None
    if getattr(message, "tool_call_chunks", None):
        return "tool_call"
    if isinstance(token, list) and token:
        first = cast("list[Any]", token)[0]
        kind = cast("dict[str, Any]", first).get("type") if isinstance(first, dict) else "text"
        return {"text": "text", "reasoning": "reasoning", "thinking": "reasoning", "tool_use": "tool_call"}.get(str(kind), "other")
    extra: Any = getattr(message, "additional_kwargs", None) or {}
    return "reasoning" if "reasoning_content" in extra or "reasoning" in extra else "other"


_EVENT_KINDS = {"text-delta": "text", "reasoning-delta": "reasoning", "tool-call-delta": "tool_call", "block-delta": "tool_call"}


def event_kind(event: Any) -> str | None:
    """What an event of LangChain's newer streaming protocol brings; None for those that only say where something begins or ends."""
    told: dict[str, Any] = cast("dict[str, Any]", event) if isinstance(event, dict) else {}
    delta: Any = told.get("delta")
    if told.get("event") != "content-block-delta" or not isinstance(delta, dict):
        return None
    return _EVENT_KINDS.get(str(cast("dict[str, Any]", delta).get("type")), "other")
