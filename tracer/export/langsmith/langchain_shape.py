"""Runs of LangChain's models, and of our own chat models, in the shape in which LangChain's own tracer sends them.

Messages are constructors of LangChain's classes (`lc`, `type`, `id`, `kwargs`). They are made here from what was kept of them, in the
worker: LangChain's own way of writing them would cost the caller.
"""

from __future__ import annotations

from typing import cast
from uuid import UUID

import orjson

from tracer.call import Call
from tracer.export.langsmith.usage import usage_metadata
from tracer.reading.generation import Generation
from tracer.reading.json_text import parse

Json = dict[str, object]

_MESSAGES = ["langchain", "schema", "messages"]
_CLASSES = {
    "human": "HumanMessage",
    "ai": "AIMessage",
    "system": "SystemMessage",
    "tool": "ToolMessage",
    "function": "FunctionMessage",
    "chat": "ChatMessage",
    "remove": "RemoveMessage",
}
_TYPES = {"user": "human", "assistant": "ai", "system": "system", "developer": "system", "tool": "tool", "function": "function"}
_ANSWERS = ("ai", "AIMessageChunk")
_OPENAI_MODEL = ["langchain", "chat_models", "openai"]
_NOT_PARAMETERS = ("messages", "metadata")


def told_of(call: Call) -> tuple[Json, Json]:
    """What was asked and what came of it, as the callbacks told it."""
    return _json(call.input_json), _json(call.output_json)


def told_of_client(call: Call, generation: Generation) -> tuple[Json, Json]:
    """The same of a client's call that one of our chat models made."""
    request, answer = generation.request or {}, generation.answer
    messages = [_plain(message) for message in _objects(request.get("messages"))]
    parameters: Json = {name: value for name, value in request.items() if name not in _NOT_PARAMETERS}
    if call.asked_usage:
        parameters.pop("stream_options", None)
    parameters.setdefault("stream", False)
    parameters.update(model_name=request.get("model"), _type="openai-chat")
    asked: Json = {"messages": messages, "parameters": parameters, "stop": request.get("stop"), "batch_size": 1}
    if answer is None:
        return asked, {}
    usage = usage_metadata(generation)
    generations = [_generation(call, choice, answer, usage) for choice in _objects(answer.get("choices"))]
    said = {"token_usage": answer.get("usage"), **_said(answer)} if not call.streaming else None
    return asked, {"generations": generations, "llm_output": said}


def inputs_of(told: Json) -> Json:
    """`inputs` of a model's run."""
    messages = _objects(told.get("messages"))
    if told.get("texts"):
        return {"prompts": [message.get("content") for message in messages]}
    return {"messages": [[_constructor(message) for message in messages]]}


def outputs_of(told: Json, streaming: bool) -> Json | None:
    """`outputs` of a model's run; None where nothing came."""
    if "generations" not in told:
        return None
    generations = _objects(told["generations"])
    kind = "GenerationChunk" if streaming else "Generation"
    shown: list[Json] = []
    for item in generations:
        message = item.get("message")
        made: Json = {"text": item.get("text"), "generation_info": item.get("generation_info") or None, "type": kind}
        if isinstance(message, dict):
            made |= {"type": f"Chat{kind}", "message": _constructor(cast("Json", message))}
        shown.append(made)
    return {"generations": [shown], "llm_output": told.get("llm_output") or None, "run": None, "type": "LLMResult"}


def extra_of(told: Json, result: Json) -> Json:
    """What stands beside metadata and runtime."""
    extra: Json = {
        "invocation_params": told.get("parameters") or {},
        "options": {"stop": told.get("stop")},
        "batch_size": told.get("batch_size") or 1,
    }
    calls = sum(len(_objects(_object(item.get("message")).get("tool_calls"))) for item in _objects(result.get("generations")))
    if calls:
        extra["tool_call_count"] = calls
    return extra


def metadata_of(told: Json, result: Json, show_parameters: bool) -> Json:
    """The `ls_*` entries, the parameters, and the usage."""
    parameters = {name: value for name, value in _object(told.get("parameters")).items() if name not in ("tools", "functions")}
    settings = _object(told.get("settings"))
    metadata: Json = {**parameters, **settings} if show_parameters else {k: v for k, v in settings.items() if k != "ls_stop"}
    for item in _objects(result.get("generations")):
        usage = _object(item.get("message")).get("usage_metadata")
        if usage:
            metadata["usage_metadata"] = usage
            break
    return metadata


def settings_of(metadata: Json) -> Json:
    """The `ls_*` entries that LangChain's model would have told, from those of the client's call."""
    names = ("ls_provider", "ls_model_name", "ls_model_type", "ls_temperature", "ls_max_tokens", "ls_stop")
    return {**{name: metadata[name] for name in names if name in metadata}, "ls_integration": "langchain_chat_model"}


def serialized_of(call: Call, told: Json) -> Json:
    """The constructor of one of our chat models, as LangChain's model of that name is written. The key is named, never shown."""
    parameters = _object(told.get("parameters"))
    settings = {name: parameters[name] for name in ("model_name", "temperature", "max_tokens", "top_p", "n", "seed") if name in parameters}
    secret: Json = {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}
    name = "AzureChatOpenAI" if call.azure else "ChatOpenAI"
    return {"lc": 1, "type": "constructor", "id": [*_OPENAI_MODEL, name], "kwargs": {**settings, "openai_api_key": secret}, "name": name}


def _constructor(told: Json) -> Json:
    kind = str(told.get("type") or "")
    values: Json = {"content": told.get("content"), "type": kind}
    values.update((name, value) for name, value in told.items() if value is not None and name not in values)
    if kind in _ANSWERS:
        values = {"tool_calls": [], "invalid_tool_calls": [], **values}
    return {"lc": 1, "type": "constructor", "id": [*_MESSAGES, _CLASSES.get(kind, kind)], "kwargs": values}


# From OpenAI's wire.


def _generation(call: Call, choice: Json, answer: Json, usage: Json | None) -> Json:
    message = _plain(_object(choice.get("message")))
    info: Json = {"finish_reason": choice.get("finish_reason"), "logprobs": choice.get("logprobs")}
    metadata = {**_said(answer), **info, "model_provider": "openai"}
    run = f"lc_run--{UUID(int=call.run_id)}"
    if call.streaming:
        message["type"] = "AIMessageChunk"
        del metadata["id"]
        if not message.get("additional_kwargs"):
            message.pop("additional_kwargs", None)
        info = {name: value for name, value in metadata.items() if value is not None and name != "model_provider"}
    else:
        metadata["token_usage"] = answer.get("usage")
        run = f"{run}-{choice.get('index') or 0}"
    message |= {"response_metadata": metadata, "usage_metadata": usage, "id": run}
    text = message.get("content")
    return {"text": text if isinstance(text, str) else "", "generation_info": info, "message": message}


def _said(answer: Json) -> Json:
    """What the provider said about the whole answer, under LangChain's names."""
    return {
        "model_provider": "openai",
        "model_name": answer.get("model"),
        "system_fingerprint": answer.get("system_fingerprint"),
        "id": answer.get("id"),
        **({"service_tier": answer["service_tier"]} if answer.get("service_tier") else {}),
    }


def _plain(message: Json) -> Json:
    """A message of OpenAI's wire under LangChain's names."""
    role = str(message.get("role") or "assistant")
    kind = _TYPES.get(role, "chat")
    plain: Json = {"type": kind, "content": message.get("content") if message.get("content") is not None else ""}
    plain.update((name, message[name]) for name in ("name", "tool_call_id") if message.get(name))
    if kind == "chat":
        plain["role"] = role
    elif kind == "tool":
        plain["status"] = "success"
    calls = [_tool_call(item) for item in _objects(message.get("tool_calls"))]
    if calls:
        plain["tool_calls"] = calls
    extra = {name: message[name] for name in ("refusal", "audio", "function_call", "reasoning_content") if message.get(name)}
    if kind == "ai" and (extra or "refusal" in message):
        plain["additional_kwargs"] = extra
    return plain


def _tool_call(told: Json) -> Json:
    function = _object(told.get("function"))
    text = function.get("arguments")
    try:
        arguments: object = parse(text) if isinstance(text, str) and text else {}
    except ValueError:
        arguments = text
    return {"name": function.get("name"), "args": arguments, "id": told.get("id"), "type": "tool_call"}


def _json(data: bytes | None) -> Json:
    value: object = orjson.loads(data) if data else {}
    return _object(value)


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _objects(value: object) -> list[Json]:
    return [cast("Json", item) for item in cast("list[object]", value) if isinstance(item, dict)] if isinstance(value, list) else []
