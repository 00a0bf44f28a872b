"""OTLP over gRPC to a real server: what arrives, and what every status does with the records."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import ModuleType

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from tests.integration.grpc_support import GrpcCollector, aborting, counting, serving_grpc
from tests.integration.otlp_support import (
    SPAN_ID,
    TRACE_ID,
    Collector,
    attributes,
    delivering,
    free_port,
    llm_record,
    of_the_export,
    serving,
)
from tests.support import Delivering, wait_until
from tracer.export import notices
from tracer.export.certificates import Certificates
from tracer.export.otlp import OtlpTransport
from tracer.export.otlp_grpc import INSTALL, GrpcWire, retry_delay
from tracer.export.transport import ACCEPTED, RETRY
from tracer.pipeline.backoff import Pace
from tracer.settings import Settings


@pytest.fixture
def collector() -> Generator[GrpcCollector, None, None]:
    with serving_grpc() as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_warned", set[str]())


def settings(collector: GrpcCollector, **values: object) -> Settings:
    return Settings(otlp_endpoint=f"http://{collector.target}", otlp_protocol="grpc", **values)  # pyright: ignore[reportArgumentType]


def test_records_arrive_as_the_same_spans_as_over_http(collector: GrpcCollector) -> None:
    records = [llm_record(number) for number in range(3)]
    assert delivering(settings(collector, service_name="shop")).deliver(records).exported == 3
    with serving(Collector()) as http:
        delivering(Settings(otlp_endpoint=http.url, service_name="shop")).deliver(records)
        assert [span.SerializeToString() for span in collector.spans()] == [span.SerializeToString() for span in http.spans()]
    (request,) = collector.requests
    assert attributes(request.resource_spans[0].resource.attributes)["service.name"] == "shop"
    first = collector.spans()[0]
    assert (first.trace_id, first.span_id) == (TRACE_ID.to_bytes(16, "big"), SPAN_ID.to_bytes(8, "big"))


@pytest.mark.parametrize(
    ("endpoint", "values"),
    [
        ("http://{}", {}),
        ("{}", {"otlp_insecure": True}),
        ("http://{}/ignored/path", {}),
    ],
)
def test_forms_of_the_endpoint(collector: GrpcCollector, endpoint: str, values: dict[str, bool]) -> None:
    chosen = Settings(otlp_endpoint=endpoint.format(collector.target), otlp_protocol="grpc", **values)  # pyright: ignore[reportArgumentType]
    assert delivering(chosen).deliver([llm_record()]).exported == 1


def test_the_endpoint_for_traces_goes_before_the_general_one(collector: GrpcCollector) -> None:
    chosen = Settings(otlp_endpoint="http://127.0.0.1:1", otlp_traces_endpoint=f"http://{collector.target}", otlp_protocol="grpc")
    assert delivering(chosen).deliver([llm_record()]).exported == 1


def test_headers_and_user_agent(collector: GrpcCollector, caplog: pytest.LogCaptureFixture) -> None:
    headers = {"authorization": "Bearer x", "x-data-bin": "raw", "x!": "no", "x-umlaut": "ü", "grpc-timeout": "1S", "te": "gzip"}
    delivering(settings(collector, otlp_headers=headers)).deliver([llm_record()])
    (got,) = collector.metadata
    assert got["authorization"] == "Bearer x"
    assert got["x-data-bin"] == b"raw"
    assert str(got["user-agent"]).startswith("chat-tracer/")
    assert "x-umlaut" not in got
    lines = [entry.getMessage() for entry in caplog.records]
    assert lines == [
        "tracer: OTEL_EXPORTER_OTLP_HEADERS: gRPC cannot send a header called 'x!'. Leaving it out.",
        "tracer: OTEL_EXPORTER_OTLP_HEADERS: gRPC can send only printable ASCII, 'x-umlaut' has something else. Leaving it out.",
        "tracer: OTEL_EXPORTER_OTLP_HEADERS: gRPC cannot send a header called 'grpc-timeout'. Leaving it out.",
        "tracer: OTEL_EXPORTER_OTLP_HEADERS: gRPC cannot send a header called 'te'. Leaving it out.",
    ]


@pytest.mark.parametrize(("compression", "small"), [("none", False), ("gzip", True), ("deflate", True)])
def test_compression(collector: GrpcCollector, caplog: pytest.LogCaptureFixture, compression: str, small: bool) -> None:
    with counting(collector.target) as (target, sizes):
        chosen = Settings(otlp_endpoint=f"http://{target}", otlp_protocol="grpc", otlp_compression=compression)
        assert delivering(chosen).deliver([llm_record(text="x" * 200_000)]).exported == 1
    assert (sum(sizes) < 20_000) is small
    lines = [entry.getMessage() for entry in caplog.records]
    said = "tracer: OTEL_EXPORTER_OTLP_COMPRESSION='deflate' is not possible with gRPC: accepted is none or gzip. Using gzip."
    assert lines == ([said] if compression == "deflate" else [])


RETRIED = (
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNKNOWN",
    "INTERNAL",
    "RESOURCE_EXHAUSTED",
)
REFUSED = ("INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "UNIMPLEMENTED")
STOPPING = ("UNAUTHENTICATED", "PERMISSION_DENIED")


def test_every_status_is_in_one_of_the_lists() -> None:
    assert sorted((*RETRIED, *REFUSED, *STOPPING, "OK")) == sorted(status.name for status in grpc.StatusCode)


@pytest.mark.parametrize("status", RETRIED)
def test_a_server_in_trouble_is_asked_again(collector: GrpcCollector, caplog: pytest.LogCaptureFixture, status: str) -> None:
    collector.answers = [aborting(grpc.StatusCode[status])] * 2
    destination = delivering(settings(collector))
    with caplog.at_level(logging.DEBUG):
        destination.deliver([llm_record(1), llm_record(2)])
    assert destination.outcome == (2, {})
    assert of_the_export(caplog) == []


@pytest.mark.parametrize("status", REFUSED)
def test_a_refusal_is_named_and_not_repeated(collector: GrpcCollector, caplog: pytest.LogCaptureFixture, status: str) -> None:
    collector.answers = [aborting(grpc.StatusCode[status], "not\nthis")]
    destination = delivering(settings(collector))
    destination.deliver([llm_record(1), llm_record(2)])
    assert destination.outcome == (0, {f"refused:{status}": 2})
    (line,) = [entry.getMessage() for entry in caplog.records]
    place = f"OTLP endpoint http://{collector.target}"
    assert line.startswith(f"tracer: {place} refused the spans (gRPC {status}): not this; 2 records dropped.")
    assert destination.deliver([llm_record(3)]).exported == 1


@pytest.mark.parametrize("status", STOPPING)
def test_a_wrong_key_stops_the_destination(collector: GrpcCollector, caplog: pytest.LogCaptureFixture, status: str) -> None:
    collector.always = aborting(grpc.StatusCode[status])
    destination = delivering(settings(collector))
    destination.deliver([llm_record(1)])
    destination.deliver([llm_record(2)])
    assert destination.outcome == (0, {f"refused:{status}": 2})
    assert len(collector.requests) == 1
    assert destination.account.stopped.startswith(f"refused the spans (gRPC {status})")
    assert "Check OTEL_EXPORTER_OTLP_HEADERS." in caplog.text


def retry_info(seconds: int, nanos: int = 0) -> RetryInfo:
    info = RetryInfo()
    info.retry_delay.seconds, info.retry_delay.nanos = seconds, nanos
    return info


def status_details(seconds: int) -> bytes:
    detail = AnyMessage()
    detail.Pack(retry_info(seconds))
    return Status(code=8, message="busy", details=[detail]).SerializeToString()


@pytest.mark.parametrize("status", ["RESOURCE_EXHAUSTED", "UNAVAILABLE"])
def test_the_time_that_a_busy_server_names_is_kept(collector: GrpcCollector, status: str) -> None:
    collector.always = aborting(grpc.StatusCode[status], "busy", [("grpc-status-details-bin", status_details(300))])
    destination = delivering(settings(collector))
    destination.put([llm_record()])
    wait_until(lambda: bool(destination.sender.trouble))
    # A flush does not wait that long, and does not ask again before.
    began = time.monotonic()
    assert not destination.sender.flush(30)
    assert time.monotonic() - began < 10
    assert len(collector.requests) == 1
    assert destination.waiting == 1


@pytest.mark.parametrize(
    ("trailing", "expected"),
    [
        ((), None),
        ((("grpc-status-details-bin", status_details(7)),), 7.0),
        ((("google.rpc.retryinfo-bin", retry_info(1, 500_000_000).SerializeToString()),), 1.5),
        ((("grpc-status-details-bin", Status(code=8).SerializeToString()),), None),
        ((("grpc-status-details-bin", b"\xff\xff garbage"),), None),
        ((("google.rpc.retryinfo-bin", retry_info(-4).SerializeToString()),), 0.0),
        ((("other", "text"),), None),
    ],
)
def test_retry_info(trailing: tuple[tuple[str, object], ...], expected: float | None) -> None:
    assert retry_delay(trailing) == expected


def test_too_large_a_request_goes_in_halves_and_a_single_record_is_shortened() -> None:
    # The server's own limit, and its own words for it.
    with serving_grpc(options=[("grpc.max_receive_message_length", 100_000)]) as collector:
        records = [llm_record(number, text=f"{number}" * 20_000) for number in range(6)]
        records[2] = llm_record(2, text="y" * 300_000)
        destination = delivering(settings(collector))
        destination.deliver(records)
        assert destination.outcome == (6, {})
        assert destination.account.shortened == {"too large": 1}
        spans = collector.spans()
        assert len(spans) == 6
        (cut,) = [span for span in spans if attributes(span.attributes).get("tracer.content.truncated")]
        assert cut.span_id == (SPAN_ID + 2).to_bytes(8, "big")
        json.loads(str(attributes(cut.attributes)["gen_ai.input.messages"]))


@pytest.mark.parametrize(
    ("status", "details"),
    [
        ("RESOURCE_EXHAUSTED", "grpc: received message larger than max (5000000 vs. 4194304)"),
        ("RESOURCE_EXHAUSTED", "gRPC message exceeds maximum size 4194304: 5000000"),
        ("UNKNOWN", "Received http2 header with status: 413"),
    ],
)
def test_words_for_too_large(collector: GrpcCollector, status: str, details: str) -> None:
    collector.answers = [aborting(grpc.StatusCode[status], details)]
    destination = delivering(settings(collector))
    destination.deliver([llm_record(1), llm_record(2)])
    assert destination.outcome == (2, {})
    assert [len(request.resource_spans[0].scope_spans[0].spans) for request in collector.requests] == [2, 1, 1]


def test_partial_success_is_counted(collector: GrpcCollector, caplog: pytest.LogCaptureFixture) -> None:
    collector.reply.partial_success.rejected_spans = 1
    collector.reply.partial_success.error_message = "span too old"
    destination = delivering(settings(collector))
    destination.deliver([llm_record(1), llm_record(2)])
    assert destination.outcome == (1, {"rejected": 1})
    assert "span too old" in caplog.text


def test_records_wait_until_the_endpoint_is_there(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracer.pipeline.outcomes.PATIENCE", 0)
    port = free_port()
    destination = delivering(Settings(otlp_endpoint=f"http://127.0.0.1:{port}", otlp_protocol="grpc"))
    destination.put([llm_record(number) for number in range(5)])
    wait_until(lambda: bool(caplog.records))
    (line,) = [entry.getMessage() for entry in of_the_export(caplog)]
    assert line.startswith(f"tracer: OTLP endpoint http://127.0.0.1:{port} cannot be reached (connection refused")
    assert line.endswith("5 records wait to be sent. Set OTEL_EXPORTER_OTLP_ENDPOINT or start a collector.")
    with serving_grpc(port=port) as collector:
        assert destination.deliver([llm_record(5)]).exported == 6
        assert len(collector.spans()) == 6
    # And once more after it went away in between.
    destination.put([llm_record(6)])
    assert not destination.sender.flush(0.3)
    with serving_grpc(port=port) as collector:
        assert destination.deliver([]).exported == 7


def test_a_hanging_endpoint_times_out_and_close_is_bounded(
    collector: GrpcCollector, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracer.pipeline.outcomes.PATIENCE", 0)
    released = threading.Event()
    collector.always = lambda context: (released.wait(20), None)[1]
    try:
        destination = delivering(settings(collector, otlp_timeout=0.3))
        destination.put([llm_record()])
        wait_until(lambda: bool(caplog.records))
        assert "did not answer within 0.3 s; 1 record waits to be sent." in caplog.text
        patient = Delivering(OtlpTransport(settings(collector, otlp_timeout=20)), pace=Pace(100, 100))
        seen = len(collector.requests)
        patient.put([llm_record()])
        wait_until(lambda: len(collector.requests) > seen)
        began = time.monotonic()
        patient.sender.close(0.3)
        assert time.monotonic() - began < 2
    finally:
        released.set()


def test_an_http_endpoint_says_which_protocol_to_set(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracer.pipeline.outcomes.PATIENCE", 0)
    with serving(Collector()) as collector:
        destination = delivering(Settings(otlp_endpoint=collector.url, otlp_protocol="grpc", otlp_timeout=2))
        destination.put([llm_record()])
        wait_until(lambda: bool(of_the_export(caplog)))
        assert destination.waiting == 1
    (line,) = [entry.getMessage() for entry in of_the_export(caplog)]
    assert "cannot be reached (Failed" not in line
    assert line.endswith("Set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf if the endpoint takes OTLP over HTTP only.")


def test_cancelled_by_an_endpoint_that_never_spoke_grpc_says_which_protocol_to_set(collector: GrpcCollector) -> None:
    """gRPC calls an answer of an HTTP endpoint so, where it comes late: a server in its place, as the moment cannot be chosen."""
    own = aborting(grpc.StatusCode.CANCELLED, "Stream removed", trailing=(("of-a-server-bin", b"1"),))
    removed = aborting(grpc.StatusCode.CANCELLED, "Stream removed")
    collector.answers = [own, removed, removed]
    wire = GrpcWire(f"http://{collector.target}", "test", {}, "none", Certificates())
    try:
        assert wire.send(b"", 20).advice == ""
        verdict = wire.send(b"", 20)
        assert (verdict.outcome, verdict.text) == (RETRY, "refused the spans (gRPC CANCELLED): Stream removed")
        assert verdict.advice == "Set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf if the endpoint takes OTLP over HTTP only."
        assert wire.send(b"", 20) == verdict
        assert wire.send(b"", 20).outcome == ACCEPTED
        collector.answers = [removed]
        assert wire.send(b"", 20) == replace(verdict, advice="")
    finally:
        wire.close()


@pytest.mark.parametrize("status", sorted({*RETRIED, *STOPPING} - {"CANCELLED"}))
def test_another_status_says_nothing_of_the_protocol(collector: GrpcCollector, status: str) -> None:
    collector.always = aborting(grpc.StatusCode[status], "Stream removed")
    wire = GrpcWire(f"http://{collector.target}", "test", {}, "none", Certificates())
    try:
        assert "OTEL_EXPORTER_OTLP_PROTOCOL" not in wire.send(b"", 20).advice
    finally:
        wire.close()


def test_a_call_that_we_cancel_says_nothing_of_the_protocol(collector: GrpcCollector) -> None:
    arrived, released = threading.Event(), threading.Event()

    def hang(_context: grpc.ServicerContext) -> None:
        arrived.set()
        released.wait(20)

    collector.always = hang
    wire = GrpcWire(f"http://{collector.target}", "test", {}, "none", Certificates())
    try:
        with ThreadPoolExecutor(1) as sending:
            verdict = sending.submit(wire.send, b"", 20)
            assert arrived.wait(20)
            wire.close()
            assert (verdict.result().outcome, verdict.result().advice) == (RETRY, "")
    finally:
        released.set()


def test_port_4317_means_grpc_unless_a_protocol_is_set() -> None:
    assert OtlpTransport(Settings(otlp_endpoint="http://h:4317")).endpoint == "http://h:4317"
    assert OtlpTransport(Settings(otlp_endpoint="http://h:4317", otlp_protocol="http/protobuf")).endpoint == "http://h:4317/v1/traces"
    assert OtlpTransport(Settings(otlp_protocol="grpc", traces_exporter=("otlp",))).endpoint == "http://localhost:4317"


@pytest.fixture
def without_grpc(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in sys.modules if name == "grpc" or name.startswith("grpc.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "grpc", None)  # pyright: ignore[reportArgumentType]
    return monkeypatch


def test_without_grpcio_records_wait_and_one_line_says_what_to_do(
    collector: GrpcCollector, without_grpc: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    destination = delivering(settings(collector))
    (line,) = [entry.getMessage() for entry in caplog.records]
    assert line == (
        "tracer: OTEL_EXPORTER_OTLP_PROTOCOL='grpc' (also meant by port 4317) needs the package grpcio, which cannot be imported. "
        "Run: pip install grpcio, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf and the endpoint for it, mostly port 4318. "
        "Records wait until then."
    )
    destination.put([llm_record()])
    wait_until(lambda: bool(destination.sender.trouble))
    assert INSTALL in destination.sender.trouble
    assert destination.waiting == 1
    assert len(caplog.records) == 1
    # Installed meanwhile, as in a notebook.
    without_grpc.undo()
    assert isinstance(sys.modules["grpc"], ModuleType)
    assert destination.deliver([llm_record(1)]).exported == 2
