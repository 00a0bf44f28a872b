"""Fragments of base64 texts and of typed parts, made whole."""

from __future__ import annotations

import base64
from typing import Any, cast

from tracer.reading.merge import REASONING, TEXT

_GROWING = ("text", "summary", "thinking")


def join_base64(fragments: list[str]) -> str:
    """One base64 text from fragments that were cut anywhere, or each encoded for itself.

    >>> join_base64(["aGVs", "bG8="]), join_base64(["aA==", "aQ=="])
    ('aGVsbG8=', 'aGk=')
    """
    if not any(fragment.endswith("=") for fragment in fragments[:-1]):
        return "".join(fragments)
    return base64.b64encode(b"".join(base64.b64decode(fragment) for fragment in fragments)).decode("ascii")


def join_parts(fragments: list[Any]) -> list[Any]:
    """Fragments of typed parts to whole parts: neighbours of the same type and index are one, their texts joined."""
    parts: list[Any] = []
    last: tuple[object, object] | None = None
    for fragment in fragments:
        if not isinstance(fragment, dict):
            parts.append(fragment)
            last = None
            continue
        part = cast("dict[str, Any]", fragment)
        key = (part.get("type"), part.get("index"))
        if key != last:
            parts.append({})
            last = key
        _grow(parts[-1], part)
    return [_whole_part(part) for part in parts]


def _grow(whole: dict[str, Any], fragment: dict[str, Any]) -> None:
    for name, value in fragment.items():
        if name in _GROWING and isinstance(value, str | list):
            whole.setdefault(name, []).append(value)
        elif name not in _GROWING and (value is not None or name not in whole):
            whole[name] = value


def _whole_part(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    whole = cast("dict[str, Any]", part)
    for name in _GROWING:
        pieces = whole.get(name)
        if isinstance(pieces, list):
            fragments = cast("list[Any]", pieces)
            texts = all(isinstance(piece, str) for piece in fragments)
            lists = [item for piece in fragments for item in (cast("list[Any]", piece) if isinstance(piece, list) else [piece])]
            whole[name] = "".join(fragments) if texts else join_parts(lists)
    return whole


def kind_of_parts(parts: list[Any]) -> str:
    """What a list of typed parts brought first, as the kind of a chunk."""
    for part in parts:
        if isinstance(part, str) or (isinstance(part, dict) and part.get("type") == "text"):  # pyright: ignore[reportUnknownMemberType]
            return TEXT
        if isinstance(part, dict) and part.get("type") in ("thinking", "reasoning"):  # pyright: ignore[reportUnknownMemberType]
            return REASONING
    return ""


def join_audio(audio: dict[str, list[Any]]) -> dict[str, Any]:
    """The fragments of a spoken answer, field by field: sound and transcript are joined, of the rest the last value counts."""
    whole: dict[str, Any] = {}
    for key, parts in audio.items():
        if key not in ("data", "transcript"):
            whole[key] = parts[-1]
            continue
        texts = [part for part in parts if isinstance(part, str)]
        whole[key] = join_base64(texts) if key == "data" else "".join(texts)
    return whole
