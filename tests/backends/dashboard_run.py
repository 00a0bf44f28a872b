"""Runs of `dashboard_traffic`, and what was recorded of them: the truth that dashboards are compared with."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.backends.programs import run_measured

MODEL_KINDS = ("llm", "embedding")
ENVIRONMENT = "proof"
Key = tuple[str, ...]
Values = dict[Key, float]
"""By the values of the labels, in the order of the labels' names."""


@dataclass(slots=True)
class Row:
    """A span as the library recorded it."""

    trace_id: str
    span_id: str
    parent: str
    name: str
    kind: str
    outcome: str
    service: str
    nanoseconds: int
    attributes: dict[str, Any]

    @property
    def model(self) -> str:
        return self.get("gen_ai.request.model", "")

    @property
    def seconds(self) -> float:
        return self.nanoseconds / 1e9

    def get(self, name: str, other: Any = 0) -> Any:
        return self.attributes.get(name, other)


@dataclass(slots=True)
class Run:
    """What a program recorded, what its HTTP client saw, and its ledger; or all that of several programs, its `parts`."""

    service: str = ""
    rows: list[Row] = field(default_factory=list[Row])
    statuses: Counter[str] = field(default_factory=Counter[str])
    requests: Counter[str] = field(default_factory=Counter[str])
    """By model."""
    refused: Counter[str] = field(default_factory=Counter[str])
    """By model."""
    sent: int = 0
    received: int = 0
    ledgers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    parts: list[Run] = field(default_factory=list["Run"])

    @property
    def calls(self) -> list[Row]:
        """All that have a record of their own: model calls and own spans."""
        return [row for row in self.rows if row.name != "attempt"]

    @property
    def models(self) -> list[Row]:
        return [row for row in self.rows if row.kind in MODEL_KINDS]


def together(parts: list[Run]) -> Run:
    """The sum of several runs."""
    whole = Run(parts=parts)
    for part in parts:
        whole.rows += part.rows
        whole.statuses.update(part.statuses)
        whole.requests.update(part.requests)
        whole.refused.update(part.refused)
        whole.sent += part.sent
        whole.received += part.received
        whole.ledgers += part.ledgers
    return whole


def rows_of(store: Path, service: str) -> Iterable[Row]:
    with closing(sqlite3.connect(store)) as connection:
        connection.row_factory = sqlite3.Row
        for row in connection.execute("SELECT * FROM spans"):
            yield Row(
                row["trace_id"],
                row["span_id"],
                row["parent_span_id"] or "",
                row["name"],
                row["kind"],
                row["outcome"],
                service,
                row["end_ns"] - row["start_ns"],
                json.loads(row["attributes"]),
            )


def send(otlp: str, store: Path, service: str, arguments: list[str], **variables: str) -> Run:
    """The traffic in a process of its own, through the collector at `otlp`."""
    program = ["-m", "tests.backends.dashboard_traffic", *arguments]
    place = {"OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name={ENVIRONMENT}", **variables}
    done = run_measured(program, otlp, store, service, **place)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return Run(
        service,
        list(rows_of(store, service)),
        Counter(told["statuses"]),
        Counter(told["models"]),
        Counter(told["refused"]),
        told["sent"],
        told["received"],
        [told["ledger"]],
    )


def count(rows: Iterable[Row], *names: str) -> Values:
    """Rows by attributes (or `service`); those that lack one have an empty label, which Prometheus does not have."""
    return added(rows, lambda _: 1, *names)


def added(rows: Iterable[Row], value: Callable[[Row], float], *names: str) -> Values:
    """A sum over rows, by attributes."""
    sums: dict[Key, float] = {}
    for row in rows:
        key = tuple(str(row.get(name, "")) for name in names)
        sums[key] = sums.get(key, 0) + value(row)
    return sums if names else {(): sums.get((), 0)}
