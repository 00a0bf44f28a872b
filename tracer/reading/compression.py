"""Undo the compression of a body's pieces, as far as they go: a stream that broke off gives what had come."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from tracer.reading.values import Problems, note

MOST_BYTES = 256 * 1024 * 1024
"""A small body can unpack to gigabytes; nothing beyond this is read."""

_GZIP_WINDOW = 31
_RAW_DEFLATE_WINDOW = -15


def decompress(pieces: Iterable[bytes], encoding: str, problems: Problems) -> bytes:
    """The bytes behind a `Content-Encoding`: gzip, deflate, br, zstd, a comma list of them, or nothing.

    Bytes that are not compressed after all are returned as they are, with a problem.
    """
    data = b"".join(pieces)
    for name in reversed([part.strip().lower() for part in encoding.split(",")]):
        if name in ("", "identity") or not data:
            continue
        decoder = _DECODERS.get(name)
        if decoder is None:
            note(problems, "the answer has an unknown content encoding")
            return data
        try:
            data = decoder(data, problems)
        except Exception as fault:
            note(problems, f"the answer's {name} encoding could not be undone: {type(fault).__name__}")
            return b"" if isinstance(fault, ImportError) else data
    return data


def _gunzip(data: bytes, problems: Problems) -> bytes:
    return _inflate(data, _GZIP_WINDOW, problems)


def _undeflate(data: bytes, problems: Problems) -> bytes:
    try:
        return _inflate(data, zlib.MAX_WBITS, problems)
    except zlib.error:
        # Some servers send deflate without the zlib frame that the standard asks for.
        return _inflate(data, _RAW_DEFLATE_WINDOW, problems)


def _inflate(data: bytes, window: int, problems: Problems) -> bytes:
    unpacked: list[bytes] = []
    room = MOST_BYTES
    while data and room > 0:
        decoder = zlib.decompressobj(window)
        start = 0
        try:
            for start in range(0, len(data), _STEP):
                piece = decoder.decompress(data[start : start + _STEP], room)
                unpacked.append(piece)
                room -= len(piece)
                if room <= 0 or decoder.eof:
                    break
        except zlib.error:
            if not unpacked:
                raise
            note(problems, "the answer's compression breaks in the middle")
            break
        if not decoder.eof:
            break
        # A gzip body may have several members, one after the other.
        data = decoder.unused_data + data[start + _STEP :]
    if room <= 0:
        note(problems, "the answer unpacks to more than is read")
    return b"".join(unpacked)


_STEP = 16 * 1024


def _unbrotli(data: bytes, problems: Problems) -> bytes:
    module = _first_module("brotli", "brotlicffi")
    decoder = module.Decompressor()
    return _in_steps(getattr(decoder, "process", None) or decoder.decompress, data, problems)


def _unzstd(data: bytes, problems: Problems) -> bytes:
    module = _first_module("compression.zstd", "zstandard", "backports.zstd")
    decoder = module.ZstdDecompressor()
    # zstandard's own streaming object is the one that takes truncated frames.
    feed = decoder.decompressobj().decompress if hasattr(decoder, "decompressobj") else decoder.decompress
    return _in_steps(feed, data, problems)


def _in_steps(feed: Callable[[bytes], bytes], data: bytes, problems: Problems) -> bytes:
    unpacked: list[bytes] = []
    room = MOST_BYTES
    for start in range(0, len(data), _STEP):
        try:
            piece = feed(data[start : start + _STEP])
        except Exception:
            if not unpacked:
                raise
            note(problems, "the answer's compression breaks in the middle")
            break
        unpacked.append(piece)
        room -= len(piece)
        if room <= 0:
            note(problems, "the answer unpacks to more than is read")
            break
    return b"".join(unpacked)


def _first_module(*names: str) -> Any:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    raise ImportError(names[0])


_DECODERS: dict[str, Callable[[bytes, Problems], bytes]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
