"""Programs that ask a model in LangChain's ways; those for any model also run on our chat model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from langchain_core import messages as langchains
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool  # pyright: ignore[reportUnknownVariableType]

from tracer import chat

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PICTURE = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
CALL = {"name": "weather", "args": {"city": "Paris"}, "id": "call_1", "type": "tool_call"}


@dataclass(frozen=True, slots=True)
class LangChainKit:
    """LangChain's model and messages."""

    model: Any
    messages: Any = langchains

    async def close(self) -> None:
        """Its connections belong to the event loop that is about to end."""
        await self.model.root_async_client.close()


@dataclass(frozen=True, slots=True)
class OurKit:
    """Ours."""

    model: Any
    messages: Any = chat

    async def close(self) -> None:
        """It makes a client for each event loop."""


Kit = LangChainKit | OurKit
Made = Callable[[Kit, Any], None]


def _invoke(kit: Kit, config: Any) -> None:
    kit.model.invoke([kit.messages.SystemMessage(content="be brief"), kit.messages.HumanMessage(content="hi")], config)


def _stream(kit: Kit, config: Any) -> None:
    list(kit.model.stream("hi", config))


def _ainvoke(kit: Kit, config: Any) -> None:
    async def main() -> None:
        await kit.model.ainvoke("hi", config)
        await kit.close()

    asyncio.run(main())


def _astream(kit: Kit, config: Any) -> None:
    async def main() -> None:
        async for _ in kit.model.astream("hi", config):
            pass
        await kit.close()

    asyncio.run(main())


def _batch(kit: Kit, config: Any) -> None:
    kit.model.batch(["one", "two"], {**config, "max_concurrency": 1})


def _tools(kit: Kit, config: Any) -> None:
    kit.model.bind_tools([WEATHER]).invoke("weather?", config)


def _tools_streamed(kit: Kit, config: Any) -> None:
    list(kit.model.bind_tools([WEATHER]).stream("weather?", config))


def _history(kit: Kit, config: Any) -> None:
    asked = kit.messages.AIMessage(content="", tool_calls=[CALL])
    told = kit.messages.ToolMessage(content="sunny", tool_call_id="call_1")
    kit.model.invoke([kit.messages.HumanMessage(content="weather?"), asked, told], config)


def _stop(kit: Kit, config: Any) -> None:
    kit.model.invoke("hi", config, stop=["END"])


def _picture(kit: Kit, config: Any) -> None:
    kit.model.invoke([kit.messages.HumanMessage(content=PICTURE)], config)


def _error(kit: Kit, config: Any) -> None:
    kit.model.invoke("FAIL 400", config)


CHAT_PROGRAMS: dict[str, Made] = {
    "invoke": _invoke,
    "stream": _stream,
    "ainvoke": _ainvoke,
    "astream": _astream,
    "batch": _batch,
    "tools": _tools,
    "tools, streamed": _tools_streamed,
    "history with a tool": _history,
    "stop": _stop,
    "picture": _picture,
    "error": _error,
}


def _chain(kit: Kit) -> Any:
    return ChatPromptTemplate.from_messages([("system", "be brief"), ("human", "{question}")]) | kit.model | StrOutputParser()


def _chain_invoke(kit: Kit, config: Any) -> None:
    _chain(kit).with_config(run_name="answer").invoke({"question": "hi"}, config)


def _chain_stream(kit: Kit, config: Any) -> None:
    list(_chain(kit).stream({"question": "hi"}, config))


def _chain_async(kit: Kit, config: Any) -> None:
    async def main() -> None:
        await _chain(kit).ainvoke({"question": "hi"}, config)
        await kit.close()

    asyncio.run(main())


def _chain_error(kit: Kit, config: Any) -> None:
    _chain(kit).invoke({"question": "FAIL 500"}, config)


def _agent(kit: Kit, config: Any) -> None:
    make: Any = import_module("langgraph.prebuilt").create_react_agent
    make(kit.model, [weather]).invoke({"messages": [("human", "weather?")]}, config)


def _generate(kit: Kit, config: Any) -> None:
    kit.model.generate([[kit.messages.HumanMessage(content=text)] for text in ("one", "two")], callbacks=config["callbacks"])


def _retriever(_: Kit, config: Any) -> None:
    Shelf().invoke("books", config)


def _tool(_: Kit, config: Any) -> None:
    weather.invoke({"city": "Paris"}, config)


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


class Shelf(BaseRetriever):
    """Finds the same every time."""

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Any]:
        from langchain_core.documents import Document

        return [Document(page_content=query, metadata={"page": 1})]


LANGCHAIN_PROGRAMS: dict[str, Made] = {
    **CHAT_PROGRAMS,
    "chain": _chain_invoke,
    "chain, streamed": _chain_stream,
    "chain, async": _chain_async,
    "chain that fails": _chain_error,
    "agent": _agent,
    "generate": _generate,
    "retriever": _retriever,
    "tool": _tool,
}
