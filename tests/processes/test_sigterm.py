"""SIGTERM: with `TRACER_SIGTERM=flush` open calls arrive as unfinished, and the process ends as it would have."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tests.support import Collector, attributes_of, closed_port, collecting, start_program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to handle")

WAITS = """
import tracer, time
with tracer.trace("done"):
    pass
with tracer.trace("open"):
    print("ready", flush=True)
    time.sleep(60)
"""
EARLIER = """
import signal, sys
def earlier(number, frame):
    print("earlier", flush=True)
    sys.exit(7)
signal.signal(signal.SIGTERM, earlier)
"""


def terminated(program: str, collector: Collector, **more: str) -> tuple[subprocess.Popen[str], str, str, float]:
    process = start_program(program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACER_QUIET="1", TRACER_EXIT_TIMEOUT="10", **more)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    return process, out, err, time.monotonic() - begun


def outcomes(collector: Collector) -> dict[str, str]:
    return {span.name: attributes_of(span)["tracer.outcome"] for span in collector.spans()}


def test_open_calls_arrive_as_unfinished_and_the_process_ends_by_the_signal() -> None:
    with collecting() as collector:
        process, _, err, _ = terminated(WAITS, collector, TRACER_SIGTERM="flush")
        assert (process.returncode, err) == (-signal.SIGTERM, "")
        assert outcomes(collector) == {"done": "completed", "open": "unfinished"}


def test_the_handler_that_was_there_has_the_last_word() -> None:
    with collecting() as collector:
        process, out, err, _ = terminated(EARLIER + WAITS, collector, TRACER_SIGTERM="flush")
        assert (process.returncode, out, err) == (7, "earlier\n", "")
        assert outcomes(collector) == {"done": "completed", "open": "unfinished"}


def test_nothing_is_installed_otherwise() -> None:
    check = "import signal, tracer; before = signal.getsignal(signal.SIGTERM)\n" + WAITS.replace(
        'print("ready"', 'assert signal.getsignal(signal.SIGTERM) == before == signal.SIG_DFL; print("ready"'
    )
    with collecting() as collector:
        process, _, _, _ = terminated(check, collector)
        assert process.returncode == -signal.SIGTERM
        assert "open" not in outcomes(collector)


def test_a_backend_that_hangs_keeps_nobody_alive() -> None:
    with collecting(hang=True) as collector:
        process, _, _, seconds = terminated(WAITS, collector, TRACER_SIGTERM="flush", OTEL_EXPORTER_OTLP_TIMEOUT="30")
        assert process.returncode == -signal.SIGTERM
        assert seconds < 20


def test_a_signal_that_is_ignored_stays_ignored_and_recording_goes_on() -> None:
    program = """
import os, signal, tracer
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with tracer.trace("first"):
    os.kill(os.getpid(), signal.SIGTERM)
with tracer.trace("second"):
    print("ready", flush=True)
"""
    with collecting() as collector:
        process = start_program(
            program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACER_QUIET="1", TRACER_SIGTERM="flush", TRACER_EXIT_TIMEOUT="10"
        )
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "ready\n", "")
        assert outcomes(collector) == {"first": "unfinished", "second": "completed"}


def test_outside_of_the_main_thread_it_is_one_line_with_the_fix() -> None:
    program = """
import threading, signal, tracer
thread = threading.Thread(target=tracer.configure)
thread.start(); thread.join()
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
tracer.configure()
assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
tracer.configure(sigterm="off")
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
"""
    with collecting() as collector:
        process = start_program(program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACER_QUIET="1", TRACER_SIGTERM="flush")
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    (line,) = err.splitlines()
    assert line.startswith("tracer: TRACER_SIGTERM=flush can be set up from the main thread only.")


def test_what_cannot_be_sent_before_the_signal_ends_the_process_is_said() -> None:
    nobody = Collector(url=f"http://127.0.0.1:{closed_port()}")
    process, _, err, _ = terminated(WAITS, nobody, TRACER_SIGTERM="flush")
    assert process.returncode == -signal.SIGTERM
    assert "tracer: 2 records could not be sent before the end of the process" in err


def test_a_handler_that_goes_on_finds_tracing_as_it_was() -> None:
    program = """
    import signal, time, tracer
    going_on = []
    signal.signal(signal.SIGTERM, lambda number, frame: going_on.append(number))
    with tracer.trace("before"):
        print("ready", flush=True)
        while not going_on:
            time.sleep(0.01)
    with tracer.trace("after"):
        pass
    """
    with collecting() as collector:
        process, _, err, _ = terminated(program, collector, TRACER_SIGTERM="flush")
        assert (process.returncode, err) == (0, "")
        assert sorted(outcomes(collector)) == ["after", "before"]
