"""The fixture `traced_calls`, and the calls of a failed test in its report. Loaded by pytest (entry point `pytest11`)."""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tracer.testing import Capture

_CAPTURING = "tracer.testing.capturing"


@pytest.fixture
def traced_calls() -> Generator[Capture, None, None]:
    """The calls that the test makes; see `tracer.testing.capture`. They go to no destination."""
    # Imported where it is used: every run of pytest loads this module.
    from tracer.testing import capturing

    with capturing.capture() as calls:
        yield calls


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, Any, Any]:
    """Reports are about the captures of one test."""
    _captures().clear()
    try:
        return (yield)
    finally:
        _captures().clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Show the tree of calls of a test that failed."""
    report = yield
    if call.when == "call" and report.failed:
        report.sections += [("calls recorded by tracer", capture.tree()) for capture in _captures().values()]
    return report


def _captures() -> Any:
    module = sys.modules.get(_CAPTURING)
    return {} if module is None else module.made
