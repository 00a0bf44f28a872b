"""Where a run is: its ids, its start, and the dotted order that names all its ancestors with their starts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from uuid import UUID

from tracer.call import Call

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SEGMENT = r"(\d{8}T\d{12}Z)([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_ORDER = re.compile(rf"{_SEGMENT}(?:\.{_SEGMENT})*")
_TIME = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True, slots=True)
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
    prefix, runs = _ancestry(call)
    start = _end_of(prefix)
    segments = [prefix] if prefix else []
    for run_id, wall in runs:
        # Times never decrease on the way down.
        start = max(start, (wall or _wall_of(run_id)) // 1000)
        segments.append(f"{moment(start):{_TIME}}{UUID(int=run_id)}")
    order = ".".join(segments)
    above = order.split(".")[:-1]
    return Place(
        id=str(UUID(int=call.run_id)),
        trace_id=order.partition(".")[0][-36:],
        parent_run_id=above[-1][-36:] if above else None,
        dotted_order=order,
        start=start,
    )


def moment(microseconds: int) -> datetime:
    """A time in Unix microseconds, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def iso(microseconds: int) -> str:
    """A time in Unix microseconds as runs have it.

    >>> iso(1795422293002678)
    '2026-11-23T08:24:53.002678+00:00'
    """
    return moment(microseconds).isoformat(timespec="microseconds")


def _ancestry(call: Call) -> tuple[str, list[tuple[int, int]]]:
    """The place in another process that the trace goes on from, and run ids and starts from there down to the call."""
    runs = [(call.run_id, call.started_wall)]
    if call.parent_run_id is None:
        return "", runs
    if call.above is None:
        # Nothing but ids is known.
        root = call.root_run_id or call.trace_id
        runs += [(run_id, 0) for run_id in dict.fromkeys((call.parent_run_id, root)) if run_id != call.run_id]
        return "", runs[::-1]
    prefix = ""
    link = call.above
    while link is not None and link.run_id is not None:
        if _ORDER.fullmatch(link.dotted_order):
            prefix = link.dotted_order
            break
        runs.append((link.run_id, link.started_wall))
        link = link.above
    return prefix, runs[::-1]


def _end_of(order: str) -> int:
    """The start of the last run in a dotted order, in microseconds; 0 of an empty one."""
    match = re.search(_SEGMENT + "$", order)
    if match is None:
        return 0
    try:
        since = datetime.strptime(match[1], _TIME).replace(tzinfo=timezone.utc) - _EPOCH
    except ValueError:
        return 0
    return since // timedelta(microseconds=1)


def _wall_of(run_id: int) -> int:
    """The Unix time in nanoseconds that a UUIDv7 tells, to the millisecond."""
    return (run_id >> 80) * 1_000_000
