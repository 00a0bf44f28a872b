"""Programs that ask models in all the ways there are, to be run bare and traced: each notes what its caller saw."""

# LangChain's types say less than its objects hold.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import openai
from langchain_core.output_parsers import StrOutputParser
from langchain_openai import ChatOpenAI

from tests.integration import anthropic_support
from tests.integration.capture_support import (
    PLAIN,
    RESPONSES_STREAM,
    STREAM,
    STREAM_USAGE,
    async_http_client,
    create,
    http_client,
    make_client,
    until,
)
from tests.integration.outcomes import Outcome, raised
from tracer.chat import ChatModel
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer

EMBEDDINGS = "pydanticai.embeddings.openai.0"


class Run:
    """One run of a program: where it asks, how it is traced, and what it saw."""

    def __init__(self, server: ReplayServer, trace: Callable[[Any], Any]) -> None:
        self.server = server
        self.trace = trace
        self.saw = Outcome()

    def client(self, record: str, behaviour: Behaviour | None = None, *, asynchronous: bool = False, **more: Any) -> Any:
        """A client of OpenAI's SDK."""
        more.setdefault("max_retries", 0)
        return self.trace(make_client(self.server, record, behaviour, asynchronous=asynchronous, **more))

    def anthropic(self, record: str, behaviour: Behaviour | None = None, **more: Any) -> Any:
        """A client of Anthropic's SDK."""
        more.setdefault("max_retries", 0)
        return self.trace(anthropic_support.make_client(self.server, record, behaviour, **more))

    def langchain(self, record: str, behaviour: Behaviour | None = None) -> Any:
        """A model of LangChain."""
        base_url = self.server.base_url(record, behaviour)
        clients: dict[str, Any] = {"http_client": http_client(), "http_async_client": async_http_client()}
        return self.trace(ChatOpenAI(model="m", api_key="none", base_url=base_url, max_retries=0, **clients))  # pyright: ignore[reportArgumentType]

    def chat(self, record: str, behaviour: Behaviour | None = None, *, asynchronous: bool = False) -> ChatModel:
        """The wrapper model, which traces its client itself."""
        return ChatModel(make_client(self.server, record, behaviour, asynchronous=asynchronous, max_retries=0), model="m")


Program = Callable[[Run], Awaitable[None]]
PROGRAMS: dict[str, Program] = {}


async def outcome_of(program: Program, server: ReplayServer, trace: Callable[[Any], Any]) -> Outcome:
    """What the program saw."""
    run = Run(server, trace)
    try:
        await program(run)
    except Exception as error:
        run.saw.error = raised(error)
    return run.saw


def _program(function: Program) -> Program:
    PROGRAMS[function.__name__] = function  # pyright: ignore[reportAttributeAccessIssue]
    return function


@_program
async def plain(run: Run) -> None:
    run.saw.keep(create(run.client(PLAIN), PLAIN))


@_program
async def plain_async(run: Run) -> None:
    run.saw.keep(await create(run.client(PLAIN, asynchronous=True), PLAIN))


@_program
async def stream(run: Run) -> None:
    run.saw.take(create(run.client(STREAM_USAGE), STREAM_USAGE))


@_program
async def stream_async(run: Run) -> None:
    await run.saw.take_async(await create(run.client(STREAM_USAGE, asynchronous=True), STREAM_USAGE))


@_program
async def stream_asked_for_usage(run: Run) -> None:
    run.saw.take(create(run.client(STREAM), STREAM))


@_program
async def stream_stopped(run: Run) -> None:
    with create(run.client(STREAM), STREAM) as pieces:
        for piece in pieces:
            run.saw.keep(piece)
            break


@_program
async def stream_dropped(run: Run) -> None:
    pieces = await create(run.client(STREAM, asynchronous=True), STREAM)
    run.saw.keep(await anext(pieces))
    await pieces.close()


@_program
async def stream_cut(run: Run) -> None:
    run.saw.take(create(run.client(STREAM, Behaviour(cut=2)), STREAM))


@_program
async def stream_refused_for_its_option(run: Run) -> None:
    run.saw.take(create(run.client(STREAM, Behaviour(reject_usage=1)), STREAM))


@_program
async def raw(run: Run) -> None:
    response = run.client(PLAIN).chat.completions.with_raw_response.create(model="m", messages=[{"role": "user", "content": "hi"}])
    run.saw.keep(response.status_code)
    run.saw.keep(response.parse())


@_program
async def responses_stream(run: Run) -> None:
    if hasattr(openai.OpenAI, "responses"):
        run.saw.take(create(run.client(RESPONSES_STREAM), RESPONSES_STREAM))


@_program
async def embeddings(run: Run) -> None:
    run.saw.keep(create(run.client(EMBEDDINGS), EMBEDDINGS))


@_program
async def refused(run: Run) -> None:
    create(run.client(PLAIN, Behaviour(fail=9, status=400)), PLAIN)


@_program
async def refused_async(run: Run) -> None:
    await create(run.client(STREAM, Behaviour(fail=9, status=500), asynchronous=True), STREAM)


@_program
async def retried(run: Run) -> None:
    run.saw.keep(create(run.client(PLAIN, Behaviour(fail=1), max_retries=2), PLAIN))


@_program
async def cancelled(run: Run) -> None:
    task = asyncio.ensure_future(create(run.client(PLAIN, Behaviour(hang=1), asynchronous=True), PLAIN))
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError as error:
        run.saw.error = raised(error)


@_program
async def anthropic_plain(run: Run) -> None:
    run.saw.keep(create(run.anthropic(anthropic_support.PLAIN), anthropic_support.PLAIN))


@_program
async def anthropic_stream(run: Run) -> None:
    run.saw.take(create(run.anthropic(anthropic_support.STREAM), anthropic_support.STREAM))


@_program
async def chat_invoke(run: Run) -> None:
    run.saw.keep(run.chat(PLAIN).invoke("hi"))


@_program
async def chat_ainvoke_refused(run: Run) -> None:
    await run.chat(PLAIN, Behaviour(fail=9, status=400), asynchronous=True).ainvoke("hi")


@_program
async def chat_stream(run: Run) -> None:
    run.saw.take(run.chat(STREAM).stream("hi"))


@_program
async def chat_batch(run: Run) -> None:
    run.saw.take(run.chat(PLAIN).batch(["hi", "ho"]))


def _said(message: Any) -> Any:
    """A message of LangChain without the ids of its run."""
    return message if isinstance(message, str) else (message.content, message.response_metadata, message.usage_metadata)


@_program
async def langchain_invoke(run: Run) -> None:
    run.saw.keep(_said(run.langchain(PLAIN).invoke("hi")))


@_program
async def langchain_ainvoke_refused(run: Run) -> None:
    await run.langchain(PLAIN, Behaviour(fail=9, status=400)).ainvoke("hi")


@_program
async def langchain_ainvoke_cancelled(run: Run) -> None:
    before = len(run.server.requests(PLAIN))
    task = asyncio.ensure_future(run.langchain(PLAIN, Behaviour(hang=1)).ainvoke("hi"))
    await until(lambda: len(run.server.requests(PLAIN)) > before)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError as error:
        run.saw.error = raised(error)


@_program
async def langchain_stream(run: Run) -> None:
    run.saw.take(map(_said, run.langchain(STREAM_USAGE).stream("hi")))


@_program
async def langchain_chain_invoke(run: Run) -> None:
    run.saw.keep((run.langchain(PLAIN) | StrOutputParser()).invoke("hi"))


@_program
async def langchain_chain_astream(run: Run) -> None:
    async for piece in (run.langchain(STREAM_USAGE) | StrOutputParser()).astream("hi"):
        run.saw.keep(piece)


class Thing:
    """A model of the application's own."""

    def invoke(self, text: str) -> str:
        if text == "bad":
            raise LookupError("no", 7)
        return text.upper()

    def stream(self, text: str) -> Iterator[str]:
        yield from text

    async def astream(self, text: str) -> AsyncIterator[str]:
        for letter in text:
            yield letter


@_program
async def any_object(run: Run) -> None:
    thing = run.trace(Thing())
    run.saw.keep(thing.invoke("hi"))
    run.saw.take(thing.stream("hi"))
    await run.saw.take_async(thing.astream("hi"))
    thing.invoke("bad")
