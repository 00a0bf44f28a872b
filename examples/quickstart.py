"""The chat-model quickstart, cell by cell, with every call traced.

    OPENAI_API_KEY=sk-… TRACER_LOCAL=true python examples/quickstart.py
    tracer show

OPENAI_BASE_URL sends it to another address that speaks OpenAI's API.
"""

from __future__ import annotations

import asyncio
from typing import Any

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


def sync_cells(chat: ChatOpenAI) -> None:
    """One answer, the same in pieces, several at once."""
    print(chat.invoke(MESSAGES))

    for chunk in chat.stream(MESSAGES):
        print(chunk.content, end="", flush=True)
    print()

    print(chat.batch([MESSAGES]))


async def async_cells(chat: ChatOpenAI) -> None:
    """The same without blocking, and the stream as a log of patches."""
    print(await chat.ainvoke(MESSAGES))

    async for chunk in chat.astream(MESSAGES):
        print(chunk.content, end="", flush=True)
    print()

    async for patch in chat.astream_log(MESSAGES):
        print(patch)


def older_cells(chat: ChatOpenAI) -> LLMResult:
    """The model called like a function, and full results with token usage."""
    print(chat([HumanMessage(content="Translate this sentence from English to French: I love programming.")]))

    chat([SystemMessage(content="You translate English to French."), HumanMessage(content="I love programming.")])

    result = chat.generate(BATCH_MESSAGES)
    print(result)
    print(result.llm_output)
    return result


def main(**parameters: Any) -> LLMResult:
    """Run all cells. The key is taken from OPENAI_API_KEY."""
    chat = ChatOpenAI(**parameters)
    sync_cells(chat)
    asyncio.run(async_cells(chat))
    return older_cells(chat)


if __name__ == "__main__":
    main()
