"""Every instrument, in one table: name, kind, unit, buckets.

`gen_ai.*`: OpenTelemetry GenAI semantic conventions, v0.1.0 and, where that differs, v1.41; `tracer.*`: our own.
"""

from __future__ import annotations

from dataclasses import dataclass

COUNTER = "counter"
HISTOGRAM = "histogram"
GAUGE = "gauge"

SECONDS = "s"
TOKENS = "{token}"
CALLS = "{call}"
RECORDS = "{record}"

DURATIONS = tuple(0.01 * 2**step for step in range(14))
"""0.01 … 81.92 s, as the conventions have it."""
TOKEN_COUNTS = tuple(4**step for step in range(14))
AGENT_DURATIONS = tuple(0.1 * 2**step for step in range(13))
WORKFLOW_DURATIONS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is measured. `unit` is a UCUM unit, in braces what is counted; `buckets` are the upper bounds of a histogram."""

    name: str
    kind: str
    unit: str
    description: str
    buckets: tuple[float, ...] = ()


# Named after the conventions v1.41.
OPERATION_DURATION = Instrument("gen_ai.client.operation.duration", HISTOGRAM, SECONDS, "Duration of a model call or retrieval.", DURATIONS)
TOKEN_USAGE = Instrument("gen_ai.client.token.usage", HISTOGRAM, TOKENS, "Tokens of a model call, by gen_ai.token.type.", TOKEN_COUNTS)
FIRST_CHUNK_V141 = Instrument(
    "gen_ai.client.operation.time_to_first_chunk", HISTOGRAM, SECONDS, "Time until the first chunk of a stream came.", DURATIONS
)
PER_CHUNK_V141 = Instrument(
    "gen_ai.client.operation.time_per_output_chunk",
    HISTOGRAM,
    SECONDS,
    "Mean time between the chunks of a stream; one value for each call.",
    DURATIONS,
)
WORKFLOW_DURATION = Instrument(
    "gen_ai.invoke_workflow.duration", HISTOGRAM, SECONDS, "Duration of a chain of the application's own.", WORKFLOW_DURATIONS
)

# Named after the conventions v0.1.
INFERENCE_DURATION = Instrument("gen_ai.client.inference.duration", HISTOGRAM, SECONDS, "Duration of a model call.", DURATIONS)
EMBEDDINGS_DURATION = Instrument("gen_ai.client.embeddings.duration", HISTOGRAM, SECONDS, "Duration of an embeddings call.", DURATIONS)
FIRST_CHUNK_V01 = Instrument("gen_ai.client.inference.time_to_first_chunk", HISTOGRAM, SECONDS, FIRST_CHUNK_V141.description, DURATIONS)
PER_CHUNK_V01 = Instrument("gen_ai.client.inference.time_per_output_chunk", HISTOGRAM, SECONDS, PER_CHUNK_V141.description, DURATIONS)
INPUT_TOKENS = Instrument("gen_ai.client.inference.usage.input_tokens", COUNTER, TOKENS, "Input tokens, by modality.")
OUTPUT_TOKENS = Instrument("gen_ai.client.inference.usage.output_tokens", COUNTER, TOKENS, "Output tokens, by modality.")
CALL_INPUT_TOKENS = Instrument(
    "gen_ai.client.inference.operation.input_tokens", HISTOGRAM, TOKENS, "Input tokens of a model call.", TOKEN_COUNTS
)
CALL_OUTPUT_TOKENS = Instrument(
    "gen_ai.client.inference.operation.output_tokens", HISTOGRAM, TOKENS, "Output tokens of a model call.", TOKEN_COUNTS
)
EMBEDDINGS_TOKENS = Instrument(
    "gen_ai.client.embeddings.operation.input_tokens", HISTOGRAM, TOKENS, "Input tokens of an embeddings call.", TOKEN_COUNTS
)

# The same in both.
CACHE_READ_TOKENS = Instrument(
    "gen_ai.client.inference.usage.cache_read.input_tokens", COUNTER, TOKENS, "Input tokens read from the provider's cache."
)
CACHE_WRITE_TOKENS = Instrument(
    "gen_ai.client.inference.usage.cache_write.input_tokens", COUNTER, TOKENS, "Input tokens written to the provider's cache."
)
REASONING_TOKENS = Instrument("gen_ai.client.inference.usage.reasoning.output_tokens", COUNTER, TOKENS, "Output tokens spent on reasoning.")
TOOL_DURATION = Instrument("gen_ai.execute_tool.duration", HISTOGRAM, SECONDS, "Duration of a tool's run.", DURATIONS)
AGENT_DURATION = Instrument("gen_ai.invoke_agent.duration", HISTOGRAM, SECONDS, "Duration of an agent's run.", AGENT_DURATIONS)

# Our own.
ALL_CALLS = Instrument("tracer.calls", COUNTER, CALLS, "Calls that have ended, by outcome.")
ATTEMPTS = Instrument("tracer.attempts", COUNTER, "{attempt}", "HTTP requests of calls, retries included, by status.")
COST = Instrument("tracer.cost.total", COUNTER, "{currency}", "What calls cost, in the currency of the label.")
UNPRICED = Instrument("tracer.cost.unpriced", COUNTER, CALLS, "Model calls with token counts whose price is not known.")
USAGE_MISSING = Instrument("tracer.usage.missing", COUNTER, CALLS, "Model calls for which no tokens were reported.")
PROVIDER_TIME = Instrument("tracer.stream.provider_time", COUNTER, SECONDS, "Time in which streams waited for the provider.")
CONSUMER_TIME = Instrument("tracer.stream.consumer_time", COUNTER, SECONDS, "Time in which streams waited for the caller.")
LONGEST_GAP = Instrument(
    "tracer.stream.longest_gap", HISTOGRAM, SECONDS, "The longest wait for a chunk of a stream after the first.", DURATIONS
)
STALLS = Instrument("tracer.stream.stalls", COUNTER, "{stream}", "Streams in which a chunk after the first took 5 s or longer.")
PAYLOAD = Instrument("tracer.payload", COUNTER, "By", "Bytes of bodies sent and received.")

STARTED = Instrument("tracer.calls.started", COUNTER, CALLS, "Calls that have begun.")
OPEN = Instrument("tracer.calls.open", GAUGE, CALLS, "Calls that have begun and not ended.")
SETTLED = Instrument("tracer.records", COUNTER, RECORDS, "Records whose fate is known, by destination and fate.")
SHORTENED = Instrument("tracer.records.shortened", COUNTER, RECORDS, "Records that lost contents, by destination and reason.")
WAITING = Instrument("tracer.records.waiting", GAUGE, RECORDS, "Records on their way, by destination and where they wait.")
FAULTS = Instrument("tracer.faults", COUNTER, "{fault}", "Errors inside the library, by place.")
OVERFLOWS = Instrument(
    "tracer.metrics.overflows", COUNTER, "{measurement}", "Measurements whose labels were left out, because an instrument had too many."
)

INSTRUMENTS = tuple(value for value in list(vars().values()) if isinstance(value, Instrument))
"""All of them, in the order of this file."""
