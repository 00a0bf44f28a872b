"""What the worker does: it takes what is queued, batch by batch, reads each call once and hands it to all destinations.

Destinations on the network have senders of their own, so it waits for none of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from time import sleep
from typing import TYPE_CHECKING

from tracer.call import Call
from tracer.evaluation import Feedback
from tracer.export.destination import Delivery, Destination
from tracer.loading import loading
from tracer.pipeline.accounts import Accounts
from tracer.pipeline.evaluations import Evaluations
from tracer.pipeline.faults import swallow
from tracer.pipeline.haste import Haste
from tracer.pipeline.inbox import Inbox, Marker
from tracer.pipeline.keeping import Keeper
from tracer.pipeline.metering import Metering
from tracer.pipeline.sender import Sender
from tracer.pipeline.starts import Starts
from tracer.pipeline.weight import weight_of
from tracer.runtime import report_fault, runtime
from tracer.settings import Settings

if TYPE_CHECKING:
    from tracer.pipeline.readings import CallReader
    from tracer.reading.record import Record

BATCH_RECORDS = 512
BATCH_BYTES = 8 * 1024 * 1024
"""What is read before it is handed on."""

CLOSING_RECORDS = 64
"""What is read before it is handed on while the process waits for its end: little is in hand when the time is over."""

CALM = 0.1
"""Up to this share of the queue the interpreter lock is given away after each record."""

PRESSED = 0.5
"""Beyond this share the lock is given away only when the interpreter asks for it (`sys.getswitchinterval`): losing records is next."""

SLICE = 0.001
"""Seconds for which the lock is kept in between: an event loop is not held up for longer."""

LEFT_TO_HOST = "exported by the application's own tracer provider"
"""Why a record did not go to our OTLP endpoint."""


class Batches:
    """`make_destinations` is called when there is something to read for the first time. Used by one thread at a time."""

    __slots__ = (
        "_accounts",
        "_destinations",
        "_evaluations",
        "_haste",
        "_inbox",
        "_keeper",
        "_make_destinations",
        "_metering",
        "_reader",
        "_settings",
        "_starts",
    )

    _reader: CallReader
    _keeper: Keeper

    def __init__(
        self,
        settings: Settings,
        make_destinations: Callable[[Settings], list[Destination]],
        inbox: Inbox,
        accounts: Accounts,
        evaluations: Evaluations,
        metering: Metering,
        haste: Haste,
    ) -> None:
        self._settings = settings
        self._make_destinations = make_destinations
        self._inbox = inbox
        self._accounts = accounts
        self._evaluations = evaluations
        self._metering = metering
        self._haste = haste
        self._starts = Starts()
        self._destinations: list[Destination] = []

    def senders(self) -> list[Sender]:
        """Destinations that deliver in threads of their own, those for feedback too."""
        return [destination for destination in self._destinations if isinstance(destination, Sender)] + self._evaluations.senders()

    def deliver_next(self) -> bool:
        """Take what is queued, up to a batch or a marker; False when there was nothing, or the time for it is over."""
        inbox, haste = self._inbox, self._haste
        if not inbox.queue:
            inbox.bytes_out = inbox.bytes_in
            return False
        if haste.is_over:
            return False
        if not self._destinations:
            self._prepare()
        records: list[Record] = []
        measured: list[Record] = []
        measuring = self._metering.on
        marker: Marker | None = None
        given: list[Feedback] = []
        most = inbox.bytes_out + BATCH_BYTES
        held_since = time.monotonic()
        most_records = CLOSING_RECORDS if haste.begun else BATCH_RECORDS
        while inbox.queue and len(records) < most_records and inbox.bytes_out < most and not haste.is_over:
            item = self._take()
            if isinstance(item, Marker):
                marker = item
                break
            if isinstance(item, Feedback):
                given.append(self._reader.judged(item))
            elif item is not None:
                if haste.begun:
                    haste.look_at(item, len(inbox.queue))
                read = [self._read(call) for call in self._recorded(item)]
                records += read
                if measuring:
                    own = next((record for record in read if record.call is item), None)
                    measured.append(own or self._read(item))
            held_since = self.give_way(held_since)
        try:
            self._metering.record(measured)
            self._export(records)
            if given:
                self._evaluations.export(given)
        finally:
            if marker is not None:
                marker.reached.set()
        return True

    def give_way(self, held_since: float) -> float:
        """Let the application have the interpreter lock, the more seldom the more waits; gives the time since which it is held."""
        if self._haste.begun:
            return held_since
        inbox = self._inbox
        fill = max(len(inbox.queue) / inbox.most_records, (inbox.bytes_in - inbox.bytes_out) / inbox.most_bytes)
        if fill > CALM and (fill > PRESSED or time.monotonic() - held_since < SLICE):
            return held_since
        # By a name of our own, as everywhere in our threads: tests of an application that replace `time.sleep` count its pauses, not ours.
        sleep(0)
        return time.monotonic()

    def announce(self) -> None:
        """Tell destinations that show running calls of those that last."""
        if not self._settings.langsmith_on or self._haste.begun:
            return
        calls = self._starts.due(runtime.open_calls)
        if calls:
            if not self._destinations:
                self._prepare()
            shown = [self._reader.preview(call) for call in calls]
            for destination in self._destinations:
                if isinstance(destination, Sender):
                    destination.open(shown)

    def close(self, deadline: float) -> None:
        """Close the destinations; each has until `deadline` (monotonic seconds)."""
        own = [(destination.name, destination) for destination in self._destinations]
        for name, part in [*((f"feedback of {name}", part) for name, part in self._evaluations.parts), *own]:
            try:
                part.close(max(0.0, deadline - time.monotonic()))
            except Exception as fault:
                report_fault(f"closing {name}", fault)

    def _take(self) -> Call | Feedback | Marker | None:
        inbox, accounts = self._inbox, self._accounts
        with accounts.lock:
            if not inbox.queue:
                return None
            item = inbox.queue.popleft()
            if isinstance(item, Call):
                inbox.bytes_out += weight_of(item)
                if item.sampled:
                    accounts.taken += 1
                elif self._may_be_kept(item):
                    accounts.held += 1
                else:
                    accounts.sampled_out += 1
            return item

    def _may_be_kept(self, call: Call) -> bool:
        return bool(self._settings.keep) and call.host is None

    def _recorded(self, call: Call) -> Sequence[Call]:
        """The calls to be recorded now that this one has ended."""
        if call.sampled:
            return (call,)
        if not self._may_be_kept(call):
            return ()
        decision = self._keeper.consider(call)
        self._accounts.decide(decision)
        return decision.keep

    def _read(self, call: Call) -> Record:
        try:
            return self._reader.read(call)
        except BaseException as fault:
            swallow("reading a call", fault)
            return self._reader.unread(call)

    def _prepare(self) -> None:
        with loading:
            self._load()

    def _load(self) -> None:
        # The marked place of a lazy import: the readers, in the worker's thread, when there is something to read.
        from tracer.pipeline.readings import CallReader

        self._reader = CallReader(self._settings)
        settings = self._settings
        self._keeper = Keeper(settings.keep, settings.queue_records, settings.queue_bytes, lambda call: self._reader.read(call).outcome)
        self._destinations = self._make_destinations(self._settings)
        self._accounts.open(destination.name for destination in self._destinations)
        for sender in self.senders():
            sender.settle = self._accounts.settle
        self._evaluations.attach(self._destinations)
        if self._settings.spool:
            for sender in self._evaluations.senders():
                sender.start()  # Runs come; whether feedback does is not known, and earlier processes may have left some.

    def _export(self, records: Sequence[Record]) -> None:
        if not records:
            return
        for destination in self._destinations:
            theirs = _without_host(records) if destination.name == "otlp" else records
            delivery = Delivery(dropped={"error": len(theirs)})
            try:
                delivery = destination.export(theirs)
            except BaseException as fault:
                swallow(f"exporting to {destination.name}", fault)
            finally:
                for record in theirs:
                    if record.withheld:
                        delivery.shorten(record.withheld, 1)
                delivery.drop(LEFT_TO_HOST, len(records) - len(theirs))
                self._accounts.settle(destination.name, delivery)


def _without_host(records: Sequence[Record]) -> Sequence[Record]:
    """The application's own provider exports the calls that are spans of it."""
    return [record for record in records if record.call.host is None]
