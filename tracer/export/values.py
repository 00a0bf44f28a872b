"""Values made safe for every destination: well-formed text, JSON that always encodes, OpenTelemetry's attribute types.

Nothing here raises, whatever it is given: an odd value of the caller must never cost a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import orjson

from tracer.export.span import AttributeValue
from tracer.export.texts import shorten_text, well_formed

ATTRIBUTE_TEXT = 64 * 1024
"""Bytes of UTF-8 that one attribute other than content may have: metadata, error messages, stack traces."""

# orjson gives up at 254 levels; beyond this depth nobody reads a value as a structure any more.
_DEPTH = 100
_INT64 = range(-(2**63), 2**63)


def json_bytes(value: object) -> bytes:
    """Compact JSON in UTF-8, valid for any value: NaN becomes null, lone surrogates U+FFFD, unknown objects their `str`.

    >>> json_bytes([{"role": "user", "score": float("nan")}])
    b'[{"role":"user","score":null}]'
    """
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return orjson.dumps(_plain(value, ()))


def json_text(value: object) -> str:
    """`json_bytes` as text."""
    return json_bytes(value).decode()


def attribute_value(value: object) -> AttributeValue | None:
    """The value in one of OpenTelemetry's attribute types: text, bool, int (64 bits), double, or a list of one of them.

    Mappings, mixed lists and integers beyond 64 bits become text; None and empty values give None, since an attribute without a
    value must not be set. Long texts are shortened to `ATTRIBUTE_TEXT` bytes.

    >>> attribute_value({"a": 1}), attribute_value([1, 2.5]), attribute_value("")
    ('{"a":1}', [1.0, 2.5], None)
    """
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, str):
        return _short(value) or None
    if isinstance(value, int):
        return int(value) if value in _INT64 else str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return _attribute_list(list(cast("list[object]", value)))
    if isinstance(value, Mapping):
        return _short(json_text(cast("object", value))) if value else None
    return _short(_described(value)) or None


def _short(text: str) -> str:
    return shorten_text(well_formed(text), ATTRIBUTE_TEXT)


def _attribute_list(items: list[object]) -> AttributeValue | None:
    if len(items) == 1 and type(items[0]) is str and items[0].isascii() and len(items[0]) <= ATTRIBUTE_TEXT:
        return cast("list[str]", items)  # Finish reasons, nearly always.
    kinds = {type(item) for item in items}
    if not kinds:
        return None
    if kinds == {str}:
        return [_short(item) for item in cast("list[str]", items)]
    if kinds == {bool}:
        return cast("list[bool]", items)
    if kinds == {int} and all(item in _INT64 for item in cast("list[int]", items)):
        return cast("list[int]", items)
    if kinds in ({float}, {int, float}):
        return [float(item) for item in cast("list[float]", items)]
    return _short(json_text(items))


def _plain(value: object, above: tuple[int, ...]) -> Any:
    """The value in types that orjson takes without fail."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, int):
        return int(value) if value in _INT64 else str(value)
    if id(value) in above or len(above) >= _DEPTH:
        return "[…]"
    inside = (*above, id(value))
    if isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value)
        return {well_formed(_described(key)): _plain(item, inside) for key, item in entries.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, inside) for item in cast("list[object]", value)]
    return well_formed(_described(value))


def _described(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"
