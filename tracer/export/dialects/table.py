"""The dialects by their names in `TRACER_DIALECT`, and what they add to spans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tracer.export.dialects import langfuse, langsmith, phoenix, previous
from tracer.export.dialects.subject import Attributes, Subject
from tracer.export.span import SpanData
from tracer.reading.record import Record
from tracer.settings import Settings


@dataclass(frozen=True, slots=True)
class Dialect:
    """Pure functions from what is known of a call to further attributes of its own span, and of that of an attempt by its index."""

    of_call: Callable[[Subject], Attributes]
    of_attempt: Callable[[Subject, int], Attributes]


DIALECTS = {
    "previous": Dialect(previous.of_call, previous.of_attempt),
    "phoenix": Dialect(phoenix.of_call, phoenix.of_attempt),
    "langfuse": Dialect(langfuse.of_call, langfuse.of_attempt),
    "langsmith": Dialect(langsmith.of_call, langsmith.of_attempt),
}
"""All but `otel`, which is always there."""


def add_dialects(record: Record, spans: Sequence[SpanData], settings: Settings) -> None:
    """Add what the dialects of the settings say to the spans of a record. Attributes that are there already stay as they are."""
    subjects = [Subject(record, span, settings) for span in spans]
    for name in settings.dialects:
        dialect = DIALECTS[name]
        for index, (span, subject) in enumerate(zip(spans, subjects, strict=True)):
            added = dialect.of_call(subject) if index == 0 else dialect.of_attempt(subject, index - 1)
            span.attributes.update((key, value) for key, value in added.items() if key not in span.attributes)
