"""Beside an application's own tracer provider: however a stream ends, its span has ended by then, once, with the right outcome."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import openai
import pytest
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

import tracer
from tests.integration.capture_support import ERROR_IN_STREAM, RESPONSES_STREAM, STREAM_USAGE, until
from tests.integration.host_support import (
    Application,
    application,
    ask,
    attributes,
    closing_clients,
    host_account,
    id_of,
    parent_of,
    replaying,
    traced,
)
from tests.support import PATIENCE, wait_until
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer

server = pytest.fixture(scope="module")(replaying)
clients_are_closed = pytest.fixture(autouse=True)(closing_clients)


@pytest.fixture
def app() -> Iterator[Application]:
    with application() as installed:
        yield installed


def outcome(app: Application) -> str:
    (span,) = app.spans
    return attributes(span)["tracer.outcome"]


def read_whole(stream: Any) -> None:
    list(stream)


def read_by_next(stream: Any) -> None:
    while True:
        try:
            next(stream)
        except StopIteration:
            return


def close_after_one(stream: Any) -> None:
    next(stream)
    stream.close()


def close_at_once(stream: Any) -> None:
    stream.close()


def leave_with_block(stream: Any) -> None:
    with stream as pieces:
        next(pieces)


def raise_in_with_block(stream: Any) -> None:
    def program() -> None:
        with stream as pieces:
            next(pieces)
            raise KeyError("mine")

    with pytest.raises(KeyError):
        program()


ENDS: dict[Callable[[Any], None], str] = {
    read_whole: "completed",
    read_by_next: "completed",
    close_after_one: "stopped",
    close_at_once: "abandoned",
    leave_with_block: "stopped",
    raise_in_with_block: "stopped",
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("record", [STREAM_USAGE, RESPONSES_STREAM])
def test_a_span_has_ended_with_its_stream(end: Callable[[Any], None], record: str, app: Application, server: ReplayServer) -> None:
    stream = ask(traced(server, record), record)
    assert app.spans == []
    assert host_account()["open"] == 1
    end(stream)
    assert outcome(app) == ENDS[end]
    assert host_account()["exported"] == 1


def test_the_span_is_not_current_while_the_stream_is_read(app: Application, server: ReplayServer) -> None:
    stream = ask(traced(server, STREAM_USAGE), STREAM_USAGE)
    for _ in stream:
        assert otel.get_current_span() is otel.INVALID_SPAN
    assert attributes(app.spans[0])["gen_ai.usage.output_tokens"] > 0


def test_an_error_in_the_middle(app: Application, server: ReplayServer) -> None:
    with pytest.raises(openai.APIError):
        list(ask(traced(server, ERROR_IN_STREAM), ERROR_IN_STREAM))
    assert outcome(app) == "failed"
    assert [event.name for event in app.spans[0].events] == ["exception"]


async def areads_whole(stream: Any) -> None:
    async for _ in stream:
        pass


async def acloses(stream: Any) -> None:
    await stream.__anext__()
    await stream.close()


async def aleaves(stream: Any) -> None:
    async with stream as pieces:
        await pieces.__anext__()


@pytest.mark.parametrize(("end", "expected"), [(areads_whole, "completed"), (acloses, "stopped"), (aleaves, "stopped")])
async def test_a_span_has_ended_with_its_async_stream(end: Any, expected: str, app: Application, server: ReplayServer) -> None:
    await end(await ask(traced(server, STREAM_USAGE, asynchronous=True), STREAM_USAGE))
    assert outcome(app) == expected


async def test_a_cancelled_task(app: Application, server: ReplayServer) -> None:
    stream = await ask(traced(server, STREAM_USAGE, Behaviour(delay=60), asynchronous=True), STREAM_USAGE)
    taken: list[Any] = []

    async def take() -> None:
        async for piece in stream:
            taken.append(piece)  # noqa: PERF401  # each piece is to be seen as it comes

    task = asyncio.ensure_future(take())
    await until(lambda: bool(taken))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert outcome(app) == "cancelled"


# Dropped streams: a finalizer runs in the middle of anything, so their spans end a moment later, or at the next call.


def test_a_dropped_stream_ends_by_itself(app: Application, server: ReplayServer) -> None:
    client = traced(server, STREAM_USAGE)
    for _ in ask(client, STREAM_USAGE):
        break
    gc.collect()
    wait_until(lambda: bool(app.spans))
    assert outcome(app) == "stopped"


def test_a_stream_that_nobody_reads(app: Application, server: ReplayServer) -> None:
    ask(traced(server, STREAM_USAGE), STREAM_USAGE)
    gc.collect()
    assert tracer.flush()
    assert outcome(app) == "abandoned"


def test_a_flush_waits_for_what_was_dropped(app: Application, server: ReplayServer) -> None:
    client = traced(server, STREAM_USAGE)
    for _ in range(20):
        next(ask(client, STREAM_USAGE))
        gc.collect()
    assert tracer.flush()
    assert len(app.spans) == 20
    assert host_account() == {"started": 20, "open": 0, "exported": 20, "sampled_out": 0, "dropped": {}, "queued": 0}


def test_finalizers_take_no_lock_that_a_processor_holds(server: ReplayServer) -> None:
    lock = threading.Lock()

    class Locking(SpanProcessor):
        """As processors and exporters are: what they do at the end of a span needs their lock."""

        def on_end(self, span: ReadableSpan) -> None:
            with lock:
                pass

    with application() as app:
        app.provider.add_span_processor(Locking())
        stream = ask(traced(server, STREAM_USAGE), STREAM_USAGE)
        next(stream)
        done = threading.Event()

        def drop() -> None:
            nonlocal stream
            with lock:
                stream = None
                gc.collect()
            done.set()

        threading.Thread(target=drop, daemon=True).start()
        assert done.wait(PATIENCE)
        assert tracer.flush()
        assert outcome(app) == "stopped"


def test_a_generator_of_the_applications_own_that_is_left(app: Application) -> None:
    @tracer.trace
    def numbers() -> Generator[int, None, None]:
        yield from range(3)

    with app.tracer.start_as_current_span("request"):
        for _ in numbers():
            break
        closed = numbers()
        next(closed)
        closed.close()
    assert tracer.flush()
    spans = [span for span in app.spans if span.name == "numbers"]
    assert [attributes(span)["tracer.outcome"] for span in spans] == ["stopped"] * 2
    assert {parent_of(span) for span in spans} == {id_of(app.only("request"))}


def test_the_one_thread_is_ours_and_ends_with_us(app: Application, server: ReplayServer) -> None:
    ask(traced(server, STREAM_USAGE), STREAM_USAGE).close()
    assert [thread.name for thread in threading.enumerate()].count("tracer-host") == 1
    tracer.shutdown()
    wait_until(lambda: "tracer-host" not in [thread.name for thread in threading.enumerate()])
    assert len(app.spans) == 1
