"""What a program of the difference table is, and the register of all of them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tests.fidelity.seen import Seen, chain_of
from tests.fidelity.wire import Wire
from tests.integration.capture_support import need
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import by_id
from tracer.replay.sdk import call_arguments

WRAPPED = "wrapped"
INSTRUMENTED = "instrumented"
ASKING = "asking for usage"
"""Wrapped, and usage is asked for on streams: what the caller sees is compared, the requests are not."""


@dataclass(frozen=True, slots=True)
class Family:
    """An SDK and how its clients are made over the replay server."""

    name: str
    sdk: ModuleType
    http: Any
    """`httpx` or `httpx2`."""
    make: Callable[..., Any]
    make_http: Callable[..., Any]
    resource: Callable[..., Any]
    client: type[Any]
    async_client: type[Any]
    plain: str
    stream: str


@dataclass(slots=True)
class World:
    """What a program is given: the SDK, the server, and how it is traced (not at all in the bare run)."""

    family: Family
    wire: Wire
    wrap: Callable[[Any], Any]
    seen: Seen = field(default_factory=Seen)

    def note(self, *values: Any) -> None:
        """Something that the program saw."""
        self.seen.note(*values)

    def client(self, record_id: str | None = None, behaviour: Behaviour | None = None, *, asynchronous: bool = False, **more: Any) -> Any:
        """A client that is answered with the recording (a plain answer if none is named)."""
        made = self.family.make(self.wire.replay, record_id or self.family.plain, behaviour, asynchronous=asynchronous, **more)
        return self.wrap(made)

    def over(self, transport: Callable[[Any], Any], *, asynchronous: bool = False, http: dict[str, Any] | None = None, **more: Any) -> Any:
        """A client that is answered from memory by a function of the request."""
        client = self.family.make_http(asynchronous=asynchronous, transport=self.family.http.MockTransport(transport), **(http or {}))
        kind = self.family.async_client if asynchronous else self.family.client
        base_url = "http://replay.test" + ("" if self.family.name == "anthropic" else "/v1")
        return self.wrap(kind(**{"api_key": "none", "base_url": base_url, "max_retries": 0, "http_client": client, **more}))

    def arguments(self, client: Any, record_id: str | None = None, **more: Any) -> dict[str, Any]:
        """The recorded request as arguments of `create`."""
        recording = by_id(record_id or self.family.plain)
        return {**call_arguments(recording, self.family.resource(client, recording).create), **more}

    def ask(self, client: Any, record_id: str | None = None, **more: Any) -> Any:
        """The recorded request through `create` (a coroutine of async clients)."""
        recording = by_id(record_id or self.family.plain)
        return self.family.resource(client, recording).create(**self.arguments(client, record_id, **more))

    def resource(self, client: Any) -> Any:
        """What has `create` for chats."""
        return self.family.resource(client, by_id(self.family.plain))

    def attempt(self, function: Callable[..., Any], *arguments: Any, **more: Any) -> None:
        """Note what comes of it: the value, or the exception with all that hangs on it."""
        try:
            self.note(function(*arguments, **more))
        except Exception as error:
            self.note(chain_of(error))

    async def attempt_later(self, awaitable: Awaitable[Any]) -> None:
        """The same of a coroutine."""
        try:
            self.note(await awaitable)
        except Exception as error:
            self.note(chain_of(error))

    def needs(self, holds: bool, what: str) -> None:
        """The row has no cell here if this version of the SDK lacks something."""
        need(holds, what, self.family.sdk)


Row = tuple[str, str]
"""Section and name."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program, sync or async, and the rows of the table that it belongs to."""

    name: str
    run: Callable[[World], Any]
    rows: tuple[Row, ...]
    families: tuple[str, ...]
    modes: tuple[str, ...] = (WRAPPED, INSTRUMENTED)
    may_fail: bool = False
    """An exception is a result as good as any other; otherwise it means that the program is broken."""
    concurrent: bool = False
    """Its requests come in any order."""

    def start(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        """Run it to its end."""
        if inspect.iscoroutinefunction(self.run):
            loop.run_until_complete(self.run(world))
        else:
            self.run(world)


OPENAI = ("openai",)
BOTH = ("openai", "anthropic")
FRAMEWORKS = ("frameworks",)

registered: list[Program] = []


def program(
    section: str,
    row: str,
    families: tuple[str, ...] = BOTH,
    modes: tuple[str, ...] = (WRAPPED, INSTRUMENTED),
    concurrent: bool = False,
) -> Callable[[Callable[[World], Any]], Callable[[World], Any]]:
    """Register a function as a program of that row; several of one row share its cell."""

    def register(function: Callable[[World], Any]) -> Callable[[World], Any]:
        name = function.__name__.replace("_", " ").strip()
        registered.append(Program(name, function, ((section, row),), families, modes, concurrent=concurrent))
        return function

    return register
