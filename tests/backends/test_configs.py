"""Every shipped configuration is accepted by its own program, alone or with each file that it can be given with."""

from __future__ import annotations

import subprocess

import pytest

from tests.backends.programs import CONFIGS, environment, program

TARGETS = sorted(file.name for file in (CONFIGS / "targets").glob("*.yaml"))
FOR_GATEWAY = ("targets/tempo.yaml", "targets/prometheus.yaml")
"""A gateway needs a target for spans and one for metrics."""

CHECKS: dict[str, tuple[str, ...]] = {
    "local.yaml": ("otelcol", "validate", "--config", "{}"),
    "agent.yaml": ("otelcol", "validate", "--config", "{}"),
    "gateway.yaml": (
        "otelcol",
        "validate",
        "--config",
        "{}",
        *(part for file in FOR_GATEWAY for part in ("--config", str(CONFIGS / file))),
    ),
    "jaeger.yaml": ("jaeger", "validate", "--config", "{}"),
    "tempo.yaml": ("tempo", "-config.file={}", "-config.expand-env=true", "-config.verify=true"),
    "prometheus.yaml": ("promtool", "check", "config", "{}"),
}


def check(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program(name), *arguments],
        env=environment(GATEWAY_TOKEN="t", GATEWAY_CERTIFICATE="c.pem", GATEWAY_KEY="k.pem", LANGSMITH_API_KEY="l"),
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_configuration_is_left_out() -> None:
    assert {file.name for file in CONFIGS.glob("*.yaml")} == set(CHECKS)
    assert len(TARGETS) == 7


@pytest.mark.parametrize("file", CHECKS)
def test_its_program_accepts_it(file: str) -> None:
    name, *arguments = CHECKS[file]
    checked = check(name, *(argument.format(CONFIGS / file) for argument in arguments))
    assert checked.returncode == 0, checked.stderr + checked.stdout


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("base", ["local.yaml", "agent.yaml", "gateway.yaml"])
def test_each_target_goes_with_each_collector(base: str, target: str) -> None:
    files = [base, *(FOR_GATEWAY if base == "gateway.yaml" else ()), f"targets/{target}"]
    checked = check("otelcol", "validate", *(part for file in files for part in ("--config", str(CONFIGS / file))))
    assert checked.returncode == 0, checked.stderr + checked.stdout


def test_a_gateway_without_a_target_for_metrics_is_no_gateway() -> None:
    checked = check("otelcol", "validate", "--config", str(CONFIGS / "gateway.yaml"), "--config", str(CONFIGS / "targets" / "tempo.yaml"))
    assert checked.returncode == 1
    assert 'connector "forward/metrics" used as exporter' in checked.stderr


@pytest.mark.parametrize("target", TARGETS)
def test_the_page_names_each_target(target: str) -> None:
    assert f"| `{target}` |" in (CONFIGS / "targets" / "README.md").read_text()
