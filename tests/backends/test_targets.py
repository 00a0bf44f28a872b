"""Each file of `collector-config/targets/`, run behind the collector: what comes out where it sends to."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.backends.gateway_support import receiver
from tests.backends.programs import Ports, collector, environment, free_port, get, local, poll, program
from tests.support import running_server
from tools.stack import backends

PROGRAM = """
import json, tracer
from tests.integration.metrics_support import mix
from tracer.replay.server import ReplayServer
with ReplayServer() as server:
    print(mix(server))
assert tracer.flush(30)
"""

Request = tuple[str, dict[str, str], bytes]


@contextmanager
def endpoint() -> Generator[tuple[str, list[Request]], None, None]:
    """A loopback HTTP endpoint that takes everything."""
    requests: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with running_server(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url, requests


@contextmanager
def behind(folder: Path, *targets: str, **variables: str) -> Generator[str, None, None]:
    """`local.yaml` with these targets, whose own three backends are not there; gives where OTLP goes in."""
    nowhere = local(free_port())
    http = local(free_port())
    with collector(
        ["local.yaml", *(f"targets/{target}" for target in targets)],
        folder,
        {
            "JAEGER_ADDRESS": nowhere,
            "TEMPO_ADDRESS": nowhere,
            "PROMETHEUS_URL": f"http://{nowhere}",
            "OTLP_HTTP_ADDRESS": http,
            "OTLP_GRPC_ADDRESS": local(free_port()),
            **variables,
        },
    ):
        yield f"http://{http}"


def run(code: str, otlp: str, service: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=otlp, OTEL_SERVICE_NAME=service, TRACER_QUIET="true", **variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_langsmith_gets_the_spans_with_its_headers(tmp_path: Path) -> None:
    """And the three targets of local.yaml, all down, hold nothing up."""
    with (
        endpoint() as (url, requests),
        behind(tmp_path, "langsmith.yaml", LANGSMITH_ENDPOINT=url, LANGSMITH_API_KEY="the-key", LANGSMITH_PROJECT="shop") as otlp,
    ):
        run(f"{LEAK}\n", otlp, "shop", TRACER_MASK="off")
        path, headers, body = poll(lambda: requests)[0]
    assert path == "/otel/v1/traces"
    assert (headers["x-api-key"], headers["langsmith-project"]) == ("the-key", "shop")
    (span,) = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
    assert span.name == "call"
    assert b"sk-proj-" not in body


LEAK = """
import tracer
with tracer.trace("call", kind="llm") as run:
    run.set_input({"text": "sk-proj-" + "a1B2" * 8})
assert tracer.flush(30)
"""

LOGS = """
import logging
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry._logs import LogRecord
provider = LoggerProvider()
provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter()))
secret = "sk-proj-" + "a1B2" * 8
provider.get_logger("tests").emit(LogRecord(
    event_name="gen_ai.client.inference.operation.details", body="it has " + secret, severity_number=SeverityNumber.INFO,
    attributes={"gen_ai.input.messages": "frei für alle " + secret}))
provider.shutdown()
"""


def test_loki_gets_the_events_masked(tmp_path: Path) -> None:
    with endpoint() as (url, requests), behind(tmp_path, "loki.yaml", LOKI_URL=url) as otlp:
        run(LOGS, otlp, "shop")
        path, _, body = poll(lambda: requests)[0]
    assert path == "/otlp/v1/logs"
    assert "frei für alle ****".encode() in body
    assert b"it has ****" in body
    assert b"sk-proj-" not in body


def test_without_a_target_for_them_events_are_refused_at_the_door(tmp_path: Path) -> None:
    with behind(tmp_path) as otlp:
        done = subprocess.run(
            [sys.executable, "-c", LOGS],
            env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=otlp),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert "404" in done.stderr


def test_a_killed_local_collector_loses_nothing_that_it_had_accepted(tmp_path: Path) -> None:
    """Its targets were all down; then Tempo comes."""
    port = free_port()
    http = local(free_port())
    places = {
        "JAEGER_ADDRESS": local(free_port()),
        "TEMPO_ADDRESS": local(port),
        "PROMETHEUS_URL": f"http://{local(free_port())}",
        "OTLP_HTTP_ADDRESS": http,
        "OTLP_GRPC_ADDRESS": local(free_port()),
    }
    with collector(["local.yaml"], tmp_path, places) as running:
        run(FIFTY, f"http://{http}", "shop")
        running.kill()
    with receiver(port) as behind, collector(["local.yaml"], tmp_path, places):
        poll(lambda: {span.name for span in behind.spans()} >= {f"call {number}" for number in range(50)})


FIFTY = """
import tracer
for number in range(50):
    with tracer.trace(f"call {number}", kind="llm") as run:
        run.set_input({"text": "x" * 5000})
assert tracer.flush(30)
assert tracer.status()["destinations"]["otlp"]["exported"] == 50
"""


def value(prometheus: str, query: str) -> float:
    found = poll(lambda: get(f"{prometheus}/api/v1/query?query={quote(query)}")["data"]["result"])
    return float(found[0]["value"][1])


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_remote_write_has_every_count(tmp_path: Path, temporality: str) -> None:
    """As Mimir, Thanos and VictoriaMetrics take it; delta temporality is added up by the collector."""
    program("prometheus")
    port = free_port()
    with (
        backends.prometheus(tmp_path, port, "--web.enable-remote-write-receiver"),
        behind(tmp_path, "prometheus-remote-write.yaml", REMOTE_WRITE_URL=f"http://{local(port)}/api/v1/write") as otlp,
    ):
        spans = run(
            PROGRAM,
            otlp,
            "shop",
            TRACER_METRICS="v1.41",
            TRACER_EXIT_TIMEOUT="30",
            OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=temporality,
        )
        query = 'sum(tracer_calls_total{service_name="shop"})'
        poll(lambda: value(f"http://{local(port)}", query) == float(spans))
        assert value(f"http://{local(port)}", 'sum(gen_ai_client_token_usage_sum{service_name="shop"})') > 0


def test_jaeger_tempo_and_prometheus_each_by_its_file(tmp_path: Path) -> None:
    """Behind an agent's sibling: the gateway's files, with the real programs."""
    for name in ("otelcol", *backends.PROGRAMS):
        program(name)
    ports = Ports.free()
    prometheus = f"http://{local(ports.prometheus)}"
    with ExitStack() as stopping:
        start = stopping.enter_context
        start(backends.jaeger(tmp_path, ports))
        start(backends.tempo(tmp_path, ports))
        start(backends.prometheus(tmp_path, ports.prometheus))
        otlp = _entrance(tmp_path, ports, prometheus, stopping)
        trace_id = run(ONE, otlp, "shop", TRACER_METRICS="v1.41", TRACER_EXIT_TIMEOUT="30")
        poll(lambda: get(f"http://{local(ports.jaeger_http)}/api/v3/traces/{trace_id}")["result"]["resourceSpans"])
        poll(lambda: get(f"http://{local(ports.tempo_http)}/api/v2/traces/{trace_id}")["trace"].get("resourceSpans"))
        assert value(prometheus, 'sum(tracer_calls_total{service_name="shop"})') == 1


ONE = """
import tracer
with tracer.trace("call", kind="llm") as run:
    print(run.trace_id)
assert tracer.flush(30)
"""


def _entrance(folder: Path, ports: Ports, prometheus: str, stopping: ExitStack) -> str:
    """An agent whose gateway is not there, with three targets of its own."""
    http = local(free_port())
    variables: dict[str, Any] = {
        "OTLP_HTTP_ADDRESS": http,
        "OTLP_GRPC_ADDRESS": local(free_port()),
        "GATEWAY_ADDRESS": local(free_port()),
        "GATEWAY_TOKEN": "none",
        "JAEGER_ADDRESS": local(ports.jaeger_otlp),
        "TEMPO_ADDRESS": local(ports.tempo_otlp),
        "PROMETHEUS_URL": prometheus,
    }
    files = ["agent.yaml", "targets/jaeger.yaml", "targets/tempo.yaml", "targets/prometheus.yaml"]
    stopping.enter_context(collector(files, folder, variables))
    return f"http://{http}"
