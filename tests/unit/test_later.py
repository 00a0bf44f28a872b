"""Work that was left for later may be done by whoever comes next, and must not be felt there."""

from __future__ import annotations

import pytest

from tracer.host.later import Later
from tracer.runtime import runtime


def raising(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), SystemExit(1), GeneratorExit(), MemoryError()], ids=lambda error: type(error).__name__
)
def test_what_is_raised_by_left_work_does_not_reach_whoever_catches_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    monkeypatch.setattr(runtime, "raise_faults", False)
    monkeypatch.setattr(runtime, "faults", {})
    later: Later[BaseException] = Later(raising, lambda: None)
    later.put(error)
    later.put(error)
    assert later.catch_up(1)
    assert len(later) == 0
    assert dict(runtime.faults) == {"ending a call that was dropped": 2}
    assert len(caplog.records) == 1


def test_ctrl_c_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "raise_faults", False)
    later: Later[BaseException] = Later(raising, lambda: None)
    later.put(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        later.catch_up(1)
