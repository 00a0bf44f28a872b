"""Rows of the fault matrix that say most; `make faults` runs all of them."""

from __future__ import annotations

import pytest

from tests.processes.fault_matrix import Row, measure, rows

SHOWN = (
    "otlp, none, fork, spool",
    "otlp, comes back, exit, no spool",
    "otlp, asks to wait, exit, no spool",
    "otlp, hangs, exit, no spool",
    "otlp, 503, kill -9, spool",
    "otlp, resets, SIGTERM, spool",
    "otlp, 401, exit, spool",
    "otlp, partial success, exit, no spool",
    "otlp, 400, exit, spool",
    "langsmith, slow, exit, no spool",
    "langsmith, hangs, SIGTERM, spool",
    "langsmith, 502, kill -9, spool",
    "langsmith, 403, fork, spool",
    "langsmith, 413, exit, spool",
)


@pytest.mark.parametrize("row", [row for row in rows() if row.name in SHOWN], ids=lambda row: row.name)
def test_the_promise_of_the_row_is_kept(row: Row) -> None:
    assert measure(row, outage=3).broken == []


def test_the_rows_shown_are_there() -> None:
    assert {row.name for row in rows()} >= set(SHOWN)
