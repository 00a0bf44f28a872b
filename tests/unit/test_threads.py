"""The scope follows work into threads, and only that work."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

import tracer
from tests.support import Keeping
from tracer.call import Call
from tracer.reading.record import Record
from tracer.runtime import Runtime, runtime
from tracer.scope import EMPTY, current
from tracer.settings import Settings


def session() -> str | None:
    return current().session


def run_in(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


def test_a_thread_has_the_scope_of_whoever_started_it(calls: list[Call]) -> None:
    def work() -> None:
        with tracer.trace("inside"):
            pass

    with tracer.context(session="s"), tracer.trace("outside"):
        run_in(threading.Thread(target=work))
    inside, outside = calls
    assert (inside.session, inside.parent_span_id, inside.trace_id) == ("s", outside.span_id, outside.trace_id)


def test_a_thread_class_that_overrides_run(calls: list[Call]) -> None:
    seen: list[object] = []

    class Worker(threading.Thread):
        def run(self) -> None:
            seen.append(session())
            seen.append("run" in self.__dict__)

    with tracer.context(session="s"):
        run_in(Worker())
    run_in(Worker())
    # The thread object looks as it did before.
    assert seen == ["s", False, None, False]


def test_timers_and_threads_in_threads(calls: list[Call]) -> None:
    seen: list[object] = []

    def outer() -> None:
        seen.append(session())
        run_in(threading.Thread(target=lambda: seen.append(session())))

    with tracer.context(session="s"):
        timer = threading.Timer(0, outer)
        timer.start()
    timer.join()
    assert seen == ["s", "s"]


def test_the_thread_keeps_its_scope_when_the_starter_goes_on(calls: list[Call]) -> None:
    go = threading.Event()
    seen: list[object] = []

    def work() -> None:
        go.wait()
        seen.append(session())

    with tracer.context(session="s"):
        thread = threading.Thread(target=work)
        thread.start()
    with tracer.context(session="other"):
        go.set()
        thread.join()
    assert seen == ["s"]


def test_no_other_context_variable_is_carried(calls: list[Call]) -> None:
    other: contextvars.ContextVar[str] = contextvars.ContextVar("other", default="default")
    seen: list[str] = []
    with tracer.context(session="s"):
        other.set("changed")
        run_in(threading.Thread(target=lambda: seen.append(other.get())))
    assert seen == ["default"]


def test_a_thread_that_cannot_start_raises_the_same_and_can_be_tried_again(calls: list[Call]) -> None:
    thread = threading.Thread(target=lambda: None)
    with tracer.context(session="s"):
        run_in(thread)
        with pytest.raises(RuntimeError, match="threads can only be started once"):
            thread.start()
    assert "run" not in thread.__dict__


def test_exceptions_in_a_thread_reach_the_hook(calls: list[Call]) -> None:
    caught: list[BaseException | None] = []
    error = ValueError("in the thread")

    def fail() -> None:
        raise error

    def hook(arguments: threading.ExceptHookArgs) -> None:
        caught.append(arguments.exc_value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", hook)
        with tracer.context(session="s"):
            run_in(threading.Thread(target=fail))
    assert caught == [error]


def test_pool_workers_take_the_scope_of_each_piece_of_work(calls: list[Call]) -> None:
    with ThreadPoolExecutor(1) as pool:
        with tracer.context(session="first"):
            assert pool.submit(session).result() == "first"
        # The only worker was made inside of the first scope.
        assert pool.submit(session).result() is None
        with tracer.context(session="second"):
            assert pool.submit(session).result() == "second"
            assert [future.result() for future in [pool.submit(session) for _ in range(3)]] == ["second"] * 3
        assert pool.submit(lambda: current() is EMPTY).result()


def test_pool_work_becomes_children(calls: list[Call]) -> None:
    @tracer.trace(kind="tool")
    def work(number: int) -> int:
        return number * 2

    with tracer.trace("root"), ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(work, range(20))) == [number * 2 for number in range(20)]
    *children, root = calls
    assert len(children) == 20
    assert {call.parent_span_id for call in children} == {root.span_id}


def test_pool_results_arguments_and_errors_are_unchanged(calls: list[Call]) -> None:
    def work(fn: int, *, scope: str) -> tuple[int, str]:
        if fn < 0:
            raise KeyError(fn)
        return (fn, scope)

    with tracer.context(session="s"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(work, 1, scope="x").result() == (1, "x")
        error = pool.submit(work, -1, scope="x").exception()
        assert isinstance(error, KeyError)
    with tracer.context(session="s"), pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        pool.submit(work, 1, scope="x")


async def in_to_thread(function: Callable[[], object]) -> object:
    return await asyncio.to_thread(function)


async def in_default_executor(function: Callable[[], object]) -> object:
    return await asyncio.get_running_loop().run_in_executor(None, function)


@pytest.mark.parametrize("way", [in_to_thread, in_default_executor], ids=lambda way: way.__name__)
async def test_from_tasks_into_threads(calls: list[Call], way: Callable[[Callable[[], object]], object]) -> None:
    async def task(name: str) -> None:
        with tracer.context(session=name):
            for _ in range(5):
                assert await way(session) == name  # type: ignore[misc]

    await asyncio.gather(*(task(str(number)) for number in range(5)))
    assert await way(session) is None  # type: ignore[misc]


def test_tasks_inherit_and_do_not_leak(calls: list[Call]) -> None:
    async def child() -> str | None:
        with tracer.context(session="child"):
            await asyncio.sleep(0)
        return session()

    async def main() -> None:
        with tracer.context(session="s"):
            assert await asyncio.gather(child(), child()) == ["s", "s"]
            task = asyncio.create_task(child())
        assert session() is None
        assert await task == "s"

    asyncio.run(main())
    assert current() is EMPTY


def test_many_threads_at_once_keep_their_own(calls: list[Call]) -> None:
    barrier = threading.Barrier(8)
    wrong: list[object] = []

    @tracer.trace
    def step(name: str) -> None:
        if session() != name:
            wrong.append((name, session()))

    def work(name: str) -> None:
        with tracer.context(session=name), tracer.trace("root"):
            barrier.wait()
            for _ in range(50):
                step(name)

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(calls) == 8 * 51
    roots = {call.span_id: call for call in calls if call.name == "root"}
    assert all(roots[call.parent_span_id].session == call.session for call in calls if call.parent_span_id is not None)


def test_our_own_worker_belongs_to_no_scope(fresh_runtime: Runtime) -> None:
    seen: list[object] = []

    def look(_: Sequence[Record]) -> None:
        seen.append(current() is EMPTY)

    def make(_: Settings) -> list[Keeping]:
        return [Keeping("console", look)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tracer.pipeline.destinations.make_destinations", make)
        tracer.configure(console=True, quiet=True)
        with tracer.context(session="s"), tracer.trace("a"):
            pass
        assert tracer.flush()
    assert seen == [True]
    assert runtime.faults == {}
