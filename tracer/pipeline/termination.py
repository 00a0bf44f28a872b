"""`TRACER_SIGTERM=flush`: what is recorded is sent before the process follows the signal."""

from __future__ import annotations

import _thread
import os
import signal
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from tracer.runtime import finish_open_calls, logger, report_fault

_SHARE = 0.9
"""Of the time, for delivering; in the rest what was lost is counted and said before the signal is followed."""

_Handler = Callable[[int, FrameType | None], Any]


class Termination:
    """Installs the handler, and puts the earlier one back. `flush` and `shut_down` get the seconds that they may take.

    Where the signal ends the process, everything is shut down, which says what is lost; a handler of the application may go on.
    """

    def __init__(self, flush: Callable[[float], object], shut_down: Callable[[float], object], timeout: float) -> None:
        self._flush = flush
        self._shut_down = shut_down
        self._timeout = timeout
        self._earlier: Any = signal.SIG_DFL

    def install(self) -> bool:
        """Take over SIGTERM; says in one line why it cannot be done."""
        if threading.current_thread() is not threading.main_thread():
            logger.warning(
                "tracer: TRACER_SIGTERM=flush can be set up from the main thread only. Call tracer.configure() there before anything else."
            )
            return False
        self._earlier = signal.signal(signal.SIGTERM, self._terminate)
        return True

    def remove(self) -> None:
        """Put the earlier handler back, unless somebody else has taken over since."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == self._terminate:
            signal.signal(signal.SIGTERM, self._earlier)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self._finish()
        earlier = self._earlier
        if callable(earlier):
            earlier(number, frame)
        elif earlier != signal.SIG_IGN:
            # As if there had been no handler: the parent sees an end by the signal.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _finish(self) -> None:
        # The code that the signal interrupts may hold any lock, `threading`'s own included: the work is done in another thread, and waited
        # for no longer than the end may take.
        done: SimpleQueue[None] = SimpleQueue()
        try:
            _thread.start_new_thread(self._export, (done,))
            done.get(timeout=self._timeout)
        except (Empty, RuntimeError):
            pass

    def _export(self, done: SimpleQueue[None]) -> None:
        try:
            finish_open_calls()
            finish = self._shut_down if self._earlier == signal.SIG_DFL else self._flush
            finish(self._timeout * _SHARE)
        except Exception as fault:
            report_fault("ending by SIGTERM", fault)
        finally:
            done.put(None)
