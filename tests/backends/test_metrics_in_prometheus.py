"""The library's metrics of one short script, through the shipped collector configuration, in a real Prometheus: equal to the records."""

from __future__ import annotations

import json
import os
import re
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.backends.programs import Stack, get, poll, run_measured
from tracer.metrics.instruments import COUNTER, HISTOGRAM, INSTRUMENTS, Instrument
from tracer.store.reader import StoreReader

PROGRAM = """
import json, tracer
from tests.integration.metrics_support import mix
from tracer.replay.server import ReplayServer
with ReplayServer() as server:
    print(mix(server))
"""

RECORDING_RULES = Path(__file__).parents[2] / "dashboards" / "recording-rules.yaml"

NAMES = {
    "gen_ai.client.operation.duration": "gen_ai_client_operation_duration_seconds",
    "gen_ai.client.token.usage": "gen_ai_client_token_usage",
    "gen_ai.client.operation.time_to_first_chunk": "gen_ai_client_operation_time_to_first_chunk_seconds",
    "gen_ai.client.operation.time_per_output_chunk": "gen_ai_client_operation_time_per_output_chunk_seconds",
    "gen_ai.invoke_workflow.duration": "gen_ai_invoke_workflow_duration_seconds",
    "gen_ai.client.inference.usage.cache_read.input_tokens": "gen_ai_client_inference_usage_cache_read_input_tokens_total",
    "gen_ai.client.inference.usage.reasoning.output_tokens": "gen_ai_client_inference_usage_reasoning_output_tokens_total",
    "gen_ai.execute_tool.duration": "gen_ai_execute_tool_duration_seconds",
    "gen_ai.invoke_agent.duration": "gen_ai_invoke_agent_duration_seconds",
    "tracer.calls": "tracer_calls_total",
    "tracer.attempts": "tracer_attempts_total",
    "tracer.cost.total": "tracer_cost_total",
    "tracer.cost.unpriced": "tracer_cost_unpriced_total",
    "tracer.usage.missing": "tracer_usage_missing_total",
    "tracer.stream.provider_time": "tracer_stream_provider_time_seconds_total",
    "tracer.stream.consumer_time": "tracer_stream_consumer_time_seconds_total",
    "tracer.stream.longest_gap": "tracer_stream_longest_gap_seconds",
    "tracer.payload": "tracer_payload_bytes_total",
    "tracer.calls.started": "tracer_calls_started_total",
    "tracer.calls.open": "tracer_calls_open",
    "tracer.records": "tracer_records_total",
    "tracer.records.waiting": "tracer_records_waiting",
    "tracer.metrics.overflows": "tracer_metrics_overflows_total",
}
"""As they stand in Prometheus; histograms get `_bucket`, `_sum`, `_count`."""


@dataclass(slots=True)
class Ran:
    service: str
    calls: int
    spans: list[dict[str, Any]]


def run(stack: Stack, folder: Path, **variables: str) -> Ran:
    service = f"metrics-{uuid.uuid4().hex[:8]}"
    store = folder / "store.sqlite"
    done = run_measured(["-c", PROGRAM], stack.otlp, store, service, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    with StoreReader(store) as reader:
        rows = [span for trace in reader.traces(1000) for span in trace.spans if span.name != "attempt"]
    return Ran(service, int(done.stdout), [{**json.loads(row.attributes), "trace": row.trace_id} for row in rows])


@pytest.fixture(scope="module")
def ran(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A script that ends without a flush: its counters have to be whole all the same."""
    return run(stack, tmp_path_factory.mktemp("metrics"))


def ask(stack: Stack, query: str) -> list[Any]:
    return get(f"{stack.prometheus}/api/v1/query?query={quote(query)}")["data"]["result"]


def value(stack: Stack, series: str, service: str, labels: str = "") -> float:
    found = poll(lambda: ask(stack, f'sum({series}{{service_name="{service}"{labels}}})'))
    return float(found[0]["value"][1])


def summed(spans: list[dict[str, Any]], name: str) -> float:
    return sum(span.get(name, 0) for span in spans)


def test_every_counter_is_exact(stack: Stack, ran: Ran) -> None:
    calls = [span for span in ran.spans if span.get("gen_ai.operation.name") in ("chat", "embeddings")]
    assert len(ran.spans) == ran.calls
    expected = {
        ("tracer_calls_total", ""): len(ran.spans),
        ("tracer_calls_total", ',tracer_outcome="failed"'): sum(span["tracer.outcome"] == "failed" for span in ran.spans),
        ("tracer_calls_total", ',tracer_outcome="stopped"'): 1,
        ("tracer_calls_started_total", ""): len(ran.spans),
        ("tracer_attempts_total", ',http_response_status_code="429"'): 2,
        ("gen_ai_client_operation_duration_seconds_count", ""): len(calls) + 1,
        ("gen_ai_client_token_usage_sum", ',gen_ai_token_type="input"'): summed(calls, "gen_ai.usage.input_tokens"),
        ("gen_ai_client_token_usage_sum", ',gen_ai_token_type="output"'): summed(calls, "gen_ai.usage.output_tokens"),
        ("tracer_cost_total", ',tracer_cost_currency="USD"'): summed(calls, "tracer.cost.total"),
        ("tracer_usage_missing_total", ""): sum(span["tracer.usage.source"] == "missing" for span in calls),
        ("tracer_records_total", ',tracer_destination="otlp",tracer_state="exported"'): len(ran.spans),
        ("tracer_records_total", ',tracer_destination="local",tracer_state="exported"'): len(ran.spans),
        ("tracer_calls_open", ""): 0,
    }
    found = {key: value(stack, key[0], ran.service, key[1]) for key in expected}
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_short_script_has_its_increase(stack: Stack, ran: Ran) -> None:
    """Prometheus knows where each series began, so that `increase` is not 0 for a process of one export."""
    query = f'sum(increase(tracer_calls_total{{service_name="{ran.service}"}}[10m]))'
    assert float(poll(lambda: ask(stack, query))[0]["value"][1]) > len(ran.spans) / 2


def test_exemplars_lead_to_the_traces(stack: Stack, ran: Ran) -> None:
    query = quote(f'gen_ai_client_operation_duration_seconds_bucket{{service_name="{ran.service}"}}')
    url = f"{stack.prometheus}/api/v1/query_exemplars?query={query}&start=0&end=99999999999"
    found = poll(lambda: get(url)["data"])
    traces = {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}
    assert traces == {span["trace"] for span in ran.spans}


def test_each_instrument_has_the_documented_name(stack: Stack, ran: Ran) -> None:
    poll(lambda: ask(stack, f'tracer_calls_total{{service_name="{ran.service}"}}'))
    match = quote(f'{{service_name="{ran.service}"}}')
    names = set(get(f"{stack.prometheus}/api/v1/label/__name__/values?match[]={match}")["data"])
    by_name = {instrument.name: instrument for instrument in INSTRUMENTS}
    expected = {series for name, base in NAMES.items() for series in series_of(by_name[name], base)}
    ours = {name for name in names if name.startswith(("gen_ai_", "tracer_"))}
    # Once a minute Prometheus records series of its own from these, under older names.
    recorded = set(re.findall(r"- record: (\S+)", RECORDING_RULES.read_text("utf-8")))
    if os.environ.get("SHOW_SERIES"):
        sys.stderr.write("\n".join(sorted(ours)) + "\n")
    assert expected - ours == set()
    assert ours - expected - recorded <= {"gen_ai_client_inference_usage_cache_write_input_tokens_total"}


def series_of(instrument: Instrument, base: str) -> list[str]:
    assert (instrument.kind == COUNTER) == base.endswith("_total")
    return [f"{base}_{end}" for end in ("bucket", "sum", "count")] if instrument.kind == HISTOGRAM else [base]


def test_delta_temporality_arrives_whole(stack: Stack, tmp_path: Path) -> None:
    ran = run(stack, tmp_path, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta", OTEL_METRIC_EXPORT_INTERVAL="200")
    # Points come in several exports; the last one may still be on its way through the collector.
    assert poll(lambda: value(stack, "tracer_calls_total", ran.service) == len(ran.spans))
