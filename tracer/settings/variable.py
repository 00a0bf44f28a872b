"""How a setting is declared: once, as a typed field with the variables it is read from, what they accept and what they mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    # Not in `typing` of Python 3.10, and of no meaning at run time.
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[type], type]:
        return lambda table: table


Value = TypeVar("Value")


class Variable:
    """One setting: the field of `Settings`, the environment names in the order they are asked, how a text becomes a value."""

    # No dataclass, and neither are the tables: making those by far outweighed all the rest of this room at start.
    __slots__ = ("accepted", "default", "default_text", "field", "meaning", "names", "parse", "secret")

    field: str

    def __init__(
        self,
        names: tuple[str, ...],
        parse: Callable[[str], Any],
        default: Any,
        accepted: str,
        meaning: str,
        secret: bool,
        default_text: str | None,
    ) -> None:
        self.names = names
        self.parse = parse
        self.default = default
        self.accepted = accepted
        self.meaning = meaning
        self.secret = secret
        self.default_text = default_text

    def __set_name__(self, owner: type, name: str) -> None:
        self.field = name


def setting(
    *names: str,
    parse: Callable[[str], Value],
    default: Value,
    accepted: str,
    meaning: str,
    secret: bool = False,
    default_text: str | None = None,
) -> Value:
    """Declare a field of a `Table`: what `parse` makes of the first of `names` that is set, else `default`.

    `accepted` and `default_text` (where the default does not speak for itself) say in words what may be given and what is taken else;
    `meaning` is the line of the documentation. A `secret` is never shown.
    """
    # As with `dataclasses.field`, the type is that of the field; what stands in the class is its `Variable`.
    return cast("Value", Variable(names, parse, default, accepted, meaning, secret, default_text))


def otlp_names(signal: str, suffix: str) -> tuple[str, ...]:
    """The name for one signal goes before the general one, as the OTLP exporter specification asks.

    >>> otlp_names("LOGS", "TIMEOUT")
    ('OTEL_EXPORTER_OTLP_LOGS_TIMEOUT', 'OTEL_EXPORTER_OTLP_TIMEOUT')
    """
    return (f"OTEL_EXPORTER_OTLP_{signal}_{suffix}", f"OTEL_EXPORTER_OTLP_{suffix}")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(setting,))
class Table:
    """Settings of one theme. Tables are only declared; `Settings`, which inherits from all of them, has the values."""

    __slots__ = ()

    @classmethod
    def variables(cls) -> tuple[Variable, ...]:
        """What is declared in this table and in those that it inherits from, in the order of writing."""
        return tuple(item for table in cls.__mro__ for item in vars(table).values() if isinstance(item, Variable))
