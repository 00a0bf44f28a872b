"""Keeping the local store small: by age and by size, the oldest traces first."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

DAY = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Limits:
    """How large and how old a store may get: bytes and seconds. `every` is the number of exports between two looks."""

    bytes: int = 1024**3
    age: float = 30 * DAY
    every: int = 200


def trim(connection: sqlite3.Connection, limits: Limits) -> int:
    """Delete traces that are too old, then the oldest ones while the file is too large; returns how many went.

    When it is too large it is brought down to nine tenths, so that the next export does not meet the limit again.
    """
    too_old = max(0, time.time_ns() - int(limits.age * 1e9))
    removed = _remove_before(connection, too_old)
    # Feedback goes with its run; what is left over is about runs that never came here.
    connection.execute(
        "DELETE FROM feedback WHERE time_ns < ? AND run_id NOT IN (SELECT run_id FROM spans WHERE run_id IS NOT NULL)", (too_old,)
    )
    if used_bytes(connection) > limits.bytes:
        removed += _shrink(connection, limits.bytes * 9 // 10)
    if removed:
        # The pragma frees a page for each row that is fetched.
        connection.execute("PRAGMA incremental_vacuum").fetchall()
    return removed


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the file that hold data."""
    pages, free, size = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size"))
    return (pages - free) * size


def _remove_before(connection: sqlite3.Connection, end_ns: int) -> int:
    found = connection.execute("SELECT trace_id FROM traces WHERE end_ns < ?", (end_ns,)).fetchall()
    return _remove(connection, [row[0] for row in found])


def _shrink(connection: sqlite3.Connection, target: int) -> int:
    removed = 0
    while used_bytes(connection) > target:
        # A twentieth at a time: short transactions, so that other writers are not kept waiting.
        count = int(connection.execute("SELECT count(*) FROM traces").fetchone()[0])
        found = connection.execute("SELECT trace_id FROM traces ORDER BY start_ns LIMIT ?", (max(1, count // 20),)).fetchall()
        if not found:
            break
        removed += _remove(connection, [row[0] for row in found])
    return removed


def _remove(connection: sqlite3.Connection, trace_ids: list[str]) -> int:
    if not trace_ids:
        return 0
    keys = [(trace_id,) for trace_id in trace_ids]
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("DELETE FROM feedback WHERE run_id IN (SELECT run_id FROM spans WHERE trace_id = ?)", keys)
        connection.executemany("DELETE FROM spans WHERE trace_id = ?", keys)
        connection.executemany("DELETE FROM traces WHERE trace_id = ?", keys)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return len(trace_ids)
