"""Programs about the client object itself: what it is, how it looks, copies, pickling, closing."""

# Clients of several SDKs in several versions: looked at as a program without types does.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import pickle
import weakref
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from tests.fidelity.programs import WRAPPED, World, program
from tests.fidelity.seen import chain_of

CLIENT = "The client itself"
COPIES = "Copies and closing"

SETTINGS = (
    *("api_key", "base_url", "timeout", "max_retries", "organization", "project", "auth_token", "webhook_secret", "websocket_base_url"),
    *("default_headers", "default_query", "auth_headers", "user_agent", "custom_auth", "qs", "_strict_response_validation"),
    *("_version", "_custom_headers", "_custom_query", "_api_version", "_azure_deployment", "_azure_endpoint"),
)


def clients(world: World) -> list[Any]:
    """A client and an async one."""
    return [world.client(), world.client(asynchronous=True)]


@program(CLIENT, "`type`, `__class__`, `isinstance`, `==`, `hash`, truth")
def identity(world: World) -> None:
    for client in clients(world):
        http = client._client
        world.note(type(client), client.__class__, isinstance(client, (world.family.client, world.family.async_client)))
        world.note(client == client, hash(client) == hash(client), client != world.client(), bool(client), [client].count(client))
        world.note(http.__class__, isinstance(http, (world.family.http.Client, world.family.http.AsyncClient)))
        world.note(http.timeout, http.is_closed)
        chat = world.resource(client)
        world.note(chat._client is client, type(chat), client.with_raw_response.__class__)


@program(CLIENT, "`repr`, `str`, `format`")
def looks(world: World) -> None:
    for client in clients(world):
        world.note(repr(client), str(client), f"{client}", repr(client._client), repr(world.resource(client)), repr(client.copy))


@program(CLIENT, "settings, and `setattr` of them after wrapping")
def settings(world: World) -> None:
    for client in clients(world):
        world.note({name: getattr(client, name, "(none)") for name in SETTINGS})
    client = world.client()
    client.api_key, client.timeout, client.max_retries = "another", 9.0, 4
    world.note(world.ask(client), client.timeout, client.max_retries, client.auth_headers)
    client.base_url = world.wire.replay.root(world.family.stream)
    world.note(client.base_url)
    del client.max_retries
    world.attempt(lambda: client.max_retries)


@program(CLIENT, "`dir`, and `vars` of the original after wrapping")
def names(world: World) -> None:
    bare = world.family.make(world.wire.replay, world.family.plain)
    before = sorted(vars(bare))
    client = world.wrap(bare)
    world.note([name for name in dir(client) if not name.startswith("_")], sorted(vars(bare)) == before, type(bare._client))
    world.note(dir(world.resource(client)))


def _methods(owner: Any, path: str, depth: int, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Every public method that can be reached from a client, with its path."""
    for name in dir(type(owner)):
        if name.startswith("_"):
            continue
        try:
            value = getattr(owner, name)
        except Exception as error:
            yield f"{path}.{name}", type(error).__name__
            continue
        if callable(value):
            yield f"{path}.{name}", value
        elif depth and type(value).__module__.partition(".")[0] in ("openai", "anthropic") and id(type(value)) not in seen:
            yield from _methods(value, f"{path}.{name}", depth - 1, seen | {id(type(value))})


def _signature(method: Any) -> Any:
    try:
        return str(inspect.signature(method))
    except (TypeError, ValueError) as error:
        return type(error).__name__


@program(CLIENT, "`inspect.signature`, names, docs and kinds of every public method")
def signatures(world: World) -> None:
    for client in clients(world):
        for path, method in _methods(client, "client", 3, set()):
            facts = [getattr(method, name, None) for name in ("__name__", "__qualname__", "__module__", "__doc__")]
            kinds = [check(method) for check in (inspect.ismethod, inspect.iscoroutinefunction, inspect.isfunction, inspect.isroutine)]
            world.note([path, _signature(method), *facts, kinds])


@program(CLIENT, "`inspect.getmembers`, `weakref`, `mock.create_autospec`, `mock.patch.object`")
def looked_at_by_tools(world: World) -> None:
    client = world.client()
    world.note([name for name, _ in inspect.getmembers(client) if not name.startswith("_")])
    speced = mock.create_autospec(client, instance=True)
    world.note(isinstance(speced, world.family.client), _signature(speced.copy))
    resource = world.resource(client)
    with mock.patch.object(resource, "create", return_value="patched"):
        world.note(resource.create(model="m"))
    world.note(world.ask(client))
    reference = weakref.ref(client)
    del client, speced, resource
    gc.collect()
    world.note(reference() is None)


@program(CLIENT, "what it holds itself (`vars`)", modes=(WRAPPED,))
def held(world: World) -> None:
    """Names only: a client without hooks of ours in its dictionary could not be traced without a change of its class."""
    client = world.client()
    world.note(dict.fromkeys(sorted(vars(client)), True), type(client._client) is client._client.__class__)


# Copies.


@program(COPIES, "`copy.copy`")
def shallow(world: World) -> None:
    for client in clients(world):
        made = copy.copy(client)
        world.note(type(made), made is client, made.api_key, made.base_url, made._client == client._client)
    client = world.client()
    world.ask(client)
    made = copy.copy(client)
    made.api_key = "of the copy"
    world.note(world.ask(made), world.ask(client), client.api_key)


@program(COPIES, "`copy.deepcopy`")
def deep(world: World) -> None:
    for client in clients(world):
        world.attempt(lambda client=client: type(copy.deepcopy(client)))
    answer = world.ask(world.client())
    world.note(copy.deepcopy(answer) == answer, copy.copy(answer) == answer)


@program(COPIES, "`pickle`, all protocols, of clients and answers")
def pickled(world: World) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for client in clients(world):
            world.attempt(lambda client=client, protocol=protocol: len(pickle.dumps(client, protocol)))
    answer = world.ask(world.client())
    again: Any = pickle.loads(pickle.dumps(answer))
    world.note(answer, again == answer, again, answer.model_dump(), answer.model_dump_json(), repr(answer), hash(type(answer)))
    stream = world.ask(world.client(world.family.stream), world.family.stream)
    world.attempt(lambda: len(pickle.dumps(stream)))
    world.attempt(lambda: type(copy.copy(stream)))
    pieces = list(stream)
    world.note(pickle.loads(pickle.dumps(pieces)) == pieces)


OPTIONS: dict[str, Any] = {
    "timeout": 7.0,
    "max_retries": 3,
    "default_headers": {"x-mine": "1"},
    "default_query": {"q": "2"},
    "api_key": "of the copy",
}


@program(COPIES, "`client.copy`, `with_options`, chained")
def options(world: World) -> None:
    for how in ("copy", "with_options"):
        made = getattr(world.client(), how)(**OPTIONS)
        world.note(type(made), {name: getattr(made, name, "(none)") for name in SETTINGS})
        world.note(world.ask(made))
        again = getattr(made, how)(timeout=1.5).with_options(set_default_headers={}, set_default_query={})
        world.note(world.ask(again), again.timeout, again.max_retries, again.default_headers, type(again))
    made = world.client().copy(http_client=world.family.make_http(headers={"x-own": "3"}))
    world.note(world.ask(made))
    world.attempt(lambda: world.client().copy(default_headers={}, set_default_headers={}))
    world.attempt(lambda: world.client().copy(unknown=1))


@program(COPIES, "`client.copy`, `with_options`, chained")
async def async_options(world: World) -> None:
    made = world.client(asynchronous=True).with_options(**OPTIONS).copy(timeout=2.0)
    world.note(type(made), {name: getattr(made, name, "(none)") for name in SETTINGS}, await world.ask(made))


# Closing.


@program(COPIES, "`with`, `close`, `is_closed`, calls after closing")
def closing(world: World) -> None:
    client = world.client()
    world.note(client.is_closed())
    with client as entered:
        world.note(entered is client, type(entered), world.ask(entered), client.is_closed())
    world.note(client.is_closed(), client._client.is_closed)
    world.attempt(world.ask, client)
    client.close()
    world.attempt(lambda: client.__enter__())
    other = world.client()
    world.note(other.close(), other.is_closed())
    world.attempt(world.ask, other)
    third = world.client()
    copied = third.with_options(timeout=3)
    copied.close()
    world.note(third.is_closed())


@program(COPIES, "`with`, `close`, `is_closed`, calls after closing")
async def async_closing(world: World) -> None:
    client = world.client(asynchronous=True)
    async with client as entered:
        world.note(entered is client, type(entered), await world.ask(entered), client.is_closed())
    world.note(client.is_closed())
    await world.attempt_later(world.ask(client))
    other = world.client(asynchronous=True)
    world.note(await other.close(), other.is_closed())
    await world.attempt_later(other.__aenter__())


@program(COPIES, "`with`: an exception inside")
def raised_inside(world: World) -> None:
    client = world.client()
    try:
        with client:
            world.ask(client)
            raise LookupError("of the caller")
    except LookupError as error:
        world.note(chain_of(error), client.is_closed())


@program(COPIES, "dropped: the HTTP client that the SDK made is closed with it")
def dropped(world: World) -> None:
    def make(**more: Any) -> Any:
        arguments = {"api_key": "none", "base_url": world.wire.replay.address, "max_retries": 0}
        return world.wrap(world.family.client(**arguments, **more))

    def closed_with(**more: Any) -> list[str]:
        client = make(**more)
        transport = client._client._transport
        with mock.patch.object(type(transport), "close", autospec=True) as close:
            del client
            gc.collect()
            return ["closed"] * close.call_count

    own = world.family.make_http()
    world.note(closed_with(), closed_with(http_client=own))
    world.note(own.is_closed)


# Several at once.


def _threads(work: Callable[[int], Any], count: int) -> list[Any]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


@program("Several at once", "one client, eight threads", concurrent=True)
def in_threads(world: World) -> None:
    client = world.client()
    world.note(_threads(lambda _: world.ask(client), 8))


@program("Several at once", "one async client, eight tasks, plain and streamed", concurrent=True)
async def in_tasks(world: World) -> None:
    client = world.client(asynchronous=True)
    streaming = world.client(world.family.stream, asynchronous=True)

    async def whole() -> list[Any]:
        return [piece async for piece in await world.ask(streaming, world.family.stream)]

    world.note(await asyncio.gather(*(world.ask(client) for _ in range(4)), *(whole() for _ in range(4))))
