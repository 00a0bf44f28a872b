"""What the tests with Anthropic's SDK share: clients over the replay server or over memory, and the recorded requests."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anthropic

from tests.integration.capture_support import resource_of, without_tls_context
from tracer.replay import sse
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import Recording, by_id
from tracer.replay.sdk import call_arguments, client_arguments
from tracer.replay.server import ReplayServer

PLAIN = "openllmetry.tool_calls.tool_calls_anthropic_text_block_and_history"
STREAM = "logfire.anthropic.sync_messages_stream_version_v1_only"
"""A stream of seven pieces; a ping is no piece."""
TOOLS_STREAM = "openllmetry.messages.anthropic_tools_streaming_legacy"
THINKING_STREAM = "openinference.instrumentor.completion_streaming_with_extended_thinking_anthropic"
CACHED = "openinference.instrumentor.anthropic_instrumentation_messages_token_counts.1"
CACHED_STREAM = "openllmetry.prompt_caching.anthropic_prompt_caching_stream_legacy.0"
NOT_FOUND = "langsmith.tests.anthropic_test_chat_async_api_stream.24"
CITATIONS = "pydanticai.thinking_native_tools.thinking_with_native_tool_wire_contract-anthropic"

HTTP: Any = importlib.import_module(anthropic.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
"""`httpx` or `httpx2`."""

OUTDATED = "ignore:The model .* is deprecated:DeprecationWarning"
"""What the SDK says of the models of some recordings."""


def http_client(*, asynchronous: bool = False, **arguments: Any) -> Any:
    """An HTTP client as the SDK makes it."""
    return without_tls_context(anthropic.DefaultAsyncHttpxClient if asynchronous else anthropic.DefaultHttpxClient, **arguments)


def make_client(
    server: ReplayServer, recording: Recording | str, behaviour: Behaviour | None = None, *, asynchronous: bool = False, **more: Any
) -> Any:
    """A bare client that is answered with the recording."""
    recording = by_id(recording) if isinstance(recording, str) else recording
    kind: Any = anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic
    if "http_client" not in more:
        more["http_client"] = http_client(asynchronous=asynchronous)
    return kind(**{**client_arguments(server, recording, behaviour), **more})


def _memory_answer(recording: Recording, whole: bool, asynchronous: bool) -> Callable[[Any], Any]:
    headers = {name: value for name, value in recording.headers.items() if name not in ("content-length", "transfer-encoding")}
    streamed = "event-stream" in headers.get("content-type", "")
    events = sse.split(recording.body.encode()) if streamed else [recording.body.encode()]

    def content() -> Any:
        async def later() -> AsyncIterator[bytes]:
            for event in events:
                await asyncio.sleep(0)
                yield event

        return b"".join(events) if whole else later() if asynchronous else iter(events)

    return lambda _request: HTTP.Response(recording.status, headers=headers, content=content())


def client_of_kind(kind: str, server: ReplayServer, record_id: str, *, asynchronous: bool, **more: Any) -> Any:
    """A bare client: `anthropic` over loopback, `memory` and `memory_stream` over an in-memory transport."""
    if kind == "anthropic":
        return make_client(server, record_id, asynchronous=asynchronous, **more)
    transport = HTTP.MockTransport(_memory_answer(by_id(record_id), kind == "memory", asynchronous))
    made: Any = anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic
    http = http_client(asynchronous=asynchronous, transport=transport)
    return made(api_key="none", base_url="http://replay.test", max_retries=0, http_client=http, **more)


def broken_client(record_id: str, error: BaseException) -> Any:
    """A bare client whose answer is one event of the recording, and then this exception out of the HTTP library."""
    recording = by_id(record_id)

    def content() -> Iterator[bytes]:
        yield sse.split(recording.body.encode())[0]
        raise error

    def answer(_request: Any) -> Any:
        return HTTP.Response(200, headers={"content-type": "text/event-stream"}, content=content())

    http = http_client(transport=HTTP.MockTransport(answer))
    return anthropic.Anthropic(api_key="none", base_url="http://replay.test", max_retries=0, http_client=http)


KINDS = ("anthropic", "memory", "memory_stream")


def arguments_of(client: Any, recording: Recording, *, stream: bool = True) -> dict[str, Any]:
    """The recorded request as arguments of `create`, without the stream flag for the helpers."""
    return call_arguments(recording, resource_of(client, recording).create, stream=stream)


def create(client: Any, record_id: str, **more: Any) -> Any:
    """The recorded request through `create`."""
    recording = by_id(record_id)
    return resource_of(client, recording).create(**{**arguments_of(client, recording), **more})
