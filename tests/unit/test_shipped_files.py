"""The collector configuration parses, and refers only to what exists. (Dashboards: test_shipped_dashboards.py.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = [ROOT / "collector-config" / name for name in ("agent.yaml", "gateway.yaml", "local.yaml")]
"""Of the collector; those of the backends are checked by the backends' own programs (tests/backends/test_configs.py)."""


def test_there_is_one_of_each() -> None:
    assert CONFIGS


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_pipelines_use_defined_components_and_all_of_them(file: Path) -> None:
    config: dict[str, Any] = yaml.safe_load(file.read_text())
    pipelines = config["service"]["pipelines"]
    assert pipelines["traces"]["receivers"] == ["otlp"]
    connectors = set(config.get("connectors", {}))
    for section in ("receivers", "processors", "exporters"):
        used = {name for pipeline in pipelines.values() for name in pipeline[section]}
        assert used - connectors == set(config[section])
    for connector in connectors:
        assert any(connector in pipeline["exporters"] for pipeline in pipelines.values())
        assert any(connector in pipeline["receivers"] for pipeline in pipelines.values())
    for pipeline in pipelines.values():
        assert pipeline["processors"][0] == "memory_limiter"


@pytest.mark.parametrize("file", [file for file in CONFIGS if file.name != "gateway.yaml"], ids=lambda file: file.name)
def test_otlp_comes_in_at_the_usual_ports_of_this_machine(file: Path) -> None:
    protocols = yaml.safe_load(file.read_text())["receivers"]["otlp"]["protocols"]
    assert protocols["grpc"]["endpoint"].endswith(":-127.0.0.1:4317}")
    assert protocols["http"]["endpoint"].endswith(":-127.0.0.1:4318}")
