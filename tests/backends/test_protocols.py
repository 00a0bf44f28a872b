"""Every protocol to the real collector, and the trace back from real Jaeger."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.backends.programs import Stack, environment, get, poll

PROGRAM = """
import json, tracer
with tracer.trace("answer question", kind="chain") as run:
    run.set_input({"text": "frei für alle 😀" + "x" * 100_000})
    for number in range(40):
        with tracer.trace(f"step {number}", kind="tool"):
            pass
    print(run.trace_id)
assert tracer.flush(30)
account = tracer.status()["destinations"]["otlp"]
print(json.dumps([account["exported"], account["dropped"]]))
"""


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["grpc", "http/json", "http/protobuf"])
def test_a_trace_arrives_whole(stack: Stack, protocol: str, compression: str) -> None:
    endpoint = f"http://{stack.otlp_grpc}" if protocol == "grpc" else stack.otlp
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_EXPORTER_OTLP_COMPRESSION=compression,
            OTEL_SERVICE_NAME="protocols",
            TRACER_QUIET="true",
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    trace_id, account = done.stdout.splitlines()
    assert account == "[41, {}]"

    def found() -> list[dict[str, str]] | None:
        resources = get(f"{stack.jaeger}/api/v3/traces/{trace_id}")["result"]["resourceSpans"]
        spans = [span for resource in resources for scope in resource["scopeSpans"] for span in scope["spans"]]
        return spans if len(spans) == 41 else None

    spans = {span["name"]: span for span in poll(found)}
    root = spans.pop("answer question")
    assert {span["parentSpanId"] for span in spans.values()} == {root["spanId"]}
    (text,) = [pair["value"]["stringValue"] for pair in root["attributes"] if pair["key"] == "input.value"]
    assert "frei für alle 😀" in text
    assert len(text) > 100_000
