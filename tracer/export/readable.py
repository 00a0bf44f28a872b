"""Our spans as the official SDK's span objects, which the official exporters take.

No tracer provider takes part: its default limits would drop attributes. `OTEL_*` limits hold only where they are really set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from tracer.export import names
from tracer.export.limits import Bounded, span_limits_of
from tracer.export.resource import SCOPE_NAME, resource_attributes, version
from tracer.export.span import CLIENT, SpanData
from tracer.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.util.types import Attributes


def readable_spans(settings: Settings) -> Callable[[SpanData], ReadableSpan]:
    """A function that makes the official span object of a span. Imports the SDK; to be called in the worker's thread."""
    # The one place in this file where the SDK is imported.
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
    from opentelemetry.trace.status import Status, StatusCode

    resource = Resource(resource_attributes(settings))
    scope = InstrumentationScope(SCOPE_NAME, version(), names.SCHEMA_URL)
    limited = _limited(settings)
    sampled = TraceFlags(TraceFlags.SAMPLED)
    unset = Status(StatusCode.UNSET)

    def readable(span: SpanData) -> ReadableSpan:
        parent = span.parent_span_id
        attributes, events = limited(span)
        return ReadableSpan(
            name=span.name,
            context=SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=sampled),
            parent=None if parent is None else SpanContext(span.trace_id, parent, is_remote=span.parent_is_remote, trace_flags=sampled),
            resource=resource,
            attributes=attributes,
            events=events,
            kind=SpanKind.CLIENT if span.kind == CLIENT else SpanKind.INTERNAL,
            status=unset if span.error is None else Status(StatusCode.ERROR, span.error or None),
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=scope,
        )

    return readable


def _limited(settings: Settings) -> Callable[[SpanData], tuple[Attributes, Sequence[Event]]]:
    """What goes of a span's attributes and events; nothing is copied or cut without a limit in the settings."""
    from opentelemetry.attributes import BoundedAttributes
    from opentelemetry.sdk.trace import Event
    from opentelemetry.sdk.util import BoundedList

    limits = span_limits_of(settings)

    def whole(span: SpanData) -> tuple[Attributes, Sequence[Event]]:
        return dict(span.attributes), [Event(event.name, event.attributes, event.time) for event in span.events]

    def limited(span: SpanData) -> tuple[Attributes, Sequence[Event]]:
        events = [Event(event.name, counted(limits.attributes_of_event(event.attributes)), event.time) for event in span.events]
        most = len(events) if limits.events is None else limits.events
        kept = cast("BoundedList[Event]", BoundedList(most))
        kept.extend(events[:most])
        kept.dropped = len(events) - len(kept)
        return counted(limits.attributes_of(span)), kept

    def counted(bounded: Bounded) -> Attributes:
        # The official class that carries the number of what was dropped.
        attributes = BoundedAttributes(attributes=bounded.kept)
        attributes.dropped = bounded.dropped
        return attributes

    return limited if limits.any else whole
