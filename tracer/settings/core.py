"""Settings of the library itself: what is recorded, where it waits, what is kept and masked, how the process ends."""

from __future__ import annotations

from collections.abc import Mapping

from tracer import parsing
from tracer.parsing import MEBIBYTE
from tracer.settings import forms
from tracer.settings.variable import Table, setting

BOOLEAN = "true or false"


class Core(Table):
    """Variables of this library, and those of others that are about the library as a whole."""

    __slots__ = ()

    enabled: bool = setting(
        "TRACER_ENABLED",
        parse=parsing.boolean,
        default=True,
        accepted=BOOLEAN,
        meaning="`false`: `wrap` returns its argument and nothing is traced.",
    )
    local: bool | str = setting(
        "TRACER_LOCAL",
        parse=parsing.boolean_or_path,
        default=False,
        accepted="true, false or a path",
        meaning="Keep records in a local SQLite file: `true` for the default place, or the path of the file. Read it with `tracer show`.",
    )
    console: bool = setting(
        "TRACER_CONSOLE",
        parse=parsing.boolean,
        default=False,
        accepted=BOOLEAN,
        meaning="Print one readable block for each call on stderr.",
    )
    quiet: bool = setting(
        "TRACER_QUIET",
        parse=parsing.boolean,
        default=False,
        accepted=BOOLEAN,
        meaning="Leave out the line at start that says where traces go.",
    )
    content: str | None = setting(
        "TRACER_CONTENT",
        parse=parsing.choice("on", "off", "inputs", "outputs"),
        default=None,
        accepted="on, off, inputs or outputs",
        meaning="Which prompts and answers are recorded. Wins over OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT.",
        default_text="on when a tracing variable is set",
    )
    stream_usage: str = setting(
        "TRACER_STREAM_USAGE",
        parse=parsing.choice("auto", "always", "off"),
        default="auto",
        accepted="auto, always or off",
        meaning=(
            "Ask for token usage on chat streams and hide it from the caller: `auto` where it is known to be safe, `always` also at "
            "endpoints that were seen to send usage unasked or to refuse the option, `off` never."
        ),
    )
    max_content: int = setting(
        "TRACER_MAX_CONTENT",
        parse=parsing.byte_count,
        default=4 * MEBIBYTE,
        accepted="a number of bytes, such as 4194304 or 4MiB",
        meaning="Bytes of content kept for one record; longer texts keep head and tail.",
    )
    prices: str | None = setting(
        "TRACER_PRICES",
        parse=parsing.existing_file,
        default=None,
        accepted="the path of a JSON or TOML file",
        meaning="Price file used before the bundled prices.",
    )
    providers: Mapping[str, str] = setting(
        "TRACER_PROVIDERS",
        parse=forms.provider_names,
        default={},
        accepted="host=name or host:port=name, separated by commas",
        meaning=(
            "Who answers at hosts of your own (`gen_ai.provider.name`), such as `localhost:8000=vllm,llm.example.com=groq`; others are "
            "told by their address."
        ),
        default_text="none",
    )
    trust_headers: tuple[str, ...] = setting(
        "TRACER_TRUST_HEADERS",
        parse=forms.trusted_callers,
        default=(),
        accepted="none, all, or hosts and networks separated by commas",
        meaning="Whose `traceparent`, `baggage` and other headers `tracer.continue_from` believes, such as `10.0.0.0/8,gateway.internal`.",
        default_text="none",
    )
    propagators: tuple[str, ...] = setting(
        "OTEL_PROPAGATORS",
        parse=forms.propagators,
        default=("tracecontext", "baggage"),
        accepted="a comma list of tracecontext, baggage, b3, b3multi, jaeger; or none alone",
        meaning="Headers that `tracer.headers` writes and `tracer.continue_from` reads.",
    )
    exit_timeout: float = setting(
        "TRACER_EXIT_TIMEOUT",
        parse=parsing.seconds(0),
        default=2.0,
        accepted="seconds, 0 or more",
        meaning="The longest time the end of the process waits for records to be sent, in seconds.",
    )
    queue_records: int = setting(
        "TRACER_QUEUE_RECORDS",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        parse=parsing.whole(1),
        default=10_000,
        accepted="a whole number above 0",
        meaning="Records that may wait for each destination; beyond it the oldest are dropped and counted.",
    )
    queue_bytes: int = setting(
        "TRACER_QUEUE_BYTES",
        parse=parsing.byte_count,
        default=64 * MEBIBYTE,
        accepted="a number of bytes, such as 67108864 or 64MiB",
        meaning="Bytes that may wait for each destination; beyond it the oldest records lose their contents, then the oldest are dropped.",
    )
    spool: str | None = setting(
        "TRACER_SPOOL",
        parse=parsing.folder,
        default=None,
        accepted="the path of a directory",
        meaning=(
            "Directory in which records for destinations on the network are kept until they have arrived. They outlive the process; the "
            "next one that records to the same place sends them, or `tracer flush`. Several processes may share it."
        ),
    )
    spool_bytes: int = setting(
        "TRACER_SPOOL_BYTES",
        parse=parsing.byte_count,
        default=512 * MEBIBYTE,
        accepted="a number of bytes, such as 536870912 or 512MiB",
        meaning="Bytes that the spool directory may take; beyond it the oldest records are dropped and counted.",
    )
    spool_age: float = setting(
        "TRACER_SPOOL_AGE",
        parse=parsing.seconds(1),
        default=7 * 24 * 3600.0,
        accepted="seconds, 1 or more",
        meaning="How long a record may wait in the spool, in seconds; older ones are dropped and said.",
    )
    limits: Mapping[str, str] = setting(
        "TRACER_LIMITS",
        parse=forms.limits,
        default={},
        accepted="tempo, jaeger, langsmith or none, also by destination, such as otlp=tempo,langsmith=langsmith",
        meaning=(
            "The backend behind a destination, whose limits then hold there: texts are shortened inside, head and tail kept, so that "
            "message JSON stays valid. `tempo`: 2,048 bytes an attribute, 4 MiB a request, 5 MB a trace; `jaeger`: 4 MiB a request; "
            "`langsmith`: 20 MiB a request. OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT goes before the attribute size."
        ),
        default_text="none",
    )
    keep: tuple[str, ...] = setting(
        "TRACER_KEEP",
        parse=forms.keep_rules,
        default=(),
        accepted="a comma list of errors, stopped and slow>SECONDS",
        meaning=(
            "Traces that are recorded whole although OTEL_TRACES_SAMPLER says no: those with a call that failed, was stopped, or took "
            "longer. Calls wait in memory for the end of the outermost one, as many as TRACER_QUEUE_RECORDS and TRACER_QUEUE_BYTES "
            "allow."
        ),
        default_text="none",
    )
    sigterm: str = setting(
        "TRACER_SIGTERM",
        parse=parsing.choice("flush", "off"),
        default="off",
        accepted="flush or off",
        meaning=(
            "`flush`: on SIGTERM open calls are recorded as unfinished and everything is sent, within TRACER_EXIT_TIMEOUT, before the "
            "handler that was there, or the signal itself, ends the process."
        ),
    )
    mask: tuple[str, ...] = setting(
        "TRACER_MASK",
        parse=forms.masks,
        default=("secrets",),
        accepted="off, or a comma list of secrets, api_keys, bearer, jwt, private_keys, cards, emails and module:function",
        meaning=(
            "What is taken out of prompts, answers, errors and metadata before any destination sees them. `secrets` stands for API keys, "
            "bearer tokens, JWTs and private keys; a function of your own takes a text and gives the one to record."
        ),
        default_text="`secrets`",
    )
    mask_timeout: float = setting(
        "TRACER_MASK_TIMEOUT",
        parse=parsing.seconds(0.001),
        default=1.0,
        accepted="seconds above 0",
        meaning="How long functions of TRACER_MASK may take for one record, in seconds; after that its content is left out.",
    )
    langchain: str = setting(
        "TRACER_LANGCHAIN",
        parse=parsing.choice("defer", "replace"),
        default="defer",
        accepted="defer or replace",
        meaning="Who posts LangChain's runs to LangSmith: LangChain's own tracer (`defer`) or this library (`replace`).",
    )
