"""The chat-model quickstart, cell by cell, with every call traced.

    OPENAI_API_KEY=sk-… TRACER_LOCAL=true python examples/quickstart.py
    tracer show

With `--langchain` the same cells ask LangChain's own model, wrapped; all but those that call the model like a function, which LangChain
has dropped.

OPENAI_BASE_URL sends it to another address that speaks OpenAI's API.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import tracer
from tracer.chat import ChatOpenAI, HumanMessage, LLMResult, SystemMessage

MESSAGES = [
    SystemMessage(content="You're a helpful assistant"),
    HumanMessage(content="What is the purpose of model regularization?"),
]

BATCH_MESSAGES = [
    [
        SystemMessage(content="You are a helpful assistant that translates English to French."),
        HumanMessage(content="I love programming."),
    ],
    [
        SystemMessage(content="You are a helpful assistant that translates English to French."),
        HumanMessage(content="I love artificial intelligence."),
    ],
]


def sync_cells(chat: Any, messages: Any = MESSAGES) -> None:
    """One answer, the same in pieces, several at once."""
    print(chat.invoke(messages))

    for chunk in chat.stream(messages):
        print(chunk.content, end="", flush=True)
    print()

    print(chat.batch([messages]))


async def async_cells(chat: Any, messages: Any = MESSAGES) -> None:
    """The same without blocking, and the stream as a log of patches."""
    print(await chat.ainvoke(messages))

    async for chunk in chat.astream(messages):
        print(chunk.content, end="", flush=True)
    print()

    async for patch in chat.astream_log(messages):
        print(patch)


def called_cells(chat: ChatOpenAI) -> None:
    """The model called like a function."""
    print(chat([HumanMessage(content="Translate this sentence from English to French: I love programming.")]))

    chat([SystemMessage(content="You translate English to French."), HumanMessage(content="I love programming.")])


def generate_cell(chat: Any, batch: Any = BATCH_MESSAGES) -> LLMResult:
    """Full results with token usage."""
    result = chat.generate(batch)
    print(result)
    print(result.llm_output)
    return result


def main(**parameters: Any) -> LLMResult:
    """Run all cells with our model. The key is taken from OPENAI_API_KEY."""
    chat = ChatOpenAI(**parameters)
    sync_cells(chat)
    asyncio.run(async_cells(chat))
    called_cells(chat)
    return generate_cell(chat)


def main_with_langchain(**parameters: Any) -> Any:
    """Run the cells with LangChain's model, wrapped."""
    from langchain_core.messages import convert_to_messages
    from langchain_openai import ChatOpenAI as LangChainChatOpenAI

    chat = tracer.wrap(LangChainChatOpenAI(**parameters))
    messages = convert_to_messages([(str(item.type), str(item.content)) for item in MESSAGES])
    sync_cells(chat, messages)
    asyncio.run(async_cells(chat, messages))
    return generate_cell(chat, [convert_to_messages([(str(item.type), str(item.content)) for item in group]) for group in BATCH_MESSAGES])


if __name__ == "__main__":
    main_with_langchain() if "--langchain" in sys.argv else main()
