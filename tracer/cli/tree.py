"""The picture of a trace in the terminal."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from tracer.call import COMPLETED, EMBEDDING, FAILED, LLM, STOPPED
from tracer.cli.contents import content_lines
from tracer.cli.forest import Node, Totals, forest, totals
from tracer.cli.output import facts
from tracer.evaluation import API
from tracer.export import names
from tracer.export.wording import duration, money, one_line, printable, tokens
from tracer.store.judgements import FeedbackRow, parsed
from tracer.store.reader import Trace, attributes_of, tags_of
from tracer.store.rows import ATTEMPT, SpanRow

_STYLES = {FAILED: "red", COMPLETED: "green"}
_OTHER_ENDING = "yellow"
_ERROR_LENGTH = 120
_SAID_LENGTH = 200


def print_trace(console: Console, trace: Trace, *, content: bool = False) -> None:
    """Print one trace: a line about all of it, and the tree of its spans below."""
    shared = _shared_tags(trace)
    tree = Tree(_heading(trace, shared), guide_style="dim")
    waiting = [(tree, node) for node in reversed(forest(trace))]
    while waiting:
        branch, node = waiting.pop()
        inner = branch.add(_label(node, shared))
        if content:
            for label, text in content_lines(attributes_of(node.row)):
                inner.add(Text.assemble((f"{label}: ", "cyan"), (text, "")))
        for given in trace.feedback.get(node.row.run_id or "", ()):
            inner.add(_feedback(given))
        waiting.extend((inner, child) for child in reversed(node.children))
    console.print(tree)


def sums_text(sums: Totals) -> list[tuple[str, str]]:
    """Calls, tokens and cost of a trace as facts; says how many calls the cost is known for if not for all."""
    cost = " + ".join(money(total, currency) for currency, total in sums.cost.items())
    partly = f" (known for {sums.priced} of {sums.calls} calls)" if cost and sums.priced < sums.calls else ""
    return [
        ("1 model call" if sums.calls == 1 else f"{sums.calls} model calls", ""),
        (f"{sums.failed} failed" if sums.failed else "", "red"),
        (tokens(sums.input_tokens, sums.output_tokens) if sums.calls else "", ""),
        (cost + partly, ""),
    ]


def _heading(trace: Trace, shared_tags: list[str]) -> Text:
    began = datetime.fromtimestamp(trace.start_ns / 1e9, tz=timezone.utc).astimezone()
    taken = duration((trace.end_ns - trace.start_ns) / 1e9)
    return Text.assemble(
        ("trace ", "bold"),
        (trace.trace_id, "bold"),
        "  ",
        facts((f"{began:%Y-%m-%d %H:%M:%S}", ""), (taken, ""), (_belongs(trace, shared_tags), "cyan")),
        "\n",
        facts(*sums_text(totals(trace))),
    )


def _shared_tags(trace: Trace) -> list[str]:
    """Tags that every span has, in their order; they are said once, in the heading."""
    of_spans = [tags_of(row) for row in trace.spans if row.kind != ATTEMPT]
    return [tag for tag in (of_spans[0] if of_spans else []) if all(tag in tags for tags in of_spans)]


def _belongs(trace: Trace, shared_tags: list[str]) -> str:
    """Session and user where all spans agree on them, and the tags that all have."""
    sessions = {row.session for row in trace.spans if row.kind != ATTEMPT}
    users = {row.user for row in trace.spans if row.kind != ATTEMPT}
    session = sessions.pop() if len(sessions) == 1 else None
    user = users.pop() if len(users) == 1 else None
    words = (f"session {session}" if session else "", f"user {user}" if user else "", ", ".join(shared_tags))
    return printable(" · ".join(word for word in words if word))


def _label(node: Node, shared_tags: list[str]) -> Text:
    row = node.row
    if row.kind == ATTEMPT:
        return _attempt(row)
    attributes = attributes_of(row)
    first = row.time_to_first_chunk
    return Text.assemble(
        (printable(row.name), "bold"),
        "  ",
        facts(
            (duration((row.end_ns - row.start_ns) / 1e9), ""),
            (tokens(row.input_tokens, row.output_tokens) or _no_tokens(row), ""),
            (money(row.cost, row.currency) if row.cost is not None else "", ""),
            (f"first chunk {duration(first)}" if first is not None else "", ""),
            (_ending(row, attributes.get(names.STREAM_CHUNKS)), _STYLES.get(row.outcome, _OTHER_ENDING)),
            (printable(", ".join(tag for tag in tags_of(row) if tag not in shared_tags)), "cyan"),
            ("parent not recorded" if node.orphan else "", "dim"),
        ),
    )


def _no_tokens(row: SpanRow) -> str:
    return "tokens not reported" if row.kind in (LLM, EMBEDDING) and row.outcome != FAILED else ""


def _ending(row: SpanRow, chunks: object) -> str:
    if row.outcome == COMPLETED:
        return row.outcome if row.kind in (LLM, EMBEDDING) else ""
    if row.outcome == STOPPED and chunks is not None:
        return f"stopped after {chunks} chunks"
    if row.outcome == FAILED:
        return one_line(f"failed: {row.error_type or ''} {row.error_message or ''}".strip(), _ERROR_LENGTH)
    return row.outcome


def _feedback(row: FeedbackRow) -> Text:
    """What somebody said about a run."""
    score = "" if row.score is None else f"{row.score:g}"
    value = "" if row.value is None else _worded(parsed(row.value))
    return Text.assemble(
        ("feedback ", "dim"),
        (printable(row.key), "bold"),
        "  ",
        facts(
            (score, ""),
            (one_line(value, _SAID_LENGTH), ""),
            (one_line(row.comment or "", _SAID_LENGTH), ""),
            (one_line(f"should be {row.correction}" if row.correction is not None else "", _SAID_LENGTH), ""),
            (printable(row.source) if row.source != API else "", "cyan"),
        ),
    )


def _worded(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _attempt(row: SpanRow) -> Text:
    attributes = attributes_of(row)
    number = int(attributes.get(names.HTTP_REQUEST_RESEND_COUNT, 0)) + 1
    status = attributes.get(names.HTTP_RESPONSE_STATUS_CODE)
    wait = attributes.get(names.ATTEMPT_WAIT)
    return Text.assemble(
        f"attempt {number}  ",
        facts(
            (duration((row.end_ns - row.start_ns) / 1e9), ""),
            (str(status) if status is not None else row.error_type or "", _STYLES[row.outcome]),
            (f"after waiting {duration(wait)}" if wait is not None else "", ""),
        ),
    )
