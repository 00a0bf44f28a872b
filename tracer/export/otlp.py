"""OTLP over HTTP: `http/protobuf` to the endpoint of the settings, encoded by the official classes."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from tracer.export import names
from tracer.export.content import CONTENT_NAMES
from tracer.export.http import Answer, Http, judge, judge_error
from tracer.export.notices import Notices, logger, quiet, silence_exporters
from tracer.export.readable import readable_spans, version
from tracer.export.shorten import shorten
from tracer.export.span import SpanData
from tracer.export.spans import spans_of
from tracer.export.texts import shorten_text
from tracer.export.transport import ACCEPTED, Item, Limits, Packed, Verdict
from tracer.reading.record import Record
from tracer.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span
    from opentelemetry.sdk.trace import ReadableSpan

    from tracer.call import Call

SPLIT = 4 * 1024 * 1024
"""Bytes of one request; a record that is larger alone travels alone."""

MOST_RECORDS = 512

DEFAULT_ENDPOINT = "http://localhost:4318"
TRACES_PATH = "v1/traces"
GRPC_PORT = 4317

_SPANS = "spans"
_FRAME = 4096
_EXPLANATION = 200
_UNREACHABLE = "Set OTEL_EXPORTER_OTLP_ENDPOINT or start a collector."
_ADVICE = {
    401: "Check OTEL_EXPORTER_OTLP_HEADERS. Nothing more is sent there until the settings change.",
    403: "Check OTEL_EXPORTER_OTLP_HEADERS. Nothing more is sent there until the settings change.",
    404: "Check the path of the endpoint.",
}

_COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": lambda body: gzip.compress(body, 6), "deflate": zlib.compress}


@dataclass(frozen=True, slots=True)
class _Encoder:
    """Spans to bytes, and what stands around them in every request."""

    readable: Callable[[SpanData], ReadableSpan]
    resource: bytes
    scope: bytes

    @property
    def frame(self) -> bytes:
        """Resource and scope in one."""
        return len(self.resource).to_bytes(4, "big") + self.resource + self.scope


def _request(frame: bytes, spans: Sequence[bytes]) -> bytes:
    """An `ExportTraceServiceRequest`. Messages of the same field may stand one after the other, so only two lengths are new."""
    scope = 4 + int.from_bytes(frame[:4], "big")
    scope_spans = frame[scope:] + b"".join(spans)
    resource_spans = frame[4:scope] + b"\x12" + _varint(len(scope_spans)) + scope_spans
    return b"\x0a" + _varint(len(resource_spans)) + resource_spans


class OtlpTransport:
    """Records as spans to an OTLP endpoint; each record is one span, and one more for each attempt of several.

    Making one imports and opens nothing: the official classes are imported with the first record, in the worker's thread. Everything
    is given explicitly, so that a bad value in the environment cannot make anything raise.
    """

    name = "otlp"

    def __init__(self, settings: Settings) -> None:
        self.endpoint = endpoint_of(settings)
        shown = without_secrets(self.endpoint)
        self.place = f"OTLP endpoint {shown}"
        self.timeout = settings.otlp_timeout
        self._settings = settings
        self._notices = Notices()
        self._encoder: _Encoder | None = None
        certificate, key = settings.otlp_client_certificate, settings.otlp_client_key
        self._http = Http(
            {
                "user-agent": f"chat-tracer/{version()}",
                **(settings.otlp_headers or {}),
                "content-type": "application/x-protobuf",
                **({} if settings.otlp_compression == "none" else {"content-encoding": settings.otlp_compression}),
            },
            settings.otlp_certificate,
            (certificate, key) if certificate and key else certificate,
        )
        self._compress = _COMPRESS.get(settings.otlp_compression, bytes)
        _say_protocol(settings, self.endpoint, shown)

    @property
    def frame(self) -> bytes:
        """Resource and instrumentation scope."""
        return self._encoder.frame if self._encoder is not None else b""

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
        return Limits(MOST_RECORDS, SPLIT - _FRAME)

    def send(self, items: Sequence[Item], timeout: float) -> Verdict:
        """POST the items."""
        frame = items[0].frame or self.frame
        body = self._compress(_request(frame, [item.parts[_SPANS] for item in items]))
        try:
            answer = self._http.request("POST", self.endpoint, timeout, body)
        except Exception as error:
            return judge_error(error, timeout, _UNREACHABLE)
        if not answer.ok:
            return judge(answer, "the spans", _ADVICE)
        rejected, why = _partial_success(answer)
        return Verdict(ACCEPTED, "rejected", f"rejected {rejected} spans ({why or 'without a reason'})", rejected=rejected)

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
        self._http.close()


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


def _partial_success(answer: Answer) -> tuple[int, str]:
    """How many spans an endpoint that accepted the request did not take, and why."""
    if not answer.body or "protobuf" not in answer.headers.get("content-type", ""):
        return 0, ""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
    except Exception:
        return 0, ""
    return max(partial.rejected_spans, 0), shorten_text(partial.error_message, _EXPLANATION)


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


def _say_protocol(settings: Settings, endpoint: str, shown: str) -> None:
    asked = settings.otlp_protocol
    if asked not in (None, "http/protobuf"):
        _warn_once(f"OTLP protocol {asked} is not supported yet; using http/protobuf to {shown}.")
    elif asked is None and urlsplit(endpoint).port == GRPC_PORT:
        _warn_once(f"port {GRPC_PORT} is the one for gRPC, but http/protobuf is sent to {shown}; its port is mostly 4318.")


_warned: set[str] = set()


def _warn_once(text: str) -> None:
    """Log a line the first time it comes up in this process, however often destinations are made."""
    if text not in _warned:
        _warned.add(text)
        logger.warning("tracer: %s", text)


def endpoint_of(settings: Settings) -> str:
    """The URL for traces: the traces endpoint as it is, else the general one with `/v1/traces`, else localhost.

    >>> endpoint_of(Settings(otlp_endpoint="http://collector:4318/"))
    'http://collector:4318/v1/traces'
    """
    if settings.otlp_traces_endpoint:
        return _with_scheme(settings.otlp_traces_endpoint)
    return f"{_with_scheme(settings.otlp_endpoint or DEFAULT_ENDPOINT).rstrip('/')}/{TRACES_PATH}"


def without_secrets(url: str) -> str:
    """The URL as it may be logged: without user, password, query and fragment.

    >>> without_secrets("https://me:key@collector:4318/v1/traces?token=x")
    'https://collector:4318/v1/traces'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _with_scheme(endpoint: str) -> str:
    # The settings also allow host:port, the form that is common for gRPC.
    return endpoint if "://" in endpoint else f"http://{endpoint}"
