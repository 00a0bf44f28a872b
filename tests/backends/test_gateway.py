"""`gateway.yaml`, run: an application's traffic through an agent and two gateways; and what a client with a wrong token hears."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.backends.gateway_support import TOKEN, Gateway, agent, counted, gateway, receiver, recorded, trace_ids
from tests.backends.programs import environment, free_port, local, poll, program
from tests.integration.grpc_support import Files, GrpcCollector
from tests.integration.metrics_support import Point, Receiver, chosen, points_of, receiving, total
from tests.support import run_program

SLOW_SECONDS = 4.0
EXPENSIVE = 0.002
DECISION = "8s"


@dataclass(slots=True)
class Passed:
    """One run of the demo's traffic through an agent and two gateways, of which only what is remarkable is kept."""

    rows: list[dict[str, Any]]
    gateways: list[Gateway]
    behind: list[GrpcCollector]
    metrics: Receiver

    @property
    def traces(self) -> dict[str, list[dict[str, Any]]]:
        """What was recorded, by trace."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows:
            found.setdefault(row["trace_id"], []).append(row)
        return found

    def spans(self) -> list[Span]:
        """All that came out."""
        return [span for each in self.behind for span in each.spans()]

    def points(self) -> list[Point]:
        """All metrics that came out."""
        return self.metrics.all()


def remarkable(rows: list[dict[str, Any]]) -> bool:
    """Whether the gateway keeps a trace for sure."""
    attributes = [json.loads(row["attributes"]) for row in rows]
    seconds = (max(row["end_ns"] for row in rows) - min(row["start_ns"] for row in rows)) / 1e9
    return (
        any(row["outcome"] != "completed" for row in rows)
        or any(each.get("tracer.cost.total", 0) >= EXPENSIVE for each in attributes)
        or seconds >= SLOW_SECONDS
    )


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[Passed]:
    program("otelcol")
    folder = tmp_path_factory.mktemp("gateways")
    peers = [local(free_port()), local(free_port())]
    store = folder / "store.sqlite"
    policy = {
        "DECISION_WAIT": DECISION,
        "SLOW_MILLISECONDS": str(int(SLOW_SECONDS * 1000)),
        "EXPENSIVE": str(EXPENSIVE),
        "KEPT_PERCENTAGE": "0",
    }
    with (
        receiver() as one,
        receiver() as two,
        receiving() as metrics,
        gateway(folder, files, peers, peers[0], one.target, metrics.url, "gateway-0", **policy) as first,
        gateway(folder, files, peers, peers[1], two.target, metrics.url, "gateway-1", **policy) as second,
        agent(folder, first.grpc, files) as entrance,
    ):
        done = subprocess.run(
            [sys.executable, "-m", "tools.stack.traffic", "--turns", "30", "--workers", "6"],
            env=environment(
                OTEL_EXPORTER_OTLP_ENDPOINT=entrance.endpoint,
                TRACER_LOCAL=str(store),
                TRACER_QUIET="true",
                TRACER_EXIT_TIMEOUT="30",
            ),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert (done.returncode, done.stderr) == (0, "")
        found = Passed(recorded(store), [first, second], [one, two], metrics)
        account = json.loads(done.stdout.splitlines()[-1])["otlp"]
        assert (account["exported"], account["dropped"]) == (sum(row["name"] != "attempt" for row in found.rows), {})
        poll(lambda: decided(found, "true") + decided(found, "false") == len(found.traces), 90)
        kept = sum(len(rows) for rows in found.traces.values() if remarkable(rows))
        poll(lambda: len(found.spans()) >= kept)
        yield found


def decided(passed: Passed, sampled: str) -> float:
    name = "otelcol_processor_tail_sampling_global_count_traces_sampled"
    return sum(counted(each.telemetry, name, f'sampled="{sampled}"') for each in passed.gateways)


def test_what_is_remarkable_is_kept_whole_and_the_rest_is_dropped_and_counted(passed: Passed) -> None:
    kept = {trace_id: rows for trace_id, rows in passed.traces.items() if remarkable(rows)}
    assert trace_ids(passed.spans()) == set(kept)
    assert {span.span_id.hex() for span in passed.spans()} == {row["span_id"] for rows in kept.values() for row in rows}
    assert decided(passed, "true") == len(kept)
    assert decided(passed, "false") == len(passed.traces) - len(kept) > 0


def test_each_reason_for_keeping_was_met(passed: Passed) -> None:
    kept = {trace_id: rows for trace_id, rows in passed.traces.items() if trace_id in trace_ids(passed.spans())}
    names = {row["name"] for rows in kept.values() for row in rows}
    assert {"rate limited", "no such model", "reader leaves", "reader cancels", "stalled stream", "summarise ticket"} <= names
    assert "old client" not in names


def test_all_spans_of_a_trace_reach_the_same_instance(passed: Passed) -> None:
    first, second = (trace_ids(each.spans()) for each in passed.behind)
    assert first
    assert second
    assert not first & second


def test_span_metrics_are_made_of_all_calls_before_any_is_dropped(passed: Passed) -> None:
    calls = sum(row["operation"] == "chat" for row in passed.rows)
    name = "traces.span.metrics.calls"
    labels = {"gen_ai__operation__name": "chat"}
    poll(lambda: max(_sums(passed, name, labels), default=0) == calls)
    exemplars = {trace for point in chosen(passed.points(), "traces.span.metrics.duration") for trace in point.traces}
    assert exemplars
    assert exemplars <= set(passed.traces)


def _sums(passed: Passed, name: str, labels: dict[str, str]) -> list[float]:
    """Of each export by itself: with cumulative temporality each has all there is."""
    return [total(points_of(export), name, **labels) for export in passed.metrics.exports()]


PROGRAM = """
import json, tracer
for number in range(3):
    with tracer.trace(f"call {number}", kind="llm"):
        pass
print(tracer.flush(10))
print(json.dumps(tracer.status()["destinations"]))
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[tuple[Gateway, GrpcCollector]]:
    program("otelcol")
    folder = tmp_path_factory.mktemp("guarded")
    peer = local(free_port())
    with (
        receiver() as behind,
        gateway(
            folder, files, [peer], peer, behind.target, "http://" + local(free_port()), "gateway", KEPT_PERCENTAGE="100", DECISION_WAIT="1s"
        ) as one,
    ):
        yield one, behind


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_wrong_token_is_refused_in_one_line_and_the_store_has_all(
    guarded: tuple[Gateway, GrpcCollector], files: Files, tmp_path: Path, protocol: str
) -> None:
    one, behind = guarded
    store = tmp_path / "store.sqlite"
    ended = run_program(
        PROGRAM,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"https://{one.grpc if protocol == 'grpc' else one.http}",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_CERTIFICATE=files.authority,
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20wrong",
        TRACER_LOCAL=str(store),
        TRACER_QUIET="true",
    )
    account = json.loads(ended.out.splitlines()[1])
    assert ended.status == 0
    assert account["otlp"]["exported"] == 0
    assert sum(account["otlp"]["dropped"].values()) == 3
    assert account["local"]["exported"] == 3
    (line,) = ended.lines
    assert "refused the spans" in line
    assert "Check OTEL_EXPORTER_OTLP_HEADERS." in line
    assert "wrong" not in line
    assert not [span for span in behind.spans() if span.name.startswith("call")]


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf", "http/json"])
def test_the_right_token_over_tls_is_let_in(guarded: tuple[Gateway, GrpcCollector], files: Files, protocol: str) -> None:
    one, behind = guarded
    program_text = PROGRAM.replace("call {number}", f"{protocol} {{number}}")
    ended = run_program(
        program_text,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"https://{one.grpc if protocol == 'grpc' else one.http}",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_CERTIFICATE=files.authority,
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer%20{TOKEN}",
        TRACER_QUIET="true",
    )
    assert (ended.status, ended.lines) == (0, [])
    expected = {f"{protocol} {number}" for number in range(3)}
    poll(lambda: expected <= {span.name for span in behind.spans()})


def test_an_agent_with_a_wrong_token_says_so(guarded: tuple[Gateway, GrpcCollector], files: Files, tmp_path: Path) -> None:
    one, behind = guarded
    with agent(tmp_path, one.grpc, files, GATEWAY_TOKEN="wrong") as entrance:
        ended = run_program(PROGRAM, OTEL_EXPORTER_OTLP_ENDPOINT=entrance.endpoint, TRACER_QUIET="true")
        assert json.loads(ended.out.splitlines()[1])["otlp"]["exported"] == 3
        poll(lambda: counted(entrance.telemetry, "otelcol_exporter_send_failed_spans") == 3)
        assert "Unauthenticated" in entrance.process.text
    assert not [span for span in behind.spans() if span.name.startswith("call")]
