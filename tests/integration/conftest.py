"""Fixtures of the tests that run against loopback servers."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.integration.capture_support import Calls, capturing, close_http_clients
from tracer.runtime import runtime


@pytest.fixture(scope="module")
def quick_collections() -> Iterator[None]:
    """What is there already (the SDK's thousands of classes) is left out of garbage collections: tests of endings ask for many."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
async def captured(quick_collections: None) -> AsyncIterator[Calls]:
    """Recording is on; calls land in the list when they end, and none is left open. HTTP clients of the test are closed."""
    with capturing() as calls:
        yield calls
        gc.collect()
        await close_http_clients()
        gc.freeze()
        assert runtime.open_calls == {}
