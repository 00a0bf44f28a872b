"""LangSmith as the destination of real processes: runs arrive, the end is bounded, and what is left is counted and said."""

from __future__ import annotations

import json
import os

import pytest

from tests.langsmith_server import FULL, PROFILES, Fault, langsmith
from tests.support import closed_port, run_program

PROGRAM = """
import atexit, json, tracer

def tell():
    print(json.dumps(tracer.status()["destinations"]))

atexit.register(tell)  # Runs after the hook of the library, which is registered later.
for number in range(20):
    with tracer.trace(f"run {number}"):
        pass
"""
NAMES = sorted(f"run {number}" for number in range(20))


def environment(url: str, **more: str) -> dict[str, str]:
    return {"LANGCHAIN_TRACING_V2": "true", "LANGCHAIN_API_KEY": "k", "LANGCHAIN_ENDPOINT": url, "TRACER_QUIET": "1", **more}


@pytest.mark.parametrize("profile", PROFILES)
def test_everything_arrives_by_the_end(profile: str) -> None:
    with langsmith(PROFILES[profile]) as server:
        ended = run_program(PROGRAM, **environment(server.url, TRACER_EXIT_TIMEOUT="20"))
        assert (ended.status, ended.err) == (0, "")
        assert server.names == NAMES
        assert set(server.counts.values()) == {1}
    assert json.loads(ended.out)["langsmith"]["exported"] == 20


TROUBLES = {
    "hangs": Fault(hang=True),
    "asks to wait": Fault(429, {"Retry-After": "60"}),
    "is busy": Fault(503),
    "resets": Fault(reset=True),
    "refuses connections": None,
    "hangs at info": Fault(hang=True),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_end_is_bounded_and_the_loss_is_counted_and_said_once(trouble: str) -> None:
    delay = 30.0 if trouble == "hangs at info" else 0.0
    with langsmith(FULL, always=TROUBLES[trouble], info_delay=delay) as server:
        url = server.url if TROUBLES[trouble] else f"http://127.0.0.1:{closed_port()}"
        ended = run_program(PROGRAM, **environment(url, TRACER_EXIT_TIMEOUT="1"))
        server.release.set()
    assert ended.status == 0
    # A few seconds of its own for Python, the imports, and a busy machine.
    assert ended.seconds < 8
    (line,) = ended.err.splitlines()
    assert line.startswith("tracer: 20 records could not be sent before the end of the process (TRACER_EXIT_TIMEOUT)")
    account = json.loads(ended.out)["langsmith"]
    assert (account["exported"], account["queued"], sum(account["dropped"].values())) == (0, 0, 20)


def test_a_wrong_key_is_one_line_with_the_fix() -> None:
    with langsmith(always=Fault(401)) as server:
        ended = run_program(PROGRAM, **environment(server.url, TRACER_EXIT_TIMEOUT="20"))
        assert len(server.ingests) == 1
    (line,) = ended.err.splitlines()
    assert line.endswith("Check LANGSMITH_API_KEY. Nothing more is sent there until the settings change.")
    account = json.loads(ended.out)["langsmith"]
    assert account["dropped"] == {"refused:401": 20}
    assert "HTTP 401" in account["stopped"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_sends_its_own_runs_and_none_of_the_parents() -> None:
    with langsmith() as server:
        ended = run_program(
            """
            import os, sys, warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            import tracer

            for number in range(50):
                with tracer.trace(f"parent {number}"):
                    pass
            assert tracer.flush(20)
            for number in range(50, 100):
                with tracer.trace(f"parent {number}"):
                    pass
            child = os.fork()
            name = "in the parent" if child else "in the child"
            with tracer.trace(name):
                pass
            if child:
                _, status = os.waitpid(child, 0)
                print(os.waitstatus_to_exitcode(status))
            """,
            **environment(server.url, TRACER_EXIT_TIMEOUT="20"),
        )
        assert (ended.status, ended.out, ended.err) == (0, "0\n", "")
        assert server.names == sorted([*(f"parent {number}" for number in range(100)), "in the child", "in the parent"])
        assert set(server.counts.values()) == {1}


def test_a_run_that_lasts_is_seen_before_it_ends_and_ends_with_the_process() -> None:
    with langsmith() as server:
        ended = run_program(
            """
            import time, tracer
            from tracer.pipeline import starts
            starts.LASTS = starts.INTERVAL = 0.1

            with tracer.trace("long") as run:
                while True:
                    time.sleep(0.05)
                    with tracer.trace("short"):
                        pass
                    time.sleep(0.05)
                    tracer.flush(5)
                    if run.id and tracer.status()["open"] == 1 and time.perf_counter() - begun > 1.5:
                        break
            unfinished = tracer.trace("unfinished")
            unfinished.__enter__()
            time.sleep(1)
            """.replace("import time, tracer\n", "import time, tracer\n            begun = time.perf_counter()\n"),
            **environment(server.url, TRACER_EXIT_TIMEOUT="20"),
        )
        assert (ended.status, ended.err) == (0, "")
        started = {run["name"] for run in server.creates.values() if "end_time" not in run}
        assert started == {"long", "unfinished"}
        assert {run["name"] for run in server.patches.values()} == {"long", "unfinished"}
        assert all(run["end_time"] for run in server.runs.values())


def test_one_destination_that_hangs_delays_no_other() -> None:
    with langsmith(always=Fault(hang=True)) as stuck, langsmith() as quick:
        endpoints = json.dumps([{"api_url": stuck.url}, {"api_url": quick.url}])
        ended = run_program(
            PROGRAM.replace("\nfor number", f"\ntracer.configure(langsmith_runs_endpoints={endpoints!r})\nfor number"),
            LANGSMITH_TRACING="true",
            TRACER_QUIET="1",
            TRACER_EXIT_TIMEOUT="3",
        )
        stuck.release.set()
        assert quick.names == NAMES
    accounts = json.loads(ended.out)
    assert accounts["langsmith"]["dropped"] == {"exit": 20}
    assert accounts["langsmith 2"]["exported"] == 20


def test_memory_stays_bounded_while_the_backend_is_away() -> None:
    ended = run_program(
        """
        import json, resource, time, tracer

        def memory():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * resource.getpagesize()

        def work(count):
            for number in range(count):
                with tracer.trace("a") as run:
                    run.set_input({"text": "x" * 20_000})
                if number % 50 == 0:
                    time.sleep(0.02)

        work(300)
        tracer.flush(1)
        before = memory()
        work(6000)
        tracer.flush(1)
        full = memory()
        work(6000)
        tracer.flush(1)
        print(json.dumps([before, full, memory(), tracer.status()["destinations"]["langsmith"]]))
        """,
        **environment(f"http://127.0.0.1:{closed_port()}", TRACER_EXIT_TIMEOUT="0.2", TRACER_QUEUE_BYTES="8MiB"),
    )
    assert ended.status == 0, ended.err
    before, full, after, account = json.loads(ended.out)
    # 6,000 records of 20 kB are 120 MB; once the queue is full, nothing is added to it.
    assert full - before < 80_000_000
    assert after - full < 20_000_000
    assert account["exported"] == 0
    assert account["queued"] + sum(account["dropped"].values()) == 12_300
    assert account["shortened"]["queue full"] > 4000
