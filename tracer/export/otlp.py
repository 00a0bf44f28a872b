"""OTLP: records as spans in the encoding of the official classes, to the endpoint and by the protocol of the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from tracer.export import names
from tracer.export.certificates import CLIENT, KEY, certificates_of
from tracer.export.content import CONTENT_NAMES
from tracer.export.endpoint import GRPC, basic_authorization, endpoint_of, protocol_of, without_secrets
from tracer.export.notices import Notices, quiet, silence_exporters, warn_once
from tracer.export.otlp_grpc import GrpcWire
from tracer.export.otlp_http import HttpWire
from tracer.export.readable import readable_spans, version
from tracer.export.shorten import shorten
from tracer.export.span import SpanData
from tracer.export.spans import spans_of
from tracer.export.transport import Item, Limits, Packed, Verdict
from tracer.reading.record import Record
from tracer.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span
    from opentelemetry.sdk.trace import ReadableSpan

    from tracer.call import Call

SPLIT = 4 * 1024 * 1024
"""Bytes of one request; a record that is larger alone travels alone."""

_SPANS = "spans"
_FRAME = 4096


class Wire(Protocol):
    """Carries requests to an endpoint by one protocol. Making one opens nothing."""

    def send(self, request: bytes, timeout: float) -> Verdict:
        """Send an `ExportTraceServiceRequest`, waiting at most `timeout` seconds, and say what became of it."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class _Encoder:
    """Spans to bytes, and what stands around them in every request."""

    readable: Callable[[SpanData], ReadableSpan]
    resource: bytes
    scope: bytes

    def request(self, spans: Sequence[bytes]) -> bytes:
        """An `ExportTraceServiceRequest`. Messages of the same field may stand one after the other, so only two lengths are new."""
        scope_spans = self.scope + b"".join(spans)
        resource_spans = self.resource + b"\x12" + _varint(len(scope_spans)) + scope_spans
        return b"\x0a" + _varint(len(resource_spans)) + resource_spans


class OtlpTransport:
    """Records as spans to an OTLP endpoint; each record is one span, and one more for each attempt of several.

    Making one imports and opens nothing: the official classes are imported with the first record, in the worker's thread. Everything
    is given explicitly, so that a bad value in the environment cannot make anything raise.
    """

    name = "otlp"

    def __init__(self, settings: Settings) -> None:
        self.endpoint = endpoint_of(settings)
        self.place = f"OTLP endpoint {without_secrets(self.endpoint)}"
        self.timeout = min(settings.otlp_timeout, settings.otlp_export_timeout / 1000 or settings.otlp_timeout)
        self._settings = settings
        self._notices = Notices()
        self._encoder: _Encoder | None = None
        self._wire = wire_of(settings, self.endpoint)

    def pack(self, records: Sequence[Record]) -> Packed:
        """One item for each record. The first call imports the official classes."""
        packed = Packed()
        with quiet():
            encoder = self._encoder = self._encoder or _encoder(self._settings)
            spans: list[list[ReadableSpan]] = []
            for record in records:
                try:
                    spans.append([encoder.readable(span) for span in spans_of(record, self._settings)])
                except Exception as error:
                    self._lose(packed, error)
            try:
                packed.items += map(_item, _encoded(spans))
            except Exception:
                for of_record in spans:
                    try:
                        packed.items += map(_item, _encoded([of_record]))
                    except Exception as error:
                        self._lose(packed, error)
        return packed

    def _lose(self, packed: Packed, error: Exception) -> None:
        packed.delivery.drop("unreadable", 1)
        self._notices.lost("unreadable", 1, f"a record could not be written as a span ({error!r})")

    def open(self, _calls: Sequence[Call], /) -> list[Item]:
        """OTLP has no spans that are not over."""
        return []

    def limits(self, _timeout: float, /) -> Limits:
        """Nothing to ask."""
        return Limits(self._settings.otlp_batch, SPLIT - _FRAME)

    def send(self, items: Sequence[Item], timeout: float) -> Verdict:
        """Send the items in one request."""
        assert self._encoder is not None
        return self._wire.send(self._encoder.request([item.parts[_SPANS] for item in items]), timeout)

    def shorten(self, item: Item, limit: int) -> dict[str, bytes] | None:
        """Cut inside the content attributes of the item's first span, or leave them out."""
        from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

        spans = ScopeSpans.FromString(item.parts[_SPANS])
        span = spans.spans[0]
        contents = {pair.key: pair.value.string_value.encode() for pair in span.attributes if pair.key in CONTENT_NAMES}
        if not contents:
            return None
        room = limit - item.weight + sum(map(len, contents.values()))
        _put_contents(span, contents, max(room, 0))
        return {_SPANS: spans.SerializeToString()}

    def close(self) -> None:
        """Let go of connections."""
        self._wire.close()


def _encoder(settings: Settings) -> _Encoder:
    # The marked place of lazy imports: the official classes, 0.15 s in the worker's thread.
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    silence_exporters()
    readable = readable_spans(settings)
    nothing = SpanData("", "internal", 1, 1, None, False, 0, 0)
    (frame,) = encode_spans([readable(nothing)]).resource_spans
    (scope,) = frame.scope_spans
    del frame.scope_spans[:], scope.spans[:]
    return _Encoder(readable, frame.SerializeToString(), scope.SerializeToString())


def _item(spans: bytes) -> Item:
    return Item({_SPANS: spans})


def _encoded(records: Sequence[Sequence[ReadableSpan]]) -> list[bytes]:
    """The spans of each record as they stand inside a `ScopeSpans` message."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

    if not records:
        return []
    (frame,) = encode_spans([span for spans in records for span in spans]).resource_spans
    (scope,) = frame.scope_spans
    ends = list(accumulate(map(len, records)))
    return [ScopeSpans(spans=scope.spans[end - len(spans) : end]).SerializeToString() for end, spans in zip(ends, records, strict=True)]


def _put_contents(span: Span, contents: Mapping[str, bytes], limit: int) -> None:
    """Put the shortened contents in place of the whole ones, and say that they are."""
    shortened = shorten(dict(contents), limit)
    kept = [pair for pair in span.attributes if pair.key not in contents]
    marked = any(pair.key == names.CONTENT_TRUNCATED for pair in kept)
    del span.attributes[:]
    span.attributes.extend(kept)
    for name, text in shortened.sections.items():
        span.attributes.add(key=name).value.string_value = text.decode()
    if shortened.cut and not marked:
        span.attributes.add(key=names.CONTENT_TRUNCATED).value.bool_value = True
        span.attributes.add(key=names.CONTENT_BYTES).value.int_value = shortened.original_bytes
        span.attributes.add(key=names.CONTENT_SHA256).value.string_value = shortened.original_sha256


def _varint(number: int) -> bytes:
    """A length as protobuf writes it: seven bits a byte, the lowest first.

    >>> _varint(300)
    b'\\xac\\x02'
    """
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def wire_of(settings: Settings, endpoint: str) -> Wire:
    """What carries requests to `endpoint`. Says in one line each which settings do not go together."""
    if settings.otlp_client_key and not settings.otlp_client_certificate:
        warn_once(f"{KEY}={settings.otlp_client_key!r} is not used: set {CLIENT} to the certificate that belongs to it.")
    headers = {**basic_authorization(endpoint), **(settings.otlp_headers or {})}
    agent, certificates, protocol = f"chat-tracer/{version()}", certificates_of(settings), protocol_of(settings)
    if protocol == GRPC:
        return GrpcWire(endpoint, agent, headers, settings.otlp_compression, certificates)
    return HttpWire(endpoint, protocol, {"user-agent": agent, **headers}, settings.otlp_compression, certificates)
