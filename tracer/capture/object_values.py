"""What is asked of any object and what it answers, as plain values in the shape of LangChain's runs, by shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from tracer.capture.jsonable import to_json
from tracer.capture.langchain_values import plain_message, plain_parameters, plain_result

_INPUTS = ("input", "inputs", "prompt", "prompts", "messages", "query", "question")
_MODEL_NAMES = ("model_name", "model", "model_id")


def request_json(inner: Any, args: tuple[Any, ...], kwargs: dict[str, Any], many: bool) -> bytes:
    """The request of a call as JSON, made at once: messages, and the parameters on the allow-list."""
    given = given_input(args, kwargs)
    groups: list[Any] = list(cast("Sequence[Any]", given)) if many and isinstance(given, list | tuple) else [given]
    parameters = plain_parameters({**{name: getattr(inner, name, None) for name in ("temperature", "max_tokens")}, **kwargs})
    if "model" not in parameters:
        parameters["model"] = model_of(inner)
    return to_json({"messages": [message for group in groups for message in plain_messages(group)], "parameters": parameters})


def given_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What was asked: the first argument, or the one that has the name of an input."""
    return args[0] if args else next((kwargs[name] for name in _INPUTS if name in kwargs), None)


def model_of(inner: Any) -> str | None:
    """The model that the object says it asks."""
    return next((value for value in (getattr(inner, name, None) for name in _MODEL_NAMES) if isinstance(value, str)), None)


def plain_messages(given: Any) -> list[dict[str, Any]]:
    """The messages of one input: a text, a message, a list of messages, or anything else as the JSON that it is."""
    to_messages = getattr(given, "to_messages", None)
    if callable(to_messages):
        given = to_messages()
    if isinstance(given, list | tuple) and given and not _is_pair(given):
        return [_message(item) for item in cast("Sequence[Any]", given)]
    return [] if given is None else [_message(given)]


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, tuple) and len(cast("tuple[Any, ...]", value)) == 2 and all(isinstance(item, str) for item in cast("Any", value))
    )


def _message(item: Any) -> dict[str, Any]:
    if isinstance(item, str):
        return {"type": "human", "content": item}
    if _is_pair(item):
        return {"type": item[0], "content": item[1]}
    values: Mapping[str, Any] = cast("Any", item) if isinstance(item, Mapping) else {}
    if "content" in values or "role" in values:
        return {**values, "type": values.get("type") or values.get("role") or "human"}
    item = cast("Any", item)
    if hasattr(item, "content"):
        plain = plain_message(item)
        plain["type"] = plain["type"] or getattr(item, "role", None) or "human"
        return plain
    return {"type": "human", "content": to_json(item).decode()}


def answer_json(results: Sequence[Any]) -> bytes:
    """What came of a call, or of each input of a batch, as JSON."""
    generations: list[Any] = []
    said: dict[str, Any] = {}
    for result in results:
        if hasattr(result, "generations"):
            plain = plain_result(result)
            generations += plain["generations"]
            said.update(plain["llm_output"])
        else:
            generations.append(_generation(result))
    return to_json({"generations": generations, "llm_output": said})


def piece_json(piece: Any) -> bytes:
    """A piece of a stream as JSON; whoever reads them adds them up."""
    if hasattr(piece, "content"):
        plain = plain_message(piece)
        calls = getattr(piece, "tool_call_chunks", None)
        return to_json({**plain, "tool_call_chunks": calls} if calls else plain)
    return to_json(piece)


def piece_kind_of(piece: Any) -> str:
    """What a piece brings: text, tool_call or other."""
    if isinstance(piece, str):
        return "text"
    if getattr(piece, "tool_call_chunks", None):
        return "tool_call"
    content = getattr(piece, "content", None)
    if isinstance(content, str) and content:
        return "text"
    return "other"


def _generation(result: Any) -> dict[str, Any]:
    if result is None:
        return {"text": ""}
    if isinstance(result, str):
        return {"text": result, "message": {"type": "ai", "content": result}}
    if isinstance(result, BaseException):
        return {"text": "", "generation_info": {"finish_reason": "error"}}
    completion = _completion(result)
    if completion is not None:
        return {"completion": completion}
    message = _message(result)
    message["type"] = "ai"
    return {"text": message["content"] if isinstance(message.get("content"), str) else "", "message": message}


def _completion(result: Any) -> Any:
    """An answer in the shape of OpenAI's interface is read as what it is."""
    choices: Any = cast("Any", result).get("choices") if isinstance(result, Mapping) else getattr(result, "choices", None)
    return cast("Any", result) if isinstance(choices, list | tuple) else None
