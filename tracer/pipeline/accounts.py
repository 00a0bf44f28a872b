"""The account of every record: how many were taken, left out and held, and what became of them at each destination."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from tracer.export.destination import Delivery, add_count
from tracer.pipeline.haste import Haste
from tracer.pipeline.inbox import Inbox
from tracer.pipeline.keeping import Decision
from tracer.pipeline.ledger import SHUT_DOWN, Account
from tracer.pipeline.waiting import QUEUE_FULL
from tracer.runtime import count_of
from tracer.settings import Settings

AT_EXIT = "exit"
"""Why a record, or its contents, did not get away before the end of the process."""

NO_ROOM_TO_KEEP = "no room to keep"
"""Why a record that might have been kept (TRACER_KEEP) was not."""


class Accounts:
    """The worker, the senders and whoever reads the books take `lock`; callers and finalizers never do.

    Those count in the `inbox` what they could not put there; `haste` knows what lost its contents at the end.
    """

    __slots__ = ("_by_name", "_haste", "_inbox", "_keeps", "_kept", "_spools", "held", "lock", "sampled_out", "taken")

    def __init__(self, names: Iterable[str], settings: Settings, inbox: Inbox, haste: Haste) -> None:
        self.lock = threading.RLock()
        self._by_name = {name: Account() for name in names}
        self._inbox = inbox
        self._haste = haste
        self._keeps = bool(settings.keep)
        self._spools = bool(settings.spool)
        self.sampled_out = 0
        self.taken = 0
        # Unsampled calls that may yet be kept (TRACER_KEEP), and why others were.
        self.held = 0
        self._kept: dict[str, int] = {}

    def open(self, names: Iterable[str]) -> None:
        """Begin accounts for destinations that have none."""
        with self.lock:
            for name in names:
                self._by_name.setdefault(name, Account())

    def decide(self, decision: Decision) -> None:
        """Enter what became of calls that were held."""
        with self.lock:
            self.held -= len(decision.keep) + decision.left_out + decision.no_room
            self.taken += len(decision.keep) + decision.no_room
            self.sampled_out += decision.left_out
            add_count(self._kept, decision.reason, len(decision.keep))
            for account in self._by_name.values():
                account.drop(NO_ROOM_TO_KEEP, decision.no_room)

    def settle(self, name: str, delivery: Delivery) -> None:
        """Enter what became of records. Senders call this from their threads."""
        with self.lock:
            if not self._inbox.over:  # Else they were counted as dropped already.
                self._by_name.setdefault(name, Account()).add(delivery)

    @property
    def any(self) -> bool:
        """There is somewhere for records to go, not for metrics alone."""
        return bool(self._by_name)

    @property
    def spooled(self) -> int:
        """The most that waits on disk for one destination."""
        return max((account.spooled for account in self._by_name.values()), default=0)

    def close(self, reason: str) -> int:
        """Count what was not delivered as dropped; nothing is taken or counted after this.

        Gives the most that a destination lost by this or by being closed; what it lost before, it has said itself.
        """
        with self.lock:
            self._inbox.over = True
            left = self._inbox.calls()
            self._inbox.queue.clear()
            sampled = sum(call.sampled for call in left)
            self.sampled_out += len(left) - sampled + self.held
            self.held = 0
            self.taken += sampled
            lost = 0
            for account in self._by_name.values():
                missing = self.taken - account.settled
                lost = max(lost, missing + account.dropped.get("closed", 0))
                account.drop(reason, missing)
            return lost

    def balance(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """The number of finished calls that some destination still waits for, and the account of each destination."""
        with self.lock:
            waiting = len(self._inbox.calls())
            inbox = self._inbox
            overflow, late, stripped = count_of(inbox.overflow), count_of(inbox.late), count_of(inbox.stripped)
            accounts: dict[str, dict[str, Any]] = {}
            for name, account in self._by_name.items():
                dropped, shortened = dict(account.dropped), dict(account.shortened)
                add_count(dropped, QUEUE_FULL, overflow)
                add_count(dropped, SHUT_DOWN, late)
                add_count(dropped, "error", count_of(inbox.faulty))
                add_count(shortened, QUEUE_FULL, stripped)
                add_count(shortened, AT_EXIT, self._haste.shortened)
                accounts[name] = {
                    "exported": account.exported,
                    "sampled_out": self.sampled_out + account.sampled_out,
                    "dropped": dropped,
                    "shortened": shortened,
                    "queued": waiting + self.held + self.taken - account.settled,
                    **({"kept": dict(self._kept)} if self._keeps else {}),
                    **({"spooled": account.spooled, "recovered": account.recovered} if self._spools else {}),
                    **({"stopped": account.stopped} if account.stopped else {}),
                }
        return max((account["queued"] for account in accounts.values()), default=waiting), accounts
