"""Content brought below a size without breaking its JSON.

Shortening happens inside the texts, before they are serialised again: a JSON text cut in the middle is dropped by backends, a
shorter text in whole JSON is shown. Steps, each only if the one before was not enough: base64 data is replaced by a reference;
the longest texts keep head and tail; long lists keep their first and last entries; the section is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

import orjson

from tracer.export.names import INPUT_MESSAGES, OUTPUT_MESSAGES
from tracer.export.texts import gap, shorten_text
from tracer.export.values import json_bytes

BLOB_LIMIT = 2 * 1024
"""Bytes of base64 data that a blob part may have before a reference takes its place."""

BLOB_HEAD = 64
"""Characters of base64 data that the reference keeps; a multiple of four, so that they decode."""

LEAST_TEXT = 160
"""Bytes that a text always keeps; a reference's SHA-256 and a file's id stay whole."""

_BLOB_MARK = b'"type":"blob"'


@dataclass(slots=True)
class Shortened:
    """Sections of content within the limit, and what they were before.

    `original_bytes` and `original_sha256` are of the JSON of all sections one after the other, before anything was cut; set only
    if `cut`.
    """

    sections: dict[str, bytes]
    cut: bool = False
    original_bytes: int = 0
    original_sha256: str = ""


def shorten(sections: dict[str, bytes], limit: int) -> Shortened:
    """Bring the JSON texts in `sections` to `limit` bytes in all; every one stays valid JSON of the same outer shape.

    A section for which no room at all is left is missing in the result. Content that fits costs one sum of lengths.

    >>> shorten({"a": b'["' + b"x" * 5000 + b'"]'}, 400).sections["a"][:20]
    b'["xxxxxxxxxxxxxxxxxx'
    """
    total = sum(map(len, sections.values()))
    if total <= limit and (total <= BLOB_LIMIT or not any(_BLOB_MARK in data for data in sections.values())):
        return Shortened(sections)
    try:
        shorter = _shorter(sections, limit) if limit > 0 else dict[str, bytes]()
    except RecursionError:
        shorter = _left_out(sections, limit)
    if shorter == sections:
        return Shortened(sections)
    digest = sha256()
    for data in sections.values():
        digest.update(data)
    return Shortened(shorter, cut=True, original_bytes=total, original_sha256=digest.hexdigest())


def _shorter(sections: Mapping[str, bytes], limit: int) -> dict[str, bytes]:
    values = {name: without_blobs(_parsed(data)) for name, data in sections.items()}
    encoded = _encoded(values)
    if _size(encoded) <= limit:
        return encoded
    return _fit_texts(values, limit) or _fit_lists(values, limit) or _left_out(sections, limit)


def without_blobs(value: Any) -> Any:
    """A copy in which base64 data beyond `BLOB_LIMIT` is a reference: its head, and `bytes` and `sha256` of the whole.

    `bytes` and `sha256` are of the base64 text as it was sent.
    """
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        if entries.get("type") == "blob":
            return _reference(entries)
        return {key: without_blobs(item) for key, item in entries.items()}
    if isinstance(value, list):
        return [without_blobs(item) for item in cast("list[Any]", value)]
    return value


def _reference(part: dict[str, Any]) -> dict[str, Any]:
    content = part.get("content")
    if not isinstance(content, str) or len(content) <= BLOB_LIMIT:
        return part
    data = content.encode("utf-8", "replace")
    return {**part, "content": content[:BLOB_HEAD], "bytes": len(data), "sha256": sha256(data).hexdigest()}


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode("utf-8", "replace")


def _encoded(values: Mapping[str, Any]) -> dict[str, bytes]:
    return {name: json_bytes(value) for name, value in values.items()}


def _size(sections: Mapping[str, bytes]) -> int:
    return sum(map(len, sections.values()))


def _fit_texts(values: Mapping[str, Any], limit: int) -> dict[str, bytes] | None:
    """Shorten the longest texts, all to the same length, until everything fits."""
    lengths = [len(json_bytes(text)) - 2 for text in _texts(values)]
    structure = _size(_encoded(values)) - sum(lengths)
    level = _level(lengths, limit - structure)
    while level >= LEAST_TEXT:
        sections = _encoded({name: _with_texts(value, level) for name, value in values.items()})
        size = _size(sections)
        if size <= limit:
            return sections
        # Escapes make JSON longer than its texts, and the cut may have kept more of them: scale down to what it really took.
        level = min(level - 1, int(level * 0.95 * limit / size))
    return None


def _level(lengths: list[int], room: int) -> int:
    """The length to which texts must be cut so that together they take `room` bytes; shorter ones stay whole."""
    rest = len(lengths)
    for length in sorted(lengths):
        if length * rest > room:
            return room // rest
        room -= length
        rest -= 1
    return max(lengths, default=0)


def _fit_lists(values: Mapping[str, Any], limit: int) -> dict[str, bytes] | None:
    """Halve the longest lists until the texts can be made to fit."""
    entries = max((_longest(value) for value in values.values()), default=0)
    while entries > 2:
        entries //= 2
        fewer = {name: _with_entries(value, max(entries, 2)) for name, value in values.items()}
        encoded = _encoded(fewer)
        sections = encoded if _size(encoded) <= limit else _fit_texts(fewer, limit)
        if sections:
            return sections
    return None


def _left_out(sections: Mapping[str, bytes], limit: int) -> dict[str, bytes]:
    """A note in place of each section, as far as there is room for notes."""
    result: dict[str, bytes] = {}
    for name, data in sections.items():
        note: Any = {"type": "text", "content": gap(len(data)).strip()}
        if name in (INPUT_MESSAGES, OUTPUT_MESSAGES):
            note = {"role": "tracer", "parts": [note]}
        if name == OUTPUT_MESSAGES:
            # Some readers drop an output message without a reason; which one it was is lost with the rest.
            note["finish_reason"] = "unknown"
        encoded = orjson.dumps([note])
        if len(encoded) <= min(limit, len(data)):
            result[name] = encoded
            limit -= len(encoded)
    return result


def _texts(value: Any) -> Iterator[str]:
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            entries = cast("dict[str, Any]", item)
            stack.extend(entries)
            stack.extend(entries.values())
        elif isinstance(item, list):
            stack.extend(cast("list[Any]", item))


def _with_texts(value: Any, level: int) -> Any:
    if isinstance(value, str):
        return shorten_text(value, level)
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        return {shorten_text(key, level): _with_texts(item, level) for key, item in entries.items()}
    if isinstance(value, list):
        return [_with_texts(item, level) for item in cast("list[Any]", value)]
    return value


def _longest(value: Any) -> int:
    """Entries of the longest list or mapping anywhere inside."""
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        return max(len(entries), max(map(_longest, entries.values()), default=0))
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return max(len(items), max(map(_longest, items), default=0))
    return 0


# Mappings below this size have the keys that give a message or a part its meaning.
_LEAST_KEYS = 16


def _with_entries(value: Any, entries: int) -> Any:
    """Keep the first and last of long lists and mappings, `entries` in all, and say how many were left out."""
    if isinstance(value, dict):
        items = list(cast("dict[str, Any]", value).items())
        if len(items) > max(entries, _LEAST_KEYS):
            keep = max(entries, _LEAST_KEYS) // 2
            note = ("…", f"{len(items) - 2 * keep} entries left out")
            items = [*items[:keep], note, *items[len(items) - keep :]]
        return {key: _with_entries(item, entries) for key, item in items}
    if isinstance(value, list):
        members = cast("list[Any]", value)
        if len(members) > entries + 1:
            keep = entries // 2
            note = _note_like(members[0], len(members) - 2 * keep)
            return [
                *(_with_entries(item, entries) for item in members[:keep]),
                note,
                *(_with_entries(item, entries) for item in members[len(members) - keep :]),
            ]
        return [_with_entries(item, entries) for item in members]
    return value


def _note_like(entry: Any, count: int) -> Any:
    """A note of the same kind as the entries of its list, so that readers of messages and parts still understand the list."""
    text = f"… [{count} entries left out] …"
    if not isinstance(entry, dict):
        return text
    part = {"type": "text", "content": text}
    like = cast("dict[str, Any]", entry)
    if "parts" not in like:
        return part
    finish: dict[str, Any] = {"finish_reason": like["finish_reason"]} if "finish_reason" in like else {}
    return {"role": "tracer", "parts": [part], **finish}
