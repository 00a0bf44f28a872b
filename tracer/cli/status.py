"""`tracer status`: what waits in the spool, and how large the local store is."""

from __future__ import annotations

import argparse
import sqlite3
import time
from pathlib import Path

from tracer import settings
from tracer.cli.env import summary
from tracer.cli.output import complain
from tracer.export.notices import records_text
from tracer.export.wording import duration
from tracer.spool.listing import Found, look_into
from tracer.store.place import store_path
from tracer.store.reader import StoreReader
from tracer.store.schema import StoreError

DESCRIPTION = (
    "Show what waits in the spool directory, and what is in the local store. A running process tells of itself by tracer.status()."
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("status", help="show the spool and the local store", description=DESCRIPTION)
    parser.add_argument("--spool", metavar="DIR", help="the spool directory (default: TRACER_SPOOL)")
    parser.add_argument("--store", metavar="PATH", help="the store's file (default: TRACER_LOCAL, or the usual place)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the command; gives the exit status: 1 when something cannot be read."""
    found = settings.read()[0]
    print(summary(found))
    directory = arguments.spool or found.spool
    troubles = _spool(Path(directory)) if directory else _none("Spool: none (TRACER_SPOOL is not set).")
    path = Path(arguments.store).expanduser() if arguments.store else store_path(found.local)
    return 1 if troubles + _store(path) else 0


def _none(text: str) -> int:
    print(text)
    return 0


def _spool(directory: Path) -> int:
    if not directory.is_dir():
        return _none(f"Spool: {directory} is not there yet.")
    files = look_into(directory)
    print(f"Spool: {directory}, {_size(sum(file.bytes for file in files))} in {len(files)} file{'' if len(files) == 1 else 's'}")
    for file in files:
        for line in _lines(file):
            print(f"    {line}")
    return sum(complain(f"{file.path}: {file.trouble}") for file in files if file.trouble)


def _lines(file: Found) -> list[str]:
    if file.trouble:
        return []
    if file.records is None:
        return [f"in use by process {file.pid}: {_size(file.bytes)}"]
    return [f"left by process {file.pid}: {records_text(records)} for {address}" for address, records in file.records.items()]


def _store(path: Path) -> int:
    if not path.exists():
        return _none(f"Local store: none at {path}.")
    try:
        with StoreReader(path) as store:
            traces, spans, oldest, newest = store.extent()
    except (StoreError, sqlite3.Error) as error:
        return complain(f"cannot read {path}: {error}.")
    size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*") if file.name in (path.name, f"{path.name}-wal"))
    print(f"Local store: {path}, {_size(size)}, {traces} traces with {spans} spans")
    if traces:
        print(f"    the oldest began {_ago(oldest)}, the newest {_ago(newest)}")
    return 0


def _ago(nanoseconds: int) -> str:
    return f"{duration(max(time.time_ns() - nanoseconds, 0) / 1e9)} ago"


def _size(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MiB"
