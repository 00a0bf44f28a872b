"""Input that would hurt: a label with ten thousand values, and a collector that is away while the application works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.backends.gateway_support import agent, receiver
from tests.backends.programs import Stack, environment, free_port, get, local, poll
from tests.integration.grpc_support import Files
from tests.support import start_program

VALUES = 10_000
OF_THE_LIBRARY, OF_THE_COLLECTOR = 1000, 2000

MANY = f"""
import tracer
for number in range({VALUES}):
    with tracer.trace(f"tool {{number}}", kind="tool"):
        pass
    if number % 500 == 0:
        assert tracer.flush(60)
assert tracer.flush(60)
print(tracer.status()["destinations"]["otlp"]["exported"])
"""


def ask(stack: Stack, query: str) -> dict[str, float]:
    """The values by `otel_metric_overflow`."""
    found: list[Any] = get(f"{stack.prometheus}/api/v1/query?query={quote(query)}")["data"]["result"]
    return {row["metric"].get("otel_metric_overflow", ""): float(row["value"][1]) for row in found}


def test_ten_thousand_values_of_a_label_stay_within_the_bounds_and_none_is_lost(stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY],
        env=environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=stack.otlp,
            OTEL_SERVICE_NAME="many",
            TRACER_METRICS="v1.41",
            TRACER_QUIET="true",
            TRACER_EXIT_TIMEOUT="30",
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{VALUES}\n", "")
    ours = 'gen_ai_execute_tool_duration_seconds_count{service_name="many"}'
    poll(lambda: sum(ask(stack, f"sum by (otel_metric_overflow) ({ours})").values()) == VALUES)
    assert sum(ask(stack, f"count({ours})").values()) <= OF_THE_LIBRARY + 1
    assert ask(stack, f"sum by (otel_metric_overflow) ({ours})")["true"] >= VALUES - OF_THE_LIBRARY
    assert ask(stack, 'sum(tracer_metrics_overflows_total{service_name="many"})')[""] >= VALUES - OF_THE_LIBRARY
    collectors = 'traces_span_metrics_calls_total{service_name="many"}'
    poll(lambda: sum(ask(stack, f"sum by (otel_metric_overflow) ({collectors})").values()) == VALUES)
    assert sum(ask(stack, f"count({collectors})").values()) <= OF_THE_COLLECTOR + 1
    assert ask(stack, f"sum by (otel_metric_overflow) ({collectors})")["true"] >= VALUES - OF_THE_COLLECTOR


WHILE_AWAY = """
import json, sys, tracer
def call(number):
    with tracer.trace(f"call {number}", kind="llm"):
        pass
call(0)
assert tracer.flush(30)
print("sent", flush=True)
input()
for number in range(1, 200):
    call(number)
print(tracer.flush(0.5), flush=True)
input()
print(tracer.flush(60))
print(json.dumps(tracer.status()["destinations"]["otlp"]))
"""


def test_a_collector_killed_and_started_again_gets_everything(tmp_path: Path, files: Files) -> None:
    address = local(free_port())
    with receiver(files=files) as behind:
        with agent(tmp_path, behind.target, files, OTLP_HTTP_ADDRESS=address) as running:
            application = start_program(WHILE_AWAY, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{address}", TRACER_QUIET="true")
            assert application.stdout is not None
            assert application.stdin is not None
            assert application.stdout.readline() == "sent\n"
            running.process.kill()
        application.stdin.write("\n")
        application.stdin.flush()
        assert application.stdout.readline() == "False\n"
        with agent(tmp_path, behind.target, files, OTLP_HTTP_ADDRESS=address):
            out, err = application.communicate("\n", timeout=120)
            poll(lambda: {span.name for span in behind.spans()} >= {f"call {number}" for number in range(200)})
    flushed, account = out.splitlines()
    assert flushed == "True"
    assert (json.loads(account)["exported"], json.loads(account)["dropped"]) == (200, {})
    assert application.returncode == 0
    assert len(err.splitlines()) <= 2
