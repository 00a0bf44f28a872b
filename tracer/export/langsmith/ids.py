"""Decisions and ids that every LangSmith client of a trace has to derive alike: its sampling, and ids in further projects.

Both rest on XXH3 with 128 bits (https://github.com/Cyan4973/xxHash, specification 0.2.0), here for texts of 17 to 128 bytes: a UUID, and
a UUID with the name of a project.
"""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID

_MASK = (1 << 64) - 1
_PRIME_1 = 0x9E3779B185EBCA87
_PRIME_2 = 0xC2B2AE3D27D4EB4F
_PRIME_4 = 0x85EBCA77C2B2AE63
_MIX = 0x165667919E3779F9
_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
)
_BUCKETS = 1_000_000


def is_sampled(trace_id: str, rate: float) -> bool:
    """Whether a trace belongs to the share `rate` (0 to 1) of traces that are sent; the same in every process and client.

    >>> is_sampled("01a20782-87c4-77ed-bd28-60881602883b", 0.115), is_sampled("01a20782-87c4-77ed-bd28-60881602883b", 0.114)
    (True, False)
    """
    if rate >= 1 or rate <= 0:
        return rate >= 1
    return bucket_of(trace_id) / _BUCKETS < rate


def bucket_of(trace_id: str) -> int:
    """The trace's place among a million.

    >>> bucket_of("01a20781-e041-77c1-8ffe-165e3258fb59")
    929011
    """
    return int.from_bytes(xxh3_128(trace_id.lower().encode()), "big") % _BUCKETS


def derived_id(run_id: str, project: str) -> str:
    """The id that a run bears in a further project: its time, and the rest from its id and the project's name.

    >>> derived_id("01a20782-87c4-77ed-bd28-60881602883b", "proj-b")
    '01a20782-87c4-7425-9b86-1a904f4f3cac'
    """
    text = f"{run_id}:{project}".encode()
    # A name of more than 91 bytes gets ids of our own, which are as good for everyone but another client in the same trace.
    digest = xxh3_128(text) if len(text) <= 128 else blake2b(text, digest_size=16).digest()
    time = UUID(run_id).bytes[:6]
    return str(UUID(bytes=time + bytes((0x70 | digest[0] & 0x0F, digest[1], 0x80 | digest[2] & 0x3F)) + digest[3:10]))


def derived_order(dotted_order: str, project: str) -> str:
    """A dotted order with every id in it derived."""
    segments = dotted_order.split(".")
    return ".".join(segment[:-36] + derived_id(segment[-36:], project) for segment in segments)


def xxh3_128(data: bytes) -> bytes:
    """XXH3-128 with seed 0 of 17 to 128 bytes, in its canonical order.

    >>> xxh3_128(b"00000000-0000-0000-0000-000000000000").hex()
    '33338c298dfbe459119066baeeeb08e8'
    """
    length = len(data)
    if not 17 <= length <= 128:
        raise ValueError(f"{length} bytes")
    low, high = length * _PRIME_1 & _MASK, 0
    for step in range((length - 1) // 32, -1, -1):
        front, back = data[16 * step :], data[length - 16 * (step + 1) :]
        low = (low + _mixed(front, 32 * step)) & _MASK ^ (_word(back, 0) + _word(back, 8)) & _MASK
        high = (high + _mixed(back, 32 * step + 16)) & _MASK ^ (_word(front, 0) + _word(front, 8)) & _MASK
    first = _avalanche((low + high) & _MASK)
    second = -_avalanche((low * _PRIME_1 + high * _PRIME_4 + length * _PRIME_2) & _MASK) & _MASK
    return second.to_bytes(8, "big") + first.to_bytes(8, "big")


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _mixed(data: bytes, at: int) -> int:
    product = (_word(data, 0) ^ _word(_SECRET, at)) * (_word(data, 8) ^ _word(_SECRET, at + 8))
    return product & _MASK ^ product >> 64


def _avalanche(number: int) -> int:
    number ^= number >> 37
    number = number * _MIX & _MASK
    return number ^ number >> 32
