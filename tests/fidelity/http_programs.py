"""Programs about what lies below the SDK: HTTP clients and transports of the caller's own, proxies, and when something is read."""

# Clients of several SDKs in several versions: looked at as a program without types does.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import importlib
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest import mock

from tests.fidelity.programs import OPENAI, World, program
from tests.integration.capture_support import close_later, helpers_of
from tracer.replay import sse
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import by_id

HTTP = "HTTP clients and transports"
LAZY = "When something is read"
REFUSING = Behaviour(fail=9, status=404)


def whole_use(world: World, **client: Any) -> None:
    """A plain answer, a stream, and an error, through such a client."""
    world.note(world.ask(world.client(**client)))
    world.note(list(world.ask(world.client(world.family.stream, **client), world.family.stream)))
    world.attempt(world.ask, world.client(None, REFUSING, **client))


async def whole_use_later(world: World, **client: Any) -> None:
    """The same, async."""
    world.note(await world.ask(world.client(asynchronous=True, **client)))
    stream = await world.ask(world.client(world.family.stream, asynchronous=True, **client), world.family.stream)
    world.note([piece async for piece in stream])
    await world.attempt_later(world.ask(world.client(None, REFUSING, asynchronous=True, **client)))


@program(HTTP, "a subclass of the HTTP client, event hooks, headers, cookies")
def own_http_client(world: World) -> None:
    base: Any = world.family.http.Client

    class Own(base):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            world.note("send", request.method, sorted(kwargs))
            return base.send(self, request, *args, **kwargs)

        def build_request(self, *args: Any, **kwargs: Any) -> Any:
            world.note("build", sorted(kwargs))
            return base.build_request(self, *args, **kwargs)

    hooks: Any = {
        "request": [lambda request: request.headers.__setitem__("x-hooked", "1")],
        "response": [lambda response: world.note(response.status_code, type(response.stream), response.is_stream_consumed)],
    }
    own = close_later(Own(headers={"x-own": "1"}, event_hooks=hooks, trust_env=False, cookies={"a": "b"}))
    whole_use(world, http_client=own)
    client = world.client(http_client=own)
    world.note(client._client.headers is own.headers, client._client.cookies == own.cookies, client._client.event_hooks == own.event_hooks)


@program(HTTP, "a subclass of the HTTP client, event hooks, headers, cookies")
async def async_own_http_client(world: World) -> None:
    base: Any = world.family.http.AsyncClient

    class Own(base):
        async def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            world.note("send", request.method, sorted(kwargs))
            return await base.send(self, request, *args, **kwargs)

    async def hook(response: Any) -> None:
        world.note(response.status_code, type(response.stream))

    await whole_use_later(world, http_client=close_later(Own(event_hooks={"response": [hook]}, trust_env=False)))


@program(HTTP, "a transport of the caller's own; mounts")
def own_transport(world: World) -> None:
    http = world.family.http
    inner = http.HTTPTransport(retries=1)

    class Own(http.BaseTransport):
        def handle_request(self, request: Any) -> Any:
            response = inner.handle_request(request)
            world.note("handled", request.extensions.get("timeout"), response.status_code)
            response.headers["x-transport"] = "own"
            return response

        def close(self) -> None:
            world.note("closed")
            inner.close()

    for arguments in ({"transport": Own()}, {"mounts": {"http://": Own()}}):
        whole_use(world, http_client=world.family.make_http(**arguments))


@program(HTTP, "the HTTP client that the SDK makes")
def default_http_client(world: World) -> None:
    arguments = {"api_key": "none", "base_url": base_url(world), "max_retries": 0}
    client = world.wrap(world.family.client(**arguments))
    world.note(client._client.__class__, world.ask(client))
    client.close()


@program(HTTP, "the HTTP client that the SDK makes")
async def async_default_http_client(world: World) -> None:
    arguments = {"api_key": "none", "base_url": base_url(world), "max_retries": 0}
    client = world.wrap(world.family.async_client(**arguments))
    world.note(client._client.__class__, await world.ask(client))
    await client.close()


def base_url(world: World) -> str:
    """Where the plain recording is answered."""
    replay = world.wire.replay
    return replay.root(world.family.plain) if world.family.name == "anthropic" else replay.base_url(world.family.plain)


@program(HTTP, "a proxy, by argument and by environment")
def through_proxy(world: World) -> None:
    proxy = world.wire.replay.address
    whole_use(world, http_client=world.family.make_http(proxy=proxy))
    with mock.patch.dict(os.environ, {"HTTP_PROXY": proxy, "NO_PROXY": ""}):
        client = world.wrap(world.family.client(api_key="none", base_url=base_url(world), max_retries=0))
    world.note(world.ask(client))
    client.close()
    nowhere = world.client(http_client=world.family.make_http(proxy="http://127.0.0.1:9"))
    world.attempt(world.ask, nowhere)


@program(HTTP, "a proxy, by argument and by environment")
async def async_through_proxy(world: World) -> None:
    await whole_use_later(world, http_client=world.family.make_http(asynchronous=True, proxy=world.wire.replay.address))


@program(HTTP, "a client of legacy `httpx` where the SDK uses `httpx2`")
def legacy(world: World) -> None:
    world.needs(world.family.http.__name__ == "httpx2", "httpx2 below it")
    old = importlib.import_module("httpx")
    try:
        world.client(http_client=close_later(old.Client()))
    except TypeError:
        world.needs(False, "place for clients of httpx")
    whole_use(world, http_client=close_later(old.Client(headers={"x-old": "1"})))
    raw = world.resource(world.client(http_client=close_later(old.Client()))).with_raw_response
    answer = raw.create(**world.arguments(world.client()))
    world.note(type(answer), answer.http_response.__class__, answer.http_response.stream.__class__, answer.parse())


@program(HTTP, "a client of legacy `httpx` where the SDK uses `httpx2`")
async def async_legacy(world: World) -> None:
    world.needs(world.family.http.__name__ == "httpx2", "httpx2 below it")
    old = importlib.import_module("httpx")
    try:
        world.client(asynchronous=True, http_client=close_later(old.AsyncClient()))
    except TypeError:
        world.needs(False, "place for clients of httpx")
    await whole_use_later(world, http_client=close_later(old.AsyncClient(headers={"x-old": "1"})))


@program(HTTP, "`DefaultAioHttpClient`")
async def aiohttp(world: World) -> None:
    made = getattr(world.family.sdk, "DefaultAioHttpClient", None)
    world.needs(made is not None, "DefaultAioHttpClient")
    try:
        http: Any = made() if made is not None else None
    except RuntimeError as error:
        world.needs(False, f"DefaultAioHttpClient here ({error})")
        return
    close_later(http)
    await whole_use_later(world, http_client=http)


# When something is read.


class Pulled:
    """The events of a recording, one by one; counts what was asked for."""

    def __init__(self, record_id: str) -> None:
        self.events = sse.split(by_id(record_id).body.encode())
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for event in self.events:
            self.count += 1
            yield event

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self.events:
            self.count += 1
            yield event


def _answering(world: World, pulled: Pulled, asynchronous: bool) -> Any:
    http = world.family.http
    headers = {"content-type": "text/event-stream"}
    content: Any = pulled.__aiter__() if asynchronous else iter(pulled)
    return lambda _request: http.Response(200, headers=headers, content=content)


@program(LAZY, "nothing of a stream is read before it is asked for")
def lazily(world: World) -> None:
    stream_id = world.family.stream
    for leave in (False, True):
        pulled = Pulled(stream_id)
        client = world.over(_answering(world, pulled, False))
        stream = world.ask(client, stream_id)
        world.note(pulled.count)
        for piece in stream:
            world.note(piece, pulled.count)
            if leave:
                break
        stream.close()
        world.note(pulled.count, stream.response.is_closed)
    pulled = Pulled(stream_id)
    client = world.over(_answering(world, pulled, False))
    create = world.family.resource(client, by_id(stream_id)).with_streaming_response.create
    manager = create(**world.arguments(client, stream_id))
    world.note(type(manager), pulled.count)
    with manager as raw:
        world.note(pulled.count, raw.http_response.num_bytes_downloaded)
        lines = raw.iter_lines()
        world.note(pulled.count, next(lines), pulled.count)
    world.note(pulled.count, raw.http_response.is_closed)


@program(LAZY, "nothing of a stream is read before it is asked for")
async def lazily_async(world: World) -> None:
    stream_id = world.family.stream
    pulled = Pulled(stream_id)
    client = world.over(_answering(world, pulled, True), asynchronous=True)
    asked = world.ask(client, stream_id)
    world.note(type(asked), pulled.count)
    stream = await asked
    world.note(pulled.count)
    async for piece in stream:
        world.note(piece, pulled.count)
    world.note(pulled.count)


@program(LAZY, "no request before a coroutine is awaited or a helper's block is entered")
def nothing_sent_early(world: World) -> None:
    stream_id = world.family.stream
    asynchronous = world.client(asynchronous=True)
    asked = world.ask(asynchronous)
    world.note(type(asked), len(world.wire.take()))
    asked.close()
    client = world.client(stream_id)
    helpers = client.messages if world.family.name == "anthropic" else helpers_of(client)
    arguments = world.arguments(client, stream_id)
    arguments.pop("stream", None)
    manager = helpers.stream(**arguments)
    world.note(type(manager), len(world.wire.take()))
    with manager as stream:
        world.note(len(list(stream)))


@program("Endpoints and options", "`idempotency_key`, `extra_headers`, `extra_query`, `extra_body`, `timeout` of a call", families=OPENAI)
def options_of_a_call(world: World) -> None:
    client = world.client()
    more: Any = {"extra_headers": {"x-a": "1", "Idempotency-Key": "k"}, "extra_query": {"b": ["2", "3"]}, "extra_body": {"c": {"d": 4}}}
    world.note(world.ask(client, timeout=3.0, **more))
    world.note(world.ask(client, timeout=None, user=None))
