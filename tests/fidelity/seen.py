"""What a program saw, in a form that can be compared: values with their types and set fields, exceptions with all that hangs on them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel


def described(value: Any, seen: tuple[int, ...] = ()) -> Any:
    """Everything that can be seen of a value: types, fields, which of them were set, and private ones of models."""
    if id(value) in seen:
        return "…"
    seen = (*seen, id(value))
    if isinstance(value, BaseModel):
        shown: dict[str, Any] = {name: described(item, seen) for name, item in value.__dict__.items()}
        extra: dict[str, Any] = getattr(value, "__pydantic_extra__", None) or {}
        private: dict[str, Any] = getattr(value, "__pydantic_private__", None) or {}
        return (
            type(value),
            sorted(value.model_fields_set),
            shown,
            {name: described(item, seen) for name, item in extra.items()},
            {name: described(item, seen) for name, item in private.items()},
        )
    if isinstance(value, dict):
        return {key: described(item, seen) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return (type(value), [described(item, seen) for item in value])  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return (
        value if isinstance(value, str | int | float | bool | bytes | type(None)) else (type(value), re.sub("0x[0-9a-f]+", "", repr(value)))
    )


def chain_of(error: BaseException) -> list[Any]:
    """The exception and all that hangs on it."""
    links: list[Any] = []
    seen: set[int] = set()
    todo: list[tuple[str, BaseException | None]] = [("", error)]
    while todo:
        how, link = todo.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        values: Any = link
        links.append(
            (
                how,
                type(link),
                str(link),
                repr(link),
                link.__suppress_context__,
                getattr(link, "__notes__", None),
                {
                    name: described(getattr(values, name, None))
                    for name in ("status_code", "body", "message", "code", "param", "request_id")
                },
                sorted(vars(link)),
            )
        )
        todo += [(how + "c", link.__context__), (how + "C", link.__cause__)]
    return links


@dataclass
class Seen:
    """What a program saw."""

    values: list[Any] = field(default_factory=list[Any])
    error: list[Any] | None = None

    def note(self, *values: Any) -> None:
        self.values += values

    def shown(self) -> Any:
        return described(self.values), self.error
