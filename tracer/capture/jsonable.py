"""Values of the application as JSON, made at once, since the application may change them later."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, cast

import orjson

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY

_UNCHANGING = frozenset((str, int, float, bool))
_DUMPED: tuple[type, ...] = (dict, list, tuple, str, bytes, bool, int, float)


def to_json(value: object) -> bytes:
    """`value` as compact UTF-8 JSON; what JSON cannot say is shown as text. Never raises.

    Models of pydantic become objects, bytes base64, NaN null; lone surrogates are replaced; cycles and objects that refuse to be shown
    become a text that says so.

    >>> to_json({"answer": 42, "tags": {"a"}})
    b'{"answer":42,"tags":["a"]}'
    """
    try:
        return orjson.dumps(value, default=_plain, option=_OPTIONS)
    except Exception:
        pass
    try:
        return _slowly(value)
    except Exception:
        return b'"(a value that cannot be shown)"'


def snapshot(value: object) -> object:
    """`value` as it is now: texts, numbers and truth values themselves, anything else as a copy made of JSON's kinds of values.

    >>> snapshot("text"), snapshot((1, {"a": {2}}))
    ('text', [1, {'a': [2]}])
    """
    if value is None or type(value) in _UNCHANGING:
        return value
    return json.loads(to_json(value))


def snapshots(metadata: Mapping[str, object]) -> dict[str, object]:
    """Metadata as it is now."""
    return {name: snapshot(value) for name, value in metadata.items()}


def _plain(value: Any) -> Any:
    """One step towards JSON for a value that orjson does not know. Never raises, whatever the value's class does."""
    try:
        dump = None if isinstance(value, type) else getattr(value, "model_dump", None) or getattr(value, "to_json", None)
        if callable(dump):
            dumped = dump()
            # Objects that answer to every name, such as mocks, would go on for ever.
            return dumped if dumped is None or isinstance(dumped, _DUMPED) else _shown(cast("object", value))
        if isinstance(value, (set, frozenset)):
            return list(cast("set[Any]", value))
        if isinstance(value, bytes | bytearray):
            return base64.b64encode(bytes(value)).decode()
        if isinstance(value, Mapping):
            return dict(cast("Mapping[Any, Any]", value))
    except Exception:
        pass  # It is shown as text instead.
    return _shown(cast("object", value))


def _shown(value: object) -> str:
    try:
        return str.__str__(str(value))
    except Exception:
        return f"({type(value).__qualname__} that cannot be shown)"


_DEEPEST = 100


def _slowly(value: object) -> bytes:
    """The long way, for cycles, lone surrogates, huge integers, deep nesting and objects whose own methods raise."""
    return json.dumps(_reduced(value, 0, set()), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _reduced(value: Any, depth: int, above: set[int]) -> Any:
    try:
        return _reduced_one(value, depth, above)
    except Exception:
        return "(a value that cannot be shown)"


def _reduced_one(value: Any, depth: int, above: set[int]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        number = int.__int__(value)
        return number if -(2**63) <= number < 2**64 else _shown(value)
    if isinstance(value, float):
        number = float.__float__(value)
        return number if isfinite(number) else None
    if id(value) in above:
        return "(a cycle)"
    if depth >= _DEEPEST:
        return "(nested too deeply)"
    inside = above | {id(value)}
    if isinstance(value, Mapping):
        return {_key(key): _reduced(item, depth + 1, inside) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_reduced(item, depth + 1, inside) for item in cast("list[Any]", value)]
    return _reduced(_plain(value), depth + 1, inside)


def _key(key: object) -> str:
    return str.__str__(key) if isinstance(key, str) else _shown(key)
