"""The ledger, open calls and faults as measurements: what has changed since the books were read last.

Differences are counted, not totals: a new ledger (`configure`, a forked child) begins at nothing, and no counter may go back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tracer.metrics import instruments as of
from tracer.metrics import labels
from tracer.metrics.instruments import COUNTER, Instrument
from tracer.metrics.labels import Labels
from tracer.metrics.measure import Measurement
from tracer.pipeline.ledger import Books

_FATES = ("exported", "sampled_out")
_PLACES = ("queued", "spooled")


class Changes:
    """Remembers what was told."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, tuple[Any, ...]], float] = {}

    def since_last(self, books: Books, overflows: int) -> Iterator[Measurement]:
        """For counters what came since the last time (at first also nothing, so that the series are there); for gauges what is."""
        for instrument, value, found in _measured(books, overflows):
            if instrument.kind != COUNTER:
                yield Measurement(instrument, value, found)
                continue
            key = (instrument.name, tuple(found.items()))
            told = self._told.get(key)
            if told is None or value > told:
                self._told[key] = value
                yield Measurement(instrument, value - (told or 0), found)


def _measured(books: Books, overflows: int) -> Iterator[tuple[Instrument, float, Labels]]:
    yield of.STARTED, books.started, {}
    yield of.OPEN, books.open, {}
    yield of.OVERFLOWS, overflows, {}
    for place, count in books.faults.items():
        yield of.FAULTS, count, {labels.PLACE: place}
    for name, account in books.destinations.items():
        yield from _destination({labels.DESTINATION: name}, account)


def _destination(whose: Labels, account: Mapping[str, Any]) -> Iterator[tuple[Instrument, float, Labels]]:
    for fate in _FATES:
        yield of.SETTLED, account.get(fate, 0), {**whose, labels.STATE: fate}
    for reason, count in account.get("dropped", {}).items():
        yield of.SETTLED, count, {**whose, labels.STATE: "dropped", labels.REASON: reason}
    for reason, count in account.get("shortened", {}).items():
        yield of.SHORTENED, count, {**whose, labels.REASON: reason}
    for place in _PLACES:
        if place in account:
            yield of.WAITING, account[place], {**whose, labels.STATE: place}
