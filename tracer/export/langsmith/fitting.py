"""A run that is too large for its backend: what is left out of it. Contents go first, then what else is large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import orjson

from tracer.export import names
from tracer.export.langsmith.wire import CONTENTS, RUN, compact
from tracer.export.shorten import Shortened, shorten
from tracer.export.texts import shorten_text
from tracer.export.transport import Item
from tracer.export.values import json_bytes

Parts = dict[str, bytes]

# Bytes of the note that something was left out.
_MARK = 200

_LEAST_EXTRA = 4096
_LEAST_TAGS = 1024
_LEAST_ERROR = 1024


def fitted(item: Item, limit: int) -> Parts | None:
    """The item's parts so that it weighs `limit` bytes, as far as that goes, with a mark in the metadata; None where nothing is left to go.

    Contents are cut first. Where that is not enough, `serialized` goes, and metadata, tags and error are cut to a few kilobytes each.
    """
    parts = dict(item.parts)
    excess = item.weight - limit
    # Both have to be objects, and an empty one weighs two bytes.
    contents = {name: parts[name] for name in CONTENTS if len(parts.get(name, b"")) > 2}
    cut = Shortened({})
    if contents:
        cut = shorten(contents, max(sum(map(len, contents.values())) - excess - _MARK, 0))
        shorter = {name: cut.sections.get(name, b"{}") for name in contents}
        parts |= {name: data if data.startswith(b"{") else b"{}" for name, data in shorter.items()}
    for lighten in _OTHERS:
        excess = item.overhead + _MARK + sum(map(len, parts.values())) - limit
        if excess > 0:
            lighten(parts, excess)
    if parts == item.parts:
        return None
    parts["extra"] = _marked(parts.get("extra", b"{}"), cut)
    return {name: compact(data) for name, data in parts.items()}


def _without_serialized(parts: Parts, _excess: int) -> None:
    parts.pop("serialized", None)


def _with_less_extra(parts: Parts, excess: int) -> None:
    extra = parts.get("extra", b"")
    if len(extra) > _LEAST_EXTRA:
        shorter = shorten({"extra": extra}, max(len(extra) - excess, _LEAST_EXTRA)).sections.get("extra", b"{}")
        parts["extra"] = shorter if shorter.startswith(b"{") else b"{}"


def _with_fewer_tags(parts: Parts, excess: int) -> None:
    run = cast("dict[str, Any]", orjson.loads(parts[RUN]))
    tags = cast("list[str]", run.get("tags") or [])
    room = max(len(json_bytes(tags)) - excess, _LEAST_TAGS)
    kept: list[str] = []
    for tag in tags:
        room -= len(json_bytes(tag)) + 1
        if room < 0:
            break
        kept.append(tag)
    if len(kept) < len(tags):
        parts[RUN] = json_bytes({**run, "tags": kept})


def _with_less_error(parts: Parts, excess: int) -> None:
    error = parts.get("error", b"")
    if len(error) > _LEAST_ERROR:
        parts["error"] = json_bytes(shorten_text(orjson.loads(error), max(len(error) - excess, _LEAST_ERROR)))


_OTHERS: tuple[Callable[[Parts, int], None], ...] = (_without_serialized, _with_less_extra, _with_fewer_tags, _with_less_error)


def _marked(extra: bytes, cut: Shortened) -> bytes:
    """`extra` with a note in its metadata that something was left out, and of which contents; an earlier note stays."""
    value = cast("dict[str, Any]", orjson.loads(extra))
    metadata = cast("dict[str, Any]", value.setdefault("metadata", {}))
    if not metadata.get(names.CONTENT_TRUNCATED):
        metadata[names.CONTENT_TRUNCATED] = True
        if cut.cut:
            metadata |= {names.CONTENT_BYTES: cut.original_bytes, names.CONTENT_SHA256: cut.original_sha256}
    return json_bytes(value)
