"""Imports in our threads, and forks that must not come between: a child would keep the half of a module for ever."""

from __future__ import annotations

import os
import threading
from types import TracebackType

PATIENCE = 2.0
"""Seconds that a fork waits for an import of ours. The thread that forks may itself hold up that import."""


class Loading:
    """Held while a thread of ours imports; a fork waits for the end of it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held = False

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        """Let nobody begin an import until the fork is over."""
        self._held = self._lock.acquire(timeout=PATIENCE)

    def after_fork(self) -> None:
        """Go on, in the parent."""
        if self._held:
            self._held = False
            self._lock.release()

    def begin_in_child(self) -> None:
        """Start clean: whoever held the lock does not exist here."""
        self._lock = threading.RLock()
        self._held = False


loading = Loading()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=loading.before_fork, after_in_parent=loading.after_fork, after_in_child=loading.begin_in_child)
