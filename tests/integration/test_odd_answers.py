"""Odd answers: the caller gets the very same outcome as without tracing, one record exists, and what is exported is valid."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.capture_support import Calls, async_http_client, http_client, need
from tests.integration.odd_answers import PLAIN, RESPONSES, STREAMS, TABLES, OddServer, odd_server
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
    assert len(PLAIN) + len(STREAMS) + len(RESPONSES) >= 140


@dataclass(slots=True)
class Outcome:
    """What a caller saw: shown values, and the exception that ended it."""

    values: list[str]
    error: tuple[str, str, str, str] | None = None


def shown(value: Any) -> str:
    if hasattr(value, "model_dump"):
        sent = sorted(value.model_fields_set)
        return f"{type(value).__name__} {sent} {value.__dict__!r}"
    return f"{type(value).__name__} {value!r}"


def error_of(error: BaseException) -> tuple[str, str, str, str]:
    return (
        type(error).__qualname__,
        str(error),
        type(error.__cause__).__qualname__,
        type(error.__context__).__qualname__,
    )


def ask(client: Any, kind: str) -> Any:
    if kind == "responses":
        return client.responses.create(model="m", input="hi")
    return client.chat.completions.create(model="m", messages=MESSAGES, stream=kind == "stream")


def outcome_of(client: Any, kind: str) -> Outcome:
    values: list[str] = []
    try:
        result = ask(client, kind)
        if isinstance(result, openai.Stream):
            for piece in result:  # pyright: ignore[reportUnknownVariableType]
                values.append(shown(piece))  # noqa: PERF401
        else:
            values.append(shown(result))
    except Exception as error:
        return Outcome(values, error_of(error))
    return Outcome(values)


async def async_outcome_of(client: Any, kind: str) -> Outcome:
    values: list[str] = []
    try:
        result = await ask(client, kind)
        if isinstance(result, openai.AsyncStream):
            async for piece in result:  # pyright: ignore[reportUnknownVariableType]
                values.append(shown(piece))  # noqa: PERF401
        else:
            values.append(shown(result))
    except Exception as error:
        return Outcome(values, error_of(error))
    return Outcome(values)


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
    need(kind != "responses" or hasattr(openai.OpenAI, "responses"), "responses")

    def client() -> Any:
        more: dict[str, Any] = {"api_key": "none", "base_url": server.base_url(kind, name), "max_retries": 0}
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
