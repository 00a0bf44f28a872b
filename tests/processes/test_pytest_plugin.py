"""The fixture `traced_calls` in a pytest of its own: isolation, reports of failed tests, what a run without it costs."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from importlib.util import find_spec

import pytest

from tests.support import ROOT, clean_environment

pytest_plugins = ["pytester"]

# Where the entry point is installed the plugin is there by itself.
INSTALLED = bool(entry_points(group="pytest11", name="tracer"))
PLUGIN = ["-p", "no:asyncio", *([] if INSTALLED else ["-p", "tracer.pytest_plugin"])]

TESTS = """
import tracer

def test_one(traced_calls):
    with tracer.trace("one"):
        pass
    assert [call.name for call in traced_calls] == ["one"]

def test_two(traced_calls):
    with tracer.trace("two", inputs={"question": "why"}):
        with tracer.trace("inner"):
            pass
    assert len(traced_calls) == 2
    assert traced_calls[1].parent is traced_calls[0]

def test_without():
    with tracer.trace("nowhere"):
        pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return pytester


def test_each_test_has_its_own(run: pytest.Pytester) -> None:
    run.makepyfile(TESTS)
    result = run.runpytest_subprocess(*PLUGIN, "-p", "no:cacheprovider", "-W", "error", "-v", "--fixtures-per-test")
    result.stdout.fnmatch_lines(["*traced_calls*", "*The calls that the test makes*"])
    result = run.runpytest_subprocess(*PLUGIN, "-W", "error")
    result.assert_outcomes(passed=3)
    assert result.stderr.str() == ""


def test_workers_of_xdist(run: pytest.Pytester) -> None:
    if find_spec("xdist") is None:
        pytest.skip("needs pytest-xdist")
    run.makepyfile(TESTS)
    run.runpytest_subprocess(*PLUGIN, "-n", "2").assert_outcomes(passed=3)


def test_a_failed_test_shows_the_tree(run: pytest.Pytester) -> None:
    run.makepyfile("""
        import tracer
        from tracer.testing import capture

        def test_fixture(traced_calls):
            with tracer.trace("outer", inputs={"question": "why"}), tracer.trace("inner"):
                pass
            assert len(traced_calls) == 5

        def test_block():
            with capture() as calls, tracer.trace("block"):
                pass
            assert not calls

        def test_neither():
            assert False
    """)
    result = run.runpytest_subprocess(*PLUGIN)
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "*calls recorded by tracer*",
            "outer * completed *",
            "* input: *why*",
            "* inner * completed *",
            "*calls recorded by tracer*",
            "block *",
        ]
    )
    assert result.stdout.str().count("calls recorded by tracer") == 2


def test_the_plugin_costs_nothing_where_it_is_not_used(run: pytest.Pytester) -> None:
    run.makepyfile("""
        import sys

        def test_nothing():
            loaded = [name for name in sys.modules if name.split(".")[0] == "tracer"]
            assert sorted(loaded) == ["tracer", "tracer.environment", "tracer.pytest_plugin"]
    """)
    result = run.runpytest_subprocess(*PLUGIN)
    result.assert_outcomes(passed=1)
