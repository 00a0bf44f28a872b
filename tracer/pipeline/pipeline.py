"""From finished calls to destinations: a bounded queue, one background thread, and an account of every record.

The caller's share is one append. Nothing a caller or a finalizer reaches here takes a lock, so the worker looks at the queue at
intervals instead of being woken.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from tracer.call import UNFINISHED, Call
from tracer.cost import Prices
from tracer.export.destination import Destination
from tracer.pipeline.ledger import Account
from tracer.reading import read_call
from tracer.reading.record import Record
from tracer.runtime import close_call, logger, report_fault, runtime
from tracer.settings import Settings

BATCH_RECORDS = 512
BUSY_INTERVAL = 0.1
IDLE_INTERVAL = 0.5
"""Seconds between two looks at the queue, while there is work and after a while without."""

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
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _reset(self) -> None:
        self._queue: deque[Call | _Marker] = deque()
        self._limit = self._settings.queue_records
        self._overflow = itertools.count()
        self._lifecycle = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._pid = os.getpid()
        self.destinations: list[Destination] = []
        self.accounts: dict[str, Account] = {}
        self.sampled_out = 0
        self.in_hand = 0

    def _after_fork(self) -> None:
        # What was open or queued at the fork is the parent's to send; its thread does not exist here.
        if runtime.pipeline is not self:
            return
        runtime.open_calls.clear()
        runtime.started = itertools.count()
        runtime.running = False
        self._reset()

    # The caller's side.

    def submit(self, call: Call) -> None:
        """Take a finished call. Safe in finalizers."""
        if len(self._queue) >= self._limit:
            next(self._overflow)
        else:
            self._queue.append(call)

    def start(self) -> None:
        """Start the worker, if it is not running in this process."""
        with self._lifecycle:
            if self._thread is not None or self._closing:
                return
            thread = threading.Thread(target=self._work, name="tracer", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # The interpreter is shutting down; the exit hook delivers what is queued.
            self._thread = thread
            runtime.running = True
        _hook_into_multiprocessing()

    def flush(self, timeout: float) -> bool:
        """Wait until everything finished so far was handed to its destinations; False when `timeout` (seconds) went by first."""
        if self._thread is None:
            if not self._queue:
                return True
            self.start()
        marker = _Marker()
        self._queue.append(marker)
        self._wake.set()
        return marker.reached.wait(timeout)

    def shutdown(self, timeout: float) -> bool:
        """Flush and close the destinations, all within `timeout` seconds; what is then left is counted as dropped."""
        if self._pid != os.getpid() or self._closing:
            return True
        deadline = time.monotonic() + timeout
        if self._thread is None and self._queue:
            self.start()
        self._closing = True
        # Closing goes on in the worker; a destination that hangs is told to give up a little before the deadline.
        done = self.flush(max(0.0, timeout * 0.8)) if self._thread is not None else self._drain_here()
        for destination in self.destinations:
            try:
                destination.close(max(0.0, deadline - time.monotonic()))
            except Exception as fault:
                report_fault(f"closing {destination.name}", fault)
        self._wake.set()
        if not done:
            lost = self.queued
            for account in self.accounts.values():
                account.drop("exit", lost)
            if lost:
                logger.warning("tracer: %d records could not be sent before the end of the process (TRACER_EXIT_TIMEOUT)", lost)
        return done

    def _drain_here(self) -> bool:
        """Deliver without a thread: at interpreter exit none can be started any more."""
        while self._queue:
            self._deliver_next_batch()
        return True

    @property
    def queued(self) -> int:
        """Finished calls that are not yet delivered."""
        return sum(1 for item in tuple(self._queue) if isinstance(item, Call)) + self.in_hand

    @property
    def overflowed(self) -> int:
        """Calls that found the queue full."""
        return int(repr(self._overflow)[6:-1])

    # The worker's side.

    def _work(self) -> None:
        quiet = 0
        while True:
            try:
                busy = self._deliver_next_batch()
            except Exception as fault:
                busy = True
                report_fault("the worker", fault)
            if busy:
                quiet = 0
                continue
            if self._closing:
                return
            quiet += 1
            self._wake.wait(BUSY_INTERVAL if quiet < _QUIET_LOOKS else IDLE_INTERVAL)
            self._wake.clear()

    def _deliver_next_batch(self) -> bool:
        """Take what is queued, up to a batch or a marker; False when there was nothing."""
        if not self._queue:
            return False
        if not self.destinations:
            self._prepare()
        records: list[Record] = []
        marker: _Marker | None = None
        while self._queue and len(records) < BATCH_RECORDS:
            self.in_hand += 1
            item = self._queue.popleft()
            if isinstance(item, _Marker):
                self.in_hand -= 1
                marker = item
                break
            if item.sampled:
                records.append(self._read(item))
            else:
                self.in_hand -= 1
                self.sampled_out += 1
            time.sleep(0)  # Give the interpreter lock to the application after each record.
        self._export(records)
        self.in_hand -= len(records)
        if marker is not None:
            marker.reached.set()
        return True

    def _prepare(self) -> None:
        self.destinations = self._make_destinations(self._settings)
        for destination in self.destinations:
            self.accounts.setdefault(destination.name, Account())
        self._prices = Prices(self._settings.prices)
        if self._prices.problem:
            logger.warning("tracer: %s", self._prices.problem)

    def _read(self, call: Call) -> Record:
        try:
            record = read_call(call)
            if record.generation is not None:
                record.generation.cost = self._prices.cost_of(record.generation)
                _learn(record)
        except Exception as fault:
            if not report_fault("reading a call", fault):
                logger.error("tracer: reading a call failed", exc_info=fault)
            record = Record(call, call.ending)
        return record

    def _export(self, records: Sequence[Record]) -> None:
        if not records:
            return
        for destination in self.destinations:
            account = self.accounts[destination.name]
            try:
                delivery = destination.export(records)
            except Exception as fault:
                report_fault(f"exporting to {destination.name}", fault)
                account.drop("error", len(records))
                continue
            account.exported += delivery.exported
            for reason, count in delivery.dropped.items():
                account.drop(reason, count)


def _learn(record: Record) -> None:
    """Remember endpoints that send usage on a stream although nobody asked."""
    call, generation = record.call, record.generation
    if generation is None or not call.streaming or call.asked_usage or call.operation != "chat" or generation.usage is None:
        return
    options = (generation.request or {}).get("stream_options")
    if not (isinstance(options, dict) and "include_usage" in options):
        runtime.usage_unasked.add(call.endpoint)


def finish_open_calls() -> int:
    """End every open call as unfinished (the process is going away); gives their number."""
    open_calls = list(runtime.open_calls.values())
    return sum(close_call(call, UNFINISHED) for call in open_calls)


def _hook_into_multiprocessing() -> None:
    """Children of multiprocessing end by `os._exit`, without atexit; they do run multiprocessing's own finalizers."""
    util = sys.modules.get("multiprocessing.util")
    if util is None or sys.modules["multiprocessing"].parent_process() is None:
        return
    util.Finalize(None, at_exit, exitpriority=0)


def at_exit() -> None:
    """Bounded end of the process: open calls become unfinished, what is queued is sent within TRACER_EXIT_TIMEOUT."""
    pipeline = runtime.pipeline
    if isinstance(pipeline, Pipeline):
        finish_open_calls()
        pipeline.shutdown(runtime.settings.exit_timeout)
