"""What a destination is to the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tracer.factories import new_dict

if TYPE_CHECKING:
    from tracer.evaluation import Feedback
    from tracer.reading.record import Record


def add_count(counts: dict[str, int], reason: str, count: int) -> None:
    """Add to the counts by reason; one that counts nothing is not there."""
    if count:
        counts[reason] = counts.get(reason, 0) + count


@dataclass(slots=True)
class Delivery:
    """What became of records, for the ledger.

    Counts are of records, not of spans. `dropped` is by reason, e.g. `{"unreachable": 12}`; `shortened` counts records that lost
    contents on the way, by reason; `sampled_out` those that this destination's own sampling left out. Records of an export that are in
    none of them are under way. `spooled` is by how many more (or fewer) wait on disk; `recovered` counts records of earlier processes
    that arrived.
    """

    exported: int = 0
    dropped: dict[str, int] = field(default_factory=new_dict)
    shortened: dict[str, int] = field(default_factory=new_dict)
    sampled_out: int = 0
    spooled: int = 0
    recovered: int = 0
    stopped: str = ""
    """Why the destination takes nothing more until the settings change."""

    def add(self, other: Delivery) -> None:
        """Count what became of further records."""
        self.exported += other.exported
        self.sampled_out += other.sampled_out
        self.spooled += other.spooled
        self.recovered += other.recovered
        self.stopped = other.stopped or self.stopped
        for reason, count in other.dropped.items():
            self.drop(reason, count)
        for reason, count in other.shortened.items():
            self.shorten(reason, count)

    def drop(self, reason: str, count: int) -> None:
        """Count `count` records as lost for `reason`."""
        add_count(self.dropped, reason, count)

    def shorten(self, reason: str, count: int) -> None:
        """Count `count` records that lost contents for `reason`."""
        add_count(self.shortened, reason, count)


class Destination(Protocol):
    """Somewhere that records go. Used from one worker thread, except for `close`, which any thread may call.

    An object belongs to the process that made it; a forked child makes a new one.
    """

    name: str

    def export(self, records: Sequence[Record], /) -> Delivery:
        """Deliver the records, take them over to be delivered, or say why not; never raises, whatever the records or the network do."""
        ...

    def close(self, timeout: float) -> None:
        """Give up what is under way, within `timeout` seconds at most. Later exports are refused."""
        ...


class FeedbackDestination(Protocol):
    """The part of a destination that takes feedback. A destination that has one names it in an attribute `feedback`."""

    def export(self, feedback: Sequence[Feedback], /) -> Delivery:
        """As `Destination.export`; counts are of feedback."""
        ...

    def close(self, timeout: float) -> None:
        """As `Destination.close`, which comes after this."""
        ...


def part_for_feedback(destination: Destination) -> FeedbackDestination | None:
    """The part of a destination that takes feedback; None where it takes none."""
    return getattr(destination, "feedback", None)
