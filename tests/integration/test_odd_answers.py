"""Odd answers: the caller gets the very same outcome as without tracing, one record exists, and what is exported is valid."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import anthropic
import openai
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.anthropic_support import http_client as anthropic_http
from tests.integration.capture_support import Calls, async_http_client, http_client, need
from tests.integration.odd_answers import TABLES, OddServer, odd_server
from tests.integration.outcomes import Outcome, raised
from tracer.capture.wrapping import traced
from tracer.export.readable import readable_spans
from tracer.export.spans import spans_of
from tracer.reading import read_call
from tracer.reading.record import Record
from tracer.settings import Settings
from tracer.store.store import LocalStore

CASES = [(kind, name) for kind, table in TABLES.items() for name in table]
MESSAGES: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def server() -> Iterator[OddServer]:
    with odd_server() as running:
        yield running


def test_there_are_many() -> None:
    assert len(CASES) >= 230


def ask(client: Any, kind: str) -> Any:
    stream = kind.endswith("stream")
    if kind.startswith("anthropic"):
        return client.messages.create(model="m", max_tokens=9, messages=MESSAGES, stream=stream)
    if kind.startswith("responses"):
        return client.responses.create(model="m", input="hi", stream=stream)
    return client.chat.completions.create(model="m", messages=MESSAGES, stream=stream)


def outcome_of(client: Any, kind: str) -> Outcome:
    outcome = Outcome()
    try:
        result = ask(client, kind)
        if isinstance(result, openai.Stream | anthropic.Stream):
            outcome.take(cast("Iterator[Any]", result))
        else:
            outcome.keep(result)
    except Exception as error:
        outcome.error = raised(error)
    return outcome


async def async_outcome_of(client: Any, kind: str) -> Outcome:
    outcome = Outcome()
    try:
        result = await ask(client, kind)
        if isinstance(result, openai.AsyncStream | anthropic.AsyncStream):
            await outcome.take_async(cast("AsyncIterator[Any]", result))
        else:
            outcome.keep(result)
    except Exception as error:
        outcome.error = raised(error)
    return outcome


def check_exports(record: Record, folder: Path) -> None:
    """Every destination can write it, and what it writes can be read."""
    settings = Settings()
    spans = spans_of(record, settings)
    readable = readable_spans(settings)
    request = ExportTraceServiceRequest.FromString(encode_spans([readable(span) for span in spans]).SerializeToString())
    (sent,) = request.resource_spans[0].scope_spans[0].spans
    for attribute in sent.attributes:
        if attribute.key.endswith((".messages", ".definitions", "system_instructions")):
            json.loads(attribute.value.string_value)
    store = LocalStore(folder / "store.sqlite", settings)
    assert store.export([record]).exported == 1
    store.close(1)
    with closing(sqlite3.connect(folder / "store.sqlite")) as connection:
        ((attributes,),) = connection.execute("SELECT attributes FROM spans")
    json.loads(attributes)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}-{name}" for kind, name in CASES])
async def test_an_odd_answer(captured: Calls, server: OddServer, tmp_path: Path, kind: str, name: str, asynchronous: bool) -> None:
    need(not kind.startswith("responses") or hasattr(openai.OpenAI, "responses"), "responses")

    def client() -> Any:
        more: dict[str, Any] = {"api_key": "none", "base_url": server.base_url(kind, name), "max_retries": 0}
        if kind.startswith("anthropic"):
            more |= {"base_url": more["base_url"].removesuffix("/v1"), "http_client": anthropic_http(asynchronous=asynchronous)}
            return anthropic.AsyncAnthropic(**more) if asynchronous else anthropic.Anthropic(**more)
        if asynchronous:
            return openai.AsyncOpenAI(http_client=async_http_client(), **more)
        return openai.OpenAI(http_client=http_client(), **more)

    if asynchronous:
        bare = await async_outcome_of(client(), kind)
        wrapped = await async_outcome_of(traced(client()), kind)
    else:
        bare = outcome_of(client(), kind)
        wrapped = outcome_of(traced(client()), kind)
    assert wrapped == bare
    call = captured.only()
    assert call.ending == ("failed" if bare.error else "completed")
    check_exports(read_call(call), tmp_path)
