"""What lies in a spool directory, for whoever looks into it and disturbs nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tracer.spool.file import InUse, SpoolError, SpoolFile

SUFFIX = ".spool"


@dataclass(slots=True)
class Found:
    """A spool file as an onlooker finds it. `pid` is that of the process that made it; `records` by address, None while it is in use."""

    path: Path
    pid: int
    bytes: int
    records: dict[str, int] | None = None
    trouble: str = ""


def look_into(directory: Path) -> list[Found]:
    """What is in a spool directory, oldest file first. Files in use are not disturbed."""
    found: list[Found] = []
    weights = dict(sizes(directory))
    for path in sorted(spool_files(directory)):
        size = sum(weight for name, weight in weights.items() if name.name.startswith(path.name))
        pid = path.name.split("-")[1] if path.name.count("-") > 1 else ""
        entry = Found(path, int(pid) if pid.isdigit() else 0, size)
        try:
            file = SpoolFile(path)
        except InUse:
            pass
        except SpoolError as error:
            entry.trouble = str(error)
        else:
            try:
                entry.records = file.counts()
            except SpoolError as error:
                entry.trouble = str(error)
            file.release()
        if entry.records != {}:
            found.append(entry)
    return found


def spool_files(directory: Path) -> list[Path]:
    """The files of a spool directory, in use or not; none where it cannot be read."""
    # One without a byte is just being made.
    return [path for path, size in sizes(directory) if path.name.endswith(SUFFIX) and size]


def sizes(directory: Path) -> list[tuple[Path, int]]:
    """Files of a spool directory, SQLite's logs included, and their bytes."""
    found: list[tuple[Path, int]] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if SUFFIX in entry.name:
                    try:
                        found.append((Path(entry.path), entry.stat().st_size))
                    except OSError:
                        pass  # Gone in the meantime.
    except OSError:
        pass
    return found
