"""`make stack`: starts the real programs, traffic arrives, and Ctrl-C leaves nothing behind; with Docker instead; with neither."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.backends.programs import environment, get, poll, program
from tests.support import ROOT
from tools.stack import backends, sizing


def start(arguments: Sequence[str], **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tools.stack", "--turns", "20", "--pace", "0", *arguments],
        cwd=ROOT,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def descendants(pid: int) -> set[int]:
    """All processes below `pid`."""
    children: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*"):
        children |= {int(child) for child in (task / "children").read_text().split()}
    return children.union(*(descendants(child) for child in children))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_traffic_arrives_and_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    for name in backends.PROGRAMS:
        program(name)
    process = start(["--free-ports", "--folder", str(tmp_path)])
    assert process.stdout is not None
    try:
        told: dict[str, str] = {}
        for line in process.stdout:
            told.update(re.findall(r"^  (Jaeger|Tempo|Prometheus) +(http://[\d.:]+)", line))
            if line.startswith("Ctrl-C"):
                break
        query = 'sum(tracer_calls_total{deployment_environment_name="demo",service_name=~"shop|support",tracer_outcome="failed"})'

        def failures() -> bool:
            found: list[Any] = get(f"{told['Prometheus']}/api/v1/query?query={quote(query)}")["data"]["result"]
            return bool(found) and float(found[0]["value"][1]) > 0

        poll(failures, 120)
        stopped = quote('{span.tracer.outcome = "stopped"}')
        poll(lambda: get(f"{told['Tempo']}/api/search?q={stopped}")["traces"])
        poll(lambda: get(f"{told['Jaeger']}/api/traces?service=support")["data"])
        started = descendants(process.pid)
        assert len(started) >= 6
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, err) == (0, "")
    assert out.rstrip().endswith("Ending.")
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []


def test_sizing_measures_every_hop(capsys: pytest.CaptureFixture[str]) -> None:
    for name in backends.PROGRAMS:
        program(name)
    assert sizing.main(["--spans", "500", "--bytes", "4000"]) == 0
    found: dict[str, float] = json.loads(capsys.readouterr().out)
    assert found["spans"] == 500
    for hop in ("library, in the caller's thread", "library, all threads", "otelcol, CPU", "jaeger, CPU", "tempo, CPU"):
        assert found[f"{hop}, us"] > 0
    assert found["otelcol, memory at the end, MB"] > 10
    assert found["tempo, disk, bytes"] > 100


def test_with_nothing_to_start_it_says_what_would_bring_it(tmp_path: Path) -> None:
    process = start([], PATH="", TRACER_BACKENDS=str(tmp_path))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "`make backends` builds it" in err
    assert "compose.yaml" in err


def test_docker_is_taken_where_the_programs_are_missing(tmp_path: Path) -> None:
    """A stand-in for the command: there is no Docker here. It writes down what it is asked for."""
    asked = tmp_path / "asked"
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    docker.chmod(0o755)
    process = start(["--seconds", "0", "--turns", "1"], PATH=f"{tmp_path}{os.pathsep}/bin:/usr/bin", TRACER_BACKENDS=str(tmp_path / "none"))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "http://127.0.0.1:3000 (dashboards in the folder tracer)" in out
    file = ROOT / "compose.yaml"
    assert asked.read_text().splitlines() == [f"compose --file {file} up --detach --wait", f"compose --file {file} down"]
