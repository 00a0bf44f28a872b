"""The real backends as processes of a test: each with the configuration that is shipped, on free ports of this machine."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, clean_environment, closed_port
from tools.backends.build import COMMAND, program_path

CONFIGS = ROOT / "collector-config"
START_SECONDS = 90.0
"""For a busy machine; each is there within two seconds on a free one."""


def program(name: str) -> str:
    """The executable: built by `make backends`, or on the PATH. Skips the test with the command that would bring it."""
    found = program_path(name)
    path = str(found) if found else shutil.which(name)
    if path is None:
        pytest.skip(f"needs `{name}`: `{COMMAND}` builds it (Go toolchain, 5 to 20 minutes once)")
    return path


def get(url: str, timeout: float = 10.0) -> Any:
    """The JSON (or text) at `url`."""
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        body = answer.read()
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


def poll(what: Any, seconds: float = 60.0) -> Any:
    """What `what()` gives, once it gives something; the last error otherwise."""
    deadline = time.monotonic() + seconds
    while True:
        problem: Exception | None = None
        try:
            found = what()
            if found:
                return found
        except (OSError, urllib.error.URLError, KeyError, ValueError) as error:
            problem = error
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing came within {seconds:.0f} s") from problem
        time.sleep(0.1)


@dataclass(slots=True)
class Running:
    """A process that a test has started."""

    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


@contextmanager
def running(
    name: str, arguments: Sequence[str], folder: Path, ready: str, seconds: float = START_SECONDS, **variables: str
) -> Generator[Running, None, None]:
    """Start a program (by name, or by its path) in `folder`, wait until `ready` (a URL) answers, and end it by its pid afterwards."""
    log = folder / f"{Path(name).name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [program(name), *arguments], cwd=folder, env={**clean_environment(), **variables}, stdout=output, stderr=output
        )
    try:

        def answers() -> bool:
            assert process.poll() is None, f"{name} ended: {log.read_text()[-2000:]}"
            get(ready, 2)
            return True

        poll(answers, seconds)
        yield Running(process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(slots=True)
class Stack:
    """All four, wired by the shipped configurations. URLs without a slash at the end."""

    otlp: str = ""
    otlp_grpc: str = ""
    jaeger: str = ""
    tempo: str = ""
    prometheus: str = ""
    processes: dict[str, Running] = field(default_factory=dict[str, Running])


def local(port: int) -> str:
    return f"127.0.0.1:{port}"


@contextmanager
def whole_stack(folder: Path) -> Generator[Stack, None, None]:
    """Jaeger, Tempo and Prometheus, and the collector of `local.yaml` in front of them."""
    for name in ("jaeger", "tempo", "prometheus", "otelcol"):
        program(name)
    ports = {name: closed_port() for name in _PORTS}
    addresses = {name: local(port) for name, port in ports.items()}
    stack = Stack(
        otlp=f"http://{addresses['otlp http']}",
        otlp_grpc=addresses["otlp grpc"],
        jaeger=f"http://{addresses['jaeger http']}",
        tempo=f"http://{addresses['tempo http']}",
        prometheus=f"http://{addresses['prometheus']}",
    )
    with ExitStack() as stopping:
        start = stopping.enter_context
        stack.processes["jaeger"] = start(
            running(
                "jaeger",
                ["--config", str(CONFIGS / "jaeger.yaml")],
                folder,
                f"http://{addresses['jaeger health']}/status",
                JAEGER_HEALTH_ADDRESS=addresses["jaeger health"],
                JAEGER_HTTP_ADDRESS=addresses["jaeger http"],
                JAEGER_GRPC_ADDRESS=addresses["jaeger grpc"],
                JAEGER_OTLP_ADDRESS=addresses["jaeger otlp"],
            )
        )
        stack.processes["tempo"] = start(
            running(
                "tempo",
                [f"-config.file={CONFIGS / 'tempo.yaml'}", "-config.expand-env=true"],
                folder,
                f"{stack.tempo}/ready",
                TEMPO_HTTP_PORT=str(ports["tempo http"]),
                TEMPO_INTERNAL_PORT=str(ports["tempo internal"]),
                TEMPO_OTLP_ADDRESS=addresses["tempo otlp"],
                TEMPO_DATA=str(folder / "tempo-data"),
            )
        )
        stack.processes["prometheus"] = start(
            running(
                "prometheus",
                [
                    f"--config.file={CONFIGS / 'prometheus.yaml'}",
                    f"--storage.tsdb.path={folder / 'prometheus-data'}",
                    f"--web.listen-address={addresses['prometheus']}",
                    "--web.enable-otlp-receiver",
                    "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion,otlp-deltatocumulative",
                ],
                folder,
                f"{stack.prometheus}/-/ready",
            )
        )
        stack.processes["otelcol"] = start(
            running(
                "otelcol",
                ["--config", str(CONFIGS / "local.yaml")],
                folder,
                f"http://{addresses['health']}",
                OTLP_HTTP_ADDRESS=addresses["otlp http"],
                OTLP_GRPC_ADDRESS=addresses["otlp grpc"],
                HEALTH_ADDRESS=addresses["health"],
                JAEGER_ADDRESS=addresses["jaeger otlp"],
                TEMPO_ADDRESS=addresses["tempo otlp"],
                PROMETHEUS_URL=stack.prometheus,
                SPAN_METRICS_INTERVAL="500ms",
            )
        )
        yield stack


_PORTS = (
    "otlp http",
    "otlp grpc",
    "health",
    "jaeger health",
    "jaeger http",
    "jaeger grpc",
    "jaeger otlp",
    "tempo http",
    "tempo internal",
    "tempo otlp",
    "prometheus",
)


def environment(**variables: str) -> dict[str, str]:
    """Of a program of the tests: no variable of ours but these."""
    return {**clean_environment(), "PYTHONPATH": str(ROOT), **{name: value for name, value in variables.items() if value}}
