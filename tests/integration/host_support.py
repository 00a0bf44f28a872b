"""What the tests beside an application's own tracer provider share: a provider in memory, and clients over the replay server."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

import tracer
from tests.integration.capture_support import PLAIN, STREAM_USAGE, close_http_clients, create, make_client
from tests.support import runtime_put_back
from tracer.host.hook import HostHook
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer
from tracer.runtime import runtime

__all__ = [
    "PLAIN",
    "STREAM_USAGE",
    "Application",
    "application",
    "attributes",
    "closing_clients",
    "host_account",
    "no_provider",
    "parent_of",
    "replaying",
]


class Application:
    """A program with OpenTelemetry of its own: its provider, and the spans that have ended in it, by name."""

    def __init__(self, **arguments: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, **arguments)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("application")

    def install(self) -> Application:
        """Make its provider the global one, as its start or a fixture of its tests would."""
        setattr(otel, "_TRACER_PROVIDER_SET_ONCE", Once())  # noqa: B010  # this is what such fixtures do
        setattr(otel, "_TRACER_PROVIDER", None)  # noqa: B010
        otel.set_tracer_provider(self.provider)
        return self

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in that order."""
        return list(self.exporter.get_finished_spans())

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [span.name for span in self.spans]

    def only(self, name: str) -> ReadableSpan:
        """The one span of this name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found


def no_provider() -> None:
    """Take the global provider away, as fixtures do between tests."""
    setattr(otel, "_TRACER_PROVIDER_SET_ONCE", Once())  # noqa: B010
    setattr(otel, "_TRACER_PROVIDER", None)  # noqa: B010


@contextmanager
def no_host_left() -> Generator[None, None, None]:
    """A runtime of its own and no global provider, before and after."""
    no_provider()
    with runtime_put_back():
        try:
            yield
        finally:
            gc.collect()
            host = runtime.host
            open_calls = dict(runtime.open_calls)
            if isinstance(host, HostHook):
                host.shutdown(5)
            no_provider()
            assert open_calls == {}


def replaying() -> Generator[ReplayServer, None, None]:
    """For a fixture: a replay server that sends usage where it is asked for."""
    with ReplayServer(Behaviour(honour_usage=1)) as running:
        yield running


async def closing_clients(no_variables: pytest.MonkeyPatch) -> AsyncGenerator[None, None]:
    """For a fixture: no variable is set, and HTTP clients are closed afterwards."""
    yield
    await close_http_clients()


@contextmanager
def application(**arguments: Any) -> Generator[Application, None, None]:
    """An application whose provider is the global one."""
    with no_host_left():
        yield Application(**arguments).install()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """The attributes of a span."""
    return dict(span.attributes or {})


def parent_of(span: ReadableSpan) -> int | None:
    """The id of the span's parent."""
    return span.parent.span_id if span.parent is not None else None


def id_of(span: ReadableSpan) -> int:
    """The id of the span."""
    assert span.context is not None
    return span.context.span_id


def host_account() -> dict[str, Any]:
    """What the ledger says of the provider; it closes."""
    account = tracer.status()["destinations"]["host"]
    settled = account["exported"] + account["sampled_out"] + sum(account["dropped"].values())
    assert account["started"] == settled + account["open"] + account["queued"]
    return account


def traced(server: ReplayServer, record: str = PLAIN, behaviour: Behaviour | None = None, **more: Any) -> Any:
    """A wrapped client of the replay server."""
    return tracer.wrap(make_client(server, record, behaviour, **more))


def ask(client: Any, record: str = PLAIN, **more: Any) -> Any:
    """The recorded request."""
    return create(client, record, **more)
