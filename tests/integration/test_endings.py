"""Every way a call can end, sync and async, over loopback and in-memory clients: exactly one record each, with the right ending."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

import openai
import pytest

from tests.integration.capture_support import (
    ERROR_IN_STREAM,
    HTTP,
    KINDS,
    MESSAGES,
    PLAIN,
    RESPONSES_STREAM,
    STREAM_USAGE,
    Calls,
    broken_client,
    client_of_kind,
    create,
    ended,
    helpers_of,
    http_client,
    make_client,
    until,
)
from tests.support import wait_until
from tracer.call import ABANDONED, CANCELLED, COMPLETED, FAILED, STOPPED, Call, pieces_taken
from tracer.capture.wrapping import traced
from tracer.reading.read import read_call
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer
from tracer.runtime import runtime

SEEN = 7
"""Pieces of the recorded stream that the caller sees."""


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


class OfCaller(Exception):  # noqa: N818
    """Raised by the traced program itself."""


def chat_stream(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **more)


def raw_stream(client: Any, **more: Any) -> Any:
    return client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, stream=True, **more)


def streaming(client: Any, **more: Any) -> Any:
    return client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, **more)


def helper(client: Any) -> Any:
    return helpers_of(client).stream(model="m", messages=MESSAGES)


def responses_helper(client: Any) -> Any:
    return helpers_of(client, "responses").stream(model="m", input="hi")


def fail_at_first(stream: Iterable[Any]) -> None:
    for _ in stream:
        raise OfCaller


# Programs, sync. Each returns nothing that could keep a stream alive.


def plain(client: Any) -> None:
    client.chat.completions.create(model="m", messages=MESSAGES)


def read_whole(client: Any) -> None:
    assert len(list(chat_stream(client))) == SEEN


def read_whole_in_with(client: Any) -> None:
    with chat_stream(client) as stream:
        assert len(list(stream)) == SEEN


def read_then_close(client: Any) -> None:
    stream = chat_stream(client)
    assert len(list(stream)) == SEEN
    stream.close()


def break_then_drop(client: Any) -> None:
    for _ in chat_stream(client):
        break


def break_then_close(client: Any) -> None:
    stream = chat_stream(client)
    for _ in stream:
        break
    stream.close()


def next_then_drop(client: Any) -> None:
    next(chat_stream(client))


def left_inside_with(client: Any) -> None:
    with chat_stream(client) as stream:
        for _ in stream:
            return


def error_inside_with(client: Any) -> None:
    with pytest.raises(OfCaller), chat_stream(client) as stream:
        fail_at_first(stream)


def error_while_iterating(client: Any) -> None:
    with pytest.raises(OfCaller):
        fail_at_first(chat_stream(client))


def never_read_dropped(client: Any) -> None:
    chat_stream(client)


def never_read_closed(client: Any) -> None:
    stream = chat_stream(client)
    stream.close()


def never_read_in_with(client: Any) -> None:
    with chat_stream(client):
        pass


def iterated_but_not_read(client: Any) -> None:
    iter(chat_stream(client))


def error_before_reading(client: Any) -> None:
    with pytest.raises(OfCaller), chat_stream(client):
        raise OfCaller


def raw_plain_parsed(client: Any) -> None:
    client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES).parse()


def raw_plain_never_parsed(client: Any) -> None:
    client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)


def raw_stream_read(client: Any) -> None:
    assert len(list(raw_stream(client).parse())) >= SEEN


def raw_stream_parsed_twice(client: Any) -> None:
    raw = raw_stream(client)
    assert raw.parse() is raw.parse()
    assert len(list(raw.parse())) >= SEEN


def raw_stream_broken(client: Any) -> None:
    for _ in raw_stream(client).parse():
        break


def raw_stream_broken_and_closed(client: Any) -> None:
    stream = raw_stream(client).parse()
    next(stream)
    stream.close()


def raw_stream_never_parsed(client: Any) -> None:
    raw_stream(client)


def raw_stream_parsed_never_read(client: Any) -> None:
    raw_stream(client).parse()


def raw_stream_by_hand(client: Any) -> None:
    lines = list(raw_stream(client).http_response.iter_lines())
    assert len([line for line in lines if line.startswith("data: {")]) >= SEEN


def raw_stream_by_hand_broken(client: Any) -> None:
    for _ in raw_stream(client).http_response.iter_lines():
        break


def raw_stream_closed(client: Any) -> None:
    raw = raw_stream(client)
    raw.http_response.close()


def streaming_plain_parsed(client: Any) -> None:
    with streaming(client) as raw:
        raw.parse()


def streaming_plain_read(client: Any) -> None:
    with streaming(client) as raw:
        assert raw.read()


def streaming_plain_never_read(client: Any) -> None:
    with streaming(client):
        pass


def streaming_parsed(client: Any) -> None:
    with streaming(client, stream=True) as raw:
        assert len(list(raw.parse())) >= SEEN


def streaming_parsed_broken(client: Any) -> None:
    with streaming(client, stream=True) as raw:
        for _ in raw.parse():
            break


def streaming_by_hand(client: Any) -> None:
    with streaming(client, stream=True) as raw:
        assert list(raw.iter_lines())


def streaming_by_hand_broken(client: Any) -> None:
    with streaming(client, stream=True) as raw:
        for _ in raw.iter_lines():
            break


def streaming_bytes(client: Any) -> None:
    with streaming(client, stream=True) as raw:
        assert list(raw.iter_bytes())


def streaming_never_read(client: Any) -> None:
    with streaming(client, stream=True):
        pass


def streaming_parsed_never_read(client: Any) -> None:
    with streaming(client, stream=True) as raw:
        raw.parse()


def streaming_error(client: Any) -> None:
    with pytest.raises(OfCaller), streaming(client, stream=True) as raw:
        fail_at_first(raw.parse())


def helper_read(client: Any) -> None:
    with helper(client) as stream:
        assert list(stream)


def helper_to_the_end(client: Any) -> None:
    with helper(client) as stream:
        assert stream.get_final_completion().choices


def helper_broken(client: Any) -> None:
    with helper(client) as stream:
        for _ in stream:
            break


def helper_error(client: Any) -> None:
    with pytest.raises(OfCaller), helper(client) as stream:
        fail_at_first(stream)


def helper_never_read(client: Any) -> None:
    with helper(client):
        pass


def on_another_thread(client: Any) -> None:
    stream = chat_stream(client)
    next(stream)
    rest: list[Any] = []
    thread = threading.Thread(target=lambda: rest.extend(stream))
    thread.start()
    thread.join()
    assert len(rest) == SEEN - 1


def dropped_on_another_thread(client: Any) -> None:
    streams = [chat_stream(client)]
    next(streams[0])
    thread = threading.Thread(target=lambda: [streams.pop() for _ in range(1)].clear())
    thread.start()
    thread.join()


def in_another_context(client: Any) -> None:
    stream = contextvars.Context().run(chat_stream, client)
    next(stream)
    assert len(contextvars.Context().run(list, stream)) == SEEN - 1


def through_a_generator(client: Any) -> None:
    def texts() -> Generator[str, None, None]:
        with chat_stream(client) as stream:
            for chunk in stream:
                yield chunk.id

    generator = texts()
    contextvars.Context().run(next, generator)
    contextvars.Context().run(generator.close)


@dataclass(frozen=True)
class Ending:
    """A program and how its call is to end; `taken` None where the SDK's own stream is not what is read."""

    program: Callable[[Any], Any]
    ending: str
    taken: int | None = None
    outcome: str | None = None
    """What the reader makes of the ending where that differs."""

    def __str__(self) -> str:
        return self.program.__name__


SYNC = [
    Ending(plain, COMPLETED),
    Ending(read_whole, COMPLETED, SEEN),
    Ending(read_whole_in_with, COMPLETED, SEEN),
    Ending(read_then_close, COMPLETED, SEEN),
    Ending(break_then_drop, STOPPED, 1),
    Ending(break_then_close, STOPPED, 1),
    Ending(next_then_drop, STOPPED, 1),
    Ending(left_inside_with, STOPPED, 1),
    Ending(error_inside_with, STOPPED, 1),
    Ending(error_while_iterating, STOPPED, 1),
    Ending(never_read_dropped, ABANDONED, 0),
    Ending(never_read_closed, ABANDONED, 0),
    Ending(never_read_in_with, ABANDONED, 0),
    Ending(iterated_but_not_read, ABANDONED, 0),
    Ending(error_before_reading, ABANDONED, 0),
    Ending(raw_plain_parsed, COMPLETED),
    Ending(raw_plain_never_parsed, COMPLETED),
    Ending(raw_stream_read, COMPLETED),
    Ending(raw_stream_parsed_twice, COMPLETED),
    Ending(raw_stream_broken, STOPPED, 1),
    Ending(raw_stream_broken_and_closed, STOPPED, 1),
    Ending(raw_stream_never_parsed, ABANDONED, 0),
    Ending(raw_stream_parsed_never_read, ABANDONED, 0),
    Ending(raw_stream_by_hand, COMPLETED),
    Ending(raw_stream_by_hand_broken, STOPPED),
    Ending(raw_stream_closed, ABANDONED, 0),
    Ending(streaming_plain_parsed, COMPLETED),
    Ending(streaming_plain_read, COMPLETED),
    Ending(streaming_plain_never_read, ABANDONED),
    Ending(streaming_parsed, COMPLETED),
    Ending(streaming_parsed_broken, STOPPED, 1),
    Ending(streaming_by_hand, COMPLETED),
    Ending(streaming_by_hand_broken, STOPPED),
    Ending(streaming_bytes, COMPLETED),
    Ending(streaming_never_read, ABANDONED, 0),
    Ending(streaming_parsed_never_read, ABANDONED, 0),
    Ending(streaming_error, STOPPED, 1),
    Ending(helper_read, COMPLETED, SEEN),
    Ending(helper_to_the_end, COMPLETED, SEEN),
    Ending(helper_broken, STOPPED, 1),
    Ending(helper_error, STOPPED, 1),
    Ending(helper_never_read, ABANDONED, 0),
    Ending(on_another_thread, COMPLETED, SEEN),
    Ending(dropped_on_another_thread, STOPPED, 1),
    Ending(in_another_context, COMPLETED, SEEN),
    Ending(through_a_generator, STOPPED, 1),
]


# Programs, async.


async def a_plain(client: Any) -> None:
    await client.chat.completions.create(model="m", messages=MESSAGES)


async def a_read_whole(client: Any) -> None:
    assert len([chunk async for chunk in await chat_stream(client)]) == SEEN


async def a_read_whole_in_with(client: Any) -> None:
    async with await chat_stream(client) as stream:
        assert len([chunk async for chunk in stream]) == SEEN


async def a_break_then_drop(client: Any) -> None:
    async for _ in await chat_stream(client):
        break


async def a_break_then_close(client: Any) -> None:
    stream = await chat_stream(client)
    async for _ in stream:
        break
    await stream.close()


async def a_left_inside_with(client: Any) -> None:
    async with await chat_stream(client) as stream:
        async for _ in stream:
            return


async def a_error_inside_with(client: Any) -> None:
    async def consume() -> None:
        async with await chat_stream(client) as stream:
            async for _ in stream:
                raise OfCaller

    with pytest.raises(OfCaller):
        await consume()


async def a_error_while_iterating(client: Any) -> None:
    async def consume() -> None:
        async for _ in await chat_stream(client):
            raise OfCaller

    with pytest.raises(OfCaller):
        await consume()


async def a_never_read_dropped(client: Any) -> None:
    await chat_stream(client)


async def a_never_read_closed(client: Any) -> None:
    stream = await chat_stream(client)
    await stream.close()


async def a_never_read_in_with(client: Any) -> None:
    async with await chat_stream(client):
        pass


async def a_raw_plain_parsed(client: Any) -> None:
    (await client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)).parse()


async def a_raw_stream_read(client: Any) -> None:
    assert len([chunk async for chunk in (await raw_stream(client)).parse()]) >= SEEN


async def a_raw_stream_broken(client: Any) -> None:
    async for _ in (await raw_stream(client)).parse():
        break


async def a_raw_stream_never_parsed(client: Any) -> None:
    await raw_stream(client)


async def a_raw_stream_by_hand(client: Any) -> None:
    assert [line async for line in (await raw_stream(client)).http_response.aiter_lines()]


async def a_raw_stream_by_hand_broken(client: Any) -> None:
    async for _ in (await raw_stream(client)).http_response.aiter_lines():
        break


async def a_streaming_plain_parsed(client: Any) -> None:
    async with streaming(client) as raw:
        await raw.parse()


async def a_streaming_plain_never_read(client: Any) -> None:
    async with streaming(client):
        pass


async def a_streaming_parsed(client: Any) -> None:
    async with streaming(client, stream=True) as raw:
        assert len([chunk async for chunk in await raw.parse()]) >= SEEN


async def a_streaming_parsed_broken(client: Any) -> None:
    async with streaming(client, stream=True) as raw:
        async for _ in await raw.parse():
            break


async def a_streaming_by_hand(client: Any) -> None:
    async with streaming(client, stream=True) as raw:
        assert [line async for line in raw.iter_lines()]


async def a_streaming_by_hand_broken(client: Any) -> None:
    async with streaming(client, stream=True) as raw:
        async for _ in raw.iter_lines():
            break


async def a_streaming_never_read(client: Any) -> None:
    async with streaming(client, stream=True):
        pass


async def a_helper_read(client: Any) -> None:
    async with helper(client) as stream:
        assert [event async for event in stream]


async def a_helper_broken(client: Any) -> None:
    async with helper(client) as stream:
        async for _ in stream:
            break


async def a_helper_never_read(client: Any) -> None:
    async with helper(client):
        pass


async def a_in_another_task(client: Any) -> None:
    stream = await asyncio.create_task(chat_stream(client))
    await stream.__anext__()

    async def rest() -> int:
        return len([chunk async for chunk in stream])

    assert await asyncio.create_task(rest()) == SEEN - 1


async def a_through_a_generator(client: Any) -> None:
    async def texts() -> AsyncGenerator[str, None]:
        async with await chat_stream(client) as stream:
            async for chunk in stream:
                yield chunk.id

    generator = texts()
    await asyncio.ensure_future(generator.__anext__())
    await asyncio.ensure_future(generator.aclose())


async def a_task_group_leaves(client: Any) -> None:
    """The consumer of a queue that the stream is read into goes away first."""
    queue: asyncio.Queue[Any] = asyncio.Queue(1)

    async def produce() -> None:
        async with await chat_stream(client) as stream:
            async for chunk in stream:
                await queue.put(chunk)

    task = asyncio.create_task(produce())
    await queue.get()
    await until(queue.full)
    task.cancel()
    await asyncio.wait([task])


ASYNC = [
    Ending(a_plain, COMPLETED),
    Ending(a_read_whole, COMPLETED, SEEN),
    Ending(a_read_whole_in_with, COMPLETED, SEEN),
    Ending(a_break_then_drop, STOPPED, 1),
    Ending(a_break_then_close, STOPPED, 1),
    Ending(a_left_inside_with, STOPPED, 1),
    Ending(a_error_inside_with, STOPPED, 1),
    Ending(a_error_while_iterating, STOPPED, 1),
    Ending(a_never_read_dropped, ABANDONED, 0),
    Ending(a_never_read_closed, ABANDONED, 0),
    Ending(a_never_read_in_with, ABANDONED, 0),
    Ending(a_raw_plain_parsed, COMPLETED),
    Ending(a_raw_stream_read, COMPLETED),
    Ending(a_raw_stream_broken, STOPPED, 1),
    Ending(a_raw_stream_never_parsed, ABANDONED, 0),
    Ending(a_raw_stream_by_hand, COMPLETED),
    Ending(a_raw_stream_by_hand_broken, STOPPED),
    Ending(a_streaming_plain_parsed, COMPLETED),
    Ending(a_streaming_plain_never_read, ABANDONED),
    Ending(a_streaming_parsed, COMPLETED),
    Ending(a_streaming_parsed_broken, STOPPED, 1),
    Ending(a_streaming_by_hand, COMPLETED),
    Ending(a_streaming_by_hand_broken, STOPPED),
    Ending(a_streaming_never_read, ABANDONED, 0),
    Ending(a_helper_read, COMPLETED, SEEN),
    Ending(a_helper_broken, STOPPED, 1),
    Ending(a_helper_never_read, ABANDONED, 0),
    Ending(a_in_another_task, COMPLETED, SEEN),
    Ending(a_through_a_generator, STOPPED, 1),
    Ending(a_task_group_leaves, CANCELLED, None),
]


def record_of(row: Ending) -> str:
    plain_ones = ("plain", "raw_plain_parsed", "raw_plain_never_parsed", "streaming_plain")
    name = row.program.__name__.removeprefix("a_")
    return PLAIN if name.startswith(plain_ones) else STREAM_USAGE


# A body that is there before the SDK sees the answer: a plain answer is complete, whatever the caller takes of it, and so is a stream
# of which part was taken by hand.
WHOLE = {
    "streaming_plain_never_read": (COMPLETED, COMPLETED),
    "raw_stream_by_hand_broken": (STOPPED, COMPLETED),
    "streaming_by_hand_broken": (STOPPED, COMPLETED),
}


def check(row: Ending, call: Call, kind: str) -> None:
    ending, outcome = row.ending, row.outcome or row.ending
    if kind == "memory":
        ending, outcome = WHOLE.get(row.program.__name__.removeprefix("a_"), (ending, outcome))
    assert call.ending == ending
    if row.ending != CANCELLED:
        assert call.failure is None
    if row.taken is not None:
        assert pieces_taken(call) == row.taken
    assert call.ended >= call.started > 0
    assert len(call.attempts) == 1
    assert call.attempts[0].status == 200
    assert read_call(call).outcome == outcome


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", SYNC, ids=str)
def test_an_ending(server: ReplayServer, captured: Calls, row: Ending, kind: str) -> None:
    with traced(client_of_kind(kind, server, record_of(row), asynchronous=False)) as client:
        row.program(client)
        call = captured.only()
    check(row, call, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", ASYNC, ids=str)
async def test_an_async_ending(server: ReplayServer, captured: Calls, row: Ending, kind: str) -> None:
    async with traced(client_of_kind(kind, server, record_of(row), asynchronous=True)) as client:
        await row.program(client)
        await until(lambda: bool(captured))
        call = captured.only()
    check(row, call, kind)


# Streams of the responses API.


def responses_read(client: Any) -> None:
    assert list(create(client, RESPONSES_STREAM))


def responses_broken(client: Any) -> None:
    for _ in create(client, RESPONSES_STREAM):
        break


def responses_helper_read(client: Any) -> None:
    with responses_helper(client) as stream:
        assert stream.get_final_response().id


def responses_helper_broken(client: Any) -> None:
    with responses_helper(client) as stream:
        for _ in stream:
            break


def responses_helper_never_read(client: Any) -> None:
    with responses_helper(client):
        pass


async def a_responses_helper_read(client: Any) -> None:
    async with responses_helper(client) as stream:
        assert (await stream.get_final_response()).id


async def a_responses_helper_broken(client: Any) -> None:
    async with responses_helper(client) as stream:
        async for _ in stream:
            break


@pytest.mark.parametrize(
    ("program", "ending", "taken"),
    [
        (responses_read, COMPLETED, 14),
        (responses_broken, STOPPED, 1),
        (responses_helper_read, COMPLETED, 14),
        (responses_helper_broken, STOPPED, 1),
        (responses_helper_never_read, ABANDONED, 0),
    ],
)
def test_responses(server: ReplayServer, captured: Calls, program: Callable[[Any], None], ending: str, taken: int) -> None:
    client = traced(make_client(server, RESPONSES_STREAM))
    program(client)
    call = captured.only()
    assert (call.ending, pieces_taken(call), call.operation) == (ending, taken, "responses")
    assert read_call(call).outcome == ending


@pytest.mark.parametrize(
    ("program", "ending", "taken"), [(a_responses_helper_read, COMPLETED, 14), (a_responses_helper_broken, STOPPED, 1)]
)
async def test_async_responses(
    server: ReplayServer, captured: Calls, program: Callable[[Any], Awaitable[None]], ending: str, taken: int
) -> None:
    client = traced(make_client(server, RESPONSES_STREAM, asynchronous=True))
    await program(client)
    await until(lambda: bool(captured))
    call = captured.only()
    assert (call.ending, pieces_taken(call)) == (ending, taken)


# No call, no record.


def test_a_stream_manager_that_is_not_entered_is_no_call(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, STREAM_USAGE))
    before = len(server.requests())
    helper(client)
    streaming(client, stream=True)
    captured.none()
    responses_helper(client)
    captured.none()
    assert len(server.requests()) == before


async def test_an_async_call_that_is_not_awaited_is_no_call(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, STREAM_USAGE, asynchronous=True))
    coroutine = chat_stream(client)
    coroutine.close()
    captured.none()


# Errors.

ERRORS = {
    "openinference.input_value_image_hiding.TestInputValueImageHiding.test_input_value_hides_re": ("BadRequestError", 400),
    "langsmith.openai_agents_test_wrap_openai_nests_under_agent_trace.1": ("AuthenticationError", 401),
    "pydanticai.model_name_suggestions.model_name_suggestion-openai-chat": ("NotFoundError", 404),
}


def error_plain(client: Any) -> Any:
    return client.chat.completions.create(model="m", messages=MESSAGES)


def error_raw(client: Any) -> Any:
    return client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)


def error_streaming(client: Any) -> Any:
    with streaming(client, stream=True) as raw:
        return raw


def error_helper(client: Any) -> Any:
    with helper(client) as stream:
        return stream


@pytest.mark.parametrize("program", [error_plain, chat_stream, error_raw, raw_stream, error_streaming, error_helper])
@pytest.mark.parametrize("record_id", ERRORS)
def test_an_error_at_once(server: ReplayServer, captured: Calls, record_id: str, program: Callable[[Any], Any]) -> None:
    kind, status = ERRORS[record_id]
    client = traced(make_client(server, record_id))
    with pytest.raises(getattr(openai, kind)):
        program(client)
    check_failure(captured.only(), f"openai.{kind}", status)


@pytest.mark.parametrize("record_id", ERRORS)
async def test_an_async_error_at_once(server: ReplayServer, captured: Calls, record_id: str) -> None:
    kind, status = ERRORS[record_id]
    client = traced(make_client(server, record_id, asynchronous=True))
    for program in (error_plain, chat_stream, raw_stream):
        with pytest.raises(getattr(openai, kind)):
            await program(client)
        check_failure(captured.only(), f"openai.{kind}", status)
        captured.clear()


def check_failure(call: Call, kind: str, status: int | None = None, taken: int | None = None) -> None:
    assert call.ending == FAILED
    assert call.failure is not None
    assert call.failure.type == kind
    assert call.failure.status == status
    if status is not None:
        assert call.attempts[-1].status == status
        assert call.attempts[-1].response_body or call.attempts[-1].pieces
    if taken is not None:
        assert pieces_taken(call) == taken
    assert read_call(call).outcome == FAILED


def test_retries_are_attempts_of_one_call(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, PLAIN, Behaviour(fail=2), max_retries=3))
    plain(client)
    call = captured.only()
    assert call.ending == COMPLETED
    assert call.failure is None
    assert [attempt.status for attempt in call.attempts] == [429, 429, 200]
    assert [attempt.request_id for attempt in call.attempts[:2]] == ["req_replay_failure"] * 2
    assert all(attempt.response_body for attempt in call.attempts)


@pytest.mark.parametrize("program", [read_whole, streaming_parsed, raw_stream_read, helper_read])
def test_retries_before_a_stream(server: ReplayServer, captured: Calls, program: Callable[[Any], None]) -> None:
    program(traced(make_client(server, STREAM_USAGE, Behaviour(fail=2), max_retries=3)))
    call = captured.only()
    assert (call.ending, call.failure) == (COMPLETED, None)
    assert [attempt.status for attempt in call.attempts] == [429, 429, 200]


@pytest.mark.parametrize("program", [never_read_closed, never_read_dropped, streaming_never_read, raw_stream_never_parsed])
@pytest.mark.parametrize("behaviour", [Behaviour(fail=1), Behaviour(fail=1, status=500), Behaviour(reject_usage=1)], ids=str)
def test_a_repeated_stream_that_is_never_read(
    server: ReplayServer, captured: Calls, behaviour: Behaviour, program: Callable[[Any], None]
) -> None:
    """What was read of the answer that failed is not part of the answer."""
    program(traced(make_client(server, STREAM_USAGE, behaviour, max_retries=3)))
    call = captured.only()
    assert (call.ending, call.failure) == (ABANDONED, None)
    assert call.attempts[-1].status == 200


def test_a_repeated_plain_answer_that_is_never_read(server: ReplayServer, captured: Calls) -> None:
    streaming_plain_never_read(traced(make_client(server, PLAIN, Behaviour(fail=2), max_retries=3)))
    call = captured.only()
    assert (call.ending, len(call.attempts)) == (ABANDONED, 3)


async def test_async_retries(server: ReplayServer, captured: Calls) -> None:
    await a_read_whole(traced(make_client(server, STREAM_USAGE, Behaviour(fail=2), max_retries=3, asynchronous=True)))
    assert [attempt.status for attempt in captured.only().attempts] == [429, 429, 200]


def test_retries_that_run_out(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, PLAIN, Behaviour(fail=9, status=503), max_retries=2))
    with pytest.raises(openai.InternalServerError):
        plain(client)
    call = captured.only()
    check_failure(call, "openai.InternalServerError", 503)
    assert [attempt.status for attempt in call.attempts] == [503] * 3


def test_nobody_listens(captured: Calls) -> None:
    client = traced(openai.OpenAI(api_key="none", base_url="http://127.0.0.1:1/v1", max_retries=1, http_client=http_client()))
    client = client.with_options(max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        plain(client)
    call = captured.only()
    check_failure(call, "openai.APIConnectionError")
    attempt_failure = call.attempts[0].failure
    assert attempt_failure is not None
    assert attempt_failure.type.endswith(".ConnectError")


def test_an_error_in_the_middle(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, ERROR_IN_STREAM))
    taken: list[Any] = []
    with pytest.raises(openai.APIError):
        taken.extend(chat_stream(client))
    call = captured.only()
    check_failure(call, "openai.APIError", taken=94)
    assert call.attempts[0].status == 200


async def test_an_async_error_in_the_middle(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, ERROR_IN_STREAM, asynchronous=True))
    with pytest.raises(openai.APIError):
        await a_read_whole(client)
    check_failure(captured.only(), "openai.APIError", taken=94)


def test_an_error_in_the_middle_of_a_raw_stream(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, ERROR_IN_STREAM))
    with pytest.raises(openai.APIError):
        raw_stream_read(client)
    check_failure(captured.only(), "openai.APIError", taken=94)
    captured.clear()
    with pytest.raises(openai.APIError):
        streaming_parsed(client)
    check_failure(captured.only(), "openai.APIError", taken=94)


BROKEN = (openai.APIConnectionError, HTTP.TransportError)
"""Newer SDKs wrap what the HTTP library raises in the middle of a stream."""


@pytest.mark.parametrize("program", [read_whole, read_whole_in_with, raw_stream_read, streaming_parsed, helper_read])
def test_a_cut_connection(server: ReplayServer, captured: Calls, program: Callable[[Any], None]) -> None:
    with pytest.raises(BROKEN) as caught:
        program(traced(make_client(server, STREAM_USAGE, Behaviour(cut=3))))
    kind = f"{type(caught.value).__module__}.{type(caught.value).__qualname__}"
    check_failure(captured.only(), kind, taken=3)


@pytest.mark.parametrize("program", [raw_stream_by_hand, streaming_by_hand, streaming_bytes])
def test_a_cut_connection_read_by_hand(server: ReplayServer, captured: Calls, program: Callable[[Any], None]) -> None:
    with pytest.raises(BROKEN) as caught:
        program(traced(make_client(server, STREAM_USAGE, Behaviour(cut=3))))
    check_failure(captured.only(), f"{type(caught.value).__module__}.{type(caught.value).__qualname__}")


async def test_an_async_cut_connection(server: ReplayServer, captured: Calls) -> None:
    for program in (a_read_whole, a_read_whole_in_with, a_raw_stream_read, a_streaming_parsed, a_helper_read, a_streaming_by_hand):
        with pytest.raises(BROKEN):
            await program(traced(make_client(server, STREAM_USAGE, Behaviour(cut=3), asynchronous=True)))
        assert captured.only().ending == FAILED
        captured.clear()


def test_a_cut_plain_answer(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, PLAIN, Behaviour(cut=0)))
    with pytest.raises(openai.APIConnectionError):
        plain(client)
    check_failure(captured.only(), "openai.APIConnectionError")
    captured.clear()
    with pytest.raises(BROKEN):
        streaming_plain_parsed(client)
    assert captured.only().ending == FAILED


# Time-outs.


@pytest.mark.parametrize("program", [plain, chat_stream, raw_stream, streaming_never_read, helper_never_read])
def test_a_time_out_before_the_answer(server: ReplayServer, captured: Calls, program: Callable[[Any], Any]) -> None:
    client = traced(make_client(server, STREAM_USAGE, Behaviour(hang=1), timeout=0.05))
    with pytest.raises(openai.APITimeoutError):
        program(client)
    call = captured.only()
    check_failure(call, "openai.APITimeoutError")
    failure = call.attempts[0].failure
    assert failure is not None
    assert failure.type.endswith(".ReadTimeout")


async def test_an_async_time_out_before_the_answer(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, STREAM_USAGE, Behaviour(hang=1), timeout=0.05, asynchronous=True))
    with pytest.raises(openai.APITimeoutError):
        await a_plain(client)
    check_failure(captured.only(), "openai.APITimeoutError")


@pytest.mark.parametrize("program", [read_whole, raw_stream_read, streaming_parsed, helper_read])
def test_a_time_out_in_the_middle(captured: Calls, program: Callable[[Any], Any]) -> None:
    client = traced(broken_client(STREAM_USAGE, HTTP.ReadTimeout("timed out")))
    with pytest.raises((openai.APITimeoutError, HTTP.TimeoutException)) as caught:
        program(client)
    check_failure(captured.only(), f"{type(caught.value).__module__}.{type(caught.value).__qualname__}", taken=1)


# Cancelled tasks.


async def cancelled(coroutine: Any, ready: Callable[[], bool]) -> None:
    """Run until the condition holds, then cancel."""
    task = asyncio.ensure_future(coroutine)
    await until(lambda: ready() or task.done())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def check_cancelled(call: Call, taken: int | None = None) -> None:
    assert call.ending == CANCELLED
    assert read_call(call).outcome == CANCELLED
    if taken is not None:
        assert pieces_taken(call) == taken


@pytest.mark.parametrize("program", [a_plain, chat_stream, raw_stream, a_streaming_never_read, a_helper_never_read])
async def test_cancelled_while_waiting(server: ReplayServer, captured: Calls, program: Callable[[Any], Any]) -> None:
    client = traced(make_client(server, STREAM_USAGE, Behaviour(hang=1), asynchronous=True))
    before = len(server.requests())
    await cancelled(program(client), lambda: len(server.requests()) > before)
    check_cancelled(captured.only())


@pytest.mark.parametrize(
    "program", [a_read_whole, a_read_whole_in_with, a_raw_stream_read, a_streaming_parsed, a_helper_read, a_streaming_by_hand]
)
async def test_cancelled_while_waiting_for_a_piece(server: ReplayServer, captured: Calls, program: Callable[[Any], Any]) -> None:
    client = traced(make_client(server, STREAM_USAGE, Behaviour(delay=30), asynchronous=True))
    by_hand = program is a_streaming_by_hand
    await cancelled(program(client), lambda: any(one_piece_came(call) for call in list(runtime.open_calls.values())))
    check_cancelled(captured.only(), None if by_hand else 1)


def one_piece_came(call: Call) -> bool:
    if call.stream_clock is not None:
        return len(call.stream_clock) > 2
    return bool(call.attempts and call.attempts[-1].response_bytes)


async def test_cancelled_by_a_time_out_of_the_program(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, STREAM_USAGE, Behaviour(delay=30), asynchronous=True))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(a_read_whole(client), 0.2)
    check_cancelled(captured.only())


@pytest.mark.parametrize("kind", KINDS)
async def test_cancelled_while_the_consumer_waits(server: ReplayServer, captured: Calls, kind: str) -> None:
    """Inside `async with`: the stream is closed by the cancellation."""
    client = traced(client_of_kind(kind, server, STREAM_USAGE, asynchronous=True))
    taken = asyncio.Event()

    async def consume() -> None:
        async with await chat_stream(client) as stream:
            async for _ in stream:
                taken.set()
                await asyncio.Event().wait()

    await cancelled(consume(), taken.is_set)
    check_cancelled(captured.only(), 1)


@pytest.mark.parametrize("open_stream", [streaming, helper])
async def test_cancelled_while_the_consumer_waits_in_a_manager(
    server: ReplayServer, captured: Calls, open_stream: Callable[..., Any]
) -> None:
    client = traced(make_client(server, STREAM_USAGE, asynchronous=True))
    taken = asyncio.Event()

    async def consume() -> None:
        more: dict[str, Any] = {"stream": True} if open_stream is streaming else {}
        async with open_stream(client, **more) as opened:
            stream = await opened.parse() if open_stream is streaming else opened
            async for _ in stream:
                taken.set()
                await asyncio.Event().wait()

    await cancelled(consume(), taken.is_set)
    check_cancelled(captured.only(), 1)


async def test_cancelled_while_the_consumer_waits_without_with(server: ReplayServer, captured: Calls) -> None:
    """Nobody closes the stream: it is dropped like one that was broken off, and that is all there is to see."""
    client = traced(make_client(server, STREAM_USAGE, asynchronous=True))
    taken = asyncio.Event()

    async def consume() -> None:
        async for _ in await chat_stream(client):
            taken.set()
            await asyncio.Event().wait()

    await cancelled(consume(), taken.is_set)
    await until(lambda: bool(captured))
    call = captured.only()
    assert (call.ending, pieces_taken(call)) == (STOPPED, 1)


def test_a_program_interrupted_while_waiting(captured: Calls) -> None:
    def interrupt(_request: Any) -> Any:
        raise KeyboardInterrupt

    transport = HTTP.MockTransport(interrupt)
    client = traced(openai.OpenAI(api_key="none", base_url="http://replay.test/v1", http_client=http_client(transport=transport)))
    with pytest.raises(KeyboardInterrupt):
        plain(client)
    check_cancelled(captured.only())


def test_a_program_interrupted_while_waiting_for_a_piece(captured: Calls) -> None:
    client = traced(broken_client(STREAM_USAGE, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        read_whole(client)
    check_cancelled(captured.only(), 1)


# The end is known though the caller did not go to it.


def test_left_after_the_finish_reason_is_completed(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, STREAM_USAGE))
    for chunk in chat_stream(client):
        if chunk.choices[0].finish_reason:
            break
    call = captured.only()
    assert call.ending == STOPPED
    assert read_call(call).outcome == COMPLETED


def test_left_before_the_last_finish_reason_is_stopped(server: ReplayServer, captured: Calls) -> None:
    record_id = "openaipy.stream.parse_pydantic_model_multiple_choices"
    client = traced(make_client(server, record_id))
    for chunk in create(client, record_id):
        if chunk.choices[0].finish_reason:
            break
    call = captured.only()
    assert call.ending == STOPPED
    assert read_call(call).outcome == STOPPED


async def test_async_left_after_the_finish_reason_is_completed(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, STREAM_USAGE, asynchronous=True))
    async with await chat_stream(client) as stream:
        async for chunk in stream:
            if chunk.choices[0].finish_reason:
                break
    call = captured.only()
    assert call.ending == STOPPED
    assert read_call(call).outcome == COMPLETED


# When the record is there.


def test_a_record_is_there_before_the_iteration_ends(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, STREAM_USAGE))
    stream = chat_stream(client)
    for _ in range(SEEN):
        next(stream)
    assert list(captured) == []
    with pytest.raises(StopIteration):
        next(stream)
    assert [call.ending for call in captured] == [COMPLETED]


def raw_of_stream(client: Any) -> Any:
    return raw_stream(client)


def response_of_raw(client: Any) -> Any:
    return raw_stream(client).http_response


def stream_of_raw(client: Any) -> Any:
    return raw_stream(client).parse()


def manager(client: Any) -> Any:
    return streaming(client, stream=True)


@pytest.mark.parametrize("make", [chat_stream, raw_of_stream, response_of_raw, stream_of_raw, manager, helper, error_plain, error_raw])
def test_what_is_let_go_is_gone_as_soon_as_without_us(server: ReplayServer, captured: Calls, make: Callable[[Any], Any]) -> None:
    """No cycle is ours. (The SDK's stream is one by itself: it holds a generator that holds it.)"""

    def gone_at_once(client: Any) -> bool:
        gc.collect()
        gc.disable()
        try:
            return weakref.ref(make(client))() is None
        finally:
            gc.enable()

    record_id = PLAIN if make in (error_plain, error_raw) else STREAM_USAGE
    bare = make_client(server, record_id)
    assert gone_at_once(traced(bare)) == gone_at_once(bare)


def test_a_raw_response_that_is_let_go_ends_its_call_at_once(server: ReplayServer, captured: Calls) -> None:
    if HTTP.__name__ == "httpx":
        pytest.skip("responses of httpx are cycles by themselves")
    client = traced(make_client(server, STREAM_USAGE))
    gc.collect()
    gc.disable()
    try:
        raw_stream_never_parsed(client)
        assert [call.ending for call in captured] == [ABANDONED]
    finally:
        gc.enable()


def test_many_endings_at_once(server: ReplayServer, captured: Calls) -> None:
    """Each record is of its own call, whichever thread ends it.

    Without collections while they run: one that finds a dropped stream while the pool's lock is held would close it under that lock, and
    httpcore 1 then waits for itself, bare as well.
    """
    client = traced(make_client(server, STREAM_USAGE))
    programs = [read_whole, break_then_drop, left_inside_with, never_read_dropped] * 6
    threads = [threading.Thread(target=program, args=(client,)) for program in programs]
    gc.disable()
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.enable()
    wait_until(lambda: gc.collect() >= 0 and len(captured) == len(programs))
    endings = sorted(call.ending for call in captured)
    assert endings == sorted([COMPLETED, STOPPED, STOPPED, ABANDONED] * 6)
    assert len({call.run_id for call in captured}) == len({call.span_id for call in captured}) == len(programs)


def test_a_stream_that_ends_while_off(server: ReplayServer, captured: Calls) -> None:
    """A call that began while recording was on is recorded to its end."""
    client = traced(make_client(server, STREAM_USAGE))
    stream = chat_stream(client)
    runtime.on = False
    assert len(list(stream)) == SEEN
    plain(client)
    assert captured.only().ending == COMPLETED


def test_other_endpoints_get_a_record(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, PLAIN))
    client.models.list()
    call = ended(captured)
    assert (call.kind, call.operation, call.method, call.path, call.ending) == ("request", "endpoint", "GET", "/models", COMPLETED)


def test_a_dropped_stream_ends_when_its_last_piece_was_taken(captured: Calls, server: ReplayServer) -> None:
    """It is noticed only when it is collected, which may be much later."""
    stream = traced(make_client(server, STREAM_USAGE)).chat.completions.create(model="m", messages=MESSAGES, stream=True)
    for _ in stream:
        break
    left = perf_counter_ns()
    del stream
    gc.collect()
    call = captured.only()
    assert call.ending == STOPPED
    assert call.started < call.ended < left
