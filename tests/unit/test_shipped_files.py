"""The collector configuration and the dashboard parse, and refer only to what exists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tracer.export import names

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = [ROOT / "collector-config" / name for name in ("agent.yaml", "gateway.yaml", "local.yaml")]
"""Of the collector; those of the backends are checked by the backends' own programs (tests/backends/test_configs.py)."""
TARGETS = sorted((ROOT / "collector-config" / "targets").glob("*.yaml"))
DASHBOARDS = sorted((ROOT / "dashboards").glob("*.json"))

EMITTED = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
OPERATIONS = {*names.OPERATION_OF_READER.values(), *names.OPERATION_OF_KIND.values()}


def test_there_is_one_of_each() -> None:
    assert CONFIGS
    assert TARGETS
    assert DASHBOARDS


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_pipelines_use_defined_components_and_all_of_them(file: Path) -> None:
    config: dict[str, Any] = yaml.safe_load(file.read_text())
    pipelines: dict[str, dict[str, list[str]]] = config["service"]["pipelines"]
    assert pipelines["traces"]["receivers"] == ["otlp"]
    connectors = set(config.get("connectors", {}))
    for section in ("receivers", "processors", "exporters"):
        used = {name for pipeline in pipelines.values() for name in pipeline.get(section, [])}
        assert used - connectors == set(config[section])
    for connector in connectors:
        assert any(connector in pipeline["exporters"] for pipeline in pipelines.values())
        # The gateway's are received from by the files of its targets.
        assert file.name == "gateway.yaml" or any(connector in pipeline["receivers"] for pipeline in pipelines.values())
    for pipeline in pipelines.values():
        assert pipeline["receivers"][0] in connectors or pipeline["processors"][0] == "memory_limiter"


@pytest.mark.parametrize("file", TARGETS, ids=lambda file: file.name)
def test_targets_join_in_where_each_collector_lets_them(file: Path) -> None:
    target: dict[str, Any] = yaml.safe_load(file.read_text())
    defined = {*target["exporters"], *target.get("processors", {})}
    pipelines: dict[str, dict[str, list[str]]] = target["service"]["pipelines"]
    assert {name for pipeline in pipelines.values() for name in (*pipeline.get("processors", []), *pipeline["exporters"])} >= defined
    for base in CONFIGS:
        config: dict[str, Any] = yaml.safe_load(base.read_text())
        known = {*config["receivers"], *config["connectors"], *config["processors"], *defined}
        for name, pipeline in pipelines.items():
            assert name not in config["service"]["pipelines"]
            assert {*pipeline["receivers"], *pipeline.get("processors", []), *pipeline["exporters"]} <= known
            assert pipeline["receivers"] != ["otlp"] or pipeline["processors"] == ["memory_limiter", "redaction"]


def test_all_collectors_mask_the_same() -> None:
    found = [yaml.safe_load(file.read_text())["processors"]["redaction"] for file in CONFIGS]
    assert found[0]["blocked_values"]
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("file", [file for file in CONFIGS if file.name != "gateway.yaml"], ids=lambda file: file.name)
def test_otlp_comes_in_at_the_usual_ports_of_this_machine(file: Path) -> None:
    protocols = yaml.safe_load(file.read_text())["receivers"]["otlp"]["protocols"]
    assert protocols["grpc"]["endpoint"].endswith(":-127.0.0.1:4317}")
    assert protocols["http"]["endpoint"].endswith(":-127.0.0.1:4318}")


def _dashboard(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.name)
def test_panels_are_well_placed(file: Path) -> None:
    dashboard = _dashboard(file)
    assert dashboard["schemaVersion"] == 38
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert "datasource" in variables
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        own = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & own
        cells |= own
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert set(re.findall(r"\$(\w+)", target["query"])) <= variables


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.name)
def test_queries_use_only_attributes_that_are_written(file: Path) -> None:
    for panel in _dashboard(file)["panels"]:
        for target in panel["targets"]:
            query = target["query"]
            used = set(re.findall(r"\bspan\.([\w.]+)", query))
            assert used, query
            assert used <= EMITTED, used - EMITTED
            assert query.count("{") == query.count("}") == 1
            assert query.count("(") == query.count(")")
            for operations in re.findall(r'gen_ai\.operation\.name =~ "([^"]+)"', query):
                assert set(operations.split("|")) <= OPERATIONS
        for transformation in panel["transformations"]:
            selected = {name for target in panel["targets"] for name in re.findall(r"\bspan\.([\w.]+)", target["query"])}
            assert set(transformation["options"]["fields"]) <= selected | {"spanID", "duration"}
