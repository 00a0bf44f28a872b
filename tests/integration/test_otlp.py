"""OTLP over a real loopback connection, decoded with the official protobuf classes."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.integration.otlp_support import (
    PARENT_ID,
    SECOND,
    SPAN_ID,
    TRACE_ID,
    WALL,
    Collector,
    attributes,
    delivering,
    free_port,
    llm_record,
    of_the_export,
    serving,
    settings,
)
from tests.support import Delivering, wait_until
from tracer.call import Attempt, Failure
from tracer.export.notices import quiet
from tracer.export.otlp import SPLIT, OtlpTransport, endpoint_of
from tracer.export.spans import attempt_span_id
from tracer.pipeline.backoff import Pace
from tracer.reading.generation import Generation, Message
from tracer.settings import Settings


@pytest.fixture
def collector() -> Generator[Collector, None, None]:
    with serving(Collector()) as running:
        yield running


def test_every_attribute_arrives_with_its_type(collector: Collector) -> None:
    destination = delivering(settings(collector, service_name="shop", resource_attributes={"deployment.environment.name": "test"}))
    destination.deliver([llm_record()])
    destination.sender.close(1)

    assert destination.outcome == (1, {})
    (path, headers, _), (request,) = collector.requests[0], collector.decoded()
    assert path == "/v1/traces"
    assert headers["content-type"] == "application/x-protobuf"
    (resource,) = request.resource_spans
    described = attributes(resource.resource.attributes)
    assert described["service.name"] == "shop"
    assert described["deployment.environment.name"] == "test"
    assert described["telemetry.sdk.language"] == "python"
    assert described["telemetry.distro.name"] == "chat-tracer"
    assert isinstance(described["telemetry.distro.version"], str)
    (scope,) = resource.scope_spans
    assert scope.scope.name == "tracer"
    assert scope.scope.version == described["telemetry.distro.version"]
    assert scope.schema_url == "https://opentelemetry.io/schemas/gen-ai/0.1.0"
    (span,) = scope.spans
    assert span.name == "chat gpt-4o"
    assert span.kind == Span.SPAN_KIND_CLIENT
    assert span.trace_id == TRACE_ID.to_bytes(16, "big")
    assert span.span_id == SPAN_ID.to_bytes(8, "big")
    assert span.parent_span_id == PARENT_ID.to_bytes(8, "big")
    assert span.flags & 0x300 == 0x300
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (WALL, WALL + 2 * SECOND)
    assert span.status.code == 0
    assert span.dropped_attributes_count == 0
    got = attributes(span.attributes)
    expected: dict[str, object] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.4,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]',
        "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"hello"}],"finish_reason":"stop"}]',
        "gen_ai.conversation.id": "s1",
        "openai.api.type": "chat_completions",
        "openai.response.system_fingerprint": "fp_1",
        "server.address": "api.openai.com",
        "server.port": 443,
        "session.id": "s1",
        "user.id": "u7",
        "tracer.outcome": "completed",
        "tracer.run_id": "0192e4f0-0000-7000-8000-000000000000",
        "tracer.usage.source": "reported",
        "tracer.stream.chunks": 2,
        "tracer.stream.longest_gap": 0.1,
        "tracer.cost.total": 0.00018,
        "tracer.cost.input": 0.00012,
        "tracer.cost.output": 0.00006,
        "tracer.cost.currency": "USD",
        "tracer.cost.prices": "test",
        "tracer.tags": ["beta", "eu"],
        "tracer.metadata.team": "search",
        "tracer.metadata.limit": 3,
        "app.flag": True,
    }
    assert got == expected
    assert {key: type(value) for key, value in got.items()} == {key: type(value) for key, value in expected.items()}


def test_a_retried_failure_has_error_event_and_attempts(collector: Collector) -> None:
    record = llm_record(outcome="failed")
    record.generation = Generation(request_model="gpt-4o")
    try:
        raise TimeoutError("no answer")
    except TimeoutError as error:
        import traceback

        record.call.failure = Failure("openai.APITimeoutError", "no answer", trace=traceback.TracebackException.from_exception(error))
    record.call.attempts = [
        Attempt(5 * SECOND, 6 * SECOND, status=429, request_id="req_1"),
        Attempt(int(6.5 * SECOND), 7 * SECOND, failure=Failure("httpx.ReadTimeout", "read timed out")),
    ]
    assert delivering(settings(collector)).deliver([record]).exported == 1

    span, first, second = collector.spans()
    assert (span.status.code, span.status.message) == (2, "no answer")
    assert attributes(span.attributes)["error.type"] == "openai.APITimeoutError"
    (event,) = span.events
    assert event.name == "exception"
    assert event.time_unix_nano == span.end_time_unix_nano
    described = attributes(event.attributes)
    assert described["exception.type"] == "openai.APITimeoutError"
    assert described["exception.message"] == "no answer"
    assert "test_a_retried_failure" in str(described["exception.stacktrace"])

    assert [first.name, second.name] == ["attempt", "attempt"]
    assert first.parent_span_id == second.parent_span_id == span.span_id
    assert first.trace_id == second.trace_id == span.trace_id
    assert first.span_id == attempt_span_id(SPAN_ID, 0).to_bytes(8, "big")
    assert attributes(first.attributes) == {
        "http.response.status_code": 429,
        "tracer.attempt.request_id": "req_1",
        "error.type": "429",
    }
    assert attributes(second.attributes) == {
        "http.request.resend_count": 1,
        "tracer.attempt.wait": 0.5,
        "error.type": "httpx.ReadTimeout",
    }
    assert (first.status.code, second.status.code) == (2, 2)
    assert first.end_time_unix_nano == WALL + SECOND
    assert second.start_time_unix_nano == WALL + int(1.5 * SECOND)


def test_headers_gzip_and_traces_endpoint(collector: Collector) -> None:
    chosen = Settings(
        otlp_endpoint="http://127.0.0.1:1",
        otlp_traces_endpoint=collector.url + "/custom/path",
        otlp_headers={"authorization": "Bearer x"},
        otlp_compression="gzip",
    )
    assert delivering(chosen).deliver([llm_record()]).exported == 1
    path, headers, _ = collector.requests[0]
    assert path == "/custom/path"
    assert headers["authorization"] == "Bearer x"
    assert headers["content-encoding"] == "gzip"
    assert collector.spans()[0].name == "chat gpt-4o"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Settings(), "http://localhost:4318/v1/traces"),
        (Settings(otlp_endpoint="http://c:4318"), "http://c:4318/v1/traces"),
        (Settings(otlp_endpoint="http://c:4318/otlp/"), "http://c:4318/otlp/v1/traces"),
        (Settings(otlp_endpoint="c:4318"), "http://c:4318/v1/traces"),
        (Settings(otlp_traces_endpoint="https://c/x", otlp_endpoint="http://no"), "https://c/x"),
    ],
)
def test_endpoint(given: Settings, expected: str) -> None:
    assert endpoint_of(given) == expected


def test_a_dead_endpoint_keeps_its_records_and_is_one_line_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    destination = delivering(Settings(otlp_endpoint=f"http://127.0.0.1:{port}", otlp_timeout=0.5))
    monkeypatch.setattr("tracer.pipeline.outcomes.PATIENCE", 0)
    with caplog.at_level(logging.DEBUG):
        destination.put([llm_record(number) for number in range(12)])
        wait_until(lambda: bool(of_the_export(caplog)))
        assert not destination.sender.flush(0.3)
        assert destination.waiting == 12
        (line,) = [entry.getMessage() for entry in of_the_export(caplog)]
        assert line == (
            f"tracer: OTLP endpoint http://127.0.0.1:{port}/v1/traces cannot be reached (connection refused); 12 records wait to be sent. "
            "Set OTEL_EXPORTER_OTLP_ENDPOINT or start a collector."
        )
        assert of_the_export(caplog)[0].name == "tracer"
        real = time.monotonic
        monkeypatch.setattr("tracer.export.notices.time.monotonic", lambda: real() + 61)
        wait_until(lambda: len(of_the_export(caplog)) == 2)
    destination.sender.close(5)


def test_records_wait_until_the_endpoint_is_back() -> None:
    port = free_port()
    destination = delivering(Settings(otlp_endpoint=f"http://127.0.0.1:{port}"))
    destination.put([llm_record(number) for number in range(12)])
    assert not destination.sender.flush(0.2)
    with serving(Collector(port=port)) as collector:
        assert destination.deliver([llm_record(12)]).exported == 13
        assert [span.span_id for span in collector.spans()] == [(SPAN_ID + number).to_bytes(8, "big") for number in range(13)]
    destination.sender.close(1)


def test_the_exporters_of_the_host_keep_their_log(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    delivering(settings(collector)).deliver([llm_record()])
    caplog.clear()
    theirs = logging.getLogger("urllib3.connectionpool")
    with caplog.at_level(logging.WARNING):
        theirs.warning("of the host")
        with quiet():
            theirs.warning("ours")
            other = threading.Thread(target=theirs.warning, args=("of another thread",))
            other.start()
            other.join()
    assert [entry.getMessage() for entry in caplog.records] == ["of the host", "of another thread"]


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (400, "refused:400", "refused the spans (HTTP 400"),
        (401, "refused:401", "Check OTEL_EXPORTER_OTLP_HEADERS."),
        (302, "refused:302", "HTTP 302"),
        (404, "refused:404", "Check the path of the endpoint."),
    ],
)
def test_a_refusal_is_named_and_not_repeated(
    collector: Collector, caplog: pytest.LogCaptureFixture, status: int, reason: str, words: str
) -> None:
    collector.status = status
    collector.headers_out = {"location": collector.url + "/login", "content-type": "application/json"}
    collector.body_out = b'{"code":3,"message":"too\\nmuch"}'
    destination = delivering(settings(collector, otlp_timeout=5))
    with caplog.at_level(logging.DEBUG):
        destination.deliver([llm_record(1), llm_record(2)])
    assert destination.outcome == (0, {reason: 2})
    assert len(collector.requests) == 1
    (line,) = [entry.getMessage() for entry in caplog.records]
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(collector: Collector, caplog: pytest.LogCaptureFixture, status: int) -> None:
    collector.answers = [status, status]
    destination = delivering(settings(collector))
    with caplog.at_level(logging.DEBUG):
        destination.deliver([llm_record(1), llm_record(2)])
    assert destination.outcome == (2, {})
    if status != 500:  # After an unexplained failure fewer records go together.
        assert len(collector.requests) == 3
        assert len({body for _, _, body in collector.requests}) == 1
    assert of_the_export(caplog) == []


def test_a_wrong_key_stops_the_destination(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    collector.status = 401
    destination = delivering(settings(collector))
    destination.deliver([llm_record(1)])
    destination.deliver([llm_record(2)])
    assert destination.outcome == (0, {"refused:401": 2})
    assert destination.account.stopped.startswith("refused the spans (HTTP 401")
    assert len(collector.requests) == 1
    assert len(caplog.records) == 1


def test_too_large_a_request_goes_in_halves_and_a_single_record_is_shortened(collector: Collector) -> None:
    collector.most_bytes = 100_000
    records = [llm_record(number, text=f"{number}" * 20_000) for number in range(6)]
    records[2] = llm_record(2, text="y" * 300_000)
    destination = delivering(settings(collector))
    destination.deliver(records)
    assert destination.outcome == (6, {})
    assert destination.account.shortened == {"too large": 1}
    texts = {
        span.span_id[-1]: json.loads(str(attributes(span.attributes)["gen_ai.input.messages"]))[0]["parts"][0]["content"]
        for span in collector.spans()
    }
    assert len(texts) == 6
    whole = [text for text in texts.values() if "characters" not in text and "left out" not in text and len(text) == 20_000]
    assert len(whole) == 5
    (cut,) = [span for span in collector.spans() if attributes(span.attributes).get("tracer.content.truncated")]
    assert cut.span_id == (SPAN_ID + 2).to_bytes(8, "big")
    assert int(str(attributes(cut.attributes)["tracer.content.bytes"])) > 300_000


def test_partial_success_is_counted(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 1
    answer.partial_success.error_message = "span too old"
    collector.body_out = answer.SerializeToString()
    collector.headers_out = {"content-type": "application/x-protobuf"}
    destination = delivering(settings(collector))
    destination.deliver([llm_record(1), llm_record(2)])
    assert destination.outcome == (1, {"rejected": 1})
    assert "span too old" in caplog.text


def test_a_hanging_endpoint_times_out(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracer.pipeline.outcomes.PATIENCE", 0)
    with serving(Collector(hang=threading.Event())) as collector:
        destination = delivering(settings(collector, otlp_timeout=0.3))
        destination.put([llm_record()])
        wait_until(lambda: bool(caplog.records))
        assert destination.waiting == 1
        destination.sender.close(5)
    assert "did not answer within 0.3 s; 1 record waits to be sent." in caplog.text


def test_close_is_bounded_while_the_endpoint_hangs() -> None:
    with serving(Collector(hang=threading.Event())) as collector:
        destination = delivering(settings(collector, otlp_timeout=20))
        destination.put([llm_record()])
        wait_until(lambda: bool(collector.requests))
        began = time.monotonic()
        destination.sender.close(0.3)
        assert time.monotonic() - began < 1
        destination.put([llm_record()])
        assert destination.outcome == (0, {"closed": 1})


def test_close_interrupts_the_back_off(collector: Collector) -> None:
    collector.status = 503
    destination = Delivering(OtlpTransport(settings(collector, otlp_timeout=30)), pace=Pace(100, 100))
    destination.put([llm_record()])
    wait_until(lambda: bool(destination.sender.trouble))
    began = time.monotonic()
    destination.sender.close(5)
    assert time.monotonic() - began < 1
    assert len(collector.requests) == 1
    assert destination.sender.trouble.startswith(f"OTLP endpoint {collector.url}/v1/traces refused the spans (HTTP 503")


def test_a_huge_record_does_not_harm_its_neighbours(collector: Collector) -> None:
    records = [llm_record(1), llm_record(2, text="x" * 10 * 1024 * 1024), llm_record(3)]
    assert delivering(settings(collector)).deliver(records).exported == 3
    names = [attributes(span.attributes)["tracer.run_id"] for span in collector.spans()]
    assert len(set(names)) == 3
    huge = attributes(collector.spans()[1].attributes)
    assert huge["tracer.content.truncated"] is True
    assert json.loads(str(huge["gen_ai.input.messages"]))[0]["parts"][0]["content"].startswith("xxx")


def test_requests_are_split_by_bytes(collector: Collector) -> None:
    records = [llm_record(number, text="é" * 600_000) for number in range(8)]
    assert delivering(settings(collector)).deliver(records).exported == 8
    assert len(collector.requests) == 3
    assert all(len(body) <= SPLIT for _, _, body in collector.requests)
    assert len(collector.spans()) == 8


def test_odd_values_cost_neither_record_nor_neighbour(collector: Collector) -> None:
    odd = llm_record(1)
    assert odd.generation is not None
    odd.generation.request_model = "m\ud800\x00"
    odd.generation.parameters = {"seed": 2**70, "temperature": float("nan")}
    odd.generation.input_messages = [Message("user", [{"type": "text", "content": "\ud800 \x00", "score": float("inf"), "big": 2**80}])]
    odd.call.metadata = {"x\ud800": object(), "none": None, "empty": []}
    odd.call.started_wall = -5
    assert delivering(settings(collector)).deliver([odd, llm_record(2)]).exported == 2
    first, _ = collector.spans()
    got = attributes(first.attributes)
    assert got["gen_ai.request.model"] == "m\ufffd\x00"
    assert got["gen_ai.request.seed"] == str(2**70)
    (message,) = json.loads(str(got["gen_ai.input.messages"]))
    assert message["parts"][0]["content"] == "\ufffd \x00"
    assert message["parts"][0]["score"] is None
    assert "tracer.metadata.none" not in got
    assert "tracer.metadata.empty" not in got


def test_an_unwritable_record_is_counted_and_its_neighbour_arrives(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    broken = llm_record(1)
    broken.call.started = None  # pyright: ignore[reportAttributeAccessIssue]
    destination = delivering(settings(collector))
    destination.deliver([broken, llm_record(2)])
    assert destination.outcome == (1, {"unreadable": 1})
    assert "could not be written as a span" in caplog.text


def test_limits_of_the_sdk_hold_only_where_they_are_set(collector: Collector) -> None:
    record = llm_record(text="y" * 5000)
    record.call.metadata = {f"key{number}": number for number in range(300)}
    assert delivering(settings(collector)).deliver([record]).exported == 1
    assert len(collector.spans()[0].attributes) > 300
    assert delivering(settings(collector, attribute_length_limit=100, span_attribute_count_limit=200)).deliver([record]).exported == 1
    limited = collector.spans()[1]
    assert len(limited.attributes) == 200
    assert limited.dropped_attributes_count > 100
    assert all(len(value) <= 100 for value in attributes(limited.attributes).values() if isinstance(value, str))


def test_bad_values_in_the_environment_do_not_matter(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in {
        "OTEL_EXPORTER_OTLP_TIMEOUT": "soon",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "brotli",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere.pem",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "::::",
        "OTEL_RESOURCE_ATTRIBUTES": "===",
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "nonsense",
        "OTEL_ATTRIBUTE_COUNT_LIMIT": "many",
        "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER": "missing",
    }.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING):
        assert delivering(settings(collector)).deliver([llm_record()]).exported == 1
    # The SDK reads the resource's variables in threads of its own, so only the exporters are sure to be silent.
    lines = [entry.getMessage() for entry in caplog.records if not entry.name.startswith("opentelemetry.attributes")]
    assert all("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS" in line for line in lines)


def test_no_secret_of_the_endpoint_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracer.pipeline.outcomes.PATIENCE", 0)
    endpoint = f"http://me:sesame@127.0.0.1:{free_port()}/v1/traces?token=sesame"
    destination = delivering(Settings(otlp_traces_endpoint=endpoint, otlp_headers={"x-key": "sesame"}, otlp_timeout=0.2))
    with caplog.at_level(logging.DEBUG):
        destination.put([llm_record()])
        wait_until(lambda: bool(of_the_export(caplog)))
        destination.sender.close(5)
    assert "cannot be reached" in caplog.text
    assert "sesame" not in caplog.text


def test_nothing_is_imported_before_the_first_export() -> None:
    code = (
        "import sys\n"
        "from tracer.export.otlp import OtlpTransport\n"
        "from tracer.settings import Settings\n"
        "from tracer.cost import Prices\n"
        "OtlpTransport(Settings()); OtlpTransport(Settings(otlp_protocol='grpc')); Prices()\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('opentelemetry', 'requests', 'genai_prices', 'google', 'grpc')]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
