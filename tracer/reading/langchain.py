"""LangChain's model runs: what its callbacks told, in the shape of a chat completion, so that one reader serves both."""

from __future__ import annotations

import orjson

from tracer.call import Call
from tracer.reading.answer import read_answer
from tracer.reading.generation import Generation
from tracer.reading.json_text import parse
from tracer.reading.pieces import merge_pieces
from tracer.reading.providers import OPENAI, provider_of_call
from tracer.reading.request import read_request
from tracer.reading.values import Json, as_object

OPERATION = "langchain"
"""`Call.operation` of a model run seen through LangChain's callbacks."""

OBJECT = "object"
"""`Call.operation` of a call seen at an object's own verbs; it is told in the same shape."""

_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "chat": "user"}

_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "amazon_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "google_genai": "gcp.gen_ai",
    "google_generativeai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "mistralai": "mistral_ai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""`ls_provider` of LangChain where the conventions have another name."""

_SAME_NAMES = ("temperature", "top_p", "seed", "n", "frequency_penalty", "presence_penalty", "reasoning_effort", "tools", "functions")


def read_langchain(call: Call, generation: Generation) -> None:
    """Fill `generation` from what the callbacks told; what the client below saw fills only what is empty then."""
    read_asked(call, generation)
    generation.chunk_kinds = list(call.piece_kinds or ())
    result = as_object(parse(call.output_json or b"{}")) or {}
    answer = _answer(result) if result.get("generations") else merge_pieces(_list(result.get("pieces")), generation.problems)
    if answer is not None:
        generation.answer = answer
        read_answer(answer, "chat", generation)
        generation.system_fingerprint = generation.system_fingerprint or None


def read_asked(call: Call, generation: Generation) -> None:
    """The part of it that is known when the run begins."""
    told = as_object(parse(call.input_json or b"{}")) or {}
    settings = _object(told.get("settings"))
    request = _request(told, settings)
    generation.request = request
    read_request(request, "chat", generation)
    generation.api_type = None
    if call.streaming:
        generation.parameters["stream"] = True
    generation.provider = _provider(call, settings)


def take_from_client(call: Call, generation: Generation, inner: Generation | None) -> None:
    """What the client call that served this one saw on the wire: attempts and address, and usage and ids where none are known."""
    client = call.inner
    if client is None:
        return
    call.attempts = call.attempts or client.attempts
    call.server_host = call.server_host or client.server_host
    call.server_port = call.server_port or client.server_port
    if inner is None:
        return
    generation.usage = generation.usage or inner.usage
    generation.response_id = generation.response_id or inner.response_id
    generation.response_model = generation.response_model or inner.response_model
    generation.response_service_tier = generation.response_service_tier or inner.response_service_tier
    generation.system_fingerprint = generation.system_fingerprint or inner.system_fingerprint
    generation.request_model = generation.request_model or inner.request_model
    generation.api_type = generation.api_type or inner.api_type


def _object(value: object) -> Json:
    return as_object(value) or {}


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _provider(call: Call, settings: Json) -> str:
    named = settings.get("ls_provider")
    if isinstance(named, str) and named:
        if named == OPENAI and call.inner is not None:
            return provider_of_call(call.inner)
        return _PROVIDERS.get(named, named)
    return provider_of_call(call.inner) if call.inner is not None else "unknown"


def _request(told: Json, settings: Json) -> Json:
    given = _object(told.get("parameters"))
    request: Json = {name: given[name] for name in _SAME_NAMES if name in given}
    model = given.get("model") or given.get("model_name") or given.get("model_id") or settings.get("ls_model_name")
    if isinstance(model, str):
        request["model"] = model.removeprefix("models/")
    for name, sources in (
        ("max_tokens", (given.get("max_completion_tokens"), given.get("max_tokens"), settings.get("ls_max_tokens"))),
        ("stop", (given.get("stop"), given.get("stop_sequences"), settings.get("ls_stop"))),
        ("temperature", (request.get("temperature"), settings.get("ls_temperature"))),
    ):
        found = next((source for source in sources if source is not None), None)
        if found is not None:
            request[name] = found
    request["messages"] = [_message(_object(item)) for item in _list(told.get("messages"))]
    return request


def _message(told: Json) -> Json:
    """A message of LangChain as OpenAI writes it; calls of tools with their arguments as JSON text."""
    kind = str(told.get("type") or "")
    role = told.get("role") if kind == "chat" and told.get("role") else _ROLES.get(kind, kind)
    message: Json = {"role": role, "content": told.get("content")}
    for name in ("name", "tool_call_id"):
        if told.get(name):
            message[name] = told[name]
    extra = _object(told.get("additional_kwargs"))
    for name in ("reasoning_content", "reasoning", "refusal", "audio", "function_call"):
        if extra.get(name):
            message[name] = extra[name]
    calls = [_tool_call(_object(item)) for item in _list(told.get("tool_calls"))]
    if calls:
        message["tool_calls"] = calls
        # Anthropic's models have their calls among the content too.
        if isinstance(message["content"], list):
            message["content"] = [part for part in _list(told.get("content")) if _object(part).get("type") != "tool_use"]
    return message


def _tool_call(told: Json) -> Json:
    if isinstance(told.get("function"), dict):
        return told  # Written as OpenAI writes it already.
    arguments = told.get("args")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments if arguments is not None else {}).decode()
    return {"id": told.get("id"), "type": "function", "function": {"name": told.get("name"), "arguments": text}}


def _answer(result: Json) -> Json:
    said = _object(result.get("llm_output"))
    choices: list[Json] = []
    first_metadata: Json = {}
    usages: list[Json] = []
    for index, item in enumerate(_list(result.get("generations"))):
        told = _object(item)
        if isinstance(told.get("completion"), dict):
            return _object(told["completion"])
        message = _object(told.get("message"))
        metadata = {**_object(message.get("response_metadata")), **_object(told.get("generation_info"))}
        first_metadata = first_metadata or metadata
        if message.get("usage_metadata"):
            usages.append(_object(message["usage_metadata"]))
        written = _message(message) if message else {"role": "assistant", "content": told.get("text")}
        reason = next((metadata[name] for name in ("finish_reason", "stop_reason", "done_reason") if metadata.get(name)), None)
        choices.append({"index": index, "finish_reason": reason, "message": written})
    answer: Json = {"object": "chat.completion", "choices": choices}
    for name, sources in (
        ("id", ("id",)),
        ("model", ("model_name", "model")),
        ("system_fingerprint", ("system_fingerprint",)),
        ("service_tier", ("service_tier",)),
    ):
        for source in sources:
            value = said.get(source) or first_metadata.get(source)
            if value:
                answer[name] = value
                break
    usage = _object(said.get("token_usage")) or _object(said.get("usage")) or _usage(usages)
    if usage:
        answer["usage"] = usage
    return answer


def _usage(usages: list[Json]) -> Json:
    """LangChain's `usage_metadata` in OpenAI's spelling. Its input already includes cached tokens, for every provider."""
    if not usages:
        return {}
    usage = usages[0]
    inputs, outputs = _object(usage.get("input_token_details")), _object(usage.get("output_token_details"))
    written = inputs.get("cache_creation")
    return {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "prompt_tokens_details": {
            "cached_tokens": inputs.get("cache_read"),
            "cache_write_tokens": written if written is not None else inputs.get("cache_write"),
            "audio_tokens": inputs.get("audio"),
        },
        "completion_tokens_details": {"reasoning_tokens": outputs.get("reasoning"), "audio_tokens": outputs.get("audio")},
    }
