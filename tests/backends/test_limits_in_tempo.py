"""TRACER_LIMITS=tempo against a real Tempo with its default of 2,048 bytes an attribute: what it gives back is still JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends.programs import Ports, environment, get, local, poll, tempo_by_its_own_limits

PROGRAM = """
import tracer
with tracer.trace("ask") as run:
    run.set_input({"text": "begin " + "é" * 3000 + " end"})
print(f"{run.trace_id}")
assert tracer.flush(30)
"""


@pytest.mark.parametrize("limits", ["tempo", "none"])
def test_what_tempo_keeps_is_valid_json(tmp_path: Path, limits: str) -> None:
    ports = Ports.free()
    with tempo_by_its_own_limits(tmp_path, ports):
        variables = environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{local(ports.tempo_otlp)}",
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            TRACER_LIMITS=limits,
            TRACER_QUIET="1",
        )
        ended = subprocess.run([sys.executable, "-c", PROGRAM], env=variables, capture_output=True, text=True, timeout=60, check=True)
        trace = poll(lambda: get(f"http://{local(ports.tempo_http)}/api/v2/traces/{ended.stdout.strip()}")["trace"].get("resourceSpans"))
    (span,) = [span for resource in trace for scope in resource["scopeSpans"] for span in scope["spans"]]
    found = {pair["key"]: pair["value"] for pair in span["attributes"]}
    shown = found["input.value"]["stringValue"]
    if limits == "none":
        with pytest.raises(json.JSONDecodeError):
            json.loads(shown)
        return
    assert len(shown.encode()) <= 2048
    kept = json.loads(shown)["text"]
    assert (kept[:6], kept[-4:]) == ("begin ", " end")
    assert found["tracer.content.truncated"] == {"boolValue": True}
    assert int(found["tracer.content.bytes"]["intValue"]) > 6000
    assert len(found["tracer.content.sha256"]["stringValue"]) == 64
