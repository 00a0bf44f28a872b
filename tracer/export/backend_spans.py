"""The spans of a record as OpenTelemetry backends get them: with what dialects add, and without content that goes into events only."""

from __future__ import annotations

from tracer.export.span import SpanData
from tracer.export.spans import spans_of
from tracer.reading.record import Record
from tracer.settings import Settings


def backend_spans_of(record: Record, settings: Settings) -> list[SpanData]:
    """The spans of one record, the call's own first. The local store has no use for further names, and takes `spans_of`."""
    spans = spans_of(record, settings, content=settings.content_on_spans)
    if settings.dialects:
        # The marked place of a lazy import: who asks for no dialect loads none.
        from tracer.export.dialects.table import add_dialects

        add_dialects(record, spans, settings)
    return spans
