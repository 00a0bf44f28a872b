"""Texts and values of the record on the page: short ones as they are, long ones behind a line that opens, very long ones cut."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tracer.cli.page.markup import Markup, element, isolated, joined
from tracer.export.texts import shorten_text
from tracer.export.values import json_text
from tracer.export.wording import one_line

_OPEN = 4_000
"""Characters of a text that is shown without a click."""

_WHOLE = 256 * 1024
"""Bytes that a text may have before its middle is left out; `tracer show --json` has all of it."""

_PREVIEW = 120


def text_block(text: str) -> Markup:
    """A text with its line breaks."""
    return _block(text, "text")


def code_block(text: str) -> Markup:
    """JSON, a stack: a text in which columns count."""
    return _block(text, "code")


def value_block(value: object) -> Markup:
    """A text as text, anything else as JSON on several lines."""
    return text_block(value) if isinstance(value, str) else code_block(pretty(value))


def pretty(value: object) -> str:
    """JSON for people.

    >>> pretty({"city": "Paris"})
    '{\\n  "city": "Paris"\\n}'
    """
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:
        return json_text(value)


def table(caption: str, rows: Iterable[tuple[str, Markup]]) -> Markup:
    """Names and values; empty where there are none."""
    lines = [element("tr", element("th", isolated(name), scope="row"), element("td", value)) for name, value in rows]
    return element("table", element("caption", caption), element("tbody", *lines)) if lines else Markup()


def section(title: str, *children: str, class_: str | None = None) -> Markup:
    """A part of an opened span; empty where it would have nothing in it."""
    inner = joined(*children)
    return element("section", element("h3", title), inner, class_=class_) if inner else Markup()


def folded(summary: str, *children: str, class_: str = "more") -> Markup:
    """What opens with a click."""
    return element("details", element("summary", summary), *children, class_=class_)


def _block(text: str, kind: str) -> Markup:
    if len(text) <= _OPEN:
        return _set(text, kind)
    shown = shorten_text(text, _WHOLE)
    cut = ", its middle left out" if shown != text else ""
    summary = joined(f"{len(text):,} characters{cut}: ", isolated(one_line(text, _PREVIEW)))
    return folded(summary, _set(shown, kind))


def _set(text: str, kind: str) -> Markup:
    return element("div", text, class_=kind, dir=None if text.isascii() else "auto")
