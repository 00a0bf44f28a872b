"""`compose.yaml`: no Docker here, so what can be known without: the schema, the files it mounts, and that they are those of the tests."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support import ROOT
from tools.stack.processes import PROMETHEUS_FLAGS

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCHEMA = "github.com/compose-spec/compose-go/v2@v2.16.2"
"""The library that `docker compose` reads its files with."""

IMAGES = {
    "collector": "otel/opentelemetry-collector-contrib:0.161.0",
    "jaeger": "jaegertracing/jaeger:2.20.0",
    "tempo": "grafana/tempo:2.9.0",
    "prometheus": "prom/prometheus:v3.15.0",
    "grafana": "grafana/grafana:13.2.3",
}
"""Seen in public files; another tag has to be looked up before it is written here."""


def test_it_follows_the_schema_of_docker_compose() -> None:
    if shutil.which("go") is None:
        pytest.skip("the schema comes with a Go module: needs the Go toolchain")
    got = subprocess.run(["go", "mod", "download", "-json", SCHEMA], capture_output=True, text=True, check=False, cwd="/")
    if got.returncode:
        pytest.skip(f"`go mod download {SCHEMA}` did not succeed: {got.stdout[-300:]}{got.stderr[-300:]}")
    schema = json.loads((Path(json.loads(got.stdout)["Dir"]) / "schema" / "compose-spec.json").read_text())
    jsonschema.validate(COMPOSE, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**COMPOSE, "services": {"jaeger": {"imagee": "x"}}}, schema)


def test_the_images_are_known_ones() -> None:
    assert {name: service["image"] for name, service in SERVICES.items()} == IMAGES


def test_ports_are_open_to_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 6
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in ports)


def mounts() -> list[tuple[str, str, str]]:
    """Service, what is mounted, and where."""
    found: list[tuple[str, str, str]] = []
    for name, service in SERVICES.items():
        for volume in service["volumes"]:
            source, target = volume.split(":")[:2]
            found.append((name, source, target))
    return found


def test_what_is_mounted_exists() -> None:
    for _, source, _ in mounts():
        assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"]


def inside(service: str, path: str) -> Path:
    """The file of the checkout that a service sees at `path`."""
    for name, source, target in mounts():
        if name == service and source.startswith("./") and (path == target or path.startswith(target + "/")):
            return (ROOT / source / path[len(target) :].lstrip("/")).resolve()
    raise AssertionError(f"{service} sees nothing at {path}")


@pytest.mark.parametrize("service", ["collector", "jaeger", "tempo", "prometheus"])
def test_each_is_given_the_configuration_that_the_real_programs_run(service: str) -> None:
    (path,) = re.findall(r"/etc/tracer/[\w./-]+\.yaml", " ".join(SERVICES[service]["command"]))
    name = "local" if service == "collector" else service
    assert inside(service, path) == ROOT / "collector-config" / f"{name}.yaml"


@pytest.mark.parametrize("service", ["collector", "jaeger", "tempo"])
def test_each_variable_is_one_that_its_configuration_reads(service: str) -> None:
    name = "local" if service == "collector" else service
    text = (ROOT / "collector-config" / f"{name}.yaml").read_text()
    for variable in SERVICES[service]["environment"]:
        assert re.search(rf"\$\{{(env:)?{variable}:-", text), variable


def test_addresses_between_containers_meet() -> None:
    def listens(service: str, variable: str) -> str:
        return SERVICES[service]["environment"][variable].rpartition(":")[2]

    sends = SERVICES["collector"]["environment"]
    assert sends["JAEGER_ADDRESS"] == f"jaeger:{listens('jaeger', 'JAEGER_OTLP_ADDRESS')}"
    assert sends["TEMPO_ADDRESS"] == f"tempo:{listens('tempo', 'TEMPO_OTLP_ADDRESS')}"
    assert sends["PROMETHEUS_URL"] == "http://prometheus:9090"


def test_prometheus_is_started_as_in_the_tests() -> None:
    assert set(PROMETHEUS_FLAGS) <= set(SERVICES["prometheus"]["command"])


def test_its_rules_are_where_its_configuration_looks() -> None:
    config = yaml.safe_load((ROOT / "collector-config" / "prometheus.yaml").read_text())
    for file in config["rule_files"]:
        assert inside("prometheus", "/etc/tracer/" + file.removeprefix("../")) == (ROOT / "collector-config" / file).resolve()


def provisioned(name: str) -> Any:
    return yaml.safe_load((ROOT / "collector-config" / "grafana" / name).read_text())


def test_grafana_has_every_source_and_links_between_them() -> None:
    sources = {source["uid"]: source for source in provisioned("datasources.yaml")["datasources"]}
    assert set(sources) == {"prometheus", "tempo", "jaeger"}
    for source in sources.values():
        service, port = source["url"].removeprefix("http://").split(":")
        assert f"127.0.0.1:{port}:{port}" in SERVICES[service]["ports"]
    assert sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"] == [{"name": "trace_id", "datasourceUid": "tempo"}]
    for uid in ("tempo", "jaeger"):
        link = sources[uid]["jsonData"]["tracesToMetrics"]
        assert link["datasourceUid"] == "prometheus"
        assert all("{$$__tags}" in query["query"] for query in link["queries"])


def test_grafana_finds_the_dashboards() -> None:
    (provider,) = provisioned("dashboards.yaml")["providers"]
    assert list(inside("grafana", provider["options"]["path"]).glob("*.json"))
    for kind in ("datasources", "dashboards"):
        assert inside("grafana", f"/etc/grafana/provisioning/{kind}/tracer.yaml") == ROOT / "collector-config" / "grafana" / f"{kind}.yaml"
