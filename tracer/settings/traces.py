"""Settings of OpenTelemetry's spans: the switch for content, OTLP, limits, resource, sampling, dialects."""

from __future__ import annotations

from collections.abc import Mapping

from tracer import parsing
from tracer.settings import forms
from tracer.settings.core import BOOLEAN
from tracer.settings.variable import Table, otlp_names, setting

_LIMIT = "a whole number, 0 or more"
_SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)


class Traces(Table):
    """Variables of OpenTelemetry that are about spans."""

    __slots__ = ()

    capture_message_content: str | None = setting(
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        parse=forms.capture_content,
        default=None,
        accepted="NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT, true or false",
        meaning=(
            "OpenTelemetry's own switch for prompts and answers: on spans (`SPAN_ONLY`, `true`), in an event for each model call that "
            "goes to the program's logger provider or by OTLP logs (`EVENT_ONLY`), in both, or nowhere."
        ),
        default_text="unset",
    )
    sdk_disabled: bool = setting(
        "OTEL_SDK_DISABLED",
        parse=parsing.true_only,
        default=False,
        accepted=BOOLEAN,
        meaning="`true`: `wrap` returns its argument and nothing is traced.",
    )
    traces_exporter: tuple[str, ...] = setting(
        "OTEL_TRACES_EXPORTER",
        parse=parsing.choice_list("otlp", "console", "none"),
        default=(),
        accepted="a comma list of otlp, console, none",
        meaning="`otlp`: send to OTLP, to localhost if no endpoint is set; `console`: as TRACER_CONSOLE; `none`: no OTLP.",
        default_text="unset",
    )
    otlp_traces_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        parse=parsing.endpoint,
        default=None,
        accepted="a URL, or host:port",
        meaning="OTLP address for traces, used as it is.",
    )
    otlp_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        parse=parsing.endpoint,
        default=None,
        accepted="a URL, or host:port",
        meaning="OTLP address; `/v1/traces` is added for HTTP.",
    )
    otlp_protocol: str | None = setting(
        *otlp_names("TRACES", "PROTOCOL"),
        parse=parsing.choice("http/protobuf", "grpc", "http/json"),
        default=None,
        accepted="http/protobuf, grpc or http/json",
        meaning="OTLP protocol.",
        default_text="grpc where the endpoint's port is 4317, else http/protobuf",
    )
    otlp_headers: Mapping[str, str] = setting(
        *otlp_names("TRACES", "HEADERS"),
        parse=parsing.headers,
        default={},
        accepted="key=value,key2=value2",
        meaning="Headers of OTLP requests.",
        secret=True,
        default_text="none",
    )
    otlp_timeout: float = setting(
        *otlp_names("TRACES", "TIMEOUT"),
        parse=parsing.export_seconds,
        default=10.0,
        accepted="seconds above 0 and below 1000",
        meaning="Longest time for one OTLP request, in seconds as in Python's SDK (the specification has milliseconds).",
    )
    otlp_compression: str = setting(
        *otlp_names("TRACES", "COMPRESSION"),
        parse=parsing.choice("none", "gzip", "deflate"),
        default="none",
        accepted="none, gzip or deflate",
        meaning="Compression of OTLP requests; gRPC has no deflate.",
    )
    otlp_encoder: str = setting(
        "TRACER_OTLP_ENCODER",
        parse=parsing.choice("own", "official"),
        default="own",
        accepted="own or official",
        meaning=(
            "Who writes OTLP requests: our own code, or the classes of opentelemetry-sdk and opentelemetry-proto, several times as slow."
        ),
    )
    otlp_insecure: bool = setting(
        *otlp_names("TRACES", "INSECURE"),
        parse=parsing.boolean,
        default=False,
        accepted=BOOLEAN,
        meaning="OTLP over gRPC without encryption where the endpoint has no scheme; `http://` and `https://` say it themselves.",
    )
    otlp_certificate: str | None = setting(
        *otlp_names("TRACES", "CERTIFICATE"),
        parse=parsing.existing_file,
        default=None,
        accepted="the path of a file",
        meaning="Certificate authority for OTLP over TLS.",
    )
    otlp_client_key: str | None = setting(
        *otlp_names("TRACES", "CLIENT_KEY"),
        parse=parsing.existing_file,
        default=None,
        accepted="the path of a file",
        meaning="Client key for OTLP over mutual TLS.",
    )
    otlp_client_certificate: str | None = setting(
        *otlp_names("TRACES", "CLIENT_CERTIFICATE"),
        parse=parsing.existing_file,
        default=None,
        accepted="the path of a file",
        meaning="Client certificate for OTLP over mutual TLS.",
    )
    otlp_batch: int = setting(
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        parse=parsing.whole(1),
        default=512,
        accepted="a whole number above 0",
        meaning="Most records in one OTLP request.",
    )
    otlp_schedule_delay: float = setting(
        "OTEL_BSP_SCHEDULE_DELAY",
        parse=parsing.milliseconds,
        default=250.0,
        accepted="milliseconds, 0 or more",
        meaning="Milliseconds between two OTLP requests, in which records are gathered, unless there are enough of them before.",
    )
    otlp_export_timeout: float = setting(
        "OTEL_BSP_EXPORT_TIMEOUT",
        parse=parsing.milliseconds,
        default=0.0,
        accepted="milliseconds, 0 for no limit of its own",
        meaning="As OTEL_EXPORTER_OTLP_TIMEOUT, in milliseconds; the shorter of both holds.",
        default_text="`0`: that of OTEL_EXPORTER_OTLP_TIMEOUT",
    )
    attribute_count_limit: int | None = setting(
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        parse=parsing.whole(0),
        default=None,
        accepted=_LIMIT,
        meaning="Most attributes of a span or event sent by OTLP; the first are kept.",
        default_text="no limit",
    )
    span_attribute_count_limit: int | None = setting(
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        parse=parsing.whole(0),
        default=None,
        accepted=_LIMIT,
        meaning="The same for spans only.",
        default_text="OTEL_ATTRIBUTE_COUNT_LIMIT",
    )
    event_attribute_count_limit: int | None = setting(
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        parse=parsing.whole(0),
        default=None,
        accepted=_LIMIT,
        meaning="The same for events only.",
        default_text="OTEL_ATTRIBUTE_COUNT_LIMIT",
    )
    span_event_count_limit: int | None = setting(
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
        parse=parsing.whole(0),
        default=None,
        accepted=_LIMIT,
        meaning="Most events of a span sent by OTLP.",
        default_text="no limit",
    )
    attribute_length_limit: int | None = setting(
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        parse=parsing.whole(0),
        default=None,
        accepted=_LIMIT,
        meaning="Longest text of an attribute sent by OTLP, in characters. Prompts and answers are shortened inside and stay valid JSON.",
        default_text="no limit",
    )
    service_name: str | None = setting(
        "OTEL_SERVICE_NAME",
        parse=parsing.stripped,
        default=None,
        accepted="a name",
        meaning="`service.name` of the resource.",
        default_text="unknown_service:python",
    )
    resource_attributes: Mapping[str, str] = setting(
        "OTEL_RESOURCE_ATTRIBUTES",
        parse=parsing.pairs,
        default={},
        accepted="key=value,key2=value2",
        meaning="Further attributes of the resource.",
        default_text="none",
    )
    sampler: str = setting(
        "OTEL_TRACES_SAMPLER",
        parse=parsing.choice(*_SAMPLERS),
        default="parentbased_always_on",
        accepted="one of " + ", ".join(_SAMPLERS),
        meaning="Which traces are recorded.",
    )
    sampler_argument: float = setting(
        "OTEL_TRACES_SAMPLER_ARG",
        parse=parsing.number(0, 1),
        default=1.0,
        accepted="a number from 0 to 1",
        meaning="Share of traces for the traceidratio samplers.",
    )
    dialects: tuple[str, ...] = setting(
        "TRACER_DIALECT",
        parse=forms.dialects,
        default=(),
        accepted="a comma list of otel, previous, phoenix, langfuse, langsmith",
        meaning=(
            "Names under which spans tell what they tell, beside those of the GenAI conventions (`otel`, always there): `previous` those "
            "that the conventions had before, `phoenix` OpenInference, `langfuse` and `langsmith` those of these backends. See "
            "`docs/dialects.md`."
        ),
        default_text="otel",
    )
