"""The spans of a trace on the page: a row for each, with a bar for when it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tracer.call import FAILED, KINDS, OUTCOMES
from tracer.cli.forest import Node, forest, walk
from tracer.cli.page.details import details
from tracer.cli.page.markup import Markup, element, isolated
from tracer.cli.phrases import attempt_facts, ending, error_words, no_tokens, shared_tags
from tracer.export import names
from tracer.export.wording import duration, money, one_line, tokens
from tracer.store.judgements import FeedbackRow
from tracer.store.reader import Trace, attributes_of, tags_of
from tracer.store.rows import ATTEMPT, SpanRow

_NAME_LENGTH = 200
_ERROR_LENGTH = 300
_CHIP_LENGTH = 40
_CHIPS = 8

_INDENTED = 12
"""Levels that are set in from the left; deeper ones say their level."""

_TICKS = 4


@dataclass(slots=True, frozen=True)
class _Scale:
    """What the bars stand on: start and duration of the trace."""

    start_ns: int
    taken_ns: int


def waterfall(trace: Trace, *, content: bool) -> Iterator[Markup]:
    """The rows, with a scale above them, piece by piece: a large trace is written while it is made."""
    shared, scale = shared_tags(trace), _Scale(trace.start_ns, trace.end_ns - trace.start_ns)
    yield Markup('<div class="waterfall">')
    yield _head(scale.taken_ns / 1e9)
    yield Markup("<ol>")
    for node, depth in walk(forest(trace)):
        attributes = attributes_of(node.row)
        said = trace.feedback.get(node.row.run_id or "", [])
        summary = _summary(scale, node, depth, attributes, [*_chips(node, shared), *map(_judged, said[:_CHIPS])])
        yield element("li", element("details", summary, details(node, attributes, said, content=content)))
        yield Markup("\n")
    yield Markup("</ol></div>")


def _head(seconds: float) -> Markup:
    ticks = [element("span", duration(seconds * tick / _TICKS), style=f"left:{100 * tick / _TICKS:g}%") for tick in range(_TICKS + 1)]
    titles = ("Span", element("span", *ticks, class_="ticks"), "Duration", "Tokens", "Cost", "Outcome")
    # Each row says the same to those who do not see it.
    return element("div", *(element("span", title) for title in titles), class_="scale", aria_hidden="true")


def _summary(scale: _Scale, node: Node, depth: int, attributes: Mapping[str, Any], chips: list[Markup]) -> Markup:
    row = node.row
    cells = [
        _name(row, depth, chips),
        _bar(scale, row),
        element("span", duration((row.end_ns - row.start_ns) / 1e9), class_="number"),
        element("span", tokens(row.input_tokens, row.output_tokens) or no_tokens(row), class_="number"),
        element("span", money(row.cost, row.currency) if row.cost is not None else "", class_="number"),
        _outcome(row, attributes),
    ]
    if row.outcome == FAILED and row.kind != ATTEMPT:
        cells.append(element("span", isolated(one_line(error_words(row), _ERROR_LENGTH)), class_="problem"))
    return element("summary", *cells, style=f"--level:{min(depth, _INDENTED)}")


def _name(row: SpanRow, depth: int, chips: list[Markup]) -> Markup:
    attempt = row.kind == ATTEMPT
    name = f"attempt {attempt_facts(row).number}" if attempt else one_line(row.name, _NAME_LENGTH)
    level = element("span", f"level {depth + 1}", class_="note" if depth > _INDENTED else "unseen")
    kind = element("span", isolated(one_line(row.kind, _CHIP_LENGTH)), class_="kind")
    model = row.model or ""
    if model and model not in row.name:
        chips = [element("span", isolated(one_line(model, _NAME_LENGTH)), class_="chip"), *chips]
    words = [level, Markup() if attempt else kind, element("b", isolated(name)), *chips]
    return element("span", *(part for word in words for part in (word, " ")), class_="name")


def _chips(node: Node, shared: list[str]) -> Iterator[Markup]:
    if node.orphan:
        yield element("span", "parent not recorded", class_="note")
    own = [tag for tag in tags_of(node.row) if tag not in shared]
    for tag in own[:_CHIPS]:
        yield element("span", isolated(one_line(tag, _CHIP_LENGTH)), class_="chip")
    if len(own) > _CHIPS:
        yield element("span", f"and {len(own) - _CHIPS} more", class_="note")


def _judged(row: FeedbackRow) -> Markup:
    score = "" if row.score is None else f" {row.score:g}"
    return element("span", "feedback ", isolated(one_line(row.key, _CHIP_LENGTH)), score, class_="chip feedback")


def _bar(scale: _Scale, row: SpanRow) -> Markup:
    """The span's part of the trace's time; a mark in it where the first piece of the answer came."""
    whole = max(scale.taken_ns, 1)
    offset, taken = row.start_ns - scale.start_ns, max(row.end_ns - row.start_ns, 0)
    words = f"starts at {duration(offset / 1e9)}"
    first, mark = row.time_to_first_chunk, Markup()
    if first is not None:
        words += f", first chunk after {duration(first)}"
        mark = element("span", class_="first", style=f"left:{_percent(first * 1e9, max(taken, 1))}")
    kind = row.kind if row.kind in (*KINDS, ATTEMPT) else "other"
    look = f"bar {kind}{' failed' if row.outcome == FAILED else ''}"
    bar = element("span", mark, class_=look, style=f"left:{_percent(offset, whole)};width:{_percent(taken, whole)}")
    return element("span", element("span", words, class_="unseen"), bar, class_="track", title=words)


def _percent(part: float, whole: float) -> str:
    return f"{min(max(100 * part / whole, 0), 100):.3f}%"


def _outcome(row: SpanRow, attributes: Mapping[str, Any]) -> Markup:
    words = ending(row, attributes.get(names.STREAM_CHUNKS))
    if row.kind == ATTEMPT:
        result = attempt_facts(row).result
        words = f"{words} · {result}" if result else words
    return element("span", isolated(words), class_=f"outcome {row.outcome if row.outcome in OUTCOMES else 'other'}")
