"""Reading against the clock: at the end of a process contents go before records."""

from __future__ import annotations

import time

from tracer.call import Call
from tracer.pipeline.weight import weight_of, without_bodies

LAST_SHARE = 0.1
"""Of the time at the end, for handing on what was read last."""


class Haste:
    """Used by the worker once the end has begun. A call for which there is no time loses its bodies, the rest of it is still read."""

    __slots__ = ("_before", "_deadline", "_mean", "_reading_whole", "shortened")

    def __init__(self) -> None:
        self.shortened = 0
        """Calls that lost their bodies."""
        self._deadline = float("inf")
        self._mean = 0.0
        self._before = 0.0
        self._reading_whole = False

    def begin(self, deadline: float) -> None:
        """Nothing is read after `deadline` (monotonic seconds)."""
        self._deadline = deadline

    @property
    def is_over(self) -> bool:
        """There is no time left."""
        return self._deadline != float("inf") and time.monotonic() >= self._deadline

    def look_at(self, call: Call, behind: int) -> None:
        """Take the bodies from a call that is to be read next, if the `behind` calls after it would not be read in time otherwise."""
        now = time.monotonic()
        if self._reading_whole:
            taken = now - self._before
            self._mean = taken if not self._mean else self._mean + (taken - self._mean) / 16
        self._before = now
        self._reading_whole = self._mean * behind < self._deadline - now
        if not self._reading_whole and weight_of(call):
            without_bodies(call)
            self.shortened += 1
