"""What a destination has shown of itself, and what follows from its answers: accepted, tried again, divided, given up, and said so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from tracer.export.destination import Delivery
from tracer.export.notices import Notices
from tracer.export.transport import ACCEPTED, REFUSED, RETRY, STOP, TOO_LARGE, Item, Transport, Verdict
from tracer.pipeline.backoff import Pace
from tracer.pipeline.waiting import QUEUE_FULL, Waiting

CLOSING_PACE = Pace(first=0.1, most=0.3)
"""While the process waits for the end, every moment counts."""

MOST_TRIES = 5
"""After so many failures of the same item, while the destination accepts others, the item is the trouble."""

MOST_REFUSED_ALONE = 3
"""After so many items in a row that were refused each by itself, the items are not the trouble: batches are then given up as a whole."""

PATIENCE = 5.0
"""Seconds that a destination may fail before a line says so; shorter troubles pass by themselves."""

_ANY = 1 << 20
_TOO_LARGE = "too large"


class Outcomes:
    """Belongs to one sender, with which it shares what waits and the lock for it (`changed`).

    `settle` is told what becomes of records later than when they were handed in.
    """

    __slots__ = (
        "_accepted_batches",
        "_changed",
        "_failing_since",
        "_failures",
        "_pace",
        "_refused_alone",
        "_spooled",
        "_transport",
        "_waiting",
        "asked_to_wait",
        "deadline",
        "failed_at_end",
        "most_batch_bytes",
        "most_item_bytes",
        "most_items",
        "not_before",
        "notices",
        "settle",
        "stopped",
        "trouble",
    )

    def __init__(self, transport: Transport, waiting: Waiting, spooled: bool, changed: threading.Condition, pace: Pace) -> None:
        self.settle: Callable[[str, Delivery], None] = _nobody
        self.notices = Notices()
        self._transport = transport
        self._waiting = waiting
        self._spooled = spooled
        self._changed = changed
        self._pace = pace
        self.deadline: float | None = None
        """When the process ends (monotonic seconds), once that is known."""
        # What went wrong lately.
        self._failures = 0
        self._failing_since = 0.0
        self.failed_at_end = False
        self.not_before = 0.0
        self.asked_to_wait = False
        self.trouble: Verdict | None = None
        self.stopped: Verdict | None = None
        self._accepted_batches = 0
        # Fewer items go together while requests fail for no stated reason: one of them may be the reason.
        self.most_items = _ANY
        self._refused_alone = 0
        # What the destination has shown to be too large for it.
        self.most_batch_bytes: float = float("inf")
        self.most_item_bytes: float = float("inf")

    def try_now(self) -> None:
        """Cut a wait between tries short, but not one that the destination asked for."""
        if not self.asked_to_wait:
            self.not_before = 0.0

    def conclude(self, batch: list[Item], verdict: Verdict) -> None:
        """Take in what the destination said to a batch."""
        if verdict.outcome == ACCEPTED:
            self._accept(batch, verdict)
        elif verdict.outcome == RETRY:
            self._retry(batch, verdict)
        elif verdict.outcome == TOO_LARGE:
            self._divide(batch, verdict)
        elif verdict.outcome == STOP:
            self._stop(batch, verdict)
        else:
            assert verdict.outcome == REFUSED
            self._refuse(batch, verdict)

    def _accept(self, batch: list[Item], verdict: Verdict) -> None:
        self._failures = self._refused_alone = 0
        self.asked_to_wait = False
        self.trouble = None
        self._accepted_batches += 1
        self.most_items = min(self.most_items * 2, _ANY)
        records = _records_in(batch)
        rejected = min(verdict.rejected, records)
        delivery = Delivery(records - rejected)
        if rejected:
            delivery.drop(verdict.reason, rejected)
            self._say(verdict, rejected)
        self._done(batch, delivery, accepted=True)

    def _retry(self, batch: list[Item], verdict: Verdict) -> None:
        now = time.monotonic()
        self.trouble = verdict
        self._failing_since = self._failing_since if self._failures else now
        self._failures += 1
        self.failed_at_end = self.deadline is not None
        if verdict.doubtful:
            self.most_items = max(1, len(batch) // 2)
        hopeless = [item for item in batch if verdict.doubtful and self._is_the_trouble(item)]
        pace = self._pace if self.deadline is None else CLOSING_PACE
        with self._changed:
            self.not_before = now + pace.wait(self._failures, verdict.after)
            self.asked_to_wait = verdict.after is not None
            self._waiting.give_back([item for item in batch if item not in hopeless], at_end=verdict.doubtful)
            waiting = self._waiting.records
        if hopeless:
            self._drop(hopeless, verdict)
        if now - self._failing_since >= PATIENCE:
            self.notices.waiting(verdict.reason, waiting, f"{self._transport.place} {verdict.text}", verdict.advice)

    def _is_the_trouble(self, item: Item) -> bool:
        """Note a failure that may be about the item itself; True when it is, since others are accepted meanwhile."""
        item.sent = True
        if self._accepted_batches > item.accepted_before:
            item.tries += 1
            item.accepted_before = self._accepted_batches
            item.alone = item.tries > 1
        return item.tries >= MOST_TRIES

    def _refuse(self, batch: list[Item], verdict: Verdict) -> None:
        """Refused for good. Where that may be about one of several, they go again in halves until the one is alone."""
        if verdict.doubtful and len(batch) == 1:
            self._refused_alone += 1
        elif verdict.doubtful and self._refused_alone < MOST_REFUSED_ALONE:
            self.most_items = len(batch) // 2
            with self._changed:
                self._waiting.give_back(batch, at_end=False)
            return
        if self._refused_alone >= MOST_REFUSED_ALONE:
            self.most_items = _ANY
        self._drop(batch, verdict)

    def _divide(self, batch: list[Item], verdict: Verdict) -> None:
        """What was refused as too large goes again in halves; a single item loses contents until it fits."""
        half = sum(item.weight for item in batch) // 2
        if len(batch) > 1:
            self.most_batch_bytes = half
        else:
            self.most_item_bytes = min(self.most_item_bytes, half)
            if not self.shorten(batch[0], half):
                self._drop(batch, Verdict(REFUSED, _TOO_LARGE, verdict.text, verdict.advice))
                return
        with self._changed:
            self._waiting.give_back(batch, at_end=False)

    def shorten(self, item: Item, limit: int) -> bool:
        """Leave contents of an item in hand out until it weighs `limit` bytes; False when there are none."""
        first = not item.shortened
        with self._changed:
            shorter = self._waiting.lighten(item, limit)
        if shorter and first and item.records:
            self.settle(self._transport.name, Delivery(shortened={_TOO_LARGE: item.records}))
        return shorter

    def _stop(self, batch: list[Item], verdict: Verdict) -> None:
        self.stopped = verdict
        self.trouble = None
        with self._changed:
            lost = self._waiting.stop(batch)
            safe = self._spooled and self._waiting.is_safe()
        if lost or not safe:
            self._say_lost(verdict, lost)
        else:
            self.notices.waiting(verdict.reason, len(batch), f"{self._transport.place} {verdict.text}", verdict.advice)
        self.settle_dropped(lost, verdict.reason, stopped=verdict.text)

    def _drop(self, batch: list[Item], verdict: Verdict) -> None:
        self._say_lost(verdict, batch)
        self.settle_dropped(batch, verdict.reason)

    def settle_dropped(self, batch: Sequence[Item], reason: str, stopped: str = "") -> None:
        """Give items up; `stopped` says why nothing more will be sent."""
        delivery = Delivery(stopped=stopped)
        delivery.drop(reason, _records_in(batch))
        self._done(batch, delivery, accepted=False)

    def _done(self, batch: Sequence[Item], delivery: Delivery, accepted: bool) -> None:
        delivery.spooled -= sum(item.records for item in batch if item.kept is not None)
        if accepted:
            delivery.recovered += sum(item.adopted and not item.opens for item in batch)
        # First into the books: whoever waited for the items may look there at once.
        self.settle(self._transport.name, delivery)
        with self._changed:
            self._waiting.done(batch, accepted)
            self._changed.notify_all()

    def _say_lost(self, verdict: Verdict, batch: Sequence[Item]) -> None:
        self._say(verdict, sum(not item.opens for item in batch))

    def _say(self, verdict: Verdict, records: int) -> None:
        if records:
            self.notices.lost(verdict.reason, records, f"{self._transport.place} {verdict.text}", verdict.advice)

    def say_full(self, lost: Delivery) -> None:
        """Say that items had to give way to others."""
        dropped = lost.dropped.get(QUEUE_FULL, 0)
        if not dropped:
            return
        trouble = self.trouble
        why = "takes records more slowly than they come" if trouble is None else trouble.text
        advice = "" if trouble is None else trouble.advice
        text = f"{self._transport.place} {why}, and the queue is full (TRACER_QUEUE_RECORDS, TRACER_QUEUE_BYTES)"
        self.notices.lost(QUEUE_FULL, dropped, text, advice)


def _nobody(name: str, delivery: Delivery) -> None:
    """Stands in until the pipeline listens."""


def _records_in(batch: Sequence[Item]) -> int:
    return sum(item.records for item in batch)
