"""Overview: how much is asked of models, how it ends, how long it takes, what it costs."""

from __future__ import annotations

from tools.dashboards import promql as p
from tools.dashboards import traceql as t
from tools.dashboards.tables import BARS, LINES, STAT, TABLE, Dashboard, Panel, Query

_CALLS = "tracer_calls_total"
_FAILED = f'{p.MODEL_CALL},tracer_outcome="failed"'
_STOPPED = f'{p.MODEL_CALL},tracer_outcome="stopped"'
_ALL = t.found(f"{t.MODEL_CALL} && span.tracer.outcome != nil")
_FAILED_SPANS = t.found(f'{t.MODEL_CALL} && span.tracer.outcome = "failed"')

PANELS = (
    Panel(
        "Calls",
        STAT,
        "short",
        (Query(p.or_zero(p.total(_CALLS, p.MODEL_CALL)), "model calls"),),
        "Calls of models that have ended in this time, embeddings included.",
        search=_ALL,
        width=3,
        height=4,
    ),
    Panel(
        "Failed",
        STAT,
        "percentunit",
        (Query(p.share(p.or_zero(p.total(_CALLS, _FAILED)), p.total(_CALLS, p.MODEL_CALL)), "failed model calls / model calls"),),
        "Share of calls that raised an error. What the caller stopped, cancelled or never read is no failure.",
        limits=(0.02, 0.05),
        search=_FAILED_SPANS,
        width=3,
        height=4,
        decimals=2,
    ),
    Panel(
        "Stopped by the caller",
        STAT,
        "short",
        (Query(p.or_zero(p.total(_CALLS, _STOPPED)), "stopped model calls"),),
        "Streams that the caller left before their end.",
        search=t.found(f'{t.MODEL_CALL} && span.tracer.outcome = "stopped"'),
        width=3,
        height=4,
    ),
    Panel(
        "Latency, p95",
        STAT,
        "s",
        (Query(p.quantile(0.95, p.DURATION, p.TIMED), "p95 of durations"),),
        "19 of 20 calls took at most so long (streams: until their end).",
        limits=(20, 60),
        search=t.found(f"{t.MODEL_CALL} && duration > 20s"),
        width=3,
        height=4,
    ),
    Panel(
        "First token, p95",
        STAT,
        "s",
        (Query(p.quantile(0.95, p.FIRST_CHUNK, p.CALL), "p95 of times to the first chunk"),),
        "Streams: the time until the first chunk came.",
        limits=(3, 10),
        search=t.found(f"{t.MODEL_CALL} && span.gen_ai.response.time_to_first_chunk > 3.0"),
        width=3,
        height=4,
    ),
    Panel(
        "Tokens",
        STAT,
        "short",
        (Query(p.or_zero(p.total(p.TOKENS + "_sum", p.CALL)), "tokens"),),
        "Input and output. Cached and reasoning tokens are parts of these.",
        search=t.found(f"{t.MODEL_CALL} && span.gen_ai.usage.input_tokens > 10000"),
        width=3,
        height=4,
    ),
    Panel(
        "Cost",
        STAT,
        "currencyUSD",
        (Query(p.or_zero(p.total("tracer_cost_total", f'{p.CALL},tracer_cost_currency="USD"')), "cost"),),
        "Of calls whose price is known; see the dashboard on cost for the rest.",
        search=t.found(f"{t.MODEL_CALL} && span.tracer.cost.total > 0.01"),
        width=3,
        height=4,
    ),
    Panel(
        "Open now",
        STAT,
        "short",
        (Query(p.or_zero(f"sum (tracer_calls_open{{{p.SERVICE}}})"), "open calls"),),
        "Calls, and spans of the application's own, that have begun and not ended.",
        search=_ALL,
        width=3,
        height=4,
    ),
    Panel(
        "Calls by outcome",
        BARS,
        "short",
        (Query(p.total(_CALLS, p.MODEL_CALL, p.INTERVAL, "tracer_outcome"), "model calls by outcome", "{{tracer_outcome}}"),),
        "Bars add up to the number of calls.",
        search=t.of_series("span.tracer.outcome"),
    ),
    Panel(
        "Errors by type",
        BARS,
        "short",
        (Query(p.total(_CALLS, _FAILED, p.INTERVAL, "error_type"), "failed model calls by error type", "{{error_type}}"),),
        "Real failures only: those whose outcome is `failed`.",
        search=t.of_series("span.error.type"),
    ),
    Panel(
        "Latency",
        LINES,
        "s",
        (
            Query(p.quantile(0.5, p.DURATION, p.TIMED, p.RATE), "p50 of durations", "p50"),
            Query(p.quantile(0.95, p.DURATION, p.TIMED, p.RATE), "p95 of durations", "p95"),
            Query(p.quantile(0.99, p.DURATION, p.TIMED, p.RATE), "p99 of durations", "p99"),
        ),
        "Points are exemplars: a click leads to the trace.",
        search=t.found(f"{t.MODEL_CALL} && duration > 20s"),
    ),
    Panel(
        "Time to first token",
        LINES,
        "s",
        (
            Query(p.quantile(0.5, p.FIRST_CHUNK, p.CALL, p.RATE), "p50 of times to the first chunk", "p50"),
            Query(p.quantile(0.95, p.FIRST_CHUNK, p.CALL, p.RATE), "p95 of times to the first chunk", "p95"),
        ),
        "Streams only.",
        search=t.found(f"{t.MODEL_CALL} && span.gen_ai.response.time_to_first_chunk > 3.0"),
    ),
    Panel(
        "Tokens by type",
        BARS,
        "short",
        (Query(p.total(p.TOKENS + "_sum", p.CALL, p.INTERVAL, "gen_ai_token_type"), "tokens by type", "{{gen_ai_token_type}}"),),
        "Bars add up to the number of tokens.",
        search=t.found(f"{t.MODEL_CALL} && span.gen_ai.usage.input_tokens > 10000"),
    ),
    Panel(
        "Cost per hour",
        LINES,
        "currencyUSD",
        (
            Query(
                p.total("tracer_cost_total", f'{p.CALL},tracer_cost_currency="USD"', p.HOUR, "gen_ai_request_model"),
                "cost by model",
                "{{gen_ai_request_model}}",
            ),
        ),
        "At each point: what the hour before it has cost.",
        search=t.of_series("span.gen_ai.request.model"),
    ),
    Panel(
        "Top models",
        TABLE,
        "short",
        (
            Query(p.total(_CALLS, p.MODEL_CALL, by="gen_ai_request_model"), "model calls by model"),
            Query(p.total(_CALLS, _FAILED, by="gen_ai_request_model"), "failed model calls by model"),
            Query(p.total(p.TOKENS + "_sum", p.CALL, by="gen_ai_request_model"), "tokens by model"),
            Query(p.total("tracer_cost_total", f'{p.CALL},tracer_cost_currency="USD"', by="gen_ai_request_model"), "cost by model"),
            Query(p.quantile(0.95, p.DURATION, p.TIMED, by="gen_ai_request_model"), "p95 of durations by model"),
        ),
        "A click on a model leads to its traces.",
        columns=(
            ("gen_ai_request_model", "Model", ""),
            ("Value #A", "Calls", "short"),
            ("Value #B", "Failed", "short"),
            ("Value #C", "Tokens", "short"),
            ("Value #D", "Cost", "currencyUSD"),
            ("Value #E", "p95", "s"),
        ),
        search=t.found(f'{t.MODEL_CALL} && span.gen_ai.request.model = "${{__data.fields.Model}}"'),
        width=24,
    ),
    Panel(
        "Tools",
        TABLE,
        "short",
        (
            Query(p.total("gen_ai_execute_tool_duration_seconds_count", p.SERVICE, by="gen_ai_tool_name"), "runs of tools"),
            Query(p.total("gen_ai_execute_tool_duration_seconds_sum", p.SERVICE, by="gen_ai_tool_name"), "seconds of tools"),
        ),
        "The application's own spans of kind `tool`.",
        columns=(("gen_ai_tool_name", "Tool", ""), ("Value #A", "Runs", "short"), ("Value #B", "Time in total", "s")),
        search=t.found(f'{t.SERVICE} && span.gen_ai.tool.name = "${{__data.fields.Tool}}"'),
        width=8,
        height=7,
    ),
    Panel(
        "Agents",
        TABLE,
        "short",
        (
            Query(p.total("gen_ai_invoke_agent_duration_seconds_count", p.SERVICE, by="gen_ai_agent_name"), "runs of agents"),
            Query(p.total("gen_ai_invoke_agent_duration_seconds_sum", p.SERVICE, by="gen_ai_agent_name"), "seconds of agents"),
        ),
        "The application's own spans of kind `agent`.",
        columns=(("gen_ai_agent_name", "Agent", ""), ("Value #A", "Runs", "short"), ("Value #B", "Time in total", "s")),
        search=t.found(f'{t.SERVICE} && span.gen_ai.agent.name = "${{__data.fields.Agent}}"'),
        width=8,
        height=7,
    ),
    Panel(
        "Chains",
        TABLE,
        "short",
        (
            Query(p.total("gen_ai_invoke_workflow_duration_seconds_count", p.SERVICE, by="gen_ai_workflow_name"), "runs of chains"),
            Query(p.total("gen_ai_invoke_workflow_duration_seconds_sum", p.SERVICE, by="gen_ai_workflow_name"), "seconds of chains"),
        ),
        "The application's own spans of kind `chain`.",
        columns=(("gen_ai_workflow_name", "Chain", ""), ("Value #A", "Runs", "short"), ("Value #B", "Time in total", "s")),
        search=t.found(f'{t.SERVICE} && name = "${{__data.fields.Chain}}"'),
        width=8,
        height=7,
    ),
)

DASHBOARD = Dashboard("overview", "tracer-overview", "tracer: overview", __doc__ or "", PANELS)
