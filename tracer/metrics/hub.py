"""Where metrics go: to the application's meter provider, if it has set one, otherwise to our own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from tracer.metrics.meters import Meters
from tracer.metrics.own import OwnProvider
from tracer.pipeline.ledger import Books
from tracer.reading.record import Record
from tracer.settings import V141, Settings

LOOK_INTERVAL = 1.0
"""Seconds between two looks at the books."""


class Metrics:
    """The metrics of a pipeline, in its process. `find_host` gives the application's provider or None, `read_books` what is known now.

    `record` and `look` are called by the worker; `flush` and `finish` by whoever waits.
    """

    def __init__(self, settings: Settings, find_host: Callable[[], object], read_books: Callable[[], Books], linked: bool) -> None:
        self._settings = settings
        self._find_host = find_host
        self._read_books = read_books
        self._linked = linked
        self._own: OwnProvider | None = None
        self._provider: Any = None
        self._meters: Meters | None = None
        self._next_look = 0.0

    def record(self, records: Sequence[Record]) -> None:
        """Measure records."""
        meters = self._current()
        if meters is not None:
            meters.record(records)

    def look(self) -> None:
        """Measure what the books say, from time to time."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_INTERVAL
            self.read_books()

    def read_books(self) -> None:
        """Measure what the books say now."""
        meters = self._current()
        if meters is not None:
            meters.read(self._read_books())

    def flush(self, deadline: float) -> bool:
        """Export what was recorded; False when that did not end by `deadline` (monotonic seconds). The application's own provider exports
        when it wants to."""
        self.read_books()
        return self._own is None or self._own.flush(deadline)

    def hurry(self, deadline: float) -> None:
        """The end is near: export what there is, while the records are still being sent."""
        if self._own is not None:
            self._own.ask(deadline)

    def finish(self, deadline: float) -> bool:
        """Export for the last time, and end what is ours."""
        done = self.flush(deadline)
        if self._own is not None:
            self._own.close()
        return done

    def leave(self) -> None:
        """In a forked child: let go of what belongs to the parent."""
        if self._own is not None:
            self._own.leave()

    def _current(self) -> Meters | None:
        provider = self._find_host() or self._provider_of_our_own()
        if provider is not self._provider:
            self._provider = provider
            version = self._settings.metrics_names or V141
            self._meters = None if provider is None else Meters(provider, version, self._linked)
        return self._meters

    def _provider_of_our_own(self) -> object:
        if self._own is None and self._settings.own_metrics:
            self._own = OwnProvider(self._settings, self.read_books)
        return None if self._own is None else self._own.provider
