"""Settings of events: log records of OpenTelemetry, one for each model call."""

from __future__ import annotations

from collections.abc import Mapping

from tracer import parsing
from tracer.settings.core import BOOLEAN
from tracer.settings.variable import Table, otlp_names, setting


class Events(Table):
    """Variables of OpenTelemetry that are about log records, which events are."""

    __slots__ = ()

    logs_exporter: tuple[str, ...] = setting(
        "OTEL_LOGS_EXPORTER",
        parse=parsing.choice_list("otlp", "console", "none"),
        default=(),
        accepted="a comma list of otlp, console, none",
        meaning=(
            "Where OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT asks for events: `otlp` sends them by OTLP, to localhost if no "
            "endpoint is set; `none`: not by OTLP. `console` is for other programs' logs."
        ),
        default_text="unset",
    )
    otlp_logs_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        parse=parsing.endpoint,
        default=None,
        accepted="a URL, or host:port",
        meaning="OTLP address for events, used as it is; without it OTEL_EXPORTER_OTLP_ENDPOINT, to which `/v1/logs` is added for HTTP.",
    )
    otlp_logs_protocol: str | None = setting(
        *otlp_names("LOGS", "PROTOCOL"),
        parse=parsing.choice("http/protobuf", "grpc", "http/json"),
        default=None,
        accepted="http/protobuf, grpc or http/json",
        meaning="OTLP protocol of events.",
        default_text="grpc where the endpoint's port is 4317, else http/protobuf",
    )
    otlp_logs_headers: Mapping[str, str] = setting(
        *otlp_names("LOGS", "HEADERS"),
        parse=parsing.headers,
        default={},
        accepted="key=value,key2=value2",
        meaning="Headers of OTLP requests with events.",
        secret=True,
        default_text="none",
    )
    otlp_logs_timeout: float = setting(
        *otlp_names("LOGS", "TIMEOUT"),
        parse=parsing.export_seconds,
        default=10.0,
        accepted="seconds above 0 and below 1000",
        meaning="Longest time for one OTLP request with events, in seconds.",
    )
    otlp_logs_compression: str = setting(
        *otlp_names("LOGS", "COMPRESSION"),
        parse=parsing.choice("none", "gzip", "deflate"),
        default="none",
        accepted="none, gzip or deflate",
        meaning="Compression of OTLP requests with events; gRPC has no deflate.",
    )
    otlp_logs_insecure: bool = setting(
        *otlp_names("LOGS", "INSECURE"),
        parse=parsing.boolean,
        default=False,
        accepted=BOOLEAN,
        meaning="Events over gRPC without encryption where the endpoint has no scheme.",
    )
    otlp_logs_certificate: str | None = setting(
        *otlp_names("LOGS", "CERTIFICATE"),
        parse=parsing.existing_file,
        default=None,
        accepted="the path of a file",
        meaning="Certificate authority for OTLP events over TLS.",
    )
    otlp_logs_client_key: str | None = setting(
        *otlp_names("LOGS", "CLIENT_KEY"),
        parse=parsing.existing_file,
        default=None,
        accepted="the path of a file",
        meaning="Client key for OTLP events over mutual TLS.",
    )
    otlp_logs_client_certificate: str | None = setting(
        *otlp_names("LOGS", "CLIENT_CERTIFICATE"),
        parse=parsing.existing_file,
        default=None,
        accepted="the path of a file",
        meaning="Client certificate for OTLP events over mutual TLS.",
    )
