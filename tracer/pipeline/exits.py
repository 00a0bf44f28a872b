"""Ends of processes that skip atexit, and what an end must not change."""

from __future__ import annotations

import sys
from collections.abc import Callable


def hook_into_multiprocessing(action: Callable[[], None]) -> None:
    """Run `action` at the end of a child of multiprocessing: these end by `os._exit`, but do run multiprocessing's own finalizers."""
    util = sys.modules.get("multiprocessing.util")
    if util is None or sys.modules["multiprocessing"].parent_process() is None:
        return
    util.Finalize(None, action, exitpriority=0)


def keep_interrupt() -> None:
    """Let a process that Ctrl-C ended still die of SIGINT, as its shell expects.

    Python notes the interrupt in a flag that any `exec` of a text clears, and modules imported meanwhile do that (dataclasses). Another
    such `exec` sets it again.
    """
    if getattr(sys, "last_type", None) is KeyboardInterrupt:
        try:
            exec("raise KeyboardInterrupt")  # noqa: S102
        except KeyboardInterrupt:
            pass
