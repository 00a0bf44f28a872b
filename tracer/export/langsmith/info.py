"""What a server says about itself at `GET /info`, and what it gets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

import orjson

MOST_RUNS = 100
MOST_BYTES = 20_971_520
"""Limits of a server that does not say its own, those of the hosted service."""

OUR_MOST_BYTES = 8 * 1024 * 1024
"""Requests of more than this save nothing and cost memory."""

_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})*")


@dataclass(frozen=True, slots=True)
class Info:
    """Ways and limits of a server; the defaults hold where it says nothing."""

    multipart: bool = True
    zstd: bool = False
    most_runs: int = MOST_RUNS
    most_bytes: int = MOST_BYTES
    version: tuple[int, ...] = ()
    """Of the server; empty where it says none."""


def info_of(body: bytes) -> Info:
    """Read the answer of `GET /info`; what is missing or odd in it has its default.

    >>> info_of(b'{"version":"0.18.3","batch_ingest_config":{"size_limit":7},"instance_flags":{"zstd_compression_enabled":true}}')
    Info(multipart=True, zstd=True, most_runs=7, most_bytes=20971520, version=(0, 18, 3))
    """
    try:
        answer: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Info()
    config = _mapping(_mapping(answer).get("batch_ingest_config"))
    flags = _mapping(_mapping(answer).get("instance_flags"))
    return Info(
        multipart=config.get("use_multipart_endpoint") is not False,
        zstd=flags.get("zstd_compression_enabled") is True,
        most_runs=_limit(config.get("size_limit"), MOST_RUNS),
        most_bytes=_limit(config.get("size_limit_bytes"), MOST_BYTES),
        version=_version(_mapping(answer).get("version")),
    )


def _mapping(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _limit(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default


def _version(text: object) -> tuple[int, ...]:
    found = _VERSION.match(text) if isinstance(text, str) else None
    return tuple(map(int, found[0].split("."))) if found else ()
