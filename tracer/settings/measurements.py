"""Settings of metrics: their names, and where they go."""

from __future__ import annotations

from collections.abc import Mapping

from tracer import parsing
from tracer.settings.variable import Table, otlp_names, setting

V01 = "v0.1"
V141 = "v1.41"
"""Versions of the GenAI conventions whose names metrics may bear."""


class Metrics(Table):
    """Variables of OpenTelemetry that are about metrics, and the one of this library."""

    __slots__ = ()

    metrics: str | None = setting(
        "TRACER_METRICS",
        parse=parsing.choice("off", V01, V141),
        default=None,
        accepted="off, v0.1 or v1.41",
        meaning=(
            "Names of the metrics: those of the GenAI conventions v0.1, or those of v1.41 that dashboards and official packages use. Set "
            "to either, OTEL_EXPORTER_OTLP_ENDPOINT is for metrics too. `off`: no metrics."
        ),
        default_text="v1.41, where the application or OTEL_METRICS_EXPORTER has somewhere for metrics to go",
    )
    metrics_exporter: tuple[str, ...] = setting(
        "OTEL_METRICS_EXPORTER",
        parse=parsing.choice_list("otlp", "prometheus", "console", "none"),
        default=(),
        accepted="a comma list of otlp, prometheus, console, none",
        meaning=(
            "`otlp`: send metrics by OTLP, to localhost if no endpoint is set; `prometheus`: offer them for scraping (needs the extra "
            "`prometheus`); `console`: print them; `none`: no metrics of our own."
        ),
        default_text="unset",
    )
    otlp_metrics_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        parse=parsing.endpoint,
        default=None,
        accepted="a URL",
        meaning=(
            "OTLP address for metrics, used as it is; without it OTEL_EXPORTER_OTLP_ENDPOINT, to which `/v1/metrics` is added for HTTP."
        ),
    )
    otlp_metrics_protocol: str | None = setting(
        *otlp_names("METRICS", "PROTOCOL"),
        parse=parsing.choice("http/protobuf", "grpc", "http/json"),
        default=None,
        accepted="http/protobuf, grpc or http/json",
        meaning="OTLP protocol of metrics; http/json is not there for metrics and means http/protobuf.",
        default_text="grpc where the endpoint's port is 4317, else http/protobuf",
    )
    otlp_metrics_headers: Mapping[str, str] = setting(
        *otlp_names("METRICS", "HEADERS"),
        parse=parsing.headers,
        default={},
        accepted="key=value,key2=value2",
        meaning="Headers of OTLP requests with metrics.",
        secret=True,
        default_text="none",
    )
    otlp_metrics_timeout: float = setting(
        *otlp_names("METRICS", "TIMEOUT"),
        parse=parsing.seconds(0.001),
        default=10.0,
        accepted="seconds above 0",
        meaning="Longest time for one OTLP request with metrics, in seconds.",
    )
    otlp_metrics_compression: str = setting(
        *otlp_names("METRICS", "COMPRESSION"),
        parse=parsing.choice("none", "gzip", "deflate"),
        default="none",
        accepted="none, gzip or deflate",
        meaning="Compression of OTLP requests with metrics; gRPC has no deflate.",
    )
    otlp_metrics_certificate: str | None = setting(
        *otlp_names("METRICS", "CERTIFICATE"),
        parse=parsing.existing_file,
        default=None,
        accepted="the path of a file",
        meaning="Certificate authority for OTLP metrics over TLS.",
    )
    otlp_metrics_client_key: str | None = setting(
        *otlp_names("METRICS", "CLIENT_KEY"),
        parse=parsing.existing_file,
        default=None,
        accepted="the path of a file",
        meaning="Client key for OTLP metrics over mutual TLS.",
    )
    otlp_metrics_client_certificate: str | None = setting(
        *otlp_names("METRICS", "CLIENT_CERTIFICATE"),
        parse=parsing.existing_file,
        default=None,
        accepted="the path of a file",
        meaning="Client certificate for OTLP metrics over mutual TLS.",
    )
    metrics_temporality: str = setting(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        parse=parsing.choice("cumulative", "delta", "lowmemory"),
        default="cumulative",
        accepted="cumulative, delta or lowmemory",
        meaning="Whether OTLP metrics tell what came since the start (`cumulative`) or since the last export (`delta`, `lowmemory`).",
    )
    metrics_histogram: str = setting(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        parse=parsing.choice("explicit_bucket_histogram", "base2_exponential_bucket_histogram"),
        default="explicit_bucket_histogram",
        accepted="explicit_bucket_histogram or base2_exponential_bucket_histogram",
        meaning="Histograms of OTLP metrics: with the buckets of the conventions, or exponential ones.",
    )
    metrics_exemplars: str = setting(
        "OTEL_METRICS_EXEMPLAR_FILTER",
        parse=parsing.choice("trace_based", "always_on", "always_off"),
        default="trace_based",
        accepted="trace_based, always_on or always_off",
        meaning="Which measurements may become exemplars: `trace_based` those of recorded traces, which they link to.",
    )
    metrics_interval: float = setting(
        "OTEL_METRIC_EXPORT_INTERVAL",
        parse=parsing.number(1, 2**31),
        default=60_000.0,
        accepted="milliseconds above 0",
        meaning="Time between two exports of metrics, in milliseconds.",
    )
    metrics_timeout: float = setting(
        "OTEL_METRIC_EXPORT_TIMEOUT",
        parse=parsing.number(1, 2**31),
        default=30_000.0,
        accepted="milliseconds above 0",
        meaning="Longest time for one export of metrics, in milliseconds; OTEL_EXPORTER_OTLP_TIMEOUT holds too.",
    )
    prometheus_host: str = setting(
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        parse=parsing.stripped,
        default="localhost",
        accepted="a name or address",
        meaning="Where metrics are offered for scraping.",
    )
    prometheus_port: int = setting(
        "OTEL_EXPORTER_PROMETHEUS_PORT",
        parse=parsing.port,
        default=9464,
        accepted="a port number from 0 to 65535",
        meaning="Port on which metrics are offered for scraping; 0: any.",
    )
