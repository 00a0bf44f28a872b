"""A short soak; `make soak` makes the long one."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.processes.reliability_page import sections_of, write_section
from tests.processes.soak import Run, slope_of, soak


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
def test_memory_stays_flat_at_a_constant_rate_and_while_the_backend_is_away() -> None:
    runs = [Run(8, 400, "spans"), Run(8, 400, "spans", "refuses", queue=2)]
    with ThreadPoolExecutor(2) as pool:
        healthy, away = pool.map(soak, runs)
    assert (healthy.broken, away.broken) == ([], [])
    assert away.lost > 0


def test_a_slope_is_not_that_of_single_samples() -> None:
    assert slope_of([(0, 1), (1, 2), (2, 99), (3, 4)]) == 1
    assert slope_of([(float(moment), 50.0) for moment in range(9)]) == 0


def test_sections_of_the_page_are_written_apart(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    write_section(page, "Soak", "a")
    write_section(page, "Faults", "b\nc\n")
    write_section(page, "Soak", "d")
    assert {title: text.strip() for title, text in sections_of(page).items()} == {"Faults": "b\nc", "Soak": "d"}
    assert page.read_text().index("## Faults") < page.read_text().index("## Soak")
