"""What a span of the page opens to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tracer.cli.contents import CONTENT_NAMES, contents
from tracer.cli.forest import Node
from tracer.cli.json_shape import iso_time
from tracer.cli.page.markup import Markup, element, isolated, joined
from tracer.cli.page.messages import content_sections
from tracer.cli.page.values import code_block, folded, section, table, text_block, value_block
from tracer.cli.phrases import attempt_facts, ending, value_words
from tracer.evaluation import API
from tracer.export import names
from tracer.export.wording import duration, money, tokens
from tracer.store.judgements import FeedbackRow, parsed
from tracer.store.reader import tags_of
from tracer.store.rows import ATTEMPT, SpanRow

_FIRSTS = {
    names.RESPONSE_TIME_TO_FIRST_CHUNK: "first chunk",
    names.STREAM_FIRST_REASONING: "first reasoning",
    names.STREAM_FIRST_TEXT: "first text",
    names.STREAM_FIRST_TOOL_CALL: "first tool call",
}


def details(node: Node, attributes: Mapping[str, Any], said: list[FeedbackRow], *, content: bool) -> Markup:
    """Everything that is known of a span, in sections. `said` is the feedback about it."""
    row = node.row
    parts = [
        _error(row, attributes),
        *(content_sections(contents(attributes), attributes) if content else ()),
        _feedback(said),
        element(
            "div",
            section("Timeline", _timeline(node, attributes)),
            section("Parameters", table("Parameters of the request", _parameters(attributes))),
            section("Span", table("Facts of the span", _facts(row))),
        ),
        section("Attributes", table("All other attributes", _others(attributes))),
    ]
    return element("div", *parts, class_="body")


def _error(row: SpanRow, attributes: Mapping[str, Any]) -> Markup:
    if row.error_type is None and row.error_message is None:
        return Markup()
    stack = attributes.get(names.EXCEPTION_STACKTRACE)
    return section(
        "Error",
        element("p", element("b", isolated(row.error_type or "error"))),
        text_block(row.error_message) if row.error_message else Markup(),
        folded("Stack", code_block(stack)) if isinstance(stack, str) else Markup(),
        class_="wide error",
    )


@dataclass(slots=True)
class _Moment:
    """Something that happened, in seconds from the start of its span."""

    offset: float
    what: str
    detail: str = ""


def _timeline(node: Node, attributes: Mapping[str, Any]) -> Markup:
    row = node.row
    taken = (row.end_ns - row.start_ns) / 1e9
    moments = [_attempt(child.row, row.start_ns) for child in node.children if child.row.kind == ATTEMPT]
    moments += [_Moment(float(attributes[name]), what) for name, what in _FIRSTS.items() if isinstance(attributes.get(name), int | float)]
    moments.sort(key=lambda moment: moment.offset)
    moments = [
        _Moment(0, "start", iso_time(row.start_ns)),
        *moments,
        _Moment(taken, "end", ending(row, attributes.get(names.STREAM_CHUNKS))),
    ]
    head = element("tr", *(element("th", title, scope="col") for title in ("Offset", "What", "")))
    lines = [
        element(
            "tr",
            element("td", f"+{duration(moment.offset)}", class_="number"),
            element("th", moment.what, scope="row"),
            element("td", isolated(moment.detail)),
        )
        for moment in moments
    ]
    return element("table", element("caption", "What happened when"), element("thead", head), element("tbody", *lines), class_="timeline")


def _attempt(row: SpanRow, start_ns: int) -> _Moment:
    attempt = attempt_facts(row)
    waited = f", after waiting {duration(attempt.wait)}" if attempt.wait is not None else ""
    taken = duration((row.end_ns - row.start_ns) / 1e9)
    return _Moment((row.start_ns - start_ns) / 1e9, f"attempt {attempt.number}", f"{attempt.result}, took {taken}{waited}")


def _facts(row: SpanRow) -> Iterator[tuple[str, Markup]]:
    facts = {
        "name": row.name,
        "kind": row.kind,
        "operation": row.operation,
        "model": row.model,
        "tokens": tokens(row.input_tokens, row.output_tokens),
        "cost": None if row.cost is None else money(row.cost, row.currency),
        "session": row.session,
        "user": row.user,
        "tags": ", ".join(tags_of(row)),
        "run id": None if row.run_id is None else str(UUID(row.run_id)),
        "span id": row.span_id,
        "parent span id": row.parent_span_id,
    }
    for name, value in facts.items():
        if value:
            yield name, text_block(value)


def _parameters(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Markup]]:
    for name, value in attributes.items():
        if name.startswith(names.REQUEST_PREFIX):
            yield name.removeprefix(names.REQUEST_PREFIX), value_block(value)


def _others(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Markup]]:
    for name, value in attributes.items():
        if not name.startswith(names.REQUEST_PREFIX) and name not in CONTENT_NAMES and name != names.EXCEPTION_STACKTRACE:
            yield name, text_block(value_words(value))


def _feedback(said: list[FeedbackRow]) -> Markup:
    return section("Feedback", *map(_judgement, said), class_="wide")


def _judgement(row: FeedbackRow) -> Markup:
    score = "" if row.score is None else f"{row.score:g}"
    by = "" if row.source == API else f"by {row.source}"
    facts = [isolated(text) for text in (score, by, iso_time(row.time_ns)) if text]
    heading = [element("b", isolated(row.key)), *(element("span", fact, class_="note") for fact in facts)]
    return element(
        "div",
        joined(*heading),
        value_block(parsed(row.value)) if row.value is not None else Markup(),
        text_block(row.comment) if row.comment else Markup(),
        joined(element("span", "should be", class_="label"), value_block(parsed(row.correction))) if row.correction else Markup(),
        class_="part",
    )
