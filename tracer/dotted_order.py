"""The dotted order: how LangSmith says where in a trace a run is. Start and id of every run from the root down, joined by points.

Source: the LangSmith run protocol, `segment("." segment)*` with `segment = YYYYMMDD "T" HHMMSSffffff "Z" uuid`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from uuid import UUID

from tracer.call import Ancestor, Call

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TIME = "%Y%m%dT%H%M%S%fZ"
_SEGMENT = re.compile(r"([0-9]{8}T[0-9]{12}Z)([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_ORDER = re.compile(rf"{_SEGMENT.pattern}(?:\.{_SEGMENT.pattern})*")

SEGMENT = 58
"""Characters of a segment: each has a time of 22 and an id of 36."""
_ID = 36
_PARENT = slice(-(_ID + 1 + SEGMENT), -(1 + SEGMENT))

_ABOVE = 1 << 128

_MOST_TOLD = 10_000
_told: OrderedDict[int, str] = OrderedDict()

Run = tuple[int, int]
"""Id and start (Unix nanoseconds, 0 where it is not known)."""


def tell(run_id: int, dotted_order: str) -> None:
    """Another library posts this run, under this place: what is below has to name it so. The newest ten thousand are remembered."""
    _told[run_id] = dotted_order
    if len(_told) > _MOST_TOLD:
        _told.popitem(last=False)


def dotted_order_of(run: Ancestor) -> str:
    """The dotted order of a run, with all that is known of its ancestors; empty for a span that is no run."""
    return joined(*ancestry_of(run))[0]


def ancestry_of(run: Ancestor | None) -> tuple[str, list[Run]]:
    """The place that the trace goes on from, in another process or where another library posts (empty for none), and the runs from there
    down to this one.

    What is no dotted order is left aside.
    """
    runs: list[Run] = []
    while run is not None and run.run_id is not None:
        order = run.dotted_order or _told.get(run.run_id, "")
        if _ORDER.fullmatch(order):
            return order, runs[::-1]
        runs.append((run.run_id, run.started_wall))
        run = run.above
    return "", runs[::-1]


def project_of(call: Call) -> str:
    """The LangSmith project that the caller in another process records into; empty where none was told, or the caller is not trusted."""
    return project_from(call.above)


def project_from(run: Ancestor | None) -> str:
    """The project of the nearest that names one, from a run upwards; empty where none does."""
    return next((above.project for above in upwards(run) if above.project), "")


def upwards(run: Ancestor | None) -> Iterator[Ancestor]:
    """A run and all that is known of those above it."""
    while run is not None:
        yield run
        run = run.above


def ids_in(order: str) -> tuple[str, str, str | None]:
    """The ids of the last run of a dotted order, of its trace, and of its parent (None of a root).

    >>> ids_in("20261123T082453002678Z01a20782-0c0a-7940-a194-910cc8b1d75c")[2] is None
    True
    """
    return order[-_ID:], order[SEGMENT - _ID : SEGMENT], order[_PARENT] or None


def joined(above: str, runs: Sequence[Run]) -> tuple[str, int]:
    """The dotted order of the last of `runs` below the place `above`, and its start in Unix microseconds.

    Times never decrease on the way down, not even where a clock was set back.
    """
    start = start_of(above)
    segments = [above] if above else []
    for run_id, wall in runs:
        began = (wall or _wall_of(run_id)) // 1000
        if began > start:
            start = began
        segments.append(f"{_second(start // 1_000_000)[1]}{_fraction(start)}Z{id_text(run_id)}")
    return ".".join(segments), start


def id_text(run_id: int) -> str:
    """A run id as UUIDs are written; what `uuid.UUID` does takes twice as long.

    >>> id_text(0x0199_0000_0000_7000_8000_0000_0000_0001)
    '01990000-0000-7000-8000-000000000001'
    """
    # The bit above keeps zeros in front.
    digits = hex(run_id | _ABOVE)
    return f"{digits[3:11]}-{digits[11:15]}-{digits[15:19]}-{digits[19:23]}-{digits[23:]}"


def iso(microseconds: int) -> str:
    """A time in Unix microseconds as LangSmith's runs have it.

    >>> iso(1795422293002678)
    '2026-11-23T08:24:53.002678+00:00'
    """
    return f"{_second(microseconds // 1_000_000)[0]}.{_fraction(microseconds)}+00:00"


def _fraction(microseconds: int) -> str:
    """The microseconds beyond a second, with six digits; a format specification for them takes twice as long."""
    return str(microseconds % 1_000_000 + 1_000_000)[1:]


@lru_cache(64)
def _second(seconds: int) -> tuple[str, str]:
    """A second in Unix time, as runs have it and as dotted orders have it. Many runs begin and end in the same one."""
    began = moment(seconds * 1_000_000)
    return f"{began:%Y-%m-%dT%H:%M:%S}", f"{began:%Y%m%dT%H%M%S}"


def moment(microseconds: int) -> datetime:
    """A time in Unix microseconds, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def runs_in(text: str) -> list[int]:
    """The ids of the runs that a dotted order names, the root first. Raises `ValueError` where it is none.

    >>> runs_in("20261123T082453002678Z00000000-0000-0000-0000-000000000001")
    [1]
    """
    found: list[int] = []
    for segment in text.split("."):
        match = _SEGMENT.fullmatch(segment)
        if match is None or not UUID(match[2]).int:
            raise ValueError(segment)
        datetime.strptime(match[1], _TIME)  # noqa: DTZ007  # only whether there is such a time
        found.append(UUID(match[2]).int)
    return found


def start_of(order: str) -> int:
    """The start of the last run in a dotted order, in Unix microseconds; 0 of an empty one, and of one that names no possible time."""
    if not order:
        return 0
    try:
        since = datetime.strptime(order.rpartition(".")[2][:-_ID], _TIME).replace(tzinfo=timezone.utc) - _EPOCH
    except ValueError:
        return 0
    return since // timedelta(microseconds=1)


def _wall_of(run_id: int) -> int:
    """The Unix time in nanoseconds that a UUIDv7 tells, to the millisecond."""
    return (run_id >> 80) * 1_000_000
