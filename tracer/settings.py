"""Every environment variable the library reads, in one table, and the frozen `Settings` made from it.

Nobody else gives variables a meaning (`tracer.environment` hands them over). Order: argument of `configure`, then environment, then
default. Empty means unset. A bad value is reported as a `Problem` and the default is taken; nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import quote

from tracer import parsing
from tracer.environment import LANGSMITH_TRACING, variables
from tracer.parsing import MEBIBYTE


@dataclass(frozen=True, slots=True)
class Variable:
    """One setting: the field of `Settings`, the environment names in the order they are asked, how a text becomes a value."""

    field: str
    names: tuple[str, ...]
    parse: Callable[[str], Any]
    default: Any
    accepted: str
    meaning: str
    secret: bool = False
    default_text: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A value that was not taken: which variable, its value, what is accepted, and what is used instead."""

    variable: str
    value: str
    accepted: str
    used: str

    def __str__(self) -> str:
        return f"{self.variable}={self.value!r} is not valid: accepted is {self.accepted}. Using {self.used}."


DEFAULT_LANGSMITH = "https://api.smith.langchain.com"
"""Where runs go when a key is given without an endpoint."""

V01 = "v0.1"
V141 = "v1.41"
"""Versions of the GenAI conventions whose names metrics may bear."""

_BOOLEAN = "true or false"
_LIMIT = "a whole number, 0 or more"
_OTEL_SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)


def _otlp(suffix: str) -> tuple[str, ...]:
    """The per-signal name goes before the general one, as the OTLP exporter specification asks."""
    return (f"OTEL_EXPORTER_OTLP_TRACES_{suffix}", f"OTEL_EXPORTER_OTLP_{suffix}")


def _otlp_logs(suffix: str) -> tuple[str, ...]:
    return (f"OTEL_EXPORTER_OTLP_LOGS_{suffix}", f"OTEL_EXPORTER_OTLP_{suffix}")


def _otlp_metrics(suffix: str) -> tuple[str, ...]:
    return (f"OTEL_EXPORTER_OTLP_METRICS_{suffix}", f"OTEL_EXPORTER_OTLP_{suffix}")


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "enabled", ("TRACER_ENABLED",), parsing.boolean, True, _BOOLEAN, "`false`: `wrap` returns its argument and nothing is traced."
    ),
    Variable(
        "local",
        ("TRACER_LOCAL",),
        parsing.boolean_or_path,
        False,
        "true, false or a path",
        "Keep records in a local SQLite file: `true` for the default place, or the path of the file. Read it with `tracer show`.",
    ),
    Variable("console", ("TRACER_CONSOLE",), parsing.boolean, False, _BOOLEAN, "Print one readable block for each call on stderr."),
    Variable("quiet", ("TRACER_QUIET",), parsing.boolean, False, _BOOLEAN, "Leave out the line at start that says where traces go."),
    Variable(
        "content",
        ("TRACER_CONTENT",),
        parsing.choice("on", "off", "inputs", "outputs"),
        None,
        "on, off, inputs or outputs",
        "Which prompts and answers are recorded. Wins over OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT.",
        default_text="on when a tracing variable is set",
    ),
    Variable(
        "stream_usage",
        ("TRACER_STREAM_USAGE",),
        parsing.choice("auto", "always", "off"),
        "auto",
        "auto, always or off",
        "Ask for token usage on chat streams and hide it from the caller: `auto` where it is known to be safe, `always` also at "
        "endpoints that were seen to send usage unasked or to refuse the option, `off` never.",
    ),
    Variable(
        "max_content",
        ("TRACER_MAX_CONTENT",),
        parsing.byte_count,
        4 * MEBIBYTE,
        "a number of bytes, such as 4194304 or 4MiB",
        "Bytes of content kept for one record; longer texts keep head and tail.",
    ),
    Variable(
        "prices",
        ("TRACER_PRICES",),
        parsing.existing_file,
        None,
        "the path of a JSON or TOML file",
        "Price file used before the bundled prices.",
    ),
    Variable(
        "providers",
        ("TRACER_PROVIDERS",),
        parsing.provider_names,
        {},
        "host=name or host:port=name, separated by commas",
        "Who answers at hosts of your own (`gen_ai.provider.name`), such as `localhost:8000=vllm,llm.example.com=groq`; others are told "
        "by their address.",
        default_text="none",
    ),
    Variable(
        "trust_headers",
        ("TRACER_TRUST_HEADERS",),
        parsing.trusted_callers,
        (),
        "none, all, or hosts and networks separated by commas",
        "Whose `traceparent`, `baggage` and other headers `tracer.continue_from` believes, such as `10.0.0.0/8,gateway.internal`.",
        default_text="none",
    ),
    Variable(
        "propagators",
        ("OTEL_PROPAGATORS",),
        parsing.propagators,
        ("tracecontext", "baggage"),
        "a comma list of tracecontext, baggage, b3, b3multi, jaeger; or none alone",
        "Headers that `tracer.headers` writes and `tracer.continue_from` reads.",
    ),
    Variable(
        "exit_timeout",
        ("TRACER_EXIT_TIMEOUT",),
        parsing.seconds(0),
        2.0,
        "seconds, 0 or more",
        "The longest time the end of the process waits for records to be sent, in seconds.",
    ),
    Variable(
        "queue_records",
        ("TRACER_QUEUE_RECORDS", "OTEL_BSP_MAX_QUEUE_SIZE"),
        parsing.whole(1),
        10_000,
        "a whole number above 0",
        "Records that may wait for each destination; beyond it the oldest are dropped and counted.",
    ),
    Variable(
        "queue_bytes",
        ("TRACER_QUEUE_BYTES",),
        parsing.byte_count,
        64 * MEBIBYTE,
        "a number of bytes, such as 67108864 or 64MiB",
        "Bytes that may wait for each destination; beyond it the oldest records lose their contents, then the oldest are dropped.",
    ),
    Variable(
        "spool",
        ("TRACER_SPOOL",),
        parsing.folder,
        None,
        "the path of a directory",
        "Directory in which records for destinations on the network are kept until they have arrived. They outlive the process; the next "
        "one that records to the same place sends them, or `tracer flush`. Several processes may share it.",
    ),
    Variable(
        "spool_bytes",
        ("TRACER_SPOOL_BYTES",),
        parsing.byte_count,
        512 * MEBIBYTE,
        "a number of bytes, such as 536870912 or 512MiB",
        "Bytes that the spool directory may take; beyond it the oldest records are dropped and counted.",
    ),
    Variable(
        "spool_age",
        ("TRACER_SPOOL_AGE",),
        parsing.seconds(1),
        7 * 24 * 3600.0,
        "seconds, 1 or more",
        "How long a record may wait in the spool, in seconds; older ones are dropped and said.",
    ),
    Variable(
        "limits",
        ("TRACER_LIMITS",),
        parsing.limits,
        {},
        "tempo, jaeger, langsmith or none, also by destination, such as otlp=tempo,langsmith=langsmith",
        "The backend behind a destination, whose limits then hold there: texts are shortened inside, head and tail kept, so that message "
        "JSON stays valid. `tempo`: 2,048 bytes an attribute, 4 MiB a request, 5 MB a trace; `jaeger`: 4 MiB a request; `langsmith`: "
        "20 MiB a request. OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT goes before the attribute size.",
        default_text="none",
    ),
    Variable(
        "keep",
        ("TRACER_KEEP",),
        parsing.keep_rules,
        (),
        "a comma list of errors, stopped and slow>SECONDS",
        "Traces that are recorded whole although OTEL_TRACES_SAMPLER says no: those with a call that failed, was stopped, or took longer. "
        "Calls wait in memory for the end of the outermost one, as many as TRACER_QUEUE_RECORDS and TRACER_QUEUE_BYTES allow.",
        default_text="none",
    ),
    Variable(
        "sigterm",
        ("TRACER_SIGTERM",),
        parsing.choice("flush", "off"),
        "off",
        "flush or off",
        "`flush`: on SIGTERM open calls are recorded as unfinished and everything is sent, within TRACER_EXIT_TIMEOUT, before the handler "
        "that was there, or the signal itself, ends the process.",
    ),
    Variable(
        "mask",
        ("TRACER_MASK",),
        parsing.masks,
        ("secrets",),
        "off, or a comma list of secrets, api_keys, bearer, jwt, private_keys, cards, emails and module:function",
        "What is taken out of prompts, answers, errors and metadata before any destination sees them. `secrets` stands for API keys, "
        "bearer tokens, JWTs and private keys; a function of your own takes a text and gives the one to record.",
        default_text="`secrets`",
    ),
    Variable(
        "mask_timeout",
        ("TRACER_MASK_TIMEOUT",),
        parsing.seconds(0.001),
        1.0,
        "seconds above 0",
        "How long functions of TRACER_MASK may take for one record, in seconds; after that its content is left out.",
    ),
    Variable(
        "langchain",
        ("TRACER_LANGCHAIN",),
        parsing.choice("defer", "replace"),
        "defer",
        "defer or replace",
        "Who posts LangChain's runs to LangSmith: LangChain's own tracer (`defer`) or this library (`replace`).",
    ),
    Variable(
        "langsmith_tracing",
        LANGSMITH_TRACING,
        parsing.exactly_true,
        False,
        "exactly `true`, or `false`",
        "Switches tracing on. The first of these that is not blank decides alone.",
    ),
    Variable(
        "langsmith_key",
        ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"),
        parsing.unquoted,
        None,
        "a key",
        "Key of a LangSmith-style backend.",
        secret=True,
    ),
    Variable(
        "langsmith_endpoint",
        ("LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT"),
        parsing.base_url,
        None,
        "a URL that starts with http:// or https://",
        "Address of a LangSmith-style backend.",
        default_text="https://api.smith.langchain.com if a key is set",
    ),
    Variable(
        "langsmith_project",
        ("HOSTED_LANGSERVE_PROJECT_NAME", "LANGSMITH_PROJECT", "LANGCHAIN_PROJECT", "LANGSMITH_SESSION", "LANGCHAIN_SESSION"),
        parsing.stripped,
        "default",
        "a name",
        "Project of a LangSmith-style backend.",
    ),
    Variable(
        "langsmith_workspace",
        ("LANGSMITH_WORKSPACE_ID", "LANGCHAIN_WORKSPACE_ID"),
        parsing.unquoted,
        None,
        "an id",
        "Workspace of a LangSmith-style backend; keys of an organisation need it.",
    ),
    Variable(
        "langsmith_runs_endpoints",
        ("LANGSMITH_RUNS_ENDPOINTS", "LANGCHAIN_RUNS_ENDPOINTS"),
        parsing.runs_endpoints,
        None,
        'JSON such as [{"api_url": "https://…", "api_key": "…"}]',
        "Several LangSmith-style backends, all of which get every run; LANGSMITH_ENDPOINT and LANGSMITH_API_KEY are then not used.",
        secret=True,
    ),
    Variable(
        "langsmith_sampling_rate",
        ("LANGSMITH_TRACING_SAMPLING_RATE", "LANGCHAIN_TRACING_SAMPLING_RATE"),
        parsing.number(0, 1),
        1.0,
        "a number from 0 to 1",
        "Share of traces that LangSmith-style backends get; other destinations get all.",
    ),
    Variable(
        "langsmith_batch_limit",
        ("LANGSMITH_BATCH_INGEST_SIZE_LIMIT", "LANGCHAIN_BATCH_INGEST_SIZE_LIMIT"),
        parsing.whole(1),
        None,
        "a whole number above 0",
        "Most runs in one request to a LangSmith-style backend, if the backend's own limit is not lower.",
        default_text="the backend's own limit",
    ),
    Variable(
        "langsmith_no_compression",
        ("LANGSMITH_DISABLE_RUN_COMPRESSION", "LANGCHAIN_DISABLE_RUN_COMPRESSION"),
        parsing.true_or_one,
        False,
        "true or 1, false or 0",
        "Send runs uncompressed.",
    ),
    Variable(
        "langsmith_hide_inputs",
        ("LANGSMITH_HIDE_INPUTS", "LANGCHAIN_HIDE_INPUTS"),
        parsing.boolean,
        False,
        "true or false",
        "LangSmith-style backends get no inputs, and of an error its type only.",
    ),
    Variable(
        "langsmith_hide_outputs",
        ("LANGSMITH_HIDE_OUTPUTS", "LANGCHAIN_HIDE_OUTPUTS"),
        parsing.boolean,
        False,
        "true or false",
        "LangSmith-style backends get no outputs, and of an error its type only.",
    ),
    Variable(
        "langsmith_hide_metadata",
        ("LANGSMITH_HIDE_METADATA", "LANGCHAIN_HIDE_METADATA"),
        parsing.boolean,
        False,
        "true or false",
        "LangSmith-style backends get no metadata.",
    ),
    Variable(
        "capture_message_content",
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",),
        parsing.capture_content,
        None,
        "NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT, true or false",
        "OpenTelemetry's own switch for prompts and answers: on spans (`SPAN_ONLY`, `true`), in an event for each model call that goes to "
        "the program's logger provider or by OTLP logs (`EVENT_ONLY`), in both, or nowhere.",
        default_text="unset",
    ),
    Variable(
        "sdk_disabled",
        ("OTEL_SDK_DISABLED",),
        parsing.true_only,
        False,
        _BOOLEAN,
        "`true`: `wrap` returns its argument and nothing is traced.",
    ),
    Variable(
        "traces_exporter",
        ("OTEL_TRACES_EXPORTER",),
        parsing.choice_list("otlp", "console", "none"),
        (),
        "a comma list of otlp, console, none",
        "`otlp`: send to OTLP, to localhost if no endpoint is set; `console`: as TRACER_CONSOLE; `none`: no OTLP.",
        default_text="unset",
    ),
    Variable(
        "otlp_traces_endpoint",
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",),
        parsing.endpoint,
        None,
        "a URL, or host:port",
        "OTLP address for traces, used as it is.",
    ),
    Variable(
        "otlp_endpoint",
        ("OTEL_EXPORTER_OTLP_ENDPOINT",),
        parsing.endpoint,
        None,
        "a URL, or host:port",
        "OTLP address; `/v1/traces` is added for HTTP.",
    ),
    Variable(
        "otlp_protocol",
        _otlp("PROTOCOL"),
        parsing.choice("http/protobuf", "grpc", "http/json"),
        None,
        "http/protobuf, grpc or http/json",
        "OTLP protocol.",
        default_text="grpc where the endpoint's port is 4317, else http/protobuf",
    ),
    Variable(
        "otlp_headers",
        _otlp("HEADERS"),
        parsing.headers,
        {},
        "key=value,key2=value2",
        "Headers of OTLP requests.",
        secret=True,
        default_text="none",
    ),
    Variable(
        "otlp_timeout",
        _otlp("TIMEOUT"),
        parsing.export_seconds,
        10.0,
        "seconds above 0 and below 1000",
        "Longest time for one OTLP request, in seconds as in Python's SDK (the specification has milliseconds).",
    ),
    Variable(
        "otlp_compression",
        _otlp("COMPRESSION"),
        parsing.choice("none", "gzip", "deflate"),
        "none",
        "none, gzip or deflate",
        "Compression of OTLP requests; gRPC has no deflate.",
    ),
    Variable(
        "otlp_encoder",
        ("TRACER_OTLP_ENCODER",),
        parsing.choice("own", "official"),
        "own",
        "own or official",
        "Who writes OTLP requests: our own code, or the classes of opentelemetry-sdk and opentelemetry-proto, several times as slow.",
    ),
    Variable(
        "otlp_insecure",
        _otlp("INSECURE"),
        parsing.boolean,
        False,
        _BOOLEAN,
        "OTLP over gRPC without encryption where the endpoint has no scheme; `http://` and `https://` say it themselves.",
    ),
    Variable(
        "otlp_certificate",
        _otlp("CERTIFICATE"),
        parsing.existing_file,
        None,
        "the path of a file",
        "Certificate authority for OTLP over TLS.",
    ),
    Variable(
        "otlp_client_key", _otlp("CLIENT_KEY"), parsing.existing_file, None, "the path of a file", "Client key for OTLP over mutual TLS."
    ),
    Variable(
        "otlp_client_certificate",
        _otlp("CLIENT_CERTIFICATE"),
        parsing.existing_file,
        None,
        "the path of a file",
        "Client certificate for OTLP over mutual TLS.",
    ),
    Variable(
        "otlp_batch",
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE",),
        parsing.whole(1),
        512,
        "a whole number above 0",
        "Most records in one OTLP request.",
    ),
    Variable(
        "otlp_schedule_delay",
        ("OTEL_BSP_SCHEDULE_DELAY",),
        parsing.milliseconds,
        0.0,
        "milliseconds, 0 or more",
        "How long records are gathered for one OTLP request, in milliseconds, unless there are enough of them before.",
        default_text="`0`: sent as they come",
    ),
    Variable(
        "otlp_export_timeout",
        ("OTEL_BSP_EXPORT_TIMEOUT",),
        parsing.milliseconds,
        0.0,
        "milliseconds, 0 for no limit of its own",
        "As OTEL_EXPORTER_OTLP_TIMEOUT, in milliseconds; the shorter of both holds.",
        default_text="`0`: that of OTEL_EXPORTER_OTLP_TIMEOUT",
    ),
    Variable(
        "attribute_count_limit",
        ("OTEL_ATTRIBUTE_COUNT_LIMIT",),
        parsing.whole(0),
        None,
        _LIMIT,
        "Most attributes of a span or event sent by OTLP; the first are kept.",
        default_text="no limit",
    ),
    Variable(
        "span_attribute_count_limit",
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",),
        parsing.whole(0),
        None,
        _LIMIT,
        "The same for spans only.",
        default_text="OTEL_ATTRIBUTE_COUNT_LIMIT",
    ),
    Variable(
        "event_attribute_count_limit",
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",),
        parsing.whole(0),
        None,
        _LIMIT,
        "The same for events only.",
        default_text="OTEL_ATTRIBUTE_COUNT_LIMIT",
    ),
    Variable(
        "span_event_count_limit",
        ("OTEL_SPAN_EVENT_COUNT_LIMIT",),
        parsing.whole(0),
        None,
        _LIMIT,
        "Most events of a span sent by OTLP.",
        default_text="no limit",
    ),
    Variable(
        "attribute_length_limit",
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        parsing.whole(0),
        None,
        _LIMIT,
        "Longest text of an attribute sent by OTLP, in characters. Prompts and answers are shortened inside and stay valid JSON.",
        default_text="no limit",
    ),
    Variable(
        "service_name",
        ("OTEL_SERVICE_NAME",),
        parsing.stripped,
        None,
        "a name",
        "`service.name` of the resource.",
        default_text="unknown_service:python",
    ),
    Variable(
        "resource_attributes",
        ("OTEL_RESOURCE_ATTRIBUTES",),
        parsing.pairs,
        {},
        "key=value,key2=value2",
        "Further attributes of the resource.",
        default_text="none",
    ),
    Variable(
        "sampler",
        ("OTEL_TRACES_SAMPLER",),
        parsing.choice(*_OTEL_SAMPLERS),
        "parentbased_always_on",
        "one of " + ", ".join(_OTEL_SAMPLERS),
        "Which traces are recorded.",
    ),
    Variable(
        "sampler_argument",
        ("OTEL_TRACES_SAMPLER_ARG",),
        parsing.number(0, 1),
        1.0,
        "a number from 0 to 1",
        "Share of traces for the traceidratio samplers.",
    ),
    Variable(
        "dialects",
        ("TRACER_DIALECT",),
        parsing.dialects,
        (),
        "a comma list of otel, previous, phoenix, langfuse, langsmith",
        "Names under which spans tell what they tell, beside those of the GenAI conventions (`otel`, always there): `previous` those that "
        "the conventions had before, `phoenix` OpenInference, `langfuse` and `langsmith` those of these backends. See `docs/dialects.md`.",
        default_text="otel",
    ),
    Variable(
        "logs_exporter",
        ("OTEL_LOGS_EXPORTER",),
        parsing.choice_list("otlp", "console", "none"),
        (),
        "a comma list of otlp, console, none",
        "Where OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT asks for events: `otlp` sends them by OTLP, to localhost if no endpoint "
        "is set; `none`: not by OTLP. `console` is for other programs' logs.",
        default_text="unset",
    ),
    Variable(
        "otlp_logs_endpoint",
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",),
        parsing.endpoint,
        None,
        "a URL, or host:port",
        "OTLP address for events, used as it is; without it OTEL_EXPORTER_OTLP_ENDPOINT, to which `/v1/logs` is added for HTTP.",
    ),
    Variable(
        "otlp_logs_protocol",
        _otlp_logs("PROTOCOL"),
        parsing.choice("http/protobuf", "grpc", "http/json"),
        None,
        "http/protobuf, grpc or http/json",
        "OTLP protocol of events.",
        default_text="grpc where the endpoint's port is 4317, else http/protobuf",
    ),
    Variable(
        "otlp_logs_headers",
        _otlp_logs("HEADERS"),
        parsing.headers,
        {},
        "key=value,key2=value2",
        "Headers of OTLP requests with events.",
        secret=True,
        default_text="none",
    ),
    Variable(
        "otlp_logs_timeout",
        _otlp_logs("TIMEOUT"),
        parsing.export_seconds,
        10.0,
        "seconds above 0 and below 1000",
        "Longest time for one OTLP request with events, in seconds.",
    ),
    Variable(
        "otlp_logs_compression",
        _otlp_logs("COMPRESSION"),
        parsing.choice("none", "gzip", "deflate"),
        "none",
        "none, gzip or deflate",
        "Compression of OTLP requests with events; gRPC has no deflate.",
    ),
    Variable(
        "otlp_logs_insecure",
        _otlp_logs("INSECURE"),
        parsing.boolean,
        False,
        _BOOLEAN,
        "Events over gRPC without encryption where the endpoint has no scheme.",
    ),
    Variable(
        "otlp_logs_certificate",
        _otlp_logs("CERTIFICATE"),
        parsing.existing_file,
        None,
        "the path of a file",
        "Certificate authority for OTLP events over TLS.",
    ),
    Variable(
        "otlp_logs_client_key",
        _otlp_logs("CLIENT_KEY"),
        parsing.existing_file,
        None,
        "the path of a file",
        "Client key for OTLP events over mutual TLS.",
    ),
    Variable(
        "otlp_logs_client_certificate",
        _otlp_logs("CLIENT_CERTIFICATE"),
        parsing.existing_file,
        None,
        "the path of a file",
        "Client certificate for OTLP events over mutual TLS.",
    ),
    Variable(
        "metrics",
        ("TRACER_METRICS",),
        parsing.choice("off", V01, V141),
        None,
        "off, v0.1 or v1.41",
        "Names of the metrics: those of the GenAI conventions v0.1, or those of v1.41 that dashboards and official packages use. Set to "
        "either, OTEL_EXPORTER_OTLP_ENDPOINT is for metrics too. `off`: no metrics.",
        default_text="v1.41, where the application or OTEL_METRICS_EXPORTER has somewhere for metrics to go",
    ),
    Variable(
        "metrics_exporter",
        ("OTEL_METRICS_EXPORTER",),
        parsing.choice_list("otlp", "prometheus", "console", "none"),
        (),
        "a comma list of otlp, prometheus, console, none",
        "`otlp`: send metrics by OTLP, to localhost if no endpoint is set; `prometheus`: offer them for scraping (needs the extra "
        "`prometheus`); `console`: print them; `none`: no metrics of our own.",
        default_text="unset",
    ),
    Variable(
        "otlp_metrics_endpoint",
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",),
        parsing.endpoint,
        None,
        "a URL",
        "OTLP address for metrics, used as it is; without it OTEL_EXPORTER_OTLP_ENDPOINT, to which `/v1/metrics` is added for HTTP.",
    ),
    Variable(
        "otlp_metrics_protocol",
        _otlp_metrics("PROTOCOL"),
        parsing.choice("http/protobuf", "grpc", "http/json"),
        None,
        "http/protobuf, grpc or http/json",
        "OTLP protocol of metrics; http/json is not there for metrics and means http/protobuf.",
        default_text="grpc where the endpoint's port is 4317, else http/protobuf",
    ),
    Variable(
        "otlp_metrics_headers",
        _otlp_metrics("HEADERS"),
        parsing.headers,
        {},
        "key=value,key2=value2",
        "Headers of OTLP requests with metrics.",
        secret=True,
        default_text="none",
    ),
    Variable(
        "otlp_metrics_timeout",
        _otlp_metrics("TIMEOUT"),
        parsing.seconds(0.001),
        10.0,
        "seconds above 0",
        "Longest time for one OTLP request with metrics, in seconds.",
    ),
    Variable(
        "otlp_metrics_compression",
        _otlp_metrics("COMPRESSION"),
        parsing.choice("none", "gzip", "deflate"),
        "none",
        "none, gzip or deflate",
        "Compression of OTLP requests with metrics; gRPC has no deflate.",
    ),
    Variable(
        "otlp_metrics_certificate",
        _otlp_metrics("CERTIFICATE"),
        parsing.existing_file,
        None,
        "the path of a file",
        "Certificate authority for OTLP metrics over TLS.",
    ),
    Variable(
        "otlp_metrics_client_key",
        _otlp_metrics("CLIENT_KEY"),
        parsing.existing_file,
        None,
        "the path of a file",
        "Client key for OTLP metrics over mutual TLS.",
    ),
    Variable(
        "otlp_metrics_client_certificate",
        _otlp_metrics("CLIENT_CERTIFICATE"),
        parsing.existing_file,
        None,
        "the path of a file",
        "Client certificate for OTLP metrics over mutual TLS.",
    ),
    Variable(
        "metrics_temporality",
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",),
        parsing.choice("cumulative", "delta", "lowmemory"),
        "cumulative",
        "cumulative, delta or lowmemory",
        "Whether OTLP metrics tell what came since the start (`cumulative`) or since the last export (`delta`, `lowmemory`).",
    ),
    Variable(
        "metrics_histogram",
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",),
        parsing.choice("explicit_bucket_histogram", "base2_exponential_bucket_histogram"),
        "explicit_bucket_histogram",
        "explicit_bucket_histogram or base2_exponential_bucket_histogram",
        "Histograms of OTLP metrics: with the buckets of the conventions, or exponential ones.",
    ),
    Variable(
        "metrics_exemplars",
        ("OTEL_METRICS_EXEMPLAR_FILTER",),
        parsing.choice("trace_based", "always_on", "always_off"),
        "trace_based",
        "trace_based, always_on or always_off",
        "Which measurements may become exemplars: `trace_based` those of recorded traces, which they link to.",
    ),
    Variable(
        "metrics_interval",
        ("OTEL_METRIC_EXPORT_INTERVAL",),
        parsing.number(1, 2**31),
        60_000.0,
        "milliseconds above 0",
        "Time between two exports of metrics, in milliseconds.",
    ),
    Variable(
        "metrics_timeout",
        ("OTEL_METRIC_EXPORT_TIMEOUT",),
        parsing.number(1, 2**31),
        30_000.0,
        "milliseconds above 0",
        "Longest time for one export of metrics, in milliseconds; OTEL_EXPORTER_OTLP_TIMEOUT holds too.",
    ),
    Variable(
        "prometheus_host",
        ("OTEL_EXPORTER_PROMETHEUS_HOST",),
        parsing.stripped,
        "localhost",
        "a name or address",
        "Where metrics are offered for scraping.",
    ),
    Variable(
        "prometheus_port",
        ("OTEL_EXPORTER_PROMETHEUS_PORT",),
        parsing.port,
        9464,
        "a port number from 0 to 65535",
        "Port on which metrics are offered for scraping; 0: any.",
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, resolved. Made by `read`, never by hand except in tests; every field has its row in `VARIABLES`."""

    enabled: bool = True
    local: bool | str = False
    console: bool = False
    quiet: bool = False
    content: str | None = None
    stream_usage: str = "auto"
    max_content: int = 4 * MEBIBYTE
    prices: str | None = None
    providers: Mapping[str, str] = field(default_factory=dict[str, str])
    trust_headers: tuple[str, ...] = ()
    propagators: tuple[str, ...] = ("tracecontext", "baggage")
    exit_timeout: float = 2.0
    queue_records: int = 10_000
    queue_bytes: int = 64 * MEBIBYTE
    spool: str | None = None
    spool_bytes: int = 512 * MEBIBYTE
    spool_age: float = 7 * 24 * 3600.0
    limits: Mapping[str, str] = field(default_factory=dict[str, str])
    keep: tuple[str, ...] = ()
    sigterm: str = "off"
    mask: tuple[str, ...] = ("secrets",)
    mask_timeout: float = 1.0
    langchain: str = "defer"
    langsmith_tracing: bool = False
    langsmith_key: str | None = None
    langsmith_endpoint: str | None = None
    langsmith_project: str = "default"
    langsmith_workspace: str | None = None
    langsmith_runs_endpoints: str | None = None
    langsmith_sampling_rate: float = 1.0
    langsmith_batch_limit: int | None = None
    langsmith_no_compression: bool = False
    langsmith_hide_inputs: bool = False
    langsmith_hide_outputs: bool = False
    langsmith_hide_metadata: bool = False
    capture_message_content: str | None = None
    sdk_disabled: bool = False
    traces_exporter: tuple[str, ...] = ()
    otlp_traces_endpoint: str | None = None
    otlp_endpoint: str | None = None
    otlp_protocol: str | None = None
    otlp_headers: Mapping[str, str] = None  # type: ignore[assignment]  # filled by read; a shared mutable default is worse
    otlp_timeout: float = 10.0
    otlp_compression: str = "none"
    otlp_encoder: str = "own"
    otlp_insecure: bool = False
    otlp_certificate: str | None = None
    otlp_client_key: str | None = None
    otlp_client_certificate: str | None = None
    otlp_batch: int = 512
    otlp_schedule_delay: float = 0.0
    otlp_export_timeout: float = 0.0
    attribute_count_limit: int | None = None
    span_attribute_count_limit: int | None = None
    event_attribute_count_limit: int | None = None
    span_event_count_limit: int | None = None
    attribute_length_limit: int | None = None
    service_name: str | None = None
    resource_attributes: Mapping[str, str] = None  # type: ignore[assignment]
    sampler: str = "parentbased_always_on"
    sampler_argument: float = 1.0
    dialects: tuple[str, ...] = ()
    logs_exporter: tuple[str, ...] = ()
    otlp_logs_endpoint: str | None = None
    otlp_logs_protocol: str | None = None
    otlp_logs_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    otlp_logs_timeout: float = 10.0
    otlp_logs_compression: str = "none"
    otlp_logs_insecure: bool = False
    otlp_logs_certificate: str | None = None
    otlp_logs_client_key: str | None = None
    otlp_logs_client_certificate: str | None = None
    metrics: str | None = None
    metrics_exporter: tuple[str, ...] = ()
    otlp_metrics_endpoint: str | None = None
    otlp_metrics_protocol: str | None = None
    otlp_metrics_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    otlp_metrics_timeout: float = 10.0
    otlp_metrics_compression: str = "none"
    otlp_metrics_certificate: str | None = None
    otlp_metrics_client_key: str | None = None
    otlp_metrics_client_certificate: str | None = None
    metrics_temporality: str = "cumulative"
    metrics_histogram: str = "explicit_bucket_histogram"
    metrics_exemplars: str = "trace_based"
    metrics_interval: float = 60_000.0
    metrics_timeout: float = 30_000.0
    prometheus_host: str = "localhost"
    prometheus_port: int = 9464

    @property
    def forbidden(self) -> bool:
        """Tracing is ruled out for this process: `wrap` returns its argument."""
        return not self.enabled or self.sdk_disabled

    @property
    def otlp_on(self) -> bool:
        """Spans go to an OTLP endpoint of our own."""
        if "none" in self.traces_exporter:
            return False
        return bool(self.otlp_traces_endpoint or self.otlp_endpoint or "otlp" in self.traces_exporter)

    @property
    def events(self) -> bool:
        """Each model call is told as an event too, in a log record of OpenTelemetry."""
        return self.capture_message_content in ("event_only", "span_and_event")

    @property
    def events_by_otlp(self) -> bool:
        """Events go to an OTLP endpoint of our own, where the application has no logger provider."""
        if not self.events or "none" in self.logs_exporter:
            return False
        return bool(self.otlp_logs_endpoint or self.otlp_endpoint or "otlp" in self.logs_exporter)

    @property
    def content_on_spans(self) -> bool:
        """Spans of OpenTelemetry bear prompts and answers, where these are recorded."""
        return self.capture_message_content != "event_only"

    @property
    def console_on(self) -> bool:
        """Calls are printed on stderr."""
        return self.console or "console" in self.traces_exporter

    @property
    def local_by_default(self) -> bool:
        """The local store stands in: LangSmith tracing is on, but neither key nor endpoint nor any other destination is given."""
        return self.langsmith_tracing and not (self.langsmith_on or self.local or self.otlp_on or self.console_on)

    @property
    def langsmith_on(self) -> bool:
        """A LangSmith-style backend is asked for and can be reached."""
        return self.langsmith_tracing and bool(self.langsmith_key or self.langsmith_endpoint or self.langsmith_runs_endpoints)

    @property
    def any_destination(self) -> bool:
        """Something is to be recorded at all."""
        if self.forbidden:
            return False
        return bool(self.local) or self.otlp_on or self.console_on or self.langsmith_tracing or self.events_by_otlp

    @property
    def metrics_names(self) -> str | None:
        """Version of the conventions whose names metrics bear; None where there are to be no metrics."""
        return None if self.forbidden or self.metrics == "off" else self.metrics or V141

    @property
    def own_metrics(self) -> tuple[str, ...]:
        """Exporters of metrics that are ours, where the application has no meter provider: otlp, prometheus, console."""
        if self.metrics_names is None or "none" in self.metrics_exporter:
            return ()
        asked = dict.fromkeys(self.metrics_exporter)
        # The general endpoint may be one for traces only: that it takes metrics has to be said.
        if self.otlp_metrics_endpoint or (self.otlp_endpoint and self.metrics and not asked):
            asked["otlp"] = None
        return tuple(asked)

    def beside_host(self) -> Settings:
        """These settings where the application has a tracer provider of its own: that one exports, and we send no OTLP ourselves."""
        # The endpoints stay: metrics may go there.
        exporters = tuple(name for name in self.traces_exporter if name not in ("otlp", "none"))
        beside = replace(self, traces_exporter=(*exporters, "none"))
        # LangSmith without a key needs no local store to stand in: the records have somewhere to go.
        return replace(beside, langsmith_tracing=False) if beside.local_by_default else beside

    @property
    def content_beside_host(self) -> tuple[bool, bool]:
        """Whether prompts and answers are recorded where the application has a tracer provider of its own.

        With nothing but that, OpenTelemetry's rule holds: only if asked for.
        """
        asked = self.content is not None or self.capture_message_content is not None
        if asked or self.langsmith_tracing or self.beside_host().any_destination:
            return self.content_inputs, self.content_outputs
        return False, False

    @property
    def content_inputs(self) -> bool:
        """Prompts are recorded."""
        if self.content is not None:
            return self.content in ("on", "inputs")
        return self.capture_message_content != "no_content"

    @property
    def content_outputs(self) -> bool:
        """Answers are recorded."""
        if self.content is not None:
            return self.content in ("on", "outputs")
        return self.capture_message_content != "no_content"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting's value came from, for `tracer env`: `argument`, the name of a variable, or `default`."""

    variable: Variable
    value: Any
    source: str


def read(
    environment: Mapping[str, str] | None = None, arguments: Mapping[str, Any] | None = None
) -> tuple[Settings, list[Problem], list[Origin]]:
    """Resolve all settings.

    `arguments` are those of `tracer.configure`: field names of `Settings`, texts as in the environment or ready values.

    >>> settings, problems, origins = read({"TRACER_EXIT_TIMEOUT": "soon"})
    >>> settings.exit_timeout, str(problems[0])
    (2.0, "TRACER_EXIT_TIMEOUT='soon' is not valid: accepted is seconds, 0 or more. Using 2.0.")
    """
    environment = variables if environment is None else environment
    arguments = arguments or {}
    known = {variable.field for variable in VARIABLES}
    unknown = sorted(set(arguments) - known)
    if unknown:
        raise TypeError(f"configure() has no setting named {', '.join(unknown)}. Settings: {', '.join(sorted(known))}.")
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    origins: list[Origin] = []
    for variable in VARIABLES:
        value, source, found = _resolve(variable, environment, arguments)
        # The general names of OTLP stand for traces and for metrics: what is wrong with one is said once.
        problems += [problem for problem in found if problem.variable not in {known.variable for known in problems}]
        values[variable.field] = value
        origins.append(Origin(variable, value, source))
    return Settings(**values), problems, origins


def _resolve(variable: Variable, environment: Mapping[str, str], arguments: Mapping[str, Any]) -> tuple[Any, str, list[Problem]]:
    problems: list[Problem] = []
    given = arguments.get(variable.field)
    unset = given is None or (isinstance(given, str) and not given.strip())
    candidates: list[tuple[str, Any]] = [] if unset else [("argument", given)]
    candidates += [(name, environment[name]) for name in variable.names if environment.get(name, "").strip()]
    for source, text in candidates:
        label = f"configure({variable.field})" if source == "argument" else source
        try:
            # A ready value is written out and read again, so that arguments meet the same checks as variables.
            value = variable.parse(text if isinstance(text, str) else _as_text(text))
        except parsing.PartlyAcceptedError as partly:
            problems.append(Problem(label, _shown(variable, text), variable.accepted, partly.used))
            return partly.value, source, problems
        except (ValueError, TypeError, OverflowError):
            problems.append(Problem(label, _shown(variable, text), variable.accepted, _shown_default(variable)))
            return variable.default, "default", problems
        return value, source, problems
    return variable.default, "default", problems


def _shown(variable: Variable, text: Any) -> str:
    return "…" if variable.secret else parsing.without_credentials(str(text))


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return ",".join(f"{quote(str(key))}={quote(str(item))}" for key, item in value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value)


def _shown_default(variable: Variable) -> str:
    if variable.default_text is not None:
        return variable.default_text
    return "none" if variable.default is None else _as_text(variable.default)


def environment_value(name: str) -> str | None:
    """One variable that is not a setting of ours but that a command needs, such as `OPENAI_API_KEY`; blank is unset."""
    value = variables.get(name, "").strip()
    return value or None


assert {item.name for item in fields(Settings)} == {variable.field for variable in VARIABLES}
