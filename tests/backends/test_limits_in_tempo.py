"""TRACER_LIMITS=tempo against a real Tempo with its default of 2,048 bytes an attribute: what it gives back is still JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.backends.programs import CONFIGS, environment, get, local, poll, program, running
from tests.support import closed_port

PROGRAM = """
import tracer
with tracer.trace("ask") as run:
    run.set_input({"text": "begin " + "é" * 3000 + " end"})
print(f"{run.trace_id}")
assert tracer.flush(30)
"""


@pytest.mark.parametrize("limits", ["tempo", "none"])
def test_what_tempo_keeps_is_valid_json(tmp_path: Path, limits: str) -> None:
    ports = [closed_port() for _ in range(3)]
    # With the defaults for what a sender may send.
    config = yaml.safe_load((CONFIGS / "tempo.yaml").read_text("utf-8"))
    del config["distributor"]["max_attribute_bytes"], config["overrides"]["defaults"]["global"]
    file = tmp_path / "tempo.yaml"
    file.write_text(yaml.safe_dump(config), "utf-8")
    url = f"http://{local(ports[0])}"
    places = {
        "TEMPO_HTTP_PORT": str(ports[0]),
        "TEMPO_INTERNAL_PORT": str(ports[1]),
        "TEMPO_OTLP_ADDRESS": local(ports[2]),
        "TEMPO_DATA": str(tmp_path / "data"),
    }
    arguments = [f"-config.file={file}", "-config.expand-env=true"]
    program("tempo")
    with running("tempo", arguments, tmp_path, f"{url}/ready", places):
        variables = environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{local(ports[2])}",
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            TRACER_LIMITS=limits,
            TRACER_QUIET="1",
        )
        ended = subprocess.run([sys.executable, "-c", PROGRAM], env=variables, capture_output=True, text=True, timeout=60, check=True)
        trace = poll(lambda: get(f"{url}/api/v2/traces/{ended.stdout.strip()}")["trace"].get("resourceSpans"))
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
