"""The chat model as LangChain's `BaseChatModel`. The only module that imports langchain-core; it is imported on `as_langchain()`."""

# LangChain is not among the dependencies, so the type checker does not know it.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUntypedBaseClass=false, reportUnknownParameterType=false, reportUntypedFunctionDecorator=false

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_core.utils.function_calling import convert_to_openai_tool

from tracer.chat.chat_openai import ChatOpenAI
from tracer.chat.config import Config
from tracer.chat.langchain import from_langchain, to_langchain
from tracer.chat.merging import add_counts
from tracer.chat.messages import AIMessage, AIMessageChunk
from tracer.chat.model import ChatModel
from tracer.chat.results import LLMResult
from tracer.chat.structured import binding_for, structured_result
from tracer.chat.tools import name_of, tool_choice_for

_SHOWN = "ls_structured_output_format"
"""What LangChain tells tracers of the schema."""


class LangChainChatModel(BaseChatModel):
    """A `ChatModel` for everything in LangChain that asks for a model: agents, LCEL, LangGraph.

    Made by `ChatModel.as_langchain()`; with parameters instead of a chat model it makes a `ChatOpenAI` of them.
    """

    chat: Any
    """The chat model that makes the calls."""

    def __init__(self, chat: ChatModel | None = None, **parameters: Any) -> None:
        own = {name: parameters.pop(name) for name in tuple(parameters) if name in BaseChatModel.model_fields}
        own["chat"] = ChatOpenAI(**parameters) if chat is None else chat
        super().__init__(**own)

    @property
    def _llm_type(self) -> str:
        return "tracer-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.chat.model, **self.chat.parameters}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        parameters = {**self.chat.parameters, **kwargs}
        values = {
            "ls_provider": self.chat.provider,
            "ls_model_type": "chat",
            "ls_model_name": parameters.get("model"),
            "ls_temperature": parameters.get("temperature"),
            "ls_max_tokens": parameters.get("max_tokens") or parameters.get("max_completion_tokens"),
            "ls_stop": stop or parameters.get("stop"),
        }
        return {name: value for name, value in values.items() if value is not None}

    def _generate(self, messages: list[Any], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any) -> Any:
        return _result(self.chat.generate([messages], stop, config=_config(run_manager), **_asked(kwargs)))

    async def _agenerate(self, messages: list[Any], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any) -> Any:
        return _result(await self.chat.agenerate([messages], stop, config=_config(run_manager), **_asked(kwargs)))

    def _stream(self, messages: list[Any], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
        pieces = self.chat.stream(messages, _config(run_manager), stop=stop, **_asked(kwargs))
        try:
            for piece in pieces:
                yield _piece(piece)
        finally:
            pieces.close()

    async def _astream(
        self, messages: list[Any], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        pieces = self.chat.astream(messages, _config(run_manager), stop=stop, **_asked(kwargs))
        try:
            async for piece in pieces:
                yield _piece(piece)
        finally:
            await pieces.aclose()

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        usage: dict[str, Any] = {}
        for output in llm_outputs:
            add_counts(usage, (output or {}).get("token_usage") or {})
        return {"token_usage": usage, "model_name": self.chat.model}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: Any = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """The model with tools, whatever LangChain takes for one; `tool_choice` as in `ChatModel.bind_tools`."""
        definitions = [convert_to_openai_tool(tool, strict=strict) for tool in tools]
        choice = tool_choice_for(tool_choice, definitions)
        return self.bind(tools=definitions, **({} if choice is None else {"tool_choice": choice}), **kwargs)

    def with_structured_output(
        self, schema: Any = None, *, include_raw: bool = False, method: str = "json_schema", strict: bool | None = None, **kwargs: Any
    ) -> Any:
        """The model answering with objects; arguments as in `ChatModel.with_structured_output`."""
        binding = binding_for(schema, method, strict=strict)
        shown = {"kwargs": {"method": method, "strict": strict}, "schema": _shown_schema(schema)}
        return self.structured({**binding, _SHOWN: shown, **kwargs}, schema, method, include_raw=include_raw)

    def structured(self, parameters: dict[str, Any], schema: Any, method: str, *, include_raw: bool) -> Any:
        """The model with `parameters`, and behind it the reading of its answers as objects."""

        def read_object(message: Any) -> Any:
            return structured_result(_answer(message), message, schema, method, include_raw=include_raw)

        return self.bind(**parameters) | RunnableLambda(read_object, name="StructuredOutput")


def _shown_schema(schema: Any) -> Any:
    tool = convert_to_openai_tool(schema) if schema is not None else None
    return tool if tool is None or name_of(tool) else schema


def _answer(message: Any) -> AIMessage:
    converted = from_langchain(message)
    return converted if isinstance(converted, AIMessage) else AIMessage(converted.content)


def _asked(parameters: dict[str, Any]) -> dict[str, Any]:
    """What is asked of the model: langchain-core before 0.3.42 hands on what is for tracers."""
    return {name: value for name, value in parameters.items() if name != _SHOWN}


def _config(run_manager: Any) -> Config | None:
    """The run's own id and tags, so that the record bears the same. LangChain does not pass a manager to streams."""
    if run_manager is None:
        return None
    metadata = {key: value for key, value in (run_manager.metadata or {}).items() if not key.startswith(("ls_", "langgraph_", "__"))}
    return {"run_id": run_manager.run_id, "tags": list(run_manager.tags or ()), "metadata": metadata}


def _result(result: LLMResult) -> Any:
    generations = [
        ChatGeneration(message=to_langchain(item.message), generation_info=item.generation_info) for item in result.generations[0]
    ]
    return ChatResult(generations=generations, llm_output=result.llm_output)


def _piece(piece: AIMessageChunk) -> Any:
    message = to_langchain(piece)
    finish = piece.response_metadata.get("finish_reason")
    return ChatGenerationChunk(message=message, generation_info={"finish_reason": finish} if finish else None)


LangChainChatModel.model_rebuild()
