"""Alternating blocks of programs in one run: the one way in which everything here is measured."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ROUNDS = 100
CALLS = 20


@dataclass(slots=True)
class Row:
    """One line of the table. `target` is in the same unit as `value`."""

    what: str
    value: float
    unit: str
    target: float
    note: str = ""

    @property
    def met(self) -> bool:
        return self.value <= self.target


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
