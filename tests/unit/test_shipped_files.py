"""The collector configuration parses, and refers only to what exists. (Dashboards: test_shipped_dashboards.py.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = [ROOT / "collector-config" / name for name in ("agent.yaml", "gateway.yaml", "local.yaml")]
"""Of the collector; those of the backends are checked by the backends' own programs (tests/backends/test_configs.py)."""
TARGETS = sorted((ROOT / "collector-config" / "targets").glob("*.yaml"))


def test_there_is_one_of_each() -> None:
    assert CONFIGS
    assert TARGETS


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
