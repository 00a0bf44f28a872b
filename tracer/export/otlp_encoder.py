"""Requests to OTLP endpoints as bytes: encoded by hand, or by the official classes where the settings ask for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from tracer.export import names
from tracer.export.limits import span_limits_of
from tracer.export.notices import quiet, silence_exporters
from tracer.export.otlp_encoding import add_attributes, encoded_span, field, message
from tracer.export.resource import SCOPE_NAME, resource_attributes, version
from tracer.export.span import SpanData
from tracer.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

OFFICIAL = "official"

_LENGTH = 4


class Encoder(Protocol):
    """Writes spans, and the requests in which they travel."""

    def spans(self, spans: Sequence[SpanData]) -> bytes:
        """Spans as they stand inside of a `ScopeSpans` message."""
        ...

    @property
    def frame(self) -> bytes:
        """What stands around spans in every request: resource and instrumentation scope, for `framed`."""
        ...


def encoder_of(settings: Settings) -> Encoder:
    """The encoder that the settings ask for. The official one imports the OpenTelemetry SDK, 0.15 s in the worker's thread."""
    return OfficialEncoder(settings) if settings.otlp_encoder == OFFICIAL else OwnEncoder(settings)


def framed(frame: bytes, spans: Sequence[bytes]) -> bytes:
    """An `ExportTraceServiceRequest` of spans in the frame of an encoder.

    Messages of the same field may stand one after the other, so only two lengths are new.
    """
    scope = _LENGTH + int.from_bytes(frame[:_LENGTH], "big")
    return message(b"\x0a", frame[_LENGTH:scope], [message(b"\x12", frame[scope:], spans)])


class _Framed:
    def __init__(self, resource: bytes, scope: bytes) -> None:
        self._frame = len(resource).to_bytes(_LENGTH, "big") + resource + scope

    @property
    def frame(self) -> bytes:
        """Resource and instrumentation scope."""
        return self._frame


class OwnEncoder(_Framed):
    """By hand; loads nothing."""

    def __init__(self, settings: Settings) -> None:
        limits = span_limits_of(settings)
        self._limits = limits if limits.any else None
        parts: list[bytes] = []
        add_attributes(parts, b"\x0a", resource_attributes(settings))
        scope = field(b"\x0a", SCOPE_NAME.encode()) + field(b"\x12", version().encode())
        super().__init__(
            field(b"\x0a", b"".join(parts)),
            field(b"\x0a", scope) + field(b"\x1a", names.SCHEMA_URL.encode()),
        )

    def spans(self, spans: Sequence[SpanData]) -> bytes:
        """Spans as they stand inside of a `ScopeSpans` message."""
        limits = self._limits
        return b"".join([encoded_span(span, limits) for span in spans])


class OfficialEncoder(_Framed):
    """By the classes of `opentelemetry-proto` and `opentelemetry-sdk`."""

    def __init__(self, settings: Settings) -> None:
        # The one place in this file where they are imported.
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

        from tracer.export.readable import readable_spans

        self._readable: Callable[[SpanData], ReadableSpan] = readable_spans(settings)
        self._encode = encode_spans
        silence_exporters()
        nothing = SpanData("", "internal", 1, 1, None, False, 0, 0)
        (resource,) = encode_spans([self._readable(nothing)]).resource_spans
        (scope,) = resource.scope_spans
        del resource.scope_spans[:], scope.spans[:]
        super().__init__(resource.SerializeToString(), scope.SerializeToString())

    def spans(self, spans: Sequence[SpanData]) -> bytes:
        """Spans as they stand inside of a `ScopeSpans` message. Raises what the official classes raise."""
        with quiet():
            (resource,) = self._encode([self._readable(span) for span in spans]).resource_spans
        (scope,) = resource.scope_spans
        scope.ClearField("scope")
        scope.ClearField("schema_url")
        return scope.SerializeToString()
