"""Errors in the delivery: whatever is raised there is a fault, but for Ctrl-C while the main thread is at work at the process's end."""

from __future__ import annotations

import threading

from tracer.runtime import report_fault


def swallow(place: str, fault: BaseException) -> None:
    """Count an error that is being handled, and let it end here.

    Libraries raise more than `Exception`: `SystemExit`, panics of extensions in Rust. In our threads none of them is meant for anybody.
    """
    report_fault(place, fault)
    if not isinstance(fault, Exception) and threading.current_thread() is threading.main_thread():
        raise fault
