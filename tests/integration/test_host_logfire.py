"""Beside logfire, whose global provider is a wrapper of its own around the SDK's. Each time in a process of its own."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator

import pytest

from tests.integration.capture_support import PLAIN
from tests.support import run_program
from tracer.replay.server import ReplayServer

pytestmark = pytest.mark.skipif(importlib.util.find_spec("logfire") is None, reason="needs logfire (requirements/frameworks.txt)")

CONFIGURE = """
logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False, additional_span_processors=[SimpleSpanProcessor(exporter)])
"""
PROGRAM = """
import json, sys
import logfire, openai, tracer
from logfire.testing import TestExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

exporter = TestExporter()
{first}
{second}
with logfire.span("request"), tracer.trace("mine"):
    client.chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "hi"}}])
    with logfire.span("inner"):
        pass
assert logfire.force_flush()
spans = exporter.exported_spans_as_dict()
print(json.dumps([
    [span["name"], span["context"]["span_id"], (span["parent"] or {{}}).get("span_id"), span["attributes"].get("gen_ai.usage.input_tokens")]
    for span in spans
]))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


@pytest.mark.parametrize("order", ["logfire first", "client first"])
def test_calls_are_spans_of_logfire(order: str, server: ReplayServer) -> None:
    wrap = f"client = tracer.wrap(openai.OpenAI(api_key='none', base_url={server.base_url(PLAIN)!r}))"
    first, second = (CONFIGURE, wrap) if order == "logfire first" else (wrap, CONFIGURE)
    ended = run_program(PROGRAM.format(first=first, second=second))
    assert (ended.status, ended.lines) == (0, [line for line in ended.lines if "OpenTelemetry" in line]), ended.err
    spans = {name: (span, parent, tokens) for name, span, parent, tokens in json.loads(ended.out)}
    parents = {name: parent for name, (_, parent, _) in spans.items()}
    ids = {name: span for name, (span, _, _) in spans.items()}
    assert parents == {"request": None, "mine": ids["request"], "chat gpt-4o": ids["mine"], "inner": ids["mine"]}
    assert spans["chat gpt-4o"][2] > 0
