"""Values of the application as JSON: always valid, whatever they are, and the rest of a value unharmed by its worst part."""

from __future__ import annotations

import enum
import json
from collections import UserDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, NamedTuple
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tracer.capture.jsonable import to_json


def no_constants(name: str) -> object:
    raise AssertionError(f"{name} is not JSON")


def parsed(value: object) -> Any:
    text = to_json(value)
    text.decode("utf-8")
    return json.loads(text, parse_constant=no_constants)


class Unshowable:
    def __str__(self) -> str:
        raise ValueError("no")

    __repr__ = __str__


class Untouchable:
    def __getattr__(self, name: str) -> object:
        raise OSError(name)

    def __repr__(self) -> str:
        return "untouchable"


class Classless:
    @property
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise ValueError("no")

    def __repr__(self) -> str:
        return "classless"


class BadDump:
    def model_dump(self) -> object:
        raise ValueError("no")

    def __str__(self) -> str:
        return "bad dump"


class EndlessDump:
    def model_dump(self) -> object:
        return EndlessDump()


class BadMapping(UserDict[str, int]):
    def __iter__(self) -> Iterator[str]:
        raise ValueError("no")

    def __str__(self) -> str:
        return "bad mapping"


class LoudText(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise ValueError("no")


class Model(BaseModel):
    name: str
    size: int = 3


@dataclass
class Point:
    x: int
    y: int


class Colour(enum.Enum):
    RED = "red"


class Pair(NamedTuple):
    a: int
    b: int


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ({"a": [1, 2.5, True, "ü"]}, {"a": [1, 2.5, True, "ü"]}),
        ((1, (2,)), [1, [2]]),
        ({1}, [1]),
        (frozenset({"a"}), ["a"]),
        (b"\xff", "/w=="),
        (bytearray(b"\xff"), "/w=="),
        (float("nan"), None),
        ([float("inf"), -float("inf")], [None, None]),
        (Model(name="x"), {"name": "x", "size": 3}),
        (Point(1, 2), {"x": 1, "y": 2}),
        (Colour.RED, "red"),
        (UserDict({"a": 1}), {"a": 1}),
        (datetime(2026, 1, 2, tzinfo=timezone.utc), "2026-01-02T00:00:00+00:00"),
        (Decimal("1.10"), "1.10"),
        (int, "<class 'int'>"),
        (Model, str(Model)),
        ({1: "a"}, {"1": "a"}),
        ({(1, 2): "a"}, {"(1, 2)": "a"}),
        (2**70, str(2**70)),
        (-(2**63), -(2**63)),
        (2**64 - 1, 2**64 - 1),
        (deque([1]), "deque([1])"),
    ],
)
def test_what_becomes_of_a_value(value: object, expected: object) -> None:
    assert parsed(value) == expected


BAD: dict[str, Callable[[], object]] = {
    "unshowable": Unshowable,
    "untouchable": Untouchable,
    "classless": Classless,
    "bad dump": BadDump,
    "endless dump": EndlessDump,
    "bad mapping": BadMapping,
    "loud text": lambda: LoudText("loud"),
    "huge number": lambda: 10**5000,
    "lone surrogate": lambda: "\ud800",
    "mock": MagicMock,
    "nan": lambda: float("nan"),
    "surrogate key": lambda: {"\udfff": "\ud800"},
    "loud key": lambda: {LoudText("k"): 1},
    "unshowable key": lambda: {Unshowable(): 1},
    "function": lambda: len,
    "object": object,
    "generator": lambda: (item for item in "ab"),
    "named tuple": lambda: Pair(1, 2),
}


@pytest.mark.parametrize("kind", BAD)
def test_the_neighbours_of_a_bad_value_are_kept(kind: str) -> None:
    bad = BAD[kind]()
    for value in ({"good": [1, "x"], "bad": bad}, {"good": [1, "x"], "bad": [bad, "\ud800"]}):
        assert parsed(value)["good"] == [1, "x"]
    assert len(parsed([bad, 7, "\ud800"])) == 3
    parsed(bad)


def test_lone_surrogates_are_replaced_and_the_text_around_them_kept() -> None:
    assert parsed({"a": "x\ud800y"}) == {"a": "x?y"}


def test_cycles() -> None:
    cycle: list[object] = [1]
    cycle.append(cycle)
    ring: dict[str, object] = {"a": 1}
    ring["self"] = {"again": ring}
    assert parsed(cycle) == [1, "(a cycle)"]
    assert parsed(ring) == {"a": 1, "self": {"again": "(a cycle)"}}


def test_the_same_object_twice_is_no_cycle() -> None:
    item = {"a": "\ud800"}
    assert parsed([item, item]) == [{"a": "?"}, {"a": "?"}]


@pytest.mark.parametrize("kind", ["list", "dict", "set"])
def test_very_deep_values(kind: str) -> None:
    value: Any = "bottom"
    for _ in range(10_000):
        value = [value] if kind == "list" else {"a": value} if kind == "dict" else frozenset([value])
    text = to_json({"good": 1, "deep": value})
    assert text.startswith(b'{"good":1,')
    assert b"(nested too deeply)" in text
    assert parsed(value) is not None


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.text(st.characters(categories=["Cs", "L"]))
    | st.binary()
)
KEYS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(categories=["Cs", "L"])) | st.tuples(st.integers())
VALUES = st.recursive(
    SCALARS | st.sampled_from(sorted(set(BAD) - {"classless"})).map(lambda kind: BAD[kind]()),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner),
    max_leaves=20,
)


@given(VALUES)
def test_anything_becomes_valid_json(value: object) -> None:
    parsed(value)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_json_values_come_out_as_they_are_by_either_way(value: object) -> None:
    assert parsed(value) == value
    # A lone surrogate beside it sends the whole along the long way.
    assert parsed([value, "\ud800"]) == [value, "?"]
