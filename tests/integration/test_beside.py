"""Beside the instrumentations of others, installed before and after ours: same results, one record for each call, tokens once."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.integration.capture_support import PLAIN, RESPONSES_STREAM, STREAM, STREAM_USAGE, Calls, capturing, create, make_client
from tracer.capture.whole_process import instrument_all, uninstrument_all
from tracer.capture.wrapping import traced
from tracer.reading import read_call
from tracer.reading.generation import Usage
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer

EMBEDDINGS = "pydanticai.embeddings.openai.0"
VENDORS = {
    "official genai-openai": "opentelemetry.instrumentation.genai.openai",
    "OpenInference": "openinference.instrumentation.openai",
    "OpenLLMetry": "opentelemetry.instrumentation.openai",
}


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


@contextmanager
def sdk_put_back() -> Generator[None, None, None]:
    """What a vendor leaves behind in the SDK's classes is taken out again, for the sake of the other tests."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "openai"]
    # By their type: proxies of modules that are not installed raise when they are asked for their class.
    classes: set[type[Any]] = {item for module in modules for item in vars(module).values() if issubclass(type(item), type)}
    earlier = [(kind, name, value) for kind in classes for name, value in vars(kind).items() if callable(value)]
    yield
    for kind, name, value in earlier:
        if vars(kind).get(name) is not value:
            setattr(kind, name, value)


@contextmanager
def vendor_on(module: str) -> Generator[InMemorySpanExporter, None, None]:
    """Their instrumentation with a provider of its own, so that this process keeps none."""
    pytest.importorskip(module, reason=f"needs {module}")
    with sdk_put_back(), instrumented(module) as exporter:
        yield exporter


@contextmanager
def instrumented(module: str) -> Generator[InMemorySpanExporter, None, None]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with warnings.catch_warnings():
        # OpenLLMetry's modules still use pydantic's older way of configuration.
        warnings.filterwarnings("ignore", message="Support for class-based `config`")
        instrumentor: Any = importlib.import_module(module).OpenAIInstrumentor()
        instrumentor.instrument(
            tracer_provider=provider, meter_provider=MeterProvider(), logger_provider=LoggerProvider(), skip_dep_check=True
        )
    try:
        yield exporter
    finally:
        instrumentor.uninstrument()


@dataclass(slots=True)
class Outcome:
    """What a program got."""

    values: list[Any]
    error: tuple[str, str] | None = None


def _plain(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else value


def sync_program(record_id: str) -> Callable[[Any], Outcome]:
    def program(client: Any) -> Outcome:
        try:
            result = create(client, record_id)
        except Exception as error:
            return Outcome([], (type(error).__name__, str(error)))
        return Outcome([_plain(piece) for piece in result] if hasattr(result, "__next__") else [_plain(result)])

    return program


def async_program(record_id: str) -> Callable[[Any], Awaitable[Outcome]]:
    async def program(client: Any) -> Outcome:
        try:
            result = await create(client, record_id)
        except Exception as error:
            return Outcome([], (type(error).__name__, str(error)))
        return Outcome([_plain(piece) async for piece in result] if hasattr(result, "__anext__") else [_plain(result)])

    return program


async def run(record_id: str, client: Any, asynchronous: bool) -> Outcome:
    if asynchronous:
        return await async_program(record_id)(client)
    return sync_program(record_id)(client)


def usages(calls: Calls) -> list[Usage | None]:
    return [record.generation.usage if record.generation else None for record in map(read_call, calls)]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("record_id", [PLAIN, STREAM, STREAM_USAGE, RESPONSES_STREAM])
@pytest.mark.parametrize("ours", ["wrapped before", "wrapped after", "instrumented before", "instrumented after"])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_results_are_the_same_and_tokens_count_once(
    captured: Calls, server: ReplayServer, vendor: str, ours: str, record_id: str, asynchronous: bool
) -> None:
    def client() -> Any:
        return make_client(server, record_id, asynchronous=asynchronous)

    with capturing() as alone:
        await run(record_id, traced(client()), asynchronous)
    truth = usages(alone)
    assert len(truth) == 1

    with vendor_on(VENDORS[vendor]) as theirs_alone:
        bare = await run(record_id, client(), asynchronous)
    with_ours = client()
    if ours == "wrapped before":
        with_ours = traced(with_ours)
    elif ours == "instrumented before":
        instrument_all()
    try:
        with vendor_on(VENDORS[vendor]) as theirs:
            if ours == "wrapped after":
                with_ours = traced(with_ours)
            elif ours == "instrumented after":
                instrument_all()
            together = await run(record_id, with_ours, asynchronous)
    finally:
        uninstrument_all()
    assert together == bare
    assert usages(captured) == truth
    assert [span.name for span in theirs.get_finished_spans()] == [span.name for span in theirs_alone.get_finished_spans()]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_an_error_comes_through_both(captured: Calls, server: ReplayServer, vendor: str) -> None:
    def client() -> Any:
        return make_client(server, PLAIN, Behaviour(fail=9, status=400), max_retries=0)

    bare = sync_program(PLAIN)(client())
    assert bare.error is not None
    with vendor_on(VENDORS[vendor]):
        together = sync_program(PLAIN)(traced(client()))
    assert together == bare
    assert [call.ending for call in captured] == ["failed"]
