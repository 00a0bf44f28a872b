"""Where the local store is, and how its file is made so that only its owner can read it."""

from __future__ import annotations

import os
from pathlib import Path

from tracer.settings import environment_value

FILE_NAME = "traces.sqlite"


def store_path(local: bool | str) -> Path:
    """The file for a value of the setting `local`: a path as given (a folder gets the usual file name), anything else the default.

    The default is `$XDG_DATA_HOME/tracer/traces.sqlite`, or below `~/.local/share` where that is unset.

    >>> store_path("/tmp/calls.sqlite").as_posix()
    '/tmp/calls.sqlite'
    """
    if isinstance(local, str) and local:
        path = Path(local).expanduser()
        return path / FILE_NAME if path.is_dir() else path
    # The XDG specification says to ignore a relative path.
    data_home = Path(environment_value("XDG_DATA_HOME") or "")
    root = data_home if data_home.is_absolute() else Path.home() / ".local" / "share"
    return root / "tracer" / FILE_NAME


def make_file(path: Path) -> None:
    """Create an empty store file with mode 0600 and the folders above it with 0700; leaves what exists as it is.

    SQLite gives its `-wal` and `-shm` files the mode of the file itself.
    """
    _make_folder(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))


def _make_folder(folder: Path) -> None:
    # `Path.mkdir(parents=True)` would give the mode to the last folder only.
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
