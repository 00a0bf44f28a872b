"""`LocalStore`: the destination that writes records and feedback into a SQLite file, read by `tracer show`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from tracer.evaluation import Feedback
from tracer.export.destination import Delivery
from tracer.export.notices import Notices
from tracer.export.spans import spans_of
from tracer.reading.record import Record
from tracer.settings import Settings
from tracer.store.file import StoreFile
from tracer.store.judgements import FeedbackRow, row_of, write_rows
from tracer.store.place import store_path
from tracer.store.rows import COLUMNS, SpanRow, rows_of, values_of
from tracer.store.trim import Limits

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
        self._file = StoreFile(path, limits or Limits())
        self._notices = Notices()
        self.feedback = LocalFeedback(self._file, self._notices)

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
        return _delivered(self._file, delivery, lambda connection: _write(connection, rows))

    def close(self, timeout: float = 0.0) -> None:
        """Close the file. An export that waits for another process has `timeout` seconds to end; else it closes the file itself."""
        self._file.close(timeout)


class LocalFeedback:
    """The store's part for feedback."""

    def __init__(self, file: StoreFile, notices: Notices) -> None:
        self._file = file
        self._notices = notices

    def export(self, feedback: Sequence[Feedback], /) -> Delivery:
        """Write all of it in one transaction, or nothing."""
        delivery = Delivery()
        rows: list[FeedbackRow] = []
        for given in feedback:
            try:
                rows.append(row_of(given))
                delivery.exported += 1
            except Exception as error:
                delivery.drop("encoding", 1)
                self._notices.lost("encoding", 1, f"local store: feedback could not be encoded: {error!r}")
        return _delivered(self._file, delivery, lambda connection: write_rows(connection, rows))

    def close(self, timeout: float) -> None:
        """The file is the store's to close."""


def _delivered(file: StoreFile, delivery: Delivery, work: Callable[[sqlite3.Connection], None]) -> Delivery:
    reason = file.write(work, delivery.exported) if delivery.exported else None
    if reason is not None:
        delivery.drop(reason, delivery.exported)
        delivery.exported = 0
    return delivery


def _write(connection: sqlite3.Connection, rows: Sequence[SpanRow]) -> None:
    connection.executemany(_INSERT_SPAN, [values_of(row) for row in rows])
    connection.executemany(_INSERT_TRACE, [(row.trace_id, row.start_ns, row.end_ns) for row in rows])
