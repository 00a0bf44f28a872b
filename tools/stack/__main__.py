"""`make stack`: starts what is there, sends a demo's traffic until Ctrl-C, and says where to look.

    python -m tools.stack [--seconds 600] [--turns 50] [--pace 0.3] [--free-ports] [--folder DIR]

The real programs that `make backends` has built are taken first, then Docker with compose.yaml.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple
from pathlib import Path
from types import FrameType

from tools.stack.backends import PROGRAMS, Ports, Stack, whole_stack
from tools.stack.processes import ROOT, MissingProgramError, find

SERVICES = ("shop", "support")
"""Programs that send; each has the name and a seed of its own."""
OUR_PREFIXES = ("TRACER_", "OTEL_", "LANGSMITH_", "LANGCHAIN_", "HOSTED_LANGSERVE_")
PATIENCE = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or the time given; the exit status is 1 when there is nothing to start."""
    parser = argparse.ArgumentParser(description="Start the backends and send a demo's traffic.")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end by itself after this time (never)")
    parser.add_argument("--turns", type=int, default=50, help="turns in each round of traffic (50)")
    parser.add_argument("--pace", type=float, default=0.3, help="0: providers answer at once; 1: as slow as real ones (0.3)")
    parser.add_argument("--free-ports", action="store_true", help="take ports that are free instead of the usual ones")
    parser.add_argument("--folder", type=Path, help="where data and logs go, and are kept (a temporary folder)")
    options = parser.parse_args(arguments)
    # As Ctrl-C, so that whoever ends us by a signal leaves nothing behind.
    signal.signal(signal.SIGTERM, _interrupt)
    with ExitStack() as stopping:
        try:
            stack = stopping.enter_context(_started(options.folder, Ports.free() if options.free_ports else Ports()))
            if stack is None:
                return 1
            print(_where_to_look(stack), flush=True)
            _send(stack, options.seconds, options.turns, options.pace)
        except KeyboardInterrupt:
            pass
        print("Ending.", flush=True)
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    signal.raise_signal(signal.SIGINT)


@contextmanager
def _started(folder: Path | None, ports: Ports) -> Generator[Stack | None, None, None]:
    try:
        for name in PROGRAMS:
            find(name)
    except MissingProgramError as missing:
        if shutil.which("docker") is None:
            print(f"Nothing to start: {missing}. With Docker, compose.yaml is taken instead.", file=sys.stderr)
            yield None
            return
        with _composed() as stack:
            yield stack
        return
    taken = [port for port in astuple(ports) if _taken(port)]
    if taken:
        print(f"Ports in use: {', '.join(map(str, taken))}. End what is there, or give --free-ports.", file=sys.stderr)
        yield None
        return
    with ExitStack() as stopping:
        place = folder or Path(stopping.enter_context(tempfile.TemporaryDirectory(prefix="tracer-stack-", ignore_cleanup_errors=True)))
        place.mkdir(parents=True, exist_ok=True)
        yield stopping.enter_context(whole_stack(place, ports, environment={"SPAN_METRICS_INTERVAL": "5s"}))


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _composed() -> Generator[Stack, None, None]:
    command = ["docker", "compose", "--file", str(ROOT / "compose.yaml")]
    subprocess.run([*command, "up", "--detach", "--wait"], check=True)
    try:
        yield Stack("http://127.0.0.1:4318", "127.0.0.1:4317", "http://127.0.0.1:16686", "http://127.0.0.1:3200", "http://127.0.0.1:9090")
    finally:
        subprocess.run([*command, "down"], check=True)


def _where_to_look(stack: Stack) -> str:
    grafana = (
        "http://127.0.0.1:3000 (dashboards in the folder tracer)"
        if not stack.processes
        else "not here: it comes with compose.yaml, or import dashboards/*.json into yours"
    )
    jaeger = f"{stack.jaeger}/search" if not stack.processes else f"{stack.jaeger}/api/traces?service=shop (built without its pages)"
    return f"""
Traffic of {" and ".join(SERVICES)} goes to {stack.otlp}; yours too, with
  OTEL_EXPORTER_OTLP_ENDPOINT={stack.otlp} TRACER_METRICS=v1.41
and is seen in
  Grafana     {grafana}
  Jaeger      {jaeger}
  Tempo       {stack.tempo}/api/search?q=%7Bspan.tracer.outcome%3D%22failed%22%7D
  Prometheus  {stack.prometheus}/api/v1/query?query=sum%20by%20(tracer_outcome)(tracer_calls_total)
Ctrl-C ends it.
"""


def _send(stack: Stack, seconds: float, turns: int, pace: float) -> None:
    programs = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tools.stack.traffic",
                f"--seconds={seconds}",
                f"--turns={turns}",
                f"--pace={pace}",
                f"--seed={1000 * number}",
            ],
            cwd=ROOT,
            env={
                # Nothing of the user's own settings: the traffic goes nowhere but to the stack.
                **{name: value for name, value in os.environ.items() if not name.startswith(OUR_PREFIXES)},
                "PYTHONPATH": str(ROOT),
                "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp,
                "OTEL_SERVICE_NAME": service,
                "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=demo",
                "OTEL_METRIC_EXPORT_INTERVAL": "5000",
                "TRACER_METRICS": "v1.41",
                "TRACER_QUIET": "true",
            },
            # Ctrl-C reaches only us; we ask them to end.
            start_new_session=True,
        )
        for number, service in enumerate(SERVICES, 1)
    ]
    try:
        for program in programs:
            program.wait()
    finally:
        for program in programs:
            program.terminate()
        for program in programs:
            try:
                program.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()


if __name__ == "__main__":
    sys.exit(main())
