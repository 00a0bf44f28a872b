"""`SpooledWaiting`: items that wait in memory and on disk. Each is written before it waits, and forgotten there when it is done.

When there is no room in memory, items stay on disk alone and are read again when their turn comes; what earlier processes left is read
before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from tracer.export.destination import Delivery
from tracer.export.transport import Item
from tracer.pipeline.waiting import Waiting

LOOK = 10.0
"""Seconds after which the sender looks whether other processes have left something."""

_LOAD_ITEMS = 512
_LOAD_BYTES = 4 * 1024 * 1024


class Shelf(Protocol):
    """What the spool keeps for one destination (`tracer.spool`)."""

    behind: int
    """Items of this process that are on disk only."""

    @property
    def directory(self) -> str:
        """Where it is."""
        ...

    def keep(self, items: Sequence[Item]) -> dict[str, int]:
        """Write the items, as far as the disk takes them; gives the numbers of earlier records that had to give way, by reason."""
        ...

    def took(self, items: Sequence[Item]) -> None:
        """These are in memory too."""

    def leave(self, items: Sequence[Item]) -> None:
        """These stay on disk only, for now."""

    def forget(self, items: Sequence[Item], accepted: bool) -> None:
        """These have arrived or are given up."""

    def has_more(self) -> bool:
        """Something is on disk that is not in memory."""
        ...

    def load(self, most_items: int, most_bytes: int) -> tuple[list[Item], set[str]]:
        """The next items from disk, and keys whose beginning has arrived."""
        ...

    def close(self) -> None:
        """Leave the rest to the next process."""


class Shelves(Protocol):
    """A spool as whoever makes senders sees it."""

    def shelf(self, address: str, frame: Callable[[], bytes]) -> Shelf:
        """The part for one destination; `frame` gives what stands around its items in a request (`Transport.frame`)."""
        ...


class SpooledWaiting(Waiting):
    """Items of one destination, in memory as far as there is room, and on disk."""

    def __init__(self, most_records: int, most_bytes: int, shorten: Callable[[Item, int], dict[str, bytes] | None], shelf: Shelf) -> None:
        super().__init__(most_records, most_bytes, shorten)
        self._shelf = shelf
        self._stopped = False
        self.interval = LOOK

    def put_all(self, items: Sequence[Item]) -> Delivery:
        """Write the items, and take those into memory for which there is room or which the disk has not taken."""
        delivery = Delivery()
        for reason, count in self._shelf.keep(items).items():
            delivery.drop(reason, count)
            delivery.spooled -= count
        kept = [item for item in items if item.kept is not None]
        delivery.spooled += sum(item.records for item in kept)
        if self._stopped or self._shelf.behind or not self.has_room(kept):
            self._shelf.leave(kept)
            into_memory = [item for item in items if item.kept is None]
        else:
            self._shelf.took(kept)
            into_memory = items
        delivery.add(super().put_all(into_memory))
        self._forget_merged()
        return delivery

    def has_work(self) -> bool:
        """Something waits here or on disk."""
        return super().has_work() or (not self._stopped and self._shelf.has_more())

    def take(self, most_items: int, most_bytes: int) -> list[Item]:
        """The next batch, after a look on the disk where little is left in memory."""
        if not self._stopped and len(self) < _LOAD_ITEMS:
            self._load(min(_LOAD_ITEMS, self.most_records - self.records), min(_LOAD_BYTES, self.most_bytes - self.bytes))
        return super().take(most_items, most_bytes)

    def done(self, batch: Iterable[Item], accepted: bool) -> None:
        """Forget items here and on disk."""
        items = list(batch)
        super().done(items, accepted)
        self._shelf.forget(items, accepted)

    def upto(self) -> float:
        """What is on disk has no number yet: then everything is waited for."""
        return float("inf") if self._shelf.behind else self.last

    def arrived(self, upto: float) -> bool:
        """Everything up to a number is done, and everything on disk is at least here."""
        return super().arrived(upto) and (self._stopped or not self._shelf.behind)

    def is_safe(self) -> bool:
        """Everything is on disk."""
        return all(item.kept is not None for item in self.unsettled())

    def stop(self, batch: Sequence[Item]) -> list[Item]:
        """Nothing more is sent: what is on disk stays there for a process with other settings, the rest is given up."""
        self._stopped = True
        items = super().stop(batch)
        kept = [item for item in items if item.kept is not None]
        super().done(kept, accepted=False)
        return [item for item in items if item.kept is None]

    def close(self) -> None:
        """Leave what is on disk to the next process."""
        self._shelf.close()

    def _load(self, most_items: int, most_bytes: int) -> None:
        # Not more than there is room for: what is put out of memory again is left to a later process.
        if most_items > 0 and (most_bytes > 0 or not len(self)) and self._shelf.has_more():
            items, begun = self._shelf.load(most_items, most_bytes // 2)
            self.note_begun(begun)
            for item in items:
                self.put(item)
            self._forget_merged()

    def _evict(self, item: Item, lost: Delivery) -> None:
        if item.kept is None:
            super()._evict(item, lost)
        else:
            super().done((item,), accepted=False)  # It is still on disk, for a later process.

    def _forget_merged(self) -> None:
        merged, self.merged = self.merged, []
        if merged:
            self._shelf.forget(merged, accepted=False)
