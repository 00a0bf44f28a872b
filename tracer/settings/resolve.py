"""From the environment and the arguments of `configure` to `Settings`.

Order: argument, then environment, then default. Empty means unset. A bad value is reported as a `Problem` and the default is taken;
nothing raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from tracer import parsing
from tracer.environment import variables
from tracer.settings.values import VARIABLES, Settings
from tracer.settings.variable import Variable


class Problem(NamedTuple):
    """A value that was not taken: which variable, its value, what is accepted, and what is used instead."""

    variable: str
    value: str
    accepted: str
    used: str

    def __str__(self) -> str:
        return f"{self.variable}={self.value!r} is not valid: accepted is {self.accepted}. Using {self.used}."


class Origin(NamedTuple):
    """Where a setting's value came from, for `tracer env`: `argument`, the name of a variable, or `default`."""

    variable: Variable
    value: Any
    source: str


def read(
    environment: Mapping[str, str] | None = None, arguments: Mapping[str, Any] | None = None
) -> tuple[Settings, list[Problem], list[Origin]]:
    """Resolve all settings.

    `arguments` are those of `tracer.configure`: field names of `Settings`, texts as in the environment or ready values.

    >>> settings, problems, origins = read({"TRACER_EXIT_TIMEOUT": "soon"})
    >>> settings.exit_timeout, str(problems[0])
    (2.0, "TRACER_EXIT_TIMEOUT='soon' is not valid: accepted is seconds, 0 or more. Using 2.0.")
    """
    environment = variables if environment is None else environment
    arguments = arguments or {}
    known = {variable.field for variable in VARIABLES}
    unknown = sorted(set(arguments) - known)
    if unknown:
        raise TypeError(f"configure() has no setting named {', '.join(unknown)}. Settings: {', '.join(sorted(known))}.")
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    origins: list[Origin] = []
    for variable in VARIABLES:
        value, source, found = _resolve(variable, environment, arguments)
        # The general names of OTLP stand for traces and for metrics: what is wrong with one is said once.
        problems += [problem for problem in found if problem.variable not in {known.variable for known in problems}]
        values[variable.field] = value
        origins.append(Origin(variable, value, source))
    return Settings(**values), problems, origins


def _resolve(variable: Variable, environment: Mapping[str, str], arguments: Mapping[str, Any]) -> tuple[Any, str, list[Problem]]:
    problems: list[Problem] = []
    given = arguments.get(variable.field)
    unset = given is None or (isinstance(given, str) and not given.strip())
    candidates: list[tuple[str, Any]] = [] if unset else [("argument", given)]
    candidates += [(name, environment[name]) for name in variable.names if environment.get(name, "").strip()]
    for source, text in candidates:
        label = f"configure({variable.field})" if source == "argument" else source
        try:
            # A ready value is written out and read again, so that arguments meet the same checks as variables.
            value = variable.parse(text if isinstance(text, str) else _as_text(text))
        except parsing.PartlyAcceptedError as partly:
            problems.append(Problem(label, _shown(variable, text), variable.accepted, partly.used))
            return partly.value, source, problems
        except (ValueError, TypeError, OverflowError):
            problems.append(Problem(label, _shown(variable, text), variable.accepted, _shown_default(variable)))
            return variable.default, "default", problems
        return value, source, problems
    return variable.default, "default", problems


def _shown(variable: Variable, text: Any) -> str:
    return "…" if variable.secret else parsing.without_credentials(str(text))


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return ",".join(f"{quote(str(key))}={quote(str(item))}" for key, item in value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value)


def _shown_default(variable: Variable) -> str:
    if variable.default_text is not None:
        return variable.default_text
    return "none" if variable.default is None else _as_text(variable.default)


def environment_value(name: str) -> str | None:
    """One variable that is not a setting of ours but that a command needs, such as `OPENAI_API_KEY`; blank is unset."""
    value = variables.get(name, "").strip()
    return value or None
