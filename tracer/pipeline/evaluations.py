"""Feedback on its way: which destinations take it, and an account of every piece for each of them.

It travels through the queue of the calls, so that a flush waits for both, and has books of its own: for each destination
given = exported + sampled out + dropped by reason + queued + spooled.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from tracer.evaluation import Feedback
from tracer.export.destination import Delivery, Destination, FeedbackDestination, add_count, part_for_feedback
from tracer.pipeline.faults import swallow
from tracer.pipeline.ledger import SHUT_DOWN, Account
from tracer.pipeline.sender import Sender
from tracer.pipeline.waiting import QUEUE_FULL
from tracer.runtime import count_of


class Evaluations:
    """`names` are the destinations that will take feedback; `books` is the lock of the pipeline's books.

    What `gave` and `gave_up` count takes no lock: feedback may be given in finalizers too.
    """

    def __init__(self, names: Sequence[str], books: AbstractContextManager[Any]) -> None:
        self._given = itertools.count()
        self._overflow = itertools.count()
        self._late = itertools.count()
        self._books = books
        self._accounts = {name: Account() for name in names}
        self.parts: list[tuple[str, FeedbackDestination]] = []
        """What takes feedback, by the name of its destination."""
        self._over = False

    # The caller's side.

    def submit(self, feedback: Feedback, put: Callable[[Feedback], bool]) -> None:
        """Take feedback; `put` gives False when the queue is full."""
        next(self._given)
        if self._over:
            next(self._late)
        elif not put(feedback):
            next(self._overflow)

    # The worker's side.

    def attach(self, destinations: Sequence[Destination]) -> None:
        """The destinations are made."""
        with self._books:
            for destination in destinations:
                part = part_for_feedback(destination)
                if part is not None:
                    self._accounts.setdefault(destination.name, Account())
                    self.parts.append((destination.name, part))
        for sender, name in [(part, name) for name, part in self.parts if isinstance(part, Sender)]:
            sender.settle = self._settling(name)

    def senders(self) -> list[Sender]:
        """Those that deliver in threads of their own."""
        return [part for _, part in self.parts if isinstance(part, Sender)]

    def export(self, given: Sequence[Feedback]) -> None:
        """Hand feedback to every destination that takes it."""
        recorded = [feedback for feedback in given if feedback.sampled]
        taking = dict(self.parts)
        for name in self._accounts:
            delivery = Delivery(dropped={"error": len(recorded)})
            try:
                delivery = taking[name].export(recorded) if name in taking else Delivery(dropped={"unavailable": len(recorded)})
            except BaseException as fault:
                swallow(f"exporting feedback to {name}", fault)
            finally:
                delivery.sampled_out += len(given) - len(recorded)
                self._settle(name, delivery)

    def _settling(self, name: str) -> Callable[[str, Delivery], None]:
        return lambda _, delivery: self._settle(name, delivery)

    def _settle(self, name: str, delivery: Delivery) -> None:
        with self._books:
            if not self._over:
                self._accounts[name].add(delivery)

    # The books.

    def balance(self, spooling: bool) -> dict[str, Any]:
        """The account of each destination that takes feedback; empty while there is none to account for."""
        with self._books:
            if not count_of(self._given) and not any(account.recovered for account in self._accounts.values()):
                return {}
            return {name: self._entries(account, spooling) for name, account in self._accounts.items()}

    @property
    def spooled(self) -> int:
        """The most that waits on disk for one destination."""
        return max((account.spooled for account in self._accounts.values()), default=0)

    def _entries(self, account: Account, spooling: bool) -> dict[str, Any]:
        # What is given meanwhile must not seem to be dropped before it was given, so that is counted last.
        overflow, late = count_of(self._overflow), count_of(self._late)
        settled, given = account.settled, count_of(self._given)
        dropped = dict(account.dropped)
        add_count(dropped, QUEUE_FULL, overflow)
        add_count(dropped, SHUT_DOWN, late)
        return {
            "given": given,
            "exported": account.exported,
            "sampled_out": account.sampled_out,
            "dropped": dropped,
            "queued": given - overflow - late - settled,
            **({"spooled": account.spooled, "recovered": account.recovered} if spooling else {}),
            **({"stopped": account.stopped} if account.stopped else {}),
        }

    def close_books(self, reason: str) -> int:
        """Count what was not delivered as dropped; nothing is taken or counted after this. Gives the most that a destination lost."""
        with self._books:
            self._over = True
            taken = count_of(self._given) - count_of(self._overflow) - count_of(self._late)
            lost = 0
            for account in self._accounts.values():
                missing = taken - account.settled
                lost = max(lost, missing + account.dropped.get("closed", 0))
                account.drop(reason, missing)
            return lost
