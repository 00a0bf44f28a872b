"""Reading against the clock: at the end of a process contents go before records."""

from __future__ import annotations

import time
from collections import deque

from tracer.call import Call
from tracer.pipeline.weight import weight_of, without_bodies

LAST_SHARE = 0.1
"""Of the time at the end, for handing on what was read last."""


_SAMPLES = 16
_OUTLIERS = 2
_FIRST_SHARE = 0.2
_PROBE = 32


class Haste:
    """Used by the worker once the end has begun. A call for which there is no time loses its bodies, the rest of it is still read."""

    __slots__ = ("_before", "_deadline", "_judges_from", "_looks", "_reading_whole", "_taken", "begun", "shortened")

    def __init__(self) -> None:
        self.shortened = 0
        """Calls that lost their bodies."""
        self.begun = False
        """The process waits for its end."""
        self._deadline = self._judges_from = float("inf")
        self._looks = 0
        self._before = 0.0
        self._reading_whole = False
        self._taken: deque[float] = deque(maxlen=_SAMPLES)

    def begin(self, deadline: float) -> None:
        """Nothing is read after `deadline` (monotonic seconds)."""
        now = time.monotonic()
        self._judges_from = now + (deadline - now) * _FIRST_SHARE
        self._deadline = deadline
        self.begun = True

    @property
    def is_over(self) -> bool:
        """There is no time left."""
        return self._deadline != float("inf") and time.monotonic() >= self._deadline

    def look_at(self, call: Call, behind: int) -> None:
        """Take the bodies from a call that is to be read next, if the `behind` calls after it would not be read in time otherwise."""
        now = time.monotonic()
        # The first one may have loaded prices and readers: no measure for the others.
        if self._reading_whole and self._looks > 1:
            self._taken.append(now - self._before)
        self._before = now
        self._looks += 1
        self._reading_whole = self._has_time(now, behind)
        if not self._reading_whole and weight_of(call):
            without_bodies(call)
            self.shortened += 1

    def _has_time(self, now: float, behind: int) -> bool:
        if len(self._taken) < _SAMPLES and now < self._judges_from:
            return True
        # Single calls that took long, perhaps because another thread was at work, are no measure; and some are always read whole,
        # since what was slow a moment ago may be so no more.
        usual = sorted(self._taken)[: max(len(self._taken) - _OUTLIERS, 1)]
        return sum(usual) / max(len(usual), 1) * behind < self._deadline - now or self._looks % _PROBE == 0
