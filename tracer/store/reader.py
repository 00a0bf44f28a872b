"""Reading traces back from the local store. Never writes, and works beside processes that do."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, final
from urllib.parse import quote

from tracer.store.judgements import FeedbackRow, rows_about
from tracer.store.rows import COLUMNS, SpanRow
from tracer.store.schema import BUSY_SECONDS, StoreError, check_version

_SELECT = f"SELECT {', '.join(COLUMNS)} FROM spans WHERE trace_id = ? ORDER BY start_ns, rowid"  # noqa: S608

# Up from a span to the one that has no parent.
_ROOT = """
    WITH RECURSIVE above (run_id, parent_span_id) AS (
        SELECT run_id, parent_span_id FROM spans WHERE trace_id = :trace AND span_id = :span
        UNION SELECT spans.run_id, spans.parent_span_id FROM spans JOIN above ON spans.span_id = above.parent_span_id
        WHERE spans.trace_id = :trace
    )
    SELECT run_id FROM above WHERE parent_span_id IS NULL
"""


class AmbiguousId(StoreError):  # noqa: N818
    """The beginning of an id that fits more than one trace or run; `trace_ids` are the first of them."""

    def __init__(self, text: str, trace_ids: list[str]) -> None:
        super().__init__(f"{text!r} is not unique, it fits {', '.join(trace_ids)}")
        self.trace_ids = trace_ids


@dataclass(slots=True)
class Trace:
    """One trace: its id in hex and its spans by start. Parents may be missing when they lie in another process or have not ended."""

    trace_id: str
    spans: list[SpanRow]
    feedback: dict[str, list[FeedbackRow]] = field(default_factory=dict[str, list[FeedbackRow]])
    """What was said about its runs, by run id in hex."""

    @property
    def start_ns(self) -> int:
        """When its first span began, Unix nanoseconds."""
        return min(span.start_ns for span in self.spans)

    @property
    def end_ns(self) -> int:
        """When its last span ended, Unix nanoseconds."""
        return max(span.end_ns for span in self.spans)


@dataclass(slots=True)
class Place:
    """Where a run is: ids in hex. `root_run_id` is that of the outermost run of its trace, None where that is not in the store."""

    run_id: str
    trace_id: str
    span_id: str
    root_run_id: str | None


@final
class StoreReader:
    """Opens a store for reading; use it in a `with` block. `StoreError` when the file is missing or is no store.

    >>> with StoreReader(Path(".demo/traces.sqlite")) as store:  # doctest: +SKIP
    ...     newest = store.traces(last=1)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise StoreError("there is no such file")
        self._connection = _open(path)

    def __enter__(self) -> StoreReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def traces(self, last: int = 1) -> list[Trace]:
        """The traces that began last, oldest first."""
        found = self._connection.execute("SELECT trace_id FROM traces ORDER BY start_ns DESC, trace_id DESC LIMIT ?", (last,)).fetchall()
        return [self._load(row[0]) for row in reversed(found)]

    def trace(self, identifier: str) -> Trace | None:
        """The trace that has this trace id, run id or span id, in hex or UUID form, whole or as a beginning that fits one trace only."""
        text = identifier.strip().lower().replace("-", "")
        if not text or any(character not in "0123456789abcdef" for character in text):
            return None
        found = self._connection.execute(
            """
            SELECT trace_id FROM traces WHERE trace_id BETWEEN :low AND :high
            UNION SELECT trace_id FROM spans WHERE run_id BETWEEN :low AND :high
            UNION SELECT trace_id FROM spans WHERE span_id BETWEEN :low AND :high
            LIMIT 6
            """,
            {"low": text, "high": text + "g"},
        ).fetchall()
        if len(found) > 1:
            raise AmbiguousId(identifier, [row[0] for row in found])
        return self._load(found[0][0]) if found else None

    def run(self, identifier: str) -> Place | None:
        """The run that has this run id or span id, in hex or UUID form, whole or as a beginning that fits one run only."""
        text = identifier.strip().lower().replace("-", "")
        if not text or any(character not in "0123456789abcdef" for character in text):
            return None
        found = self._connection.execute(
            """
            SELECT run_id, trace_id, span_id FROM spans WHERE run_id BETWEEN :low AND :high
            UNION SELECT run_id, trace_id, span_id FROM spans WHERE span_id BETWEEN :low AND :high AND run_id IS NOT NULL
            LIMIT 6
            """,
            {"low": text, "high": text + "g"},
        ).fetchall()
        if len(found) > 1:
            raise AmbiguousId(identifier, [row[0] for row in found])
        return Place(*found[0], root_run_id=self._root(*found[0][1:])) if found else None

    def _root(self, trace_id: str, span_id: str) -> str | None:
        above = self._connection.execute(_ROOT, {"trace": trace_id, "span": span_id}).fetchone()
        return above[0] if above is not None else None

    def extent(self) -> tuple[int, int, int, int]:
        """How many traces and spans there are, and when the first and the last trace began (Unix nanoseconds)."""
        traces, oldest, newest = self._connection.execute("SELECT count(*), min(start_ns), max(start_ns) FROM traces").fetchone()
        (spans,) = self._connection.execute("SELECT count(*) FROM spans").fetchone()
        return traces, spans, oldest or 0, newest or 0

    def _load(self, trace_id: str) -> Trace:
        spans = [SpanRow(*row) for row in self._connection.execute(_SELECT, (trace_id,))]
        said = {run_id: rows_about(self._connection, run_id) for run_id in (span.run_id for span in spans) if run_id is not None}
        return Trace(trace_id, spans, {run_id: rows for run_id, rows in said.items() if rows})


def _open(path: Path) -> sqlite3.Connection:
    address = f"file:{quote(str(path.absolute()))}"
    # The second way is for files in folders that cannot be written: SQLite cannot make its lock files there.
    for options in ("mode=ro", "mode=ro&immutable=1"):
        connection = sqlite3.connect(f"{address}?{options}", uri=True, timeout=BUSY_SECONDS)
        try:
            check_version(connection)
            connection.execute("SELECT 1 FROM traces LIMIT 1").fetchone()
        except sqlite3.DatabaseError as error:
            connection.close()
            problem = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise StoreError(f"it is not a store of tracer ({problem})")  # pyright: ignore[reportPossiblyUnboundVariable]


def attributes_of(row: SpanRow) -> dict[str, Any]:
    """The span's attributes, parsed."""
    return json.loads(row.attributes)


def tags_of(row: SpanRow) -> list[str]:
    """The span's tags, parsed."""
    return json.loads(row.tags)
