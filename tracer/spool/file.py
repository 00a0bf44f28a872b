"""`SpoolFile`: one process's items in one SQLite file, which belongs to whoever has it open.

SQLite's exclusive locking mode makes the file its own claim: the lock is the operating system's, ends with the process however that
ends, is not inherited by forked children, and needs no file beside it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import orjson

from tracer.export.transport import Item

VERSION = 1

_Result = TypeVar("_Result")

_TABLES = """
CREATE TABLE frames (number INTEGER PRIMARY KEY, data BLOB NOT NULL UNIQUE);
CREATE TABLE items (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    address TEXT NOT NULL,
    key TEXT NOT NULL,
    opens INTEGER NOT NULL,
    overhead INTEGER NOT NULL,
    frame INTEGER NOT NULL,
    written REAL NOT NULL,
    layout BLOB NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX items_by_address ON items (address, number);
CREATE TABLE begun (address TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (address, key)) WITHOUT ROWID;
"""

_INSERT = "INSERT INTO items (address, key, opens, overhead, frame, written, layout, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT = """
SELECT items.number, key, opens, overhead, frames.data, layout, items.data FROM items JOIN frames ON frames.number = items.frame
WHERE address = ? AND items.number > ? ORDER BY items.number LIMIT ?
"""

_OLDER = "WHERE written < :before AND number > :after AND (:address IS NULL OR address = :address)"


class SpoolError(Exception):
    """The file cannot be used; the text says why."""


class InUse(SpoolError):  # noqa: N818
    """Another process, or this one, has the file."""


class SpoolFile:
    """Items by destination (`address`), in the order in which they were written. Its methods raise `SpoolError`.

    Any thread may use it. It must not be closed in a forked child: see `leave_to_parent`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            self._connection: sqlite3.Connection | None = _open(path)
        except (sqlite3.Error, OSError) as error:
            raise _as_spool_error(error) from error

    @classmethod
    def make(cls, path: Path) -> SpoolFile:
        """A new file with mode 0600; missing folders are made with 0700."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600))
        except OSError as error:
            raise _as_spool_error(error) from error
        return cls(path)

    def write(self, address: str, frame: bytes, items: Sequence[Item]) -> list[int]:
        """Keep the items, all of them or none; gives their numbers."""
        now = time.time()

        def work(connection: sqlite3.Connection) -> list[int]:
            connection.execute("INSERT OR IGNORE INTO frames (data) VALUES (?)", (frame,))
            number = connection.execute("SELECT number FROM frames WHERE data = ?", (frame,)).fetchone()[0]
            numbers: list[int] = []
            for item in items:
                layout = orjson.dumps({name: len(data) for name, data in item.parts.items()})
                row = (address, item.key, item.opens, item.overhead, number, now, layout, b"".join(item.parts.values()))
                numbers.append(connection.execute(_INSERT, row).lastrowid or 0)
            return numbers

        return self._transaction(work)

    def read(self, address: str, after: int, most_items: int, most_bytes: int) -> list[tuple[int, Item]]:
        """The items after a number, at least one if there is one."""

        def work(connection: sqlite3.Connection) -> list[tuple[int, Item]]:
            found: list[tuple[int, Item]] = []
            size = 0
            for number, key, opens, overhead, frame, layout, data in connection.execute(_SELECT, (address, after, most_items)):
                if found and size + len(data) > most_bytes:
                    break
                size += len(data)
                item = Item(_parts(layout, data), key=key, opens=bool(opens), overhead=overhead, frame=frame)
                found.append((number, item))
            return found

        return self._do(work)

    def remove(self, numbers: Iterable[int]) -> None:
        """Forget items."""
        rows = [(number,) for number in numbers]
        self._transaction(lambda connection: connection.executemany("DELETE FROM items WHERE number = ?", rows))

    def note_begun(self, address: str, begun: Iterable[str], over: Iterable[str]) -> None:
        """Remember that the beginnings of `begun` have arrived, and forget it of those whose end has."""
        added, removed = [(address, key) for key in begun], [(address, key) for key in over]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR IGNORE INTO begun VALUES (?, ?)", added)
            connection.executemany("DELETE FROM begun WHERE address = ? AND key = ?", removed)

        self._transaction(work)

    def begun(self, address: str) -> set[str]:
        """Keys whose beginnings have arrived."""
        return self._do(lambda connection: {row[0] for row in connection.execute("SELECT key FROM begun WHERE address = ?", (address,))})

    def drop_oldest(self, address: str, after: int, size: int) -> tuple[int, int]:
        """Delete the oldest items after a number until `size` bytes are free; gives the numbers of items and of records among them."""

        def work(connection: sqlite3.Connection) -> tuple[int, int]:
            rows: list[tuple[int]] = []
            records = freed = 0
            found = connection.execute(
                "SELECT number, opens, length(data) FROM items WHERE address = ? AND number > ? ORDER BY number", (address, after)
            )
            for number, opens, length in found:
                if freed >= size:
                    break
                freed += length
                records += not opens
                rows.append((number,))
            connection.executemany("DELETE FROM items WHERE number = ?", rows)
            return len(rows), records

        return self._transaction(work)

    def expire(self, before: float, address: str | None = None, after: int = 0) -> tuple[int, int]:
        """Delete items written before a Unix time; gives the numbers of items and of records among them."""

        def work(connection: sqlite3.Connection) -> tuple[int, int]:
            values = {"before": before, "after": after, "address": address}
            items, records = connection.execute(f"SELECT count(*), coalesce(sum(NOT opens), 0) FROM items {_OLDER}", values).fetchone()  # noqa: S608
            if items:
                connection.execute(f"DELETE FROM items {_OLDER}", values)  # noqa: S608
            return items, records

        return self._transaction(work)

    def counts(self) -> dict[str, int]:
        """Records by address."""
        select = "SELECT address, sum(NOT opens) FROM items GROUP BY address ORDER BY address"
        return self._do(lambda connection: dict(connection.execute(select).fetchall()))

    def is_empty(self) -> bool:
        """Nothing waits in it."""
        return self._do(lambda connection: connection.execute("SELECT 1 FROM items LIMIT 1").fetchone() is None)

    def used_bytes(self) -> int:
        """Bytes of the file that hold data."""

        def work(connection: sqlite3.Connection) -> int:
            pages, free, size = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in _SIZES)
            return (pages - free) * size

        return self._do(work)

    @property
    def closed(self) -> bool:
        """It is not ours any more."""
        return self._connection is None

    def release(self) -> None:
        """Close the file, so that others may have it; an empty one is deleted."""
        with self._lock:
            if self._connection is None:
                return
            try:
                empty = self.is_empty()
            except SpoolError:
                empty = False
            connection, self._connection = self._connection, None
            try:
                if empty:
                    # Still locked: nobody can have begun to use it.
                    self.path.unlink(missing_ok=True)
                connection.close()
                if empty:
                    self.path.with_name(self.path.name + "-wal").unlink(missing_ok=True)
            except (sqlite3.Error, OSError):
                pass

    def leave_to_parent(self) -> None:
        """In a forked child: make sure that this copy of the parent's connection is never closed, which would write into its file."""
        self._lock = threading.RLock()
        if self._connection is not None:
            # Used in a forked child only. What Python lets go of at its end is closed, whoever refers to it: only a reference that nobody
            # can give back prevents it.
            from ctypes import py_object, pythonapi

            pythonapi.Py_IncRef(py_object(self._connection))
            self._connection = None

    def _do(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        with self._lock:
            if self._connection is None:
                raise SpoolError("it is closed")
            try:
                return work(self._connection)
            except (sqlite3.Error, OSError, ValueError) as error:
                raise _as_spool_error(error) from error

    def _transaction(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        def whole(connection: sqlite3.Connection) -> _Result:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

        return self._do(whole)


_SIZES = ("page_count", "freelist_count", "page_size")


def _open(path: Path) -> sqlite3.Connection:
    # Not to be made here: it may have been deleted since it was seen.
    address = f"file:{quote(str(path.absolute()))}?mode=rw"
    connection = sqlite3.connect(address, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        # Before the log is used for the first time: then it needs no shared memory beside the file.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA auto_vacuum = FULL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 500")
        connection.execute("PRAGMA journal_size_limit = 4194304")
        # The lock is taken by the first transaction that writes, and then kept.
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise SpoolError(f"it was written by a newer version of tracer (spool version {version}, this one knows {VERSION})")
        if version == 0:
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _parts(layout: bytes, data: bytes) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    start = 0
    lengths: dict[str, Any] = orjson.loads(layout)
    for name, length in lengths.items():
        parts[name] = data[start : start + length]
        start += length
    return parts


def _as_spool_error(error: Exception) -> SpoolError:
    text = str(error)
    if isinstance(error, sqlite3.OperationalError) and ("locked" in text or "busy" in text):
        return InUse(text)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror.lower()
    return SpoolError(text)
