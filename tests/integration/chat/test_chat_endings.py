"""Every way a stream can end, through every way of streaming a chat model: one record each, with the right ending."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import openai
import pytest
from chat_loopback import ANSWER, Loopback
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from tests.integration.capture_support import until
from tracer.call import CANCELLED, COMPLETED, FAILED, STOPPED, Call
from tracer.chat import ChatModel
from tracer.reading import read_call
from tracer.runtime import runtime

PROMPT = ChatPromptTemplate.from_messages([("human", "{question}")])


def chain(chat: ChatModel) -> Any:
    return PROMPT | chat


def parsed(chat: ChatModel) -> Any:
    return PROMPT | chat | StrOutputParser()


def langchain_chain(chat: ChatModel) -> Any:
    return PROMPT | chat.as_langchain()


SYNC: dict[str, Callable[[ChatModel, str], Any]] = {
    "stream": lambda chat, text: chat.stream(text),
    "chain": lambda chat, text: chain(chat).stream({"question": text}),
    "parsed": lambda chat, text: parsed(chat).stream({"question": text}),
    "as_langchain": lambda chat, text: chat.as_langchain().stream(text),
    "as_langchain in a chain": lambda chat, text: langchain_chain(chat).stream({"question": text}),
}
ASYNC: dict[str, Callable[[ChatModel, str], Any]] = {
    "astream": lambda chat, text: chat.astream(text),
    "astream_log": lambda chat, text: chat.astream_log(text),
    "chain": lambda chat, text: chain(chat).astream({"question": text}),
    "parsed": lambda chat, text: parsed(chat).astream({"question": text}),
    "as_langchain": lambda chat, text: chat.as_langchain().astream(text),
    "as_langchain in a chain": lambda chat, text: langchain_chain(chat).astream({"question": text}),
}


class OfConsumer(Exception):  # noqa: N818
    """Raised by whoever consumes the stream."""


def model_call(calls: list[Call]) -> Call:
    """The one record of the model; nothing is open."""
    gc.collect()
    assert not runtime.open_calls
    models = [call for call in calls if call.kind == "llm"]
    assert len(models) == 1
    return models[0]


def text_of(call: Call) -> str:
    generation = read_call(call).generation
    assert generation is not None
    return "".join(str(part.get("content", "")) for message in generation.output_messages for part in message.parts)


@pytest.fixture(params=SYNC)
def start(request: pytest.FixtureRequest) -> Callable[[ChatModel, str], Any]:
    return SYNC[request.param]


@pytest.fixture(params=ASYNC)
def astart(request: pytest.FixtureRequest) -> Callable[[ChatModel, str], Any]:
    return ASYNC[request.param]


def test_read_to_its_end(calls: list[Call], chat: ChatModel, start: Any) -> None:
    assert list(start(chat, "hi"))
    call = model_call(calls)
    assert call.ending == COMPLETED
    assert text_of(call) == ANSWER


def test_never_begun_is_no_call(calls: list[Call], server: Loopback, chat: ChatModel, start: Any) -> None:
    stream = start(chat, "hi")
    del stream
    gc.collect()
    assert (calls, server.requests, runtime.open_calls) == ([], [], {})


@pytest.mark.parametrize("way", ["break", "close", "drop", "raise"])
def test_left_by_its_consumer(calls: list[Call], chat: ChatModel, start: Any, way: str) -> None:
    # When a chain with a parser is left, LangChain itself reads the model's stream to its end, a bare model's too.
    ending = COMPLETED if start is SYNC["parsed"] else STOPPED

    def consume() -> None:
        stream = start(chat, "hi")
        try:
            for _ in stream:
                if way == "raise":
                    raise OfConsumer
                break
        except OfConsumer:
            pass
        if way == "close":
            stream.close()

    consume()
    call = model_call(calls)
    assert call.ending == ending
    assert call.failure is None
    assert ANSWER.startswith(text_of(call))


def test_cut_in_the_middle(calls: list[Call], chat: ChatModel, start: Any) -> None:
    # The connection is closed as if all had been said: nothing on the wire tells that the answer is not whole.
    list(start(chat, "CUT"))
    call = model_call(calls)
    assert call.ending == COMPLETED
    assert ANSWER.startswith(text_of(call))


def test_refused(calls: list[Call], chat: ChatModel, start: Any) -> None:
    with pytest.raises(openai.InternalServerError):
        list(start(chat, "FAIL 500"))
    call = model_call(calls)
    assert call.ending == FAILED
    assert call.failure is not None
    assert call.failure.status == 500


async def test_async_read_to_its_end(calls: list[Call], async_chat: ChatModel, astart: Any) -> None:
    assert [piece async for piece in astart(async_chat, "hi")]
    call = model_call(calls)
    assert call.ending == COMPLETED
    assert text_of(call) == ANSWER


@pytest.mark.parametrize("way", ["aclose", "raise"])
async def test_async_left_by_its_consumer(calls: list[Call], async_chat: ChatModel, astart: Any, way: str) -> None:
    stream = astart(async_chat, "hi")
    taken = 0
    try:
        async for _ in stream:
            taken += 1
            if taken == 3:  # The first patch of a log comes before the model is asked.
                if way == "raise":
                    raise OfConsumer
                break
    except OfConsumer:
        pass
    await stream.aclose()
    # LangChain does not close the generators inside its own; they end when they are dropped.
    del stream
    await until(lambda: not runtime.open_calls)
    assert model_call(calls).ending == STOPPED


async def test_async_refused(calls: list[Call], async_chat: ChatModel, astart: Any) -> None:
    with pytest.raises(openai.InternalServerError):
        async for _ in astart(async_chat, "FAIL 500"):
            pass
    assert model_call(calls).ending == FAILED


async def test_a_cancelled_consumer(calls: list[Call], server: Loopback, async_chat: ChatModel, astart: Any) -> None:
    server.gate = threading.Semaphore(4)
    taken: list[Any] = []

    async def consume() -> None:
        async for piece in astart(async_chat, "hi"):
            taken.append(piece)  # noqa: PERF401

    task = asyncio.create_task(consume())
    # Until it waits for a piece that does not come: cancelled between two pieces, it would have left the stream by itself.
    await until(lambda: len(taken) == (5 if astart is ASYNC["astream_log"] else 4))
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(40):
        server.gate.release()
    await until(lambda: not runtime.open_calls)
    assert model_call(calls).ending == CANCELLED


def test_the_record_shows_what_was_really_sent(calls: list[Call], server: Loopback, chat: ChatModel) -> None:
    bound = chat.bind(temperature=0.5, seed=1, stop=["x"])
    bound.invoke("hi", seed=2, stop="y", model="other", max_tokens=9)
    bound.invoke("hi", temperature=None)
    chat.invoke("hi")
    list(chat.stream("hi", top_p=0.1))
    for call, request in zip(calls, server.requests, strict=True):
        generation = read_call(call).generation
        assert generation is not None
        shown = {name: value for name, value in generation.parameters.items() if name != "stop_sequences"}
        assert generation.request_model == request["model"]
        for name in ("temperature", "seed", "max_tokens", "top_p", "stream"):
            assert shown.get(name) == request.get(name), name
