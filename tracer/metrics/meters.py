"""What is measured, given to the instruments of a meter provider: the application's or our own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracer.call import Call
from tracer.export import names
from tracer.export.readable import SCOPE_NAME, version
from tracer.metrics.account import Changes
from tracer.metrics.instruments import COUNTER, HISTOGRAM, Instrument
from tracer.metrics.labels import Labels, Limit
from tracer.metrics.measure import Measurement, measure
from tracer.pipeline.ledger import Books
from tracer.reading.record import Record

if TYPE_CHECKING:
    from opentelemetry.context.context import Context

_SCHEMA_URLS = {"v0.1": names.SCHEMA_URL, "v1.41": "https://opentelemetry.io/schemas/1.41.0"}


class Meters:
    """The instruments of one provider. `names_version` is that of the conventions; `linked`: the traces of the calls are kept somewhere.

    Used by the worker, and by whoever reads the books at the end; hence the lock.
    """

    def __init__(self, provider: Any, names_version: str, linked: bool) -> None:
        self._meter = provider.get_meter(SCOPE_NAME, version(), schema_url=_SCHEMA_URLS.get(names_version))
        self._version = names_version
        self._linked = linked
        self._limit = Limit()
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._changes = Changes()

    def record(self, records: Sequence[Record]) -> None:
        """Measure records. Histograms get each value; counters, of which only the sum is seen, one for the whole batch."""
        sums: dict[tuple[str, tuple[Any, ...]], _Sum] = {}
        with self._lock:
            for record in records:
                context = _context_of(record.call, self._linked)
                for measurement in measure(record, self._version):
                    if measurement.instrument.kind == HISTOGRAM:
                        labels = self._limit.admit(measurement.instrument.name, measurement.labels)
                        self._of(measurement.instrument).record(measurement.value, labels, context)
                    else:
                        self._add_up(sums, measurement, context)
            for total in sums.values():
                self._of(total.instrument).add(total.value, total.labels, total.context)

    def _add_up(self, sums: dict[tuple[str, tuple[Any, ...]], _Sum], measurement: Measurement, context: Context) -> None:
        instrument = measurement.instrument
        labels = self._limit.admit(instrument.name, measurement.labels)
        key = (instrument.name, tuple(labels.items()))
        known = sums.get(key)
        if known is None:
            sums[key] = _Sum(instrument, measurement.value, labels, context)
        else:
            known.value += measurement.value
            known.context = context

    def read(self, books: Books) -> None:
        """Tell what has changed in the books since they were read last: the ledger, open calls, faults."""
        nowhere = _nowhere()
        with self._lock:
            for measurement in self._changes.since_last(books, self._limit.overflows):
                add = getattr(self._of(measurement.instrument), "add" if measurement.instrument.kind == COUNTER else "set")
                add(measurement.value, measurement.labels, nowhere)

    def _of(self, instrument: Instrument) -> Any:
        made = self._made.get(instrument.name)
        if made is None:
            made = self._made[instrument.name] = self._make(instrument)
        return made

    def _make(self, instrument: Instrument) -> Any:
        name, unit, description = instrument.name, instrument.unit, instrument.description
        if instrument.kind == HISTOGRAM:
            return self._meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=list(instrument.buckets))
        make = self._meter.create_counter if instrument.kind == COUNTER else self._meter.create_gauge
        return make(name, unit, description)


class _Sum:
    """What a batch adds to one series of a counter; its exemplar is the last call of the batch."""

    __slots__ = ("context", "instrument", "labels", "value")

    def __init__(self, instrument: Instrument, value: float, labels: Labels, context: Context) -> None:
        self.instrument = instrument
        self.value = value
        self.labels = labels
        self.context = context


def _context_of(call: Call, linked: bool) -> Context:
    """The context in which the call's span is current: what the SDK makes of it is the exemplar."""
    # The marked place of lazy imports: the API, which the provider has loaded.
    from opentelemetry.context.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if not (call.sampled and (linked or call.host is not None)):
        return Context()
    span = SpanContext(call.trace_id, call.span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(span), Context())


def _nowhere() -> Context:
    from opentelemetry.context.context import Context

    return Context()
