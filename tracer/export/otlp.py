"""OTLP over HTTP with the official exporter: `http/protobuf` to the endpoint of the settings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from tracer.export.destination import Delivery
from tracer.export.notices import Notices, logger, quiet, silence_exporters
from tracer.export.readable import readable_spans
from tracer.export.span import SpanData
from tracer.export.spans import spans_of
from tracer.export.wire import Reply, describe, recording_session
from tracer.reading.record import Record
from tracer.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import ReadableSpan

SPLIT = 4 * 1024 * 1024
"""Bytes of attribute text in one request; a record that is larger alone travels alone."""

DEFAULT_ENDPOINT = "http://localhost:4318"
TRACES_PATH = "v1/traces"
GRPC_PORT = 4317

# A span's ids, times and name, and the names of its attributes, weigh about this much beside its texts.
_SPAN_WEIGHT = 512
_ATTRIBUTE_WEIGHT = 48


@dataclass(slots=True)
class _Batch:
    """Records that go out in one request."""

    spans: list[SpanData]
    records: int
    weight: int


class OtlpDestination:
    """Sends records to an OTLP endpoint as spans; each record is one span, and one more for each attempt of several.

    Making one imports and opens nothing: the official exporter is built at the first export, in the worker's thread. Everything
    is given to it explicitly, so that a bad value in the environment cannot make it raise. After a fork the child makes a new one.
    """

    name = "otlp"

    def __init__(self, settings: Settings) -> None:
        self.endpoint = endpoint_of(settings)
        self._shown = without_secrets(self.endpoint)
        self._settings = settings
        self._notices = Notices()
        self._exporter: OTLPSpanExporter | None = None
        self._readable: Callable[[SpanData], ReadableSpan] | None = None
        self._reply = Reply()
        self._closed = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._say_protocol()

    def export(self, records: Sequence[Record]) -> Delivery:
        """Send the records; returns what became of them. Blocks for up to the OTLP timeout for each request."""
        delivery = Delivery()
        self._idle.clear()
        try:
            with quiet():
                self._export(records, delivery)
        except Exception as error:
            self._lose(delivery, "internal", len(records) - _counted(delivery), f"OTLP export failed ({describe(error)})")
        finally:
            self._idle.set()
        return delivery

    def close(self, timeout: float) -> None:
        """Interrupt the exporter's back-off and wait for a request under way for at most `timeout` seconds."""
        self._closed.set()
        exporter = self._exporter
        if exporter is not None:
            with quiet():
                try:
                    exporter.shutdown()
                except Exception:
                    pass
        self._idle.wait(max(timeout, 0))

    def _export(self, records: Sequence[Record], delivery: Delivery) -> None:
        if self._exporter is None or self._readable is None:
            self._exporter = _exporter(self._settings, self.endpoint, self._reply)
            self._readable = readable_spans(self._settings)
        for batch in self._batches(records, delivery):
            if self._closed.is_set():
                delivery.drop("closed", batch.records)
            else:
                self._send(self._exporter, [self._readable(span) for span in batch.spans], batch.records, delivery)

    def _batches(self, records: Sequence[Record], delivery: Delivery) -> Iterator[_Batch]:
        batch = _Batch([], 0, 0)
        for record in records:
            try:
                spans = spans_of(record, self._settings)
            except Exception as error:
                self._lose(delivery, "unreadable", 1, f"a record could not be written as a span ({error!r})")
                continue
            weight = sum(map(weight_of, spans))
            if batch.records and batch.weight + weight > SPLIT:
                yield batch
                batch = _Batch([], 0, 0)
            batch.spans += spans
            batch.records += 1
            batch.weight += weight
        if batch.records:
            yield batch

    def _send(self, exporter: OTLPSpanExporter, spans: list[ReadableSpan], records: int, delivery: Delivery) -> None:
        reply = self._reply
        reply.clear()
        try:
            with _uninstrumented():
                accepted = exporter.export(spans).name == "SUCCESS"
        except Exception as error:
            # Older versions raise where newer ones answer failure.
            accepted = False
            if reply.error is None:
                reply.failed(error)
        # The exporter takes a redirect for success.
        if accepted and (reply.status is None or reply.status < 300):
            rejected = min(reply.rejected, records)
            delivery.exported += records - rejected
            if rejected:
                text = f"OTLP endpoint {self._shown} rejected {reply.rejected} spans ({reply.explanation or 'without a reason'})"
                self._lose(delivery, "rejected", rejected, text)
            return
        reason, text, advice = reply.reason(self._settings.otlp_timeout)
        self._lose(delivery, reason, records, f"OTLP endpoint {self._shown} {text}", advice)

    def _lose(self, delivery: Delivery, reason: str, records: int, text: str, advice: str = "") -> None:
        delivery.drop(reason, records)
        self._notices.lost(reason, records, text, advice)

    def _say_protocol(self) -> None:
        asked = self._settings.otlp_protocol
        if asked not in (None, "http/protobuf"):
            _warn_once(f"OTLP protocol {asked} is not supported yet; using http/protobuf to {self._shown}.")
        elif asked is None and urlsplit(self.endpoint).port == GRPC_PORT:
            _warn_once(f"port {GRPC_PORT} is the one for gRPC, but http/protobuf is sent to {self._shown}; its port is mostly 4318.")


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


def weight_of(span: SpanData) -> int:
    """About how many bytes the span takes in a request."""
    weight = _SPAN_WEIGHT + len(span.attributes) * _ATTRIBUTE_WEIGHT
    for attributes in (span.attributes, *(event.attributes for event in span.events)):
        for value in attributes.values():
            if isinstance(value, str):
                weight += len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
            elif isinstance(value, Sequence):
                weight += sum(len(item) * 4 if isinstance(item, str) else 16 for item in value)
    return weight


def _with_scheme(endpoint: str) -> str:
    # The settings also allow host:port, the form that is common for gRPC.
    return endpoint if "://" in endpoint else f"http://{endpoint}"


def _counted(delivery: Delivery) -> int:
    return delivery.exported + sum(delivery.dropped.values())


def _exporter(settings: Settings, endpoint: str, reply: Reply) -> OTLPSpanExporter:
    # The place where the official exporter is imported: 0.3 s, in the worker's thread.
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    session = recording_session(reply, settings)
    silence_exporters()
    return OTLPSpanExporter(
        endpoint=endpoint,
        certificate_file=settings.otlp_certificate,
        client_key_file=settings.otlp_client_key,
        client_certificate_file=settings.otlp_client_certificate,
        headers=dict(settings.otlp_headers or {}),
        timeout=settings.otlp_timeout,  # pyright: ignore[reportArgumentType]  # an int in versions before 1.34
        compression=Compression(settings.otlp_compression),
        session=session,
    )


@contextmanager
def _uninstrumented() -> Generator[None, None, None]:
    """Keep an instrumentation of the HTTP library from tracing our own requests, as the official processors do."""
    from opentelemetry import context

    key = getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
    token = context.attach(context.set_value(key, True))
    try:
        yield
    finally:
        context.detach(token)
