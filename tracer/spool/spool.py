"""`Spool`: a directory that several processes share, and in it a file for each of them. `Shelf`: one destination's part of it.

A process writes into its own file only. A file whose process has ended can be opened, and whoever opens it sends what is in it.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tracer.export.notices import Notices
from tracer.export.transport import Item
from tracer.spool.file import InUse, SpoolError, SpoolFile

SUFFIX = ".spool"
LOOK = 10.0
"""Seconds between two looks for files that other processes have left."""

AGAIN = 30.0
"""Seconds after which a disk that failed is tried again."""

_MEASURE = 5.0
_EXPIRE = 600.0


@dataclass(frozen=True, slots=True)
class Kept:
    """Where an item is on disk."""

    file: SpoolFile
    number: int


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


class Shelf:
    """What the spool keeps for one destination. `behind` are own items that are on disk only, in the order in which they were kept.

    `keep`, `took` and `leave` are called by whoever hands items in, the rest by whoever sends them.
    """

    def __init__(self, spool: Spool, address: str, frame: Callable[[], bytes]) -> None:
        self.address = address
        self.closed = False
        self.behind = 0
        self._file: SpoolFile | None = None
        self._spool = spool
        self._frame = frame
        self._read_up_to: dict[SpoolFile, int] = {}
        self._keys: set[str] = set()
        self._next_expiry = time.monotonic() + _EXPIRE

    @property
    def directory(self) -> str:
        """Where the spool is."""
        return str(self._spool.directory)

    def keep(self, items: Sequence[Item]) -> dict[str, int]:
        """Write the items, which then know where they are kept; the disk may fail, then they do not.

        Gives the numbers of earlier records that had to give way, by reason.
        """
        lost: dict[str, int] = {}
        try:
            file = self._spool.own()
            if file is not self._file:
                # Somebody deleted the earlier one.
                _add(lost, "spool deleted", self.behind)
                self._file, self.behind = file, 0
            self._expire(file, lost)
            if not self._make_room(file, sum(item.weight for item in items), lost):
                return lost
            numbers = file.write(self.address, self._frame(), items)
        except SpoolError as error:
            self._spool.failed(error, sum(item.records for item in items))
            return lost
        for item, number in zip(items, numbers, strict=True):
            item.kept = Kept(file, number)
            if item.opens:
                self._keys.add(item.key)
        return lost

    def took(self, items: Sequence[Item]) -> None:
        """These are in memory too."""
        for item in items:
            if isinstance(item.kept, Kept):
                self._read_up_to[item.kept.file] = item.kept.number

    def leave(self, items: Sequence[Item]) -> None:
        """These stay on disk only, for now."""
        self.behind += len(items)

    def forget(self, items: Sequence[Item], accepted: bool) -> None:
        """These have arrived or are given up."""
        numbers: dict[SpoolFile, list[int]] = {}
        for item in items:
            if isinstance(item.kept, Kept):
                numbers.setdefault(item.kept.file, []).append(item.kept.number)
        for file, found in numbers.items():
            try:
                self._note_begun(file, [item for item in items if item.key in self._keys], accepted)
                file.remove(found)
            except SpoolError as error:
                if not file.closed:
                    self._spool.failed(error, 0)
        for file in numbers:
            self._spool.let_go(file)

    def has_more(self) -> bool:
        """Something is on disk that is not in memory: of this process, or of one that has ended."""
        if self.closed:
            return False
        self._spool.adopt()
        return self.behind > 0 or any(self._has_more(file) for file in self._spool.adopted())

    def load(self, most_items: int, most_bytes: int) -> tuple[list[Item], set[str]]:
        """The next items from disk, those of earlier processes first, and the keys of which the beginning has arrived."""
        for file in self._spool.adopted():
            if self._has_more(file):
                items = self._read(file, most_items, most_bytes)
                for item in items:
                    item.adopted = True
                if items:
                    return items, self._begun(file)
        if not self.behind:
            return [], set()
        items = self._read_own(most_items, most_bytes)
        # Where the disk does not give back what it took, there is nothing to wait for.
        self.behind = max(self.behind - len(items), 0) if items else 0
        for item in items:
            item.frame = b""
        return items, set()

    def close(self) -> None:
        """What is left stays for the next process."""
        self.closed = True
        self._spool.close()

    def _has_more(self, file: SpoolFile) -> bool:
        try:
            return bool(file.read(self.address, self._read_up_to.get(file, 0), 1, 0))
        except SpoolError:
            return False

    def _read(self, file: SpoolFile, most_items: int, most_bytes: int) -> list[Item]:
        try:
            found = file.read(self.address, self._read_up_to.get(file, 0), most_items, most_bytes)
        except SpoolError as error:
            self._spool.failed(error, 0)
            return []
        for number, item in found:
            item.kept = Kept(file, number)
            self._read_up_to[file] = number
            if item.opens:
                self._keys.add(item.key)
        return [item for _, item in found]

    def _read_own(self, most_items: int, most_bytes: int) -> list[Item]:
        try:
            return self._read(self._spool.own(), most_items, most_bytes)
        except SpoolError:
            return []

    def _begun(self, file: SpoolFile) -> set[str]:
        try:
            keys = file.begun(self.address)
        except SpoolError:
            return set()
        self._keys |= keys
        return keys

    def _note_begun(self, file: SpoolFile, items: Sequence[Item], accepted: bool) -> None:
        if not items:
            return
        begun = [item.key for item in items if item.opens and accepted]
        over = [item.key for item in items if not item.opens]
        file.note_begun(self.address, begun, over)
        self._keys.difference_update(over)

    def _make_room(self, file: SpoolFile, size: int, lost: dict[str, int]) -> bool:
        excess = self._spool.excess(size)
        if excess > 0 and self.behind:
            items, records = file.drop_oldest(self.address, self._read_up_to.get(file, 0), max(excess, self._spool.most_bytes // 20))
            self.behind -= items
            _add(lost, "spool full", records)
            excess = self._spool.excess(size)
        if excess > 0:
            text = f"the spool {self._spool.directory} is full (TRACER_SPOOL_BYTES); recording goes on in memory"
            self._spool.notices.waiting("full", 0, text)
        return excess <= 0

    def _expire(self, file: SpoolFile, lost: dict[str, int]) -> None:
        now = time.monotonic()
        if now < self._next_expiry or not self.behind:
            return
        self._next_expiry = now + _EXPIRE
        items, records = file.expire(time.time() - self._spool.most_age, self.address, self._read_up_to.get(file, 0))
        self.behind -= items
        _add(lost, "spool age", records)
        if records:
            self._spool.lost_by_age(records)


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


def _add(counts: dict[str, int], reason: str, count: int) -> None:
    if count:
        counts[reason] = counts.get(reason, 0) + count


_spools: weakref.WeakSet[Spool] = weakref.WeakSet()


def _leave_to_parent() -> None:
    for spool in list(_spools):
        spool.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
