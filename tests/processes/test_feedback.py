"""Feedback with real processes: the end is bounded, the spool keeps it, and the command gives it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.langsmith_server import FULL, Fault, langsmith
from tests.support import Ended, clean_environment, closed_port, run_program
from tracer.scope import new_run_id

GIVE = """
import atexit, json, os, tracer

atexit.register(lambda: print(json.dumps(tracer.status()["feedback"])))  # Runs after the hook of the library.
with tracer.trace("answer") as run:
    pass
for number in range(20):
    assert tracer.feedback(run, "helpful", score=number) is not None
"""


def environment(url: str, **more: str) -> dict[str, str]:
    return {"LANGSMITH_TRACING": "true", "LANGSMITH_API_KEY": "k", "LANGSMITH_ENDPOINT": url, "TRACER_QUIET": "1", **more}


def account_of(ended: Ended, name: str = "langsmith") -> dict[str, Any]:
    account: dict[str, Any] = json.loads(ended.out)[name]
    settled = sum((account["exported"], account["sampled_out"], account["queued"], account.get("spooled", 0), *account["dropped"].values()))
    assert account["given"] == settled == 20
    return account


def test_it_arrives_by_the_end_with_its_run() -> None:
    with langsmith() as server:
        ended = run_program(GIVE, **environment(server.url, TRACER_EXIT_TIMEOUT="20"))
        assert (ended.status, ended.err) == (0, "")
        assert account_of(ended)["exported"] == len(server.feedback) == 20
        (run,) = server.runs.values()
        assert {(kept["run_id"], kept["trace_id"]) for kept in server.feedback.values()} == {(run["id"], run["trace_id"])}


@pytest.mark.parametrize("trouble", [Fault(hang=True), Fault(503), Fault(429, {"Retry-After": "60"}), None])
def test_the_end_is_bounded_and_the_loss_is_counted_and_said(trouble: Fault | None) -> None:
    with langsmith(FULL, always=trouble) as server:
        url = server.url if trouble else f"http://127.0.0.1:{closed_port()}"
        ended = run_program(GIVE, **environment(url, TRACER_EXIT_TIMEOUT="1"))
        server.release.set()
    assert ended.status == 0
    # Far less than the server would hold it up, on a busy machine too.
    assert ended.seconds < 15
    (line,) = ended.err.splitlines()
    assert line.startswith("tracer: 21 records could not be sent before the end of the process (TRACER_EXIT_TIMEOUT)")
    assert account_of(ended)["dropped"] == {"exit": 20}


WAIT = """
import time, tracer

with tracer.trace("late"):
    pass
deadline = time.monotonic() + 20
while tracer.status()["feedback"].get("langsmith", {}).get("recovered") != 20:
    assert time.monotonic() < deadline, tracer.status()
    time.sleep(0.05)
"""


def test_what_a_process_left_in_the_spool_is_sent_by_the_next_once(tmp_path: Path) -> None:
    with langsmith() as server:
        server.always = Fault(503)
        variables = environment(server.url, TRACER_SPOOL=str(tmp_path), TRACER_EXIT_TIMEOUT="20")
        assert account_of(run_program(GIVE, **variables))["spooled"] == 20
        server.always = None
        # The next gives no feedback of its own.
        ended = run_program(WAIT, **variables)
        assert (ended.status, ended.err) == (0, "")
        assert sorted(kept["score"] for kept in server.feedback.values()) == list(range(20))


def test_the_command_that_empties_the_spool_sends_it_too(tmp_path: Path) -> None:
    with langsmith() as server:
        server.always = Fault(503)
        variables = environment(server.url, TRACER_SPOOL=str(tmp_path), TRACER_EXIT_TIMEOUT="20")
        assert account_of(run_program(GIVE, **variables))["spooled"] == 20
        server.always = None
        done = command("flush", **variables)
        assert (done.returncode, done.stdout) == (0, "21 records of earlier processes arrived.\n")
        assert len(server.feedback) == 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_gives_its_own() -> None:
    program = """
import os, tracer

with tracer.trace("answer") as run:
    pass
tracer.feedback(run, "of the parent")
child = os.fork()
if child == 0:
    tracer.feedback(run, "of the child")
    assert tracer.flush(20)
    (account,) = tracer.status()["feedback"].values()
    assert account["given"] == account["exported"] == 1, account
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    with langsmith() as server:
        ended = run_program(program, **environment(server.url, TRACER_EXIT_TIMEOUT="20"))
        assert (ended.status, ended.err) == (0, "")
        assert sorted(kept["key"] for kept in server.feedback.values()) == ["of the child", "of the parent"]
        assert set(server.counts.values()) == {1}


# The command.


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tracer", *arguments], capture_output=True, text=True, check=False, env={**clean_environment(), **variables}
    )


def test_the_command_gives_it_to_both_and_show_prints_it(tmp_path: Path) -> None:
    store = str(tmp_path / "traces.sqlite")
    program = "import tracer\nwith tracer.trace('outer'):\n    with tracer.trace('inner') as run:\n        pass\nprint(run.span_id, run.id)"
    with langsmith() as server:
        variables = environment(server.url, TRACER_LOCAL=store)
        span_id, run_id = run_program(program, **variables).out.split()
        done = command(
            *("feedback", run_id, "helpful", "--score", "1", "--comment", "to the point", "--correction", '{"answer": "7"}'), **variables
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [f"{name}: helpful for run {run_id}" for name in ("local", "langsmith")]
        (kept,) = server.feedback.values()
        # Its trace was looked up in the store.
        assert (kept["run_id"], kept["trace_id"]) == (run_id, server.runs[run_id]["trace_id"])
        assert kept["trace_id"] != run_id
        # The beginning of a span id will do, and without any variable it goes to where the run is.
        done = command("feedback", span_id[:12], "grade", "--value", '"B"', "--store", store)
        assert (done.returncode, done.stdout) == (0, f"local: grade for run {run_id}\n")
    shown = command("show", run_id, "--store", store)
    assert 'feedback helpful  1 · to the point · should be {"answer":"7"}\n' in shown.stdout
    assert "feedback grade  B\n" in shown.stdout
    (trace,) = json.loads(command("show", run_id, "--store", store, "--json").stdout)
    inner = next(span for span in trace["spans"] if span["name"] == "inner")
    assert [(given["key"], given["score"], given["value"]) for given in inner["feedback"]] == [("helpful", 1, None), ("grade", None, "B")]


RUN_ID = str(UUID(int=new_run_id()))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([RUN_ID, "helpful"], 1, "no destination takes it. Switch LangSmith tracing (LANGSMITH_TRACING) or TRACER_LOCAL on."),
        (["nonsense", "helpful"], 1, "run is 'nonsense', which is no run id."),
        ([RUN_ID, "helpful", "--score", "nan"], 1, "score is nan. Give a finite number"),
        ([RUN_ID, ""], 1, "key is ''."),
        ([RUN_ID, "helpful", "--score", "good"], 2, "argument --score: invalid"),
        ([RUN_ID, "helpful", "--correction", "[1]"], 2, "argument --correction: invalid"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: list[str], status: int, words: str, tmp_path: Path) -> None:
    done = command("feedback", *arguments, XDG_DATA_HOME=str(tmp_path))
    assert done.returncode == status
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_tells_of_a_backend_that_is_away(tmp_path: Path) -> None:
    done = command(
        "feedback", RUN_ID, "helpful", "--timeout", "0.5", **environment(f"http://127.0.0.1:{closed_port()}", XDG_DATA_HOME=str(tmp_path))
    )
    assert done.returncode == 1
    assert "langsmith: not sent" in done.stderr


def test_the_command_follows_the_sampling_of_traces() -> None:
    with langsmith() as server:
        done = command("feedback", RUN_ID, "helpful", **environment(server.url, LANGSMITH_TRACING_SAMPLING_RATE="0"))
        assert done.returncode == 0
        assert "sampled out (LANGSMITH_TRACING_SAMPLING_RATE)" in done.stdout
        assert server.ingests == []
