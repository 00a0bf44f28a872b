"""`make sizing`: what a span costs in each hop, measured with the real programs; the figures of docs/sizing.md.

    python -m tools.stack.sizing [--spans 20000] [--bytes 4000]

A program makes calls as the library records them, with a prompt of `--bytes` each, and sends them through `local.yaml` to Jaeger, Tempo and
Prometheus. Compared is what each process has used before and after.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.stack.backends import Stack, whole_stack
from tools.stack.processes import ROOT, MissingProgramError, get, poll

PROGRAM = """
import json, random, resource, sys, time
spans, size = int(sys.argv[1]), int(sys.argv[2])
chance = random.Random(7)
known = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(3000)]
import tracer
with tracer.trace("first", kind="chain"):
    pass
tracer.flush(30)

def seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

caller = 0.0
made = 0.0
began = seconds()
for number in range(spans):
    # Compresses about as texts of a language do.
    making = time.thread_time()
    words = " ".join(chance.choices(known, k=size // 5))[:size]
    start = time.thread_time()
    made += start - making
    with tracer.trace("answer question", kind="llm") as run:
        run.set_input({"text": f"{number} {words}"})
    caller += time.thread_time() - start
    if number % 500 == 499:
        tracer.flush(60)
tracer.flush(60)
used = seconds() - began - made
account = tracer.status()["destinations"].get("otlp", {})
print(json.dumps({"caller": caller, "process": used, "exported": account.get("exported"), "dropped": account.get("dropped")}))
"""

TICKS = os.sysconf("SC_CLK_TCK")
QUIET_SECONDS = 3.0
"""A process is done when it has used next to nothing for so long."""


@dataclass(slots=True)
class Usage:
    """Of a process: CPU seconds so far, resident bytes, bytes on its disk."""

    cpu: float
    memory: int
    disk: int


def usage(pid: int, folder: Path | None) -> Usage:
    """From /proc, and the sizes of the files below `folder`."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    disk = sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) if folder else 0
    return Usage((int(fields[11]) + int(fields[12])) / TICKS, memory, disk)


def folders(place: Path) -> dict[str, Path | None]:
    """Where each keeps its data."""
    return {
        "otelcol": place / "collector-queue",
        "jaeger": None,
        "tempo": place / "tempo-data",
        "prometheus": place / "prometheus-data",
    }


def measure(place: Path, spans: int, size: int) -> dict[str, object]:
    """One run; times in microseconds and sizes in bytes for each span."""
    with whole_stack(place, environment={"SPAN_METRICS_INTERVAL": "1s"}) as stack:
        _send(stack, 1000, size)  # Whatever comes up once.
        _wait_until_quiet(stack)
        before = {name: usage(running.process.pid, folders(place)[name]) for name, running in stack.processes.items()}
        told = _send(stack, spans, size)
        _wait_until_arrived(stack, spans + 1000)
        _wait_until_quiet(stack)
        after = {name: usage(running.process.pid, folders(place)[name]) for name, running in stack.processes.items()}
    rows: dict[str, object] = {
        "spans": spans,
        "bytes of prompt": size,
        "library, in the caller's thread, us": round(told["caller"] / spans * 1e6, 1),
        "library, all threads, us": round(told["process"] / spans * 1e6, 1),
    }
    for name, usages in after.items():
        rows[f"{name}, CPU, us"] = round((usages.cpu - before[name].cpu) / spans * 1e6, 1)
        rows[f"{name}, memory at the end, MB"] = round(usages.memory / 1e6)
        rows[f"{name}, memory grown, bytes"] = round((usages.memory - before[name].memory) / spans)
        rows[f"{name}, disk, bytes"] = round((usages.disk - before[name].disk) / spans)
    return rows


def _send(stack: Stack, spans: int, size: int) -> dict[str, float]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TRACER_", "OTEL_", "LANGSMITH_", "LANGCHAIN_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(spans), str(size)],
        env={
            **clean,
            "PYTHONPATH": str(ROOT),
            "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp,
            "OTEL_SERVICE_NAME": "sizing",
            "TRACER_METRICS": "v1.41",
            "TRACER_QUIET": "true",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    if told["exported"] != spans + 1 or told["dropped"]:
        raise SystemExit(f"not all arrived: {done.stdout}{done.stderr}")
    return told


def _wait_until_arrived(stack: Stack, spans: int) -> None:
    query = "sum(traces_span_metrics_calls_total)"

    def counted() -> bool:
        found = get(f"{stack.prometheus}/api/v1/query?query={query}")["data"]["result"]
        return bool(found) and float(found[0]["value"][1]) >= spans

    poll(counted, 120)


def _wait_until_quiet(stack: Stack) -> None:
    """Until none of them works: blocks are written, queues empty; at most two minutes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        before = sum(usage(running.process.pid, None).cpu for running in stack.processes.values())
        time.sleep(QUIET_SECONDS)
        after = sum(usage(running.process.pid, None).cpu for running in stack.processes.values())
        if after - before < 0.1 * QUIET_SECONDS:
            return


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a line of JSON for each size."""
    parser = argparse.ArgumentParser(description="What a span costs in each hop.")
    parser.add_argument("--spans", type=int, default=20_000, help="how many are sent (20000)")
    parser.add_argument("--bytes", type=int, nargs="+", default=[1_000, 10_000], help="of prompt in each span (1000 10000)")
    options = parser.parse_args(arguments)
    try:
        for size in options.bytes:
            with tempfile.TemporaryDirectory(prefix="tracer-sizing-", ignore_cleanup_errors=True) as place:
                print(json.dumps(measure(Path(place), options.spans, size), indent=2), flush=True)
    except MissingProgramError as missing:
        print(f"Nothing to measure: {missing}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
