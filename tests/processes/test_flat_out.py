"""A short flood of calls; `make faults` makes the long one."""

from __future__ import annotations

import pytest

from tests.processes.flat_out import Flood, measure


def test_nothing_is_lost_while_the_backend_keeps_up() -> None:
    # With room for every call: whether less would do depends on the machine's cores and what else they do (test_haste has the mechanism).
    result = measure(Flood(threads=3, calls=1800, records=1800))
    assert (result.broken, result.lost) == ([], 0)


@pytest.mark.parametrize("fault", ["hangs", "refuses"])
def test_the_exact_loss_is_stated_when_it_does_not(fault: str) -> None:
    result = measure(Flood(threads=2, fault=fault, calls=600, records=100, patience=1.0))
    assert result.broken == []
    assert result.lost >= 500
