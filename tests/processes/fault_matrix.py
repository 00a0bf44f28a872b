"""Faults of a backend, crossed with ways a process ends: real processes against loopback backends. `make faults` writes the table.

python -m tests.processes.fault_matrix docs/reliability.md
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.processes import flat_out
from tests.processes.fault_backends import PEAK, RETRY_AFTER, Backend, backend, smith_backend
from tests.processes.reliability_page import write_section
from tests.support import ROOT, Ended, clean_environment, run_program

RECORDS = 1000
EXIT_TIMEOUT = 3.0
OVERHEAD = 15.0
"""Seconds that a busy machine may need beside that: Python's start, imports, its end."""

MOST_PEAK = 128.0
"""MiB that no process of the matrix may pass: 45 for Python and the library, the rest for what waits."""

GONE = ("refuses", "hangs", "resets", "429", "500", "502", "503")
"""Faults that pass: nothing is lost through them where there is a spool."""

PASSING = {"comes back": "503", "asks to wait": "asks to wait"}
"""Faults that pass while the process runs, and what the backend does until then."""

OTLP, LANGSMITH = "otlp", "langsmith"

PROGRAM = (
    PEAK
    + """
import json, os, signal, sys, time
import tracer

def account():
    return tracer.status()["destinations"]["DESTINATION"]

def tell():
    status = tracer.status()
    at = status["destinations"]["DESTINATION"]
    closes = status["started"] == status["open"] + sum(
        (at["queued"], at["exported"], at["sampled_out"], at.get("spooled", 0), *at["dropped"].values())
    )
    print(json.dumps({"account": at, "closes": closes, "best": best, "peak": peak()}), flush=True)

def wait_for_reading():
    deadline = time.monotonic() + 5
    while len(tracer.runtime.runtime.pipeline._inbox.queue) > RECORDS // 2 and time.monotonic() < deadline:
        time.sleep(0.01)

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
)
ENDS = {
    "exit": "tracer.shutdown(float(os.environ['TRACER_EXIT_TIMEOUT'])); tell()",
    # Python's own start of the delivery, imports above all, is not what is measured.
    "SIGTERM": "wait_for_reading(); print('{}'); sys.stdout.flush(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
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
tracer.shutdown(float(os.environ['TRACER_EXIT_TIMEOUT'])); tell()
""",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One cell of the matrix and its promise."""

    fault: str
    end: str
    spool: bool
    promise: str
    destination: str = OTLP

    @property
    def name(self) -> str:
        """For tests and the table."""
        return f"{self.destination}, {self.fault}, {self.end}, {'spool' if self.spool else 'no spool'}"


ALL_ONCE = "all arrive, each once"
NEXT = "all arrive by the next process, each once"
COUNTED = "counted as lost and said in a line"
SAID = "said in a line"
PARTLY = "what was rejected is counted, the rest arrives once"


def rows() -> list[Row]:
    """The matrix."""
    return [row for destination in (OTLP, LANGSMITH) for row in _rows(destination)]


def _rows(to: str) -> list[Row]:
    found = [Row("none", end, spool, ALL_ONCE, to) for end in ("exit", "SIGTERM", "fork") for spool in (False, True)]
    found += [Row(fault, "exit", spool, ALL_ONCE, to) for fault in ("slow", "garbage") for spool in (False, True)]
    for fault in PASSING:
        # With a spool nobody waits at the end for an endpoint that is in trouble.
        found += [Row(fault, "exit", False, ALL_ONCE, to), Row(fault, "exit", True, NEXT, to)]
    if to == OTLP:
        found += [Row("partial success", "exit", spool, PARTLY) for spool in (False, True)]
    for fault in (*GONE, "401", "403"):
        found += [Row(fault, "exit", False, COUNTED, to), Row(fault, "exit", True, NEXT, to), Row(fault, "kill -9", True, NEXT, to)]
        found += [Row(fault, "SIGTERM", True, NEXT, to), Row(fault, "fork", True, NEXT, to)]
    found += [Row(fault, "SIGTERM", False, SAID, to) for fault in ("refuses", "hangs", "503")]
    found += [Row(fault, "exit", spool, COUNTED, to) for fault in ("400", "413", "415") for spool in (False, True)]
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


def measure(row: Row, outage: float = 10.0) -> Measured:
    """Run the row's processes. `outage`: seconds after which a fault that passes has passed."""
    serve: Callable[[str], AbstractContextManager[Backend]] = backend if row.destination == OTLP else smith_backend
    fault = "" if row.fault == "none" else PASSING.get(row.fault, row.fault)
    with serve(fault) as state, tempfile.TemporaryDirectory() as spool:
        patient = row.fault in ("none", "slow", "garbage", "partial success", *PASSING)
        variables = {
            **destination_of(row, state.url),
            "TRACER_QUIET": "1",
            "TRACER_SIGTERM": "flush",
            "TRACER_EXIT_TIMEOUT": str(20 if patient else EXIT_TIMEOUT),
            **({"TRACER_SPOOL": spool} if row.spool else {}),
        }
        if row.fault in PASSING:
            threading.Timer(outage, state.mend).start()
        code = PROGRAM.replace("RECORDS", str(RECORDS)).replace("DESTINATION", row.destination).replace("END", ENDS[row.end])
        ended = run_program(code, **variables)
        told: dict[str, Any] = json.loads(ended.out.splitlines()[-1]) if ended.out.strip() else {}
        if row.promise == NEXT:
            state.mend()
            flush(variables)
        return judged(row, state, ended, told, patient)


def destination_of(row: Row, url: str) -> dict[str, str]:
    """Variables that send the records there."""
    if row.destination == OTLP:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "5"}
    return {"LANGSMITH_TRACING": "true", "LANGSMITH_API_KEY": "k", "LANGSMITH_ENDPOINT": url}


def flush(variables: dict[str, str]) -> None:
    """The next process."""
    command = [sys.executable, "-m", "tracer", "flush", "--timeout", "40"]
    subprocess.run(command, env={**clean_environment(), **variables}, cwd=ROOT, capture_output=True, timeout=90, check=False)


def judged(row: Row, state: Backend, ended: Ended, told: dict[str, Any], patient: bool) -> Measured:
    """Compare with the promise."""
    expected = RECORDS + (row.end == "fork")
    account: dict[str, Any] = told.get("account", {})
    lost = sum(account.get("dropped", {}).values())
    arrived = state.arrived
    twice = sum(count - 1 for count in arrived)
    result = Measured(row, ended.seconds, len(arrived), twice, lost)
    result.micros = float(told.get("best", 0)) / 50 * 1e6
    result.peak = float(told.get("peak", 0))
    checks = {
        "the ledger closes": told.get("closes", True) is True,
        "each id once": twice == 0,
        "the end is bounded": ended.seconds < (40 if patient else EXIT_TIMEOUT + OVERHEAD),
        "it ends as it should": ended.status == {"SIGTERM": -signal.SIGTERM, "kill -9": -signal.SIGKILL}.get(row.end, 0),
        "nothing is lost": row.promise not in (ALL_ONCE, NEXT) or len(arrived) == expected,
        "the loss is counted": row.promise != COUNTED or (len(arrived) == 0 and lost + account.get("spooled", 0) == RECORDS),
        "the loss is said": row.promise not in (COUNTED, SAID, PARTLY)
        or sum("tracer: " in line for line in ended.err.splitlines()) in (1, 2, 3),
        "memory is bounded": result.peak < MOST_PEAK,
        "it waits as asked": row.fault != "asks to wait" or min(gaps_of(state.asked), default=RETRY_AFTER) > RETRY_AFTER * 0.9,
        "the rest arrives": row.promise != PARTLY or (len(arrived) == expected and lost > 0),
    }
    result.broken = [name for name, kept in checks.items() if not kept]
    return result


def gaps_of(moments: list[float]) -> list[float]:
    """Seconds between one and the next."""
    return [later - sooner for sooner, later in pairwise(moments)]


TEXT = """\
A process records {records} spans while its backend on loopback, an OTLP endpoint or a LangSmith-style API, has a fault, and ends in
one of four ways: by itself, by SIGTERM (`TRACER_SIGTERM=flush`), by `kill -9` once everything was read, or after a fork.
`TRACER_EXIT_TIMEOUT` is {timeout:g} s, and 20 s where the fault passes (after 10 s). The next process is `tracer flush` with the
backend mended. Caller: least time of a call in blocks of 50, over that with a healthy backend in the same run; the machine was shared
and busy. Seconds are of the whole process, Python's start and end included. Each row also checks that the ledger closes, that the end
is bounded, that no process passes {peak:g} MiB, and that a loss is said in a line.

| backend | fault | end | spool | promise | kept | arrived | twice | lost | seconds | caller | peak MiB |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


def table(found: list[Measured]) -> str:
    """The section of the page."""
    usual = min(result.micros for result in found if result.row.fault == "none" and result.micros)
    lines = [TEXT.format(records=RECORDS, timeout=EXIT_TIMEOUT, peak=MOST_PEAK)]
    for result in found:
        row = result.row
        caller = f"{result.micros / usual:.1f}" if result.micros else "-"
        peak = f"{result.peak:.0f}" if result.peak else "-"
        kept = "yes" if not result.broken else "NO: " + ", ".join(result.broken)
        figures = f"{result.arrived} | {result.twice} | {result.lost} | {result.seconds:.1f} | {caller} | {peak}"
        lines.append(
            f"| {row.destination} | {row.fault} | {row.end} | {'yes' if row.spool else 'no'} | {row.promise} | {kept} | {figures} |\n"
        )
    return "".join(lines)


def main(target: str) -> int:
    """Measure all and write the page; 1 when a promise was not kept."""
    begun = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        floods = [pool.submit(flat_out.measure, row) for row in flat_out.ROWS]
        found = list(pool.map(measure, rows()))
    flood = [future.result() for future in floods]
    page, flat = table(found), flat_out.table(flood)
    write_section(Path(target), "Faults", page)
    write_section(Path(target), "Flat out", flat)
    print(page, flat, sep="\n")
    broken = [*(result for result in found if result.broken), *(result for result in flood if result.broken)]
    print(f"{len(found) + len(flood)} rows, {len(broken)} broken promises, {time.monotonic() - begun:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
