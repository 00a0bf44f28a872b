"""`StoreFile`: the store's SQLite file as those see it who write into it. One connection, used by one thread at a time."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from tracer.export.notices import Notices
from tracer.store.place import make_file
from tracer.store.schema import StoreError, connect
from tracer.store.trim import Limits, trim

logger = logging.getLogger("tracer")


class StoreFile:
    """Nothing is opened before the first write. What cannot be written is said in one line a minute."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self._limits = limits
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._writes = 0
        self._notices = Notices()
        self._trim_failed = False
        _files.add(self)

    def write(self, work: Callable[[sqlite3.Connection], None], records: int) -> str | None:
        """Do the work in one transaction, all of it or nothing; the reason for dropping its records when that fails."""
        with self._lock:
            reason = "closed" if self._closed else self._written(work, records)
            if self._closed:
                self._disconnect()
        return reason

    def close(self, timeout: float = 0.0) -> None:
        """Close the file. A write that waits for another process has `timeout` seconds to end; else it closes the file itself."""
        self._closed = True
        if self._lock.acquire(timeout=max(0.0, timeout)):
            try:
                self._disconnect()
            finally:
                self._lock.release()

    def _written(self, work: Callable[[sqlite3.Connection], None], records: int) -> str | None:
        try:
            self._transact(work)
        except (sqlite3.Error, OSError, StoreError, OverflowError) as error:
            self._notices.lost("disk", records, f"cannot write the local store {self.path}: {error}")
            return "disk"
        return None

    def _transact(self, work: Callable[[sqlite3.Connection], None]) -> None:
        connection = self._connected()
        try:
            connection.execute("BEGIN IMMEDIATE")
            work(connection)
            connection.execute("COMMIT")
        except BaseException:
            # A fresh connection next time: the file may have been removed, or the disk have room again.
            self._disconnect()
            raise
        self._trim_now_and_then(connection)

    def _trim_now_and_then(self, connection: sqlite3.Connection) -> None:
        look = self._writes % self._limits.every == 0
        self._writes += 1
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


_files: weakref.WeakSet[StoreFile] = weakref.WeakSet()
_inherited: list[sqlite3.Connection] = []
"""Connections of a parent process, kept so that they are never collected: closing one works on the parent's files."""


def _leave_to_parent() -> None:
    for file in list(_files):
        file.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
