"""However a process ends by itself, what was recorded arrives, within bounds, and what is lost is said in one line."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support import Collector, attributes_of, closed_port, collecting, run_program, start_program, stored_names, wait_until
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import by_id
from tracer.replay.server import ReplayServer
from tracer.store.reader import StoreReader

STREAM = "openaipy.stream.parse_nothing"

# A shell may start its background jobs with interrupts ignored, and children inherit that.
HEAR_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"

RECORD = f"""
import os, signal, sys, threading, time
import tracer
{HEAR_INTERRUPTS}

for number in range(20):
    with tracer.trace(f"span {{number}}"):
        pass
"""
NAMES = [f"span {number}" for number in range(20)]

ENDS = {
    "falls off its end": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "uncaught exception": ("raise RuntimeError('uncaught')", 1),
    "exit inside of a span": ("with tracer.trace('last'): sys.exit(4)", 4),
    "interrupt": ("signal.raise_signal(signal.SIGINT)", -signal.SIGINT),
    "a thread that ends last": ("threading.Thread(target=lambda: (time.sleep(0.2), tracer.trace('late').__enter__())).start()", 0),
}


@pytest.mark.parametrize("end", ENDS)
def test_everything_arrives(end: str, tmp_path: Path) -> None:
    code, status = ENDS[end]
    store = tmp_path / "x.sqlite"
    with collecting() as collector:
        ended = run_program(
            RECORD + code, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACER_LOCAL=str(store), TRACER_EXIT_TIMEOUT="20", TRACER_QUIET="1"
        )
        arrived = collector.names
    assert ended.status == status
    assert ended.lines == []
    extra = {"exit inside of a span": ["last"], "a thread that ends last": ["late"]}.get(end, [])
    assert sorted(arrived) == sorted([*NAMES, *extra])
    assert sorted(stored_names(store)) == sorted([*NAMES, *extra])


def test_ctrl_c_while_a_span_is_open(tmp_path: Path) -> None:
    store = tmp_path / "x.sqlite"
    process = start_program(
        f"""
        import sys, tracer
        {HEAR_INTERRUPTS}
        with tracer.trace("outer"), tracer.trace("inner"):
            print("ready", flush=True)
            sys.stdin.read()
        """,
        TRACER_LOCAL=str(store),
        TRACER_EXIT_TIMEOUT="20",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
    with StoreReader(store) as reader:
        (trace,) = reader.traces(5)
    assert [(span.name, span.outcome) for span in trace.spans] == [("outer", "cancelled"), ("inner", "cancelled")]


def test_what_is_open_at_the_end_is_unfinished(tmp_path: Path) -> None:
    store = tmp_path / "x.sqlite"
    with ReplayServer() as server:
        ended = run_program(
            f"""
            import tracer
            from openai import OpenAI
            client = tracer.wrap(OpenAI(api_key="none", base_url={server.base_url(STREAM, Behaviour(delay=0.01))!r}))
            span = tracer.trace("open span")
            span.__enter__()
            stream = client.chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "hi"}}], stream=True)
            print(sum(1 for _ in zip(range(3), stream)))
            """,
            TRACER_LOCAL=str(store),
            TRACER_EXIT_TIMEOUT="20",
            TRACER_QUIET="1",
        )
    assert by_id(STREAM).streamed
    assert (ended.status, ended.out, ended.err) == (0, "3\n", "")
    with StoreReader(store) as reader:
        (trace,) = reader.traces(5)
    outer, stream = trace.spans
    assert (outer.name, outer.outcome) == ("open span", "unfinished")
    assert (stream.kind, stream.outcome, stream.parent_span_id) == ("llm", "unfinished", outer.span_id)
    assert '"tracer.stream.chunks":3' in stream.attributes.replace(" ", "")


@pytest.mark.parametrize("backend", ["refuses", "hangs"])
def test_the_end_is_bounded_and_the_loss_is_one_line(backend: str, tmp_path: Path) -> None:
    store = tmp_path / "x.sqlite"
    with collecting(hang=True) as collector:
        ended = run_program(
            RECORD,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url if backend == "hangs" else f"http://127.0.0.1:{closed_port()}",
            TRACER_LOCAL=str(store),
            TRACER_EXIT_TIMEOUT="1",
            TRACER_QUIET="1",
        )
    assert ended.status == 0
    # A second of its own for Python and the imports.
    assert ended.seconds < 5
    (line,) = ended.err.splitlines()
    assert line.startswith("tracer: ")
    assert "20 records" in line
    assert sorted(stored_names(store)) == sorted(NAMES)


def test_an_exit_timeout_of_nothing_waits_for_nothing() -> None:
    with collecting(hang=True) as collector:
        ended = run_program(RECORD, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACER_EXIT_TIMEOUT="0", TRACER_QUIET="1")
    assert ended.status == 0
    assert ended.seconds < 5
    assert len(ended.err.splitlines()) == 1


def test_shutdown_in_the_program_and_the_end_after_it() -> None:
    with collecting() as collector:
        ended = run_program(RECORD + "assert tracer.shutdown(20)", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACER_QUIET="1")
        assert (ended.status, ended.err) == (0, "")
        assert sorted(collector.names) == sorted(NAMES)


def test_spans_carry_their_outcome_and_ids() -> None:
    with collecting() as collector:
        ended = run_program(
            "import tracer\nwith tracer.context(session='s'), tracer.trace('a') as run: print(run.id, run.trace_id, run.span_id)",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_SERVICE_NAME="shop",
        )
        wait_until(lambda: bool(collector.bodies))
        (span,) = collector.spans()
    run_id, trace_id, span_id = ended.out.split()
    attributes = attributes_of(span)
    assert (span.trace_id.hex(), span.span_id.hex()) == (trace_id, span_id)
    assert (attributes["tracer.run_id"], attributes["tracer.outcome"], attributes["session.id"]) == (run_id, "completed", "s")


def names_of(collector: Collector) -> list[str]:
    return sorted(collector.names)


def test_eight_threads() -> None:
    with collecting() as collector:
        ended = run_program(
            """
            import threading, tracer

            def work(name):
                for number in range(50):
                    with tracer.trace(f"{name}.{number}"):
                        pass

            threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            """,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            TRACER_EXIT_TIMEOUT="30",
            TRACER_QUIET="1",
        )
        assert (ended.status, ended.err) == (0, "")
        assert names_of(collector) == sorted(f"{name}.{number}" for name in range(8) for number in range(50))
