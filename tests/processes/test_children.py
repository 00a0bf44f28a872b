"""Child processes: they send their own records and none of the parent's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import collecting, run_file, run_program, stored_names

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

FORK = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Newer Pythons warn of every fork beside a thread.
import tracer

with tracer.trace("before"):
    pass
open_span = tracer.trace("open at the fork")
open_span.__enter__()
child = os.fork()
if child == 0:
    with tracer.trace("in the child"):
        pass
    open_span.__exit__(None, None, None)
    {end_of_child}
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
open_span.__exit__(None, None, None)
with tracer.trace("after"):
    pass
"""


@pytest.mark.parametrize(
    ("end", "status", "delivered"),
    [
        ("sys.exit(5)", 5, True),
        ("tracer.flush(20); os._exit(0)", 0, True),
        ("os._exit(6)", 6, False),
        ("os.execv('/bin/true', ['true'])", 0, False),
    ],
)
def test_a_forked_child(end: str, status: int, delivered: bool, tmp_path: Path) -> None:
    store = tmp_path / "x.sqlite"
    with collecting() as collector:
        ended = run_program(
            FORK.format(end_of_child=end),
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            TRACER_LOCAL=str(store),
            TRACER_EXIT_TIMEOUT="20",
            TRACER_QUIET="1",
        )
        arrived = collector.names
        spans = {span.name: span for span in collector.spans()}
    assert (ended.status, ended.out, ended.err) == (0, f"{status}\n", "")
    expected = ["before", "open at the fork", "after", *(["in the child"] if delivered else [])]
    assert sorted(arrived) == sorted(expected)
    assert sorted(stored_names(store)) == sorted(expected)
    if delivered:
        assert spans["in the child"].parent_span_id == spans["open at the fork"].span_id


def test_a_fork_while_the_worker_is_busy_and_a_grandchild(tmp_path: Path) -> None:
    store = tmp_path / "x.sqlite"
    with collecting() as collector:
        ended = run_program(
            """
            import os, sys, warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            import tracer

            for number in range(300):
                with tracer.trace(f"parent {number}"):
                    pass
            assert tracer.flush(20)
            for number in range(300, 600):
                with tracer.trace(f"parent {number}"):
                    pass
            generation = 0
            for generation in (1, 2):
                child = os.fork()
                if child:
                    os.waitpid(child, 0)
                    break
                assert tracer.status()["started"] == 0
                with tracer.trace(f"generation {generation}"):
                    pass
            """,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            TRACER_LOCAL=str(store),
            TRACER_EXIT_TIMEOUT="20",
            TRACER_QUIET="1",
        )
        arrived = collector.names
    assert (ended.status, ended.err) == (0, "")
    expected = sorted([*(f"parent {number}" for number in range(600)), "generation 1", "generation 2"])
    assert sorted(arrived) == expected
    assert sorted(stored_names(store)) == expected


def test_ids_of_siblings_differ() -> None:
    ended = run_program("""
        import os, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        import tracer.scope as scope
        scope.new_span_id()
        for _ in range(4):
            if os.fork() == 0:
                print(scope.new_span_id(), scope.new_run_id(0), flush=True)
                os._exit(0)
            os.wait()
        print(scope.new_span_id(), scope.new_run_id(0))
    """)
    ids = ended.out.split()
    assert len(ids) == len(set(ids)) == 10


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("way", ["process", "pool"])
def test_children_of_multiprocessing(method: str, way: str, tmp_path: Path) -> None:
    store = tmp_path / "x.sqlite"
    run = {
        "process": """
    children = [context.Process(target=work, args=(number,)) for number in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0], children
""",
        "pool": """
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        list(pool.map(work, range(3)))
""",
    }[way]
    with collecting() as collector:
        ended = run_file(
            tmp_path / "program.py",
            f"""
import multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import tracer

def work(number):
    with tracer.trace(f"child {{number}}"):
        pass

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    with tracer.trace("parent"):
        pass
{run}
""",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            TRACER_LOCAL=str(store),
            TRACER_EXIT_TIMEOUT="20",
            TRACER_QUIET="1",
        )
        arrived = collector.names
    assert (ended.status, ended.err) == (0, "")
    expected = ["child 0", "child 1", "child 2", "parent"]
    assert sorted(arrived) == expected
    assert sorted(stored_names(store)) == expected
