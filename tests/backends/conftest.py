"""One stack of real backends for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.backends.programs import Stack, whole_stack
from tests.integration.grpc_support import Files, certificate_files


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_stack(tmp_path_factory.mktemp("stack")) as started:
        yield started


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return certificate_files(tmp_path_factory.mktemp("certificates"))
