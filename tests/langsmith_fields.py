"""Runs of two clients field by field: made comparable, compared, and what may differ with the reason for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

Json = dict[str, Any]

_UUID = re.compile(r"chatcmpl-\d+\b|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+\S*?(?=[\"' ]|$)| at 0x[0-9a-f]+")
_TIMES = ("start_time", "end_time")
_NO_FIELDS = ("id", "trace_id", "dotted_order", "parent_run_id", "session_id", *_TIMES)

MISSING = "(missing)"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs. `path` begins with the run's number and its name."""

    path: str
    sdk: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.path}\n      SDK   {_short(self.sdk)}\n      ours  {_short(self.ours)}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """A difference that is meant. `field` is a pattern for the whole path behind the run; `when` may look at both values."""

    field: str
    reason: str
    when: Callable[[Any, Any], bool] = lambda sdk, ours: True

    def fits(self, difference: Difference) -> bool:
        """Whether it is this one."""
        return bool(re.fullmatch(self.field, difference.path.partition(" ")[2])) and self.when(difference.sdk, difference.ours)


def only_ours(sdk: Any, ours: Any) -> bool:
    """The SDK's run has no such field."""
    return sdk == MISSING


def only_sdks(sdk: Any, ours: Any) -> bool:
    """Our run has no such field."""
    return ours == MISSING


def differences(sdk: Iterable[Json], ours: Iterable[Json]) -> list[Difference]:
    """The fields in which the runs of two traces of the same program differ, ids and times aside.

    Runs are told apart by their places in the tree. A null field is no field: the protocol has it so.
    """
    theirs, mine = _in_order(sdk), _in_order(ours)
    found = [
        Difference(f"{number}:{(one or other or {}).get('name')} run", _name(one), _name(other))
        for number, (one, other) in enumerate(_pairs(theirs, mine))
        if one is None or other is None
    ]
    for number, (one, other) in enumerate(zip(theirs, mine, strict=False)):
        left, right = (dict(_leaves(_without_nulls(_comparable(run, all_)))) for run, all_ in ((one, theirs), (other, mine)))
        for path in sorted({*left, *right}):
            values = left.get(path, MISSING), right.get(path, MISSING)
            if values[0] != values[1]:
                found.append(Difference(f"{number}:{one['name']} {path}", *values))
    return found


def unexplained(found: Sequence[Difference], allowed: Sequence[Allowed]) -> tuple[list[Difference], set[Allowed]]:
    """The differences that no entry allows, and the entries that were needed."""
    used: set[Allowed] = set()
    left: list[Difference] = []
    for difference in found:
        fitting = [entry for entry in allowed if entry.fits(difference)]
        used.update(fitting)
        if not fitting:
            left.append(difference)
    return left, used


def complaints_about(runs: Iterable[Json]) -> list[str]:
    """What is wrong with the ids, times and events of finished runs, by the protocol's own rules."""
    found: list[str] = []
    by_id = {run["id"]: run for run in runs}
    for run in by_id.values():
        name, segments = run["name"], run["dotted_order"].split(".")
        ids, times = [part[-36:] for part in segments], [part[:-36] for part in segments]
        parent = run.get("parent_run_id")
        start, end = run["start_time"], run["end_time"]
        rules = {
            "the first id of its dotted order is the trace's": ids[0] == run["trace_id"],
            "the last one its own": ids[-1] == run["id"],
            "the last but one its parent's": (ids[-2] if len(ids) > 1 else None) == parent,
            "its dotted order begins with its parent's": parent not in by_id or by_id[parent]["dotted_order"] == ".".join(segments[:-1]),
            "times never decrease on the way": times == sorted(times),
            "its own is its start": re.sub(r"\D", "", times[-1]) == re.sub(r"\D", "", start.partition("+")[0]),
            "it starts before it ends": start <= end,
            "its events lie within": all(start <= event["time"] <= end for event in run.get("events") or ()),
        }
        found += [f"{name}: not so: {rule}" for rule, holds in rules.items() if not holds]
    return found


def _pairs(one: list[Json], other: list[Json]) -> Iterator[tuple[Json | None, Json | None]]:
    for index in range(max(len(one), len(other))):
        yield (one[index] if index < len(one) else None, other[index] if index < len(other) else None)


def _name(run: Json | None) -> str:
    return MISSING if run is None else run["name"]


def _in_order(runs: Iterable[Json]) -> list[Json]:
    """By begin, each after what it lies in; single runs of one name that went on at the same time, which begin as threads do, by inputs."""
    groups: list[list[Json]] = []
    for run in sorted(runs, key=lambda run: run["dotted_order"]):
        last = groups[-1][-1] if groups else {}
        beside = not run.get("parent_run_id") and not last.get("parent_run_id") and run["name"] == last.get("name")
        if beside and run["start_time"] <= max(other.get("end_time") or "" for other in groups[-1]):
            groups[-1].append(run)
        else:
            groups.append([run])
    return [run for group in groups for run in sorted(group, key=lambda run: json.dumps(run.get("inputs"), sort_keys=True))]


def _comparable(run: Json, others: list[Json]) -> Json:
    places = {other["id"]: f"{index}:{other['name']}" for index, other in enumerate(others)}
    fields = {name: value for name, value in run.items() if name not in _NO_FIELDS}
    fields["parent"] = places.get(run.get("parent_run_id"))
    fields["tags"] = sorted(run.get("tags") or ())
    fields["events"] = [event["name"] for event in run.get("events") or ()]
    if run.get("error"):
        text = run["error"].strip()
        fields["error"] = {"begins": text.partition("\n\n")[0].partition("Traceback")[0], "ends": text.splitlines()[-1]}
    return fields


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in cast("Json", value).items() if item is not None}
    return [_without_nulls(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, item in cast("Json", value).items():
            yield from _leaves(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for index, item in enumerate(cast("list[Any]", value)):
            yield from _leaves(item, f"{path}[{index}]")
    elif isinstance(value, str):
        yield path, _ADDRESS.sub("ADDRESS", _UUID.sub("ID", value))
    else:
        yield path, value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}…"
