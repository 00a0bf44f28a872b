"""`docs/dashboards.md`: panel or alert, query, what the real engine said, what was expected. Written by `make dashboards-proof`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.backends.dashboard_run import Values
from tests.support import ROOT
from tools.dashboards import promql, traceql
from tools.dashboards.alerts import ALERTS
from tools.dashboards.boards import DASHBOARDS
from tools.dashboards.recording import GROUPS

PAGE = ROOT / "docs" / "dashboards.md"

HEAD = """\
# Dashboards, alerts and recording rules: the proof

<!-- Made by `make dashboards-proof`, by tests/backends/test_dashboards.py. Do not edit. -->

How to use them: [dashboards/README.md](../dashboards/README.md). Each query below was taken from the generated file, sent to a real
Prometheus 3.16 or Tempo 2.9 that had been filled through `collector-config/local.yaml` by two short scripts (traffic of
`tests/backends/dashboard_traffic.py`: recorded calls, retries, 429, errors, stopped and stalled streams, an unknown price; the second
with a LangSmith endpoint that is down and a mask that fails), and compared with what the library recorded in its local store, with its
ledger, and with what the scripts' own HTTP clients saw. Beside them, calls of another environment went to the same engines; they are in
no number.

`counted(SERIES[WINDOW])` stands for the exact growth of each series within a window (`tools/dashboards/promql.py`):

```
((last_over_time(SERIES[WINDOW]) - last_over_time(SERIES[1h] offset WINDOW)) >= 0
  or last_over_time(SERIES[WINDOW])) unless resets(SERIES[WINDOW]) > 0
  or increase(SERIES[WINDOW])
```

Prometheus' own `increase` extrapolates to the edges of the window, and is 0 for a script of a single export unless Prometheus is told
where counters began. `SERVICE` and `CALL` stand for the variables at the top of the dashboards (service and environment; with provider and
model). Several series: their number, and the sum of their values; each of them was compared.
"""

TABLE = "\n| {first} | panel | query | must equal | engine said | expected |\n| --- | --- | --- | --- | --- | --- |\n"
_COUNTED = re.compile(
    r"\(\(\s*\(\(last_over_time\((?P<series>[^\[]+)\[(?P<window>[^\]]+)\]\)"
    r"\s*- last_over_time\([^)]*\)\) >= 0\s*or last_over_time\([^)]*\)\)"
    r"\s*unless resets\([^)]*\) > 0\)\s*or increase\([^)]*\)\s*\)"
)
_SHORT = (
    (promql.CALL, "CALL"),
    (promql.SERVICE, "SERVICE"),
    (traceql.CALL, "CALL"),
    (traceql.SERVICE, "SERVICE"),
    (f"select({traceql.COLUMNS})", "select(…)"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """What a row of the table is about, without its values."""

    file: str
    panel: str
    query: str
    equals: str

    def cells(self) -> tuple[str, ...]:
        return self.file, _cell(self.panel), f"`{_cell(short(self.query))}`", self.equals


@dataclass(frozen=True, slots=True)
class Proved:
    """A row."""

    place: Place
    found: Values
    expected: Values


def short(query: str) -> str:
    """The query on one line, with the long parts named."""
    query = _COUNTED.sub(lambda match: f"counted({match['series']}[{match['window']}])", query)
    for text, name in _SHORT:
        query = query.replace(text, name)
    return re.sub(r"\s+", " ", query).replace("( ", "(").replace(" )", ")")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def places() -> Iterator[Place]:
    """All rows that the page must have, from the tables the files are made of."""
    for board in DASHBOARDS:
        for panel in board.panels:
            for query in panel.queries:
                yield Place(board.file, panel.title, query.text, query.equals)
    for alert in ALERTS:
        yield Place("alerts", f"{alert.name} (> {alert.limit:g})", alert.measure, alert.equals.removeprefix("alert: "))
    for group in GROUPS:
        for rule in group.rules:
            yield Place("recording-rules", rule.name, rule.expression, rule.equals)


def values(found: Values) -> str:
    """One number, or how many and their sum."""
    if any(math.isnan(value) for value in found.values()):
        return f"{len(found)} series" if len(found) > 1 else "above 0"
    total = math.fsum(found.values())
    return f"{total:.6g}" if len(found) == 1 else f"{len(found)} series, {total:.6g}"


def write(rows: Iterable[Proved]) -> None:
    """The whole page."""
    text, file = HEAD, ""
    for row in rows:
        if row.place.file != file:
            file = row.place.file
            text += f"\n## {file}\n" + TABLE.format(first="file")
        expected = values(row.expected)
        found = expected if expected.endswith(("above 0", " series")) else values(row.found)
        text += "| " + " | ".join((*row.place.cells(), found, expected)) + " |\n"
    PAGE.write_text(text, encoding="utf-8")


def rows_of_page() -> list[tuple[str, ...]]:
    """The cells of each row, as they stand in the page."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in lines if line.startswith("| ")]
    return [row for row in rows if row[0] not in ("file", "---")]
