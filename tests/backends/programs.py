"""The real backends as processes of a test: each with the configuration that is shipped, on free ports of this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.support import ROOT, clean_environment
from tools.stack import backends, processes
from tools.stack.backends import Ports, Stack
from tools.stack.processes import CONFIGS, MissingProgramError, Running, free_port, get, local, poll, running

__all__ = [
    "CONFIGS",
    "Ports",
    "Running",
    "Stack",
    "collector",
    "environment",
    "free_port",
    "get",
    "local",
    "poll",
    "program",
    "run_measured",
    "running",
    "tempo_by_its_own_limits",
    "whole_stack",
]


def program(name: str) -> str:
    """The executable: built by `make backends`, or on the PATH. Skips the test with the command that would bring it."""
    try:
        return processes.find(name)
    except MissingProgramError as error:
        pytest.skip(str(error))


@contextmanager
def whole_stack(folder: Path) -> Generator[Stack, None, None]:
    """Jaeger, Tempo and Prometheus, and the collector of `local.yaml` in front of them."""
    for name in backends.PROGRAMS:
        program(name)
    with backends.whole_stack(folder, environment={"SPAN_METRICS_INTERVAL": "500ms"}) as stack:
        yield stack


@contextmanager
def collector(files: Sequence[str], folder: Path, variables: Mapping[str, str], label: str = "otelcol") -> Generator[Running, None, None]:
    """A collector with these files of collector-config/; `HEALTH_ADDRESS` and `TELEMETRY_PORT` are found unless given."""
    program("otelcol")
    whole = {"HEALTH_ADDRESS": local(free_port()), "TELEMETRY_PORT": str(free_port()), "RETRY_INTERVAL": "100ms", **variables}
    arguments = [argument for file in files for argument in ("--config", str(CONFIGS / file))]
    with running("otelcol", arguments, folder, f"http://{whole['HEALTH_ADDRESS']}", whole, label) as started:
        yield started


def run_measured(arguments: Sequence[str], otlp: str, store: Path, service: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A Python program whose spans and metrics go to `otlp`, and whose records are in `store` as well."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=otlp,
            TRACER_METRICS="v1.41",
            TRACER_LOCAL=str(store),
            TRACER_QUIET="true",
            TRACER_EXIT_TIMEOUT="30",
            OTEL_SERVICE_NAME=service,
            **variables,
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@contextmanager
def tempo_by_its_own_limits(folder: Path, ports: Ports) -> Generator[Running, None, None]:
    """Tempo with its defaults for what a sender may send, where `tempo.yaml` is shipped with more."""
    program("tempo")
    config = yaml.safe_load((CONFIGS / "tempo.yaml").read_text("utf-8"))
    assert config["distributor"].pop("max_attribute_bytes") == 4_194_304
    assert config["overrides"]["defaults"].pop("global") == {"max_bytes_per_trace": 52_428_800}
    file = folder / "tempo.yaml"
    file.write_text(yaml.safe_dump(config), "utf-8")
    with backends.tempo(folder, ports, config=file) as started:
        yield started


def environment(**variables: str) -> dict[str, str]:
    """Of a program of the tests: no variable of ours but these."""
    return {**clean_environment(), "PYTHONPATH": str(ROOT), **{name: value for name, value in variables.items() if value}}
