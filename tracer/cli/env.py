"""`tracer env`: every setting, its value, where the value comes from and what it does."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, cast

from rich.console import Console
from rich.text import Text

from tracer import settings
from tracer.cli.output import console
from tracer.export.wording import printable
from tracer.parsing import without_credentials
from tracer.pipeline.destinations import wanted

DESCRIPTION = "Show every setting: value, where it comes from, what it does. Keys and passwords are masked."

_MASK = "****"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    commands.add_parser("env", help="show every setting and where it comes from", description=DESCRIPTION).set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001
    """Carry out the command; gives the exit status."""
    found, problems, origins = settings.read()
    output = console()
    output.print(Text(summary(found), style="bold"))
    by_variable = {problem.variable: problem for problem in problems}
    for origin in origins:
        _print_setting(output, origin, [by_variable[name] for name in origin.variable.names if name in by_variable])
    if problems:
        output.print(Text(f"{len(problems)} value(s) were not taken, see above.", style="red"))
    return 0


def summary(found: settings.Settings) -> str:
    """Where records go, in a sentence."""
    places = wanted(found)
    if found.forbidden:
        return "Tracing is ruled out: nothing is recorded, and wrap returns its argument."
    return f"Records go to: {', '.join(places)}." if places else "Tracing is off: no destination is set."


def _print_setting(output: Console, origin: settings.Origin, problems: list[settings.Problem]) -> None:
    variable = origin.variable
    source = origin.source if origin.source == "default" else f"from {origin.source}"
    output.print(
        Text.assemble((variable.names[0], "bold"), " = ", (shown(origin), "green" if origin.source != "default" else ""), f"  ({source})")
    )
    if len(variable.names) > 1:
        output.print(Text(f"    also: {', '.join(variable.names[1:])}", style="dim"))
    output.print(Text(f"    {variable.meaning}"))
    for problem in problems:
        output.print(Text(f"    ! {printable(without_credentials(str(problem)))}", style="red"))


def shown(origin: settings.Origin) -> str:
    """The value as text; of secrets only that they are set, of headers their names."""
    variable, value = origin.variable, origin.value
    if origin.source == "default":
        return _default(variable)
    if variable.secret:
        return ", ".join(f"{name}={_MASK}" for name in cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else _MASK
    return printable(without_credentials(_plain(value)))


def _default(variable: settings.Variable) -> str:
    if variable.default_text is not None:
        return variable.default_text
    return "unset" if variable.default is None else _plain(variable.default)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return ",".join(f"{key}={item}" for key, item in cast("Mapping[str, Any]", value).items())
    if isinstance(value, tuple):
        return ",".join(str(item) for item in cast("tuple[Any, ...]", value))
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
