"""Recording rules: our series under the names that ready-made GenAI dashboards ask for.

Nothing is summed up: each series stays one, so that `rate()` over it is right.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools.dashboards import promql as p

_ENDS = ("bucket", "sum", "count")
_MODELS = 'gen_ai_operation_name!~"embeddings|retrieval"'
_EMBEDDINGS = 'gen_ai_operation_name="embeddings"'
_INPUT = 'gen_ai_token_type="input"'
_OUTPUT = 'gen_ai_token_type="output"'
OPENLIT_LABELS = (
    ("gen_ai_system", "gen_ai_provider_name"),
    ("gen_ai_application_name", "service_name"),
    ("gen_ai_environment", "deployment_environment_name"),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """`name` is recorded from `expression`; `equals` says what its sum must be (as with panels)."""

    name: str
    expression: str
    equals: str


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that serve the same dashboards."""

    name: str
    serves: str
    rules: tuple[Rule, ...]


def _with_openlit_labels(query: str) -> str:
    for new, old in OPENLIT_LABELS:
        query = f'label_replace(\n{query},\n"{new}", "$1", "{old}", "(.*)")'
    return query


def _histogram(name: str, of: str, labels: str, equals: str, more_labels: bool = False) -> tuple[Rule, ...]:
    """Its three series; what is said of a histogram is said of its count (or, of tokens, of its sum)."""
    rules: list[Rule] = []
    for end in _ENDS:
        found = f"{of}_{end}{{{labels}}}"
        rules.append(Rule(f"{name}_{end}", _with_openlit_labels(found) if more_labels else found, f"{equals}: {end}"))
    return tuple(rules)


def _counter(name: str, found: str, equals: str) -> Rule:
    return Rule(name, _with_openlit_labels(found), equals)


_KINDS = 'tracer_kind=~"llm|embedding"'

GROUPS = (
    Group(
        "tracer-openlit-names",
        "Dashboards for OpenLIT's metrics, such as Grafana's AI Observability, and those for LiteLLM's, which uses the same names.\n"
        "Time to the first token is what the client saw, and time per output token that per chunk.",
        (
            _counter("gen_ai_requests_total", f"tracer_calls_total{{{_KINDS}}}", "model calls"),
            _counter("gen_ai_total_requests_total", f"tracer_calls_total{{{_KINDS}}}", "model calls"),
            _counter("gen_ai_usage_input_tokens_total", f"{p.TOKENS}_sum{{{_INPUT}}}", "input tokens"),
            _counter("gen_ai_usage_output_tokens_total", f"{p.TOKENS}_sum{{{_OUTPUT}}}", "output tokens"),
            _counter("gen_ai_usage_cost_USD_sum", 'tracer_cost_total{tracer_cost_currency="USD"}', "cost"),
            *_histogram("gen_ai_server_time_to_first_token_seconds", p.FIRST_CHUNK, "", "streams", True),
            *_histogram("gen_ai_server_time_per_output_token_seconds", p.PER_CHUNK, "", "times between chunks", True),
        ),
    ),
    Group(
        "tracer-names-with-unit",
        "Dashboards for metrics of collectors that write the unit of token counts into the name.",
        _histogram("gen_ai_client_token_usage_tokens", p.TOKENS, "", "token usage"),
    ),
    Group(
        "tracer-names-of-v0.1",
        "Dashboards for version 0.1 of the GenAI conventions. With TRACER_METRICS=v0.1 leave this group out.",
        (
            *_histogram("gen_ai_client_inference_duration_seconds", p.DURATION, _MODELS, "inference"),
            *_histogram("gen_ai_client_embeddings_duration_seconds", p.DURATION, _EMBEDDINGS, "embeddings"),
            *_histogram("gen_ai_client_inference_operation_input_tokens", p.TOKENS, f"{_MODELS},{_INPUT}", "inference input"),
            *_histogram("gen_ai_client_inference_operation_output_tokens", p.TOKENS, f"{_MODELS},{_OUTPUT}", "inference output"),
            Rule("gen_ai_client_inference_usage_input_tokens_total", f"{p.TOKENS}_sum{{{_MODELS},{_INPUT}}}", "inference input: sum"),
            Rule("gen_ai_client_inference_usage_output_tokens_total", f"{p.TOKENS}_sum{{{_MODELS},{_OUTPUT}}}", "inference output: sum"),
            *_histogram("gen_ai_client_inference_time_to_first_chunk_seconds", p.FIRST_CHUNK, "", "streams"),
            *_histogram("gen_ai_client_inference_time_per_output_chunk_seconds", p.PER_CHUNK, "", "times between chunks"),
        ),
    ),
)
