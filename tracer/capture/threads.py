"""The scope follows work into threads: `threading.Thread` and `ThreadPoolExecutor`.

Context variables do not cross into new threads by themselves. Only our own variable is carried over, so no other library's context
changes. Installed when the first span or context of the application is opened, never at import, and only while something is recorded.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tracer.capture.import_hook import when_imported
from tracer.scope import EMPTY, Scope, beside_host, current, enter, leave

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_EXECUTORS = "concurrent.futures.thread"

_installed = threading.Event()


def carry_scope_into_threads() -> None:
    """Install once; further calls cost one check."""
    if _installed.is_set():
        return
    _installed.set()
    setattr(threading.Thread, "start", _starting(threading.Thread.start))  # noqa: B010  # the stubs allow no assignment
    # Not for us to import: that fails once the main thread is over.
    when_imported(_EXECUTORS, _watch_executors)


def _watch_executors(module: Any) -> None:
    executor: Any = module.ThreadPoolExecutor
    executor.submit = _submitting(executor.submit)


def _in_scope(scope: Scope, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    earlier = enter(scope)
    try:
        return function(*args, **kwargs)
    finally:
        leave(earlier)


def _starting(bare: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @functools.wraps(bare)
    def start(self: threading.Thread) -> None:
        scope = beside_host(current())
        # Worker threads of an executor outlive the work that made them: each piece of work brings its own scope.
        is_worker = getattr(getattr(self, "_target", None), "__module__", "") == _EXECUTORS
        if scope is EMPTY or is_worker or "run" in self.__dict__:
            return bare(self)
        run = self.run

        def run_in_scope() -> None:
            self.__dict__.pop("run", None)
            _in_scope(scope, run)

        self.run = run_in_scope
        try:
            return bare(self)
        except BaseException:
            self.__dict__.pop("run", None)
            raise

    return start


def _submitting(bare: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(bare)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        scope = beside_host(current())
        if scope is EMPTY:
            return bare(self, fn, *args, **kwargs)
        return bare(self, functools.partial(_in_scope, scope, fn), *args, **kwargs)

    return submit
