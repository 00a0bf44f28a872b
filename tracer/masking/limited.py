"""Running somebody else's function for at most a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from tracer.scope import EMPTY, enter, leave

_Result = TypeVar("_Result")


class TooSlow(Exception):  # noqa: N818
    """The function took longer than it may, or an earlier call of it has not come back yet."""


class _Task(Generic[_Result]):
    def __init__(self, work: Callable[[], _Result]) -> None:
        self._work = work
        self._over = threading.Event()
        self._result: _Result | None = None
        self._error: BaseException | None = None

    @property
    def over(self) -> bool:
        """It has come back."""
        return self._over.is_set()

    def run(self) -> None:
        """Do it."""
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error
        finally:
            self._over.set()

    def result(self, timeout: float) -> _Result:
        """What came of it; raises what it raised."""
        if not self._over.wait(timeout):
            raise TooSlow
        if self._error is not None:
            raise self._error
        return self._result  # pyright: ignore[reportReturnType]  # set, where there was no error


class Limited:
    """A thread of its own, started on first use, in which functions have `timeout` seconds. One that never comes back keeps that thread."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._tasks: SimpleQueue[_Task[object]] | None = None
        self._last: _Task[object] | None = None
        self._lock = threading.Lock()

    def run(self, work: Callable[[], _Result]) -> _Result:
        """The function's result; raises `TooSlow`, or what the function raises."""
        with self._lock:
            if self._last is not None and not self._last.over:
                raise TooSlow
            task = _Task(work)
            self._last = task  # pyright: ignore[reportAttributeAccessIssue]  # its result is not asked for
            tasks = self._started()
        if tasks is None:
            task.run()
        else:
            tasks.put(task)  # pyright: ignore[reportArgumentType]
        return task.result(self._timeout)

    def _started(self) -> SimpleQueue[_Task[object]] | None:
        if self._tasks is None:
            tasks: SimpleQueue[_Task[object]] = SimpleQueue()
            thread = threading.Thread(target=_serve, args=(tasks,), name="tracer mask", daemon=True)
            scope = enter(EMPTY)
            try:
                thread.start()
            except RuntimeError:
                return None  # The interpreter is shutting down.
            finally:
                leave(scope)
            self._tasks = tasks
        return self._tasks


def _serve(tasks: SimpleQueue[_Task[object]]) -> None:
    while True:
        tasks.get().run()
