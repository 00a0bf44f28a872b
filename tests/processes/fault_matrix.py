"""Faults of a backend, crossed with ways a process ends: real processes against a loopback OTLP endpoint. `make faults` writes the table.

python -m tests.processes.fault_matrix docs/reliability.md
"""

from __future__ import annotations

import json
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from tests.support import PATIENCE, ROOT, Ended, clean_environment, closed_port, run_program

RECORDS = 1000
EXIT_TIMEOUT = 2.0
OVERHEAD = 15.0
"""Seconds that a busy machine may need beside that: Python's start, imports, its end."""

STATUSES = (400, 401, 413, 429, 500, 502, 503)
GONE = ("refuses", "hangs", "resets", "429", "500", "502", "503")
"""Faults that pass: nothing is lost through them where there is a spool."""

PROGRAM = """
import json, os, resource, signal, sys, time
import tracer

def account():
    return tracer.status()["destinations"]["otlp"]

def tell():
    status = tracer.status()
    at = status["destinations"]["otlp"]
    closes = status["started"] == status["open"] + sum(
        (at["queued"], at["exported"], at["sampled_out"], at.get("spooled", 0), *at["dropped"].values())
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"account": at, "closes": closes, "best": best, "peak": peak}), flush=True)

best = 1e9
with tracer.trace("first"):
    pass
for block in range(RECORDS // 50):
    begun = time.perf_counter()
    for number in range(50 - (block == 0)):
        with tracer.trace("a"):
            pass
    best = min(best, time.perf_counter() - begun)
END
"""
ENDS = {
    "exit": "tracer.shutdown(float(os.environ['TRACER_EXIT_TIMEOUT'])); tell()",
    "SIGTERM": "print('{}'); sys.stdout.flush(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
    "kill -9": """
deadline = time.monotonic() + 30
while account()["queued"] and time.monotonic() < deadline:
    time.sleep(0.01)
tell(); os.kill(os.getpid(), 9)
""",
    "fork": """
child = os.fork()
if child == 0:
    with tracer.trace("in the child"):
        pass
    sys.exit(0)
os.waitpid(child, 0)
tracer.shutdown(20); tell()
""",
}


@dataclass
class Backend:
    """An OTLP endpoint with a fault, and how often each span has arrived."""

    fault: str = ""
    url: str = ""
    arrived: Counter[bytes] = field(default_factory=Counter[bytes])
    release: threading.Event = field(default_factory=threading.Event)
    serve: Callable[[], None] = lambda: None

    def mend(self) -> None:
        """Work from now on."""
        self.fault = ""
        self.release.set()
        self.serve()

    def take(self, body: bytes) -> None:
        """Count spans."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.arrived.update(span.span_id for span in scope.spans)


class Handler(BaseHTTPRequestHandler):
    """Answers as the fault of its backend says."""

    state: Backend

    def do_POST(self) -> None:
        """Spans."""
        fault = self.state.fault
        body = self.rfile.read(int(self.headers["content-length"]))
        if fault == "resets":
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if fault == "hangs":
            self.state.release.wait(PATIENCE)
            self.close_connection = True
            return
        if fault == "slow":
            self.state.release.wait(0.3)
        answer = b"\\xff\\xff{" if fault == "garbage" else b""
        if fault == "partial success":
            response = ExportTraceServiceResponse()
            response.partial_success.rejected_spans = 1
            response.partial_success.error_message = "one too many"
            answer = response.SerializeToString()
        status = int(fault) if fault.isdigit() else 200
        if status == 200:
            self.state.take(body)
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class Quiet(ThreadingHTTPServer):
    """Takes no notice of clients that have gone."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """No error."""


@contextmanager
def backend(fault: str) -> Generator[Backend, None, None]:
    """Serve on loopback."""
    state = Backend(fault)

    servers: list[ThreadingHTTPServer] = []

    def serve() -> None:
        if not servers:
            servers.append(Quiet(("127.0.0.1", port), type("Bound", (Handler,), {"state": state})))
            threading.Thread(target=servers[0].serve_forever, args=(0.02,), daemon=True).start()

    port = closed_port()
    state.url = f"http://127.0.0.1:{port}"
    state.serve = serve
    if fault != "refuses":
        serve()
    try:
        yield state
    finally:
        state.release.set()
        for server in servers:
            server.shutdown()
            server.server_close()


@dataclass(frozen=True, slots=True)
class Row:
    """One cell of the matrix and its promise."""

    fault: str
    end: str
    spool: bool
    promise: str

    @property
    def name(self) -> str:
        """For tests and the table."""
        return f"{self.fault}, {self.end}, {'spool' if self.spool else 'no spool'}"


ALL_ONCE = "all arrive, each once"
NEXT = "all arrive by the next process, each once"
COUNTED = "counted as lost and said in a line"
PARTLY = "what was rejected is counted, the rest arrives once"


def rows() -> list[Row]:
    """The matrix."""
    found = [Row("none", end, spool, ALL_ONCE) for end in ("exit", "SIGTERM", "fork") for spool in (False, True)]
    found += [Row(fault, "exit", spool, ALL_ONCE) for fault in ("slow", "garbage") for spool in (False, True)]
    # With a spool nobody waits at the end for an endpoint that is in trouble.
    found += [Row("comes back", "exit", False, ALL_ONCE), Row("comes back", "exit", True, NEXT)]
    found += [Row("partial success", "exit", spool, PARTLY) for spool in (False, True)]
    for fault in (*GONE, "401"):
        found += [Row(fault, "exit", False, COUNTED), Row(fault, "exit", True, NEXT), Row(fault, "kill -9", True, NEXT)]
        found.append(Row(fault, "SIGTERM", True, NEXT))
    found += [Row(fault, "exit", spool, COUNTED) for fault in ("400", "413") for spool in (False, True)]
    return found


@dataclass(slots=True)
class Measured:
    """What a row gave. `broken` are the promises that it did not keep."""

    row: Row
    seconds: float
    arrived: int
    twice: int
    lost: int
    micros: float = 0.0
    peak: float = 0.0
    broken: list[str] = field(default_factory=list[str])


def measure(row: Row) -> Measured:
    """Run the row's processes."""
    with (
        backend("" if row.fault == "none" else ("503" if row.fault == "comes back" else row.fault)) as state,
        tempfile.TemporaryDirectory() as spool,
    ):
        patient = row.fault in ("none", "slow", "garbage", "partial success", "comes back")
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": state.url,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "5",
            "TRACER_QUIET": "1",
            "TRACER_SIGTERM": "flush",
            "TRACER_EXIT_TIMEOUT": str(20 if patient else EXIT_TIMEOUT),
            **({"TRACER_SPOOL": spool} if row.spool else {}),
        }
        if row.fault == "comes back":
            threading.Timer(3, state.mend).start()
        code = PROGRAM.replace("RECORDS", str(RECORDS)).replace("END", ENDS[row.end])
        ended = run_program(code, **variables)
        told: dict[str, Any] = json.loads(ended.out.splitlines()[-1]) if ended.out.strip() else {}
        if row.promise == NEXT:
            state.mend()
            flush(variables)
        return judged(row, state, ended, told, patient)


def flush(variables: dict[str, str]) -> None:
    """The next process."""
    command = [sys.executable, "-m", "tracer", "flush", "--timeout", "40"]
    subprocess.run(command, env={**clean_environment(), **variables}, cwd=ROOT, capture_output=True, timeout=90, check=False)


def judged(row: Row, state: Backend, ended: Ended, told: dict[str, Any], patient: bool) -> Measured:
    """Compare with the promise."""
    expected = RECORDS + (row.end == "fork")
    account: dict[str, Any] = told.get("account", {})
    lost = sum(account.get("dropped", {}).values())
    twice = sum(count - 1 for count in state.arrived.values())
    result = Measured(row, ended.seconds, len(state.arrived), twice, lost)
    result.micros = float(told.get("best", 0)) / 50 * 1e6
    result.peak = float(told.get("peak", 0))
    checks = {
        "the ledger closes": told.get("closes", True) is True,
        "each id once": twice == 0,
        "the end is bounded": ended.seconds < (40 if patient else EXIT_TIMEOUT + OVERHEAD),
        "it ends as it should": ended.status == {"SIGTERM": -signal.SIGTERM, "kill -9": -signal.SIGKILL}.get(row.end, 0),
        "nothing is lost": row.promise not in (ALL_ONCE, NEXT) or len(state.arrived) == expected,
        "the loss is counted": row.promise != COUNTED or (len(state.arrived) == 0 and lost + account.get("spooled", 0) == RECORDS),
        "the loss is said": row.promise not in (COUNTED, PARTLY) or sum("tracer: " in line for line in ended.err.splitlines()) in (1, 2, 3),
        "the rest arrives": row.promise != PARTLY or (len(state.arrived) == expected and lost > 0),
    }
    result.broken = [name for name, kept in checks.items() if not kept]
    return result


HEAD = """\
# Reliability

<!-- Made by `make faults` (tests/processes/fault_matrix.py). Do not edit. -->

A process records {records} spans while its OTLP endpoint on loopback has a fault, and ends in one of four ways: by itself, by
SIGTERM (`TRACER_SIGTERM=flush`), by `kill -9` once everything was read, or after a fork. `TRACER_EXIT_TIMEOUT` is {timeout:g} s
where the fault does not pass. The next process is `tracer flush` with the endpoint mended. Caller: least time of a call in blocks
of 50, over that of the healthy endpoint in the same run; the machine was shared and busy. Seconds are of the whole process,
Python's start and end included.

| fault | end | spool | promise | kept | arrived | twice | lost | seconds | caller | peak MiB |
|---|---|---|---|---|---|---|---|---|---|---|
"""


def table(found: list[Measured]) -> str:
    """The page."""
    usual = min(result.micros for result in found if result.row.fault == "none" and result.micros)
    lines = [HEAD.format(records=RECORDS, timeout=EXIT_TIMEOUT)]
    for result in found:
        row = result.row
        caller = f"{result.micros / usual:.1f}" if result.micros else "-"
        kept = "yes" if not result.broken else "NO: " + ", ".join(result.broken)
        figures = f"{result.arrived} | {result.twice} | {result.lost} | {result.seconds:.1f} | {caller} | {result.peak:.0f}"
        lines.append(f"| {row.fault} | {row.end} | {'yes' if row.spool else 'no'} | {row.promise} | {kept} | {figures} |\n")
    return "".join(lines)


def main(target: str) -> int:
    """Measure all and write the page; 1 when a promise was not kept."""
    begun = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(measure, rows()))
    page = table(found)
    Path(target).write_text(page, "utf-8")
    print(page)
    broken = [result for result in found if result.broken]
    print(f"{len(found)} rows, {len(broken)} broken promises, {time.monotonic() - begun:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
