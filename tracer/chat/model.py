"""`ChatModel`: a chat client with the verbs invoke, stream, batch and generate, each call traced by the client itself.

Sync and async share everything before and after the call: `prepare` makes the request, the client's interface reads what
comes back; a verb is only the shell between them.
"""

# ruff: noqa: A002  (`input` is the name that LangChain's users pass)

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from typing import TYPE_CHECKING, Any

from tracer.chat.batching import run_all, run_all_async
from tracer.chat.calls import Prepared, prepare, result_of
from tracer.chat.clients import Clients
from tracer.chat.composing import Composable
from tracer.chat.config import Config, Configs, concurrency, for_each, merged
from tracer.chat.messages import AIMessage, AIMessageChunk
from tracer.chat.results import ChatGeneration, LLMResult
from tracer.chat.runlog import RunLogPatch, run_log
from tracer.scope import enter, leave

if TYPE_CHECKING:
    from typing_extensions import Self

    from tracer.chat.structured import StructuredModel


class ChatModel(Composable):
    """A chat model over a chat client; every call is recorded.

    `client` is a client of the OpenAI SDK (sync or async, Azure too) or of Anthropic's, or any object with `chat.completions.create`
    or `messages.create`; the user's own object stays as it is. For the other kind of call (async for a sync client) a client is made
    from its settings; where that is not possible, give it as `async_client`.

    `model` and `parameters` are those of the chat completions API (temperature, max_tokens …); `stream_usage=True` asks for token
    usage in streams. Parameters given to a call win over bound ones, and those over the model's; None unsets one. At an Anthropic
    client they may be in either spelling, and `max_tokens` is 4096 where none is given, since that API demands one.

    Raises TypeError if `client` is no chat client.

    >>> chat = ChatModel(OpenAI(), model="gpt-4o-mini", temperature=0)  # doctest: +SKIP
    >>> chat.invoke("What is the purpose of model regularization?").content  # doctest: +SKIP
    'To prevent overfitting …'
    """

    def __init__(self, client: Any, *, model: str | None = None, async_client: Any = None, **parameters: Any) -> None:
        self._clients = Clients(client, async_client)
        self._parameters: dict[str, Any] = {"model": model, **parameters}
        self._config: Config = {}
        self._langchain: Any = None

    @property
    def model(self) -> str | None:
        """The name of the model that is asked for."""
        return self._parameters.get("model")

    @property
    def provider(self) -> str:
        """Whose interface the client has: openai or anthropic."""
        return self._clients.interface.name

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of every request, as a copy."""
        return {name: value for name, value in self._parameters.items() if value is not None}

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{type(self).__name__}({given})"

    # One input.

    def invoke(self, input: Any, config: Config | None = None, *, stop: str | Sequence[str] | None = None, **parameters: Any) -> AIMessage:
        """The answer to one input: a text, messages, dicts, pairs, a prompt value.

        Raises TypeError for what is no message, ValueError for an answer that is none, and whatever the client raises.
        """
        return self._read(self._create(self._prepare(input, merged(self._config, config), stop, parameters)))[0].message

    async def ainvoke(
        self,
        input: Any,
        config: Config | None = None,
        *,
        stop: str | Sequence[str] | None = None,
        **parameters: Any,
    ) -> AIMessage:
        """`invoke` without blocking."""
        return self._read(await self._acreate(self._prepare(input, merged(self._config, config), stop, parameters)))[0].message

    def stream(
        self,
        input: Any,
        config: Config | None = None,
        *,
        stop: str | Sequence[str] | None = None,
        **parameters: Any,
    ) -> Generator[AIMessageChunk, None, None]:
        """The answer in pieces, as they come. The request goes out with the first `next`; closing the generator ends it at once."""
        return self._pieces(self._prepare(input, merged(self._config, config), stop, {**parameters, "stream": True}))

    def astream(
        self,
        input: Any,
        config: Config | None = None,
        *,
        stop: str | Sequence[str] | None = None,
        **parameters: Any,
    ) -> AsyncGenerator[AIMessageChunk, None]:
        """`stream` without blocking, for `async for`."""
        return self._apieces(self._prepare(input, merged(self._config, config), stop, {**parameters, "stream": True}))

    def astream_log(
        self,
        input: Any,
        config: Config | None = None,
        *,
        stop: str | Sequence[str] | None = None,
        **parameters: Any,
    ) -> AsyncGenerator[RunLogPatch, None]:
        """The stream as a log of JSON patches: the begin, each piece, the final output. Their sum is a `RunLog`."""
        prepared = self._prepare(input, merged(self._config, config), stop, {**parameters, "stream": True})
        return run_log(self._apieces(prepared), prepared.run.run_id)

    # Many inputs.

    def batch(
        self,
        inputs: Sequence[Any],
        config: Configs = None,
        *,
        return_exceptions: bool = False,
        stop: str | Sequence[str] | None = None,
        **parameters: Any,
    ) -> list[AIMessage]:
        """`invoke` for each input, in threads; answers in the order of the inputs.

        `config["max_concurrency"]` limits how many run at once. With `return_exceptions` an input that failed has its exception in
        the place of its answer; without, the first one is raised.
        """
        configs = for_each(self._config, config, len(inputs))
        return run_all(
            lambda item: self._read(self._create(self._prepare(item[0], item[1], stop, parameters)))[0].message,
            list(zip(inputs, configs, strict=True)),
            max_concurrency=concurrency(configs),
            return_exceptions=return_exceptions,
        )

    async def abatch(
        self,
        inputs: Sequence[Any],
        config: Configs = None,
        *,
        return_exceptions: bool = False,
        stop: str | Sequence[str] | None = None,
        **parameters: Any,
    ) -> list[AIMessage]:
        """`batch` in tasks. Cancelling it cancels every call that runs."""

        async def one(item: tuple[Any, Config]) -> AIMessage:
            return self._read(await self._acreate(self._prepare(item[0], item[1], stop, parameters)))[0].message

        configs = for_each(self._config, config, len(inputs))
        items = list(zip(inputs, configs, strict=True))
        return await run_all_async(one, items, max_concurrency=concurrency(configs), return_exceptions=return_exceptions)

    def generate(
        self, messages: Sequence[Any], stop: str | Sequence[str] | None = None, *, config: Configs = None, **parameters: Any
    ) -> LLMResult:
        """Full results for a list of inputs: all choices, finish reasons, token usage, run ids."""
        configs = for_each(self._config, config, len(messages))
        prepared = [self._prepare(item, settings, stop, parameters) for item, settings in zip(messages, configs, strict=True)]
        generations = run_all(lambda item: self._read(self._create(item)), prepared, max_concurrency=concurrency(configs))
        return result_of(prepared, generations, parameters.get("model") or self.model)

    async def agenerate(
        self, messages: Sequence[Any], stop: str | Sequence[str] | None = None, *, config: Configs = None, **parameters: Any
    ) -> LLMResult:
        """`generate` without blocking."""

        async def one(item: Prepared) -> list[ChatGeneration]:
            return self._read(await self._acreate(item))

        configs = for_each(self._config, config, len(messages))
        prepared = [self._prepare(item, settings, stop, parameters) for item, settings in zip(messages, configs, strict=True)]
        generations = await run_all_async(one, prepared, max_concurrency=concurrency(configs))
        return result_of(prepared, generations, parameters.get("model") or self.model)

    # Models made from this one.

    def bind(self, **parameters: Any) -> Self:
        """This model with more parameters for every call.

        >>> chat.bind(stop=["\\n"]).invoke("One line, please.")  # doctest: +SKIP
        """
        return self._variant(parameters={**self._parameters, **parameters})

    def with_config(self, config: Config | None = None, **settings: Any) -> Self:
        """This model with tags, metadata, a run name … for every call."""
        return self._variant(config=merged(merged(self._config, config), settings))

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, strict: bool | None = None, **parameters: Any) -> Self:
        """This model with tools: OpenAI's dicts, pydantic classes, functions with annotations, LangChain tools.

        `tool_choice`: auto, none, required (or any), True, the name of a tool, or OpenAI's dict.
        """
        from tracer.chat.tools import tool_choice_for, tool_definition

        definitions = [tool_definition(tool, strict=strict) for tool in tools]
        choice = tool_choice_for(tool_choice, definitions)
        return self.bind(tools=definitions, **({} if choice is None else {"tool_choice": choice}), **parameters)

    def with_structured_output(
        self, schema: Any, *, method: str = "json_schema", include_raw: bool = False, strict: bool | None = None, **parameters: Any
    ) -> StructuredModel:
        """This model answering with objects: `schema` is a pydantic class, a TypedDict or a JSON schema.

        `method`: json_schema (the API's structured outputs), function_calling, or json_mode. With `include_raw` the answer is a dict
        of `raw`, `parsed` and `parsing_error`, and nothing is raised for an answer that does not fit.
        """
        from tracer.chat.structured import StructuredModel, binding_for

        binding = binding_for(schema, method, strict=strict)
        return StructuredModel(self.bind(**binding, **parameters), schema, method, include_raw=include_raw, base=self)

    def as_langchain(self) -> Any:
        """This model as a LangChain `BaseChatModel`, for agents and everything else that asks for one.

        Raises ImportError without langchain-core.
        """
        if self._langchain is None:
            from tracer.chat.langchain import langchain_form

            self._langchain = langchain_form(self)
        return self._langchain

    def _variant(self, *, parameters: dict[str, Any] | None = None, config: Config | None = None) -> Self:
        made = object.__new__(type(self))
        made._clients = self._clients
        made._parameters = self._parameters if parameters is None else parameters
        made._config = self._config if config is None else config
        made._langchain = None
        return made

    # Before, during and after a call.

    def _prepare(self, input: Any, config: Config, stop: str | Sequence[str] | None, parameters: dict[str, Any]) -> Prepared:
        return prepare(self._clients.interface, {**self._parameters, **parameters}, input, config, stop)

    def _read(self, answer: Any) -> list[ChatGeneration]:
        return self._clients.interface.answer(answer)

    def _create(self, prepared: Prepared) -> Any:
        interface = self._clients.interface
        create = interface.create(self._clients.sync())
        arguments = interface.fitted(create, prepared.arguments)
        scope = prepared.scope()
        if scope is None:
            return create(**arguments)
        earlier = enter(scope)
        try:
            return create(**arguments)
        finally:
            leave(earlier)

    async def _acreate(self, prepared: Prepared) -> Any:
        interface = self._clients.interface
        create = interface.create(await self._clients.for_async())
        arguments = interface.fitted(create, prepared.arguments)
        scope = prepared.scope()
        if scope is None:
            return await create(**arguments)
        earlier = enter(scope)
        try:
            return await create(**arguments)
        finally:
            leave(earlier)

    def _pieces(self, prepared: Prepared) -> Generator[AIMessageChunk, None, None]:
        stream = self._create(prepared)
        read = self._clients.interface.chunks()
        try:
            for chunk in stream:
                message = read(chunk)
                if message is not None:
                    yield message
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()

    async def _apieces(self, prepared: Prepared) -> AsyncGenerator[AIMessageChunk, None]:
        stream = await self._acreate(prepared)
        read = self._clients.interface.chunks()
        try:
            async for chunk in stream:
                message = read(chunk)
                if message is not None:
                    yield message
        finally:
            close = getattr(stream, "close", None) or getattr(stream, "aclose", None)
            if close is not None:
                await close()
