"""Feedback in the local store: a table beside the spans, a row for each piece."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from tracer.evaluation import Feedback
from tracer.export.texts import well_formed
from tracer.export.values import json_text
from tracer.store.schema import FEEDBACK_VERSION, version


@dataclass(slots=True)
class FeedbackRow:
    """One row of table `feedback`. Ids are lower-case hex, `time_ns` Unix nanoseconds; `score` is a number, 0 or 1 for truth values.

    `value` and `correction` are JSON; `trace_id` and `span_id` are OpenTelemetry's, where they were known.
    """

    id: str
    run_id: str
    trace_id: str | None
    span_id: str | None
    key: str
    score: float | None
    value: str | None
    comment: str | None
    correction: str | None
    source: str
    time_ns: int


COLUMNS = tuple(item.name for item in fields(FeedbackRow))
_INSERT = f"INSERT OR REPLACE INTO feedback ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM feedback WHERE run_id = ? ORDER BY time_ns, id"  # noqa: S608
_LARGEST = 2**63 - 1


def row_of(feedback: Feedback) -> FeedbackRow:
    """The row of one piece of feedback."""
    score = feedback.score
    if isinstance(score, int) and abs(score) > _LARGEST:
        score = float(score)
    return FeedbackRow(
        id=UUID(int=feedback.id).hex,
        run_id=UUID(int=feedback.run_id).hex,
        trace_id=f"{feedback.trace_id:032x}" if feedback.trace_id else None,
        span_id=f"{feedback.span_id:016x}" if feedback.span_id else None,
        key=well_formed(feedback.key),
        score=score,
        value=None if feedback.value is None else json_text(feedback.value),
        comment=None if feedback.comment is None else well_formed(feedback.comment),
        correction=None if feedback.correction is None else json_text(feedback.correction),
        source=well_formed(feedback.source),
        time_ns=feedback.time,
    )


def write_rows(connection: sqlite3.Connection, rows: Sequence[FeedbackRow]) -> None:
    """Insert the rows; one that is there already is replaced."""
    connection.executemany(_INSERT, [tuple(getattr(row, name) for name in COLUMNS) for row in rows])


def rows_about(connection: sqlite3.Connection, run_id: str) -> list[FeedbackRow]:
    """Everything that was said about a run, oldest first."""
    if version(connection) < FEEDBACK_VERSION:
        return []  # A file of an earlier version, which nobody has written since.
    return [FeedbackRow(*row) for row in connection.execute(_SELECT, (run_id,))]


def parsed(text: str | None) -> Any:
    """A column of JSON."""
    return None if text is None else json.loads(text)
