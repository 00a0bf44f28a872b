"""OTLP: records as spans, to the endpoint and by the protocol of the settings."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from tracer.export import names
from tracer.export.backend_spans import backend_spans_of
from tracer.export.certificates import CLIENT, KEY, certificates_of
from tracer.export.content import CONTENT_NAMES
from tracer.export.dialects.copies import copies_in
from tracer.export.endpoint import GRPC, TRACES, Signal, basic_authorization, endpoint_of, protocol_of, without_secrets
from tracer.export.limits import TraceSizes, backend_limits_of
from tracer.export.notices import Notices, warn_once
from tracer.export.otlp_encoder import Encoder, encoder_of, framed
from tracer.export.otlp_grpc import GrpcWire
from tracer.export.otlp_http import HttpWire
from tracer.export.resource import version
from tracer.export.shorten import shorten
from tracer.export.transport import Item, Limits, Packed, Verdict
from tracer.reading.record import Record
from tracer.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tracer.call import Call

SPLIT = 4 * 1024 * 1024
"""Bytes of one request; a record that is larger alone travels alone."""

_SPANS = "spans"
_FRAME = 4096
_TRACE_TOO_LARGE = "trace too large"


class Wire(Protocol):
    """Carries requests to an endpoint by one protocol. Making one opens nothing."""

    def send(self, request: bytes, timeout: float) -> Verdict:
        """Send an export request, waiting at most `timeout` seconds, and say what became of it."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class OtlpTransport:
    """Records as spans to an OTLP endpoint; each record is one span, and one more for each attempt of several.

    Making one imports and opens nothing. Everything is given explicitly, so that a bad value in the environment cannot make anything
    raise.
    """

    name = "otlp"

    def __init__(self, settings: Settings) -> None:
        self.endpoint = endpoint_of(settings)
        self.place = f"OTLP endpoint {without_secrets(self.endpoint)}"
        self.timeout = min(settings.otlp_timeout, settings.otlp_export_timeout / 1000 or settings.otlp_timeout)
        self._settings = settings
        self._notices = Notices()
        self._encoder: Encoder | None = None
        self._wire = wire_of(settings, self.endpoint)
        limits = backend_limits_of(settings, self.name)
        self._traces = TraceSizes(limits.trace)
        self._limits = Limits(settings.otlp_batch, (limits.request or SPLIT) - _FRAME, strict=limits.request is not None)

    @property
    def frame(self) -> bytes:
        """Resource and instrumentation scope."""
        return self._encoder.frame if self._encoder is not None else b""

    def pack(self, records: Sequence[Record]) -> Packed:
        """One item for each record."""
        packed = Packed()
        encoder = self._encoding()
        for record in records:
            try:
                item = Item({_SPANS: encoder.spans(backend_spans_of(record, self._settings))})
                self._fit_into_trace(item, record.call.trace_id, packed)
                packed.items.append(item)
            except Exception as error:
                self._lose(packed, error)
        return packed

    def _fit_into_trace(self, item: Item, trace_id: int, packed: Packed) -> None:
        """Leave out contents for which the backend has no room in this trace: it would drop the whole span."""
        if self._traces.has_room(trace_id, item.weight):
            return
        parts = self.shorten(item, 0)
        if parts is not None:
            item.parts = parts
            item.weigh()
            packed.delivery.shorten(_TRACE_TOO_LARGE, 1)

    def _encoding(self) -> Encoder:
        if self._encoder is None:
            self._encoder = encoder_of(self._settings)
        return self._encoder

    def _lose(self, packed: Packed, error: Exception) -> None:
        packed.delivery.drop("unreadable", 1)
        self._notices.lost("unreadable", 1, f"a record could not be written as a span ({error!r})")

    def open(self, _calls: Sequence[Call], /) -> list[Item]:
        """OTLP has no spans that are not over."""
        return []

    def limits(self, _timeout: float, /) -> Limits:
        """Nothing to ask."""
        return self._limits

    def send(self, items: Sequence[Item], timeout: float) -> Verdict:
        """Send the items in one request."""
        frame = items[0].frame or self.frame
        return self._wire.send(framed(frame, [item.parts[_SPANS] for item in items]), timeout)

    def shorten(self, item: Item, limit: int) -> dict[str, bytes] | None:
        """Cut inside the content attributes of the item's first span, or leave them out."""
        from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

        spans = ScopeSpans.FromString(item.parts[_SPANS])
        span = spans.spans[0]
        texts = {pair.key: pair.value.string_value for pair in span.attributes}
        copies = copies_in(texts)
        if copies:
            # What a dialect repeats goes first.
            _leave_out(span, copies)
            if item.overhead + spans.ByteSize() <= limit:
                return {_SPANS: spans.SerializeToString()}
        contents = {name: text.encode() for name, text in texts.items() if name in CONTENT_NAMES and name not in copies}
        if not contents:
            return {_SPANS: spans.SerializeToString()} if copies else None
        room = limit - item.overhead - spans.ByteSize() + sum(map(len, contents.values()))
        _put_contents(span, contents, max(room, 0))
        return {_SPANS: spans.SerializeToString()}

    def close(self) -> None:
        """Let go of connections."""
        self._wire.close()


def _leave_out(span: Span, left_out: Container[str]) -> None:
    kept = [pair for pair in span.attributes if pair.key not in left_out]
    del span.attributes[:]
    span.attributes.extend(kept)


def _put_contents(span: Span, contents: Mapping[str, bytes], limit: int) -> None:
    """Put the shortened contents in place of the whole ones, and say that they are."""
    shortened = shorten(dict(contents), limit)
    _leave_out(span, contents)
    marked = any(pair.key == names.CONTENT_TRUNCATED for pair in span.attributes)
    for name, text in shortened.sections.items():
        span.attributes.add(key=name).value.string_value = text.decode()
    if shortened.cut and not marked:
        span.attributes.add(key=names.CONTENT_TRUNCATED).value.bool_value = True
        span.attributes.add(key=names.CONTENT_BYTES).value.int_value = shortened.original_bytes
        span.attributes.add(key=names.CONTENT_SHA256).value.string_value = shortened.original_sha256


def wire_of(settings: Settings, endpoint: str, signal: Signal = TRACES) -> Wire:
    """What carries requests to `endpoint`. Says in one line each which settings do not go together."""
    if settings.otlp_client_key and not settings.otlp_client_certificate:
        warn_once(f"{KEY}={settings.otlp_client_key!r} is not used: set {CLIENT} to the certificate that belongs to it.")
    headers = {**basic_authorization(endpoint), **settings.otlp_headers}
    agent, certificates, protocol = f"chat-tracer/{version()}", certificates_of(settings), protocol_of(settings)
    if protocol == GRPC:
        return GrpcWire(endpoint, agent, headers, settings.otlp_compression, certificates, signal)
    return HttpWire(endpoint, protocol, {"user-agent": agent, **headers}, settings.otlp_compression, certificates, signal)
