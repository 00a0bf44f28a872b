"""HTML from Python values. What is not `Markup` is escaped, so nothing that a model or a caller wrote can become an element."""

from __future__ import annotations

import html

from tracer.export.texts import well_formed
from tracer.export.wording import printable

_LAST_OF_PLANES = [plane * 0x10000 + last for plane in range(17) for last in (0xFFFE, 0xFFFF)]
_OVERRIDES = [0x202D, 0x202E]
# HTML forbids noncharacters, also as references. Overrides of the direction of writing make a text read as another one.
_REPLACED = dict.fromkeys([*range(0xFDD0, 0xFDF0), *_LAST_OF_PLANES, *_OVERRIDES], "\ufffd")
_VOID = frozenset({"img", "meta"})


class Markup(str):
    """A text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: object) -> Markup:
    """An element. Attributes that are None or False are left out, True stands alone; `class_` becomes `class`, `aria_hidden` `aria-hidden`.

    >>> element("p", "a < b ", element("b", "!"), class_="note", hidden=None)
    '<p class="note">a &lt; b <b>!</b></p>'
    """
    opening = f"<{name}{_attributes(attributes)}>" if attributes else f"<{name}>"
    return Markup(opening) if name in _VOID else Markup(f"{opening}{joined(*children)}</{name}>")


def joined(*children: str) -> Markup:
    """Elements and texts one after the other."""
    return Markup("".join(child if type(child) is Markup else escaped(child) for child in children))


def escaped(text: str) -> str:
    """The text with what HTML cannot carry replaced, and what means something in HTML written as references."""
    return html.escape(plain(text))


def plain(text: str) -> str:
    """The text as a reader of the page gets it: control characters, lone surrogates, noncharacters are U+FFFD.

    >>> plain("one" + chr(13) + chr(10) + "two" + chr(0))
    'one\\ntwo\ufffd'
    """
    if text.isascii() and text.isprintable():
        return text  # Nearly every name and figure; a large trace has hundreds of thousands.
    cleaned = printable(well_formed(text).replace("\r\n", "\n"))
    return cleaned if cleaned.isascii() else cleaned.translate(_REPLACED)


def isolated(text: str) -> Markup:
    """A text of the record inside a line: what it says about the direction of writing ends where it ends."""
    return Markup(escaped(text)) if text.isascii() else element("bdi", text)


def _attributes(attributes: dict[str, object]) -> str:
    written: list[str] = []
    for name, value in attributes.items():
        spelled = name.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {spelled}")
        elif value is not None and value is not False:
            written.append(f' {spelled}="{escaped(str(value))}"')
    return "".join(written)
