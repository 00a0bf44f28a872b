"""Programs that go wrong: exceptions with their bodies, requests, responses and contexts, retries, interrupts, warnings and logs."""

# Clients of several SDKs in several versions: looked at as a program without types does.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Generator, Iterator
from typing import Any

from tests.fidelity.programs import BOTH, World, program
from tests.fidelity.seen import chain_of
from tracer.replay import sse
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import by_id

TROUBLE = "Trouble"


def facts_of(error: BaseException) -> list[Any]:
    """What programs look at on an SDK's exception."""
    request, response = getattr(error, "request", None), getattr(error, "response", None)
    facts: list[Any] = [type(error), error.args, str(error), repr(error), chain_of(error)]
    if request is not None:
        facts += [type(request), request.method, str(request.url), dict(request.headers), sorted(request.extensions)]
    if response is not None:
        facts += [type(response), response.status_code, dict(response.headers), response.is_closed, response.is_stream_consumed]
        facts += [response.request is request, response.__class__, response.stream.__class__, response.history]
        facts.append(getattr(response, "_content", "not read"))
    return facts


def failing(world: World, function: Callable[..., Any], *arguments: Any, **more: Any) -> None:
    """Note the exception of a call."""
    try:
        world.note("no error", function(*arguments, **more))
    except Exception as error:
        world.note(*facts_of(error))


async def failing_later(world: World, awaitable: Any) -> None:
    """The same of a coroutine."""
    try:
        world.note("no error", await awaitable)
    except Exception as error:
        world.note(*facts_of(error))


STATUSES = (400, 401, 403, 404, 408, 409, 422, 429, 500, 503, 529)
BODIES: tuple[tuple[str, bytes], ...] = (
    ("application/json", b'{"error": {"message": "m", "type": "t", "code": "c", "param": null}}'),
    ("application/json", b'["a", 1]'),
    ("application/json", b'{"error": '),
    ("text/html", b"<html>no</html>"),
    ("text/plain", b""),
)


@program(TROUBLE, "every status: `args`, `body`, `request`, `response`, `__cause__`, `__context__`")
def statuses(world: World) -> None:
    for status in STATUSES:
        behaviour = Behaviour(fail=9, status=status)
        failing(world, lambda behaviour=behaviour: world.ask(world.client(None, behaviour)))
        failing(world, lambda behaviour=behaviour: world.ask(world.client(world.family.stream, behaviour), world.family.stream))


@program(TROUBLE, "every status: `args`, `body`, `request`, `response`, `__cause__`, `__context__`")
async def async_statuses(world: World) -> None:
    for status in STATUSES:
        await failing_later(world, world.ask(world.client(None, Behaviour(fail=9, status=status), asynchronous=True)))


@program(TROUBLE, "bodies of errors: JSON, a list, broken JSON, HTML, empty")
def bodies(world: World) -> None:
    for kind, body in BODIES:
        for status in (200, 400, 500):
            client = world.over(lambda _, answer=(status, kind, body): _response(world, *answer))
            failing(world, world.ask, client)
            failing(world, lambda client=client: list(world.ask(client, world.family.stream)))


def _response(world: World, status: int, kind: str, body: bytes) -> Any:
    return world.family.http.Response(status, headers={"content-type": kind}, content=body)


@program(TROUBLE, "retries: in vain, with success, `retry-after`; raw responses of errors")
def retries(world: World) -> None:
    failing(world, lambda: world.ask(world.client(None, Behaviour(fail=9), max_retries=2)))
    world.note(world.ask(world.client(None, Behaviour(fail=2, status=500), max_retries=3)))
    client = world.client(None, Behaviour(fail=1), max_retries=1)
    raw = world.resource(client).with_raw_response.create(**world.arguments(client))
    world.note(getattr(raw, "retries_taken", None), dict(raw.headers))
    client = world.client(None, Behaviour(fail=9))
    failing(world, world.resource(client).with_raw_response.create, **world.arguments(client))


@program(TROUBLE, "time-outs and refused connections")
def unreachable(world: World) -> None:
    earlier = len(world.wire.replay.requests())
    failing(world, world.ask, world.client(None, Behaviour(hang=1), timeout=0.1))
    world.wire.wait_for_request(earlier)
    failing(world, world.ask, world.client(base_url="http://127.0.0.1:9"))
    failing(world, world.ask, world.client(base_url="http://127.0.0.1:9", max_retries=1))


@program(TROUBLE, "time-outs and refused connections")
async def async_unreachable(world: World) -> None:
    earlier = len(world.wire.replay.requests())
    await failing_later(world, world.ask(world.client(None, Behaviour(hang=1), asynchronous=True, timeout=0.1)))
    world.wire.wait_for_request(earlier)
    await failing_later(world, world.ask(world.client(base_url="http://127.0.0.1:9", asynchronous=True)))


STREAMS = {
    "cut": Behaviour(cut=1),
    "cut at once": Behaviour(cut=0),
    "overloaded": Behaviour(overload=2),
    "in pieces": Behaviour(pieces=7, crlf=1, comments=1),
    "compressed": Behaviour(gzip=1),
    "without an end mark": Behaviour(no_done=1),
}


@program(TROUBLE, "streams cut, overloaded, in small pieces, compressed, without an end mark")
def troubled_streams(world: World) -> None:
    for behaviour in STREAMS.values():
        client = world.client(world.family.stream, behaviour)
        failing(world, lambda client=client: list(world.ask(client, world.family.stream)))


@program(TROUBLE, "streams cut, overloaded, in small pieces, compressed, without an end mark")
async def async_troubled_streams(world: World) -> None:
    for behaviour in STREAMS.values():
        client = world.client(world.family.stream, behaviour, asynchronous=True)

        async def whole(client: Any = client) -> list[Any]:
            return [piece async for piece in await world.ask(client, world.family.stream)]

        await failing_later(world, whole())


def _breaking(world: World, error: BaseException) -> Any:
    def content() -> Iterator[bytes]:
        yield sse.split(by_id(world.family.stream).body.encode())[0]
        raise error

    return lambda _request: world.family.http.Response(200, headers={"content-type": "text/event-stream"}, content=content())


@program(TROUBLE, "an exception out of the HTTP library in the middle; Ctrl-C there")
def broken_in_the_middle(world: World) -> None:
    http = world.family.http
    for kind in ("ReadTimeout", "ReadError", "RemoteProtocolError", "DecodingError"):
        client = world.over(_breaking(world, getattr(http, kind)("broken")))
        failing(world, lambda client=client: list(world.ask(client, world.family.stream)))
    client = world.over(_breaking(world, KeyboardInterrupt("by the user")))
    try:
        list(world.ask(client, world.family.stream))
    except KeyboardInterrupt as error:
        world.note(chain_of(error))


@program(TROUBLE, "inside of an `except` block; in a generator; thrown into a stream")
def with_contexts(world: World) -> None:
    try:
        raise LookupError("earlier")
    except LookupError:
        failing(world, world.ask, world.client(None, Behaviour(fail=9, status=400)))
        failing(world, lambda: list(world.ask(world.client(world.family.stream, Behaviour(cut=1)), world.family.stream)))

    def pieces() -> Generator[Any, None, None]:
        yield from world.ask(world.client(world.family.stream), world.family.stream)

    running = pieces()
    world.note(next(running))
    failing(world, running.throw, ValueError("thrown in"))
    world.note(list(running))


@program(TROUBLE, "wrong arguments: no model, unknown names, values that JSON has not")
def wrong_arguments(world: World) -> None:
    client = world.client()
    create = world.resource(client).create
    for arguments in (
        {},
        {"model": "m"},
        {"unknown": 1},
        {"model": "m", "messages": [{"role": "user", "content": {1, 2}}], "max_tokens": 1},
    ):
        failing(world, create, **arguments)
    failing(world, lambda: create(1, 2))


@program(TROUBLE, "a task cancelled in a call and in a stream; `asyncio.timeout`")
async def cancelled(world: World) -> None:
    earlier = len(world.wire.replay.requests())
    task = asyncio.ensure_future(world.ask(world.client(None, Behaviour(hang=1), asynchronous=True)))
    await asyncio.to_thread(world.wire.wait_for_request, earlier)
    task.cancel("by the caller")
    try:
        await task
    except asyncio.CancelledError as error:
        world.note(chain_of(error), task.cancelled())
    stream = await world.ask(world.client(world.family.stream, asynchronous=True), world.family.stream)
    waiting = asyncio.Event()

    async def consume() -> None:
        async for piece in stream:
            world.note(piece)
            waiting.set()
            await asyncio.Event().wait()

    consumer = asyncio.ensure_future(consume())
    await waiting.wait()
    consumer.cancel()
    world.note(await asyncio.gather(consumer, return_exceptions=True), stream.response.is_closed)
    await stream.close()
    world.note(stream.response.is_closed)


@program(TROUBLE, "streams that are dropped: nothing is closed sooner or later")
def dropped_streams(world: World) -> None:
    stream_id = world.family.stream
    client = world.client(stream_id)
    stream = world.ask(client, stream_id)
    response = stream.response
    world.note(next(iter(stream)))
    del stream
    gc.collect()
    world.note(response.is_closed)
    stream = world.ask(client, stream_id)
    response = stream.response
    del stream
    gc.collect()
    world.note(response.is_closed)


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what says something about the program's own requests."""
        self.lines.append((record.name, record.levelname, record.msg))


@program("Warnings and logs", "log records of the SDK and of the HTTP library", families=BOTH)
def logs(world: World) -> None:
    handler = _Kept()
    loggers = [logging.getLogger(name) for name in (world.family.sdk.__name__, world.family.http.__name__)]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        world.ask(world.client())
        list(world.ask(world.client(world.family.stream), world.family.stream))
        failing(world, world.ask, world.client(None, Behaviour(fail=9), max_retries=1))
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
    world.note(*handler.lines)


@program("Warnings and logs", "warnings, and where they point to")
def warned(world: World) -> None:
    import warnings

    client = world.client()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        world.note(world.ask(client, model="claude-2.1" if world.family.name == "anthropic" else "gpt-3.5-turbo-instruct"))
        assistants = getattr(getattr(client, "beta", None), "assistants", None)
        if assistants is not None:
            world.attempt(assistants.retrieve, "asst_1")
            world.attempt(assistants.list)
    world.note([(item.category, str(item.message), item.filename.rpartition("/")[2], item.lineno) for item in caught])
