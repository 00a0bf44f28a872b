"""The spool with real processes: what a killed process recorded is sent by the next, once; nobody takes what a living one still has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.langsmith_server import Fault, langsmith
from tests.support import ROOT, Ended, clean_environment, closed_port, collecting, run_program, start_program
from tracer.spool.listing import look_into

RECORD = """
import json, os, sys, time
import tracer

for number in range(40):
    with tracer.trace(f"{sys.argv[1] if len(sys.argv) > 1 else 'early'} {number}"):
        pass
deadline = time.monotonic() + 20
while sum(account["spooled"] for account in tracer.status()["destinations"].values()) < 40:
    assert time.monotonic() < deadline, tracer.status()
    time.sleep(0.01)
"""
NEXT = """
import json, time
import tracer

with tracer.trace("late"):
    pass
deadline = time.monotonic() + 20
while not all(account.get("recovered") == 40 for account in tracer.status()["destinations"].values()):
    assert time.monotonic() < deadline, tracer.status()
    time.sleep(0.01)
tracer.shutdown(5)
print(json.dumps(tracer.status()))
"""
NAMES = Counter([*(f"early {number}" for number in range(40)), "late"])
ENDS = {
    "kill -9": "os.kill(os.getpid(), 9)",
    "os._exit": "os._exit(0)",
    "exit": "",
}


def environment(directory: Path, url: str, **more: str) -> dict[str, str]:
    return {"TRACER_SPOOL": str(directory), "OTEL_EXPORTER_OTLP_ENDPOINT": url, "TRACER_QUIET": "1", **more}


def ledger_closes(ended: Ended) -> bool:
    status = json.loads(ended.out)
    return all(
        status["started"]
        == sum((account["exported"], account["sampled_out"], account["queued"], account["spooled"], *account["dropped"].values()))
        for account in status["destinations"].values()
    )


@pytest.mark.parametrize("end", ENDS)
def test_what_a_process_recorded_outlives_it_and_is_sent_by_the_next_each_once(end: str, tmp_path: Path) -> None:
    with collecting() as collector:
        port = collector.url.rpartition(":")[2]
        collector.close_door()
        ended = run_program(RECORD + ENDS[end], **environment(tmp_path, collector.url))
        if end == "kill -9":
            assert ended.status == -signal.SIGKILL
        elif end == "exit":
            (line,) = ended.err.splitlines()
            assert line.startswith(f"tracer: 40 records could not be sent yet; they are kept in {tmp_path} (TRACER_SPOOL)")
        assert collector.names == []
        collector.open_door()
        ended = run_program(NEXT, **environment(tmp_path, f"http://127.0.0.1:{port}"))
        assert (ended.status, ended.err) == (0, "")
        assert Counter(collector.names) == NAMES
    assert ledger_closes(ended)
    assert list(tmp_path.iterdir()) == []


def test_each_keeps_the_resource_of_the_process_that_recorded_it(tmp_path: Path) -> None:
    with collecting() as collector:
        collector.close_door()
        run_program(RECORD + ENDS["kill -9"], **environment(tmp_path, collector.url, OTEL_SERVICE_NAME="killed"))
        collector.open_door()
        run_program(NEXT, **environment(tmp_path, collector.url, OTEL_SERVICE_NAME="alive"))
        services = {name.partition(" ")[0]: service for service, name in collector.services()}
    assert services == {"early": "killed", "late": "alive"}


def test_the_command_sends_what_is_left_and_says_what_it_cannot(tmp_path: Path) -> None:
    with collecting() as collector:
        collector.close_door()
        run_program(RECORD + ENDS["os._exit"], **environment(tmp_path, collector.url))
        failed = flush_by_command(environment(tmp_path, collector.url), "--timeout", "6")
        assert failed.returncode == 1
        assert "cannot be reached" in failed.stderr
        assert "40 records left in" in failed.stderr
        elsewhere = flush_by_command(environment(tmp_path, f"http://127.0.0.1:{closed_port()}"))
        assert elsewhere.returncode == 1
        assert "40 records left in" in elsewhere.stderr
        collector.open_door()
        done = flush_by_command(environment(tmp_path, collector.url))
        assert (done.returncode, done.stdout, done.stderr) == (0, "40 records of earlier processes arrived.\n", "")
        assert len(collector.names) == len(set(collector.names)) == 40


def flush_by_command(variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tracer", "flush", *arguments],
        env={**clean_environment(), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )


def test_several_processes_share_the_directory_and_each_record_arrives_once(tmp_path: Path) -> None:
    with collecting() as collector:
        collector.close_door()
        for name in "ab":
            run_program(f"import sys; sys.argv.append({name!r})\n" + RECORD + ENDS["kill -9"], **environment(tmp_path, collector.url))
        collector.open_door()
        program = """
import time, sys, tracer
for number in range(100):
    with tracer.trace(f"{PLACE} {number}"):
        pass
    time.sleep(0.005)
assert tracer.flush(20)
"""
        running = [start_program(program.replace("{PLACE}", name), **environment(tmp_path, collector.url)) for name in "cde"]
        for process in running:
            _, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (0, "")
        flush_by_command(environment(tmp_path, collector.url))
        expected = Counter([f"{name} {number}" for name in "ab" for number in range(40)])
        expected.update(f"{name} {number}" for name in "cde" for number in range(100))
        assert Counter(collector.names) == expected
    assert list(tmp_path.iterdir()) == []


def test_nobody_takes_what_a_living_process_has(tmp_path: Path) -> None:
    with collecting() as collector:
        collector.close_door()
        living = start_program(RECORD + "print('ready', flush=True); sys.stdin.read()", **environment(tmp_path, collector.url))
        assert living.stdout is not None
        assert living.stdout.readline() == "ready\n"
        (found,) = look_into(tmp_path)
        assert (found.records, found.pid) == (None, living.pid)
        with collecting() as other:
            flush_by_command(environment(tmp_path, other.url))
            assert other.names == []
        collector.open_door()
        _, err = living.communicate("", timeout=60)
        assert (living.returncode, err) == (0, "")
        assert Counter(collector.names) == Counter(f"early {number}" for number in range(40))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_leaves_its_parents_file_alone_however_it_ends(tmp_path: Path) -> None:
    with collecting() as collector:
        collector.close_door()
        program = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
for end in ("exit", "_exit"):
    child = os.fork()
    if child == 0:
        with tracer.trace(f"child {end}"):
            pass
        tracer.flush(0.5)
        os._exit(0) if end == "_exit" else sys.exit(0)
    os.waitpid(child, 0)
with tracer.trace("after"):
    pass
os.environ["OPEN"] = "1"
print("ready", flush=True)
sys.stdin.read()
assert tracer.flush(20)
"""
        parent = start_program(RECORD + program, **environment(tmp_path, collector.url, TRACER_EXIT_TIMEOUT="1"))
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        collector.open_door()
        _, err = parent.communicate("", timeout=60)
        assert parent.returncode == 0, err
        flush_by_command(environment(tmp_path, collector.url))
        assert Counter(collector.names) == Counter([*(f"early {number}" for number in range(40)), "after", "child exit", "child _exit"])
    assert list(tmp_path.iterdir()) == []


def test_langsmith_gets_runs_of_a_killed_process_once(tmp_path: Path) -> None:
    with langsmith(always=Fault(503)) as server:
        variables = {
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_API_KEY": "k",
            "LANGSMITH_ENDPOINT": server.url,
            "TRACER_SPOOL": str(tmp_path),
            "TRACER_QUIET": "1",
        }
        ended = run_program(RECORD + ENDS["kill -9"], **variables)
        assert ended.status == -signal.SIGKILL
        server.always = None
        ended = run_program(NEXT, **variables)
        assert (ended.status, ended.err) == (0, "")
        assert server.names == sorted(NAMES)
        assert set(server.counts.values()) == {1}
    assert b"LANGSMITH" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_directory_that_cannot_be_used_is_one_line_and_everything_arrives(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with collecting() as collector:
        ended = run_program("import tracer\nwith tracer.trace('a'):\n    pass", **environment(tmp_path / "file" / "spool", collector.url))
        assert ended.status == 0
        assert collector.names == ["a"]
    (line,) = ended.err.splitlines()
    assert "recording goes on in memory" in line


def test_a_missing_spool_is_one_line_with_the_fix() -> None:
    done = flush_by_command({})
    assert (done.returncode, done.stderr) == (1, "tracer: no spool directory is named. Set TRACER_SPOOL, or name it with --spool DIR.\n")


def test_nothing_is_made_before_something_is_recorded(tmp_path: Path) -> None:
    ended = run_program("import tracer; tracer.configure()", **environment(tmp_path / "spool", "http://127.0.0.1:1"))
    assert (ended.status, ended.err) == (0, "")
    assert not (tmp_path / "spool").exists()
