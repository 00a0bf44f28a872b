"""Ends of processes that skip atexit."""

from __future__ import annotations

import sys
from collections.abc import Callable


def hook_into_multiprocessing(action: Callable[[], None]) -> None:
    """Run `action` at the end of a child of multiprocessing: these end by `os._exit`, but do run multiprocessing's own finalizers."""
    util = sys.modules.get("multiprocessing.util")
    if util is None or sys.modules["multiprocessing"].parent_process() is None:
        return
    util.Finalize(None, action, exitpriority=0)
