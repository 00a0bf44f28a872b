"""What a caller saw: values as they were given, and the exception that ended it, with everything that clings to it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Raised:
    """An exception without its identity: class, text, arguments, notes, and what it came out of."""

    kind: str
    text: str
    arguments: list[str]
    notes: list[str]
    suppressed: bool
    cause: Raised | None
    context: Raised | None


@dataclass(slots=True)
class Outcome:
    """Values that a caller got, and how it ended."""

    values: list[str] = field(default_factory=list[str])
    error: Raised | None = None

    def keep(self, value: Any) -> None:
        """One more value."""
        self.values.append(shown(value))

    def take(self, values: Iterable[Any]) -> None:
        """One more value for each of these, as they come."""
        for value in values:
            self.keep(value)

    async def take_async(self, values: AsyncIterable[Any]) -> None:
        """The same for an async iterable."""
        async for value in values:
            self.keep(value)


def shown(value: Any) -> str:
    """The value as text; of a model of pydantic also which fields were sent."""
    if hasattr(value, "model_dump"):
        sent = sorted(value.model_fields_set)
        return f"{type(value).__name__} {sent} {value.__dict__!r}"
    return f"{type(value).__name__} {value!r}"


_COUNTED = re.compile(r"run=\d+")
"""What the replay server tells equal addresses apart by."""


def _said(value: object) -> str:
    return _COUNTED.sub("run=N", str(value))


def raised(error: BaseException | None) -> Raised | None:
    """Everything about an exception that a program may look at."""
    if error is None:
        return None
    return Raised(
        f"{type(error).__module__}.{type(error).__qualname__}",
        _said(error),
        [f"{type(item).__qualname__} {_said(item)}" for item in error.args],
        list(getattr(error, "__notes__", [])),
        error.__suppress_context__,
        raised(error.__cause__),
        raised(error.__context__) if error.__context__ is not error.__cause__ else None,
    )
