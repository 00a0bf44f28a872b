"""Real backends as processes of this machine: each with the configuration that is shipped, ended by its own pid."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.backends.build import COMMAND, program_path

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "collector-config"
START_SECONDS = 90.0
"""For a busy machine; each is there within two seconds on a free one."""
END_SECONDS = 5.0
PROMETHEUS_FLAGS = (
    "--web.enable-otlp-receiver",
    "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion,otlp-deltatocumulative",
)
"""Those that prometheus.yaml asks for."""


class MissingProgramError(Exception):
    """A backend is not built and not on the PATH; the text names the command that brings it."""


class EndedError(Exception):
    """A backend ended before it was ready; the text has the end of its log."""


def find(name: str) -> str:
    """The executable: built by `make backends`, or on the PATH; raises `MissingProgramError`."""
    built = program_path(name)
    path = str(built) if built else shutil.which(name)
    if path is None:
        raise MissingProgramError(f"needs `{name}`: `{COMMAND}` builds it (Go toolchain, 5 to 20 minutes once)")
    return path


def free_port() -> int:
    """A port of loopback where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def local(port: int) -> str:
    """The address of a port of this machine."""
    return f"127.0.0.1:{port}"


def get(url: str, timeout: float = 10.0) -> Any:
    """The JSON (or text) at `url`."""
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        body = answer.read()
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


def poll(what: Callable[[], Any], seconds: float = 60.0) -> Any:
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
    """A process of ours."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def text(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Ask it to end; at once when it does not."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def running(
    name: str,
    arguments: Sequence[str],
    folder: Path,
    ready: str,
    environment: Mapping[str, str] | None = None,
    label: str = "",
    seconds: float = START_SECONDS,
) -> Generator[Running, None, None]:
    """Start a program (by name, or by its path) in `folder`, wait until `ready` (a URL) answers, and end it by its pid afterwards.

    Its log is `label`.log; `environment` is added to this process's own. In a session of its own, so that Ctrl-C reaches only us.
    """
    log = folder / f"{label or Path(name).name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [find(name), *arguments],
            cwd=folder,
            # Variables of OpenTelemetry would make the backends trace themselves.
            env={**{key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}, **(environment or {})},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    started = Running(process, log)
    try:

        def answers() -> bool:
            if process.poll() is not None:
                raise EndedError(f"{name} ended: {started.text[-2000:]}")
            get(ready, 2)
            return True

        poll(answers, seconds)
        yield started
    finally:
        started.end()
