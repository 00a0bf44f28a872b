"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from tests.support import OUR_PREFIXES, record_into, runtime_put_back
from tracer.call import Call
from tracer.runtime import Runtime


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """None of the variables that the library reads is set."""
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
