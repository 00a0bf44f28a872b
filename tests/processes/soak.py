"""A process that records at a constant rate for minutes: its memory stays flat. `make soak` measures it and writes it down.

python -m tests.processes.soak docs/reliability.md --minutes 5
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

from tests.processes.fault_backends import backend
from tests.processes.flat_out import CLIENT
from tests.processes.reliability_page import write_section
from tests.support import run_long_program

RATE = 116
"""Records a second: ten million in a day."""

WARM_UP = 0.3
"""Of the time: until then queues fill and caches are made."""

MOST_GROWTH = 6.0
"""MiB that memory may grow by between the end of the warm-up and the end, by the slope of all samples between."""

PROGRAM = (
    CLIENT
    + """
def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20

def span():
    with tracer.trace("a") as run:
        run.set_input({"text": "x" * 3000})

def call():
    wrapped.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)

wrapped = tracer.wrap(client())
work = {"calls": call, "spans": span}["WORK"]
begun = time.monotonic()
done, samples = 0, []
while (now := time.monotonic() - begun) < SECONDS:
    for _ in range(min(int(now * RATE) - done, max(RATE // 10, 1))):  # Behind on a busy machine: not all at once.
        work()
        done += 1
    if now >= len(samples) * SECONDS / 60:
        samples.append((now, memory()))
    time.sleep(0.01)
tracer.shutdown(PATIENCE)
status = tracer.status()
at = status["destinations"]["otlp"]
print(json.dumps({
    "done": done, "samples": samples, "exported": at["exported"], "dropped": at["dropped"],
    "closes": status["started"] == done == at["exported"] + at["queued"] + sum(at["dropped"].values()),
    "peak": peak(),
}))
"""
)


@dataclass(frozen=True, slots=True)
class Run:
    """A row. `work`: `calls` of the SDK, or `spans` with 3 kB of content each. `queue`: TRACER_QUEUE_BYTES in MiB, None for the default."""

    seconds: float
    rate: int = RATE
    work: str = "calls"
    fault: str = ""
    queue: int | None = None

    @property
    def promise(self) -> str:
        """What has to hold."""
        return "memory flat, the loss counted" if self.fault else "memory flat, nothing lost"


@dataclass(slots=True)
class Soaked:
    """What a row gave. Memory in MiB; `growth` from the end of the warm-up to the end."""

    run: Run
    records: int
    lost: int
    first: float
    last: float
    growth: float
    peak: float
    broken: list[str] = field(default_factory=list[str])


def soak(run: Run) -> Soaked:
    """Run the program."""
    with backend(run.fault) as state:
        code = PROGRAM.replace("SECONDS", str(run.seconds)).replace("RATE", str(run.rate)).replace("WORK", run.work)
        code = code.replace("PATIENCE", "1" if run.fault else "60")
        limit = {} if run.queue is None else {"TRACER_QUEUE_BYTES": f"{run.queue}MiB"}
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": state.url, "TRACER_QUIET": "1", **limit}
        ended = run_long_program(code, run.seconds * 2 + 120, environment)
        assert ended.status == 0, ended.err
        told: dict[str, Any] = json.loads(ended.out)
        arrived = state.arrived
    samples = [(moment, size) for moment, size in told["samples"] if moment > run.seconds * WARM_UP]
    growth = slope_of(samples) * (samples[-1][0] - samples[0][0])
    lost = sum(told["dropped"].values())
    checks = {
        "memory is flat": growth < MOST_GROWTH,
        "the ledger closes": told["closes"],
        "nothing is lost": bool(run.fault) or (lost == 0 and len(arrived) == told["done"]),
        "each id once": sum(arrived) == len(arrived),
        "the rate was kept": told["done"] >= run.seconds * run.rate * 0.9,
    }
    result = Soaked(run, told["done"], lost, samples[0][1], samples[-1][1], growth, told["peak"])
    result.broken = [name for name, kept in checks.items() if not kept]
    return result


def slope_of(samples: list[tuple[float, float]]) -> float:
    """The median of the slopes between all pairs: single samples that are off do not count.

    >>> slope_of([(0, 1), (1, 2), (2, 99), (3, 4)])
    1.0
    """
    return median((later[1] - sooner[1]) / (later[0] - sooner[0]) for sooner, later in combinations(samples, 2))


TEXT = """\
A process records at a constant rate, {rate} a second being ten million in a day; the other rates are that in less time. Memory is the
resident set in MiB after the warm-up (the first {warm_up:.0%} of the time) and at the end; growth is the median slope between all pairs
of samples in between, times that time, and may be {growth:g} MiB.

| work | a second | minutes | backend | promise | kept | records | lost | memory | at the end | growth | peak |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


def table(found: list[Soaked]) -> str:
    """The section of the page."""
    lines = [TEXT.format(rate=RATE, warm_up=WARM_UP, growth=MOST_GROWTH)]
    for result in found:
        run = result.run
        kept = "yes" if not result.broken else "NO: " + ", ".join(result.broken)
        sizes = f"{result.first:.1f} | {result.last:.1f} | {result.growth:+.1f} | {result.peak:.0f}"
        place = f"{run.work} | {run.rate} | {run.seconds / 60:.1f} | {run.fault or 'healthy'}"
        lines.append(f"| {place} | {run.promise} | {kept} | {result.records} | {result.lost} | {sizes} |\n")
    return "".join(lines)


def main() -> int:
    """Measure, print and write; 1 when a promise was not kept."""
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("--minutes", type=float, default=5)
    chosen = parser.parse_args()
    seconds = chosen.minutes * 60
    # Away: 200 a second for hours is what 1,000 a second is for a fifth of the time; the queue is full after seconds.
    runs = [Run(seconds), Run(seconds, 1000, "spans"), Run(seconds, 1000, "spans", "refuses", queue=8)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(soak, runs))
    page = table(found)
    write_section(chosen.page, "Soak", page)
    print(page)
    return 1 if any(result.broken for result in found) else 0


if __name__ == "__main__":
    sys.exit(main())
