"""Alerts: what is measured, from which value on, and how many calls it takes for the value to say something.

`python -m tools.dashboards` writes them as `dashboards/alerts.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools.dashboards import promql as p

WARNING = "warning"
CRITICAL = "critical"

DAILY_BUDGET = "tracer:daily_budget_usd"
DEFAULT_BUDGET = 100
WHOSE = "service_name, deployment_environment_name"
MODEL = f"{WHOSE}, gen_ai_request_model"

_KINDS = 'tracer_kind=~"llm|embedding"'
_USD = 'tracer_cost_currency="USD"'
_TIMED = 'gen_ai_operation_name!="retrieval"'


@dataclass(frozen=True, slots=True)
class Alert:
    """It fires when `measure` (PromQL) is above `limit` for the time `hold`, and `volume` (PromQL), if given, is at least `enough`.

    `equals` says what the measure must be: a key of the expected values in `tests/backends/test_dashboards.py`.
    """

    name: str
    measure: str
    limit: float
    severity: str
    summary: str
    description: str
    equals: str
    hold: str = "5m"
    volume: str = ""
    enough: int = 0


def _ratio(part: str, whole: str) -> str:
    return f"(\n{part}\n) / (\n{whole}\n)"


_CALLS = p.total("tracer_calls_total", _KINDS, "10m", MODEL)
_ATTEMPTS = p.total("tracer_attempts_total", "", "5m", MODEL)
_COMPLETED = p.total("tracer_calls_total", f'{_KINDS},tracer_outcome="completed"', "1h", MODEL)
_BUDGET = f"scalar({DAILY_BUDGET})"
_SPENT = f"{p.total('tracer_cost_total', _USD, '1d', WHOSE)} / {_BUDGET}"

ALERTS = (
    Alert(
        "TracerErrorRatioHigh",
        _ratio(p.total("tracer_calls_total", f'{_KINDS},tracer_outcome="failed"', "10m", MODEL), _CALLS),
        0.05,
        CRITICAL,
        "{{ $value | humanizePercentage }} of the calls of {{ $labels.gen_ai_request_model }} fail",
        "Real failures only: what the caller stopped, cancelled or never read does not count.",
        "alert: failed model calls / model calls",
        volume=_CALLS,
        enough=20,
    ),
    Alert(
        "TracerLatencyHigh",
        p.quantile(0.95, p.DURATION, _TIMED, "10m", MODEL),
        60,
        WARNING,
        "1 of 20 calls of {{ $labels.gen_ai_request_model }} takes longer than {{ $value | humanizeDuration }}",
        "Whole calls, streams until their end.",
        "alert: p95 of durations",
        volume=p.total(p.DURATION + "_count", _TIMED, "10m", MODEL),
        enough=20,
    ),
    Alert(
        "TracerFirstTokenSlow",
        p.quantile(0.95, p.FIRST_CHUNK, "", "10m", MODEL),
        10,
        WARNING,
        "1 of 20 streams of {{ $labels.gen_ai_request_model }} begins after more than {{ $value | humanizeDuration }}",
        "The time until the first chunk of a stream.",
        "alert: p95 of times to the first chunk",
        volume=p.total(p.FIRST_CHUNK + "_count", "", "10m", MODEL),
        enough=20,
    ),
    Alert(
        "TracerCostBurn",
        f"24 * {p.total('tracer_cost_total', _USD, '1h', WHOSE)} / {_BUDGET}",
        3,
        WARNING,
        "{{ $labels.service_name }} spends {{ $value | humanize }} times its daily budget",
        "At the pace of the last hour the budget of a day is gone within eight hours.",
        "alert: cost of the last hour * 24 / budget",
    ),
    Alert(
        "TracerBudgetNearlyUsed",
        _SPENT,
        0.8,
        WARNING,
        "{{ $labels.service_name }} has used {{ $value | humanizePercentage }} of its daily budget",
        "The cost of the last 24 hours. The budget stands at the top of this file.",
        "alert: cost of the last day / budget",
        hold="0m",
    ),
    Alert(
        "TracerBudgetUsed",
        _SPENT,
        1,
        CRITICAL,
        "{{ $labels.service_name }} has used {{ $value | humanizePercentage }} of its daily budget",
        "The cost of the last 24 hours. The budget stands at the top of this file.",
        "alert: cost of the last day / budget",
        hold="0m",
    ),
    Alert(
        "TracerRateLimited",
        _ratio(p.total("tracer_attempts_total", 'http_response_status_code="429"', "5m", MODEL), _ATTEMPTS),
        0.2,
        WARNING,
        "{{ $value | humanizePercentage }} of the requests to {{ $labels.gen_ai_request_model }} are refused (429)",
        "HTTP requests, retries included: calls may succeed all the same, later.",
        "alert: attempts with status 429 / attempts",
        hold="2m",
        volume=_ATTEMPTS,
        enough=20,
    ),
    Alert(
        "TracerUsageMissing",
        _ratio(p.total("tracer_usage_missing_total", 'tracer_outcome="completed"', "1h", MODEL), _COMPLETED),
        0.1,
        WARNING,
        "{{ $value | humanizePercentage }} of the completed calls of {{ $labels.gen_ai_request_model }} report no tokens",
        "Their tokens and cost are in no sum. Streams need `stream_options={'include_usage': true}`; see TRACER_STREAM_USAGE.",
        "alert: completed calls without usage / completed calls",
        hold="10m",
        volume=_COMPLETED,
        enough=20,
    ),
    Alert(
        "TracerDropping",
        p.total("tracer_records_total", 'tracer_state="dropped"', "10m", f"{WHOSE}, tracer_destination, tracer_reason"),
        0,
        CRITICAL,
        "tracer in {{ $labels.service_name }} loses records for {{ $labels.tracer_destination }}: {{ $labels.tracer_reason }}",
        "{{ $value }} within ten minutes. The dashboard `tracer: health` shows the ledger.",
        "alert: dropped records",
        hold="0m",
    ),
)
