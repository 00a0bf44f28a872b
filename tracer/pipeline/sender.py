"""The delivery engine: for each network destination a thread of its own that sends what waits, tries again, and accounts for it.

The pipeline's worker hands records in and never waits. What one destination does, slow or hanging, is not felt by the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import sleep
from typing import Any

from tracer.call import Call
from tracer.export.destination import Delivery
from tracer.export.notices import quiet
from tracer.export.transport import Item, Limits, Transport
from tracer.pipeline.backoff import Pace
from tracer.pipeline.faults import swallow
from tracer.pipeline.outcomes import Outcomes
from tracer.pipeline.spooled import Shelf, SpooledWaiting
from tracer.pipeline.waiting import Waiting
from tracer.runtime import report_fault
from tracer.scope import EMPTY, enter, leave

PACE = Pace()


@dataclass(frozen=True, slots=True)
class Gather:
    """What comes within so many seconds after a request is gathered until they are over, or until there are so many records.

    So the first record after a rest goes at once, and a request, which costs as much as several records, carries what it can.
    """

    seconds: float = 0.0
    records: int = 1


_CAREFUL = Limits(100, 1024 * 1024)
_LEAST_TIMEOUT = 0.05


class Sender:
    """A destination of the pipeline that delivers through a `Transport`.

    Making one starts nothing; the thread begins with the first item. An object belongs to the process that made it.
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
        self.feedback: Sender | None = None
        """What sends feedback to the same place, where it takes any."""
        self._transport = transport
        self._gather = gather or Gather()
        self._gathered = 0.0
        self._asked = float("-inf")
        self._changed = threading.Condition()
        limits = (most_records, most_bytes, transport.shorten)
        self._waiting = Waiting(*limits) if shelf is None else SpooledWaiting(*limits, shelf)
        self._spooled = shelf is not None
        self._thread: threading.Thread | None = None
        self._busy = False
        self._closed = False
        self._outcomes = Outcomes(transport, self._waiting, self._spooled, self._changed, pace or PACE)

    @property
    def settle(self) -> Callable[[str, Delivery], None]:
        """Who is told what becomes of records later than in `export`, from the sender's thread."""
        return self._outcomes.settle

    @settle.setter
    def settle(self, settle: Callable[[str, Delivery], None]) -> None:
        self._outcomes.settle = settle

    # The worker's side.

    def export(self, records: Sequence[Any], /) -> Delivery:
        """Take records over. Costs their encoding; waits for nothing."""
        if self._outcomes.stopped is not None and not self._spooled:
            return Delivery(dropped={self._outcomes.stopped.reason: len(records)})
        if self._closed:
            return Delivery(dropped={"closed": len(records)})
        packed = self._transport.pack(records)
        return self._put(packed.items, packed.delivery)

    def open(self, calls: Sequence[Call]) -> None:
        """Announce calls that are still running, where the destination wants that."""
        if self._outcomes.stopped is None and not self._closed:
            items = self._transport.open(calls)
            if items:
                self.settle(self.name, self._put(items, Delivery()))

    def _put(self, items: Sequence[Item], delivery: Delivery) -> Delivery:
        with self._changed:
            if not self._waiting.has_work():
                self._gathered = self._asked + self._gather.seconds
            lost = self._waiting.put_all(items)
            if self._waiting.records >= self._gather.records:
                self._gathered = 0.0
            self._changed.notify_all()
        self._start()
        self._outcomes.say_full(lost)
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
            self._outcomes.try_now()
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
                if left <= 0 or self._outcomes.stopped is not None:
                    return False
                self._changed.wait(min(left, 0.1))
        return True

    def finish(self, deadline: float) -> None:
        """Everything has to end by `deadline` (monotonic seconds): try at short intervals, and begin nothing that lasts longer."""
        with self._changed:
            self._outcomes.deadline = deadline
            self._gathered = 0.0
            self._outcomes.try_now()
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Send nothing more; wait for a request under way for at most `timeout` seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._busy, max(0.0, timeout))
            self._waiting.close()
        self._outcomes.notices.rest()
        self._transport.close()

    @property
    def trouble(self) -> str:
        """What keeps the destination from taking records at present, as a sentence with its fix; empty when nothing does."""
        trouble = self._outcomes.trouble
        return "" if trouble is None else f"{self._transport.place} {trouble.text}.{_spaced(trouble.advice)}"

    def _is_hopeless(self, deadline: float) -> bool:
        """The destination asked to wait for longer than there is time; or it is in trouble, and what waits outlives the process."""
        if self._outcomes.failed_at_end and self._waiting.is_safe():
            return True
        return self._closed or (self._outcomes.asked_to_wait and self._outcomes.not_before > deadline)

    def _send_here(self, deadline: float) -> bool:
        """Send without a thread: at interpreter exit none can be started any more."""
        with quiet():
            while self._waiting.has_work() and not self._closed:
                wait = self._outcomes.not_before - time.monotonic()
                if wait > 0 and time.monotonic() + wait >= deadline:
                    return False
                sleep(max(wait, 0.0))
                if time.monotonic() >= deadline:
                    return False
                self._outcomes.deadline = deadline
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
                wait = max(self._outcomes.not_before, self._gathered) - time.monotonic() if work else self._waiting.interval
                if work and wait is not None and wait <= 0:
                    return True
                self._changed.wait(wait)
            return False

    def _attempt(self) -> None:
        """Send one batch."""
        outcomes, limits = self._outcomes, self._limits()
        with self._changed:
            batch = self._waiting.take(min(limits.most_items, outcomes.most_items), int(min(limits.most_bytes, outcomes.most_batch_bytes)))
            self._busy = bool(batch) and outcomes.stopped is None
            self._asked = time.monotonic()
        if not batch:
            return
        if outcomes.stopped is not None:
            outcomes.settle_dropped(batch, outcomes.stopped.reason)  # They came in while the destination was being stopped.
            return
        try:
            most = min(limits.most_bytes if limits.strict else float("inf"), outcomes.most_item_bytes)
            for item in batch:
                if item.weight > most:
                    outcomes.shorten(item, int(most))
            verdict = self._transport.send(batch, self._timeout())
            outcomes.conclude(batch, verdict)
        except BaseException as fault:
            outcomes.settle_dropped(batch, "internal")
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
        if self._outcomes.deadline is None:
            return self._transport.timeout
        return max(_LEAST_TIMEOUT, min(self._transport.timeout, self._outcomes.deadline - time.monotonic()))


def _spaced(sentence: str) -> str:
    return f" {sentence}" if sentence else ""
