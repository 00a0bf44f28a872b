"""The shape of `tracer show --json`: one array of traces, oldest first. Keys are only ever added.

A trace: `trace_id` (hex), `start` (ISO 8601, UTC), `duration` (seconds), `calls`, `failed`, `input_tokens`, `output_tokens`, `cost` (an
object of sums by currency; empty when no price is known), `spans` (an array in the order of the tree).

A span: `span_id`, `parent_span_id` (hex or null), `run_id` (UUID; null for attempts), `depth` (0 for a root), `name`, `kind` (llm,
embedding, chain, tool, retriever, agent, request, attempt), `operation`, `model`, `start`, `duration`, `outcome` (completed, failed,
stopped, cancelled, abandoned, unfinished), `error` (null, or an object with `type` and `message`), `input_tokens`, `output_tokens`, `cost`,
`currency`, `time_to_first_chunk` (seconds), `session`, `user`, `tags` (array), `attributes` (object, as sent over OTLP, without content;
`exception.stacktrace`, which OTLP has in an event, is among them),
`feedback` (array, oldest first, of objects with `id` (UUID), `key`, `score`, `value`, `comment`, `correction`, `source`, `time`).
What is not known is null. With `--content` also `content`: an object with those of `system_instructions`, `input_messages`,
`output_messages`, `tool_definitions`, `retrieval_query`, `retrieval_documents`, `arguments`, `result`, `input`, `output` that were
recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from tracer.cli.contents import CONTENT_NAMES, contents
from tracer.cli.forest import Node, forest, totals, walk
from tracer.store.judgements import FeedbackRow, parsed
from tracer.store.reader import Trace, attributes_of, tags_of

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def trace_object(trace: Trace, *, content: bool) -> dict[str, Any]:
    """One trace in the shape above."""
    sums = totals(trace)
    return {
        "trace_id": trace.trace_id,
        "start": iso_time(trace.start_ns),
        "duration": _seconds(trace.start_ns, trace.end_ns),
        "calls": sums.calls,
        "failed": sums.failed,
        "input_tokens": sums.input_tokens,
        "output_tokens": sums.output_tokens,
        "cost": dict(sums.cost),
        "spans": [_span_object(node, depth, trace.feedback, content=content) for node, depth in walk(forest(trace))],
    }


def _span_object(node: Node, depth: int, said: Mapping[str, list[FeedbackRow]], *, content: bool) -> dict[str, Any]:
    row = node.row
    attributes = attributes_of(row)
    result: dict[str, Any] = {
        "span_id": row.span_id,
        "parent_span_id": row.parent_span_id,
        "run_id": None if row.run_id is None else str(UUID(row.run_id)),
        "depth": depth,
        "name": row.name,
        "kind": row.kind,
        "operation": row.operation,
        "model": row.model,
        "start": iso_time(row.start_ns),
        "duration": _seconds(row.start_ns, row.end_ns),
        "outcome": row.outcome,
        "error": None if row.error_type is None else {"type": row.error_type, "message": row.error_message},
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost": row.cost,
        "currency": row.currency,
        "time_to_first_chunk": row.time_to_first_chunk,
        "session": row.session,
        "user": row.user,
        "tags": tags_of(row),
        "attributes": {name: value for name, value in attributes.items() if name not in CONTENT_NAMES},
        "feedback": [_feedback_object(given) for given in said.get(row.run_id or "", ())],
    }
    if content:
        result["content"] = contents(attributes)
    return result


def _feedback_object(row: FeedbackRow) -> dict[str, Any]:
    return {
        "id": str(UUID(row.id)),
        "key": row.key,
        "score": row.score,
        "value": parsed(row.value),
        "comment": row.comment,
        "correction": parsed(row.correction),
        "source": row.source,
        "time": iso_time(row.time_ns),
    }


def iso_time(nanoseconds: int) -> str:
    """Unix nanoseconds as ISO 8601 in UTC.

    >>> iso_time(1_500_000_000)
    '1970-01-01T00:00:01.500000Z'
    """
    return (_EPOCH + timedelta(microseconds=nanoseconds // 1000)).isoformat().replace("+00:00", "Z")


def _seconds(start_ns: int, end_ns: int) -> float:
    return (end_ns - start_ns) / 1e9
