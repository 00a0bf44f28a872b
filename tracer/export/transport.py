"""What the delivery engine and a network destination say to each other: items that wait, and verdicts on batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tracer.call import Call
from tracer.export.destination import Delivery

ACCEPTED = "accepted"
RETRY = "retry"
REFUSED = "refused"
TOO_LARGE = "too large"
STOP = "stop"


@dataclass(slots=True, eq=False)
class Item:
    """One record encoded for one destination: the unit that waits, is shortened, split off and counted.

    `parts` are bytes under names of the destination's own; nothing else of an item says what it means, so that a store on disk can
    keep it. Items with the same `key` are delivered in the order in which they were put.
    """

    parts: dict[str, bytes]
    key: str = ""
    opens: bool = False
    """The beginning of something whose end will come as an item of the same key. It stands for no record."""
    follows: bool = False
    """The item that opened this key has been accepted, or is in front of this one in the same batch."""
    alone: bool = False
    """To be sent in a request of its own."""
    sent: bool = False
    """It was on its way at least once, and whether it arrived is not known."""
    shortened: bool = False
    """Contents were left out after it was encoded."""
    tries: int = 0
    """How often it failed although the destination accepted others meanwhile."""
    accepted_before: int = 0
    overhead: int = 256
    """Bytes that it takes beside its parts, in memory and in a request."""
    in_hand: bool = False
    number: int = 0
    frame: bytes = b""
    """What stands around it in a request where that is not this process's own: another process recorded it."""
    adopted: bool = False
    """An earlier process recorded it, and the ledger of this one does not know it."""
    kept: object | None = None
    """Where the spool has it; None while it is in memory only."""
    weight: int = field(init=False, default=0)
    """Bytes it takes."""

    def __post_init__(self) -> None:
        self.weigh()

    def weigh(self) -> None:
        """Set `weight` after `parts` have changed."""
        self.weight = self.overhead + sum(map(len, self.parts.values()))

    @property
    def records(self) -> int:
        """How many records of the ledger it stands for."""
        return 0 if self.opens or self.adopted else 1


@dataclass(slots=True)
class Packed:
    """Records as items, and what became at once of those that are none."""

    items: list[Item] = field(default_factory=list[Item])
    delivery: Delivery = field(default_factory=Delivery)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold. An item of more than `most_bytes` goes alone; `strict`: it is shortened to the limit first."""

    most_items: int
    most_bytes: int
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one request.

    `reason` is a word for the ledger, `text` the rest of a sentence that begins with the destination's `place`, `advice` a sentence
    with the fix. `after`: seconds that the destination asked to wait. `rejected`: records of an accepted batch that it did not take.
    `doubtful`: the failure may be about this very batch, or one item of it. `STOP`: nothing will be accepted until the settings change.
    """

    outcome: str
    reason: str = ""
    text: str = ""
    advice: str = ""
    after: float | None = None
    rejected: int = 0
    doubtful: bool = False


class Transport(Protocol):
    """The destination's half of delivery. `pack`, `open` and `shorten` run in the pipeline's worker, `shorten` also in the sender's
    thread, everything else in the sender's thread alone. It does not retry, wait or count."""

    name: str
    place: str
    """What it is and where, for people, without secrets: `OTLP endpoint http://localhost:4318/v1/traces`."""
    timeout: float
    """Seconds that one request may take."""

    @property
    def frame(self) -> bytes:
        """What stands around items in a request and belongs to the process that packed them; known once something was packed. Items in
        one request have the same."""
        ...

    def pack(self, records: Sequence[Any]) -> Packed:
        """What the transport is for, records or feedback, as items, in order. One that cannot be encoded costs none of its neighbours."""
        ...

    def open(self, calls: Sequence[Call], /) -> list[Item]:
        """Items that announce calls which are still running; none where the destination has no use for them."""
        ...

    def limits(self, timeout: float, /) -> Limits:
        """What one request may hold. May ask the destination, within `timeout` seconds."""
        ...

    def send(self, items: Sequence[Item], timeout: float) -> Verdict:
        """Send the items in one request, waiting at most `timeout` seconds for the answer. Never raises for what the network does."""
        ...

    def shorten(self, item: Item, limit: int) -> dict[str, bytes] | None:
        """The item's parts with so little content that it weighs `limit` bytes, as far as that goes, and a mark that something is
        missing; None when it has no content. `limit` 0: without any content."""
        ...

    def close(self) -> None:
        """Let go of connections. Any thread may call it; a request under way may fail."""
        ...
