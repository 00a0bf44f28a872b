"""Loops that close, threads that come late, prefork servers, pools, handlers that flush: nothing lost or doubled, nothing on stderr."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import Ended, collecting, run_file, run_program

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def run(code: str, url: str, **more: str) -> Ended:
    return run_program(code, OTEL_EXPORTER_OTLP_ENDPOINT=url, TRACER_QUIET="1", TRACER_EXIT_TIMEOUT="20", **more)


def test_loops_that_close_one_after_the_other() -> None:
    program = """
    import asyncio
    import tracer

    async def pieces():
        with tracer.trace("left open"):
            yield 1
            yield 2

    @tracer.trace("step")
    async def step():
        await asyncio.sleep(0)

    async def never():
        with tracer.trace("cancelled"):
            await asyncio.sleep(600)

    async def main():
        waiting = asyncio.create_task(never())
        await asyncio.gather(*(step() for _ in range(10)))
        async for _ in pieces():
            break

    for _ in range(3):
        asyncio.run(main())
    loop = asyncio.new_event_loop()
    loop.run_until_complete(step())
    loop.close()
    """
    with collecting() as collector:
        ended = run(program, collector.url)
        assert (ended.status, ended.err) == (0, "")
        assert sorted(collector.names) == sorted(["step"] * 31 + ["cancelled"] * 3 + ["left open"] * 3)


def test_threads_that_begin_when_the_program_is_over() -> None:
    program = """
    import threading, time
    import tracer

    def last():
        with tracer.trace("last"):
            pass

    def late():
        threading.main_thread().join()
        with tracer.trace("late"):
            pass
        try:
            threading.Thread(target=last).start()
        except RuntimeError:  # Newer versions of Python start none at that point.
            last()

    with tracer.trace("early"):
        pass
    threading.Thread(target=late).start()
    """
    with collecting() as collector:
        ended = run(program, collector.url)
        assert (ended.status, ended.err) == (0, "")
        assert sorted(collector.names) == ["early", "last", "late"]


def test_the_first_use_of_the_library_may_come_when_the_program_is_over() -> None:
    program = """
    import threading
    import tracer

    def late():
        threading.main_thread().join()
        with tracer.trace("late"):
            pass

    threading.Thread(target=late).start()
    """
    with collecting() as collector:
        ended = run(program, collector.url)
        assert (ended.status, ended.err) == (0, "")
        assert collector.names == ["late"]


def test_executors_that_are_loaded_after_the_first_span_carry_the_scope() -> None:
    program = """
    import sys
    import tracer

    with tracer.trace("outside") as outside:
        assert "concurrent.futures.thread" not in sys.modules
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(tracer.current).result().id == outside.id
    """
    with collecting() as collector:
        ended = run(program, collector.url)
        assert (ended.status, ended.err) == (0, "")


def test_a_handler_that_flushes_leaves_nothing_for_a_process_that_is_frozen() -> None:
    program = """
    import os
    import tracer

    def handler(event):
        with tracer.trace(f"event {event}"):
            pass
        return tracer.flush(20)

    print([handler(event) for event in range(3)], flush=True)
    os._exit(0)  # As a platform does that froze the process after the last event.
    """
    with collecting() as collector:
        ended = run(program, collector.url)
        assert (ended.out, ended.err) == ("[True, True, True]\n", "")
        assert collector.names == ["event 0", "event 1", "event 2"]


@needs_fork
def test_a_prefork_server() -> None:
    program = """
    import os, signal, sys, time, warnings
    import tracer
    warnings.simplefilter("ignore", DeprecationWarning)

    def work(name, count):
        for number in range(count):
            with tracer.trace(f"{name} {number}"):
                pass

    def leave(number, frame):
        raise SystemExit(0)

    work("master", 20)  # Still in its queue when it forks.
    workers = []
    for name in "abc":
        ready, told = os.pipe()
        worker = os.fork()
        if worker == 0:
            signal.signal(signal.SIGTERM, leave)  # Servers set their own in each worker.
            work(name, 30)
            os.write(told, b"1")
            while True:
                time.sleep(1)
        workers.append(worker)
        os.read(ready, 1)
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
        assert os.waitpid(worker, 0)[1] == 0
    work("after", 5)
    """
    expected = [
        f"{name} {number}" for name, count in {"master": 20, "a": 30, "b": 30, "c": 30, "after": 5}.items() for number in range(count)
    ]
    for sigterm in ("off", "flush"):
        with collecting() as collector:
            ended = run(program, collector.url, TRACER_SIGTERM=sigterm)
            assert (ended.status, ended.err) == (0, "")
            assert sorted(collector.names) == sorted(expected)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@needs_fork
def test_a_pool_that_is_closed(method: str, tmp_path: Path) -> None:
    program = f"""
import multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import tracer

def work(number):
    with tracer.trace(f"task {{number}}"):
        return number

if __name__ == "__main__":
    with tracer.trace("parent"):
        pass
    pool = multiprocessing.get_context({method!r}).Pool(2)
    assert pool.map(work, range(20)) == list(range(20))
    pool.close()
    pool.join()
"""
    with collecting() as collector:
        ended = run_file(
            tmp_path / "program.py", program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACER_QUIET="1", TRACER_EXIT_TIMEOUT="20"
        )
        assert (ended.status, ended.err) == (0, "")
        assert sorted(collector.names) == sorted(["parent", *(f"task {number}" for number in range(20))])
