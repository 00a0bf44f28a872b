"""Work that a finalizer has found and that has to wait until no lock of anybody is held: it is done in a thread of its own."""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from tracer.runtime import report_fault

_Item = TypeVar("_Item")


class Later(Generic[_Item]):
    """A queue that anybody may put things into, at any moment, and the thread that works on them.

    `warm_up` is what the thread does first.
    """

    def __init__(self, work: Callable[[_Item], object], warm_up: Callable[[], object]) -> None:
        self._work = work
        self._warm_up = warm_up
        self._items: deque[_Item] = deque()
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._working = threading.Lock()
        self._lifecycle = threading.Lock()
        self._thread: threading.Thread | None = None
        self.started = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: _Item) -> None:
        """Leave something to be done. Safe in finalizers: takes no lock that Python code can hold."""
        self._items.append(item)
        self._bell.put(True)

    def start(self) -> None:
        """Start the thread, once."""
        with self._lifecycle:
            if self.started:
                return
            self.started = True
            thread = threading.Thread(target=self._serve, args=(self._bell,), name="tracer-host", daemon=True)
            try:
                # It belongs to no call: neither our scope nor anybody's context may come along.
                contextvars.Context().run(thread.start)
            except RuntimeError:
                return  # The interpreter is shutting down; the exit hook does what is left.
            self._thread = thread

    def catch_up(self, timeout: float = 0.0) -> bool:
        """Do what is waiting, here; False when somebody else is at it for longer than `timeout` (seconds)."""
        deadline = time.monotonic() + timeout
        while self._items or timeout:
            if not self._working.acquire(timeout=max(0.0, deadline - time.monotonic())):
                return False
            try:
                if not self._items:
                    return True
                self._do(self._items.popleft())
            finally:
                self._working.release()
        return True

    def stop(self) -> None:
        """Let the thread end."""
        self._bell.put(False)

    def _serve(self, bell: SimpleQueue[bool]) -> None:
        try:
            self._warm_up()
        except Exception as fault:
            report_fault("warming up", fault)
        while bell.get():
            self.catch_up(timeout=threading.TIMEOUT_MAX)

    def _do(self, item: _Item) -> None:
        try:
            self._work(item)
        except BaseException as fault:
            # The application's processors may raise anything, and whoever catches up here made another call. Only Ctrl-C is the user's.
            report_fault("ending a call that was dropped", fault)
            if isinstance(fault, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise
