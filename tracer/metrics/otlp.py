"""Metrics by OTLP: encoded by the official classes, sent over HTTP or gRPC, kept while they do not arrive."""

from __future__ import annotations

import time
from collections import deque
from time import sleep
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from tracer.export.endpoint import GRPC, GRPC_PORT, HTTP_JSON, HTTP_PORT, HTTP_PROTOBUF, with_scheme, without_secrets
from tracer.export.http import Http, judge, judge_error
from tracer.export.notices import INTERVAL, logger, silence_exporters
from tracer.export.otlp_http import COMPRESS
from tracer.export.resource import version
from tracer.export.transport import ACCEPTED, RETRY, STOP, Verdict
from tracer.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import AggregationTemporality
    from opentelemetry.sdk.metrics.view import Aggregation

PATH = "v1/metrics"
METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"

MOST_WAITING = 100
MOST_BYTES = 16 * 1024 * 1024
"""What is kept of exports that did not arrive, where each tells only what came since the one before."""

_PAUSES = (0.0, 0.2, 0.5)
"""Seconds before each try of one export."""

_ADVICE = {
    401: "Check OTEL_EXPORTER_OTLP_HEADERS. No more metrics are sent there until the settings change.",
    403: "Check OTEL_EXPORTER_OTLP_HEADERS. No more metrics are sent there until the settings change.",
    404: "Check the path of the endpoint, or set OTEL_METRICS_EXPORTER=none if it takes no metrics.",
}
_UNREACHABLE = "Start a collector there, or set OTEL_EXPORTER_OTLP_METRICS_ENDPOINT."


class _Wire(Protocol):
    def send(self, body: bytes, timeout: float) -> Verdict: ...

    def close(self) -> None: ...


class OtlpOutlet:
    """Pushes to the endpoint of the settings."""

    def __init__(self, settings: Settings) -> None:
        self.endpoint = endpoint_of(settings)
        self._shown = without_secrets(self.endpoint)
        self._place = f"OTLP endpoint {self._shown}"
        self._timeout = settings.otlp_metrics_timeout
        # Cumulative metrics say everything again the next time.
        self._keeps = settings.metrics_temporality != "cumulative"
        self._waiting: deque[bytes] = deque()
        self._stopped = False
        self._said: dict[str, float] = {}
        self._wire: _Wire = _GrpcWire(self.endpoint, settings) if protocol_of(settings) == GRPC else _HttpWire(self.endpoint, settings)
        if settings.otlp_metrics_protocol == HTTP_JSON:
            logger.warning("tracer: metrics are not sent as http/json; using http/protobuf to %s.", self._shown)

    def push(self, data: Any, timeout: float, /) -> bool:
        """Send, and what waits before it."""
        if self._stopped:
            return False
        if not self._keeps:
            self._waiting.clear()
        if data is not None:
            from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

            silence_exporters()
            self._waiting.append(encode_metrics(data).SerializeToString())
            self._make_room()
        deadline = time.monotonic() + timeout
        while self._waiting:
            verdict = self._send(self._waiting[0], deadline)
            if verdict.outcome == RETRY and self._keeps:
                self._say(verdict)
                return False
            self._waiting.popleft()
            if verdict.outcome != ACCEPTED or verdict.text:
                self._say(verdict)
            if verdict.outcome == STOP:
                self._stopped = True
                self._waiting.clear()
            if verdict.outcome != ACCEPTED:
                return False
        return True

    def _send(self, body: bytes, deadline: float) -> Verdict:
        verdict = Verdict(RETRY)
        for pause in _PAUSES:
            if pause and time.monotonic() + pause >= deadline:
                break
            sleep(pause)
            verdict = self._wire.send(body, max(0.05, min(self._timeout, deadline - time.monotonic())))
            if verdict.outcome != RETRY or verdict.after:
                break
        return verdict

    def close(self) -> None:
        """Let go of connections."""
        self._wire.close()

    def _make_room(self) -> None:
        while len(self._waiting) > 1 and (len(self._waiting) > MOST_WAITING or sum(map(len, self._waiting)) > MOST_BYTES):
            self._waiting.popleft()
            self._say(Verdict(RETRY, "full", "takes no metrics, and no more can be kept: the oldest are lost"))

    def _say(self, verdict: Verdict) -> None:
        """One line for each reason and minute."""
        now = time.monotonic()
        if now - self._said.get(verdict.reason, -INTERVAL) < INTERVAL:
            return
        self._said[verdict.reason] = now
        logger.warning("tracer: metrics: %s %s.%s", self._place, verdict.text, f" {verdict.advice}" if verdict.advice else "")


class _HttpWire:
    def __init__(self, endpoint: str, settings: Settings) -> None:
        self._endpoint = endpoint
        self._compress = COMPRESS.get(settings.otlp_metrics_compression, bytes)
        compression = settings.otlp_metrics_compression
        certificate, key = settings.otlp_metrics_client_certificate, settings.otlp_metrics_client_key
        self._http = Http(
            {
                "user-agent": f"chat-tracer/{version()}",
                **settings.otlp_metrics_headers,
                "content-type": "application/x-protobuf",
                **({} if compression == "none" else {"content-encoding": compression}),
            },
            settings.otlp_metrics_certificate,
            (certificate, key) if certificate and key else certificate,
        )

    def send(self, body: bytes, timeout: float) -> Verdict:
        try:
            answer = self._http.request("POST", self._endpoint, timeout, self._compress(body))
        except Exception as error:
            return judge_error(error, timeout, _UNREACHABLE)
        if not answer.ok:
            return judge(answer, "the metrics", _ADVICE)
        return _accepted(answer.body if "protobuf" in answer.headers.get("content-type", "") else b"")

    def close(self) -> None:
        self._http.close()


class _GrpcWire:
    def __init__(self, endpoint: str, settings: Settings) -> None:
        parts = urlsplit(endpoint)
        self._target, self._secure = parts.netloc.rpartition("@")[2], parts.scheme == "https"
        self._settings = settings
        self._channel: Any = None

    def send(self, body: bytes, timeout: float) -> Verdict:
        import grpc

        try:
            if self._channel is None:
                self._channel = self._open(grpc)
            metadata = tuple((name, value) for name, value in self._settings.otlp_metrics_headers.items())
            return _accepted(self._channel.unary_unary(METHOD)(body, timeout=timeout, metadata=metadata))
        except grpc.RpcError as error:
            return self._judged(error, timeout)
        except Exception as error:
            return Verdict(RETRY, "not_sent", f"was sent nothing: the request could not be made ({error})")

    def _open(self, grpc: Any) -> Any:
        silence_exporters()
        options = (("grpc.primary_user_agent", f"chat-tracer/{version()}"), ("grpc.enable_retries", 0))
        gzipped = self._settings.otlp_metrics_compression == "gzip"
        compression = grpc.Compression.Gzip if gzipped else grpc.Compression.NoCompression
        if not self._secure:
            return grpc.insecure_channel(self._target, options, compression)
        paths = (
            self._settings.otlp_metrics_certificate,
            self._settings.otlp_metrics_client_key,
            self._settings.otlp_metrics_client_certificate,
        )
        return grpc.secure_channel(self._target, grpc.ssl_channel_credentials(*map(_content, paths)), options, compression)

    def _judged(self, error: Any, timeout: float) -> Verdict:
        status, details = error.code().name, " ".join((error.details() or "").split())[:200]
        if status == "UNAVAILABLE":
            # A channel waits ever longer before it connects again; a new one looks.
            self.close()
            return Verdict(RETRY, "unreachable", f"cannot be reached ({details})", _UNREACHABLE)
        if status == "DEADLINE_EXCEEDED":
            return Verdict(RETRY, "timeout", f"did not answer within {timeout:g} s")
        outcome = STOP if status in ("UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED") else RETRY
        advice = "No more metrics are sent there until the settings change." if outcome == STOP else ""
        return Verdict(outcome, f"refused:{status}", f"refused the metrics (gRPC {status}): {details}", advice)

    def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


def _content(path: str | None) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read()


def _accepted(body: bytes) -> Verdict:
    """What an endpoint says that took the request: it may have left points out."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

    try:
        partial = ExportMetricsServiceResponse.FromString(body).partial_success
    except Exception:
        return Verdict(ACCEPTED)
    if not partial.rejected_data_points:
        return Verdict(ACCEPTED)
    why = " ".join(partial.error_message.split())[:200] or "without a reason"
    return Verdict(ACCEPTED, "rejected", f"rejected {partial.rejected_data_points} values ({why})")


def preferences(settings: Settings) -> tuple[dict[type, AggregationTemporality], dict[type, Aggregation]]:
    """Temporality and aggregation for each kind of instrument, as a reader takes them."""
    from opentelemetry.sdk.metrics import Counter, Histogram
    from opentelemetry.sdk.metrics.export import AggregationTemporality
    from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation

    kind = AggregationTemporality.CUMULATIVE if settings.metrics_temporality == "cumulative" else AggregationTemporality.DELTA
    explicit = settings.metrics_histogram == "explicit_bucket_histogram"
    aggregation = ExplicitBucketHistogramAggregation() if explicit else ExponentialBucketHistogramAggregation()
    return {Counter: kind, Histogram: kind}, {Histogram: aggregation}


def protocol_of(settings: Settings) -> str:
    """The protocol that is set; else gRPC where the port is the one for it, and `http/protobuf` elsewhere.

    >>> protocol_of(Settings(otlp_metrics_endpoint="http://collector:4317"))
    'grpc'
    """
    if settings.otlp_metrics_protocol is not None:
        return settings.otlp_metrics_protocol
    given = settings.otlp_metrics_endpoint or settings.otlp_endpoint
    return GRPC if given and urlsplit(with_scheme(given, "http")).port == GRPC_PORT else HTTP_PROTOBUF


def endpoint_of(settings: Settings) -> str:
    """The URL for metrics: the metrics endpoint as it is, else the general one (with `/v1/metrics` for HTTP), else localhost.

    >>> endpoint_of(Settings(otlp_endpoint="http://collector:4318/"))
    'http://collector:4318/v1/metrics'
    """
    if settings.otlp_metrics_endpoint:
        return with_scheme(settings.otlp_metrics_endpoint, "http")
    if protocol_of(settings) == GRPC:
        return with_scheme(settings.otlp_endpoint or f"localhost:{GRPC_PORT}", "http")
    return f"{with_scheme(settings.otlp_endpoint or f'localhost:{HTTP_PORT}', 'http').rstrip('/')}/{PATH}"
