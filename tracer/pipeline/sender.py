"""The delivery engine: for each network destination a thread of its own that sends what waits, tries again, and accounts for it.

The pipeline's worker hands records in and never waits. What one destination does, slow or hanging, is not felt by the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tracer.call import Call
from tracer.export.destination import Delivery
from tracer.export.notices import Notices, quiet
from tracer.export.transport import ACCEPTED, REFUSED, RETRY, STOP, TOO_LARGE, Item, Limits, Transport, Verdict
from tracer.pipeline.backoff import Pace
from tracer.pipeline.faults import swallow
from tracer.pipeline.spooled import Shelf, SpooledWaiting
from tracer.pipeline.waiting import QUEUE_FULL, Waiting
from tracer.runtime import report_fault
from tracer.scope import EMPTY, enter, leave

PACE = Pace()
CLOSING_PACE = Pace(first=0.1, most=0.3)
"""While the process waits for the end, every moment counts."""

MOST_TRIES = 5
"""After so many failures of the same item, while the destination accepts others, the item is the trouble."""

MOST_REFUSED_ALONE = 3
"""After so many items in a row that were refused each by itself, the items are not the trouble: batches are then given up as a whole."""

PATIENCE = 5.0
"""Seconds that a destination may fail before a line says so; shorter troubles pass by themselves."""


@dataclass(frozen=True, slots=True)
class Gather:
    """Records are gathered for so many seconds, or until there are so many, before they are sent."""

    seconds: float = 0.0
    records: int = 1


_CAREFUL = Limits(100, 1024 * 1024)
_ANY = 1 << 20
_LEAST_TIMEOUT = 0.05
_TOO_LARGE = "too large"


class Sender:
    """A destination of the pipeline that delivers through a `Transport`.

    `settle` is told what becomes of records later than in `export`, from the sender's thread. Making one starts nothing; the thread
    begins with the first item. An object belongs to the process that made it. `gather`: what waits is sent when this has said so.
    """

    def __init__(
        self,
        transport: Transport,
        most_records: int,
        most_bytes: int,
        pace: Pace | None = None,
        gather: Gather | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self.name = transport.name
        self.settle: Callable[[str, Delivery], None] = _nobody
        self.feedback: Sender | None = None
        """What sends feedback to the same place, where it takes any."""
        self._transport = transport
        self._pace = pace or PACE
        self._gather = gather or Gather()
        self._gathered = 0.0
        self._notices = Notices()
        self._changed = threading.Condition()
        limits = (most_records, most_bytes, transport.shorten)
        self._waiting = Waiting(*limits) if shelf is None else SpooledWaiting(*limits, shelf)
        self._spooled = shelf is not None
        self._thread: threading.Thread | None = None
        self._busy = False
        self._closed = False
        self._deadline: float | None = None
        # What went wrong lately.
        self._failures = 0
        self._failing_since = 0.0
        self._failed_at_end = False
        self._not_before = 0.0
        self._asked_to_wait = False
        self._trouble: Verdict | None = None
        self._stopped: Verdict | None = None
        self._accepted_batches = 0
        # Fewer items go together while requests fail for no stated reason: one of them may be the reason.
        self._most_items = _ANY
        self._refused_alone = 0
        # What the destination has shown to be too large for it.
        self._most_batch_bytes: float = float("inf")
        self._most_item_bytes: float = float("inf")

    # The worker's side.

    def export(self, records: Sequence[Any], /) -> Delivery:
        """Take records over. Costs their encoding; waits for nothing."""
        if self._stopped is not None and not self._spooled:
            return Delivery(dropped={self._stopped.reason: len(records)})
        if self._closed:
            return Delivery(dropped={"closed": len(records)})
        packed = self._transport.pack(records)
        return self._put(packed.items, packed.delivery)

    def open(self, calls: Sequence[Call]) -> None:
        """Announce calls that are still running, where the destination wants that."""
        if self._stopped is None and not self._closed:
            items = self._transport.open(calls)
            if items:
                self.settle(self.name, self._put(items, Delivery()))

    def _put(self, items: Sequence[Item], delivery: Delivery) -> Delivery:
        with self._changed:
            if not self._waiting.has_work():
                self._gathered = time.monotonic() + self._gather.seconds
            lost = self._waiting.put_all(items)
            if self._waiting.records >= self._gather.records:
                self._gathered = 0.0
            self._changed.notify_all()
        self._start()
        self._say_full(lost)
        delivery.add(lost)
        return delivery

    def _start(self) -> None:
        if self._thread is not None or self._closed or not self._waiting.has_work():
            return
        thread = threading.Thread(target=self._work, name=f"tracer {self.name}", daemon=True)
        scope = enter(EMPTY)  # Threads inherit the scope; this one outlives that of whoever starts it.
        try:
            thread.start()
        except RuntimeError:
            return  # The interpreter is shutting down; `flush` sends from the thread that calls it.
        finally:
            leave(scope)
        self._thread = thread

    # The end, and waiting for it.

    def flush(self, timeout: float) -> bool:
        """Wait until everything put so far has arrived or was given up; False when `timeout` (seconds) went by first.

        Waits between tries are cut short, but not those that the destination asked for.
        """
        deadline = time.monotonic() + min(timeout, threading.TIMEOUT_MAX)
        with self._changed:
            self._gathered = 0.0
            if not self._asked_to_wait:
                self._not_before = 0.0
            self._changed.notify_all()
            upto = self._waiting.upto()
        self._start()
        if self._thread is None:
            return self._send_here(deadline)
        with self._changed:
            self._changed.wait_for(
                lambda: self._waiting.arrived(upto) or self._is_hopeless(deadline), max(0.0, deadline - time.monotonic())
            )
            return self._waiting.arrived(upto)

    def start(self) -> None:
        """Begin with what earlier processes have left in the spool, before anything is handed in."""
        self._start()

    def drain(self, timeout: float) -> bool:
        """Wait until nothing waits any more, neither here nor in the spool; False when `timeout` (seconds) went by first."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._waiting.has_work() or self._waiting.oldest is not None:
                left = deadline - time.monotonic()
                if left <= 0 or self._stopped is not None:
                    return False
                self._changed.wait(min(left, 0.1))
        return True

    def finish(self, deadline: float) -> None:
        """Everything has to end by `deadline` (monotonic seconds): try at short intervals, and begin nothing that lasts longer."""
        with self._changed:
            self._deadline = deadline
            self._gathered = 0.0
            if not self._asked_to_wait:
                self._not_before = 0.0
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Send nothing more; wait for a request under way for at most `timeout` seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._busy, max(0.0, timeout))
            self._waiting.close()
        self._notices.rest()
        self._transport.close()

    @property
    def trouble(self) -> str:
        """What keeps the destination from taking records at present, as a sentence with its fix; empty when nothing does."""
        trouble = self._trouble
        return "" if trouble is None else f"{self._transport.place} {trouble.text}.{_spaced(trouble.advice)}"

    def _is_hopeless(self, deadline: float) -> bool:
        """The destination asked to wait for longer than there is time; or it is in trouble, and what waits outlives the process."""
        if self._failed_at_end and self._waiting.is_safe():
            return True
        return self._closed or (self._asked_to_wait and self._not_before > deadline)

    def _send_here(self, deadline: float) -> bool:
        """Send without a thread: at interpreter exit none can be started any more."""
        with quiet():
            while self._waiting.has_work() and not self._closed:
                wait = self._not_before - time.monotonic()
                if wait > 0 and time.monotonic() + wait >= deadline:
                    return False
                time.sleep(max(wait, 0.0))
                if time.monotonic() >= deadline:
                    return False
                self._deadline = deadline
                self._attempt()
        return not self._waiting.has_work()

    # The sender's side.

    def _work(self) -> None:
        try:
            with quiet():
                while self._wait_for_work():
                    self._attempt()
        except BaseException as fault:  # Thrown in from outside.
            report_fault(f"the sender of {self.name}", fault)
        finally:
            with self._changed:
                self._thread = None
            self._start()  # Another one, if anything waits and it is not closed.

    def _wait_for_work(self) -> bool:
        with self._changed:
            while not self._closed:
                work = self._waiting.has_work()
                wait = max(self._not_before, self._gathered) - time.monotonic() if work else self._waiting.interval
                if work and wait is not None and wait <= 0:
                    return True
                self._changed.wait(wait)
            return False

    def _attempt(self) -> None:
        """Send one batch."""
        limits = self._limits()
        with self._changed:
            batch = self._waiting.take(min(limits.most_items, self._most_items), int(min(limits.most_bytes, self._most_batch_bytes)))
            self._busy = bool(batch) and self._stopped is None
        if not batch:
            return
        if self._stopped is not None:
            self._settle_dropped(batch, self._stopped.reason)  # They came in while the destination was being stopped.
            return
        try:
            most = min(limits.most_bytes if limits.strict else float("inf"), self._most_item_bytes)
            for item in batch:
                if item.weight > most:
                    self._shorten(item, int(most))
            verdict = self._transport.send(batch, self._timeout())
            self._conclude(batch, verdict)
        except BaseException as fault:
            self._settle_dropped(batch, "internal")
            swallow(f"sending to {self.name}", fault)
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _limits(self) -> Limits:
        try:
            return self._transport.limits(self._timeout())
        except BaseException as fault:
            swallow(f"preparing {self.name}", fault)
            return _CAREFUL

    def _timeout(self) -> float:
        if self._deadline is None:
            return self._transport.timeout
        return max(_LEAST_TIMEOUT, min(self._transport.timeout, self._deadline - time.monotonic()))

    def _conclude(self, batch: list[Item], verdict: Verdict) -> None:
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
        self._asked_to_wait = False
        self._trouble = None
        self._accepted_batches += 1
        self._most_items = min(self._most_items * 2, _ANY)
        records = _records_in(batch)
        rejected = min(verdict.rejected, records)
        delivery = Delivery(records - rejected)
        if rejected:
            delivery.drop(verdict.reason, rejected)
            self._say(verdict, rejected)
        self._done(batch, delivery, accepted=True)

    def _retry(self, batch: list[Item], verdict: Verdict) -> None:
        now = time.monotonic()
        self._trouble = verdict
        self._failing_since = self._failing_since if self._failures else now
        self._failures += 1
        self._failed_at_end = self._deadline is not None
        if verdict.doubtful:
            self._most_items = max(1, len(batch) // 2)
        hopeless = [item for item in batch if verdict.doubtful and self._is_the_trouble(item)]
        pace = self._pace if self._deadline is None else CLOSING_PACE
        with self._changed:
            self._not_before = now + pace.wait(self._failures, verdict.after)
            self._asked_to_wait = verdict.after is not None
            self._waiting.give_back([item for item in batch if item not in hopeless], at_end=verdict.doubtful)
            waiting = self._waiting.records
        if hopeless:
            self._drop(hopeless, verdict)
        if now - self._failing_since >= PATIENCE:
            self._notices.waiting(verdict.reason, waiting, f"{self._transport.place} {verdict.text}", verdict.advice)

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
            self._most_items = len(batch) // 2
            with self._changed:
                self._waiting.give_back(batch, at_end=False)
            return
        if self._refused_alone >= MOST_REFUSED_ALONE:
            self._most_items = _ANY
        self._drop(batch, verdict)

    def _divide(self, batch: list[Item], verdict: Verdict) -> None:
        """What was refused as too large goes again in halves; a single item loses contents until it fits."""
        half = sum(item.weight for item in batch) // 2
        if len(batch) > 1:
            self._most_batch_bytes = half
        else:
            self._most_item_bytes = min(self._most_item_bytes, half)
            if not self._shorten(batch[0], half):
                self._drop(batch, Verdict(REFUSED, _TOO_LARGE, verdict.text, verdict.advice))
                return
        with self._changed:
            self._waiting.give_back(batch, at_end=False)

    def _shorten(self, item: Item, limit: int) -> bool:
        """Leave contents of an item in hand out until it weighs `limit` bytes; False when there are none."""
        first = not item.shortened
        with self._changed:
            shorter = self._waiting.lighten(item, limit)
        if shorter and first and item.records:
            self.settle(self.name, Delivery(shortened={_TOO_LARGE: item.records}))
        return shorter

    def _stop(self, batch: list[Item], verdict: Verdict) -> None:
        self._stopped = verdict
        self._trouble = None
        with self._changed:
            lost = self._waiting.stop(batch)
            safe = self._spooled and self._waiting.is_safe()
        if lost or not safe:
            self._say_lost(verdict, lost)
        else:
            self._notices.waiting(verdict.reason, len(batch), f"{self._transport.place} {verdict.text}", verdict.advice)
        self._settle_dropped(lost, verdict.reason, stopped=verdict.text)

    def _drop(self, batch: list[Item], verdict: Verdict) -> None:
        self._say_lost(verdict, batch)
        self._settle_dropped(batch, verdict.reason)

    def _settle_dropped(self, batch: Sequence[Item], reason: str, stopped: str = "") -> None:
        delivery = Delivery(stopped=stopped)
        delivery.drop(reason, _records_in(batch))
        self._done(batch, delivery, accepted=False)

    def _done(self, batch: Sequence[Item], delivery: Delivery, accepted: bool) -> None:
        delivery.spooled -= sum(item.records for item in batch if item.kept is not None)
        if accepted:
            delivery.recovered += sum(item.adopted and not item.opens for item in batch)
        # First into the books: whoever waited for the items may look there at once.
        self.settle(self.name, delivery)
        with self._changed:
            self._waiting.done(batch, accepted)
            self._changed.notify_all()

    def _say_lost(self, verdict: Verdict, batch: Sequence[Item]) -> None:
        self._say(verdict, sum(not item.opens for item in batch))

    def _say(self, verdict: Verdict, records: int) -> None:
        if records:
            self._notices.lost(verdict.reason, records, f"{self._transport.place} {verdict.text}", verdict.advice)

    def _say_full(self, lost: Delivery) -> None:
        dropped = lost.dropped.get(QUEUE_FULL, 0)
        if not dropped:
            return
        trouble = self._trouble
        why = "takes records more slowly than they come" if trouble is None else trouble.text
        advice = "" if trouble is None else trouble.advice
        text = f"{self._transport.place} {why}, and the queue is full (TRACER_QUEUE_RECORDS, TRACER_QUEUE_BYTES)"
        self._notices.lost(QUEUE_FULL, dropped, text, advice)


def _nobody(name: str, delivery: Delivery) -> None:
    """Stands in until the pipeline listens."""


def _records_in(batch: Sequence[Item]) -> int:
    return sum(item.records for item in batch)


def _spaced(sentence: str) -> str:
    return f" {sentence}" if sentence else ""
