"""Runs programs bare and traced, and names what differs."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

import tracer
from tests.fidelity.programs import ASKING, INSTRUMENTED, WRAPPED, Family, Program, World
from tests.fidelity.seen import chain_of, described
from tests.fidelity.wire import Wire
from tests.integration.capture_support import close_http_clients
from tests.support import OUR_PREFIXES
from tracer.runtime import runtime

SAME = "no difference"
MISSING = "– "  # noqa: RUF001
"""How a cell begins whose program cannot be run here."""

_CHANGING = re.compile(r";run=\d+|scope [0-9a-f]+|0x[0-9a-f]{6,}|(?<=boundary=)[0-9a-f]{32}|(?<=--)[0-9a-f]{32}")
"""What differs from one bare run to the next: the server's counters, addresses in memory, boundaries of multipart bodies."""
_CHANGING_BYTES = re.compile(_CHANGING.pattern.encode())


@dataclass(frozen=True, slots=True)
class Observation:
    """All that was seen of one run. `missing` is why the program could not be run here."""

    values: Any = None
    error: Any = None
    warned: Any = None
    sent: Any = None
    requests: int = 0
    started: int = 0
    missing: str | None = None


def observe(program: Program, family: Family, wire: Wire, wrap: Callable[[Any], Any]) -> Observation:
    """Run it once."""
    world = World(family, wire, wrap)
    earlier, began = len(wire.replay.requests()), runtime.started_count()
    error: Any = None
    wire.take()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # Sockets that a program leaves open are reported whenever they happen to be collected.
        warnings.simplefilter("ignore", ResourceWarning)
        with _event_loop() as loop:
            try:
                program.start(world, loop)
            except pytest.skip.Exception as skipped:
                return Observation(missing=str(skipped))
            except Exception as failure:
                error = chain_of(failure)
    return Observation(
        normal(described(world.seen.values)),
        normal(error),
        sorted((item.category.__name__, cast("str", normal(str(item.message)))) for item in caught),
        normal(sorted(wire.take()) if program.concurrent else wire.take()),
        len(wire.replay.requests()) - earlier,
        runtime.started_count() - began,
    )


@contextmanager
def _event_loop() -> Generator[asyncio.AbstractEventLoop, None, None]:
    """A loop of its own for each program; HTTP clients are closed in it.

    What is there at its end stays out of later collections, which so take next to no time.
    """
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        gc.collect()
        gc.freeze()
        loop.run_until_complete(close_http_clients())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def normal(value: Any) -> Any:
    """The value without what differs from one run of the same program to the next."""
    if isinstance(value, str):
        return _CHANGING.sub("…", value)
    if isinstance(value, bytes):
        return _CHANGING_BYTES.sub(b"...", value)
    if isinstance(value, dict):
        return {normal(name): normal(item) for name, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        items = [normal(item) for item in cast("list[Any]", value)]
        return items if isinstance(value, list) else tuple(items)
    return value


def differences(bare: Observation, traced: Observation, mode: str) -> list[str]:
    """What differs, in words."""
    found = [difference("values", bare.values, traced.values), difference("error", bare.error, traced.error)]
    found.append(difference("warnings", bare.warned, traced.warned))
    if mode != ASKING:
        found.append(difference("requests", bare.sent, traced.sent))
    elif bare.requests != traced.requests:
        found.append(f"{traced.requests} requests, not {bare.requests}")
    if traced.requests and not traced.started:
        found.append("no record")
    return [item for item in found if item]


def difference(where: str, theirs: Any, ours: Any) -> str:
    """The first place where two values differ, or nothing."""
    if type(theirs) is type(ours):
        if isinstance(theirs, dict):
            names = list(cast("dict[Any, Any]", theirs)) + [name for name in cast("dict[Any, Any]", ours) if name not in theirs]
            more = [name for name in names if name not in theirs]
            fewer = [name for name in names if name not in ours]
            if more or fewer:
                return f"{where}:{' also ' + _listed(more) if more else ''}{' without ' + _listed(fewer) if fewer else ''}"
            pairs: Iterable[Any] = ((f"{where}[{name!r}]", theirs[name], ours[name]) for name in names)
            found = next((text for pair in pairs if (text := difference(*pair))), "")
            return found or ("" if list(cast("dict[Any, Any]", theirs)) == list(cast("dict[Any, Any]", ours)) else f"{where}: other order")
        if isinstance(theirs, list | tuple):
            if len(cast("list[Any]", theirs)) != len(ours):
                return f"{where}: {len(ours)} instead of {len(cast('list[Any]', theirs))}: {_short(ours)} instead of {_short(theirs)}"
            pairs = ((f"{where}[{index}]", *pair) for index, pair in enumerate(zip(cast("list[Any]", theirs), ours, strict=True)))
            return next((text for pair in pairs if (text := difference(*pair))), "")
    if type(theirs) is type(ours) and (theirs == ours or repr(theirs) == repr(ours)):
        return ""
    start = 0
    if isinstance(theirs, str | bytes) and type(theirs) is type(ours) and len(theirs) > 100:
        start = max(next((index for index, pair in enumerate(zip(theirs, ours, strict=False)) if pair[0] != pair[1]), 0) - 20, 0)
    return f"{where}: {_short(ours[start:] if start else ours)} instead of {_short(theirs[start:] if start else theirs)}"


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "…"


# Modes.


def as_it_is(client: Any) -> Any:
    """Of a bare run."""
    return client


@contextmanager
def traced_by(mode: str, folder: Path) -> Generator[Callable[[Any], Any], None, None]:
    """Tracing is on, by that mode, with a local store as its destination. Faults of ours are raised."""
    usage = "auto" if mode == ASKING else "off"
    tracer.configure(local=str(folder / f"{mode}.sqlite"), quiet=True, stream_usage=usage)
    runtime.raise_faults = True
    if mode == INSTRUMENTED:
        tracer.instrument()
    try:
        yield as_it_is if mode == INSTRUMENTED else tracer.wrap
    finally:
        tracer.uninstrument()
        runtime.raise_faults = False
        tracer.shutdown()


Missing = str
Result = list[str] | Missing
"""What differs, or why the program could not be run here."""


def compare_all(programs: Sequence[Program], family: Family) -> dict[str, Result]:
    """Run all, bare first: nothing of ours is active then. Gives what differs for each program."""
    for name in list(os.environ):
        if name.startswith(OUR_PREFIXES):
            del os.environ[name]
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    # The server's threads collect nothing: async generators belong to the main thread.
    gc.disable()
    results: dict[str, Result] = {}
    with Wire() as wire, tempfile.TemporaryDirectory() as folder:
        for program in programs:
            if not program.may_fail:
                # A rehearsal: some warnings come from the second run on, some only in the first.
                observe(program, family, wire, as_it_is)
        bare = {program.name: observe(program, family, wire, as_it_is) for program in programs}
        for mode in (WRAPPED, INSTRUMENTED, ASKING):
            chosen = [program for program in programs if mode in program.modes]
            with traced_by(mode, Path(folder)) as wrap:
                for program in chosen:
                    traced = observe(program, family, wire, wrap)
                    _add(results, program, mode, bare[program.name], traced)
    return results


def _add(results: dict[str, Result], program: Program, mode: str, bare: Observation, traced: Observation) -> None:
    if bare.missing is not None:
        results[program.name] = bare.missing
        return
    if bare.error is not None and not program.may_fail:
        results[program.name] = [f"the program is broken: {_short(bare.error)}"]
        return
    found = [f"{mode}: {text}" for text in differences(bare, traced, mode)]
    earlier = results.setdefault(program.name, [])
    if traced.missing is not None:
        found = [f"{mode}: {traced.missing}"]
    cast("list[str]", earlier).extend(found)


# Cells.


def cells_of(programs: Sequence[Program], results: dict[str, Result]) -> dict[str, dict[str, str]]:
    """The cells by section and row."""
    rows: dict[tuple[str, str], list[tuple[Program, Result]]] = {}
    for program in programs:
        for row in program.rows:
            rows.setdefault(row, []).append((program, results[program.name]))
    cells: dict[str, dict[str, str]] = {}
    for (section, row), found in rows.items():
        cells.setdefault(section, {})[row] = _cell(found)
    return cells


def _cell(found: list[tuple[Program, Result]]) -> str:
    run = [(program, result) for program, result in found if not isinstance(result, str)]
    if not run:
        return f"{MISSING}{found[0][1]}"
    differing = [f"{program.name}: {text}" for program, result in run for text in result]
    return "; ".join(differing[:3]) + (f"; and {len(differing) - 3} more" if len(differing) > 3 else "") if differing else SAME
