"""The metrics of a pipeline: made and fed by its worker, and only where there is somewhere for them to go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from tracer.runtime import has_meters, report_fault
from tracer.settings import Settings

if TYPE_CHECKING:
    from tracer.reading.record import Record


class Metrics(Protocol):
    """What is asked of the room of metrics (`tracer.metrics.hub`)."""

    def record(self, records: Sequence[Record]) -> None: ...

    def look(self) -> None: ...

    def flush(self, deadline: float) -> bool: ...

    def hurry(self, deadline: float) -> None: ...

    def finish(self, deadline: float) -> bool: ...

    def leave(self) -> None: ...


class Metering:
    """Stands between the pipeline and the room of metrics, which is loaded with the first thing to measure. Faults end here."""

    def __init__(self, settings: Settings, make: Callable[[], Metrics]) -> None:
        self._own = bool(settings.own_metrics)
        self._make = make
        self._metrics: Metrics | None = None

    @property
    def on(self) -> bool:
        """Whether calls are measured now, the unsampled ones too."""
        return self._own or has_meters()

    def begin(self) -> None:
        """Open what is to be there before the first call: the port for scraping, and series that say 0."""
        if self.on:
            self._guarded(lambda metrics: metrics.look())

    def record(self, records: Sequence[Record]) -> None:
        """Measure records."""
        if records:
            self._guarded(lambda metrics: metrics.record(records))

    def look(self) -> None:
        """Measure what the books say, from time to time."""
        if self._metrics is not None:
            self._guarded(lambda metrics: metrics.look())

    def flush(self, deadline: float) -> bool:
        """Export what was recorded; False when that did not end by `deadline` (monotonic seconds)."""
        return self._metrics is None or self._guarded(lambda metrics: metrics.flush(deadline))

    def hurry(self, deadline: float) -> None:
        """The end is near: export what there is, without waiting for it."""
        if self._metrics is not None:
            self._guarded(lambda metrics: metrics.hurry(deadline))

    def finish(self, deadline: float) -> bool:
        """Export for the last time."""
        return self._metrics is None or self._guarded(lambda metrics: metrics.finish(deadline))

    def leave(self) -> None:
        """In a forked child: let go of what belongs to the parent."""
        if self._metrics is not None:
            self._guarded(lambda metrics: metrics.leave())

    def _guarded(self, action: Callable[[Metrics], bool | None]) -> bool:
        try:
            if self._metrics is None:
                self._metrics = self._make()
            return action(self._metrics) is not False
        except Exception as fault:
            if not report_fault("metrics", fault):
                raise
            return False
