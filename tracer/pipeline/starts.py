"""Calls that last: after a while they are announced to the destinations that show runs before they are over."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tracer.call import Call

LASTS = 5.0
"""Seconds after which a call that is still open is announced; shorter ones arrive whole."""

INTERVAL = 1.0
"""Seconds between two looks at the open calls."""


class Starts:
    """Finds, at each look, the open calls that have become old enough and were not announced yet."""

    def __init__(self) -> None:
        self._announced: set[int] = set()
        self._next_look = 0.0

    def due(self, open_calls: Mapping[int, Call]) -> list[Call]:
        """Calls to announce now, oldest first; nothing between two looks."""
        now = time.monotonic()
        if now < self._next_look:
            return []
        self._next_look = now + INTERVAL
        try:
            calls = list(open_calls.values())
        except RuntimeError:
            return []  # Another thread began or ended a call meanwhile; there is a next look.
        started_before = time.perf_counter_ns() - int(LASTS * 1e9)
        old = [call for call in calls if 0 < call.started <= started_before and call.sampled and not call.ending]
        new = [call for call in old if call.span_id not in self._announced]
        self._announced = {call.span_id for call in old}
        return sorted(new, key=lambda call: call.started)
