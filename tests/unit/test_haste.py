"""The worker under pressure: how often it gives the interpreter lock away, and what gives way at the end of the process."""

from __future__ import annotations

import threading
import time

import pytest

import tracer
from tests.support import PATIENCE, Keeping
from tracer.call import Call
from tracer.pipeline import batches as batches_module
from tracer.pipeline import readings as readings_module
from tracer.pipeline.batches import CALM, PRESSED, SLICE
from tracer.pipeline.haste import Haste
from tracer.pipeline.pipeline import Pipeline
from tracer.reading.record import Record
from tracer.runtime import Runtime, runtime
from tracer.settings import Settings


class Clock:
    """Stands still until it is told to go on; counts how often the lock was given away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
        self.now = 100.0
        self.given = 0
        monkeypatch.setattr(f"{place}.time", self)
        monkeypatch.setattr(f"{place}.sleep", self.sleep, raising=False)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds == 0
        self.given += 1


class Filled(Pipeline):
    """A pipeline without a thread, with so many records in its queue."""

    def __init__(self, records: int) -> None:
        super().__init__(Settings(queue_records=1000), lambda _: [])
        for _ in range(records):
            self.submit(Call(1, 1, 1))

    def gives_way(self, after: float, clock: Clock) -> bool:
        """Whether the lock is given away when it was held for so long."""
        before = clock.given
        self._batches.give_way(clock.now - after)
        return clock.given > before


def test_the_lock_is_given_away_the_more_seldom_the_more_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, batches_module.__name__)
    calm, some, many = (Filled(int(share * 1000)) for share in (CALM, CALM + 0.1, PRESSED + 0.1))
    assert calm.gives_way(0, clock)
    assert [some.gives_way(after, clock) for after in (0, SLICE / 2, SLICE * 1.01)] == [False, False, True]
    assert not many.gives_way(60, clock)


def test_large_bodies_press_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, batches_module.__name__)
    pipeline = Pipeline(Settings(queue_bytes=1000), lambda _: [])
    pipeline.submit(Call(1, 1, 1, input_json=b"x" * 900))
    pipeline._batches.give_way(0)  # pyright: ignore[reportPrivateUsage]
    assert clock.given == 0


def with_bodies() -> Call:
    return Call(1, 1, 1, input_json=b"x" * 100)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch, "tracer.pipeline.haste")


def test_how_long_the_first_one_took_is_no_measure(clock: Clock) -> None:
    haste = Haste()
    haste.begin(clock.now + 2)
    first, second = with_bodies(), with_bodies()
    haste.look_at(first, 1)
    clock.now += 1.5
    haste.look_at(second, 0)
    haste.look_at(with_bodies(), 5)
    assert haste.shortened == 0


def test_with_time_enough_everything_keeps_its_contents(clock: Clock) -> None:
    haste = Haste()
    haste.begin(clock.now + 100)
    for behind in range(99, -1, -1):
        call = with_bodies()
        haste.look_at(call, behind)
        assert call.input_json is not None
        clock.now += 0.9
    assert (haste.shortened, haste.is_over) == (0, False)


def test_where_time_is_short_contents_go_and_no_record(clock: Clock) -> None:
    haste = Haste()
    haste.begin(clock.now + 100)
    for behind in range(999, -1, -1):
        assert not haste.is_over
        call = with_bodies()
        haste.look_at(call, behind)
        clock.now += 0.01 if call.input_json is None else 1.0
    assert 850 <= haste.shortened < 999


def test_single_slow_calls_are_no_measure(clock: Clock) -> None:
    haste = Haste()
    haste.begin(clock.now + 100)
    for behind in range(4999, -1, -1):
        haste.look_at(with_bodies(), behind)
        clock.now += 2 if behind in (4999, 4000) else 0.001
    assert haste.shortened == 0


def test_what_has_no_bodies_is_not_counted_as_shortened(clock: Clock) -> None:
    haste = Haste()
    haste.begin(clock.now)
    haste.look_at(Call(1, 1, 1), 10)
    assert (haste.shortened, haste.is_over) == (0, True)


def test_the_end_reads_everything_though_there_is_no_time_for_contents(
    fresh_runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = Keeping("console")
    real = readings_module.read_call
    begun = threading.Event()

    def slow(call: Call) -> Record:
        begun.set()
        if call.input_json:
            time.sleep(0.02)
        return real(call)

    def make(_: Settings) -> list[Keeping]:
        return [place]

    monkeypatch.setattr(readings_module, "read_call", slow)
    monkeypatch.setattr("tracer.pipeline.destinations.make_destinations", make)
    tracer.configure(quiet=True, console=True)
    assert tracer.flush(PATIENCE)
    for _ in range(1000):
        with tracer.trace("a") as run:
            run.set_input({"text": "x"})
    assert begun.wait(PATIENCE)
    assert runtime.pipeline is not None
    tracer.shutdown(8)  # Reading all contents would take twenty seconds.
    account = tracer.status()["destinations"]["console"]
    assert (account["exported"], account["dropped"]) == (1000, {})
    assert 500 < account["shortened"]["exit"] < 1000
    (line,) = caplog.messages
    assert line.endswith("went without prompts and answers, which could not be read before the end of the process (TRACER_EXIT_TIMEOUT)")


@pytest.mark.parametrize("console", [True, False])
def test_where_nothing_shows_contents_nobody_is_told_that_they_are_missing(console: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Metrics alone have a pipeline too."""
    pipeline = Pipeline(Settings(console=console), lambda _: [])
    pipeline._haste.shortened = 1  # pyright: ignore[reportPrivateUsage]
    assert pipeline.shutdown(PATIENCE)
    assert len(caplog.messages) == console
