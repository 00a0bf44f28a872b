"""When to try again: exponential waits with jitter, and what a server asks for with `Retry-After`, within reason."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between tries: `first` doubles up to `most`. A server's own wish counts up to `most_asked`."""

    first: float = 0.5
    most: float = 30.0
    most_asked: float = 300.0

    def wait(self, failures: int, asked: float | None) -> float:
        """Seconds to wait after `failures` failures in a row. Half of a wait of ours is random, so that processes spread out.

        >>> 2 <= Pace().wait(4, None) <= 4, Pace().wait(1, 7.0), Pace().wait(1, 9e9)
        (True, 7.0, 300.0)
        """
        if asked is not None:
            return min(max(asked, 0.0), self.most_asked)
        wait = min(self.first * 2.0 ** min(failures - 1, 32), self.most)
        return wait * (0.5 + random.random() / 2)  # noqa: S311  # no secret
