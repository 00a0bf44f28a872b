"""Where OTLP goes, and by which protocol, from the settings."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from tracer.settings import Settings

GRPC = "grpc"
HTTP_JSON = "http/json"
HTTP_PROTOBUF = "http/protobuf"

GRPC_PORT = 4317
HTTP_PORT = 4318


@dataclass(frozen=True, slots=True)
class Signal:
    """What of OTLP is not the same for spans and log records: paths, a method, and words."""

    path: str
    method: str
    """Of its gRPC service."""
    what: str
    """What is sent, for people."""
    rejected: str
    """The field of an answer in JSON that counts what was not taken."""


TRACES = Signal("v1/traces", "/opentelemetry.proto.collector.trace.v1.TraceService/Export", "spans", "rejectedSpans")
LOGS = Signal("v1/logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export", "log records", "rejectedLogRecords")

_WEB_PORTS = {"http": 80, "https": 443}


def protocol_of(settings: Settings) -> str:
    """The protocol that is set; else gRPC where the port is the one for it, and `http/protobuf` elsewhere.

    >>> protocol_of(Settings(otlp_endpoint="http://collector:4317")), protocol_of(Settings())
    ('grpc', 'http/protobuf')
    """
    if settings.otlp_protocol is not None:
        return settings.otlp_protocol
    given = settings.otlp_traces_endpoint or settings.otlp_endpoint
    return GRPC if given and urlsplit(with_scheme(given, "http")).port == GRPC_PORT else HTTP_PROTOBUF


def endpoint_of(settings: Settings, signal: Signal = TRACES) -> str:
    """The URL for a signal: the traces endpoint as it is, else the general one, else localhost.

    HTTP adds `/v1/traces`, or the path of another signal, to a general endpoint, and takes one without a scheme as `http`. gRPC has no
    paths; without a scheme it is encrypted unless `otlp_insecure` says otherwise, as the OTLP exporter specification has it.

    >>> endpoint_of(Settings(otlp_endpoint="http://collector:4318/"))
    'http://collector:4318/v1/traces'
    >>> endpoint_of(Settings(otlp_endpoint="collector:4317", otlp_insecure=True))
    'http://collector:4317'
    """
    if protocol_of(settings) == GRPC:
        given = settings.otlp_traces_endpoint or settings.otlp_endpoint or f"http://localhost:{GRPC_PORT}"
        return with_scheme(given, "http" if settings.otlp_insecure else "https")
    if settings.otlp_traces_endpoint:
        return with_scheme(settings.otlp_traces_endpoint, "http")
    return f"{with_scheme(settings.otlp_endpoint or f'http://localhost:{HTTP_PORT}', 'http').rstrip('/')}/{signal.path}"


def target_of(endpoint: str) -> tuple[str, bool]:
    """Host and port of a gRPC endpoint, and whether it is encrypted.

    >>> target_of("https://collector/ignored"), target_of("http://[::1]:4317")
    (('collector:443', True), ('[::1]:4317', False))
    """
    parts = urlsplit(endpoint)
    host = parts.netloc.rpartition("@")[2]
    if parts.port is None:
        host = f"{host.rstrip(':')}:{_WEB_PORTS[parts.scheme]}"
    return host, parts.scheme == "https"


def basic_authorization(endpoint: str) -> dict[str, str]:
    """The header for user and password inside the URL, if it has them; a header of the settings goes over it.

    >>> basic_authorization("https://me:p%40ss@collector")
    {'authorization': 'Basic bWU6cEBzcw=='}
    """
    user, found, _ = urlsplit(endpoint).netloc.rpartition("@")
    return {"authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"} if found else {}


def without_secrets(url: str) -> str:
    """The URL as it may be logged: without user, password, query and fragment.

    >>> without_secrets("https://me:key@collector:4318/v1/traces?token=x")
    'https://collector:4318/v1/traces'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def with_scheme(endpoint: str, scheme: str) -> str:
    """The URL of an endpoint; the settings also allow host:port, the form that is common for gRPC."""
    return endpoint if "://" in endpoint else f"{scheme}://{endpoint}"
