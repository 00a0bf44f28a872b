"""Runs of SDK clients in the shape in which LangSmith's own wrappers of these clients send them: the request as inputs, the answer as
outputs, `usage_metadata` in the place of `usage`.

A request is not written again where its bytes can go on as they are.
"""

from __future__ import annotations

from typing import Any, cast

from tracer.call import EMBEDDING, LLM, Call
from tracer.export.values import json_bytes
from tracer.reading.generation import Generation

Json = dict[str, object]

_USAGE_OPTIONS = "stream_options"
_OUR_QUESTION = b',"stream_options":{"include_usage":true}}'
"""How a body ends that our question for usage was added to."""

_INVOCATION = (
    "frequency_penalty",
    "n",
    "logit_bias",
    "logprobs",
    "modalities",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stream_options",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "verbosity",
    "web_search_options",
)

_ANY_INVOCATION = frozenset(_INVOCATION)

_NAMES = {
    "chat": ("ChatOpenAI", "AzureChatOpenAI"),
    "responses": ("ChatOpenAI", "AzureChatOpenAI"),
    "completions": ("OpenAI", "AzureOpenAI"),
    "embeddings": ("OpenAIEmbeddings", "AzureOpenAIEmbeddings"),
    "messages": ("ChatAnthropic", "ChatAnthropic"),
}
_PROVIDERS = {"azure.ai.openai": "azure", "aws.bedrock": "amazon_bedrock", "gcp.vertex_ai": "google_vertexai"}
"""Providers that LangSmith's price table has under other names."""


def name_of(call: Call) -> str | None:
    """What a model call of an SDK is called; None for anything else.

    >>> name_of(Call(1, 1, 1, operation="responses", azure=True))
    'AzureChatOpenAI'
    """
    names = _NAMES.get(call.operation)
    return names[call.azure] if names is not None else None


def provider_of(generation: Generation) -> str:
    """`ls_provider`."""
    return _PROVIDERS.get(generation.provider, generation.provider)


def inputs_of(call: Call, generation: Generation) -> bytes:
    """The request as the caller made it."""
    request, sent = generation.request, generation.request_json
    if request is None:
        return b"{}"
    if not call.asked_usage:
        return sent if sent is not None else json_bytes(request)
    if sent is not None and sent.endswith(_OUR_QUESTION):
        return sent[: -len(_OUR_QUESTION)] + b"}"
    return json_bytes(_without_our_question(request))


def outputs_of(call: Call, generation: Generation, usage: Json | None) -> bytes | None:
    """The answer; None where there was none. `usage`: what `usage_metadata` says of it."""
    if generation.answer is None:
        return None
    answer = dict(generation.answer)
    if call.operation != "completions":
        answer.pop("usage", None)
    if call.operation == "responses":
        answer = cast("Json", _without_nulls(answer))
    elif call.streaming and call.operation == "chat":
        answer["object"] = "chat.completion.chunk"
        answer["choices"] = [_folded(choice) for choice in _objects(answer.get("choices"))]
    if usage is not None or call.operation == "chat":
        answer["usage_metadata"] = usage
    return json_bytes(answer)


def metadata_of(call: Call, generation: Generation, show_parameters: bool) -> Json:
    """The `ls_*` entries, and the request's own metadata. Parameters that may quote content are left out where that is hidden."""
    request = _without_our_question(generation.request or {}) if call.asked_usage else generation.request or {}
    own = request.get("metadata")
    metadata: Json = dict(cast("Json", own)) if isinstance(own, dict) and show_parameters else {}
    stop = request.get("stop") if "stop" in request else request.get("stop_sequences")
    parameters = {} if _ANY_INVOCATION.isdisjoint(request) else {name: request[name] for name in _INVOCATION if name in request}
    if call.operation == "responses":
        parameters["use_responses_api"] = True
    found: Json = {
        "ls_provider": provider_of(generation),
        "ls_model_type": _model_type(call),
        "ls_model_name": request.get("model") or generation.request_model,
        "ls_temperature": request.get("temperature"),
        "ls_max_tokens": request.get("max_tokens") or request.get("max_completion_tokens") or request.get("max_output_tokens") or None,
        "ls_stop": ([stop] if isinstance(stop, str) else stop) if show_parameters else None,
        "ls_invocation_params": parameters if show_parameters and call.kind == LLM else None,
    }
    metadata |= {name: value for name, value in found.items() if value is not None}
    if call.root_run_id in (0, call.run_id):
        metadata["ls_agent_type"] = "root"
    return metadata


def _model_type(call: Call) -> str | None:
    if call.kind != LLM:
        return "embedding" if call.kind == EMBEDDING else None
    return "llm" if call.operation == "completions" else "chat"


def _without_our_question(request: Json) -> Json:
    """The request without what we added to have the usage of a stream."""
    options = request.get(_USAGE_OPTIONS)
    others = {name: value for name, value in cast("Json", options).items() if name != "include_usage"} if isinstance(options, dict) else {}
    kept = {name: value for name, value in request.items() if name != _USAGE_OPTIONS}
    return {**kept, _USAGE_OPTIONS: others} if others else kept


def _folded(choice: Json) -> Json:
    """A choice of a merged stream as the wrapper folds it: the message says something always, and its tool calls have their index."""
    message = dict(cast("Json", choice.get("message") or {}))
    if message.get("content") is None:
        message["content"] = ""
    calls = _objects(message.get("tool_calls"))
    if calls:
        message["tool_calls"] = [{"index": index, **call} for index, call in enumerate(calls)]
    return {**choice, "message": message}


def _objects(value: object) -> list[Json]:
    return [cast("Json", item) for item in cast("list[object]", value) if isinstance(item, dict)] if isinstance(value, list) else []


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in cast("dict[str, Any]", value).items() if item is not None}
    return [_without_nulls(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value
