"""Reading a JSON text that has come only in part."""

from __future__ import annotations

import json
from typing import Any

_CUTS = 4
"""How many earlier places are tried before a text counts as no JSON; a cut in good JSON needs at most two."""


def partial_json(text: str) -> Any:
    """The value of a JSON text that may have been cut anywhere; None if nothing can be made of it.

    What stands half at the cut is left out, except texts and numbers, which are taken as far as they go.

    >>> partial_json('{"city": "Par'), partial_json('{"a": [1, 2'), partial_json('{"a": 1, "b": tr'), partial_json("no")
    ({'city': 'Par'}, {'a': [1, 2]}, {'a': 1}, None)
    """
    try:
        return json.loads(text, strict=False)
    except ValueError:
        pass
    for kept in _prefixes(text):
        try:
            return json.loads(kept, strict=False)
        except ValueError:
            continue
    return None


def _prefixes(text: str) -> list[str]:
    """The text as far as it can be whole, closed: all of it, without a half escape, and up to the last commas and brackets."""
    closers: list[str] = []
    cuts: list[tuple[int, str]] = []
    in_string = escaped = False
    for position, character in enumerate(text):
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "{[":
            closers.append("}" if character == "{" else "]")
            cuts.append((position + 1, "".join(reversed(closers))))
        elif character in "}]" and closers:
            closers.pop()
        elif character == ",":
            cuts.append((position, "".join(reversed(closers))))
    closing = "".join(reversed(closers))
    whole = [text + '"' + closing, text[: text.rfind("\\")] + '"' + closing] if in_string else [text + closing]
    return whole + [text[:position] + ends for position, ends in reversed(cuts[-_CUTS:])]
