"""Traces made by hand, and their pages."""

from __future__ import annotations

import json
from typing import Any

from tests.page_support import Element, read_page
from tracer.call import COMPLETED
from tracer.cli.page.document import document
from tracer.export import names
from tracer.store.judgements import FeedbackRow
from tracer.store.reader import Trace
from tracer.store.rows import SpanRow

START = 1_700_000_000_000_000_000
MILLISECOND = 1_000_000


def span(number: int, parent: int | None = None, *, start: int = 0, taken: int = 100, **changes: Any) -> SpanRow:
    """A row of the store; `start` and `taken` in milliseconds."""
    values: dict[str, Any] = dict.fromkeys(SpanRow.__dataclass_fields__)
    values |= {
        "trace_id": "ab" * 16,
        "span_id": f"{number:016x}",
        "parent_span_id": None if parent is None else f"{parent:016x}",
        "run_id": f"{number:032x}",
        "name": f"span {number}",
        "kind": "chain",
        "start_ns": START + start * MILLISECOND,
        "end_ns": START + (start + taken) * MILLISECOND,
        "outcome": COMPLETED,
        "tags": [],
        "attributes": {},
        **changes,
    }
    values |= {"tags": json.dumps(values["tags"]), "attributes": json.dumps(values["attributes"])}
    return SpanRow(**values)


def text_of(*spans: SpanRow, content: bool = False, feedback: dict[str, list[FeedbackRow]] | None = None) -> str:
    """The page of one trace."""
    return "".join(document([Trace("ab" * 16, list(spans), feedback or {})], content=content))


def page_of(*spans: SpanRow, content: bool = False, feedback: dict[str, list[FeedbackRow]] | None = None) -> Element:
    """The same, read."""
    return read_page(text_of(*spans, content=content, feedback=feedback))


def message(*parts: object, role: str = "user", **more: object) -> str:
    """Messages as they stand in an attribute: one, of these parts."""
    return json.dumps([{"role": role, "parts": list(parts), **more}])


def asked(*parts: object) -> dict[str, str]:
    """Attributes of a call with that question."""
    return {names.INPUT_MESSAGES: message(*parts)}


def judgement(**changes: Any) -> FeedbackRow:
    """A row of feedback about span 1."""
    values: dict[str, Any] = {"value": None, "comment": None, "correction": None, "score": 1, "source": "api", "key": "helpful", **changes}
    return FeedbackRow(id="0" * 32, run_id=f"{1:032x}", trace_id=None, span_id=None, time_ns=START, **values)
