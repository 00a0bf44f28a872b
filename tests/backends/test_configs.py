"""Every shipped configuration is accepted by its own program."""

from __future__ import annotations

import subprocess

import pytest

from tests.backends.programs import CONFIGS, environment, program

CHECKS = {
    "local.yaml": ("otelcol", "validate", "--config", "{}"),
    "agent.yaml": ("otelcol", "validate", "--config", "{}"),
    "gateway.yaml": ("otelcol", "validate", "--config", "{}"),
    "jaeger.yaml": ("jaeger", "validate", "--config", "{}"),
    "tempo.yaml": ("tempo", "-config.file={}", "-config.expand-env=true", "-config.verify=true"),
    "prometheus.yaml": ("promtool", "check", "config", "{}"),
}


def test_no_configuration_is_left_out() -> None:
    assert {file.name for file in CONFIGS.glob("*.yaml")} == set(CHECKS)


@pytest.mark.parametrize("file", CHECKS)
def test_its_program_accepts_it(file: str) -> None:
    name, *arguments = CHECKS[file]
    checked = subprocess.run(
        [program(name), *(argument.format(CONFIGS / file) for argument in arguments)],
        env=environment(GATEWAY_TOKEN="t", GATEWAY_CERTIFICATE="c.pem", GATEWAY_KEY="k.pem"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr + checked.stdout
