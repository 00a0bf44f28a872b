"""Each query of each panel, alert and recording rule, on a real Prometheus and a real Tempo, against what the library recorded."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.backends import dashboard_page as page
from tests.backends.dashboard_facts import ALERTS, EXPENSIVE, PANELS, RECORDED, SLOW, as_tempo_shows, trace_of
from tests.backends.dashboard_page import Place, Proved
from tests.backends.dashboard_queries import FOLDER, Target, alike, answer, filled, instant, search, searches_behind, targets_of
from tests.backends.dashboard_run import ENVIRONMENT, Run, Values, send, together
from tests.backends.programs import CONFIGS, Stack, get, local, poll, program, running
from tests.support import closed_port
from tools.dashboards import promql
from tools.dashboards.alerts import ALERTS as ALERT_TABLE
from tools.dashboards.alerts import DAILY_BUDGET, DEFAULT_BUDGET
from tools.dashboards.boards import DASHBOARDS
from tools.dashboards.recording import GROUPS

PATIENCE = 60.0
NOTHING_HAPPENED = {"open calls", "waiting records", "overflows", "cost in other currencies"}
"""Of these the truth is 0."""


@pytest.fixture(scope="module")
def run(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two short scripts whose numbers are shown, and one of another environment whose numbers are not."""
    folder = tmp_path_factory.mktemp("runs")
    name = f"shop-{uuid.uuid4().hex[:6]}"
    other = {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=elsewhere"}
    send(stack.otlp, folder / "other.sqlite", name, ["plain", "somebody"], **other)
    trouble = {
        "LANGSMITH_TRACING": "true",
        "LANGSMITH_API_KEY": "none",
        "LANGSMITH_ENDPOINT": f"http://127.0.0.1:{closed_port()}",
        "TRACER_MASK": "tests.backends.dashboard_traffic:broken_mask",
    }
    return together(
        [
            send(stack.otlp, folder / "first.sqlite", name, ["stalled", "ann", "bob", "cem"]),
            send(stack.otlp, folder / "second.sqlite", f"{name}-jobs", ["faulty", "dee"], **trouble),
        ]
    )


def variables(run: Run) -> dict[str, str]:
    """What is chosen at the top of the dashboards."""
    return {
        "service": "|".join(part.service for part in run.parts),
        "environment": ENVIRONMENT,
        "provider": ".*",
        "model": ".*",
        "slow": f"{SLOW:g}s",
        "expensive": f"{EXPENSIVE:g}",
        "attribute": "span.tracer.metadata.plan",
        "condition": 'span.gen_ai.response.finish_reasons = "tool_call"',
        "trace": as_tempo_shows(trace_of(run)),
    }


def text_of(board: str) -> str:
    return (FOLDER / f"{board}.json").read_text(encoding="utf-8")


def panels() -> Iterator[tuple[Target, str]]:
    """Each query of the files, with what it must equal."""
    for board in DASHBOARDS:
        equals = {(panel.title, "ABCDEFGH"[number]): query.equals for panel in board.panels for number, query in enumerate(panel.queries)}
        for target in targets_of(board.file, text_of(board.file)):
            yield target, equals[target.panel, target.letter]


ALL_PANELS = list(panels())


def settled(stack: Stack, target: Target, run: Run, expected: Values) -> Values:
    """The engine's answer, once it is the expected one; what it is at last otherwise. Tempo takes some seconds for its metrics."""
    deadline = time.monotonic() + (PATIENCE if target.engine == "tempo" else 5)
    while True:
        found = answer(stack, target, variables(run))
        if alike(found, expected) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


@pytest.mark.parametrize(
    ("target", "equals"), ALL_PANELS, ids=[f"{target.board}-{target.panel}-{target.letter}" for target, _ in ALL_PANELS]
)
def test_a_panel_shows_what_was_recorded(stack: Stack, run: Run, target: Target, equals: str, proved: dict[Place, Proved]) -> None:
    expected = PANELS[equals](run)
    found = settled(stack, target, run, expected)
    assert expected, "nothing to show: the traffic lacks it"
    assert any(expected.values()) != (equals in NOTHING_HAPPENED)
    assert alike(found, expected), (found, expected)
    place = Place(target.board, target.panel, target.query, equals)
    proved[place] = Proved(place, found, expected)


def test_contents_of_a_trace_are_shown_whole(stack: Stack, run: Run) -> None:
    target = next(target for target, equals in ALL_PANELS if equals == "contents of a trace")
    shown = poll(lambda: search(stack, filled(target.query, variables(run))))
    recorded = {row.span_id: row for row in run.calls}
    for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
        texts = {span: attributes[name] for span, attributes in shown.items() if name in attributes}
        assert len(texts) > 10
        assert texts == {span: recorded[span].get(name) for span in texts}
        assert all(json.loads(text) for text in texts.values())


LABELS = {
    "__field.labels.tracer_outcome": "stopped",
    "__field.labels.error_type": "rate_limit_exceeded",
    "__field.labels.gen_ai_request_model": "gpt-4o",
    "__field.labels.gen_ai_provider_name": "openai",
    "__data.fields.Model": "gpt-4o",
    "__data.fields.Tool": "look up",
    "__data.fields.Agent": "helper",
    "__data.fields.Chain": "answer",
}
"""What a click passes on."""
_NUMBER = re.compile(r"> \d|>= \d")


@pytest.mark.parametrize("board", [board.file for board in DASHBOARDS])
def test_links_lead_to_traces(stack: Stack, run: Run, board: str) -> None:
    """Each panel of metrics has one; Tempo understands it, and finds spans unless it asks for more than the traffic has."""
    linked = dict(searches_behind(text_of(board)))
    metrics = {target.panel for target in targets_of(board, text_of(board)) if target.engine == "prometheus"}
    assert set(linked) == metrics
    chosen = {**variables(run), **LABELS, "__field.labels.service_name": run.parts[0].service}
    for panel, query in linked.items():
        # In this mix nobody but the masked run has contents that were cut, and that has none at all.
        found = poll(lambda query=query: [search(stack, filled(query, chosen))])[0]
        assert found or _NUMBER.search(query) or "truncated" in query, (panel, query)


def test_exemplars_of_panels_lead_to_traces(stack: Stack, run: Run) -> None:
    traces = {row.trace_id for row in run.rows}
    with_exemplars = 0
    for board in DASHBOARDS:
        for panel in json.loads(text_of(board.file))["panels"]:
            for target in panel["targets"]:
                if target.get("exemplar"):
                    query = quote(filled(target["expr"], variables(run)))
                    found = get(f"{stack.prometheus}/api/v1/query_exemplars?query={query}&start=0&end=99999999999")["data"]
                    shown = {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}
                    assert shown
                    assert shown <= traces
                    with_exemplars += 1
    assert with_exemplars > 8


def test_variables_offer_what_was_recorded(stack: Stack, run: Run) -> None:
    """Each list at the top of the dashboards."""
    expected = {
        "service": {part.service for part in run.parts},
        "environment": {ENVIRONMENT},
        "provider": {row.get("gen_ai.provider.name") for row in run.models},
        "model": {row.model for row in run.models},
    }
    lists = [item for item in json.loads(text_of("overview"))["templating"]["list"] if item["type"] == "query"]
    assert {item["name"] for item in lists} == set(expected)
    for item in lists:
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", item["query"]["query"]).groups()  # pyright: ignore[reportOptionalMemberAccess]
        selector = quote(filled(series, variables(run)))
        offered = set(get(f"{stack.prometheus}/api/v1/label/{label}/values?match[]={selector}")["data"])
        assert expected[item["name"]] <= offered


def test_one_model_can_be_chosen(stack: Stack, run: Run) -> None:
    chosen = {**variables(run), "model": "gpt-4o"}
    target = next(target for target, equals in ALL_PANELS if equals == "model calls")
    assert answer(stack, target, chosen) == {(): sum(row.model == "gpt-4o" for row in run.models)}
    failed = next(target for target, equals in ALL_PANELS if equals == "failed calls")
    ids = {row.span_id for row in run.models if row.model == "gpt-4o" and row.outcome == "failed"}
    assert set(search(stack, filled(failed.query, chosen))) == ids


@pytest.mark.parametrize(("old", "new"), [("tracer_calls_total", "tracer_call_total"), ("span.tracer.outcome", "span.tracer.ending")])
def test_a_renamed_metric_is_noticed(stack: Stack, run: Run, old: str, new: str) -> None:
    """In a copy of the queries: every panel whose metric or condition has another name than the library writes differs then."""
    renamed = 0
    for target, equals in ALL_PANELS:
        condition, select, columns = target.query.partition(" | select(")
        if old in condition and "$trace" not in condition:
            copy = replace(target, query=condition.replace(old, new) + select + columns)
            assert not alike(answer(stack, copy, variables(run)), PANELS[equals](run)), target.panel
            renamed += 1
    assert renamed >= 3


# Alerts and recording rules.


def rules_of(file: str) -> dict[str, str]:
    """Expressions by name, as they stand in a rules file."""
    groups = yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))["groups"]
    return {rule.get("alert") or rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}


_LIMIT = re.compile(r"^> [\d.]+$", re.MULTILINE)


@pytest.mark.parametrize("alert", ALERT_TABLE, ids=lambda alert: alert.name)
def test_an_alert_measures_what_was_recorded(stack: Stack, run: Run, alert: Any, proved: dict[Place, Proved]) -> None:
    """Its value without the limit; and with it, exactly those are left that are above."""
    written = rules_of("alerts.yaml")[alert.name].replace(f"scalar({DAILY_BUDGET})", f"scalar(vector({DEFAULT_BUDGET}))")
    assert len(_LIMIT.findall(written)) == 1
    measured = _LIMIT.split(written)[0].removeprefix("(" if alert.volume else "")
    found = _ours(instant(stack, measured), run)
    expected = ALERTS[alert.equals](run)
    assert expected
    assert alike(found, expected), (found, expected)
    fires = _ours(instant(stack, written), run)
    enough = _ours(instant(stack, f"{alert.volume} >= {alert.enough}"), run) if alert.volume else expected
    assert set(fires) == {key for key, value in expected.items() if value > alert.limit and key in enough}
    place = Place("alerts", f"{alert.name} (> {alert.limit:g})", alert.measure, alert.equals.removeprefix("alert: "))
    proved[place] = Proved(place, found, expected)


def _ours(found: Values, run: Run) -> Values:
    services = {part.service for part in run.parts}
    return {key: value for key, value in found.items() if services & set(key) and ENVIRONMENT in key}


def test_some_alerts_fire_on_this_traffic(stack: Stack, run: Run) -> None:
    """So that the test above has seen both."""
    fires = {
        name: bool(_ours(instant(stack, text.replace(f"scalar({DAILY_BUDGET})", f"scalar(vector({DEFAULT_BUDGET}))")), run))
        for name, text in rules_of("alerts.yaml").items()
        if name != DAILY_BUDGET
    }
    assert fires["TracerErrorRatioHigh"]
    assert fires["TracerRateLimited"]
    assert fires["TracerDropping"]
    assert not fires["TracerBudgetUsed"]


@pytest.mark.parametrize("rule", [rule for group in GROUPS for rule in group.rules], ids=lambda rule: rule.name)
def test_a_recording_rule_has_what_was_recorded(stack: Stack, run: Run, rule: Any, proved: dict[Place, Proved]) -> None:
    written = rules_of("recording-rules.yaml")[rule.name]
    chosen = "|".join(part.service for part in run.parts)
    ours = f'tracer_calls_started_total{{service_name=~"{chosen}",deployment_environment_name="{ENVIRONMENT}"}}'
    query = f"sum (({written}) and on (service_instance_id) {ours})"
    expected = RECORDED[rule.equals](run)
    found = instant(stack, query)
    assert alike(found, expected), (found, expected)
    place = Place("recording-rules", rule.name, rule.expression, rule.equals)
    proved[place] = Proved(place, found, expected)


@pytest.mark.parametrize("file", ["alerts.yaml", "recording-rules.yaml"])
def test_promtool_accepts_the_rules(file: str) -> None:
    _promtool("check", "rules", str(FOLDER / file))


def test_each_alert_fires_and_does_not() -> None:
    """`promtool test rules` plays invented series; each alert has a test in which it fires and one in which it does not."""
    file = FOLDER / "alerts-test.yaml"
    fires: dict[str, set[bool]] = {}
    for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
        for case in test.get("alert_rule_test", []):
            fires.setdefault(case["alertname"], set()).add(bool(case.get("exp_alerts")))
    assert fires == {alert.name: {True, False} for alert in ALERT_TABLE}
    _promtool("test", "rules", str(file))


def test_recorded_series_have_the_labels_that_are_asked_for(tmp_path: Path) -> None:
    """As a Prometheus with these rules has them: a counter stays one, and OpenLIT's names of labels stand beside ours."""
    ours = 'service_name="shop",deployment_environment_name="live",gen_ai_provider_name="openai",gen_ai_request_model="m",tracer_kind="llm"'
    theirs = 'gen_ai_system="openai",gen_ai_application_name="shop",gen_ai_environment="live"'
    test = {
        "rule_files": [str(FOLDER / "recording-rules.yaml")],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": f"tracer_calls_total{{{ours}}}", "values": "0+5x20"}],
                "promql_expr_test": [
                    {
                        "expr": f"increase(gen_ai_requests_total{{{theirs}}}[10m]) / 10",
                        "eval_time": "15m",
                        "exp_samples": [{"labels": f"{{{ours},{theirs}}}", "value": 5}],
                    }
                ],
            }
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    _promtool("test", "rules", str(file))


def _promtool(*arguments: str) -> None:
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False, cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr


# The exact growth of a counter.


def test_increase_of_prometheus_is_not_exact(stack: Stack, run: Run) -> None:
    """Why the dashboards do not use it."""
    chosen = f'service_name="{run.parts[0].service}",deployment_environment_name="{ENVIRONMENT}"'
    found = instant(stack, f"sum (increase(tracer_calls_total{{{chosen}}}[1h]))")[()]
    assert found > 1.1 * len(run.parts[0].calls)
    assert instant(stack, promql.total("tracer_calls_total", chosen, "1h"))[()] == len(run.parts[0].calls)


def test_counters_that_are_reset_are_estimated(stack: Stack, tmp_path: Path) -> None:
    """Two processes with one instance id: all calls, and at most what Prometheus' extrapolation adds; never those of the last alone."""
    name = f"shop-{uuid.uuid4().hex[:6]}"
    same = {"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=pod-1"}
    runs = [send(stack.otlp, tmp_path / f"{number}.sqlite", name, ["plain", "eve"], **same) for number in range(2)]
    calls = sum(len(each.calls) for each in runs)
    query = promql.total("tracer_calls_total", f'service_name="{name}"', "1h")
    found = poll(lambda: (value := instant(stack, query).get((), 0)) > calls / 2 and value)
    assert calls <= found <= 1.5 * calls


def test_short_scripts_are_counted_without_any_flag(tmp_path: Path) -> None:
    """A Prometheus that is not told where counters began: its `increase` is 0, the dashboards' count is right."""
    address = local(closed_port())
    arguments = [
        f"--config.file={CONFIGS / 'prometheus.yaml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
        "--web.enable-otlp-receiver",
    ]
    with running("prometheus", arguments, tmp_path, f"http://{address}/-/ready"):
        metrics = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"http://{address}/api/v1/otlp/v1/metrics"}
        told = send("", tmp_path / "store.sqlite", "script", ["plain", "fay"], **metrics)
        plain = Stack(prometheus=f"http://{address}")
        query = promql.total("tracer_calls_total", 'service_name="script"', "1h")
        assert poll(lambda: instant(plain, query)) == {(): len(told.calls)}
        assert instant(plain, 'sum (increase(tracer_calls_total{service_name="script"}[1h]))').get((), 0) == 0


# The page.


@pytest.fixture(scope="module")
def proved() -> Iterator[dict[Place, Proved]]:
    """What the tests of this module have seen. With WRITE_DASHBOARDS_PAGE it is written down, when all of it has been seen."""
    seen: dict[Place, Proved] = {}
    yield seen
    if os.environ.get("WRITE_DASHBOARDS_PAGE"):
        page.write(seen[place] for place in page.places())
