"""`docs/langsmith.md`: the differences are those of the tables, and the tests that it names are there."""

from __future__ import annotations

import re

import pytest

from tests.langsmith_allowed import EVERYWHERE, OF_CHAT_MODELS, OF_CLIENTS, OF_LANGCHAIN, OF_THE_QUICKSTART
from tests.support import ROOT

PAGE = (ROOT / "docs" / "langsmith.md").read_text("utf-8")
POINTS = dict(re.findall(r"^\| (\d+) \| .* \| (.*) \|$", PAGE, re.MULTILINE))
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
}


def test_every_difference_that_is_allowed_is_on_the_page_and_no_other() -> None:
    section = PAGE.partition("## What differs")[2].partition("\n## ")[0]
    told = re.findall(r"^\* (.*)$", section, re.MULTILINE)
    assert told == [entry.reason for entry in (*EVERYWHERE, *OF_CLIENTS, *OF_LANGCHAIN, *OF_CHAT_MODELS, *OF_THE_QUICKSTART)]


def test_the_page_has_all_points() -> None:
    assert list(POINTS) == [str(number) for number in range(1, 22)]


@pytest.mark.parametrize("point", POINTS)
def test_a_point_names_what_proves_it(point: str) -> None:
    named = re.findall(r"`(test_\w+)`", POINTS[point])
    files = re.findall(r"`(tests/[\w/]+\.py)`", POINTS[point])
    assert set(named) <= TESTS
    assert all((ROOT / file).exists() for file in files)
    assert named or files or POINTS[point].startswith(("not yet", "the same"))
