"""Where every record went: for each destination started = exported + sampled out + dropped (by reason) + open + queued + spooled."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.export.destination import Delivery


@dataclass(slots=True)
class Account(Delivery):
    """Counts of records for one destination."""

    @property
    def settled(self) -> int:
        """Records whose fate is known, or that are safe on disk."""
        return self.exported + self.sampled_out + self.spooled + sum(self.dropped.values())
