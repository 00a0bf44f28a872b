"""Our spans as the official SDK's span objects, which the official exporters take.

No tracer provider takes part: its default limits would drop attributes. `OTEL_*` limits hold only where they are really set.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING

from tracer.export import names
from tracer.export.span import CLIENT, AttributeValue, SpanData
from tracer.settings import Settings, environment_value

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.util.types import Attributes

SCOPE_NAME = "tracer"
DISTRIBUTION = "chat-tracer"

_LENGTH_LIMITS = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
_COUNT_LIMITS = ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")


def readable_spans(settings: Settings) -> Callable[[SpanData], ReadableSpan]:
    """A function that makes the official span object of a span. Imports the SDK; to be called in the worker's thread."""
    # The one place in this file where the SDK is imported.
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
    from opentelemetry.trace.status import Status, StatusCode

    resource = resource_of(settings)
    scope = InstrumentationScope(SCOPE_NAME, version(), names.SCHEMA_URL)
    limited = _attribute_limits()
    sampled = TraceFlags(TraceFlags.SAMPLED)
    unset = Status(StatusCode.UNSET)

    def readable(span: SpanData) -> ReadableSpan:
        parent = span.parent_span_id
        return ReadableSpan(
            name=span.name,
            context=SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=sampled),
            parent=None if parent is None else SpanContext(span.trace_id, parent, is_remote=span.parent_is_remote, trace_flags=sampled),
            resource=resource,
            attributes=limited(span.attributes),
            events=[Event(event.name, event.attributes, event.time) for event in span.events],
            kind=SpanKind.CLIENT if span.kind == CLIENT else SpanKind.INTERNAL,
            status=unset if span.error is None else Status(StatusCode.ERROR, span.error or None),
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=scope,
        )

    return readable


def resource_of(settings: Settings) -> Resource:
    """The resource of our spans: the settings' names over what the SDK finds out about the process, and our distribution."""
    from opentelemetry.sdk.resources import Resource

    attributes = dict(settings.resource_attributes or {})
    if settings.service_name:
        attributes["service.name"] = settings.service_name
    attributes["telemetry.distro.name"] = DISTRIBUTION
    attributes["telemetry.distro.version"] = version()
    try:
        return Resource.create(attributes)
    except Exception:
        # Detectors named in the environment are foreign code.
        return Resource(attributes)


def version() -> str:
    """The installed version of this library; `0` where it runs without being installed."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "0"


def _attribute_limits() -> Callable[[dict[str, AttributeValue]], Attributes]:
    """Cuts attributes as `OTEL_*_LIMIT` asks; without such a variable nothing is copied or cut."""
    from opentelemetry.attributes import BoundedAttributes

    length, count = _limit(_LENGTH_LIMITS), _limit(_COUNT_LIMITS)
    if length is None and count is None:
        return dict[str, AttributeValue]

    def limited(attributes: dict[str, AttributeValue]) -> Attributes:
        return BoundedAttributes(maxlen=count, attributes=attributes, immutable=True, max_value_len=length)

    return limited


def _limit(variables: tuple[str, ...]) -> int | None:
    for name in variables:
        text = environment_value(name)
        if text is not None and text.isascii() and text.isdigit():
            return int(text)
    return None
