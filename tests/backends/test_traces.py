"""What the library records is what real Jaeger and real Tempo give back: tree, names, times, status, every attribute."""

from __future__ import annotations

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

from tests.backends.programs import Ports, Stack, environment, get, local, poll, tempo_by_its_own_limits
from tests.backends.read_back import Seen, jaeger, relay, sent, tempo

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


LARGE = """
import tracer
with tracer.trace("500 small ones beside a large one", kind="chain") as run:
    for number in range(250):
        with tracer.trace(f"small {number}", kind="tool") as small:
            small.set_output({"text": "frei für alle 😀"})
    with tracer.trace("large", kind="llm") as large:
        large.set_input({"text": "ä😀" * 2_000_000})
    for number in range(250, 500):
        with tracer.trace(f"small {number}", kind="tool"):
            pass
    print(run.trace_id)
assert tracer.flush(60)
"""

BACKENDS = {"jaeger": jaeger, "tempo": tempo}


@dataclass(slots=True)
class Told:
    """What a run sent, by span id, and what its store has."""

    trace_id: str
    spans: dict[str, Seen]
    rows: list[dict[str, Any]]


def run(stack: Stack, folder: Path, code: str, service: str) -> Told:
    store = folder / "store.sqlite"
    with relay(stack.otlp) as (url, passed):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=url, TRACER_LOCAL=str(store), TRACER_QUIET="true", OTEL_SERVICE_NAME=service),
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert (done.returncode, done.stderr) == (0, "")
        trace_id = done.stdout.strip()
        return Told(trace_id, sent(passed, trace_id), _rows(store))


@pytest.fixture(scope="module")
def told(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Told:
    return run(stack, tmp_path_factory.mktemp("run"), PROGRAM, "shop")


@pytest.fixture(scope="module")
def large(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Told:
    return run(stack, tmp_path_factory.mktemp("large"), LARGE, "large")


def _rows(store: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(store)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM spans WHERE name != 'attempt'")]


def whole(stack: Stack, backend: str, told: Told) -> dict[str, Seen]:
    """What a backend has of the trace, once it has all spans."""

    def found() -> dict[str, Seen] | None:
        spans = BACKENDS[backend](stack, told.trace_id)
        return spans if len(spans) >= len(told.spans) else None

    return poll(found)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_span_comes_back_as_it_was_sent(stack: Stack, told: Told, backend: str) -> None:
    """Tree, names, kinds, status, times to the nanosecond, events, and every attribute to its last character."""
    found = whole(stack, backend, told)
    for span_id, span in told.spans.items():
        assert found.pop(span_id) == span
    assert found == {}


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_sent_is_what_was_recorded(stack: Stack, told: Told, backend: str) -> None:
    spans = whole(stack, backend, told)
    own = {span_id: span for span_id, span in spans.items() if span.name != "attempt"}
    assert len(own) == len(told.rows)
    for row in told.rows:
        span = own[row["span_id"]]
        assert (span.name, span.parent) == (row["name"], row["parent_span_id"] or "")
        assert (span.start, span.end) == (row["start_ns"], row["end_ns"])
        assert (span.status == 2) is (row["outcome"] == "failed")
        assert span.attributes["tracer.outcome"] == row["outcome"]
        assert span.resource["service.name"] == "shop"
        assert span.status != 2 or span.attributes["error.type"]
        # The store has no events: the stack of the exception is an attribute there.
        stacks = [fields["exception.stacktrace"] for _, _, fields in span.events if "exception.stacktrace" in fields]
        stored = json.loads(row["attributes"])
        assert [stored.pop(name) for name in ("exception.stacktrace",) if name in stored] == stacks
        assert stored.items() <= span.attributes.items()
        for name in ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions"):
            if name in span.attributes:
                json.loads(span.attributes[name])
    root = next(span for span in own.values() if span.name == "answer question")
    assert (root.attributes["session.id"], root.attributes["user.id"], root.attributes["tracer.tags"]) == ("s1", "u7", ["beta"])
    assert root.attributes["tracer.metadata.plan"] == "frei für alle 😀"
    assert json.loads(root.attributes["input.value"]) == {"text": "x" * 1_000_000}
    attempts = [span for span in spans.values() if span.name == "attempt"]
    assert sorted(span.attributes["http.response.status_code"] for span in attempts) == [200, 503, 503]


@pytest.mark.parametrize("backend", BACKENDS)
def test_small_spans_beside_a_large_one_come_back(stack: Stack, large: Told, backend: str) -> None:
    """The large one, 12 MB of prompt, shortened inside to the library's limit of 4 MiB, which both take whole."""
    spans = whole(stack, backend, large)
    assert len(spans) == 502
    assert spans == large.spans
    (big,) = [span for span in spans.values() if span.name == "large"]
    text = big.attributes["input.value"]
    assert 3_000_000 < len(text.encode()) <= 4_194_304
    assert json.loads(text)["text"].startswith("ä😀ä😀")


def test_tempo_with_its_own_limits_cuts_prompts_and_the_shipped_ones_do_not(stack: Stack, told: Told, tmp_path: Path) -> None:
    """What tempo.yaml is shipped for: with Tempo's default of 2,048 bytes messages are no JSON any more."""
    ports = Ports.free()
    cut = Stack(otlp="", tempo=f"http://{local(ports.tempo_http)}")
    with tempo_by_its_own_limits(tmp_path, ports):
        trace_id = _one_prompt(ports, tmp_path)
        (span,) = poll(lambda: tempo(cut, trace_id)).values()
    text = span.attributes["input.value"]
    assert len(text.encode()) == 2048
    with pytest.raises(ValueError, match="Unterminated string"):
        json.loads(text)


def _one_prompt(ports: Ports, folder: Path) -> str:
    program = "import tracer\nwith tracer.trace('call', kind='llm') as run:\n    run.set_input({'text': 'x' * 9000})\nprint(run.trace_id)\n"
    done = subprocess.run(
        [sys.executable, "-c", program + "assert tracer.flush(30)"],
        env=environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{local(ports.tempo_otlp)}", OTEL_EXPORTER_OTLP_PROTOCOL="grpc", TRACER_QUIET="true"
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


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
