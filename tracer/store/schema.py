"""The tables of the local store, and how an older file becomes a newer one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from time import sleep

BUSY_SECONDS = 5.0
"""How long a process waits for another one that is writing."""


class StoreError(Exception):
    """The file cannot be used as a store; the text says why."""


def _first_tables(connection: sqlite3.Connection) -> None:
    connection.execute(
        """
        CREATE TABLE traces (
            trace_id TEXT PRIMARY KEY,
            start_ns INTEGER NOT NULL,
            end_ns INTEGER NOT NULL
        ) WITHOUT ROWID
        """
    )
    connection.execute("CREATE INDEX traces_by_start ON traces (start_ns)")
    connection.execute("CREATE INDEX traces_by_end ON traces (end_ns)")
    connection.execute(
        """
        CREATE TABLE spans (
            trace_id TEXT NOT NULL,
            span_id TEXT NOT NULL,
            parent_span_id TEXT,
            run_id TEXT,
            name TEXT NOT NULL,
            kind TEXT NOT NULL,
            operation TEXT,
            start_ns INTEGER NOT NULL,
            end_ns INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            error_type TEXT,
            error_message TEXT,
            model TEXT,
            input_tokens INTEGER,
            output_tokens INTEGER,
            cost REAL,
            currency TEXT,
            time_to_first_chunk REAL,
            session TEXT,
            user TEXT,
            tags TEXT NOT NULL,
            attributes TEXT NOT NULL
        )
        """
    )
    connection.execute("CREATE UNIQUE INDEX spans_by_id ON spans (trace_id, span_id)")
    connection.execute("CREATE INDEX spans_by_span_id ON spans (span_id)")
    connection.execute("CREATE INDEX spans_by_run_id ON spans (run_id)")


def _feedback(connection: sqlite3.Connection) -> None:
    # A score has the type that it was given as; the run may be in another process's file, or not be there yet.
    connection.execute(
        """
        CREATE TABLE feedback (
            id TEXT PRIMARY KEY,
            run_id TEXT NOT NULL,
            trace_id TEXT,
            span_id TEXT,
            key TEXT NOT NULL,
            score,
            value TEXT,
            comment TEXT,
            correction TEXT,
            source TEXT NOT NULL,
            time_ns INTEGER NOT NULL
        ) WITHOUT ROWID
        """
    )
    connection.execute("CREATE INDEX feedback_by_run_id ON feedback (run_id)")
    connection.execute("CREATE INDEX feedback_by_time ON feedback (time_ns)")


MIGRATIONS: list[Callable[[sqlite3.Connection], None]] = [_first_tables, _feedback]
"""Each brings the file from the version of its place in the list to the next. Only ever append: files out there have run the earlier."""


FEEDBACK_VERSION = 2
"""The first version of a file that has a table for feedback."""


def connect(path: Path) -> sqlite3.Connection:
    """Open an existing file for writing, with the newest tables. The connection may be handed from thread to thread."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # Must come before the first table: it lets deleted traces give their room back to the file system.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {16 * 1024 * 1024}")
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Writers and readers do not stop each other in this mode. Changing to it ignores SQLite's own waiting time, hence the loop."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            sleep(0.01)


def version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has seen."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_version(connection: sqlite3.Connection) -> None:
    """Raise `StoreError` when the file was written by a newer version of this library."""
    found = version(connection)
    if found > len(MIGRATIONS):
        raise StoreError(f"it was written by a newer version of tracer (store version {found}, this one knows {len(MIGRATIONS)})")


def migrate(connection: sqlite3.Connection) -> None:
    """Run the migrations that are missing, all or none; several processes may do so at once."""
    check_version(connection)
    if version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again: another process may have migrated while this one waited for the lock.
        for migration in MIGRATIONS[version(connection) :]:
            migration(connection)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
