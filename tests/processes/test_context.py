"""Ids kept on the way through processes, queues, threads and executors, by real processes over loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import attributes_of, collecting, run_file

PROGRAM = """
import asyncio, multiprocessing, queue, threading, warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
warnings.simplefilter("ignore", DeprecationWarning)
import tracer

def work(headers, name):
    with tracer.continue_from(headers, client="jobs"), tracer.trace(name):
        pass

def serve(jobs):
    while (job := jobs.get()) is not None:
        work(*job)

async def in_tasks(headers):
    await asyncio.to_thread(work, headers, "to_thread")
    await asyncio.get_running_loop().run_in_executor(None, inherit, "run_in_executor")
    await asyncio.create_task(asyncio.to_thread(inherit, "task"))

def inherit(name):
    with tracer.trace(name):
        pass

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    local, shared = queue.Queue(), context.Queue()
    reader = threading.Thread(target=serve, args=(local,))
    reader.start()  # before there is any span
    with tracer.context(session="s1"), tracer.trace("parent"):
        headers = tracer.headers()
        child = context.Process(target=work, args=(headers, "Process"))
        server = context.Process(target=serve, args=(shared,))
        child.start(), server.start()
        local.put((headers, "queue.Queue"))
        shared.put((headers, "multiprocessing.Queue"))
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            pool.submit(work, headers, "ProcessPoolExecutor").result()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(inherit, "ThreadPoolExecutor").result()
        thread = threading.Thread(target=inherit, args=("Thread",))
        thread.start(), thread.join()
        asyncio.run(in_tasks(headers))
        local.put(None), shared.put(None)
        child.join(), server.join(), reader.join()
    with tracer.trace("another"):
        pass
"""
WAYS = {
    "Process",
    "queue.Queue",
    "multiprocessing.Queue",
    "ProcessPoolExecutor",
    "ThreadPoolExecutor",
    "Thread",
    "to_thread",
    "run_in_executor",
    "task",
}


@pytest.mark.parametrize("propagators", ["tracecontext,baggage", "b3,baggage", "jaeger"])
def test_ids_are_kept_on_every_way(tmp_path: Path, propagators: str) -> None:
    with collecting() as collector:
        ended = run_file(
            tmp_path / "program.py",
            PROGRAM,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_PROPAGATORS=propagators,
            TRACER_TRUST_HEADERS="jobs",
            TRACER_EXIT_TIMEOUT="20",
            TRACER_QUIET="1",
        )
        spans = {span.name: span for span in collector.spans()}
    assert (ended.status, ended.err) == (0, "")
    assert set(spans) == {"parent", "another", *WAYS}
    parent = spans["parent"]
    for way in WAYS:
        span = spans[way]
        assert (way, span.trace_id, span.parent_span_id) == (way, parent.trace_id, parent.span_id)
        assert attributes_of(span)["session.id"] == "s1"
    assert spans["another"].trace_id != parent.trace_id


def test_jobs_that_are_not_trusted_begin_traces_of_their_own(tmp_path: Path) -> None:
    with collecting() as collector:
        ended = run_file(
            tmp_path / "program.py",
            """
import tracer
with tracer.trace("parent"):
    headers = tracer.headers()
for _ in range(3):
    with tracer.continue_from(headers, client="jobs"), tracer.trace("job"):
        pass
""",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            TRACER_TRUST_HEADERS="10.0.0.0/8",
            TRACER_EXIT_TIMEOUT="20",
            TRACER_QUIET="1",
        )
        traces = [span.trace_id for span in collector.spans()]
    assert len(set(traces)) == len(traces) == 4
    (line,) = ended.err.splitlines()
    assert "TRACER_TRUST_HEADERS" in line
