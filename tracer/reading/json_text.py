"""Bytes or text to JSON values: orjson where it can, the standard library for what orjson refuses."""

from __future__ import annotations

import json
import re

import orjson

_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL)
_LONE_SURROGATE_LENGTH = 6


def parse(data: bytes | str) -> object:
    """The JSON value in `data`; `ValueError` where there is none.

    What strict parsers refuse but servers send is read all the same: NaN and infinities become null, lone surrogates and broken
    UTF-8 become U+FFFD (nothing behind this function could encode them), of duplicate keys the last counts.

    >>> parse(b'{"a": NaN, "b": "\\\\ud800!"}') == {"a": None, "b": "\\ufffd!"}
    True
    """
    try:
        return orjson.loads(data)
    except ValueError:
        return _parse_leniently(data)


def parse_exactly(data: bytes) -> tuple[object, bool]:
    """The JSON value in `data`, and whether the bytes are valid JSON as they are; `ValueError` where there is none.

    >>> parse_exactly(b"[1]"), parse_exactly(b"[NaN]")
    (([1], True), ([None], False))
    """
    try:
        return orjson.loads(data), True
    except ValueError:
        return _parse_leniently(data), False


def _parse_leniently(data: bytes | str) -> object:
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data.encode("utf-8", "replace").decode("utf-8")
    text = text.removeprefix("\ufeff")
    if "\\u" in text:
        text = _ESCAPE.sub(_without_lone_surrogate, text)
    try:
        return json.loads(text, parse_constant=_null, strict=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _without_lone_surrogate(match: re.Match[str]) -> str:
    escape = match.group()
    return "\\ufffd" if len(escape) == _LONE_SURROGATE_LENGTH else escape


def _null(_name: str) -> None:
    return None


def parse_container(text: str) -> object:
    """An object or list written as JSON text, as a value; any other text as it is.

    Arguments and results of tools are objects in the conventions, but texts on OpenAI's wire.

    >>> parse_container('{"city": "Paris"}'), parse_container("21.0"), parse_container('{"city": "Pa')
    ({'city': 'Paris'}, '21.0', '{"city": "Pa')
    """
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return parse(text)
    except ValueError:
        return text
