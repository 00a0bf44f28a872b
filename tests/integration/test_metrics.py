"""Metrics: what arrives at a receiver equals what was recorded and what the ledger says, exactly."""

from __future__ import annotations

import json
import os
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from prometheus_client.parser import text_string_to_metric_families

import tracer
from tests.integration.metrics_support import (
    Point,
    Receiver,
    ask,
    chosen,
    count,
    host_meter_provider,
    in_memory,
    mix,
    points_of,
    receiving,
    set_meter_provider,
    total,
)
from tests.support import closed_port, wait_until
from tracer.metrics.instruments import INSTRUMENTS
from tracer.replay.recordings import load
from tracer.replay.server import ReplayServer
from tracer.runtime import Runtime
from tracer.store.reader import StoreReader

CHAT = next(item for item in load() if item.api == "chat" and not item.streamed and not item.azure and item.status == 200)


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def send_to(receiver: Receiver, variables: pytest.MonkeyPatch, **more: str) -> None:
    variables.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{receiver.url}/v1/metrics")
    variables.setenv("TRACER_QUIET", "true")
    for name, value in more.items():
        variables.setenv(name, value)


def stored(path: Path) -> list[dict[str, Any]]:
    """Attributes of the spans of a local store, attempts left out."""
    with StoreReader(path) as store:
        spans = [span for trace in store.traces(1000) for span in trace.spans]
    return [{**json.loads(span.attributes), "seconds": (span.end_ns - span.start_ns) / 1e9} for span in spans if span.name != "attempt"]


def summed(spans: list[dict[str, Any]], name: str) -> float:
    return sum(span.get(name, 0) for span in spans)


MODEL_CALLS = ("chat", "embeddings", "text_completion")


def compare(points: list[Point], spans: list[dict[str, Any]]) -> None:
    """Each span, and nothing else, is in the metrics."""
    calls = [span for span in spans if span.get("gen_ai.operation.name") in MODEL_CALLS]
    assert Counter(span["tracer.outcome"] for span in spans) == {
        outcome: total(points, "tracer.calls", tracer__outcome=outcome)
        for outcome in {point.attributes["tracer.outcome"] for point in chosen(points, "tracer.calls")}
    }
    assert count(points, "gen_ai.client.operation.duration") == len(calls) + 1  # and the retriever
    for kind in ("input", "output"):
        assert total(points, "gen_ai.client.token.usage", gen_ai__token__type=kind) == summed(calls, f"gen_ai.usage.{kind}_tokens") > 0
    for name in ("cache_read.input_tokens", "reasoning.output_tokens"):
        assert total(points, f"gen_ai.client.inference.usage.{name}") == summed(calls, f"gen_ai.usage.{name}")
    assert total(points, "tracer.cost.total") == pytest.approx(summed(calls, "tracer.cost.total"), rel=1e-12)
    priced = [span for span in calls if "tracer.cost.total" in span]
    missing = [span for span in calls if span["tracer.usage.source"] == "missing"]
    assert total(points, "tracer.cost.unpriced") == len(calls) - len(priced) - len(missing) > 0
    assert total(points, "tracer.usage.missing") == len(missing) > 0
    first = [span["gen_ai.response.time_to_first_chunk"] for span in calls if "gen_ai.response.time_to_first_chunk" in span]
    assert count(points, "gen_ai.client.operation.time_to_first_chunk") == len(first) > 0
    assert total(points, "gen_ai.client.operation.time_to_first_chunk") == pytest.approx(sum(first), rel=1e-9)
    for name in ("provider_time", "consumer_time"):
        assert total(points, f"tracer.stream.{name}") == pytest.approx(summed(calls, f"tracer.stream.{name}"), rel=1e-9)
    durations = total(points, "gen_ai.client.operation.duration", gen_ai__operation__name="chat")
    assert durations == pytest.approx(summed([s for s in calls if s["gen_ai.operation.name"] == "chat"], "seconds"), rel=1e-6)
    by_model = Counter(span["gen_ai.request.model"] for span in calls)
    for model, number in by_model.items():
        assert count(points, "gen_ai.client.operation.duration", gen_ai__request__model=model) == number


def test_metrics_equal_the_records_and_the_ledger(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, receiver: Receiver, server: ReplayServer, tmp_path: Path
) -> None:
    store = tmp_path / "store.sqlite"
    send_to(receiver, no_variables, TRACER_LOCAL=str(store), OTEL_SERVICE_NAME="shop")
    calls = mix(server)
    assert tracer.flush(20)
    points = receiver.last()
    compare(points, stored(store))
    status = tracer.status()
    assert total(points, "tracer.calls.started") == status["started"] == calls
    assert total(points, "tracer.calls") == calls
    assert total(points, "tracer.records", tracer__destination="local", tracer__state="exported") == calls
    assert total(points, "tracer.records", tracer__destination="local", tracer__state="sampled_out") == 0
    assert total(points, "tracer.records.waiting", tracer__destination="local", tracer__state="queued") == 0
    assert total(points, "tracer.calls.open") == 0
    assert count(points, "gen_ai.execute_tool.duration", gen_ai__tool__name="look up") == 1
    assert count(points, "gen_ai.invoke_agent.duration", gen_ai__agent__name="helper") == 1
    assert count(points, "gen_ai.invoke_workflow.duration", gen_ai__workflow__name="answer") == 1
    assert total(points, "tracer.attempts", http__response__status_code=429) == 2
    assert total(points, "tracer.calls", tracer__outcome="stopped") == 1
    assert total(points, "tracer.payload", network__io__direction="transmit") > 1000
    assert total(points, "tracer.payload", network__io__direction="receive") > 1000
    resource = receiver.exports()[-1].resource_metrics[0].resource
    assert {item.key: item.value.string_value for item in resource.attributes}["service.name"] == "shop"
    # Prometheus takes a series from where it began only if that is at least a millisecond before.
    assert all(point.time - point.start >= 1_000_000 for point in points if point.start)


def test_buckets_and_units_are_the_official_ones(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, receiver: Receiver, server: ReplayServer
) -> None:
    send_to(receiver, no_variables)
    mix(server)
    assert tracer.flush(20)
    known = {instrument.name: instrument for instrument in INSTRUMENTS}
    found = [metric for scope in receiver.exports()[-1].resource_metrics[0].scope_metrics for metric in scope.metrics]
    assert len(found) > 20
    for metric in found:
        assert (metric.unit, metric.description) == (known[metric.name].unit, known[metric.name].description)
        if metric.WhichOneof("data") == "histogram":
            for point in metric.histogram.data_points:
                assert tuple(point.explicit_bounds) == known[metric.name].buckets
    assert known["gen_ai.client.operation.duration"].buckets[:3] == (0.01, 0.02, 0.04)
    assert known["gen_ai.client.operation.duration"].buckets[-1] == 81.92
    assert known["gen_ai.client.token.usage"].buckets[-1] == 67108864
    assert known["gen_ai.invoke_agent.duration"].buckets[-1] == pytest.approx(409.6)


def test_exemplars_link_to_the_traces_of_the_calls(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, receiver: Receiver, server: ReplayServer, tmp_path: Path
) -> None:
    send_to(receiver, no_variables, TRACER_LOCAL=str(tmp_path / "store.sqlite"))
    with tracer.trace("answer", kind="chain") as run:
        ask(server, CHAT)
    assert tracer.flush(20)
    for name in ("gen_ai.client.operation.duration", "tracer.calls"):
        assert {trace for point in chosen(receiver.last(), name) for trace in point.traces} == {run.trace_id}


def test_calls_that_are_sampled_out_count_but_are_no_exemplars(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, receiver: Receiver, server: ReplayServer, tmp_path: Path
) -> None:
    send_to(receiver, no_variables, TRACER_LOCAL=str(tmp_path / "store.sqlite"), OTEL_TRACES_SAMPLER="always_off")
    calls = mix(server)
    assert tracer.flush(20)
    points = receiver.last()
    assert total(points, "tracer.calls") == calls
    assert total(points, "gen_ai.client.token.usage") > 0
    assert total(points, "tracer.cost.total") > 0
    assert total(points, "tracer.records", tracer__state="sampled_out") == calls
    assert total(points, "tracer.records", tracer__state="exported") == 0
    assert [trace for point in points for trace in point.traces] == []


def test_nothing_of_contents_ids_or_people_is_in_the_metrics(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, receiver: Receiver, server: ReplayServer
) -> None:
    send_to(receiver, no_variables)
    with tracer.context(session="session-of-anna", user="anna-77", tags=["beta-tag"], metadata={"plan": "free-plan"}):
        mix(server)
    assert tracer.flush(20)
    bodies = b"".join(body for _, _, body in receiver.requests)
    for text in (b"session-of-anna", b"anna-77", b"beta-tag", b"free-plan", b"chatcmpl-", b"messages"):
        assert text not in bodies


def test_names_of_v01(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, receiver: Receiver, server: ReplayServer, tmp_path: Path
) -> None:
    store = tmp_path / "store.sqlite"
    send_to(receiver, no_variables, TRACER_METRICS="v0.1", TRACER_LOCAL=str(store))
    mix(server)
    assert tracer.flush(20)
    points, spans = receiver.last(), stored(store)
    chats = [span for span in spans if span.get("gen_ai.operation.name") == "chat"]
    embeddings = [span for span in spans if span.get("gen_ai.operation.name") == "embeddings"]
    assert count(points, "gen_ai.client.inference.duration") == len(chats)
    assert count(points, "gen_ai.client.embeddings.duration") == len(embeddings) > 0
    for kind in ("input", "output"):
        name = f"gen_ai.usage.{kind}_tokens"
        assert total(points, f"gen_ai.client.inference.usage.{kind}_tokens") == summed(chats, name) > 0
        assert total(points, f"gen_ai.client.inference.operation.{kind}_tokens") == summed(chats, name)
    audio = total(points, "gen_ai.client.inference.usage.input_tokens", gen_ai__token__modality="audio")
    assert audio == summed(chats, "gen_ai.usage.audio.input_tokens")
    assert total(points, "gen_ai.client.embeddings.operation.input_tokens") == summed(embeddings, "gen_ai.usage.input_tokens")
    assert count(points, "gen_ai.client.operation.duration") == 1  # of the retriever
    assert count(points, "gen_ai.invoke_agent.duration") == 2  # the agent and the chain
    assert {point.name for point in points} & {"gen_ai.client.token.usage", "gen_ai.invoke_workflow.duration"} == set()


def test_delta_temporality_loses_nothing_while_the_endpoint_refuses(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, server: ReplayServer, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving([503, 503, 503]) as receiver:
        send_to(receiver, no_variables, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta")
        ask(server, CHAT)
        assert not tracer.flush(20)
        ask(server, CHAT)
        assert tracer.flush(20)
        ask(server, CHAT)
        assert tracer.flush(20)
        points = receiver.all()
        assert len(receiver.exports()) == 3
    assert all(point.delta for point in points if point.start)
    assert total(points, "tracer.calls") == 3
    assert count(points, "gen_ai.client.operation.duration") == 3
    assert [record.message for record in caplog.records] == [
        f"tracer: metrics: OTLP endpoint {receiver.url}/v1/metrics refused the metrics (HTTP 503 Service Unavailable)."
    ]


def test_an_endpoint_that_is_not_there_is_one_clear_line(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, server: ReplayServer, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = Receiver(f"http://user:secret@127.0.0.1:{closed_port()}")
    send_to(nowhere, no_variables)
    ask(server, CHAT)
    assert not tracer.flush(20)
    assert not tracer.flush(20)
    (line,) = [record.message for record in caplog.records]
    assert "cannot be reached (connection refused)" in line
    assert "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" in line
    assert "secret" not in line


def test_headers_compression_and_exponential_histograms(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, receiver: Receiver, server: ReplayServer
) -> None:
    send_to(
        receiver,
        no_variables,
        OTEL_EXPORTER_OTLP_METRICS_HEADERS="authorization=Bearer%20m",
        OTEL_EXPORTER_OTLP_METRICS_COMPRESSION="gzip",
        OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="base2_exponential_bucket_histogram",
    )
    ask(server, CHAT)
    assert tracer.flush(20)
    path, headers, _ = receiver.requests[-1]
    assert (path, headers["authorization"], headers["content-encoding"]) == ("/v1/metrics", "Bearer m", "gzip")
    scopes = receiver.exports()[-1].resource_metrics[0].scope_metrics
    kinds = {metric.name: metric.WhichOneof("data") for scope in scopes for metric in scope.metrics}
    assert kinds["gen_ai.client.operation.duration"] == "exponential_histogram"


def test_the_general_endpoint_is_for_metrics_too_when_they_are_asked_for(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, receiver: Receiver, server: ReplayServer
) -> None:
    no_variables.setenv("TRACER_QUIET", "true")
    no_variables.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    ask(server, CHAT)
    assert tracer.flush(20)
    assert {path for path, _, _ in receiver.requests} == {"/v1/traces"}
    no_variables.setenv("TRACER_METRICS", "v1.41")
    tracer.configure()
    ask(server, CHAT)
    assert tracer.flush(20)
    assert {path for path, _, _ in receiver.requests} == {"/v1/traces", "/v1/metrics"}
    assert total(receiver.last(), "tracer.records", tracer__destination="otlp", tracer__state="exported") == 1


def test_exports_come_at_intervals(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, receiver: Receiver, server: ReplayServer
) -> None:
    send_to(receiver, no_variables, OTEL_METRIC_EXPORT_INTERVAL="50")
    ask(server, CHAT)
    wait_until(lambda: bool(receiver.exports()) and total(receiver.last(), "tracer.calls") == 1)


def test_ten_thousand_models_are_bounded_and_counted(fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, receiver: Receiver) -> None:
    send_to(receiver, no_variables, TRACER_QUEUE_RECORDS="20000")

    for number in range(3_000):
        with tracer.trace(f"tool {number}", kind="tool"):
            pass
    assert tracer.flush(60)
    points = receiver.last()
    durations = chosen(points, "gen_ai.execute_tool.duration")
    assert len(durations) == 1_001
    assert count(points, "gen_ai.execute_tool.duration") == 3_000
    assert count(points, "gen_ai.execute_tool.duration", otel__metric__overflow=True) == 2_000
    assert total(points, "tracer.metrics.overflows") == 2_000
    assert total(points, "tracer.calls", tracer__outcome="completed") == 3_000


# The application's own meter provider.


def test_the_application_s_own_provider_gets_everything(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, server: ReplayServer, tmp_path: Path
) -> None:
    store = tmp_path / "store.sqlite"
    no_variables.setenv("TRACER_LOCAL", str(store))
    no_variables.setenv("TRACER_QUIET", "true")
    with host_meter_provider() as reader:
        calls = mix(server)
        assert tracer.flush(20)
        points = in_memory(reader)
        compare(points, stored(store))
        assert total(points, "tracer.records", tracer__state="exported") == calls
        # Counters never go back, not even with a new ledger.
        tracer.configure()
        ask(server, CHAT)
        assert tracer.flush(20)
        points = in_memory(reader)
        assert total(points, "tracer.calls") == calls + 1
        assert total(points, "tracer.records", tracer__state="exported") == calls + 1


@pytest.mark.parametrize("later", [False, True])
def test_with_nothing_but_a_meter_provider_calls_are_measured(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, server: ReplayServer, capsys: pytest.CaptureFixture[str], later: bool
) -> None:
    if later:
        ask(server, CHAT)
        assert tracer.status()["started"] == 0
    with host_meter_provider() as reader:
        ask(server, CHAT)
        assert tracer.flush(20)
        points = in_memory(reader)
        assert total(points, "tracer.calls") == count(points, "gen_ai.client.operation.duration") == 1
        assert [trace for point in points for trace in point.traces] == []
        assert capsys.readouterr().err == (
            "tracer: recording metrics to the application's own OpenTelemetry (TRACER_QUIET=true hides this line).\n"
        )
        tracer.shutdown()


def test_metrics_can_be_switched_off(fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, server: ReplayServer) -> None:
    no_variables.setenv("TRACER_METRICS", "off")
    with host_meter_provider() as reader:
        ask(server, CHAT)
        assert in_memory(reader) == []
        assert tracer.status()["started"] == 0


def test_a_provider_that_keeps_nothing_is_none(fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, server: ReplayServer) -> None:
    from opentelemetry.metrics import NoOpMeterProvider

    setter: Any = set_meter_provider
    setter(NoOpMeterProvider())
    try:
        ask(server, CHAT)
        assert tracer.status()["started"] == 0
    finally:
        set_meter_provider(None)


# Prometheus fetches.


def test_prometheus_text(fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, server: ReplayServer, tmp_path: Path) -> None:
    port, store = closed_port(), tmp_path / "store.sqlite"
    for name, text in {
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
        "TRACER_LOCAL": str(store),
        "TRACER_QUIET": "true",
    }.items():
        no_variables.setenv(name, text)
    mix(server)
    assert tracer.flush(20)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        families = {family.name: family for family in text_string_to_metric_families(answer.read().decode())}
    spans = stored(store)
    calls = [span for span in spans if span.get("gen_ai.operation.name") in MODEL_CALLS]

    def value(family: str, sample: str, **labels: str) -> float:
        return sum(item.value for item in families[family].samples if item.name == sample and labels.items() <= item.labels.items())

    assert value("tracer_calls", "tracer_calls_total") == len(spans)
    assert value("gen_ai_client_operation_duration_seconds", "gen_ai_client_operation_duration_seconds_count") == len(calls) + 1
    tokens = value("gen_ai_client_token_usage", "gen_ai_client_token_usage_sum", gen_ai_token_type="input")
    assert tokens == summed(calls, "gen_ai.usage.input_tokens")
    assert value("tracer_cost", "tracer_cost_total", tracer_cost_currency="USD") == pytest.approx(summed(calls, "tracer.cost.total"))
    tracer.shutdown()


def test_a_port_that_is_taken_is_one_clear_line(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, server: ReplayServer, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    port = receiver.url.rpartition(":")[2]
    send_to(receiver, no_variables, OTEL_METRICS_EXPORTER="prometheus,otlp", OTEL_EXPORTER_PROMETHEUS_PORT=port)
    no_variables.setenv("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1")
    ask(server, CHAT)
    assert tracer.flush(20)
    assert total(receiver.last(), "tracer.calls") == 1
    (line,) = [record.message for record in caplog.records]
    assert line.startswith(f"tracer: metrics are not exported to prometheus: 127.0.0.1:{port} cannot be listened on ({os.strerror(98)})")
    assert "OTEL_EXPORTER_PROMETHEUS_PORT" in line


def test_grpc(fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, server: ReplayServer) -> None:
    exports: list[ExportMetricsServiceRequest] = []
    found: list[tuple[Any, ...]] = []

    def take(request: ExportMetricsServiceRequest, context: Any) -> ExportMetricsServiceResponse:
        exports.append(request)
        found.append(tuple(context.invocation_metadata()))
        return ExportMetricsServiceResponse()

    handler: Any = grpc.unary_unary_rpc_method_handler(
        take,
        request_deserializer=ExportMetricsServiceRequest.FromString,
        response_serializer=ExportMetricsServiceResponse.SerializeToString,
    )
    service = "opentelemetry.proto.collector.metrics.v1.MetricsService"
    collector: Any = grpc.server(futures.ThreadPoolExecutor(1))
    collector.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
    port = collector.add_insecure_port("127.0.0.1:0")
    collector.start()
    try:
        send_to(
            Receiver(f"http://127.0.0.1:{port}"),
            no_variables,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"http://127.0.0.1:{port}",
            OTEL_EXPORTER_OTLP_HEADERS="x-key=k",
        )
        ask(server, CHAT)
        assert tracer.flush(20)
        assert total(points_of(exports[-1]), "tracer.calls") == 1
        assert ("x-key", "k") in found[-1]
        tracer.shutdown()
    finally:
        collector.stop(None)
