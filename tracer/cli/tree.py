"""The picture of a trace in the terminal."""

from __future__ import annotations

from datetime import datetime, timezone

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from tracer.call import COMPLETED, EMBEDDING, FAILED, LLM
from tracer.cli.contents import content_lines
from tracer.cli.forest import Node, Totals, forest, totals
from tracer.cli.output import facts
from tracer.cli.phrases import (
    attempt_facts,
    calls_words,
    cost_words,
    ending,
    error_words,
    no_tokens,
    shared_session,
    shared_tags,
    shared_user,
    value_words,
)
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
    shared = shared_tags(trace)
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


def _sums(sums: Totals) -> list[tuple[str, str]]:
    """Calls, tokens and cost of a trace."""
    return [
        (calls_words(sums), ""),
        (f"{sums.failed} failed" if sums.failed else "", "red"),
        (tokens(sums.input_tokens, sums.output_tokens) if sums.calls else "", ""),
        (cost_words(sums), ""),
    ]


def _heading(trace: Trace, shared: list[str]) -> Text:
    began = datetime.fromtimestamp(trace.start_ns / 1e9, tz=timezone.utc).astimezone()
    taken = duration((trace.end_ns - trace.start_ns) / 1e9)
    return Text.assemble(
        ("trace ", "bold"),
        (trace.trace_id, "bold"),
        "  ",
        facts((f"{began:%Y-%m-%d %H:%M:%S}", ""), (taken, ""), (_belongs(trace, shared), "cyan")),
        "\n",
        facts(*_sums(totals(trace))),
    )


def _belongs(trace: Trace, shared: list[str]) -> str:
    session, user = shared_session(trace), shared_user(trace)
    words = (f"session {session}" if session else "", f"user {user}" if user else "", ", ".join(shared))
    return printable(" · ".join(word for word in words if word))


def _label(node: Node, shared: list[str]) -> Text:
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
            (tokens(row.input_tokens, row.output_tokens) or no_tokens(row), ""),
            (money(row.cost, row.currency) if row.cost is not None else "", ""),
            (f"first chunk {duration(first)}" if first is not None else "", ""),
            (_ending(row, attributes.get(names.STREAM_CHUNKS)), _STYLES.get(row.outcome, _OTHER_ENDING)),
            (printable(", ".join(tag for tag in tags_of(row) if tag not in shared)), "cyan"),
            ("parent not recorded" if node.orphan else "", "dim"),
        ),
    )


def _ending(row: SpanRow, chunks: object) -> str:
    if row.outcome == COMPLETED:
        return row.outcome if row.kind in (LLM, EMBEDDING) else ""
    if row.outcome == FAILED:
        return one_line(f"failed: {error_words(row)}", _ERROR_LENGTH)
    return ending(row, chunks)


def _feedback(row: FeedbackRow) -> Text:
    """What somebody said about a run."""
    score = "" if row.score is None else f"{row.score:g}"
    value = "" if row.value is None else value_words(parsed(row.value))
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


def _attempt(row: SpanRow) -> Text:
    attempt = attempt_facts(row)
    return Text.assemble(
        f"attempt {attempt.number}  ",
        facts(
            (duration((row.end_ns - row.start_ns) / 1e9), ""),
            (attempt.result, _STYLES[row.outcome]),
            (f"after waiting {duration(attempt.wait)}" if attempt.wait is not None else "", ""),
        ),
    )
