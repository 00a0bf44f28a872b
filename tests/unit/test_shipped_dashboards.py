"""The dashboards and rules are what their code makes, and ask only for what the library writes. Against real engines: tests/backends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import distributions
from typing import Any

import pytest
import yaml

from tests.backends import dashboard_page as page
from tests.backends.dashboard_facts import ALERTS, PANELS, RECORDED
from tests.backends.dashboard_queries import FOLDER, searches_behind, targets_of
from tests.support import ROOT
from tools.dashboards import alerts, recording
from tools.dashboards.boards import DASHBOARDS
from tracer.export import names
from tracer.metrics import instruments, labels
from tracer.metrics.instruments import COUNTER, HISTOGRAM, INSTRUMENTS, SECONDS, Instrument

IS_MADE_WITH = any(
    f'"grafana-foundation-sdk=={found.version};' in (ROOT / "pyproject.toml").read_text("utf-8")
    for found in distributions(name="grafana-foundation-sdk")
)
BOARDS = [board.file for board in DASHBOARDS]
ATTRIBUTES = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
OPERATIONS = {*names.OPERATION_OF_READER.values(), *names.OPERATION_OF_KIND.values()}
RESOURCE = {"service.name", "deployment.environment.name"}
LABELS = {name.replace(".", "_") for name in ATTRIBUTES | RESOURCE | {value for value in vars(labels).values() if isinstance(value, str)}}


def text_of(file: str) -> str:
    return (FOLDER / file).read_text(encoding="utf-8")


def board_of(file: str) -> dict[str, Any]:
    return json.loads(text_of(f"{file}.json"))


def series_of(instrument: Instrument) -> set[str]:
    """What Prometheus calls it: docs/metrics.md says how."""
    base = instrument.name.replace(".", "_") + {SECONDS: "_seconds", "By": "_bytes"}.get(instrument.unit, "")
    if instrument.kind == HISTOGRAM:
        return {f"{base}_{end}" for end in ("bucket", "sum", "count")}
    return {base + "_total" * (instrument.kind == COUNTER and not base.endswith("_total"))}


ONLY_V01 = {
    instruments.INFERENCE_DURATION,
    instruments.EMBEDDINGS_DURATION,
    instruments.FIRST_CHUNK_V01,
    instruments.PER_CHUNK_V01,
    instruments.INPUT_TOKENS,
    instruments.OUTPUT_TOKENS,
    instruments.CALL_INPUT_TOKENS,
    instruments.CALL_OUTPUT_TOKENS,
    instruments.EMBEDDINGS_TOKENS,
}
"""Written with TRACER_METRICS=v0.1 alone; the dashboards are for the default."""
SERIES = {name for instrument in INSTRUMENTS for name in series_of(instrument)}


@pytest.mark.skipif(not IS_MADE_WITH, reason="the files are made with the grafana-foundation-sdk of pyproject.toml (Python 3.11 and newer)")
def test_the_files_are_what_the_code_makes() -> None:
    from tools.dashboards.files import contents

    made = contents()
    for name, text in made.items():
        assert text_of(name) == text, f"`make dashboards` writes {name}"
    shipped = {file.name for file in FOLDER.iterdir()}
    assert shipped == {*made, "alerts-test.yaml", "README.md"}


@pytest.mark.parametrize("file", BOARDS)
def test_panels_are_well_placed_and_say_what_they_show(file: str) -> None:
    board = board_of(file)
    assert board["schemaVersion"] == 38
    panels = board["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        own = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & own
        cells |= own
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["targets"]


@pytest.mark.parametrize("file", BOARDS)
def test_only_variables_that_there_are(file: str) -> None:
    board = board_of(file)
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert {"prometheus", "tempo", "service", "environment", "provider", "model"} <= variables
    for used in re.findall(r"\$\{?(\w+)", json.dumps([board["panels"], board["templating"]])):
        assert used in variables or used.startswith("__"), used


@pytest.mark.parametrize("file", BOARDS)
def test_values_have_a_unit_and_no_colour_by_accident(file: str) -> None:
    """Grafana's own default is red from 80 on."""
    for panel in board_of(file)["panels"]:
        if panel["type"] in ("stat", "timeseries", "bargauge"):
            defaults = panel["fieldConfig"]["defaults"]
            assert defaults["unit"]
            assert defaults["thresholds"]["steps"][0] == {"value": None, "color": "green"}
            steps = [step["value"] for step in defaults["thresholds"]["steps"][1:]]
            assert steps == sorted(steps)


def promql() -> Iterator[str]:
    """All of it that is shipped."""
    for file in BOARDS:
        yield from (target.query for target in targets_of(file, text_of(f"{file}.json")) if target.engine == "prometheus")
        yield from (item["query"]["query"] for item in board_of(file)["templating"]["list"] if item["type"] == "query")
    for file in ("alerts.yaml", "recording-rules.yaml"):
        yield from (rule["expr"] for group in yaml.safe_load(text_of(file))["groups"] for rule in group["rules"])


def traceql() -> Iterator[str]:
    for file in BOARDS:
        yield from (target.query for target in targets_of(file, text_of(f"{file}.json")) if target.engine == "tempo")
        yield from (query for _, query in searches_behind(text_of(f"{file}.json")))


def test_promql_asks_only_for_metrics_and_labels_that_are_written() -> None:
    asked: set[str] = set()
    for query in promql():
        for series, selectors in re.findall(r"\b(\w+)\{([^}]*)\}", query):
            asked.add(series)
            assert series in SERIES, series
            used = set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", selectors))
            assert used <= LABELS, used - LABELS
        for grouped in re.findall(r"\bby \(([^)]*)\)", query):
            used = {name.strip() for name in grouped.split(",")} - {"le"}
            assert used <= LABELS, used - LABELS
    for instrument in INSTRUMENTS:
        assert instrument in ONLY_V01 or series_of(instrument) & asked, f"{instrument.name} is shown nowhere"


def test_traceql_asks_only_for_attributes_that_are_written() -> None:
    written = {f"span.{name}" for name in ATTRIBUTES} | {f"resource.{name}" for name in RESOURCE} | {"span.tracer.metadata.plan"}
    count = 0
    for query in traceql():
        used = set(re.findall(r"\b(?:span|resource)\.[\w.]+", query))
        assert used <= written, used - written
        assert query.count("(") == query.count(")")
        for operations in re.findall(r'gen_ai\.operation\.name =~ "([^"]+)"', query):
            assert set(operations.split("|")) <= OPERATIONS
        count += bool(used)
    assert count > 40


def test_the_truth_of_every_query_is_known() -> None:
    panels = {query.equals for board in DASHBOARDS for panel in board.panels for query in panel.queries}
    assert panels == set(PANELS)
    assert {alert.equals for alert in alerts.ALERTS} == set(ALERTS)
    assert {rule.equals for group in recording.GROUPS for rule in group.rules} == set(RECORDED)


def test_the_page_of_proofs_is_about_these_queries() -> None:
    rows = page.rows_of_page()
    assert [row[:4] for row in rows] == [place.cells() for place in page.places()], "`make dashboards-proof` writes docs/dashboards.md"
    assert all(found == expected for *_, found, expected in rows)
