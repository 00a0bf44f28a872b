"""`LocalStore`: the destination that writes records into a SQLite file, read by `tracer show`."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

from tracer.export.destination import Delivery
from tracer.export.notices import Notices
from tracer.export.spans import spans_of
from tracer.reading.record import Record
from tracer.settings import Settings
from tracer.store.place import make_file, store_path
from tracer.store.rows import COLUMNS, SpanRow, rows_of, values_of
from tracer.store.schema import StoreError, connect
from tracer.store.trim import Limits, trim

logger = logging.getLogger("tracer")

_INSERT_SPAN = f"INSERT OR REPLACE INTO spans ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
_INSERT_TRACE = """
    INSERT INTO traces (trace_id, start_ns, end_ns) VALUES (?, ?, ?)
    ON CONFLICT (trace_id) DO UPDATE SET start_ns = min(start_ns, excluded.start_ns), end_ns = max(end_ns, excluded.end_ns)
"""


class LocalStore:
    """Writes records into the SQLite file at `path`, one row for each span.

    Nothing is opened before the first export. What cannot be written is dropped with reason `disk`, said in one line a minute.
    """

    name = "local"

    def __init__(self, path: Path, settings: Settings, limits: Limits | None = None) -> None:
        self.path = path
        self._settings = settings
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._exports = 0
        self._notices = Notices()
        self._trim_failed = False
        _stores.add(self)

    @classmethod
    def from_settings(cls, settings: Settings) -> LocalStore:
        """The store that the setting `local` names, or the one at the default place."""
        return cls(store_path(settings.local), settings)

    def export(self, records: Sequence[Record]) -> Delivery:
        """Write the records in one transaction; all of them, or none."""
        delivery = Delivery()
        rows: list[SpanRow] = []
        for record in records:
            try:
                rows.extend(rows_of(record, spans_of(record, self._settings)))
                delivery.exported += 1
            except Exception as error:
                delivery.drop("encoding", 1)
                self._notices.lost("encoding", 1, f"local store: a record could not be encoded: {error!r}")
        with self._lock:
            reason = "closed" if self._closed else self._written(rows, delivery.exported)
            if self._closed:
                self._disconnect()
        if reason is not None:
            delivery.drop(reason, delivery.exported)
            delivery.exported = 0
        return delivery

    def close(self, timeout: float = 0.0) -> None:
        """Close the file. An export that waits for another process has `timeout` seconds to end; else it closes the file itself."""
        self._closed = True
        if self._lock.acquire(timeout=max(0.0, timeout)):
            try:
                self._disconnect()
            finally:
                self._lock.release()

    def _written(self, rows: list[SpanRow], records: int) -> str | None:
        """Write the rows; the reason for dropping their records when that fails."""
        try:
            self._write(rows)
        except (sqlite3.Error, OSError, StoreError, OverflowError) as error:
            self._notices.lost("disk", records, f"cannot write the local store {self.path}: {error}")
            return "disk"
        return None

    def _write(self, rows: list[SpanRow]) -> None:
        if not rows:
            return
        connection = self._connected()
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_INSERT_SPAN, [values_of(row) for row in rows])
            connection.executemany(_INSERT_TRACE, [(row.trace_id, row.start_ns, row.end_ns) for row in rows])
            connection.execute("COMMIT")
        except BaseException:
            # A fresh connection next time: the file may have been removed, or the disk have room again.
            self._disconnect()
            raise
        self._trim_now_and_then(connection)

    def _trim_now_and_then(self, connection: sqlite3.Connection) -> None:
        look = self._exports % self._limits.every == 0
        self._exports += 1
        if not look:
            return
        try:
            trim(connection, self._limits)
        except sqlite3.Error as error:
            if not self._trim_failed:
                logger.warning("tracer: cannot remove old traces from the local store %s: %s", self.path, error)
            self._trim_failed = True

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and not self.path.exists():
            # Rows would go into a file that nobody can find any more.
            self._disconnect()
        if self._connection is None:
            make_file(self.path)
            self._connection = connect(self.path)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                pass

    def leave_to_parent(self) -> None:
        """In a forked child: forget the connection without closing it, which belongs to the parent."""
        if self._connection is not None:
            _inherited.append(self._connection)
            self._connection = None
        self._lock = threading.Lock()


_stores: weakref.WeakSet[LocalStore] = weakref.WeakSet()
_inherited: list[sqlite3.Connection] = []
"""Connections of a parent process, kept so that they are never collected: closing one works on the parent's files."""


def _leave_to_parent() -> None:
    for store in list(_stores):
        store.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
