"""Fixtures for all tests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

from tests.support import OUR_PREFIXES, record_into, runtime_put_back, senders
from tracer.call import Call
from tracer.runtime import Runtime

# No test depends on how fast the machine is.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# pytest-asyncio asks for the current loop; older Pythons make one for it that nobody closes, unless it was said that there is none.
asyncio.set_event_loop(None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """With --reruns: what failed at first, with its failure, so that it is seen although it passed afterwards."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"failed at first: {report.nodeid}", sep="_")
        terminalreporter.write_line(report.longreprtext)


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """None of the variables that the library reads is set; the default place of the local store is a folder of the test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for name in list(os.environ):
        if name.startswith(OUR_PREFIXES):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def fresh_runtime(no_variables: pytest.MonkeyPatch) -> Generator[Runtime, None, None]:
    """The runtime as in a new process without variables; put back afterwards."""
    with runtime_put_back() as fresh:
        yield fresh


@pytest.fixture
def calls(fresh_runtime: Runtime) -> list[Call]:
    """Recording is on; finished calls land here at once."""
    kept: list[Call] = []
    record_into(kept)
    return kept


@pytest.fixture(autouse=True)
def no_senders_left() -> Generator[None, None, None]:
    """A sender that goes on trying would speak up in later tests."""
    yield
    while senders:
        senders.pop().close(0)
