"""What the tests of client capture share: calls kept in a list, clients over the replay server or over memory, ways of waiting.

The HTTP library is the one that the installed SDK uses (httpx2 on openai 3.x, httpx before), found through the SDK.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import ssl
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from tests.support import PATIENCE, record_into, runtime_put_back, wait_until
from tracer.call import Call
from tracer.replay import sse
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import Recording, by_id
from tracer.replay.sdk import call_arguments, client_arguments
from tracer.replay.server import ReplayServer
from tracer.runtime import runtime
from tracer.settings import Settings

PLAIN = "pydanticai.openai.openai_prompted_output.0"
STREAM = "langsmith.openai_test_chat_async_api.2"
"""A chat stream of three pieces, recorded without usage."""
STREAM_USAGE = "otel.genai.async_chat_completion_streaming"
RESPONSES_STREAM = "pydanticai.openai_responses.openai_responses_streaming_usage"
ERROR_IN_STREAM = "pydanticai.groq.tool_use_failed_error_streaming.0"
MESSAGES: list[dict[str, str]] = [{"role": "user", "content": "hi"}]

HTTP: Any = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
"""`httpx` or `httpx2`."""

_TLS = ssl.create_default_context()
"""One for all clients: making one takes longer than most tests."""


class Calls(list[Call]):
    """The calls that have ended, in order."""

    @staticmethod
    def _settle() -> None:
        """Streams that were dropped end when they are collected."""
        if runtime.open_calls:
            gc.collect()

    def only(self) -> Call:
        """The one call there is; nothing may be open beside it."""
        self._settle()
        assert [(call.path, call.ending) for call in self] == [(self[0].path, self[0].ending)] if self else self == ["one call"]
        assert runtime.open_calls == {}
        return self[0]

    def none(self) -> None:
        """No call was recorded and none is open."""
        self._settle()
        assert list(self) == []
        assert runtime.open_calls == {}


@contextmanager
def capturing(stream_usage: str = "auto") -> Generator[Calls, None, None]:
    """Record into a list; the runtime is put back afterwards."""
    with runtime_put_back():
        calls = Calls()
        record_into(calls, Settings(stream_usage=stream_usage))
        yield calls


_DEFAULT_HTTP: Any = openai.DefaultHttpxClient
_DEFAULT_ASYNC_HTTP: Any = openai.DefaultAsyncHttpxClient
_http_clients: list[Any] = []


def without_tls_context(kind: Any, **arguments: Any) -> Any:
    """An HTTP client of this kind with the shared TLS context; closed at the end of the test."""
    return close_later(kind(**{"verify": _TLS, **arguments}))


def close_later(made: Any) -> Any:
    """Have an HTTP client closed by `close_http_clients`; gives it back."""
    _http_clients.append(made)
    return made


def http_client(**arguments: Any) -> Any:
    """An HTTP client as the SDK makes it, without the cost of a TLS context."""
    return without_tls_context(_DEFAULT_HTTP, **arguments)


def async_http_client(**arguments: Any) -> Any:
    """The same for async clients."""
    return without_tls_context(_DEFAULT_ASYNC_HTTP, **arguments)


async def close_http_clients() -> None:
    """Close every HTTP client made since the last time."""
    made = _http_clients[:]
    _http_clients.clear()
    for client in made:
        if hasattr(client, "aclose"):
            await client.aclose()
        else:
            client.close()


async def captured_calls() -> AsyncIterator[Calls]:
    """For a fixture: recording is on, and HTTP clients are closed afterwards."""
    with capturing() as captured:
        yield captured
    await close_http_clients()


def make_client(
    server: ReplayServer, recording: Recording | str, behaviour: Behaviour | None = None, *, asynchronous: bool = False, **more: Any
) -> Any:
    """A bare client of the kind that the recording needs."""
    recording = by_id(recording) if isinstance(recording, str) else recording
    names = {False: ("OpenAI", "AzureOpenAI"), True: ("AsyncOpenAI", "AsyncAzureOpenAI")}[asynchronous]
    kind: Any = getattr(openai, names[recording.azure])
    if "http_client" not in more:
        more["http_client"] = async_http_client() if asynchronous else http_client()
    return kind(**{**client_arguments(server, recording, behaviour), **more})


# Kinds of clients that any of the endings is tried with.


def _memory_answer(recording: Recording, whole: bool, asynchronous: bool) -> Callable[[Any], Any]:
    """Answers from memory: the whole body at once, or as a stream of events."""
    headers = {name: value for name, value in recording.headers.items() if name not in ("content-length", "transfer-encoding")}
    events = sse.split(recording.body.encode()) if "event-stream" in headers.get("content-type", "") else [recording.body.encode()]

    def content() -> Any:
        async def later() -> AsyncIterator[bytes]:
            for event in events:
                await asyncio.sleep(0)
                yield event

        return b"".join(events) if whole else later() if asynchronous else iter(events)

    def answer(_request: Any) -> Any:
        return HTTP.Response(recording.status, headers=headers, content=content())

    return answer


def client_of_kind(kind: str, server: ReplayServer, record_id: str, *, asynchronous: bool, **more: Any) -> Any:
    """A bare client: `openai` and `azure` over loopback, `memory` and `memory_stream` over an in-memory transport."""
    prefix = "Async" if asynchronous else ""
    common: dict[str, Any] = {"api_key": "none", "max_retries": 0, **more}
    make_http = async_http_client if asynchronous else http_client
    if kind == "openai":
        return getattr(openai, f"{prefix}OpenAI")(base_url=server.base_url(record_id), http_client=make_http(), **common)
    if kind == "azure":
        return getattr(openai, f"{prefix}AzureOpenAI")(
            azure_endpoint=server.root(record_id), azure_deployment="d", api_version="2024-06-01", http_client=make_http(), **common
        )
    transport = HTTP.MockTransport(_memory_answer(by_id(record_id), kind == "memory", asynchronous))
    return getattr(openai, f"{prefix}OpenAI")(base_url="http://replay.test/v1", http_client=make_http(transport=transport), **common)


def broken_client(record_id: str, error: BaseException) -> Any:
    """A bare client whose answer is one event of the recording, and then this exception out of the HTTP library."""
    recording = by_id(record_id)

    def content() -> Iterator[bytes]:
        yield sse.split(recording.body.encode())[0]
        raise error

    def answer(_request: Any) -> Any:
        return HTTP.Response(200, headers={"content-type": "text/event-stream"}, content=content())

    transport = HTTP.MockTransport(answer)
    return openai.OpenAI(api_key="none", base_url="http://replay.test/v1", max_retries=0, http_client=http_client(transport=transport))


KINDS = ("openai", "azure", "memory", "memory_stream")


# What the SDK calls its resources differs between versions.

OMITTED: Any = getattr(openai, "omit", openai.NOT_GIVEN)
"""Stands for an argument that is not given."""


def helpers_of(client: Any, api: str = "chat") -> Any:
    """The resource with `stream` and `parse`; skips where the SDK has none."""
    if api == "responses":
        need(hasattr(client, "responses"), "responses")
        return client.responses
    completions = client.chat.completions
    return completions if hasattr(completions, "stream") else client.beta.chat.completions


def resource_of(client: Any, recording: Recording) -> Any:
    """The resource that the recording was made with; skips where the SDK has none."""
    if recording.anthropic:
        return client.beta.messages if recording.query else client.messages
    if recording.api == "responses":
        need(hasattr(client, "responses"), "responses")
    return client.chat.completions if recording.api == "chat" else getattr(client, recording.api)


def need(holds: bool, what: str, sdk: Any = openai) -> None:
    """Skip where this version of the SDK lacks something."""
    if not holds:
        reason = f"{sdk.__name__} {sdk.__version__} has no {what}"
        print(reason)
        pytest.skip(reason)


def need_argument(function: Any, name: str, sdk: Any = openai) -> None:
    """Skip where a method of this version of the SDK does not take an argument."""
    need(name in inspect.signature(function).parameters, f"{name} in {function.__qualname__}", sdk)


def create(client: Any, record_id: str, **more: Any) -> Any:
    """The recorded request through `create`."""
    recording = by_id(record_id)
    function = resource_of(client, recording).create
    return function(**{**call_arguments(recording, function), **more})


# Waiting.


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop run until the condition holds."""

    async def look() -> None:
        while not condition():
            gc.collect()
            await asyncio.sleep(0.005)

    await asyncio.wait_for(look(), PATIENCE)


def ended(calls: Calls) -> Call:
    """The one call, once it has ended."""
    wait_until(lambda: gc.collect() >= 0 and bool(calls))
    return calls.only()
