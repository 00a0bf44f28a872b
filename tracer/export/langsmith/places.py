"""Where a run is: its ids, its start, and the dotted order that names all its ancestors with their starts."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.call import Call
from tracer.dotted_order import Run, ancestry_of, ids_in, joined


@dataclass(slots=True)
class Place:
    """A run's ids as text, and its start in Unix microseconds: its own, or its parent's where a clock was set back between the two."""

    id: str
    trace_id: str
    parent_run_id: str | None
    dotted_order: str
    start: int


def place_of(call: Call) -> Place:
    """The place of a call. It is the same each time it is asked for.

    >>> place_of(Call(0x01A207820C0A7940A194910CC8B1D75C, 1, 1, started_wall=1795422293002678000)).dotted_order
    '20261123T082453002678Z01a20782-0c0a-7940-a194-910cc8b1d75c'
    """
    order, start = joined(*_ancestry(call))
    return Place(*ids_in(order), order, start)


def _ancestry(call: Call) -> tuple[str, list[Run]]:
    """What is known of the runs above a call, and the call itself."""
    own = (call.run_id, call.started_wall)
    if call.above is None and call.parent_run_id is not None:
        # Nothing but ids is known.
        root = call.root_run_id or call.trace_id
        return "", [*((run_id, 0) for run_id in dict.fromkeys((root, call.parent_run_id)) if run_id != call.run_id), own]
    prefix, runs = ancestry_of(call.above if call.parent_run_id is not None else None)
    return prefix, [*runs, own]
