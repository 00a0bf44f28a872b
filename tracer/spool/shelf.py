"""`Shelf`: what the spool keeps for one destination, in the file of this process and in those that earlier ones have left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracer.export.destination import add_count
from tracer.export.transport import Item
from tracer.spool.file import SpoolError, SpoolFile

if TYPE_CHECKING:
    from tracer.spool.spool import Spool

_EXPIRE = 600.0


@dataclass(frozen=True, slots=True)
class Kept:
    """Where an item is on disk."""

    file: SpoolFile
    number: int


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
                add_count(lost, "spool deleted", self.behind)
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
            add_count(lost, "spool full", records)
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
        add_count(lost, "spool age", records)
        if records:
            self._spool.lost_by_age(records)
