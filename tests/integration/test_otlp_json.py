"""OTLP over HTTP as JSON: the same spans as in protobuf, in the mapping of the OTLP specification and of the official encoder."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, cast

import orjson
import pytest

pytest.importorskip("opentelemetry.exporter.otlp.json", reason="needs opentelemetry-exporter-otlp-json-http, which newer versions have")

from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.integration.otlp_support import Collector, delivering, llm_record, serving, settings
from tracer.call import Attempt, Failure
from tracer.export.otlp_json import rejected_in
from tracer.export.readable import readable_spans
from tracer.export.spans import spans_of
from tracer.reading.record import Record
from tracer.settings import Settings


@pytest.fixture
def collector() -> Generator[Collector, None, None]:
    with serving(Collector()) as running:
        yield running


def failed_record() -> Record:
    record = llm_record(7, outcome="failed")
    record.call.failure = Failure("TimeoutError", "no answer")
    record.call.attempts = [Attempt(5_000_000_000, 6_000_000_000, status=503), Attempt(6_000_000_000, 7_000_000_000, status=503)]
    record.call.metadata = {"text": "frei für alle 😀", "many": list(range(3)), "half": 0.5, "nan": float("nan"), "big": 2**53 + 1}
    return record


def test_the_mapping_of_the_specification(collector: Collector) -> None:
    assert delivering(settings(collector, otlp_protocol="http/json")).deliver([failed_record()]).exported == 1
    ((path, headers, body),) = collector.requests
    assert (path, headers["content-type"]) == ("/v1/traces", "application/json")
    written = json.loads(body)
    span: dict[str, Any] = written["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert span["traceId"] == "0af7651916cd43dd8448eb211c80319c"
    assert span["spanId"] == "b7ad6b7169203338"
    assert span["parentSpanId"] == "00f067aa0ba902b7"
    assert span["kind"] == 3
    assert span["status"] == {"message": "no answer", "code": 2}
    assert span["startTimeUnixNano"] == "1795600000000000000"
    values = {pair["key"]: pair["value"] for pair in span["attributes"]}
    assert values["gen_ai.usage.input_tokens"] == {"intValue": "12"}
    assert values["tracer.metadata.big"] == {"intValue": str(2**53 + 1)}
    assert values["tracer.metadata.half"] == {"doubleValue": 0.5}
    assert values["app.flag"] == {"boolValue": True}
    assert values["tracer.tags"] == {"arrayValue": {"values": [{"stringValue": "beta"}, {"stringValue": "eu"}]}}
    assert values["tracer.metadata.text"] == {"stringValue": "frei für alle 😀"}
    assert span["events"][0]["name"] == "exception"


def test_the_spans_are_those_of_protobuf(collector: Collector) -> None:
    records = [llm_record(number) for number in range(3)] + [failed_record()]
    delivering(settings(collector, otlp_protocol="http/json")).deliver(records)
    as_json = collector.spans()
    collector.requests.clear()
    delivering(settings(collector)).deliver(records)
    assert as_json == collector.spans()
    assert len(as_json) == 6
    assert all(isinstance(span, Span) for span in as_json)


def test_the_official_encoder_writes_the_same(collector: Collector) -> None:
    record = failed_record()
    delivering(settings(collector, otlp_protocol="http/json")).deliver([record])
    readable = readable_spans(Settings())
    official = json.loads(encode_spans([readable(span) for span in spans_of(record, Settings())]).to_json())
    ours = json.loads(collector.requests[0][2])
    assert normal(ours["resourceSpans"][0]["scopeSpans"]) == normal(official["resourceSpans"][0]["scopeSpans"])


def normal(value: Any) -> Any:
    """Without what is the default, which may be written or left out."""
    if isinstance(value, dict):
        entries = {key: normal(item) for key, item in cast("dict[str, Any]", value).items()}
        return {key: item for key, item in entries.items() if item not in ("", 0, "0", [], {}) or key.endswith("Value")}
    return [normal(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
@pytest.mark.parametrize("protocol", ["http/json", "http/protobuf"])
def test_compression(collector: Collector, protocol: str, compression: str) -> None:
    chosen = settings(collector, otlp_protocol=protocol, otlp_compression=compression)
    assert delivering(chosen).deliver([llm_record(text="x" * 100_000)]).exported == 1
    (_, headers, _) = collector.requests[0]
    assert headers.get("content-encoding", "none") == compression
    assert (int(headers["content-length"]) < 10_000) is (compression != "none")
    assert len(collector.spans()) == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}', (1, "too old")),
        (b'{"partialSuccess":{"rejectedSpans":2}}', (2, "")),
        (b'{"partialSuccess":{"errorMessage":"a warning"}}', (0, "a warning")),
        (b'{"partialSuccess":null}', (0, "")),
        (b'{"partialSuccess":{"rejectedSpans":-1}}', (0, "")),
        (b'{"partialSuccess":{"rejectedSpans":"many"}}', (0, "")),
        (b"{}", (0, "")),
        (b"[]", (0, "")),
        (b"<html>", (0, "")),
        (b"", (0, "")),
    ],
)
def test_partial_success(body: bytes, expected: tuple[int, str]) -> None:
    assert rejected_in(body) == expected


def test_partial_success_is_counted(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    collector.body_out = orjson.dumps({"partialSuccess": {"rejectedSpans": "1", "errorMessage": "span too old"}})
    collector.headers_out = {"content-type": "application/json; charset=utf-8"}
    destination = delivering(settings(collector, otlp_protocol="http/json"))
    destination.deliver([llm_record(1), llm_record(2)])
    assert destination.outcome == (1, {"rejected": 1})
    assert "span too old" in caplog.text
