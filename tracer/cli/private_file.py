"""Writing a file that only its owner may read, all of it or nothing."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path


def write_private(path: Path, pieces: Iterable[str]) -> None:
    """Write the texts as UTF-8 with mode 0600 into a file beside `path`, and put it in its place when it is complete.

    What is there already is replaced if it is a regular file; anything else (a folder, a link, a device) is a `FileExistsError`.
    Other errors are `OSError`s too; the temporary file does not outlive them.
    """
    _check(path)
    # mkstemp makes the file anew, under a name that nobody can foresee, and private from the first moment.
    descriptor, name = tempfile.mkstemp(prefix=".tracer-", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(pieces)
        _check(path)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _check(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise FileExistsError(f"{path} is there and is not a regular file")
