"""The PromQL that panels and alerts are made of."""

from __future__ import annotations

SERVICE = 'service_name=~"$service",deployment_environment_name=~"$environment"'
CALL = f'{SERVICE},gen_ai_provider_name=~"$provider",gen_ai_request_model=~"$model"'
MODEL_CALL = f'{CALL},tracer_kind=~"llm|embedding"'
TIMED = f'{CALL},gen_ai_operation_name!="retrieval"'
"""Of the durations: those of model calls. Retrievals of the application's own share their histogram."""

RANGE = "$__range"
INTERVAL = "$__interval"
RATE = "$__rate_interval"
HOUR = "1h"

_EARLIER = "1h"
"""How far back the value before a window is looked for. A process that is silent for longer counts from 0 again."""

DURATION = "gen_ai_client_operation_duration_seconds"
TOKENS = "gen_ai_client_token_usage"
FIRST_CHUNK = "gen_ai_client_operation_time_to_first_chunk_seconds"
PER_CHUNK = "gen_ai_client_operation_time_per_output_chunk_seconds"


def counted(series: str, labels: str, window: str) -> str:
    """By how much each series of a counter has grown within `window`: exactly, where Prometheus' `increase` extrapolates.

    Counts are whole numbers again, and those of a script that lived shorter than two exports are there at all:

    * what a series had at the end, less what it had before the window; all of it, if it began within (every process has series of its
      own, by `service.instance.id`, that begin at 0);
    * where a counter was reset within the window (an instance id that several processes share), `increase`, which knows resets.

    Neighbouring windows add up to the whole, because ranges are open on their left.
    """
    found = f"{series}{{{labels}}}"
    end = f"last_over_time({found}[{window}])"
    before = f"last_over_time({found}[{_EARLIER}] offset {window})"
    return (
        f"((\n  (({end}\n    - {before}) >= 0\n    or {end})\n  unless resets({found}[{window}]) > 0)\n  or increase({found}[{window}])\n)"
    )


def total(series: str, labels: str, window: str = RANGE, by: str = "") -> str:
    """`counted`, summed up; by labels, where `by` names some. Before the first event of a counter there is nothing to sum up."""
    grouping = f" by ({by})" if by else ""
    return f"sum{grouping} ({counted(series, labels, window)})"


def or_zero(query: str) -> str:
    """0 where nothing was counted: only for a query with a single value."""
    return f"{query} or vector(0)"


def quantile(which: float, histogram: str, labels: str, window: str = RANGE, by: str = "") -> str:
    """A quantile over the buckets of what came within the window."""
    groups = f"le, {by}" if by else "le"
    return f"histogram_quantile({which:g}, {total(histogram + '_bucket', labels, window, groups)})"


def share(part: str, whole: str) -> str:
    """Of 1; an empty answer where there is nothing at all."""
    return f"({part}) / ({whole} > 0)"
