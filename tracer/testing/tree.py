"""Captured calls as a tree for people: what a failed assertion shows."""

from __future__ import annotations

from collections.abc import Sequence

from tracer.export.wording import duration, one_line, tokens
from tracer.testing.calls import CapturedCall, shown

_LINE = 110


def tree_of(calls: Sequence[CapturedCall]) -> str:
    """The calls under each other as they were made in each other, with what was said.

    >>> tree_of([])
    'no calls'
    """
    roots = [call for call in calls if call.parent is None]
    return "\n".join(line for root in roots for line in _lines(root, "", "")) or "no calls"


def _lines(call: CapturedCall, first: str, rest: str) -> list[str]:
    children = call.children
    bar = rest + ("│   " if children else "    ")
    lines = [first + _facts(call), *(bar + one_line(text, _LINE) for text in _details(call))]
    for index, child in enumerate(children):
        is_last = index == len(children) - 1
        lines += _lines(child, rest + ("└── " if is_last else "├── "), rest + ("    " if is_last else "│   "))
    return lines


def _facts(call: CapturedCall) -> str:
    usage = call.usage
    facts = [
        one_line(call.name, _LINE),
        call.outcome,
        tokens(usage.input, usage.output) if usage else "",
        "" if call.is_open else duration(call.seconds),
        f"{call.attempts} attempts" if call.attempts > 1 else "",
    ]
    return " · ".join(fact for fact in facts if fact)


def _details(call: CapturedCall) -> list[str]:
    lines = [shown(message) for message in (*call.messages, *call.output_messages)]
    lines += [f"{label}: {value}" for label, value in (("input", call.input), ("output", call.output)) if value is not None]
    error = call.error
    return lines if error is None else [*lines, f"error: {error.type}: {error.message}"]
