"""From finished calls to destinations: a bounded queue, one background thread, and an account of every record.

The caller's share is one append. Nothing a caller or a finalizer reaches here takes a lock, so the worker looks at the queue at
intervals instead of being woken. The worker reads each call once and hands it to all destinations; those on the network have senders of
their own, so it waits for none of them.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tracer.call import Call
from tracer.evaluation import Feedback
from tracer.export.destination import Delivery, Destination
from tracer.export.loading import loading
from tracer.export.notices import records_text
from tracer.pipeline.destinations import make_metrics, wanted, wanted_for_feedback
from tracer.pipeline.evaluations import Evaluations
from tracer.pipeline.exits import hook_into_multiprocessing
from tracer.pipeline.faults import swallow
from tracer.pipeline.haste import LAST_SHARE, Haste
from tracer.pipeline.keeping import Keeper
from tracer.pipeline.ledger import Account
from tracer.pipeline.metering import Metering
from tracer.pipeline.sender import Sender
from tracer.pipeline.starts import Starts
from tracer.pipeline.waiting import QUEUE_FULL
from tracer.pipeline.weight import weight_of, without_bodies
from tracer.runtime import count_of, finish_open_calls, logger, report_fault, runtime
from tracer.scope import EMPTY, enter, leave
from tracer.settings import Settings

if TYPE_CHECKING:
    from tracer.reading.record import Record

BATCH_RECORDS = 512
BATCH_BYTES = 8 * 1024 * 1024
"""What the worker reads before it hands it on."""

BUSY_INTERVAL = 0.1
IDLE_INTERVAL = 0.5
"""Seconds between two looks at the queue, while there is work and after a while without."""

CALM = 0.1
"""Up to this share of the queue the worker gives the interpreter lock away after each record."""

PRESSED = 0.5
"""Beyond this share it gives the lock away only when the interpreter asks for it (`sys.getswitchinterval`): losing records is next."""

SLICE = 0.001
"""Seconds for which it keeps the lock in between: an event loop is not held up for longer."""

CLOSING_RECORDS = 64
"""What the worker reads before it hands it on while the process waits for its end: little is in hand when the time is over."""

LEFT_TO_HOST = "exported by the application's own tracer provider"
"""Why a record did not go to our OTLP endpoint."""

AT_EXIT = "exit"
"""Why a record, or its contents, did not get away before the end of the process."""

NO_ROOM_TO_KEEP = "no room to keep"
"""Why a record that might have been kept (TRACER_KEEP) was not."""

_QUIET_LOOKS = 20


class _Marker:
    """Travels through the queue; everything put before it has been dealt with when `reached` is set."""

    __slots__ = ("reached",)

    def __init__(self) -> None:
        self.reached = threading.Event()


class Pipeline:
    """One for each process. `make_destinations` is called in the worker thread, again in a forked child."""

    def __init__(self, settings: Settings, make_destinations: Callable[[Settings], list[Destination]]) -> None:
        self._settings = settings
        self._make_destinations = make_destinations
        self._reset()

    def _reset(self) -> None:
        self._queue: deque[Call | Feedback | _Marker] = deque()
        self._limit = self._settings.queue_records
        self._most_bytes = self._settings.queue_bytes
        # Bytes that calls brought into the queue and that the worker took out of it: each is written by one side only. Two callers at
        # the same moment may lose one of their sums, so an empty queue sets the two equal.
        self._bytes_in = 0
        self._bytes_out = 0
        self._overflow = itertools.count()
        self._stripped = itertools.count()
        self._late = itertools.count()
        self._faulty = itertools.count()
        self._lifecycle = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._over = False
        self._haste = Haste()
        self._pid = os.getpid()
        self._destinations: list[Destination] = []
        self._starts = Starts()
        self._metering = Metering(self._settings, lambda: make_metrics(self._settings, self.balance))
        # The books. The worker and whoever reads them take the lock; callers and finalizers never do.
        self._books = threading.RLock()
        self._accounts = {name: Account() for name in wanted(self._settings)}
        self._evaluations = Evaluations(wanted_for_feedback(self._settings), self._books)
        self._sampled_out = 0
        self._taken = 0
        # Unsampled calls that may yet be kept (TRACER_KEEP), and why others were.
        self._held = 0
        self._kept: dict[str, int] = {}

    def after_fork(self) -> None:
        """Start clean in a forked child: what was queued is the parent's to send, and its thread does not exist here."""
        # Destroying what the parent made could end connections and locks that it still uses.
        self._of_parent = (self._destinations, self._metering)
        self._metering.leave()
        self._reset()

    # The caller's side.

    def submit(self, call: Call) -> None:
        """Take a finished call. Safe in finalizers."""
        try:
            if self._over:
                next(self._late)
            elif len(self._queue) >= self._limit:
                next(self._overflow)
            else:
                self._put(call)
        except Exception:
            next(self._faulty)
            raise

    def _put(self, call: Call) -> None:
        weight = weight_of(call)
        if weight and self._bytes_in - self._bytes_out + weight > self._most_bytes:
            without_bodies(call)
            next(self._stripped)
            weight = 0
        self._queue.append(call)
        self._bytes_in += weight

    def submit_feedback(self, feedback: Feedback) -> None:
        """Take feedback. Safe in finalizers."""
        self._evaluations.submit(feedback, self._put_feedback)

    def _put_feedback(self, feedback: Feedback) -> bool:
        fits = len(self._queue) < self._limit
        if fits:
            self._queue.append(feedback)
        return fits

    def start(self) -> None:
        """Start the worker, if it is not running in this process."""
        with self._lifecycle:
            if self._thread is not None or self._closing:
                return
            thread = threading.Thread(target=self._work, name="tracer", daemon=True)
            scope = enter(EMPTY)  # Threads inherit the scope; the worker outlives that of the call that starts it.
            try:
                thread.start()
            except RuntimeError:
                return  # The interpreter is shutting down; the exit hook delivers what is queued.
            finally:
                leave(scope)
            self._thread = thread
            runtime.running = True
        hook_into_multiprocessing(at_exit)

    def flush(self, timeout: float) -> bool:
        """Wait until everything finished so far has arrived or was given up; False when `timeout` (seconds) went by first."""
        if self._over:
            return True
        deadline = time.monotonic() + min(timeout, threading.TIMEOUT_MAX)
        if not self._pass_through_worker(timeout):
            return False
        arrived = self._flush_senders(deadline)
        return self._metering.flush(deadline) and arrived

    def _pass_through_worker(self, timeout: float) -> bool:
        if self._thread is None:
            if not self._queue:
                return True
            self.start()
        marker = _Marker()
        self._queue.append(marker)
        self._wake.set()
        return marker.reached.wait(min(timeout, threading.TIMEOUT_MAX))

    def _flush_senders(self, deadline: float) -> bool:
        arrived = [sender.flush(deadline - time.monotonic()) for sender in self._senders()]
        return all(arrived)

    def _senders(self) -> list[Sender]:
        return [destination for destination in self._destinations if isinstance(destination, Sender)] + self._evaluations.senders()

    def shutdown(self, timeout: float) -> bool:
        """Flush and close the destinations, all within `timeout` seconds; what is then left is counted as dropped."""
        if self._pid != os.getpid() or self._closing:
            return True
        timeout = min(timeout, threading.TIMEOUT_MAX)
        deadline = time.monotonic() + timeout
        if self._thread is None and self._queue:
            self.start()
        # Closing goes on in the worker and the senders; what hangs is told to give up a little before the deadline.
        # With a spool what counts is that everything is read and written; then nothing has to be waited for.
        share = 1.0 if self._settings.spool else 0.8
        self._haste.begin(deadline - timeout * (1 - share) - timeout * LAST_SHARE)
        self._closing = True
        done = self._pass_through_worker(max(0.0, timeout * share)) if self._thread is not None else self._drain_here()
        self._metering.hurry(deadline)
        for sender in self._senders():
            sender.finish(deadline)
        done = self._flush_senders(deadline - timeout * 0.2) and done
        # The last metrics say what became of every record, so they come after all of them, and have the last tenth for themselves.
        closed_by = deadline - timeout * 0.1 if self._metering.on else deadline
        self._evaluations.close(max(0.0, closed_by - time.monotonic()))
        for destination in self._destinations:
            try:
                destination.close(max(0.0, closed_by - time.monotonic()))
            except Exception as fault:
                report_fault(f"closing {destination.name}", fault)
        reason = "shut down" if done else AT_EXIT
        lost = self._close_books(reason) + self._evaluations.close_books(reason)
        self._metering.finish(deadline)
        self._wake.set()
        self._say_lost(0 if done else lost, count_of(self._overflow))
        self._say_shortened()
        self._say_spooled()
        return done

    def _say_lost(self, records: int, overflow: int) -> None:
        """The line at the end for what is lost; senders have said what they lost before."""
        if overflow:
            logger.warning(
                "tracer: %s came faster than they could be read and did not fit into the queue (TRACER_QUEUE_RECORDS)%s",
                records_text(overflow),
                f"; {records_text(records)} more could not be sent before the end of the process (TRACER_EXIT_TIMEOUT)" if records else "",
            )
            return
        if not records:
            return
        text = "tracer: %s could not be sent before the end of the process (TRACER_EXIT_TIMEOUT)%s"
        logger.warning(text, records_text(records), self._troubles())

    def _say_shortened(self) -> None:
        """The line for what had to go without its contents to be in time."""
        if self._haste.shortened:
            text = (
                "tracer: %s went without prompts and answers, which could not be read before the end of the process (TRACER_EXIT_TIMEOUT)"
            )
            logger.warning(text, records_text(self._haste.shortened))

    def _say_spooled(self) -> None:
        """The line for what could not be sent and is not lost."""
        spooled = max((account.spooled for account in self._accounts.values()), default=0) + self._evaluations.spooled
        if spooled:
            text = "tracer: %s could not be sent yet; they are kept in %s (TRACER_SPOOL) for the next process or `tracer flush`%s"
            logger.warning(text, records_text(spooled), self._settings.spool, self._troubles() or ".")

    def _troubles(self) -> str:
        troubles = [sender.trouble for sender in self._senders() if sender.trouble]
        return f": {' '.join(troubles)}" if troubles else ""

    def _close_books(self, reason: str) -> int:
        """Count what was not delivered as dropped; nothing is taken or counted after this.

        Gives the most that a destination lost by this or by being closed; what it lost before, it has said itself.
        """
        with self._books:
            self._over = True
            left = [item for item in tuple(self._queue) if isinstance(item, Call)]
            self._queue.clear()
            sampled = sum(call.sampled for call in left)
            self._sampled_out += len(left) - sampled + self._held
            self._held = 0
            self._taken += sampled
            lost = 0
            for account in self._accounts.values():
                missing = self._taken - account.settled
                lost = max(lost, missing + account.dropped.get("closed", 0))
                account.drop(reason, missing)
            return lost

    def _drain_here(self) -> bool:
        """Deliver without a thread: at interpreter exit none can be started any more."""
        while self._deliver_next_batch():
            pass
        return not self._queue

    def balance(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """The number of finished calls that some destination still waits for, and the account of each destination."""
        with self._books:
            waiting = sum(1 for item in tuple(self._queue) if isinstance(item, Call))
            overflow, late, stripped = count_of(self._overflow), count_of(self._late), count_of(self._stripped)
            accounts: dict[str, dict[str, Any]] = {}
            for name, account in self._accounts.items():
                dropped, shortened = dict(account.dropped), dict(account.shortened)
                _add(dropped, QUEUE_FULL, overflow)
                _add(dropped, "shut down", late)
                _add(dropped, "error", count_of(self._faulty))
                _add(shortened, QUEUE_FULL, stripped)
                _add(shortened, AT_EXIT, self._haste.shortened)
                accounts[name] = {
                    "exported": account.exported,
                    "sampled_out": self._sampled_out + account.sampled_out,
                    "dropped": dropped,
                    "shortened": shortened,
                    "queued": waiting + self._held + self._taken - account.settled,
                    **({"kept": dict(self._kept)} if self._settings.keep else {}),
                    **({"spooled": account.spooled, "recovered": account.recovered} if self._settings.spool else {}),
                    **({"stopped": account.stopped} if account.stopped else {}),
                }
        return max((account["queued"] for account in accounts.values()), default=waiting), accounts

    def feedback_balance(self) -> dict[str, Any]:
        """What became of feedback, for each destination that takes any."""
        return self._evaluations.balance(bool(self._settings.spool))

    # The worker's side.

    def _work(self) -> None:
        try:
            self._serve()
        except BaseException as fault:  # Thrown in from outside.
            report_fault("the worker", fault)
        finally:
            if not self._closing:
                self._replace_worker()

    def _replace_worker(self) -> None:
        with self._lifecycle:
            self._thread = None
            runtime.running = False
        if self._queue:  # Else the next call starts another one.
            self.start()

    def _serve(self) -> None:
        self._metering.begin()
        quiet = 0
        while True:
            try:
                busy = self._deliver_next_batch()
                self._announce()
                self._metering.look()
            except BaseException as fault:
                busy = False  # What fails again and again must not keep a processor busy.
                report_fault("the worker", fault)
            if self._over:
                return
            if busy:
                quiet = 0
                continue
            if self._closing:
                return
            quiet += 1
            # What is to outlive the process must not lie about here.
            self._wake.wait(BUSY_INTERVAL if quiet < _QUIET_LOOKS or self._settings.spool else IDLE_INTERVAL)
            self._wake.clear()

    def _deliver_next_batch(self) -> bool:
        """Take what is queued, up to a batch or a marker; False when there was nothing, or the time for it is over."""
        if not self._queue:
            self._bytes_out = self._bytes_in
            return False
        if self._haste.is_over:
            return False
        if not self._destinations:
            self._prepare()
        records: list[Record] = []
        measured: list[Record] = []
        measuring = self._metering.on
        marker: _Marker | None = None
        given: list[Feedback] = []
        most = self._bytes_out + BATCH_BYTES
        held_since = time.monotonic()
        most_records = CLOSING_RECORDS if self._closing else BATCH_RECORDS
        while self._queue and len(records) < most_records and self._bytes_out < most and not self._haste.is_over:
            item = self._take()
            if isinstance(item, _Marker):
                marker = item
                break
            if isinstance(item, Feedback):
                given.append(self._reader.judged(item))
            elif item is not None:
                if self._closing:
                    self._haste.look_at(item, len(self._queue))
                read = [self._read(call) for call in self._recorded(item)]
                records += read
                if measuring:
                    own = next((record for record in read if record.call is item), None)
                    measured.append(own or self._read(item))
            held_since = self._give_way(held_since)
        try:
            self._metering.record(measured)
            self._export(records)
            if given:
                self._evaluations.export(given)
        finally:
            if marker is not None:
                marker.reached.set()
        return True

    def _give_way(self, held_since: float) -> float:
        """Let the application have the interpreter lock, the more seldom the more waits; gives the time since which it is held."""
        if self._closing:
            return held_since
        fill = max(len(self._queue) / self._limit, (self._bytes_in - self._bytes_out) / self._most_bytes)
        if fill > CALM and (fill > PRESSED or time.monotonic() - held_since < SLICE):
            return held_since
        time.sleep(0)
        return time.monotonic()

    def _take(self) -> Call | Feedback | _Marker | None:
        with self._books:
            if not self._queue:
                return None
            item = self._queue.popleft()
            if isinstance(item, Call):
                self._bytes_out += weight_of(item)
                if item.sampled:
                    self._taken += 1
                elif self._may_be_kept(item):
                    self._held += 1
                else:
                    self._sampled_out += 1
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
        with self._books:
            self._held -= len(decision.keep) + decision.left_out + decision.no_room
            self._taken += len(decision.keep) + decision.no_room
            self._sampled_out += decision.left_out
            _add(self._kept, decision.reason, len(decision.keep))
            for account in self._accounts.values():
                account.drop(NO_ROOM_TO_KEEP, decision.no_room)
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
        with self._books:
            for destination in self._destinations:
                self._accounts.setdefault(destination.name, Account())
        for sender in self._senders():
            sender.settle = self._settle
        self._evaluations.attach(self._destinations)
        if self._settings.spool:
            for sender in self._evaluations.senders():
                sender.start()  # Runs come; whether feedback does is not known, and earlier processes may have left some.

    def _announce(self) -> None:
        """Tell destinations that show running calls of those that last."""
        if not self._settings.langsmith_on or self._closing:
            return
        calls = self._starts.due(runtime.open_calls)
        if calls:
            if not self._destinations:
                self._prepare()
            shown = [self._reader.preview(call) for call in calls]
            for destination in self._destinations:
                if isinstance(destination, Sender):
                    destination.open(shown)

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
                self._settle(destination.name, delivery)

    def _settle(self, name: str, delivery: Delivery) -> None:
        """Enter what became of records. Senders call this from their threads."""
        with self._books:
            if not self._over:  # Else they were counted as dropped already.
                self._accounts.setdefault(name, Account()).add(delivery)


def _add(counts: dict[str, int], reason: str, count: int) -> None:
    if count:
        counts[reason] = counts.get(reason, 0) + count


def _without_host(records: Sequence[Record]) -> Sequence[Record]:
    """The application's own provider exports the calls that are spans of it."""
    return [record for record in records if record.call.host is None]


def _after_fork() -> None:
    """In a forked child: what was open at the fork is the parent's too."""
    pipeline = runtime.pipeline
    if isinstance(pipeline, Pipeline):
        runtime.open_calls.clear()
        runtime.started = itertools.count()
        runtime.running = False
        pipeline.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def at_exit() -> None:
    """Bounded end of the process: open calls become unfinished, what is queued is sent within TRACER_EXIT_TIMEOUT."""
    pipeline = runtime.pipeline
    if isinstance(pipeline, Pipeline):
        try:
            finish_open_calls()
            pipeline.shutdown(runtime.settings.exit_timeout)
        except Exception as fault:
            report_fault("ending the process", fault)
        _keep_interrupt()


def _keep_interrupt() -> None:
    """Let a process that Ctrl-C ended still die of SIGINT, as its shell expects.

    Python notes the interrupt in a flag that any `exec` of a text clears, and modules imported meanwhile do that (dataclasses). Another
    such `exec` sets it again.
    """
    if getattr(sys, "last_type", None) is KeyboardInterrupt:
        try:
            exec("raise KeyboardInterrupt")  # noqa: S102
        except KeyboardInterrupt:
            pass
