"""Runs as bytes: the parts that wait, and the three forms of request made of them (multipart, batch, single run)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any, Protocol
from uuid import uuid4

from tracer.export.langsmith.run import LangSmithRun
from tracer.export.transport import Item
from tracer.export.values import json_bytes

RUN = "run"
FIELDS = ("inputs", "outputs", "events", "extra", "error", "serialized")
"""Fields that are parts of their own, in the order in which they are sent."""

CONTENTS = ("inputs", "outputs")

PART_OVERHEAD = 200
"""Bytes that a part takes beside its data, at most."""

ZSTD = "zstd"
GZIP = "gzip"
PLAIN = ""

_BUFFER = 4096

_ZSTD_LEVEL = 1
_GZIP_LEVEL = 6


class Compressor(Protocol):
    """Takes pieces of a body and gives the compressed whole."""

    def compress(self, data: bytes, /) -> bytes:
        """Take a piece."""
        ...

    def flush(self) -> bytes:
        """The rest."""
        ...


def item_of(run: LangSmithRun, opens: bool = False) -> Item:
    """The run as an item. Whether it is a create or a patch is decided when it is sent."""
    top: dict[str, object] = {
        "id": run.id,
        "trace_id": run.trace_id,
        "dotted_order": run.dotted_order,
        "name": run.name,
        "run_type": run.run_type,
        "start_time": run.start_time,
        "session_name": run.session_name,
        **run.fields,
    }
    if run.parent_run_id is not None:
        top["parent_run_id"] = run.parent_run_id
    if run.end_time is not None:
        top["end_time"] = run.end_time
    parts = {RUN: compact(json_bytes(top)), "extra": run.extra}
    for name in ("inputs", "outputs", "events", "serialized"):
        data = getattr(run, name)
        if data is not None:
            parts[name] = compact(data)
    if run.error is not None:
        parts["error"] = compact(json_bytes(run.error))
    return Item(parts, key=run.id, opens=opens, overhead=PART_OVERHEAD * len(parts))


def compact(data: bytes) -> bytes:
    """A part that may wait for long, in no more memory than it needs: what orjson writes keeps a buffer of 4 KiB."""
    return data[:-1] + data[-1:] if len(data) < _BUFFER else data


Part = tuple[str, bytes]
"""The name of a part, and its JSON."""


def named_parts(item: Item) -> Iterator[Part]:
    """The parts of an item under the names that they have in a multipart form."""
    if RUN not in item.parts:
        for name, data in item.parts.items():
            yield f"{name}.{item.key}", data
        return
    name = f"patch.{item.key}" if item.follows else f"post.{item.key}"
    yield name, run_part(item)
    for field, data in fields_of(item):
        yield f"{name}.{field}", data


def multipart(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    """The body of `POST /runs/multipart` in pieces; the data of a part is a piece of its own."""
    delimiter = f"--{boundary}"
    for name, data in parts:
        yield (
            f'{delimiter}\r\nContent-Disposition: form-data; name="{name}"\r\n'
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        ).encode()
        yield data
        delimiter = f"\r\n--{boundary}"
    yield f"{delimiter}--\r\n".encode()


def batch(items: Sequence[Item]) -> bytes:
    """The body of `POST /runs/batch`."""
    verbs = {"post": [item for item in items if not item.follows], "patch": [item for item in items if item.follows]}
    lists = [f'"{verb}":['.encode() + b",".join(map(single, found)) + b"]" for verb, found in verbs.items() if found]
    return b"{" + b",".join(lists) + b"}"


def single(item: Item) -> bytes:
    """One run as one JSON object."""
    fields = (b',"' + field.encode() + b'":' + data for field, data in fields_of(item))
    return run_part(item)[:-1] + b"".join(fields) + b"}"


def fields_of(item: Item) -> Iterator[Part]:
    """The parts beside the run itself, in the order in which they are sent."""
    for field in FIELDS:
        data = item.parts.get(field)
        if data is not None:
            yield field, data


def run_part(item: Item) -> bytes:
    """The part of the run itself. A root says in its patch that it is one."""
    run = item.parts[RUN]
    if item.follows and f'"trace_id":"{item.key}"'.encode() in run:
        return b'{"parent_run_id":null,' + run[1:]
    return run


def new_boundary() -> str:
    """A boundary that no body contains: 128 random bits."""
    return uuid4().hex


def zstd_compressor() -> Callable[[], Compressor] | None:
    """Makes compressors for one body each; None where nothing is installed that has zstd (the standard library has it from 3.14 on)."""
    for name in ("compression.zstd", "zstandard", "backports.zstd"):
        try:
            module = import_module(name)
        except ImportError:
            continue
        return lambda: _zstd_of(module)
    return None


def _zstd_of(module: Any) -> Compressor:
    compressor = module.ZstdCompressor(level=_ZSTD_LEVEL)
    return compressor.compressobj() if hasattr(compressor, "compressobj") else compressor


def gzip_compressor() -> Compressor:
    """A compressor for one body."""
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)


def compressed(pieces: Iterator[bytes], compressor: Compressor) -> bytes:
    """The pieces as one compressed body; the whole never stands in memory uncompressed."""
    written = [compressor.compress(piece) for piece in pieces]
    written.append(compressor.flush())
    return b"".join(written)
