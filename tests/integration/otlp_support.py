"""Loopback OTLP endpoints, records to send there, and what arrived, by the official protobuf classes."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import socket
import ssl
import threading
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support import Delivering, running_server
from tracer.call import Attempt, Call
from tracer.export.otlp import OtlpTransport
from tracer.reading.generation import Cost, Generation, Message, Usage
from tracer.reading.record import Clocks, Record
from tracer.settings import Settings

SECOND = 1_000_000_000
WALL = 1_795_600_000 * SECOND
TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
SPAN_ID = 0xB7AD6B7169203331
PARENT_ID = 0x00F067AA0BA902B7


@dataclass
class Collector:
    """A loopback endpoint that keeps what it got, what it refuses as too large apart.

    `answers` are statuses for the first requests, `status` answers the others, `hang` never does.
    """

    url: str = ""
    status: int = 200
    headers_out: dict[str, str] = field(default_factory=dict[str, str])
    body_out: bytes = b""
    hang: threading.Event | None = None
    port: int = 0
    answers: list[int] = field(default_factory=list[int])
    most_bytes: int = 0
    tls: ssl.SSLContext | None = None
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list[tuple[str, dict[str, str], bytes]])

    def decoded(self) -> list[ExportTraceServiceRequest]:
        return [
            request_of_json(body) if headers["content-type"] == "application/json" else ExportTraceServiceRequest.FromString(body)
            for _, headers, body in list(self.requests)
        ]

    def spans(self) -> list[Span]:
        return spans_in(self.decoded())


def spans_in(requests: Sequence[ExportTraceServiceRequest]) -> list[Span]:
    return [span for request in requests for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


def request_of_json(body: bytes) -> ExportTraceServiceRequest:
    """OTLP's JSON, read with protobuf's own, in which ids are base64."""
    written = json.loads(body)
    for resource in written["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return json_format.ParseDict(written, ExportTraceServiceRequest())


_UNPACK = {"gzip": gzip.decompress, "deflate": zlib.decompress}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the request's own thread, and close what comes of it."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as encrypted:
            super().finish_request(encrypted, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Failed handshakes are what tests are about."""


@contextmanager
def serving(collector: Collector) -> Generator[Collector, None, None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            body = _UNPACK.get(self.headers.get("content-encoding", ""), bytes)(body)
            if collector.most_bytes and len(body) > collector.most_bytes:
                self.send_response(413)
                self.send_header("content-length", "0")
                self.end_headers()
                return
            collector.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
            if collector.hang is not None:
                collector.hang.wait(30)
                return
            self.send_response(collector.answers.pop(0) if collector.answers else collector.status)
            for key, value in collector.headers_out.items():
                self.send_header(key, value)
            self.send_header("content-length", str(len(collector.body_out)))
            self.end_headers()
            self.wfile.write(collector.body_out)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = _Server(("127.0.0.1", collector.port), Handler)
    server.tls = collector.tls
    with running_server(server) as address:
        collector.url = address if collector.tls is None else address.replace("http", "https", 1)
        try:
            yield collector
        finally:
            if collector.hang is not None:
                collector.hang.set()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def llm_record(number: int = 0, text: str = "hi", outcome: str = "completed") -> Record:
    call = Call(
        run_id=0x0192E4F0_0000_7000_8000_000000000000 + number,
        trace_id=TRACE_ID,
        span_id=SPAN_ID + number,
        parent_span_id=PARENT_ID,
        parent_is_remote=True,
        kind="llm",
        operation="chat",
        library="openai",
        server_host="api.openai.com",
        server_port=443,
        streaming=True,
        stream_clock=[0, 1],
        started_wall=WALL,
        started=5 * SECOND,
        ended=7 * SECOND,
        attempts=[Attempt(5 * SECOND, 7 * SECOND, status=200)],
        session="s1",
        user="u7",
        tags=("beta", "eu"),
        metadata={"team": "search", "limit": 3},
        attributes={"app.flag": True, "tracer.outcome": "forged"},
    )
    generation = Generation(
        request_model="gpt-4o",
        response_model="gpt-4o-2024-08-06",
        response_id="chatcmpl-1",
        parameters={"temperature": 0, "max_tokens": 100, "stop_sequences": ["END"]},
        api_type="chat_completions",
        system_fingerprint="fp_1",
        input_messages=[Message("user", [{"type": "text", "content": text}])],
        output_messages=[Message("assistant", [{"type": "text", "content": "hello"}], finish_reason="stop")],
        finish_reasons=["stop"],
        usage=Usage(input=12, output=3, cache_read=8),
        cost=Cost(0.00018, 0.00012, 0.00006, "USD", "test"),
    )
    return Record(call, outcome, generation, Clocks(time_to_first_chunk=0.4, longest_gap=0.1, chunks=2))


def value_of(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    assert kind is not None
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    found: object = getattr(value, kind)
    return found


def attributes(pairs: object) -> dict[str, object]:
    found: dict[str, object] = {}
    for pair in pairs:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        assert isinstance(pair, KeyValue)
        assert pair.key not in found
        found[pair.key] = value_of(pair.value)
    return found


def settings(collector: Collector, **values: object) -> Settings:
    return Settings(otlp_endpoint=collector.url, **values)  # pyright: ignore[reportArgumentType]


def delivering(chosen: Settings) -> Delivering:
    return Delivering(OtlpTransport(chosen))


def of_the_export(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was logged about an export: by us, the official exporter or the HTTP library. Loops of other tests may log meanwhile."""
    return [entry for entry in caplog.records if entry.name.startswith(("tracer", "opentelemetry", "requests", "urllib3"))]
