"""Where finished calls wait to be read: a bounded queue to which callers and finalizers append.

Nothing they reach here takes a lock, so whoever empties the queue looks at it at intervals instead of being woken.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque

from tracer.call import Call
from tracer.evaluation import Feedback
from tracer.pipeline.weight import weight_of, without_bodies


class Marker:
    """Travels through the queue; everything put before it has been dealt with when `reached` is set."""

    __slots__ = ("reached",)

    def __init__(self) -> None:
        self.reached = threading.Event()


class Inbox:
    """Holds at most `most_records`, with bodies of at most `most_bytes`. What does not fit is counted, or loses its bodies."""

    __slots__ = ("bytes_in", "bytes_out", "faulty", "late", "most_bytes", "most_records", "over", "overflow", "queue", "stripped")

    def __init__(self, most_records: int, most_bytes: int) -> None:
        self.most_records = most_records
        self.most_bytes = most_bytes
        self.reset()

    def reset(self) -> None:
        """Start clean in a forked child: what was queued is the parent's to send."""
        self.queue: deque[Call | Feedback | Marker] = deque()
        # Bytes that calls brought into the queue and that the worker took out of it: each is written by one side only. Two callers at
        # the same moment may lose one of their sums, so an empty queue sets the two equal.
        self.bytes_in = 0
        self.bytes_out = 0
        self.overflow = itertools.count()
        self.stripped = itertools.count()
        self.late = itertools.count()
        self.faulty = itertools.count()
        self.over = False
        """Nothing is taken any more."""

    def submit(self, call: Call) -> None:
        """Take a finished call. Safe in finalizers."""
        try:
            if self.over:
                next(self.late)
            elif len(self.queue) >= self.most_records:
                next(self.overflow)
            else:
                weight = weight_of(call)
                if weight and self.bytes_in - self.bytes_out + weight > self.most_bytes:
                    without_bodies(call)
                    next(self.stripped)
                    weight = 0
                self.queue.append(call)
                self.bytes_in += weight
        except Exception:
            next(self.faulty)
            raise

    def put_feedback(self, feedback: Feedback) -> bool:
        """Take feedback; False when there is no room for it. Safe in finalizers."""
        fits = len(self.queue) < self.most_records
        if fits:
            self.queue.append(feedback)
        return fits

    def put_marker(self) -> Marker:
        """A marker behind everything that was put so far."""
        marker = Marker()
        self.queue.append(marker)
        return marker

    def calls(self) -> list[Call]:
        """The calls that wait."""
        return [item for item in tuple(self.queue) if isinstance(item, Call)]
