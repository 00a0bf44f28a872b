"""The page of `tracer show --html`: nothing of the record breaks out of it, and work grows with the trace and no faster."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.page_support import read_page, rows
from tests.support import ROOT
from tests.unit.cli.page_records import asked, judgement, message, page_of, span, text_of
from tracer.call import FAILED
from tracer.cli.page.document import document
from tracer.cli.page.markup import plain
from tracer.cli.page.values import pretty
from tracer.export import names
from tracer.store.reader import Trace
from tracer.store.rows import SpanRow

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><b onclick='x'>&amp;&lt;&#0;",
    "javascript:alert(1)",
    "</details></section></style><!-- <![CDATA[ ]]> --> <?php",
    "\u202egnp.exe\u2066 \u2069\u2069",
    "\x00\x1b[31m\r\n\x7f\x85\u2028\ufeff\ufffe\U0001ffff",
    "\ud83d lone \udc00",
    "https://example.org/?a=1&b=2",
]
texts = st.text(st.characters(codec=None), max_size=60) | st.sampled_from(HOSTILE)
values = st.recursive(
    texts | st.integers() | st.none() | st.booleans(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)


@settings(deadline=None, max_examples=150)
@given(said=st.lists(texts, min_size=12, max_size=12), value=values)
@example(said=[*HOSTILE, *HOSTILE][:12], value={text: [text] for text in HOSTILE})
def test_whatever_the_record_says_is_text_and_nothing_else(said: list[str], value: object) -> None:
    name, kind, model, error, session, tag, key, comment, role, attribute, prompt, tool = said
    parts = [{"type": "text", "content": prompt}, {"type": "tool_call", "name": tool, "arguments": value}, {"type": kind, "content": value}]
    row = span(
        1,
        name=name,
        kind=kind,
        model=model,
        outcome=FAILED,
        error_type=error,
        error_message=error,
        session=session,
        user=session,
        tags=[tag],
        currency=key,
        cost=1.0,
        attributes={
            f"x{attribute}": attribute,
            names.INPUT_MESSAGES: message(*parts, role=role, name=tool),
            names.OUTPUT_VALUE: json.dumps(value),
            names.TOOL_DEFINITIONS: json.dumps([{"type": kind, "name": tool, "description": prompt, "parameters": value}]),
        },
    )
    feedback = {f"{1:032x}": [judgement(key=key, comment=comment, value=json.dumps(value), correction=json.dumps(value), source=tag)]}
    # The reader refuses elements and attributes that the page does not have by itself.
    page = page_of(row, content=True, feedback=feedback)
    shown = {block.text for block in page.all("div", "text")}
    expected = [*(text for text in (name, kind, model, error, session, tag, comment) if text), attribute, prompt]
    assert {plain(text) for text in expected} <= shown
    if not isinstance(value, str):
        assert plain(pretty(value)) in {block.text for block in page.all("div", "code")}
    assert len(rows(page)) == 1
    without = page_of(row, feedback=feedback)
    assert {plain(text) for text in expected[:-1]} <= {block.text for block in without.all("div", "text")}


def test_texts_in_lines_keep_their_direction_to_themselves() -> None:
    hostile = "\u2067txet\u202egnp.exe"
    page = page_of(span(1, name=hostile, model=hostile, kind=hostile, tags=[hostile], error_type=hostile, outcome=FAILED), span(2, 1))
    holders = [
        item
        for name in ("b", "span", "h2", "bdi", "div")
        for item in page.all(name)
        if any("txet" in str(piece) for piece in item.pieces if isinstance(piece, str))
    ]
    assert len(holders) > 6
    for item in holders:
        assert item.name == "bdi" or item.attributes["dir"] == "auto"
        assert "\u202e" not in item.text


def test_long_texts_are_behind_a_line_and_very_long_ones_cut() -> None:
    long, huge = "word " * 2000, "x" * 1_000_000 + "end"
    text = text_of(span(1, attributes=asked({"type": "text", "content": long}, {"type": "text", "content": huge})), content=True)
    first, second = read_page(text).all("details", "more")
    assert first.one("summary").text.startswith("10,000 characters: word word")
    assert first.one("div", "text").text == long
    assert second.one("summary").text.startswith("1,000,003 characters, its middle left out: xxx")
    assert "bytes left out" in second.one("div", "text").text
    assert second.one("div", "text").text.endswith("end")
    assert len(text) < 350_000


# Large traces.


def wide(count: int) -> list[SpanRow]:
    return [span(1, taken=count), *(span(number, 1, start=number) for number in range(2, count + 1))]


def deep(count: int) -> list[SpanRow]:
    return [span(number, number - 1 if number > 1 else None) for number in range(1, count + 1)]


def cycles(count: int) -> list[SpanRow]:
    return [span(number, number) for number in range(1, count + 1)]


def test_a_tree_of_2000_levels_is_a_flat_list() -> None:
    found = rows(page_of(*deep(2000)))
    assert len(found) == 2000
    assert found[1999].one("span", "name").text.split() == ["level", "2000", "chain", "span", "2000"]
    assert found[1999].one_child("summary").attributes["style"] == "--level:12"


def calls_for(spans: Sequence[SpanRow]) -> int:
    """How many Python calls the page takes."""
    trace, count = Trace("ab" * 16, list(spans)), 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        for _ in document([trace], content=True):
            pass
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("shape", [wide, deep, cycles])
def test_work_grows_with_the_number_of_spans(shape: Any) -> None:
    some, twice = calls_for(shape(300)), calls_for(shape(600))
    assert twice < 2.05 * some


def test_5000_spans_are_a_page() -> None:
    pieces = list(document([Trace("ab" * 16, wide(5000))], content=True))
    assert "".join(pieces).count("</li>") == 5000
    # Written while it is made.
    assert max(map(len, pieces)) < 20_000


def test_the_style_is_in_the_wheel() -> None:
    wheel: Any = pytest.importorskip("hatchling.builders.wheel", reason="needs hatchling, which builds the wheel")
    files = {file.distribution_path for file in wheel.WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {"tracer/cli/page/style.css", "tracer/cli/page/document.py"} <= files
