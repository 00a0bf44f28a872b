"""Bad configuration and a backend that is down: the program runs on, and each trouble is one line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support import closed_port, collecting, run_program
from tests.unit.test_settings import TEXTS
from tracer.settings import VARIABLES

BAD: dict[str, str] = {variable.names[-1]: TEXTS[variable.field][2] or "" for variable in VARIABLES}

PROGRAM = """
import tracer
from openai import OpenAI

client = tracer.wrap(OpenAI(api_key="none"))
with tracer.trace("a"):
    pass
tracer.wrap(client)
tracer.configure()
print("done")
"""


def test_every_variable_bad_at_once() -> None:
    ended = run_program(PROGRAM, **BAD)
    assert (ended.status, ended.out) == (0, "done\n")
    lines = ended.err.splitlines()
    assert len(lines) == sum(bool(text) for text in BAD.values())
    for name, text in BAD.items():
        if text:
            (line,) = [line for line in lines if line.startswith(f"tracer: {name}=")]
            assert "accepted is " in line


def test_bad_values_beside_a_destination_do_not_stop_it(tmp_path: Path) -> None:
    with collecting() as collector:
        ended = run_program(
            PROGRAM,
            **{**BAD, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "", "TRACER_EXIT_TIMEOUT": ""},
        )
        assert (ended.status, ended.out) == (0, "done\n")
        assert collector.names == ["a"]


def test_the_start_line_is_one_and_can_be_hidden(tmp_path: Path) -> None:
    place = str(tmp_path / "x.sqlite")
    ended = run_program(PROGRAM.replace("tracer.configure()\n", ""), TRACER_LOCAL=place)
    assert (ended.status, ended.out) == (0, "done\n")
    (line,) = ended.err.splitlines()
    assert line.startswith(f"tracer: recording to local store {place}; prompts and answers are captured")
    ended = run_program(PROGRAM, TRACER_LOCAL=place, TRACER_QUIET="true")
    assert (ended.status, ended.out, ended.err) == (0, "done\n", "")


def test_nothing_is_said_at_import() -> None:
    ended = run_program("import tracer; tracer.__version__; print('done')", TRACER_CONTENT="bad", TRACER_LOCAL="true")
    assert (ended.out, ended.err) == ("done\n", "")


def test_a_backend_that_is_down_slows_nobody_and_is_one_line() -> None:
    with collecting() as collector:
        ended = run_program(
            f"""
            import json, sys, time
            import tracer

            def measure(endpoint):
                tracer.configure(otlp_endpoint=endpoint, otlp_timeout=0.3, exit_timeout=1)
                with tracer.trace("warm"):
                    pass
                best = 1e9
                for _ in range(20):
                    begun = time.perf_counter()
                    for _ in range(100):
                        with tracer.trace("a"):
                            pass
                    best = min(best, time.perf_counter() - begun)
                return best

            up = measure({collector.url!r})
            assert tracer.flush(60)
            print("---", file=sys.stderr, flush=True)
            down = measure("http://127.0.0.1:{closed_port()}")
            assert not tracer.flush(0.5)
            account = tracer.status()["destinations"]["otlp"]
            assert (account["exported"], account["dropped"], account["queued"]) == (0, dict(), 2001), account
            print(json.dumps([up, down]))
            """,
            TRACER_QUIET="",
        )
    assert ended.status == 0, ended.err
    up, down = json.loads(ended.out)
    assert down < up * 5
    _, _, after = ended.err.partition("---\n")
    start, *lines = after.splitlines()
    assert start.startswith("tracer: recording to OTLP http://127.0.0.1:")
    (line,) = lines
    assert line.startswith("tracer: 2001 records could not be sent before the end of the process (TRACER_EXIT_TIMEOUT): OTLP endpoint ")
    assert line.endswith(" cannot be reached (connection refused). Set OTEL_EXPORTER_OTLP_ENDPOINT or start a collector.")


def test_a_local_store_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ended = run_program(PROGRAM.replace("tracer.configure()\n", ""), TRACER_LOCAL=str(tmp_path / "file" / "x.sqlite"), TRACER_QUIET="1")
    assert (ended.status, ended.out) == (0, "done\n")
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith("tracer: ")
