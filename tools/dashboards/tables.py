"""What a dashboard consists of: plain data, without anything of Grafana's.

Each dashboard is a table of panels; each panel has its queries, and each query says in words what its value must be equal to. Those words
are the keys by which `tests/backends/test_dashboards.py` finds the expected value in the records of a run.
"""

from __future__ import annotations

from dataclasses import dataclass

PROMETHEUS = "prometheus"
TEMPO = "tempo"

STAT = "stat"
LINES = "lines"
BARS = "bars"
HEATMAP = "heatmap"
TABLE = "table"
RANKING = "ranking"
SPANS = "spans"
TRACE = "trace"


@dataclass(frozen=True, slots=True)
class Query:
    """`text` is PromQL or TraceQL; `equals` says what its value must be; `legend` may use `{{label}}`."""

    text: str
    equals: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what it is called, how it is drawn, in which unit (Grafana's name of it), and what it asks.

    `limits` are the values from which on it turns yellow and red. `search` is the TraceQL to which the panel's link leads; `label` names
    the label of its series by which the link narrows down that search (as `search` writes it, see `traceql.linked`).
    `columns` rename the columns of a table, in their order.
    """

    title: str
    kind: str
    unit: str
    queries: tuple[Query, ...]
    description: str
    engine: str = PROMETHEUS
    limits: tuple[float, ...] = ()
    search: str = ""
    columns: tuple[tuple[str, str, str], ...] = ()
    width: int = 12
    height: int = 8
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A text field at the top of a dashboard."""

    name: str
    label: str
    value: str
    description: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A file: `dashboards/<file>.json`."""

    file: str
    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    boxes: tuple[Box, ...] = ()
