"""A meter provider of our own, and the thread that exports from it at intervals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from time import sleep
from typing import TYPE_CHECKING, Any, Protocol

from tracer.export.notices import logger, quiet
from tracer.export.resource import resource_attributes
from tracer.runtime import report_fault
from tracer.scope import EMPTY, enter, leave
from tracer.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader
    from opentelemetry.sdk.resources import Resource

    from tracer.metrics.scrape import Scrape

_MOMENT = 0.002
"""Seconds. Prometheus keeps milliseconds: a counter that begins and is read within the same one would show no increase."""


class Outlet(Protocol):
    """Somewhere that collected metrics are pushed to."""

    def push(self, data: Any, timeout: float, /) -> bool:
        """Send within `timeout` seconds; False if it did not arrive."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class OwnProvider:
    """`provider` is the meter provider; `prepare` is called before each export, in the exporting thread.

    Made in the worker's thread. It never becomes the global provider.
    """

    def __init__(self, settings: Settings, prepare: Callable[[], None]) -> None:
        from opentelemetry.sdk.metrics import MeterProvider

        self._prepare = prepare
        self._interval = settings.metrics_interval / 1000
        self._timeout = settings.metrics_timeout / 1000
        self._scrape: Scrape | None = None
        self._outlets: list[tuple[InMemoryMetricReader, Outlet]] = []
        readers: list[MetricReader] = []
        for name in settings.own_metrics:
            try:
                readers.append(self._reader(name, settings))
            except Exception as error:
                logger.warning("tracer: metrics are not exported to %s: %s", name, error)
        self.provider = MeterProvider(readers, _resource(settings), _exemplar_filter(settings), shutdown_on_exit=False)
        self._changed = threading.Condition()
        self._asked = 0
        self._done = 0
        self._closed = False
        self._deadline: float | None = None
        self._exporting = threading.Lock()
        self._thread = self._start() if self._outlets else None

    def _reader(self, name: str, settings: Settings) -> MetricReader:
        # The marked place of lazy imports: each exporter only where it is asked for.
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader

        if name == "prometheus":
            from tracer.metrics.scrape import Scrape

            self._scrape = Scrape(settings)
            return self._scrape.reader
        if name == "console":
            from tracer.metrics.console import ConsoleOutlet

            reader = InMemoryMetricReader()
            self._outlets.append((reader, ConsoleOutlet()))
            return reader
        from tracer.metrics.otlp import OtlpOutlet, preferences

        reader = InMemoryMetricReader(*preferences(settings))
        self._outlets.append((reader, OtlpOutlet(settings)))
        return reader

    def _start(self) -> threading.Thread | None:
        thread = threading.Thread(target=self._work, name="tracer metrics", daemon=True)
        scope = enter(EMPTY)  # Threads inherit the scope; this one outlives that of whoever starts it.
        try:
            thread.start()
        except RuntimeError:
            return None  # The interpreter is shutting down; `flush` exports from the thread that calls it.
        finally:
            leave(scope)
        return thread

    def flush(self, deadline: float) -> bool:
        """Export what there is; False when it did not arrive by `deadline` (monotonic seconds)."""
        if not self._outlets:
            return True
        if self._thread is None:
            self._deadline = deadline
            return self._export()
        mine = self.ask(deadline)
        with self._changed:
            self._changed.wait_for(lambda: self._done >= mine, max(0.0, deadline - time.monotonic()))
            return self._done >= mine and self._arrived

    def ask(self, deadline: float) -> int:
        """Have an export made soon, without waiting for it; gives its number."""
        with self._changed:
            self._asked += 1
            self._deadline = deadline
            self._changed.notify_all()
            return self._asked

    def close(self) -> None:
        """Export nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._scrape is not None:
            self._scrape.close()

    def leave(self) -> None:
        """In a forked child: the port is the parent's."""
        if self._scrape is not None:
            self._scrape.leave()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._asked > self._done, self._interval)
                if self._closed:
                    break
                upto = self._asked
            arrived = self._export()
            with self._changed:
                self._done = max(self._done, upto)
                self._arrived = arrived
                self._changed.notify_all()
        for _, outlet in self._outlets:
            outlet.close()

    _arrived = True

    def _export(self) -> bool:
        arrived = True
        with self._exporting, quiet():
            try:
                self._prepare()
                sleep(_MOMENT)
                for reader, outlet in self._outlets:
                    arrived = outlet.push(reader.get_metrics_data(), self._time_left()) and arrived
            except Exception as fault:
                arrived = False
                report_fault("exporting metrics", fault)
        return arrived

    def _time_left(self) -> float:
        deadline = self._deadline
        left = self._timeout if deadline is None else deadline - time.monotonic()
        return self._timeout if left <= 0 else min(self._timeout, left)


def _resource(settings: Settings) -> Resource:
    """That of the spans."""
    from opentelemetry.sdk.resources import Resource

    return Resource(resource_attributes(settings))


def _exemplar_filter(settings: Settings) -> Any:
    from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, AlwaysOnExemplarFilter, TraceBasedExemplarFilter

    filters = {"always_on": AlwaysOnExemplarFilter, "always_off": AlwaysOffExemplarFilter}
    return filters.get(settings.metrics_exemplars, TraceBasedExemplarFilter)()
