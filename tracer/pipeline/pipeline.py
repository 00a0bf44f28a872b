"""From finished calls to destinations: a bounded queue, one background thread, and an account of every record.

The caller's share is one append to the `inbox`. Here is the life of the thread: it starts with the first call, works off `batches`, and
ends with the process.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from tracer.evaluation import Feedback
from tracer.export.destination import Destination
from tracer.pipeline.accounts import AT_EXIT, Accounts
from tracer.pipeline.batches import Batches
from tracer.pipeline.destinations import make_metrics, wanted, wanted_for_feedback
from tracer.pipeline.evaluations import Evaluations
from tracer.pipeline.exits import hook_into_multiprocessing, keep_interrupt
from tracer.pipeline.haste import LAST_SHARE, Haste
from tracer.pipeline.inbox import Inbox
from tracer.pipeline.last_lines import say_lost, say_shortened, say_spooled
from tracer.pipeline.ledger import SHUT_DOWN
from tracer.pipeline.metering import Metering
from tracer.runtime import count_of, finish_open_calls, report_fault, runtime
from tracer.scope import EMPTY, enter, leave
from tracer.settings import Settings

BUSY_INTERVAL = 0.1
IDLE_INTERVAL = 0.5
"""Seconds between two looks at the queue, while there is work and after a while without."""

_QUIET_LOOKS = 20


class Pipeline:
    """One for each process. `make_destinations` is called in the worker thread, again in a forked child."""

    def __init__(self, settings: Settings, make_destinations: Callable[[Settings], list[Destination]]) -> None:
        self._settings = settings
        self._make_destinations = make_destinations
        self._inbox = Inbox(settings.queue_records, settings.queue_bytes)
        self.submit = self._inbox.submit
        """Takes a finished call. Safe in finalizers."""
        self._begin()

    def _begin(self) -> None:
        settings = self._settings
        self._lifecycle = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._haste = Haste()
        self._pid = os.getpid()
        self._metering = Metering(settings, lambda: make_metrics(settings, self.balance))
        self._accounts = Accounts(wanted(settings), settings, self._inbox, self._haste)
        self._evaluations = Evaluations(wanted_for_feedback(settings), self._accounts.lock)
        self._batches = Batches(
            settings, self._make_destinations, self._inbox, self._accounts, self._evaluations, self._metering, self._haste
        )

    def after_fork(self) -> None:
        """Start clean in a forked child: what was queued is the parent's to send, and its thread does not exist here."""
        # Destroying what the parent made could end connections and locks that it still uses.
        self._of_parent = (self._batches, self._metering)
        self._metering.leave()
        self._inbox.reset()
        self._begin()

    # The caller's side.

    def submit_feedback(self, feedback: Feedback) -> None:
        """Take feedback. Safe in finalizers."""
        self._evaluations.submit(feedback, self._inbox.put_feedback)

    def start(self) -> None:
        """Start the worker, if it is not running in this process."""
        with self._lifecycle:
            if self._thread is not None or self._haste.begun:
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
        if self._inbox.over:
            return True
        deadline = time.monotonic() + min(timeout, threading.TIMEOUT_MAX)
        if not self._pass_through_worker(timeout):
            return False
        arrived = self._flush_senders(deadline)
        return self._metering.flush(deadline) and arrived

    def _pass_through_worker(self, timeout: float) -> bool:
        if self._thread is None:
            if not self._inbox.queue:
                return True
            self.start()
        marker = self._inbox.put_marker()
        self._wake.set()
        return marker.reached.wait(min(timeout, threading.TIMEOUT_MAX))

    def _flush_senders(self, deadline: float) -> bool:
        arrived = [sender.flush(deadline - time.monotonic()) for sender in self._batches.senders()]
        return all(arrived)

    def shutdown(self, timeout: float) -> bool:
        """Flush and close the destinations, all within `timeout` seconds; what is then left is counted as dropped."""
        if self._pid != os.getpid() or self._haste.begun:
            return True
        timeout = min(timeout, threading.TIMEOUT_MAX)
        deadline = time.monotonic() + timeout
        if self._thread is None and self._inbox.queue:
            self.start()
        # Closing goes on in the worker and the senders; what hangs is told to give up a little before the deadline.
        # With a spool what counts is that everything is read and written; then nothing has to be waited for.
        share = 1.0 if self._settings.spool else 0.8
        self._haste.begin(deadline - timeout * (1 - share) - timeout * LAST_SHARE)
        done = self._pass_through_worker(max(0.0, timeout * share)) if self._thread is not None else self._drain_here()
        self._metering.hurry(deadline)
        for sender in self._batches.senders():
            sender.finish(deadline)
        done = self._flush_senders(deadline - timeout * 0.2) and done
        # The last metrics say what became of every record, so they come after all of them, and have the last tenth for themselves.
        closed_by = deadline - timeout * 0.1 if self._metering.on else deadline
        self._batches.close(closed_by)
        reason = SHUT_DOWN if done else AT_EXIT
        lost = self._accounts.close(reason) + self._evaluations.close_books(reason)
        self._metering.finish(deadline)
        self._wake.set()
        self._say_end(0 if done else lost)
        return done

    def _say_end(self, lost: int) -> None:
        troubles = [sender.trouble for sender in self._batches.senders() if sender.trouble]
        say_lost(lost, count_of(self._inbox.overflow), troubles)
        if self._accounts.any:  # Metrics alone show no contents.
            say_shortened(self._haste.shortened)
        say_spooled(self._accounts.spooled + self._evaluations.spooled, self._settings.spool, troubles)

    def _drain_here(self) -> bool:
        """Deliver without a thread: at interpreter exit none can be started any more."""
        while self._batches.deliver_next():
            pass
        return not self._inbox.queue

    def balance(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """The number of finished calls that some destination still waits for, and the account of each destination."""
        return self._accounts.balance()

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
            if not self._haste.begun:
                self._replace_worker()

    def _replace_worker(self) -> None:
        with self._lifecycle:
            self._thread = None
            runtime.running = False
        if self._inbox.queue:  # Else the next call starts another one.
            self.start()

    def _serve(self) -> None:
        self._metering.begin()
        quiet = 0
        while True:
            try:
                busy = self._batches.deliver_next()
                self._batches.announce()
                self._metering.look()
            except BaseException as fault:
                busy = False  # What fails again and again must not keep a processor busy.
                report_fault("the worker", fault)
            if self._inbox.over:
                return
            if busy:
                quiet = 0
                continue
            if self._haste.begun:
                return
            quiet += 1
            # What is to outlive the process must not lie about here.
            self._wake.wait(BUSY_INTERVAL if quiet < _QUIET_LOOKS or self._settings.spool else IDLE_INTERVAL)
            self._wake.clear()


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
        keep_interrupt()
