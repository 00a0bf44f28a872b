"""Items that wait for one destination: bounded by records and bytes, in order, contents given up before records.

Nothing here locks; the sender holds its lock around every call. Where there is a spool, items are on disk as well, and only as many as
there is room for are here (`tracer.pipeline.spooled`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tracer.export.destination import Delivery
from tracer.export.transport import Item

QUEUE_FULL = "queue full"

# How far from the oldest item one is looked for that may be dropped without leaving a half behind.
_LOOK = 64


@dataclass(slots=True, eq=False, repr=False)
class Waiting:
    """`shorten` is that of the transport."""

    most_records: int
    most_bytes: int
    shorten: Callable[[Item, int], dict[str, bytes] | None]
    records: int = 0
    """Records waiting and in hand."""
    bytes: int = 0
    last: int = 0
    """Number of the last item that was put."""
    interval: float | None = None
    """Seconds after which to ask again whether there is work."""
    merged: list[Item] = field(default_factory=list[Item])
    """Opening items that became one with their end, for whoever keeps them elsewhere too."""
    _items: deque[Item] = field(default_factory=deque[Item])
    _heavy: dict[int, Item] = field(default_factory=dict[int, Item])
    _unsettled: dict[int, Item] = field(default_factory=dict[int, Item])
    _openers: dict[str, Item] = field(default_factory=dict[str, Item])
    _begun: set[str] = field(default_factory=set[str])

    def __len__(self) -> int:
        return len(self._items)

    @property
    def oldest(self) -> int | None:
        """Number of the oldest item that is not done."""
        return next(iter(self._unsettled), None)

    def put_all(self, items: Sequence[Item]) -> Delivery:
        """Take items; what had to give way for them is in the delivery."""
        delivery = Delivery()
        for item in items:
            self._add(item)
            if self.records > self.most_records or self.bytes > self.most_bytes:
                delivery.add(self._make_room())
        return delivery

    def has_work(self) -> bool:
        """Something waits to be taken."""
        return bool(self._items)

    def upto(self) -> float:
        """What to wait for with `arrived` so that everything put so far is done."""
        return self.last

    def arrived(self, upto: float) -> bool:
        """Everything up to a number is done."""
        oldest = self.oldest
        return oldest is None or oldest > upto

    def unsettled(self) -> Iterable[Item]:
        """Items waiting and in hand."""
        return self._unsettled.values()

    def is_safe(self) -> bool:
        """What waits outlives this process."""
        return False

    def stop(self, batch: Sequence[Item]) -> list[Item]:
        """Nothing more will be sent; gives the items that are lost by that, those in hand (`batch`) included."""
        return [*batch, *self.clear()]

    def close(self) -> None:
        """Nothing is open."""

    def put(self, item: Item) -> Delivery:
        """Take an item; what had to give way for it is in the delivery. An opening item that still waits becomes one with its end."""
        self._add(item)
        return self._make_room()

    def _add(self, item: Item) -> None:
        opener = self._openers.get(item.key) if item.key else None
        if opener is not None and not opener.in_hand and not opener.sent:
            self._remove(opener)
            Waiting.done(self, (opener,), accepted=False)
            if opener.kept is not None:
                self.merged.append(opener)
        if item.opens:
            self._openers[item.key] = item
        self.last += 1
        item.number = self.last
        self._unsettled[item.number] = item
        self._items.append(item)
        self._heavy[item.number] = item
        self.records += not item.opens
        self.bytes += item.weight

    def has_room(self, items: Iterable[Item]) -> bool:
        """Whether nothing has to give way for these."""
        records, size = self.records, self.bytes
        for item in items:
            records += not item.opens
            size += item.weight
        return records <= self.most_records and size <= self.most_bytes

    def note_begun(self, keys: Iterable[str]) -> None:
        """The beginnings of these have arrived, sent by an earlier process."""
        self._begun.update(keys)

    def take(self, most_items: int, most_bytes: int) -> list[Item]:
        """The next batch, into the sender's hand: at least one item, within the limits as far as that one is."""
        batch: list[Item] = []
        passed: list[Item] = []
        weight = 0
        while self._items:
            item = self._items.popleft()
            opener = self._openers.get(item.key) if item.key else None
            if opener is not None and opener is not item and not opener.in_hand:
                passed.append(item)  # What opens it has to go first.
                continue
            full = len(batch) >= most_items or weight + item.weight > most_bytes or item.alone
            if batch and (full or batch[0].alone or batch[0].frame != item.frame):
                self._items.appendleft(item)
                break
            item.follows = item.key in self._begun or (opener is not None and opener is not item)
            item.in_hand = True
            batch.append(item)
            weight += item.weight
        self._items.extendleft(reversed(passed))
        return batch

    def give_back(self, batch: Iterable[Item], at_end: bool) -> None:
        """Put items of a batch back: in front, or behind the others so that these get their turn."""
        items = list(batch)
        for item in items:
            item.in_hand = False
        if at_end:
            self._items.extend(items)
        else:
            self._items.extendleft(reversed(items))

    def done(self, batch: Iterable[Item], accepted: bool) -> None:
        """Forget items that arrived or were given up."""
        for item in batch:
            if item.number not in self._unsettled:
                continue
            self.records -= not item.opens
            self.bytes -= item.weight
            del self._unsettled[item.number]
            self._heavy.pop(item.number, None)
            if item.key:
                self._note(item, accepted)

    def lighten(self, item: Item, limit: int) -> bool:
        """Leave contents of an item out until it weighs `limit` bytes, as far as that goes; False when there is nothing to leave out."""
        parts = self.shorten(item, limit)
        if parts is None:
            return False
        before, whole = item.weight, item.parts
        item.parts = parts
        item.weigh()
        if item.weight >= before:
            item.parts, item.weight = whole, before
            return False
        self.bytes += item.weight - before
        item.shortened = True
        return True

    def clear(self) -> list[Item]:
        """Take everything that waits, to give it up."""
        items = list(self._items)
        self._items.clear()
        return items

    def _note(self, item: Item, accepted: bool) -> None:
        if not item.opens:
            self._begun.discard(item.key)
            return
        if self._openers.get(item.key) is item:
            del self._openers[item.key]
        if accepted:
            self._begun.add(item.key)

    def _remove(self, item: Item) -> None:
        try:
            self._items.remove(item)
        except ValueError:
            pass

    def _make_room(self) -> Delivery:
        lost = Delivery()
        if self.bytes > self.most_bytes:
            self._leave_out_contents(lost)
        while (self.records > self.most_records or self.bytes > self.most_bytes) and self._items:
            item = self._expendable()
            self._remove(item)
            self._evict(item, lost)
        return lost

    def _evict(self, item: Item, lost: Delivery) -> None:
        self.done((item,), accepted=False)
        lost.drop(QUEUE_FULL, item.records)

    def _leave_out_contents(self, lost: Delivery) -> None:
        for item in [item for item in self._heavy.values() if not item.in_hand]:
            del self._heavy[item.number]
            if self.lighten(item, 0):
                lost.shorten(QUEUE_FULL, item.records)
            if self.bytes <= self.most_bytes:
                return

    def _expendable(self) -> Item:
        """The oldest item, if possible one whose beginning has not arrived: that would never end."""
        for index, item in enumerate(self._items):
            if index >= _LOOK:
                break
            if item.key not in self._begun:
                return item
        return self._items[0]
