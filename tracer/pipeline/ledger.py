"""Where every record went: for each destination started = exported + sampled out + dropped (by reason) + open + queued + spooled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tracer.export.destination import Delivery

SHUT_DOWN = "shut down"
"""Why a record, or feedback, that came after the end was dropped."""


@dataclass(slots=True)
class Account(Delivery):
    """Counts of records for one destination."""

    @property
    def settled(self) -> int:
        """Records whose fate is known, or that are safe on disk."""
        return self.exported + self.sampled_out + self.spooled + sum(self.dropped.values())


@dataclass(slots=True)
class Books:
    """What the library knows of itself at one moment. `destinations` are the accounts of `tracer.status()`."""

    started: int = 0
    open: int = 0
    destinations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    faults: Mapping[str, int] = field(default_factory=dict[str, int])
