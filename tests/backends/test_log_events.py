"""Events through a real collector: each model call's log record arrives, linked to its span, prompt and answer as structures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.backends.programs import environment, local, poll, running
from tests.support import closed_port

CONFIG = """
receivers:
  otlp:
    protocols:
      http: {{endpoint: {http}}}
      grpc: {{endpoint: {grpc}}}
exporters:
  file/logs: {{path: {folder}/logs.jsonl, flush_interval: 100ms}}
  file/traces: {{path: {folder}/traces.jsonl, flush_interval: 100ms}}
extensions:
  health_check: {{endpoint: {health}}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [file/logs]}}
    traces: {{receivers: [otlp], exporters: [file/traces]}}
"""
PROGRAM = """
import json, openai, tracer
from tracer.replay.server import ReplayServer
from tracer.replay.recordings import load
from tracer.replay.sdk import call_arguments, client_arguments
with ReplayServer() as server:
    for recording in [item for item in load() if item.api == "chat" and not item.azure and item.status < 400][:6]:
        client = tracer.wrap(openai.OpenAI(**client_arguments(server, recording)))
        answer = client.chat.completions.create(**call_arguments(recording, client.chat.completions.create))
        if hasattr(answer, "__next__"):
            for piece in answer: pass
assert tracer.flush(30)
accounts = tracer.status()["destinations"]
print(json.dumps([accounts[name]["exported"] for name in ("otlp", "otlp-logs")]))
"""


def entries(file: Path, *path: str) -> list[dict[str, Any]]:
    """What the file exporter wrote, down the path of lists."""
    found: list[dict[str, Any]] = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    for name in path:
        found = [item for holder in found for item in holder.get(name, [])]
    return found


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_events_arrive_linked_to_their_spans(tmp_path: Path, protocol: str) -> None:
    http, grpc, health = (local(closed_port()) for _ in range(3))
    config = tmp_path / "collector.yaml"
    config.write_text(CONFIG.format(http=http, grpc=grpc, health=health, folder=tmp_path), "utf-8")
    with running("otelcol", ["--config", str(config)], tmp_path, f"http://{health}"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment(
                OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{grpc if protocol == 'grpc' else http}",
                OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
                OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="EVENT_ONLY",
                TRACER_QUIET="true",
            ),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "[6, 6]\n")

        def arrived() -> tuple[list[dict[str, Any]], list[dict[str, Any]]] | None:
            logs = entries(tmp_path / "logs.jsonl", "resourceLogs", "scopeLogs", "logRecords")
            spans = entries(tmp_path / "traces.jsonl", "resourceSpans", "scopeSpans", "spans")
            return (logs, spans) if len(logs) == len(spans) == 6 else None

        logs, spans = poll(arrived)
    assert {(log["traceId"], log["spanId"]) for log in logs} == {(span["traceId"], span["spanId"]) for span in spans}
    for log in logs:
        assert (log["eventName"], log["severityText"]) == ("gen_ai.client.inference.operation.details", "DEBUG")
        told = {pair["key"]: pair["value"] for pair in log["attributes"]}
        assert told["gen_ai.input.messages"]["arrayValue"]["values"][0]["kvlistValue"]["values"][0]["key"] == "role"
        assert told["gen_ai.operation.name"] == {"stringValue": "chat"}
    on_spans = {pair["key"] for span in spans for pair in span["attributes"]}
    assert {"gen_ai.input.messages", "gen_ai.output.messages"} & on_spans == set()
