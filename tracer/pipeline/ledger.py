"""Where every record went: for each destination started = exported + sampled out + dropped (by reason) + open + queued."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Account:
    """Counts of records for one destination."""

    exported: int = 0
    dropped: dict[str, int] = field(default_factory=dict[str, int])

    def drop(self, reason: str, count: int) -> None:
        """Count records that will not arrive."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    @property
    def settled(self) -> int:
        """Records whose fate is known."""
        return self.exported + sum(self.dropped.values())
