"""Every way a call of Anthropic's SDK can end, sync and async: exactly one record each, with the right ending."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anthropic
import pytest

from tests.integration.anthropic_support import (
    HTTP,
    KINDS,
    NOT_FOUND,
    OUTDATED,
    PLAIN,
    STREAM,
    TOOLS_STREAM,
    client_of_kind,
    create,
    http_client,
    make_client,
)
from tests.integration.capture_support import Calls, until
from tracer.call import ABANDONED, CANCELLED, COMPLETED, FAILED, STOPPED, Call, pieces_taken
from tracer.capture.wrapping import traced
from tracer.reading.read import read_call
from tracer.reading.record import Record
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer
from tracer.runtime import runtime

pytestmark = pytest.mark.filterwarnings(OUTDATED)

SEEN = 7
"""Pieces of the recorded stream that the caller sees: its ping is none."""
ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


class OfCaller(Exception):  # noqa: N818
    """Raised by the traced program itself."""


def stream_of(client: Any) -> Any:
    return client.messages.create(stream=True, **ASKED)


def helper(client: Any) -> Any:
    return client.messages.stream(**ASKED)


def raw_of(client: Any) -> Any:
    return client.messages.with_raw_response.create(stream=True, **ASKED)


def fail_at_first(stream: Any) -> None:
    for _ in stream:
        raise OfCaller


def streaming(client: Any) -> Any:
    return client.messages.with_streaming_response.create(stream=True, **ASKED)


# Programs, sync. Each returns nothing that could keep a stream alive.


def read_whole(client: Any) -> None:
    assert len(list(stream_of(client))) == SEEN


def read_in_with(client: Any) -> None:
    with stream_of(client) as stream:
        assert len(list(stream)) == SEEN


def break_then_drop(client: Any) -> None:
    for _ in stream_of(client):
        break


def break_then_close(client: Any) -> None:
    stream = stream_of(client)
    for _ in stream:
        break
    stream.close()


def left_inside_with(client: Any) -> None:
    with stream_of(client) as stream:
        for _ in stream:
            return


def error_inside_with(client: Any) -> None:
    with pytest.raises(OfCaller), stream_of(client) as stream:
        fail_at_first(stream)


def never_read_dropped(client: Any) -> None:
    stream_of(client)


def never_read_closed(client: Any) -> None:
    stream = stream_of(client)
    stream.close()


def never_read_in_with(client: Any) -> None:
    with stream_of(client):
        pass


def raw_read(client: Any) -> None:
    assert len(list(raw_of(client).parse())) == SEEN


def raw_broken(client: Any) -> None:
    for _ in raw_of(client).parse():
        break


def raw_never_parsed(client: Any) -> None:
    raw_of(client)


def raw_parsed_never_read(client: Any) -> None:
    raw_of(client).parse()


def streaming_parsed(client: Any) -> None:
    with streaming(client) as raw:
        assert len(list(raw.parse())) == SEEN


def streaming_broken(client: Any) -> None:
    with streaming(client) as raw:
        for _ in raw.parse():
            break


def streaming_by_lines(client: Any) -> None:
    with streaming(client) as raw:
        assert list(raw.iter_lines())


def streaming_never_read(client: Any) -> None:
    with streaming(client):
        pass


def helper_read(client: Any) -> None:
    with helper(client) as stream:
        assert list(stream)


def helper_texts(client: Any) -> None:
    with helper(client) as stream:
        assert "".join(stream.text_stream) == "Four plus five equals nine."


def helper_final_message(client: Any) -> None:
    with helper(client) as stream:
        assert stream.get_final_message().stop_reason == "end_turn"


def helper_final_text(client: Any) -> None:
    with helper(client) as stream:
        assert stream.get_final_text()


def helper_until_done(client: Any) -> None:
    with helper(client) as stream:
        stream.until_done()


def helper_broken(client: Any) -> None:
    with helper(client) as stream:
        for _ in stream:
            break


def helper_texts_broken(client: Any) -> None:
    with helper(client) as stream:
        for _ in stream.text_stream:
            break


def helper_closed(client: Any) -> None:
    with helper(client) as stream:
        next(stream)
        stream.close()


def helper_error(client: Any) -> None:
    with pytest.raises(OfCaller), helper(client) as stream:
        fail_at_first(stream)


def helper_never_read(client: Any) -> None:
    with helper(client):
        pass


PROGRAMS: dict[Callable[[Any], None], tuple[str, int | None]] = {
    read_whole: (COMPLETED, SEEN),
    read_in_with: (COMPLETED, SEEN),
    break_then_drop: (STOPPED, 1),
    break_then_close: (STOPPED, 1),
    left_inside_with: (STOPPED, 1),
    error_inside_with: (STOPPED, 1),
    never_read_dropped: (ABANDONED, 0),
    never_read_closed: (ABANDONED, 0),
    never_read_in_with: (ABANDONED, 0),
    raw_read: (COMPLETED, SEEN),
    raw_broken: (STOPPED, 1),
    raw_never_parsed: (ABANDONED, 0),
    raw_parsed_never_read: (ABANDONED, 0),
    streaming_parsed: (COMPLETED, SEEN),
    streaming_broken: (STOPPED, 1),
    streaming_by_lines: (COMPLETED, None),
    streaming_never_read: (ABANDONED, 0),
    helper_read: (COMPLETED, SEEN),
    helper_texts: (COMPLETED, SEEN),
    helper_final_message: (COMPLETED, SEEN),
    helper_final_text: (COMPLETED, SEEN),
    helper_until_done: (COMPLETED, SEEN),
    helper_broken: (STOPPED, 1),
    helper_texts_broken: (STOPPED, 3),
    helper_closed: (STOPPED, 1),
    helper_error: (STOPPED, 1),
    helper_never_read: (ABANDONED, 0),
}
"""Program: how the call ends, and how many pieces were taken (None where nobody could tell)."""


# The same, async.


async def a_read_whole(client: Any) -> None:
    assert len([piece async for piece in await stream_of(client)]) == SEEN


async def a_read_in_with(client: Any) -> None:
    async with await stream_of(client) as stream:
        assert len([piece async for piece in stream]) == SEEN


async def a_break_then_close(client: Any) -> None:
    stream = await stream_of(client)
    async for _ in stream:
        break
    await stream.close()


async def a_break_then_drop(client: Any) -> None:
    async for _ in await stream_of(client):
        break


async def a_left_inside_with(client: Any) -> None:
    async with await stream_of(client) as stream:
        async for _ in stream:
            return


async def a_never_read_closed(client: Any) -> None:
    stream = await stream_of(client)
    await stream.close()


async def a_never_read_in_with(client: Any) -> None:
    async with await stream_of(client):
        pass


async def a_cancelled_inside(client: Any) -> None:
    begun = asyncio.Event()

    async def run() -> None:
        async with await stream_of(client) as stream:
            async for _ in stream:
                begun.set()
                await asyncio.Event().wait()

    task = asyncio.ensure_future(run())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def a_streaming_parsed(client: Any) -> None:
    async with streaming(client) as raw:
        assert len([piece async for piece in await raw.parse()]) == SEEN


async def a_streaming_by_lines(client: Any) -> None:
    async with streaming(client) as raw:
        assert [line async for line in raw.iter_lines()]


async def a_helper_read(client: Any) -> None:
    async with helper(client) as stream:
        assert [event async for event in stream]


async def a_helper_texts(client: Any) -> None:
    async with helper(client) as stream:
        assert "".join([text async for text in stream.text_stream]) == "Four plus five equals nine."


async def a_helper_final_message(client: Any) -> None:
    async with helper(client) as stream:
        assert (await stream.get_final_message()).stop_reason == "end_turn"


async def a_helper_until_done(client: Any) -> None:
    async with helper(client) as stream:
        await stream.until_done()


async def a_helper_broken(client: Any) -> None:
    async with helper(client) as stream:
        async for _ in stream:
            break


async def a_helper_error(client: Any) -> None:
    with pytest.raises(OfCaller):
        await a_fail_at_first(client)


async def a_fail_at_first(client: Any) -> None:
    async with helper(client) as stream:
        async for _ in stream:
            raise OfCaller


async def a_helper_never_read(client: Any) -> None:
    async with helper(client):
        pass


ASYNC_PROGRAMS: dict[Callable[[Any], Awaitable[None]], tuple[str, int | None]] = {
    a_read_whole: (COMPLETED, SEEN),
    a_read_in_with: (COMPLETED, SEEN),
    a_break_then_close: (STOPPED, 1),
    a_break_then_drop: (STOPPED, 1),
    a_left_inside_with: (STOPPED, 1),
    a_never_read_closed: (ABANDONED, 0),
    a_never_read_in_with: (ABANDONED, 0),
    a_cancelled_inside: (CANCELLED, 1),
    a_streaming_parsed: (COMPLETED, SEEN),
    a_streaming_by_lines: (COMPLETED, None),
    a_helper_read: (COMPLETED, SEEN),
    a_helper_texts: (COMPLETED, SEEN),
    a_helper_final_message: (COMPLETED, SEEN),
    a_helper_until_done: (COMPLETED, SEEN),
    a_helper_broken: (STOPPED, 1),
    a_helper_error: (STOPPED, 1),
    a_helper_never_read: (ABANDONED, 0),
}


def check(call: Call, ending: str, pieces: int | None) -> None:
    record = read_call(call)
    assert record.outcome == ending
    assert record.generation is not None
    if pieces is not None:
        assert pieces_taken(call) == pieces
    if pieces:
        assert record.generation.problems == []
        assert len(record.generation.chunk_kinds) == pieces
        # What the caller left behind is no part of what it was answered; its input was counted all the same.
        assert record.generation.usage is not None
        assert record.generation.usage.input == 19
        assert record.generation.usage.output == (9 if ending == COMPLETED else None)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_sync(server: ReplayServer, captured: Calls, kind: str, program: Callable[[Any], None]) -> None:
    ending, pieces = PROGRAMS[program]
    program(traced(client_of_kind(kind, server, STREAM, asynchronous=False)))
    check(captured.only(), ending, pieces)


@pytest.mark.parametrize("program", ASYNC_PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("kind", KINDS)
async def test_async(server: ReplayServer, captured: Calls, kind: str, program: Callable[[Any], Awaitable[None]]) -> None:
    ending, pieces = ASYNC_PROGRAMS[program]
    await program(traced(client_of_kind(kind, server, STREAM, asynchronous=True)))
    await until(lambda: runtime.open_calls == {})
    check(captured.only(), ending, pieces)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_of_a_client_that_was_not_wrapped(
    server: ReplayServer, captured: Calls, instrumented: None, program: Callable[[Any], None]
) -> None:
    ending, pieces = PROGRAMS[program]
    program(make_client(server, STREAM))
    check(captured.only(), ending, pieces)


@pytest.fixture
def instrumented() -> Iterator[None]:
    """What `tracer.instrument()` does to the SDK, and its undoing."""
    from tracer.capture.whole_process import instrument_all, uninstrument_all

    instrument_all()
    yield
    uninstrument_all()


def test_instrumenting_sees_a_wrapped_client_once(server: ReplayServer, captured: Calls, instrumented: None) -> None:
    create(traced(make_client(server, PLAIN)), PLAIN)
    assert captured.only().operation == "messages"


# Errors.


def record_of(captured: Calls) -> Record:
    return read_call(captured.only())


@pytest.mark.parametrize("ask", [read_whole, helper_read, raw_read])
def test_overloaded_in_the_middle(server: ReplayServer, captured: Calls, ask: Callable[[Any], Any]) -> None:
    with pytest.raises(anthropic.APIStatusError):
        ask(traced(make_client(server, STREAM, Behaviour(overload=4))))
    record = record_of(captured)
    assert record.outcome == FAILED
    assert record.call.failure is not None
    assert record.call.failure.code == "overloaded_error"
    assert record.generation is not None
    assert (record.generation.error_code, record.generation.error_message) == ("overloaded_error", "Overloaded")
    assert record.generation.output_messages[0].parts == [{"type": "text", "content": "Four"}]
    assert record.generation.finish_reasons == ["error"]
    assert record.generation.usage is not None
    assert (record.generation.usage.input, record.generation.usage.output) == (19, None)


async def test_overloaded_in_the_middle_async(server: ReplayServer, captured: Calls) -> None:
    with pytest.raises(anthropic.APIStatusError):
        await a_helper_read(traced(make_client(server, STREAM, Behaviour(overload=4), asynchronous=True)))
    record = record_of(captured)
    assert (record.outcome, record.generation and record.generation.error_code) == (FAILED, "overloaded_error")


def test_overloaded_and_retried(server: ReplayServer, captured: Calls) -> None:
    create(traced(make_client(server, PLAIN, Behaviour(fail=2, status=529), max_retries=2)), PLAIN)
    record = record_of(captured)
    assert record.outcome == COMPLETED
    assert [attempt.status for attempt in record.call.attempts] == [529, 529, 200]
    assert record.call.attempts[0].request_id == "req_replay_failure"


def test_overloaded_in_vain(server: ReplayServer, captured: Calls) -> None:
    with pytest.raises(anthropic.InternalServerError):
        create(traced(make_client(server, STREAM, Behaviour(fail=9, status=529), max_retries=1)), STREAM)
    record = record_of(captured)
    assert [attempt.status for attempt in record.call.attempts] == [529, 529]
    assert record.call.failure is not None
    assert (record.call.failure.code, record.call.failure.status) == ("overloaded_error", 529)


def test_an_error_before_the_stream(server: ReplayServer, captured: Calls) -> None:
    with pytest.raises(anthropic.NotFoundError):
        create(traced(make_client(server, NOT_FOUND)), NOT_FOUND)
    record = record_of(captured)
    assert record.call.failure is not None
    assert (record.outcome, record.call.failure.code) == (FAILED, "not_found_error")


def test_timed_out(server: ReplayServer, captured: Calls) -> None:
    with pytest.raises(anthropic.APITimeoutError):
        create(traced(make_client(server, PLAIN, Behaviour(hang=1), timeout=0.05)), PLAIN)
    assert record_of(captured).outcome == FAILED


async def test_cancelled_while_waiting(server: ReplayServer, captured: Calls) -> None:
    before = len(server.requests(PLAIN))
    task = asyncio.ensure_future(create(traced(make_client(server, PLAIN, Behaviour(hang=1), asynchronous=True)), PLAIN))
    await until(lambda: len(server.requests(PLAIN)) > before)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert captured.only().ending == CANCELLED


def test_left_after_the_finish_reason_is_complete(server: ReplayServer, captured: Calls) -> None:
    for event in stream_of(traced(make_client(server, STREAM))):
        if event.type == "message_delta":
            break
    gc.collect()
    record = record_of(captured)
    assert (record.outcome, record.clocks.chunks) == (COMPLETED, SEEN - 1)


def test_the_input_of_a_tool_as_far_as_it_came(server: ReplayServer, captured: Calls) -> None:
    arguments: Any = None
    stream = stream_of(traced(make_client(server, TOOLS_STREAM)))
    for event in stream:
        if event.type == "content_block_delta" and event.delta.type == "input_json_delta" and event.delta.partial_json:
            arguments = event.delta.partial_json
            break
    stream.close()
    record = record_of(captured)
    assert record.outcome == STOPPED
    assert record.generation is not None
    part = record.generation.output_messages[0].parts[-1]
    assert (part["type"], part["name"], part["arguments"]) == ("tool_call", "get_weather", arguments)


# Other endpoints of the same client.


def answering(body: bytes, content_type: str = "application/json") -> Any:
    def answer(_request: Any) -> Any:
        return HTTP.Response(200, headers={"content-type": content_type}, content=body)

    http = http_client(transport=HTTP.MockTransport(answer))
    return traced(anthropic.Anthropic(api_key="none", base_url="http://replay.test", max_retries=0, http_client=http))


def test_counting_tokens_is_no_model_call(captured: Calls) -> None:
    client = answering(b'{"input_tokens": 14}')
    assert client.messages.count_tokens(model="m", messages=ASKED["messages"]).input_tokens == 14
    assert client.beta.messages.count_tokens(model="m", messages=ASKED["messages"]).input_tokens == 14
    assert [(call.path, call.operation, call.ending) for call in captured] == [("/v1/messages/count_tokens", "endpoint", COMPLETED)] * 2
    read = [read_call(call).generation for call in captured]
    assert [(generation.operation, generation.usage) for generation in read if generation is not None] == [("", None)] * 2


def test_batches(captured: Calls) -> None:
    batch = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "ended", "results_url": "http://replay.test/r"}
    client = answering(json.dumps(batch).encode())
    made = client.messages.batches.create(requests=[{"custom_id": "a", "params": ASKED}])
    assert client.messages.batches.retrieve(made.id).id == "msgbatch_1"
    assert [(call.method, call.path, call.ending) for call in captured] == [
        ("POST", "/v1/messages/batches", COMPLETED),
        ("GET", "/v1/messages/batches/msgbatch_1", COMPLETED),
    ]


def test_results_of_a_batch_are_read_line_by_line(captured: Calls) -> None:
    batch = b'{"id": "msgbatch_1", "type": "message_batch", "processing_status": "ended", "results_url": "http://replay.test/r"}'
    lines = b'{"custom_id": "a", "result": {"type": "canceled"}}\n{"custom_id": "b", "result": {"type": "expired"}}\n'
    bodies = {"/v1/messages/batches/msgbatch_1": (batch, "application/json"), "/r": (lines, "application/x-jsonl")}

    def answer(request: Any) -> Any:
        body, content_type = bodies[request.url.path]
        return HTTP.Response(200, headers={"content-type": content_type}, content=iter([body]))

    http = http_client(transport=HTTP.MockTransport(answer))
    client = traced(anthropic.Anthropic(api_key="none", base_url="http://replay.test", max_retries=0, http_client=http))
    assert [line.custom_id for line in client.messages.batches.results("msgbatch_1")] == ["a", "b"]
    assert [call.ending for call in captured] == [COMPLETED, COMPLETED]
