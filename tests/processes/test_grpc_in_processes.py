"""gRPC in whole processes: the end of the program, a fork, an endpoint that is away or hangs."""

from __future__ import annotations

import threading

import pytest

from tests.integration.grpc_support import GrpcCollector, serving_grpc
from tests.support import closed_port, run_program

ONE = """
import tracer
with tracer.trace("only", kind="chain"):
    pass
"""

FORKING = """
import os, sys, tracer

def record(name):
    with tracer.trace(name, kind="chain"):
        pass
    assert tracer.flush(20)
    account = tracer.status()["destinations"]["otlp"]
    print(name, account["exported"], account["dropped"], flush=True)

record("before")
child = os.fork()
record("child" if child == 0 else "parent")
if child:
    assert os.waitpid(child, 0)[1] == 0
    record("after")
"""


def run(target: str, code: str, **more: str):
    return run_program(
        code, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{target}", OTEL_EXPORTER_OTLP_PROTOCOL="grpc", TRACER_QUIET="true", **more
    )


def names(collector: GrpcCollector) -> list[str]:
    return sorted(span.name for span in collector.spans())


def test_what_is_recorded_last_arrives_before_the_end() -> None:
    with serving_grpc() as collector:
        ended = run(collector.target, ONE, TRACER_EXIT_TIMEOUT="30")
        assert (ended.status, ended.err) == (0, "")
        assert names(collector) == ["only"]


def test_a_fork() -> None:
    with serving_grpc() as collector:
        ended = run(collector.target, FORKING)
        assert (ended.status, ended.err) == (0, "")
        assert sorted(ended.out.splitlines()) == ["after 3 {}", "before 1 {}", "child 1 {}", "parent 2 {}"]
        assert names(collector) == ["after", "before", "child", "parent"]


def test_an_endpoint_that_is_away() -> None:
    port = closed_port()
    ended = run(f"127.0.0.1:{port}", ONE, TRACER_EXIT_TIMEOUT="3")
    assert ended.status == 0
    (line,) = ended.err.splitlines()
    assert line.startswith("tracer: 1 record could not be sent before the end of the process (TRACER_EXIT_TIMEOUT): OTLP endpoint ")
    assert "cannot be reached (connection refused" in line


def test_an_endpoint_that_hangs() -> None:
    released = threading.Event()
    try:
        with serving_grpc(GrpcCollector(always=lambda context: (released.wait(60), None)[1])) as collector:
            ended = run(collector.target, ONE, TRACER_EXIT_TIMEOUT="3")
            released.set()
    finally:
        released.set()
    assert ended.status == 0
    (line,) = ended.err.splitlines()
    assert line.startswith("tracer: 1 record could not be sent before the end of the process (TRACER_EXIT_TIMEOUT)")
    assert ended.seconds < 40


@pytest.mark.parametrize("how", ["missing", "broken"])
def test_without_grpcio(how: str) -> None:
    hidden = """
import sys, importlib.abc

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "grpc":
            raise ImportError("no grpc for this processor")

sys.meta_path.insert(0, Hidden())
"""
    missing = "import sys; sys.modules['grpc'] = None\n"
    ended = run(f"127.0.0.1:{closed_port()}", (missing if how == "missing" else hidden) + ONE, TRACER_EXIT_TIMEOUT="3")
    assert ended.status == 0
    first, last = ended.err.splitlines()
    assert "OTEL_EXPORTER_OTLP_PROTOCOL='grpc' (also meant by port 4317) needs the package grpcio" in first
    assert "pip install grpcio" in first
    assert last.startswith("tracer: 1 record could not be sent before the end of the process")
