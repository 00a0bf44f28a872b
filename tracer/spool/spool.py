"""`Spool`: a directory that several processes share, and in it a file for each of them.

A process writes into its own file only. A file whose process has ended can be opened, and whoever opens it sends what is in it.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from tracer.export.notices import Notices
from tracer.spool.file import InUse, SpoolError, SpoolFile
from tracer.spool.listing import SUFFIX, sizes, spool_files
from tracer.spool.shelf import Shelf

LOOK = 10.0
"""Seconds between two looks for files that other processes have left."""

AGAIN = 30.0
"""Seconds after which a disk that failed is tried again."""

_MEASURE = 5.0


class Spool:
    """A spool directory, of at most `most_bytes`; what is older than `most_age` seconds is given up.

    Nothing is made or opened before something is to be kept or looked for. Trouble with the disk is one line a minute.
    """

    def __init__(self, directory: Path, most_bytes: int, most_age: float) -> None:
        self.directory = directory
        self.most_bytes = most_bytes
        self.most_age = most_age
        self.notices = Notices()
        self._shelves: list[Shelf] = []
        self._own: SpoolFile | None = None
        self._adopted: dict[Path, SpoolFile] = {}
        self._unreadable: set[Path] = set()
        self._lock = threading.RLock()
        self._next_look = 0.0
        self._not_before = 0.0
        self._others_bytes = 0
        self._measured = -_MEASURE
        _spools.add(self)

    def shelf(self, address: str, frame: Callable[[], bytes]) -> Shelf:
        """The part for one destination; `frame` is asked when something is kept."""
        shelf = Shelf(self, address, frame)
        self._shelves.append(shelf)
        return shelf

    def own(self) -> SpoolFile:
        """This process's file."""
        with self._lock:
            if time.monotonic() < self._not_before:
                raise SpoolError("the disk failed a moment ago")
            if self._own is not None and not self._own.path.exists():
                # What is written into a deleted file nobody finds.
                self._own.release()
                self._own = None
            if self._own is None:
                self._own = self._new_file()
            return self._own

    def _new_file(self) -> SpoolFile:
        for _ in range(3):
            try:
                return SpoolFile.make(self.directory / f"{time.time_ns() // 1_000_000}-{os.getpid()}-{uuid4().hex[:8]}{SUFFIX}")
            except InUse:
                pass  # Somebody looked into it before it was locked.
        raise SpoolError("other processes hold its files")

    def failed(self, error: SpoolError, records: int) -> None:
        """The disk did not take something; it is let alone for a while."""
        if time.monotonic() >= self._not_before:
            text = f"cannot write the spool {self.directory} (TRACER_SPOOL): {error}; recording goes on in memory"
            self.notices.waiting("disk", records, text)
            self._not_before = time.monotonic() + AGAIN

    def excess(self, size: int) -> int:
        """How many bytes are too many when `size` are added."""
        now = time.monotonic()
        if now - self._measured > _MEASURE:
            self._measured = now
            self._others_bytes = sum(size for path, size in sizes(self.directory) if not self._is_own(path))
        return self._others_bytes + self.own().used_bytes() + size - self.most_bytes

    def adopt(self) -> None:
        """Look, now and then, for files that other processes have left, and take those with something for us."""
        with self._lock:
            if time.monotonic() < self._next_look:
                return
            self._next_look = time.monotonic() + LOOK
            for path in sorted(spool_files(self.directory)):
                if path not in self._adopted and path not in self._unreadable and not self._is_own(path):
                    self._take(path)

    def adopted(self) -> list[SpoolFile]:
        """Files of earlier processes that are in our hands, oldest first."""
        with self._lock:
            return list(self._adopted.values())

    def let_go(self, file: SpoolFile) -> None:
        """Give a file of an earlier process back once nothing for us is in it; an empty one is deleted."""
        with self._lock:
            if self._adopted.get(file.path) is file and not self._is_ours(file):
                del self._adopted[file.path]
                file.release()

    def close(self) -> None:
        """Leave everything that is left to the next process."""
        with self._lock:
            if all(shelf.closed for shelf in self._shelves):
                for file in self._adopted.values():
                    file.release()
                self._adopted.clear()
                if self._own is not None:
                    self._own.release()
                    self._own = None
                self._not_before = float("inf")
                self._next_look = float("inf")

    def leave_to_parent(self) -> None:
        """In a forked child: forget the files, which are the parent's."""
        self._lock = threading.RLock()
        for file in (self._own, *self._adopted.values()):
            if file is not None:
                file.leave_to_parent()
        self._own = None
        self._adopted = {}
        self._not_before = self._next_look = float("inf")

    def _is_own(self, path: Path) -> bool:
        return self._own is not None and path.name.startswith(self._own.path.name)

    def _take(self, path: Path) -> None:
        try:
            file = SpoolFile(path)
        except InUse:
            return
        except SpoolError as error:
            if path.exists():
                self._unreadable.add(path)
                self.notices.waiting("unreadable", 0, f"cannot read {path} of the spool: {error}; it is left alone")
            return
        try:
            _, records = file.expire(time.time() - self.most_age)
            if records:
                self.lost_by_age(records)
            if self._is_ours(file):
                self._adopted[path] = file
                return
        except SpoolError as error:
            self._unreadable.add(path)
            self.notices.waiting("unreadable", 0, f"cannot read {path} of the spool: {error}; it is left alone")
        file.release()

    def _is_ours(self, file: SpoolFile) -> bool:
        try:
            addresses = file.counts()
        except SpoolError:
            return False
        return any(shelf.address in addresses for shelf in self._shelves)

    def lost_by_age(self, records: int) -> None:
        """Say that records were given up."""
        text = f"records in the spool {self.directory} were older than TRACER_SPOOL_AGE allows"
        self.notices.lost("spool age", records, text)


_spools: weakref.WeakSet[Spool] = weakref.WeakSet()


def _leave_to_parent() -> None:
    for spool in list(_spools):
        spool.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
