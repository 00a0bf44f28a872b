"""What the library records is what real Jaeger and real Tempo give back: tree, names, times, status, every attribute."""

from __future__ import annotations

import base64
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.backends.programs import Stack, environment, get, poll

PROGRAM = """
import openai, tracer
from tracer.replay.server import ReplayServer
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import load
from tracer.replay.sdk import call_arguments, client_arguments

def ask(server, recording, behaviour=None, **more):
    client = tracer.wrap(openai.OpenAI(**{**client_arguments(server, recording, behaviour), **more}))
    function = client.chat.completions.create
    try:
        answer = function(**call_arguments(recording, function))
        if hasattr(answer, "__next__"):
            for piece in answer: pass
    except openai.APIError:
        pass

with ReplayServer() as server:
    chats = [item for item in load() if item.api == "chat" and not item.azure][:8]
    with tracer.context(session="s1", user="u7", tags=["beta"], metadata={"plan": "frei für alle 😀"}):
        with tracer.trace("answer question", kind="chain") as run:
            run.set_input({"text": "x" * 1_000_000})
            for recording in chats:
                ask(server, recording)
            ask(server, chats[0], Behaviour(fail=2, status=503), max_retries=3)
            ask(server, chats[0], Behaviour(fail=9, status=400), max_retries=0)
            with tracer.trace("look up", kind="tool"):
                pass
    print(run.trace_id)
assert tracer.flush(30)
"""


@dataclass(slots=True)
class Seen:
    """A span as it was sent, or as a backend gives it back."""

    name: str
    kind: int
    parent: str
    start: int
    end: int
    error: bool
    attributes: dict[str, Any]


def _value(value: dict[str, Any]) -> Any:
    kind, content = next(iter(value.items()))
    if kind == "intValue":
        return int(content)
    if kind == "doubleValue":
        return float(content)
    if kind == "arrayValue":
        return [_value(item) for item in content.get("values", [])]
    return content


_KINDS = {"SPAN_KIND_INTERNAL": 1, "SPAN_KIND_SERVER": 2, "SPAN_KIND_CLIENT": 3}


def seen_in(resource_spans: list[dict[str, Any]], to_hex: Any) -> dict[str, Seen]:
    """Spans of OTLP's JSON by span id."""
    found: dict[str, Seen] = {}
    for resource in resource_spans:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                status = span.get("status", {}).get("code", 0)
                found[to_hex(span["spanId"])] = Seen(
                    span["name"],
                    _KINDS[span["kind"]] if isinstance(span["kind"], str) else span["kind"],
                    to_hex(span.get("parentSpanId", "")),
                    int(span["startTimeUnixNano"]),
                    int(span["endTimeUnixNano"]),
                    status in (2, "STATUS_CODE_ERROR"),
                    {item["key"]: _value(item["value"]) for item in span.get("attributes", [])},
                )
    return found


def _plain_hex(text: str) -> str:
    return text


def _from_base64(text: str) -> str:
    return base64.b64decode(text).hex()


@dataclass(slots=True)
class Told:
    """What the run recorded."""

    trace_id: str
    rows: list[dict[str, Any]]


@pytest.fixture(scope="module")
def told(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("run")
    store = folder / "store.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=stack.otlp, TRACER_LOCAL=str(store), TRACER_QUIET="true", OTEL_SERVICE_NAME="shop"),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return Told(done.stdout.strip(), _rows(store))


def _rows(store: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(store)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM spans WHERE name != 'attempt'")]


def test_jaeger_gives_back_what_was_recorded(stack: Stack, told: Told) -> None:
    url = f"{stack.jaeger}/api/v3/traces/{told.trace_id}"
    spans = poll(lambda: _whole(seen_in(get(url)["result"]["resourceSpans"], _plain_hex), told))
    _compare(spans, told)


def test_tempo_gives_back_what_was_recorded(stack: Stack, told: Told) -> None:
    url = f"{stack.tempo}/api/v2/traces/{told.trace_id}"
    spans = poll(lambda: _whole(seen_in(get(url)["trace"].get("resourceSpans", []), _from_base64), told))
    _compare(spans, told)


def _whole(spans: dict[str, Seen], told: Told) -> dict[str, Seen] | None:
    return spans if len(spans) >= len(told.rows) + 3 else None


def _compare(spans: dict[str, Seen], told: Told) -> None:
    own = {span_id: span for span_id, span in spans.items() if span.name != "attempt"}
    assert len(own) == len(told.rows)
    for row in told.rows:
        span = own[row["span_id"]]
        assert span.name == row["name"]
        assert span.parent == (row["parent_span_id"] or "")
        assert span.error is (row["outcome"] == "failed")
        assert span.attributes["tracer.outcome"] == row["outcome"]
        assert span.end >= span.start
        if span.error:
            assert span.attributes["error.type"]
        for name in ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions"):
            if name in span.attributes:
                json.loads(span.attributes[name])
    root = next(span for span in own.values() if span.name == "answer question")
    assert root.attributes["session.id"] == "s1"
    assert root.attributes["user.id"] == "u7"
    assert root.attributes["tracer.tags"] == ["beta"]
    assert root.attributes["tracer.metadata.plan"] == "frei für alle 😀"
    assert any(len(str(value)) > 1_000_000 for value in root.attributes.values())
    attempts = [span for span in spans.values() if span.name == "attempt"]
    assert sorted(span.attributes["http.response.status_code"] for span in attempts) == [200, 503, 503]


@pytest.mark.parametrize(
    "query",
    [
        '{ span.tracer.outcome = "failed" }',
        '{ span.gen_ai.operation.name = "chat" && span.gen_ai.usage.input_tokens > 0 }',
        '{ span.error.type =~ ".+" } | select(span.error.type)',
        # Tempo looks for whole numbers and fractions in different columns: 0 would find no cost.
        "{ span.tracer.cost.total > 0.0 }",
        '{ span.session.id = "s1" } >> { span.gen_ai.tool.name = "look up" }',
    ],
)
def test_tempo_finds_calls_by_their_attributes(stack: Stack, told: Told, query: str) -> None:
    def found() -> bool:
        traces = get(f"{stack.tempo}/api/search?q={quote(query)}&limit=5")["traces"]
        return told.trace_id.lstrip("0") in {trace["traceID"].lstrip("0") for trace in traces}

    assert poll(found)


def test_jaeger_finds_failed_spans_by_their_tag(stack: Stack, told: Told) -> None:
    tags = quote(json.dumps({"tracer.outcome": "failed"}))
    found = poll(lambda: get(f"{stack.jaeger}/api/traces?service=shop&lookback=1h&tags={tags}")["data"])
    assert told.trace_id in {trace["traceID"] for trace in found}


def test_span_metrics_count_each_call_once(stack: Stack, told: Told) -> None:
    expected = sum(row["kind"] == "llm" for row in told.rows)
    query = quote('sum(traces_span_metrics_calls_total{service_name="shop",gen_ai_operation_name="chat"})')

    def counted() -> bool:
        result = get(f"{stack.prometheus}/api/v1/query?query={query}")["data"]["result"]
        return bool(result) and float(result[0]["value"][1]) == expected

    assert poll(counted)
