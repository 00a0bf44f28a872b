"""Tolerant access to JSON values of unknown shape, and the list of what could not be read.

Problems name fields and kinds of values, never the values: they go to logs, where prompts and answers must not show up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar, cast

Json = dict[str, object]
Problems = list[str]

MOST_PROBLEMS = 20
"""More would say nothing new: an answer of ten thousand broken events is one finding."""

LARGEST = 2**63 - 1
"""The largest number that attributes of spans can hold."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Source = TypeVar("Source")
Target = TypeVar("Target")


def note(problems: Problems, problem: str) -> None:
    """Add a problem once, up to `MOST_PROBLEMS`."""
    if len(problems) < MOST_PROBLEMS and problem not in problems:
        problems.append(problem)


def guarded(
    problems: Problems, what: str, function: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result | None:
    """Call `function`; whatever it raises becomes a problem, so that one field's odd shape loses that field only."""
    try:
        return function(*arguments, **named)
    except Exception as fault:
        note(problems, f"{what}: {type(fault).__name__} while reading")
        return None


def read_each(readers: Iterable[tuple[str, Callable[[Source, Target], None]]], source: Source, target: Target, problems: Problems) -> None:
    """Call every reader with source and target, each under a guard of its own; its name says in a problem what was lost."""
    for what, reader in readers:
        try:
            reader(source, target)
        except Exception as fault:
            note(problems, f"{what}: {type(fault).__name__} while reading")


def read_present(
    readers: Iterable[tuple[str, frozenset[str], Callable[[Json, Target], None]]], source: Json, target: Target, problems: Problems
) -> None:
    """The same, with only the readers that have something to read: of each the names it looks for are told."""
    read_each([(what, reader) for what, names, reader in readers if not names.isdisjoint(source)], source, target, problems)


def kind(value: object) -> str:
    """What a JSON value is, for a problem's text.

    >>> kind([1]), kind(None), kind(1.5)
    ('a list', 'null', 'a number')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"


def as_object(value: object) -> Json | None:
    """The value if it is a JSON object."""
    return cast("Json", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[object] | None:
    """The value if it is a JSON list."""
    return cast("list[object]", value) if isinstance(value, list) else None


def as_text(value: object) -> str | None:
    """The value if it is text and not empty."""
    return value if isinstance(value, str) and value else None


def as_whole(value: object) -> int | None:
    """The value if it is a whole number that fits into 64 bits. Booleans are no numbers; `12.0` is 12.

    >>> as_whole(12.0), as_whole(True), as_whole(10**30), as_whole("12")
    (12, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if -LARGEST <= value <= LARGEST else None


def as_number(value: object) -> float | None:
    """The value as a float if it is a finite number; a whole number becomes a float, since conventions ask for doubles."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        return None
    return float(value) if math.isfinite(value) else None


def object_at(source: Json, name: str, problems: Problems, where: str = "") -> Json | None:
    """The object under a name; null is "not there", any other kind a problem."""
    return _at(source, name, problems, where, as_object, "an object")


def list_at(source: Json, name: str, problems: Problems, where: str = "") -> list[object] | None:
    """The list under a name; null is "not there", any other kind a problem."""
    return _at(source, name, problems, where, as_list, "a list")


def text_at(source: Json, name: str, problems: Problems, where: str = "") -> str | None:
    """The text under a name; null and empty are "not there", any other kind a problem."""
    value = source.get(name)
    if value is None or isinstance(value, str):
        return value or None
    return _at(source, name, problems, where, as_text, "text")


def whole_at(source: Json, name: str, problems: Problems, where: str = "") -> int | None:
    """The whole number under a name; null is "not there", anything else a problem."""
    value = source.get(name)
    if value is None or (type(value) is int and -LARGEST <= value <= LARGEST):
        return value
    return _at(source, name, problems, where, as_whole, "a whole number of 64 bits")


def count_at(source: Json, name: str, problems: Problems, where: str = "") -> int | None:
    """The same for a count, which is not negative."""
    count = whole_at(source, name, problems, where)
    if count is not None and count < 0:
        note(problems, f"{where}{name} is negative")
        return None
    return count


def number_at(source: Json, name: str, problems: Problems, where: str = "") -> float | None:
    """The finite number under a name, as a float; null is "not there", anything else a problem."""
    value = source.get(name)
    if value is None or (type(value) is float and math.isfinite(value)):
        return value
    return _at(source, name, problems, where, as_number, "a finite number")


def _at(source: Json, name: str, problems: Problems, where: str, convert: Callable[[object], Result | None], wanted: str) -> Result | None:
    value = source.get(name)
    if value is None:
        return None
    converted = convert(value)
    if converted is None:
        note(problems, f"{where}{name} is {kind(value)} where {wanted} is expected")
    return converted
