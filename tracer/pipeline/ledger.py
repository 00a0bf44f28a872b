"""Where every record went: for each destination started = exported + sampled out + dropped (by reason) + open + queued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tracer.export.destination import Delivery


@dataclass(slots=True)
class Account:
    """Counts of records for one destination."""

    exported: int = 0
    sampled_out: int = 0
    dropped: dict[str, int] = field(default_factory=dict[str, int])
    shortened: dict[str, int] = field(default_factory=dict[str, int])
    stopped: str = ""

    def add(self, delivery: Delivery) -> None:
        """Enter what became of some records."""
        self.exported += delivery.exported
        self.sampled_out += delivery.sampled_out
        self.stopped = delivery.stopped or self.stopped
        for reason, count in delivery.dropped.items():
            self.drop(reason, count)
        for reason, count in delivery.shortened.items():
            self.shortened[reason] = self.shortened.get(reason, 0) + count

    def drop(self, reason: str, count: int) -> None:
        """Count records that will not arrive."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    @property
    def settled(self) -> int:
        """Records whose fate is known."""
        return self.exported + self.sampled_out + sum(self.dropped.values())


@dataclass(slots=True)
class Books:
    """What the library knows of itself at one moment. `destinations` are the accounts of `tracer.status()`."""

    started: int = 0
    open: int = 0
    destinations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    faults: Mapping[str, int] = field(default_factory=dict[str, int])
