"""Reading the page of `tracer show --html` in tests, strictly: every element is closed, in order, and is one that pages have."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import NoReturn

VOID = {"meta", "img"}

# Attributes by element, and what their values may be: figures and words of ours, never a text of the record.
STYLE = re.compile(r"(left:[\d.]+%(;width:[\d.]+%)?|--level:\d+)")
CLASSES = re.compile(r"[a-z ]+")
ALLOWED: dict[str, re.Pattern[str]] = {
    "class": CLASSES,
    "style": STYLE,
    "id": re.compile(r"(trace|name)-\d+"),
    "href": re.compile(r"#trace-\d+"),
    "src": re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+"),
    "alt": re.compile("the image that was sent"),
    "title": re.compile(r"starts at -?[\d.minµs ]+(, first chunk after [\d.minµs ]+)?"),
    "datetime": re.compile(r"[\dT:.-]+Z"),
    "dir": re.compile("auto"),
    "lang": re.compile("en"),
    "scope": re.compile("row|col"),
    "aria-hidden": re.compile("true"),
    "aria-label": re.compile("Traces"),
    "aria-labelledby": re.compile(r"name-\d+"),
    "charset": re.compile("utf-8"),
    "http-equiv": re.compile("Content-Security-Policy"),
    "name": re.compile("viewport|referrer"),
    "content": re.compile(
        r"no-referrer|width=device-width, initial-scale=1|default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    ),
}
_STRUCTURE = ("html", "head", "meta", "title", "style", "body", "header", "main", "section", "nav", "h1", "h2", "h3", "details", "summary")
_LISTS = ("ol", "li", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th", "td")
ELEMENTS = frozenset((*_STRUCTURE, *_LISTS, "p", "a", "b", "bdi", "div", "span", "code", "time", "img"))


@dataclass(slots=True)
class Element:
    """An element with everything inside of it, and the text right in it and below."""

    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list["Element"])
    pieces: list[str | Element] = field(default_factory=list["str | Element"])

    @property
    def text(self) -> str:
        """All text in it."""
        found: list[str] = []
        waiting: list[str | Element] = [self]
        while waiting:
            item = waiting.pop()
            if isinstance(item, str):
                found.append(item)
            else:
                waiting.extend(reversed(item.pieces))
        return "".join(found)

    def all(self, name: str, class_: str = "") -> list[Element]:
        """Elements of that name with that class, in order."""
        return self._all(lambda found: found.name == name and (not class_ or class_ in found.attributes.get("class", "").split()))

    def one(self, name: str, class_: str = "") -> Element:
        """The only one of them."""
        (found,) = self.all(name, class_)
        return found

    def one_child(self, name: str) -> Element:
        """The only child of that name."""
        (found,) = [child for child in self.children if child.name == name]
        return found

    def _all(self, wanted: Callable[[Element], bool]) -> list[Element]:
        found: list[Element] = []
        waiting: list[Element] = [self]
        while waiting:
            item = waiting.pop()
            if wanted(item):
                found.append(item)
            waiting += reversed(item.children)
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]
        self.deepest = 0

    def handle_decl(self, decl: str) -> None:
        assert decl == "DOCTYPE html"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS, tag
        attributes = {name: value or "" for name, value in attrs}
        assert len(attributes) == len(attrs)
        for name, value in attributes.items():
            pattern = ALLOWED[name]
            assert pattern.fullmatch(value), (tag, name, value[:200])
        found = Element(tag, attributes)
        self.open[-1].children.append(found)
        self.open[-1].pieces.append(found)
        if tag not in VOID:
            self.open.append(found)
            self.deepest = max(self.deepest, len(self.open))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].pieces.append(data)

    def _unexpected(self, data: str) -> NoReturn:
        raise AssertionError(data[:200])

    handle_comment = handle_pi = unknown_decl = handle_startendtag = _unexpected  # pyright: ignore[reportAssignmentType]


def read_page(text: str) -> Element:
    """The page's root element; an `AssertionError` where it is not what such a page may be."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == [reader.root]
    # Browsers stop nesting at 512.
    assert reader.deepest < 40
    assert not re.search(r"[^\n\t\x20-\x7e\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]", text)
    return reader.root.one("html")


def rows(page: Element) -> list[Element]:
    """The `details` of the spans, in order."""
    return [row for part in page.all("div", "waterfall") for item in part.one_child("ol").children for row in item.children]
