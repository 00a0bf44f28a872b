"""Samplers: each name of OTEL_TRACES_SAMPLER, the ratio over our own ids, children, and the ledger."""

from __future__ import annotations

import pytest

import tracer
from tests.support import Keeping
from tracer.call import Call
from tracer.runtime import Runtime, runtime
from tracer.sampling import SAMPLERS
from tracer.scope import Parent, new_run_id
from tracer.settings import VARIABLES, Settings

SAMPLED = Parent(1, 2, sampled=True)
UNSAMPLED = Parent(1, 2, sampled=False)
REMOTE_UNSAMPLED = Parent(1, 2, sampled=False, remote=True)
ALL = (1 << 128) - 1


def test_there_is_one_for_each_name_that_is_accepted() -> None:
    variable = next(variable for variable in VARIABLES if variable.field == "sampler")
    assert all(variable.parse(name) == name for name in SAMPLERS)
    assert all(name in variable.accepted for name in SAMPLERS)
    assert variable.default in SAMPLERS


@pytest.mark.parametrize(
    ("name", "root", "under_sampled", "under_unsampled"),
    [
        ("always_on", True, True, True),
        ("always_off", False, False, False),
        ("traceidratio", False, False, False),
        ("parentbased_always_on", True, True, False),
        ("parentbased_always_off", False, True, False),
        ("parentbased_traceidratio", False, True, False),
    ],
)
def test_root_and_children(name: str, root: bool, under_sampled: bool, under_unsampled: bool) -> None:
    sampler = SAMPLERS[name](0.5)
    # The id with all bits set is outside of any rate below one.
    assert sampler(ALL, None) is root
    assert sampler(ALL, SAMPLED) is under_sampled
    assert sampler(ALL, UNSAMPLED) is under_unsampled
    assert sampler(ALL, REMOTE_UNSAMPLED) is under_unsampled


@pytest.mark.parametrize("name", ["traceidratio", "parentbased_traceidratio"])
@pytest.mark.parametrize("rate", [0.0, 0.01, 0.25, 0.5, 0.9, 1.0])
def test_the_ratio_over_our_own_ids(name: str, rate: float) -> None:
    sampler = SAMPLERS[name](rate)
    number = 20_000
    share = sum(sampler(new_run_id(), None) for _ in range(number)) / number
    # Six standard deviations: a right sampler fails once in 500 million runs.
    assert abs(share - rate) <= 6 * (rate * (1 - rate) / number) ** 0.5


def test_the_same_trace_gets_the_same_answer_and_a_higher_rate_keeps_what_a_lower_kept() -> None:
    low, high = SAMPLERS["traceidratio"](0.3), SAMPLERS["traceidratio"](0.6)
    for _ in range(2000):
        trace_id = new_run_id()
        assert low(trace_id, None) is low(trace_id, None) is low(trace_id, SAMPLED)
        assert high(trace_id, None) or not low(trace_id, None)


@pytest.mark.parametrize("sampled", [True, False])
def test_children_follow_their_parent(calls: list[Call], sampled: bool) -> None:
    runtime.sampler = SAMPLERS["parentbased_always_on" if sampled else "parentbased_always_off"](1)
    with tracer.trace("a"):
        runtime.sampler = SAMPLERS["parentbased_always_off" if sampled else "parentbased_always_on"](1)
        with tracer.trace("b"), tracer.trace("c"):
            pass
    assert [call.sampled for call in calls] == [sampled] * 3


def test_what_was_sampled_out_is_in_the_ledger_and_arrives_nowhere(fresh_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Keeping("console")

    def make(settings: Settings) -> list[Keeping]:
        return [place]

    monkeypatch.setattr("tracer.pipeline.destinations.make_destinations", make)
    tracer.configure(console=True, quiet=True, sampler="parentbased_traceidratio", sampler_argument=0.5)
    for _ in range(200):
        with tracer.trace("a"), tracer.trace("b"):
            pass
    assert tracer.flush()
    account = tracer.status()["destinations"]["console"]
    assert account["exported"] == len(place.records)
    assert account["exported"] + account["sampled_out"] == 400
    assert 50 < account["sampled_out"] < 350
    # Whole traces only.
    assert place.names.count("a") == place.names.count("b")
