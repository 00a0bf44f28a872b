"""Answers as objects: `with_structured_output`."""

# ruff: noqa: A002  (`input` is the name that LangChain's users pass)

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import TYPE_CHECKING, Any, cast

from tracer.chat.batching import run_all, run_all_async
from tracer.chat.composing import Composable
from tracer.chat.messages import AIMessage
from tracer.chat.tools import instance_of, is_pydantic, is_typed_dict, name_of, strict_schema, tool_definition

if TYPE_CHECKING:
    from tracer.chat.config import Config, Configs
    from tracer.chat.model import ChatModel

JsonObject = dict[str, Any]

METHODS = ("json_schema", "function_calling", "json_mode")


class StructuredOutputError(ValueError):
    """An answer that is not of the form asked for: refused, cut off, or wrong. `message` is the answer as it came."""

    def __init__(self, reason: str, message: AIMessage) -> None:
        super().__init__(reason)
        self.message = message


def binding_for(schema: Any, method: str, *, strict: bool | None = None) -> JsonObject:
    """The request parameters that ask for `schema`.

    Raises ValueError for an unknown method, TypeError for a schema that is none.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r} is none of {', '.join(METHODS)}")
    if method == "json_mode":
        return {"response_format": {"type": "json_object"}}
    if not (is_pydantic(schema) or is_typed_dict(schema) or isinstance(schema, dict)):
        raise TypeError(f"A schema is a pydantic class, a TypedDict or a JSON schema dict, not {schema!r}.")
    if method == "function_calling":
        definition = tool_definition(_as_tool(schema), strict=strict)
        choice = {"type": "function", "function": {"name": name_of(definition)}}
        return {"tools": [definition], "tool_choice": choice, "parallel_tool_calls": False}
    return {"response_format": _response_format(schema, strict)}


def _as_tool(schema: Any) -> Any:
    if isinstance(schema, dict):
        named = cast("JsonObject", schema).get("json_schema", schema)
        if "schema" in named and "name" in named:
            return {"name": named["name"], "description": named.get("description", ""), "parameters": named["schema"]}
    return cast("object", schema)


def _response_format(schema: Any, strict: bool | None) -> JsonObject:
    if isinstance(schema, dict):
        given = cast("JsonObject", schema)
        if given.get("type") == "json_schema":
            return given
        if "schema" in given and "name" in given:
            return {"type": "json_schema", "json_schema": given}
        wanted: JsonObject = {"name": given.get("title") or "answer", "schema": strict_schema(given) if strict else given}
        if "description" in given:
            wanted["description"] = given["description"]
    else:
        # Classes are made strict unless the caller says otherwise: then the API holds the model to the schema.
        strict = is_pydantic(schema) if strict is None else strict
        definition = tool_definition(schema, strict=strict)["function"]
        wanted = {"name": definition["name"], "schema": definition["parameters"]}
        if "description" in definition:
            wanted["description"] = definition["description"]
    if strict is not None:
        wanted["strict"] = strict
    return {"type": "json_schema", "json_schema": wanted}


def parse_answer(message: AIMessage, schema: Any, method: str) -> Any:
    """The object that an answer holds: an instance of a pydantic class, else a dict.

    Raises StructuredOutputError when there is none.
    """
    if refusal := message.additional_kwargs.get("refusal"):
        raise StructuredOutputError(f"The model refused: {refusal}", message)
    try:
        data = _data_of(message, method)
        return instance_of(schema, data) if is_pydantic(schema) else data
    except (ValueError, LookupError) as error:
        finish = message.response_metadata.get("finish_reason")
        hint = f" (finish reason {finish})" if finish in ("length", "content_filter") else ""
        raise StructuredOutputError(f"The answer does not fit the schema{hint}: {error}", message) from error


def _data_of(message: AIMessage, method: str) -> Any:
    if method != "function_calling":
        return json.loads(message.text)
    if message.invalid_tool_calls:
        raise ValueError(message.invalid_tool_calls[0]["error"])
    if not message.tool_calls:
        raise LookupError("it has no tool call")
    return message.tool_calls[0]["args"]


class StructuredModel(Composable):
    """A chat model whose answers are objects. Made by `ChatModel.with_structured_output`."""

    def __init__(self, model: ChatModel, schema: Any, method: str, *, include_raw: bool, base: ChatModel) -> None:
        self._model = model
        self._schema = schema
        self._method = method
        self._include_raw = include_raw
        self._base = base

    def invoke(self, input: Any, config: Config | None = None, **parameters: Any) -> Any:
        """The object for one input. Raises StructuredOutputError when the answer does not fit."""
        return self._parsed(self._model.invoke(input, config, **parameters))

    async def ainvoke(self, input: Any, config: Config | None = None, **parameters: Any) -> Any:
        """`invoke` without blocking."""
        return self._parsed(await self._model.ainvoke(input, config, **parameters))

    def stream(self, input: Any, config: Config | None = None, **parameters: Any) -> Generator[Any, None, None]:
        """One piece: an object is whole or none."""
        yield self.invoke(input, config, **parameters)

    async def astream(self, input: Any, config: Config | None = None, **parameters: Any) -> AsyncGenerator[Any, None]:
        """`stream` without blocking."""
        yield await self.ainvoke(input, config, **parameters)

    def batch(self, inputs: Sequence[Any], config: Configs = None, *, return_exceptions: bool = False, **parameters: Any) -> list[Any]:
        """`invoke` for each input, objects in the order of the inputs."""
        answers = self._model.batch(inputs, config, return_exceptions=return_exceptions, **parameters)
        return run_all(self._parsed_or_error, answers, max_concurrency=1, return_exceptions=return_exceptions)

    async def abatch(
        self, inputs: Sequence[Any], config: Configs = None, *, return_exceptions: bool = False, **parameters: Any
    ) -> list[Any]:
        """`batch` without blocking."""

        async def parsed(answer: Any) -> Any:
            return self._parsed_or_error(answer)

        answers = await self._model.abatch(inputs, config, return_exceptions=return_exceptions, **parameters)
        return await run_all_async(parsed, answers, return_exceptions=return_exceptions)

    def as_langchain(self) -> Any:
        """The same as a LangChain runnable. Raises ImportError without langchain-core."""
        made = self._base.as_langchain()
        return made.structured(self._model.parameters, self._schema, self._method, include_raw=self._include_raw)

    def _parsed_or_error(self, answer: Any) -> Any:
        return answer if isinstance(answer, Exception) else self._parsed(answer)

    def _parsed(self, message: AIMessage) -> Any:
        return structured_result(message, message, self._schema, self._method, include_raw=self._include_raw)


def structured_result(message: AIMessage, raw: Any, schema: Any, method: str, *, include_raw: bool) -> Any:
    """What is given to the caller for one answer: the object, or with `include_raw` the answer (as `raw`), the object and the error."""
    if not include_raw:
        return parse_answer(message, schema, method)
    try:
        return {"raw": raw, "parsed": parse_answer(message, schema, method), "parsing_error": None}
    except StructuredOutputError as error:
        return {"raw": raw, "parsed": None, "parsing_error": error}
