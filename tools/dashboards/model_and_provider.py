"""Model and provider: who is slow, who refuses, who stalls, and what the provider's cache saves."""

from __future__ import annotations

from tools.dashboards import promql as p
from tools.dashboards import traceql as t
from tools.dashboards.tables import BARS, HEATMAP, LINES, STAT, TABLE, Dashboard, Panel, Query

_CACHE_READ = "gen_ai_client_inference_usage_cache_read_input_tokens_total"
_CACHE_WRITE = "gen_ai_client_inference_usage_cache_write_input_tokens_total"
_REASONING = "gen_ai_client_inference_usage_reasoning_output_tokens_total"
_INPUT = f'{p.CALL},gen_ai_token_type="input"'
_OUTPUT = f'{p.CALL},gen_ai_token_type="output"'
_REFUSED = f'{p.CALL},http_response_status_code="429"'
_OF_MODEL = t.of_series("span.gen_ai.request.model")
_RETRIED = t.found(f'{t.SERVICE} && name = "attempt" && span.http.response.status_code = 429')
_CACHED = t.found(f"{t.MODEL_CALL} && span.gen_ai.usage.cache_read.input_tokens > 0")
_STREAMS = t.found(f"{t.MODEL_CALL} && span.tracer.stream.chunks > 0")

PANELS = (
    Panel(
        "Refused by rate limits",
        STAT,
        "percentunit",
        (
            Query(
                p.share(p.or_zero(p.total("tracer_attempts_total", _REFUSED)), p.total("tracer_attempts_total", p.CALL)),
                "attempts with status 429 / attempts",
            ),
        ),
        "Share of HTTP requests, retries included, that were answered with 429.",
        limits=(0.02, 0.1),
        search=_RETRIED,
        width=4,
        height=4,
        decimals=2,
    ),
    Panel(
        "Attempts for a call",
        STAT,
        "none",
        (
            Query(
                p.share(p.total("tracer_attempts_total", p.CALL), p.total("tracer_calls_total", p.MODEL_CALL)),
                "attempts / model calls",
            ),
        ),
        "HTTP requests for each call of a model: 1 without retries.",
        limits=(1.2, 2),
        search=_RETRIED,
        width=4,
        height=4,
        decimals=2,
    ),
    Panel(
        "Stalled streams",
        STAT,
        "short",
        (Query(p.or_zero(p.total("tracer_stream_stalls_total", p.CALL)), "stalled streams"),),
        "Streams in which a chunk took 5 s or longer.",
        limits=(1, 10),
        search=t.found(f"{t.MODEL_CALL} && span.tracer.stream.longest_gap >= 5.0"),
        width=4,
        height=4,
    ),
    Panel(
        "Read from the cache",
        STAT,
        "percentunit",
        (
            Query(
                p.share(p.or_zero(p.total(_CACHE_READ, p.CALL)), p.total(p.TOKENS + "_sum", _INPUT)),
                "cached input tokens / input tokens",
            ),
        ),
        "Share of the input tokens that the provider read from its cache, at a lower price.",
        search=_CACHED,
        width=4,
        height=4,
    ),
    Panel(
        "Spent on reasoning",
        STAT,
        "percentunit",
        (
            Query(
                p.share(p.or_zero(p.total(_REASONING, p.CALL)), p.total(p.TOKENS + "_sum", _OUTPUT)),
                "reasoning tokens / output tokens",
            ),
        ),
        "Share of the output tokens that nobody gets to read.",
        search=t.found(f"{t.MODEL_CALL} && span.gen_ai.usage.reasoning.output_tokens > 0"),
        width=4,
        height=4,
    ),
    Panel(
        "Output tokens a second",
        STAT,
        "none",
        (
            Query(
                p.share(p.total(p.TOKENS + "_sum", _OUTPUT), p.total(p.DURATION + "_sum", p.TIMED)),
                "output tokens / seconds of calls",
            ),
        ),
        "Of one call, on average: output tokens by the time that calls took.",
        search=_STREAMS,
        width=4,
        height=4,
        decimals=1,
    ),
    Panel(
        "Latency of calls",
        HEATMAP,
        "s",
        (Query(p.total(p.DURATION + "_bucket", p.TIMED, p.INTERVAL, "le"), "durations by bucket", "{{le}}"),),
        "How many calls took how long. The darker, the more.",
        search=t.found(f"{t.MODEL_CALL} && duration > 20s"),
        width=24,
        height=9,
    ),
    Panel(
        "Latency by model, p95",
        LINES,
        "s",
        (
            Query(
                p.quantile(0.95, p.DURATION, p.TIMED, p.RATE, "gen_ai_request_model"),
                "p95 of durations by model",
                "{{gen_ai_request_model}}",
            ),
        ),
        "A model that slows down leaves its neighbours.",
        search=_OF_MODEL,
    ),
    Panel(
        "First token by model, p95",
        LINES,
        "s",
        (
            Query(
                p.quantile(0.95, p.FIRST_CHUNK, p.CALL, p.RATE, "gen_ai_request_model"),
                "p95 of times to the first chunk by model",
                "{{gen_ai_request_model}}",
            ),
        ),
        "Streams only.",
        search=_OF_MODEL,
    ),
    Panel(
        "Output tokens a second by model",
        LINES,
        "none",
        (
            Query(
                f"({p.total(p.TOKENS + '_sum', _OUTPUT, p.RATE, 'gen_ai_request_model')})"
                f" / ({p.total(p.DURATION + '_sum', p.TIMED, p.RATE, 'gen_ai_request_model')} > 0)",
                "output tokens / seconds of calls by model",
                "{{gen_ai_request_model}}",
            ),
        ),
        "Of one call, on average.",
        search=_OF_MODEL,
    ),
    Panel(
        "Time between chunks, p95",
        LINES,
        "s",
        (
            Query(
                p.quantile(0.95, p.PER_CHUNK, p.CALL, p.RATE, "gen_ai_request_model"),
                "a time for each model with streams",
                "{{gen_ai_request_model}}",
            ),
        ),
        "Of each stream the mean; of these the 95th percentile.",
        search=_OF_MODEL,
    ),
    Panel(
        "Attempts by status",
        BARS,
        "short",
        (
            Query(
                p.total("tracer_attempts_total", p.CALL, p.INTERVAL, "http_response_status_code"),
                "attempts by status",
                "{{http_response_status_code}}",
            ),
        ),
        "Each HTTP request, retries included. Without a status: no answer came.",
        search=_RETRIED,
    ),
    Panel(
        "Refusals (429) by model",
        BARS,
        "short",
        (
            Query(
                p.total("tracer_attempts_total", _REFUSED, p.INTERVAL, "gen_ai_request_model"),
                "attempts with status 429 by model",
                "{{gen_ai_request_model}}",
            ),
        ),
        "Each refused HTTP request, also where a retry helped.",
        search=_OF_MODEL,
    ),
    Panel(
        "Who was waited for",
        BARS,
        "s",
        (
            Query(
                p.total("tracer_stream_provider_time_seconds_total", p.CALL, p.INTERVAL),
                "seconds that streams waited for the provider",
                "provider",
            ),
            Query(
                p.total("tracer_stream_consumer_time_seconds_total", p.CALL, p.INTERVAL),
                "seconds that streams waited for the caller",
                "caller",
            ),
        ),
        "Of streams: the time in which the provider was waited for, and the time the program took with the chunks.",
        search=_STREAMS,
    ),
    Panel(
        "Longest gap of a stream, p95",
        LINES,
        "s",
        (
            Query(
                p.quantile(0.95, "tracer_stream_longest_gap_seconds", p.CALL, p.RATE, "gen_ai_request_model"),
                "p95 of longest gaps by model",
                "{{gen_ai_request_model}}",
            ),
        ),
        "The longest wait for a chunk after the first.",
        search=t.found(f"{t.MODEL_CALL} && span.tracer.stream.longest_gap >= 1.0"),
    ),
    Panel(
        "Cache and reasoning by model",
        TABLE,
        "short",
        (
            Query(p.total(p.TOKENS + "_sum", _INPUT, by="gen_ai_request_model"), "input tokens by model"),
            Query(p.total(_CACHE_READ, p.CALL, by="gen_ai_request_model"), "cached input tokens by model"),
            Query(p.total(_CACHE_WRITE, p.CALL, by="gen_ai_request_model"), "cache-write input tokens by model"),
            Query(p.total(p.TOKENS + "_sum", _OUTPUT, by="gen_ai_request_model"), "output tokens by model"),
            Query(p.total(_REASONING, p.CALL, by="gen_ai_request_model"), "reasoning tokens by model"),
        ),
        "Cached and written tokens are parts of the input, reasoning is part of the output.",
        columns=(
            ("gen_ai_request_model", "Model", ""),
            ("Value #A", "Input", "short"),
            ("Value #B", "Read from cache", "short"),
            ("Value #C", "Written to cache", "short"),
            ("Value #D", "Output", "short"),
            ("Value #E", "Reasoning", "short"),
        ),
        search=t.found(f'{t.MODEL_CALL} && span.gen_ai.request.model = "${{__data.fields.Model}}"'),
        width=24,
    ),
)

DASHBOARD = Dashboard("model-and-provider", "tracer-models", "tracer: model and provider", __doc__ or "", PANELS)
