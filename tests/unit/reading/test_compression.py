"""Compressed streams, whole and cut off."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tests.unit.reading.calls import cuts, events, read, streamed, text_of, texts
from tracer.reading import compression
from tracer.reading.compression import decompress

WORDS = [f"word {position} " for position in range(400)]
STREAM = events(*texts(*WORDS))


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(STREAM)),
        ("X-GZIP", gzip.compress(STREAM)),
        ("gzip", gzip.compress(STREAM[:999]) + gzip.compress(STREAM[999:])),
        ("deflate", zlib.compress(STREAM)),
        ("deflate", raw_deflate(STREAM)),
        ("deflate, gzip", gzip.compress(zlib.compress(STREAM))),
        ("identity", STREAM),
    ],
    # Gzip holds the time: names of the bytes would differ between two processes that collect the tests.
    ids=["gzip", "X-GZIP", "two gzips", "deflate", "raw deflate", "deflate, gzip", "identity"],
)
def test_encodings(encoding: str, packed: bytes) -> None:
    generation = read(streamed(cuts(packed, range(100, len(packed), 100)), encoding=encoding))
    assert text_of(generation) == "".join(WORDS)
    assert generation.problems == []


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)])
def test_what_came_of_a_compressed_stream_is_read(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(STREAM)
    unpacked = decompress([packed[: len(packed) // 2]], encoding, [])
    assert len(unpacked) > 1000
    assert STREAM.startswith(unpacked)
    generation = read(streamed([packed[: len(packed) // 2]], encoding=encoding, ending="stopped"))
    assert "".join(WORDS).startswith(text_of(generation))
    assert len(text_of(generation)) > 100


def test_many_cut_positions_never_raise() -> None:
    packed = gzip.compress(STREAM)
    for end in range(0, len(packed), 13):
        assert STREAM.startswith(decompress([packed[:end]], "gzip", []))


def test_bytes_that_are_not_compressed_after_all() -> None:
    generation = read(streamed(STREAM, encoding="gzip"))
    assert text_of(generation) == "".join(WORDS)
    assert generation.problems == ["the answer's gzip encoding could not be undone: error"]


def test_a_break_in_the_middle_keeps_what_came_before() -> None:
    noise = b"".join(zlib.compress(str(number).encode()) for number in range(20_000))
    packed = bytearray(gzip.compress(noise))
    packed[len(packed) // 2] ^= 0xFF
    problems: list[str] = []
    unpacked = decompress([bytes(packed)], "gzip", problems)
    assert len(unpacked) > 50_000
    assert noise[:50_000] == unpacked[:50_000]


def test_a_body_that_unpacks_to_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MOST_BYTES", 1000)
    problems: list[str] = []
    assert len(decompress([gzip.compress(b"a" * 100_000)], "gzip", problems)) == 1000
    assert problems == ["the answer unpacks to more than is read"]


def test_encodings_that_nobody_here_can_undo(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("brotli", "brotlicffi", "zstandard", "compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    for encoding in ("br", "zstd", "snappy"):
        generation = read(streamed(STREAM, {"model": "m"}, encoding=encoding))
        assert any("encoding" in problem for problem in generation.problems)
        assert generation.request_model == "m"
        assert encoding != "br" or generation.output_messages == []


def test_brotli_and_zstd_use_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins that undo deflate, behind the interfaces of the real modules."""
    packed = zlib.compress(STREAM)

    class Unpacker:
        def __init__(self) -> None:
            self.process = self.decompress = zlib.decompressobj().decompress

    class Zstandard:
        def decompressobj(self) -> Unpacker:
            return Unpacker()

    monkeypatch.setitem(sys.modules, "brotli", SimpleNamespace(Decompressor=Unpacker))
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "zstandard", SimpleNamespace(ZstdDecompressor=Zstandard))
    for encoding in ("br", "zstd"):
        assert text_of(read(streamed(packed, encoding=encoding))) == "".join(WORDS)
        cut_off = read(streamed(packed[: len(packed) // 2], encoding=encoding, ending="stopped"))
        assert "".join(WORDS).startswith(text_of(cut_off))
        assert text_of(cut_off) != ""
