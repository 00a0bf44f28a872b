"""The console destination: one readable block for each call."""

from __future__ import annotations

import io
import sys

import pytest

from tests.unit.store.records import model_call, own_span
from tracer.call import FAILED, Failure
from tracer.export.console import ConsoleDestination
from tracer.export.destination import Destination
from tracer.settings import Settings

SETTINGS = Settings(otlp_headers={}, resource_attributes={})


def test_a_block_says_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    destination: Destination = ConsoleDestination(SETTINGS)
    delivery = destination.export([model_call(first_chunk=0.25, statuses=(429, 200)), own_span("get_weather", "tool")])
    assert (delivery.exported, delivery.dropped) == (2, {})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "tracer: chat gpt-4o-mini · completed · 500 ms · 12→34 tokens · $0.0012 · first chunk 250 ms · 2 attempts · session s1\n"
        "    input: user: How is the weather in Paris?\n"
        "    output: assistant: It is sunny.\n"
        "tracer: execute_tool get_weather · completed · 1.00 s\n"
        '    input: {"city":"Paris"}\n'
        '    output: "sunny"\n'
    )


def test_a_failure_is_told_and_content_is_left_out_when_off() -> None:
    record = model_call(outcome=FAILED, failure=Failure("openai.RateLimitError", "too\nmany \x1b[31m"))
    record.call.content_inputs = record.call.content_outputs = False
    stream = io.StringIO()
    ConsoleDestination(SETTINGS, stream).export([record])
    text = stream.getvalue()
    assert "    error: openai.RateLimitError: too many \ufffd[31m\n" in text
    assert "Paris" not in text
    assert "sunny" not in text


def test_long_content_is_shortened() -> None:
    stream = io.StringIO()
    ConsoleDestination(SETTINGS, stream).export([model_call(answer="word " * 10_000)])
    assert max(len(line) for line in stream.getvalue().splitlines()) < 200


def test_a_stream_that_cannot_be_written_drops(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    assert ConsoleDestination(SETTINGS, closed).export([model_call()]).dropped == {"no stderr": 1}
    monkeypatch.setattr(sys, "stderr", None)
    assert ConsoleDestination(SETTINGS).export([model_call(), model_call()]).dropped == {"no stderr": 2}


def test_a_narrow_encoding_gets_replacements() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    assert ConsoleDestination(SETTINGS, stream).export([model_call(answer="\u2600")]).exported == 1
    assert b"12?34 tokens" in raw.getvalue()
    stream.close()


def test_after_close_records_are_refused() -> None:
    destination = ConsoleDestination(SETTINGS, io.StringIO())
    destination.close(1)
    assert destination.export([model_call()]).dropped == {"closed": 1}
