"""Rows of the fault matrix that say most; `make faults` runs all of them."""

from __future__ import annotations

import pytest

from tests.processes.fault_matrix import Row, measure, rows

SHOWN = (
    "none, fork, spool",
    "comes back, exit, no spool",
    "hangs, exit, no spool",
    "503, kill -9, spool",
    "resets, SIGTERM, spool",
    "401, exit, spool",
    "partial success, exit, no spool",
    "400, exit, spool",
)


@pytest.mark.parametrize("row", [row for row in rows() if row.name in SHOWN], ids=lambda row: row.name)
def test_the_promise_of_the_row_is_kept(row: Row) -> None:
    assert measure(row).broken == []


def test_the_rows_shown_are_there() -> None:
    assert {row.name for row in rows()} >= set(SHOWN)
