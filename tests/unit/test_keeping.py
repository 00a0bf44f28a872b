"""`TRACER_KEEP`: whole traces are kept or left out, within bounds, and the ledger closes with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracer
from tests.support import PATIENCE, stored_names
from tests.unit.test_pipeline import ledger_closes
from tracer.call import COMPLETED, FAILED, STOPPED, Call
from tracer.pipeline.keeping import Keeper
from tracer.runtime import Runtime, close_call, open_call

SECOND = 1_000_000_000


def call(number: int, root: int = 1, ending: str = COMPLETED, seconds: float = 0, size: int = 0) -> Call:
    parent = None if number == root else root
    body = b"x" * size if size else None
    return Call(
        number,
        root,
        number,
        parent_run_id=parent,
        root_run_id=root,
        ending=ending,
        ended=int(seconds * SECOND),
        sampled=False,
        input_json=body,
    )


def keeper(*rules: str, most_records: int = 100, most_bytes: int = 1 << 20) -> Keeper:
    return Keeper(rules, most_records, most_bytes, lambda found: found.ending)


def ids(calls: list[Call]) -> list[int]:
    return [found.run_id for found in calls]


@pytest.mark.parametrize(
    ("rule", "bad", "reason"),
    [
        ("errors", call(2, ending=FAILED), "errors"),
        ("stopped", call(2, ending=STOPPED), "stopped"),
        ("slow>5", call(2, seconds=5.1), "slow"),
    ],
)
def test_a_trace_that_is_worth_it_is_kept_whole(rule: str, bad: Call, reason: str) -> None:
    keeping = keeper(rule)
    assert keeping.consider(call(3)).keep == []
    decision = keeping.consider(bad)
    assert (ids(decision.keep), decision.reason) == ([3, 2], reason)
    assert ids(keeping.consider(call(4)).keep) == [4]
    assert ids(keeping.consider(call(1)).keep) == [1]
    assert (keeping.records, keeping.bytes) == (0, 0)


def test_other_traces_are_left_out_when_their_root_ends() -> None:
    keeping = keeper("errors", "slow>5")
    for ending, seconds in ((STOPPED, 0), (COMPLETED, 4.9)):
        keeping.consider(call(2, ending=ending, seconds=seconds))
    decision = keeping.consider(call(1))
    assert (decision.keep, decision.left_out) == ([], 3)
    # What ends after the root cannot bring back the rest.
    assert keeping.consider(call(5, ending=FAILED)).left_out == 1


def test_a_call_is_a_local_root_if_its_parent_is_in_another_process() -> None:
    keeping = keeper("errors")
    root = call(2, root=1)
    root.parent_is_remote = True
    assert keeping.consider(root).left_out == 1


@pytest.mark.parametrize("limits", [{"most_records": 10}, {"most_bytes": 30_000}])
def test_what_waits_is_bounded_and_the_oldest_give_way(limits: dict[str, int]) -> None:
    keeping = keeper("errors", **limits)
    lost = 0
    for root in range(1000, 2000, 10):
        lost += keeping.consider(call(root + 1, root=root, size=2000)).no_room
        assert keeping.records <= 10
        assert keeping.bytes <= 31_000
    assert lost == 100 - keeping.records
    newest = keeping.consider(call(1990, root=1990, ending=FAILED))
    assert ids(newest.keep) == [1991, 1990]


def fail_inside() -> None:
    with tracer.trace("failing"):
        with tracer.trace("first child"):
            pass
        with tracer.trace("second child"):
            raise ValueError("no")


def test_the_records_of_kept_traces_arrive_and_the_ledger_says_why(fresh_runtime: Runtime, tmp_path: Path) -> None:
    place = tmp_path / "traces.sqlite"
    tracer.configure(local=str(place), sampler="always_off", keep="errors,slow>3600", quiet=True)
    with tracer.trace("dull"), tracer.trace("dull child"):
        pass
    with pytest.raises(ValueError, match="no"):
        fail_inside()
    with tracer.trace("undecided"):
        with tracer.trace("waits"):
            pass
        assert tracer.flush(PATIENCE)
        status = tracer.status()
        assert ledger_closes(status)
        assert status["destinations"]["local"]["queued"] == 1
    assert tracer.flush(PATIENCE)
    account = tracer.status()["destinations"]["local"]
    assert ledger_closes()
    assert (account["exported"], account["sampled_out"], account["kept"]) == (3, 4, {"errors": 3})
    tracer.shutdown(PATIENCE)
    assert sorted(stored_names(place)) == ["failing", "first child", "second child"]


def test_what_never_was_decided_is_counted_at_the_end(fresh_runtime: Runtime, tmp_path: Path) -> None:
    tracer.configure(local=str(tmp_path / "traces.sqlite"), sampler="always_off", keep="errors", quiet=True)
    orphan = open_call("chain")
    orphan.parent_run_id = 7
    orphan.root_run_id = 7
    close_call(orphan)
    tracer.shutdown(PATIENCE)
    assert ledger_closes()
    assert tracer.status()["destinations"]["local"]["sampled_out"] == 1
