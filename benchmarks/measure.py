"""Alternating blocks of programs in one run: the one way in which everything here is measured."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

_toml: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

ROUNDS = 100
CALLS = 20


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for, in the unit of the row. `limit` is what was found to be reachable instead, for the reason in `why`."""

    target: float
    margin: float = 0.1
    limit: float | None = None
    why: str = ""


@dataclass(slots=True)
class Row:
    """One line of the table. `key` names its entry in `targets.toml`; a row without one is for comparison only."""

    what: str
    value: float
    unit: str
    key: str = ""


def targets() -> dict[str, Target]:
    """The targets by key."""
    with (Path(__file__).parent / "targets.toml").open("rb") as file:
        entries: dict[str, dict[str, Any]] = _toml.load(file)
    return {key: Target(**values) for key, values in entries.items()}


def verdict(row: Row, target: Target) -> str:
    """What there is to say about a row: nothing, that it missed its target for a known reason, or that it is missed."""
    if row.value <= target.target * (1 + target.margin):
        return ""
    if target.limit is not None and row.value <= target.limit * (1 + target.margin):
        return f"missed, within the known limit of {target.limit:g}"
    return "MISSED"


def show(rows: Sequence[Row]) -> int:
    """Print the table; gives the number of rows that missed more than is known and allowed."""
    wanted = targets()
    missed = 0
    print(f"\n{'what':<62}{'measured':>14}  {'target':>12}")
    for row in rows:
        target = wanted.get(row.key)
        said = "" if target is None else verdict(row, target)
        missed += said == "MISSED"
        aim = "" if target is None else f"{target.target:>8.2f} {row.unit}"
        print(f"{row.what:<62}{row.value:>9.2f} {row.unit:<8} {aim:<12} {said}".rstrip())
    return missed


def caller_time(program: Callable[[], Any], calls: int = CALLS) -> float:
    """CPU time of this thread for one call, in microseconds."""
    begin = time.thread_time_ns()
    for _ in range(calls):
        program()
    return (time.thread_time_ns() - begin) / calls / 1000


def added(
    bare: Callable[[], Any], variants: dict[str, Callable[[], Any]], rounds: int = ROUNDS, calls: int = CALLS
) -> tuple[float, dict[str, float]]:
    """The bare program's time and what each variant adds to it (µs): the least of alternating blocks of each.

    The least is what the code costs; everything above it is the machine's other work.
    """
    programs_in_turn = {"bare": bare, **variants}
    for program in programs_in_turn.values():
        caller_time(program, calls)
    samples: dict[str, list[float]] = {name: [] for name in programs_in_turn}
    gc.collect()
    for _ in range(rounds):
        for name, program in programs_in_turn.items():
            samples[name].append(caller_time(program, calls))
    least = {name: min(values) for name, values in samples.items()}
    return least["bare"], {name: least[name] - least["bare"] for name in variants}


def added_everywhere(
    bare: Callable[[], Any], variants: dict[str, tuple[Callable[[], Any], Callable[[], Any]]], rounds: int = 10, calls: int = 200
) -> dict[str, float]:
    """What each variant adds to the bare program in the CPU time of all threads (µs a call), until its second function has delivered
    everything."""

    def everywhere(program: Callable[[], Any], flush: Callable[[], Any]) -> float:
        begin = time.process_time_ns()
        for _ in range(calls):
            program()
        flush()
        return (time.process_time_ns() - begin) / calls / 1000

    in_turn = {"bare": (bare, lambda: None), **variants}
    samples: dict[str, list[float]] = {name: [] for name in in_turn}
    for _ in range(rounds):
        for name, (program, flush) in in_turn.items():
            samples[name].append(everywhere(program, flush))
    least = {name: min(values) for name, values in samples.items()}
    return {name: least[name] - least["bare"] for name in variants}


def least(programs: dict[str, Callable[[], int]], rounds: int = 200) -> dict[str, float]:
    """The least of what programs that measure a part of themselves (ns) say, in alternation, as µs."""
    samples: dict[str, list[int]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            samples[name].append(program())
    return {name: min(values) / 1000 for name, values in samples.items()}
