"""One stack of real backends for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.backends.programs import Stack, whole_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_stack(tmp_path_factory.mktemp("stack")) as started:
        yield started
