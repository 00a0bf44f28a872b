"""What a destination is to the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tracer.reading.record import Record


@dataclass(slots=True)
class Delivery:
    """What became of the records of one export, for the ledger: `exported` + the sum of `dropped` is the number handed in.

    Counts are of records, not of spans. `dropped` is by reason, e.g. `{"unreachable": 12}`.
    """

    exported: int = 0
    dropped: dict[str, int] = field(default_factory=dict[str, int])

    def drop(self, reason: str, count: int) -> None:
        """Count `count` records as lost for `reason`."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count


class Destination(Protocol):
    """Somewhere that records go. Used from one worker thread, except for `close`, which any thread may call.

    An object belongs to the process that made it; a forked child makes a new one.
    """

    name: str

    def export(self, records: Sequence[Record]) -> Delivery:
        """Deliver the records or say why not; never raises, whatever the records or the network do."""
        ...

    def close(self, timeout: float) -> None:
        """Give up what is under way, within `timeout` seconds at most. Later exports are refused."""
        ...
