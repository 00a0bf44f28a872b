"""Events to the application's own logger provider, which exports them like the application's other logs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from tracer.evaluation import Feedback
from tracer.export import names
from tracer.export.destination import Delivery
from tracer.export.events import SEVERITIES, LogEvent, details_event_of, evaluation_event_of
from tracer.export.notices import Notices, no_place_for_events, warn_once
from tracer.export.otlp_logs import NO_EVENT
from tracer.export.resource import SCOPE_NAME, version
from tracer.reading.record import Record
from tracer.settings import Settings

NAME = "host-logs"
NOWHERE = "no logger provider"


class HostLogs:
    """Emits one event for each model call. `provider` gives the application's provider, or None while there is none."""

    name = NAME

    def __init__(self, settings: Settings, provider: Callable[[], object]) -> None:
        self.feedback = HostEvaluations(settings, provider)
        self._settings = settings
        self._provider = provider
        self._notices = Notices()

    def export(self, records: Sequence[Record]) -> Delivery:
        """Emit the events of the records."""
        delivery = Delivery()
        provider = self._provider()
        for record in records:
            try:
                event = details_event_of(record, self._settings)
                if event is None:
                    delivery.drop(NO_EVENT, 1)
                elif provider is None:
                    warn_once(no_place_for_events(self._settings))
                    delivery.drop(NOWHERE, 1)
                else:
                    emit(provider, event)
                    delivery.exported += 1
            except Exception as error:
                delivery.drop("error", 1)
                self._notices.lost("error", 1, f"an event could not be handed to the application's logger provider ({error!r})")
        return delivery

    def close(self, timeout: float) -> None:
        """The provider is the application's, and closed by it."""


class HostEvaluations:
    """Emits one event for each judgement (`tracer.feedback`)."""

    def __init__(self, settings: Settings, provider: Callable[[], object]) -> None:
        self._settings = settings
        self._provider = provider
        self._notices = Notices()

    def export(self, given: Sequence[Feedback]) -> Delivery:
        """Emit the events."""
        delivery = Delivery()
        provider = self._provider()
        for feedback in given:
            try:
                if provider is None:
                    warn_once(no_place_for_events(self._settings))
                    delivery.drop(NOWHERE, 1)
                else:
                    emit(provider, evaluation_event_of(feedback))
                    delivery.exported += 1
            except Exception as error:
                delivery.drop("error", 1)
                self._notices.lost("error", 1, f"feedback could not be handed to the application's logger provider ({error!r})")
        return delivery

    def close(self, timeout: float) -> None:
        """The provider is the application's, and closed by it."""


def emit(provider: object, event: LogEvent) -> None:
    """Hand an event to a logger provider, in the context of the span that it belongs to."""
    # The one place in this file where OpenTelemetry is imported: who has a provider has loaded it.
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    flags = TraceFlags(TraceFlags.SAMPLED if event.sampled else TraceFlags.DEFAULT)
    context = Context()
    if event.trace_id and event.span_id:
        context = set_span_in_context(NonRecordingSpan(SpanContext(event.trace_id, event.span_id, False, flags)), context)
    logger = cast("Any", provider).get_logger(SCOPE_NAME, version(), schema_url=names.SCHEMA_URL)
    logger.emit(
        LogRecord(
            timestamp=event.time,
            observed_timestamp=time.time_ns(),
            context=context,
            severity_number=SeverityNumber(event.severity),
            severity_text=SEVERITIES[event.severity],
            attributes=cast("Any", event.attributes),
            event_name=event.name,
        )
    )
