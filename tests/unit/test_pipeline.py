"""The pipeline: order, flush, shutdown, bounds, faults of destinations and readers, and a ledger that closes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import tracer
from tests.support import PATIENCE, Keeping, wait_until
from tracer.call import COMPLETED, UNFINISHED, Call
from tracer.export.destination import Delivery
from tracer.pipeline import readings as readings_module
from tracer.pipeline.pipeline import finish_open_calls
from tracer.pipeline.starts import LASTS, Starts
from tracer.reading.record import Record
from tracer.runtime import Runtime, close_call, open_call, runtime
from tracer.settings import Settings

Install = Callable[..., None]


@pytest.fixture
def install(fresh_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Generator[Install, None, None]:
    """Configure with destinations made here. Their names are those of real ones: local, console, otlp."""

    def configure(*places: Any, **arguments: Any) -> None:
        def make(_: Settings) -> list[Any]:
            return list(places)

        monkeypatch.setattr("tracer.pipeline.destinations.make_destinations", make)
        names = {place.name for place in places}
        tracer.configure(
            **{
                "quiet": True,
                "local": "local" in names,
                "console": "console" in names,
                "traces_exporter": "otlp" if "otlp" in names else None,
                "exit_timeout": PATIENCE,
                **arguments,
            }
        )

    yield configure
    tracer.shutdown(PATIENCE)


def record(name: str) -> None:
    with tracer.trace(name):
        pass


def ledger_closes(status: dict[str, Any] | None = None) -> bool:
    """For each destination started = open + queued + exported + sampled out + dropped."""
    status = tracer.status() if status is None else status
    assert status["destinations"]
    assert all(account["queued"] >= 0 for account in status["destinations"].values())
    return all(
        status["started"]
        == status["open"] + account["queued"] + account["exported"] + account["sampled_out"] + sum(account["dropped"].values())
        for account in status["destinations"].values()
    )


class Gate:
    """Blocks whoever passes until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self, _: object) -> None:
        self.reached.set()
        assert self.open.wait(PATIENCE)


# Order, flush, shutdown.


def test_order_is_kept_over_many_batches(install: Install) -> None:
    place = Keeping("console")
    install(place)
    for number in range(1500):
        record(str(number))
    assert tracer.flush(PATIENCE)
    assert place.names == [str(number) for number in range(1500)]


def test_flush_waits_until_everything_has_arrived(install: Install) -> None:
    gate = Gate()
    place = Keeping("console", gate)
    install(place)
    record("a")
    assert gate.reached.wait(PATIENCE)
    record("b")
    assert tracer.flush(0.01) is False
    assert place.names == []
    assert tracer.flush(-1) is False
    gate.open.set()
    assert tracer.flush(float("inf"))
    assert place.names == ["a", "b"]


def test_flush_without_work(install: Install) -> None:
    assert tracer.flush(0)
    place = Keeping("console")
    install(place)
    assert tracer.flush(0)
    assert not any(thread.name == "tracer" for thread in threading.enumerate())
    record("a")
    assert tracer.flush(PATIENCE)
    assert tracer.flush(PATIENCE)
    assert place.names == ["a"]


def test_several_may_flush_at_once(install: Install) -> None:
    place = Keeping("console")
    install(place)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            list(pool.map(record, "abcdefgh"))
            assert all(pool.map(tracer.flush, [PATIENCE] * 8))
    assert len(place.records) == 80


def test_shutdown_sends_what_is_left_and_may_be_repeated(install: Install) -> None:
    place = Keeping("console")
    install(place)
    record("a")
    assert tracer.shutdown(PATIENCE)
    assert place.names == ["a"]
    assert place.closed == 1
    assert tracer.shutdown(0)
    assert place.closed == 1
    wait_until(lambda: not any(thread.name == "tracer" for thread in threading.enumerate()))


def test_later_calls_after_shutdown_are_not_recorded_and_harm_nobody(install: Install) -> None:
    place = Keeping("console")
    install(place)
    late = tracer.trace("late")
    late.__enter__()
    record("a")
    tracer.shutdown(PATIENCE)
    record("b")
    with tracer.context(enabled=True), tracer.trace("c") as run:
        assert run.id is None
    late.__exit__(None, None, None)
    assert tracer.flush(PATIENCE)
    assert place.names == ["a"]
    status = tracer.status()
    assert not status["on"]
    assert status["destinations"]["console"]["dropped"] == {"shut down": 1}
    assert ledger_closes(status)


def test_configure_after_shutdown_begins_again(install: Install) -> None:
    first, second = Keeping("console"), Keeping("console")
    install(first)
    record("a")
    tracer.shutdown(PATIENCE)
    install(second)
    record("b")
    assert tracer.flush(PATIENCE)
    assert (first.names, second.names) == (["a"], ["b"])
    assert tracer.status()["started"] == 1
    assert ledger_closes()


def test_configure_again_sends_earlier_records_first(install: Install) -> None:
    first, second = Keeping("console"), Keeping("local")
    install(first)
    still_open = tracer.trace("still open")
    still_open.__enter__()
    record("a")
    install(second)
    assert first.names == ["a"]
    assert first.closed == 1
    record("b")
    still_open.__exit__(None, None, None)
    assert tracer.flush(PATIENCE)
    assert (first.names, second.names) == (["a"], ["b", "still open"])
    assert list(tracer.status()["destinations"]) == ["local"]
    assert tracer.status()["started"] == 2
    assert ledger_closes()


def test_configure_with_nothing_switches_off(install: Install) -> None:
    place = Keeping("console")
    install(place)
    record("a")
    tracer.configure()
    record("b")
    assert place.names == ["a"]
    assert not runtime.on
    assert tracer.status()["destinations"] == {}


# Bounds.


def test_what_does_not_fit_into_the_queue_is_counted(install: Install) -> None:
    gate = Gate()
    place = Keeping("console", gate)
    install(place, queue_records=10)
    record("first")
    assert gate.reached.wait(PATIENCE)
    for number in range(25):
        record(str(number))
    status = tracer.status()
    assert status["queued"] == 11
    assert status["destinations"]["console"]["dropped"] == {"queue full": 15}
    assert ledger_closes(status)
    gate.open.set()
    assert tracer.flush(PATIENCE)
    assert place.names == ["first", *map(str, range(10))]
    assert ledger_closes()


def test_shutdown_is_bounded_and_counts_what_it_leaves(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    quick, stuck = Keeping("local"), Keeping("otlp", gate)
    install(quick, stuck)
    record("a")
    assert gate.reached.wait(PATIENCE)
    record("b")
    assert tracer.shutdown(0.05) is False
    accounts = tracer.status()["destinations"]
    # The quick one got the first: it is not counted as lost there.
    assert (accounts["local"]["exported"], accounts["local"]["dropped"]) == (1, {"exit": 1})
    assert (accounts["otlp"]["exported"], accounts["otlp"]["dropped"]) == (0, {"exit": 2})
    assert ledger_closes()
    assert [entry.getMessage() for entry in caplog.records] == [
        "tracer: 2 records could not be sent before the end of the process (TRACER_EXIT_TIMEOUT)"
    ]
    gate.open.set()
    wait_until(lambda: not any(thread.name == "tracer" for thread in threading.enumerate()))
    # What arrives after all is not counted twice.
    assert ledger_closes()


# Faults.


def fails(_: object) -> None:
    raise RuntimeError("a bug in a destination")


def test_a_destination_that_raises_is_counted_and_logged_once_and_others_are_served(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad, other = Keeping("local"), Keeping("console", fails), Keeping("otlp")
    install(good, bad, other)
    for name in "abc":
        record(name)
        assert tracer.flush(PATIENCE)
    assert good.names == other.names == ["a", "b", "c"]
    status = tracer.status()
    assert status["destinations"]["console"]["dropped"] == {"error": 3}
    assert status["faults"] == {"exporting to console": 3}
    assert ledger_closes(status)
    assert [entry.getMessage() for entry in caplog.records] == [
        "tracer: internal error in exporting to console; the traced program is not affected"
    ]


def test_what_a_destination_drops_is_counted_by_reason(install: Install) -> None:
    class Picky(Keeping):
        def export(self, records: Sequence[Record]) -> Delivery:
            return Delivery(len(records) - 1, {"too large": 1})

    install(Picky("console"))
    record("a")
    assert tracer.flush(PATIENCE)
    record("b")
    assert tracer.flush(PATIENCE)
    account = tracer.status()["destinations"]["console"]
    assert (account["exported"], account["dropped"]) == (0, {"too large": 2})
    assert ledger_closes()


def test_a_destination_that_cannot_be_made_is_one_line_and_its_records_are_counted(
    fresh_runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_store(*_: object) -> object:
        raise OSError("disk on fire")

    monkeypatch.setattr("tracer.store.store.LocalStore.from_settings", no_store)
    tracer.configure(local=True, console=True)
    record("a")
    record("b")
    assert tracer.flush(PATIENCE)
    accounts = tracer.status()["destinations"]
    assert accounts["local"]["dropped"] == {"unavailable": 2}
    assert accounts["console"]["exported"] == 2
    assert [entry.getMessage() for entry in caplog.records] == ["tracer: cannot record to local: disk on fire"]
    assert "a" in capsys.readouterr().err


def test_a_reader_that_raises_is_counted_and_logged_once_and_the_record_still_arrives(
    install: Install, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = readings_module.read_call

    def sometimes(call: Call) -> Record:
        if call.name == "bad":
            raise RuntimeError("a bug in a reader")
        return real(call)

    monkeypatch.setattr(readings_module, "read_call", sometimes)
    place = Keeping("console")
    install(place)
    for name in ("a", "bad", "b", "bad"):
        record(name)
    assert tracer.flush(PATIENCE)
    assert place.names == ["a", "bad", "b", "bad"]
    assert [item.outcome for item in place.records] == [COMPLETED] * 4
    assert tracer.status()["faults"] == {"reading a call": 2}
    assert len([entry for entry in caplog.records if entry.levelno == logging.WARNING]) == 1
    assert ledger_closes()


def test_a_worker_that_cannot_prepare_tries_again_and_says_so_once(
    install: Install, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []
    real = readings_module.Prices

    def prices(path: str | None) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("not yet")
        return real(path)

    monkeypatch.setattr(readings_module, "Prices", prices)
    place = Keeping("console")
    install(place)
    record("a")
    assert tracer.flush(PATIENCE)
    assert place.names == ["a"]
    assert len(tries) == 3
    assert tracer.status()["faults"] == {"the worker": 2}
    assert len(caplog.records) == 1


def test_a_destination_that_fails_to_close(install: Install) -> None:
    class Stuck(Keeping):
        def close(self, timeout: float) -> None:
            raise OSError("stuck")

    other = Keeping("console")
    install(Stuck("local"), other)
    record("a")
    assert tracer.shutdown(PATIENCE)
    assert other.closed == 1
    assert tracer.status()["faults"] == {"closing local": 1}


# The ledger.


def test_the_ledger_at_each_stage(install: Install) -> None:
    gate = Gate()
    quick, slow = Keeping("local"), Keeping("console", gate)
    install(quick, slow)
    assert tracer.status()["destinations"]["local"] == {
        "exported": 0,
        "sampled_out": 0,
        "dropped": {},
        "shortened": {},
        "queued": 0,
    }
    open_span = tracer.trace("open")
    open_span.__enter__()
    record("a")
    assert gate.reached.wait(PATIENCE)
    record("b")
    status = tracer.status()
    assert (status["on"], status["started"], status["open"], status["queued"]) == (True, 3, 1, 2)
    assert (status["destinations"]["local"]["exported"], status["destinations"]["local"]["queued"]) == (1, 1)
    assert (status["destinations"]["console"]["exported"], status["destinations"]["console"]["queued"]) == (0, 2)
    assert ledger_closes(status)
    gate.open.set()
    open_span.__exit__(None, None, None)
    assert tracer.flush(PATIENCE)
    status = tracer.status()
    assert (status["started"], status["open"], status["queued"]) == (3, 0, 0)
    assert status["destinations"]["console"]["exported"] == 3
    assert ledger_closes(status)


def test_the_ledger_closes_under_eight_threads(install: Install) -> None:
    turns = iter(range(10**9))

    def sometimes(_: object) -> None:
        if next(turns) % 3 == 0:
            raise RuntimeError("now and then")

    good, bad = Keeping("local"), Keeping("console", sometimes)
    install(good, bad, queue_records=50, sampler="traceidratio", sampler_argument=0.5)
    barrier = threading.Barrier(9)

    def work() -> None:
        barrier.wait()
        for _ in range(300):
            with tracer.trace("a"), tracer.trace("b"):
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    barrier.wait()
    while any(thread.is_alive() for thread in threads):
        # Between two of its own steps a call is counted nowhere; it is never counted twice.
        status = tracer.status()
        for account in status["destinations"].values():
            assert account["queued"] >= 0
    for thread in threads:
        thread.join()
    assert tracer.flush(PATIENCE)
    status = tracer.status()
    assert (status["started"], status["open"], status["queued"]) == (8 * 600, 0, 0)
    assert ledger_closes(status)
    assert status["destinations"]["local"]["exported"] == len(good.records)
    assert status["destinations"]["console"]["exported"] == len(bad.records)
    assert status["destinations"]["local"]["sampled_out"] > 0


# Calls and their ends.


def test_only_the_first_ending_counts(install: Install) -> None:
    place = Keeping("console")
    install(place)
    call = open_call("chain")
    assert close_call(call, "stopped")
    assert not close_call(call, "failed")
    assert tracer.flush(PATIENCE)
    assert [item.call.ending for item in place.records] == ["stopped"]


def test_open_calls_become_unfinished_at_the_end(install: Install) -> None:
    place = Keeping("console")
    install(place)
    with tracer.trace("outer"), tracer.trace("inner"):
        assert finish_open_calls() == 2
    assert tracer.flush(PATIENCE)
    assert [item.call.ending for item in place.records] == [UNFINISHED] * 2
    assert ledger_closes()


def test_sampled_out_calls_are_never_read(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings_module, "read_call", fails)
    place = Keeping("console")
    install(place, sampler="always_off")
    record("a")
    assert tracer.flush(PATIENCE)
    assert place.records == []
    assert tracer.status()["faults"] == {}
    assert tracer.status()["destinations"]["console"]["sampled_out"] == 1


def test_what_a_destination_gives_up_because_it_is_closed_is_said(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()

    class Silent(Keeping):
        def export(self, records: Sequence[Record]) -> Delivery:
            gate(records)
            return Delivery(0, {"closed": len(records)})

        def close(self, timeout: float) -> None:
            gate.open.set()
            wait_until(lambda: tracer.status()["destinations"]["otlp"]["dropped"] == {"closed": 1})

    install(Silent("otlp"))
    record("a")
    assert gate.reached.wait(PATIENCE)
    assert tracer.shutdown(0.05) is False
    assert [entry.getMessage() for entry in caplog.records] == [
        "tracer: 1 record could not be sent before the end of the process (TRACER_EXIT_TIMEOUT)"
    ]
    assert ledger_closes()


# Bytes, calls that last, destinations on the network.


def test_bodies_give_way_before_calls_when_too_much_waits_to_be_read(install: Install) -> None:
    gate = Gate()
    place = Keeping("console", gate)
    install(place, queue_bytes=100_000)
    record("first")
    assert gate.reached.wait(PATIENCE)
    for number in range(20):
        with tracer.trace(str(number)) as run:
            run.set_input("x" * 10_000)
    status = tracer.status()
    assert status["destinations"]["console"]["shortened"] == {"queue full": 11}
    assert status["destinations"]["console"]["dropped"] == {}
    gate.open.set()
    assert tracer.flush(PATIENCE)
    assert len(place.records) == 21
    assert sum(item.call.input_json is not None for item in place.records) == 9
    assert ledger_closes()
    # What was read makes room again.
    for number in range(20):
        with tracer.trace(str(number)) as run:
            run.set_input("x" * 10_000)
        assert tracer.flush(PATIENCE)
    assert tracer.status()["destinations"]["console"]["shortened"] == {"queue full": 11}


def test_open_calls_are_listed_longest_first(install: Install) -> None:
    install(Keeping("console"))
    with tracer.trace("outer") as run, tracer.trace("inner"):
        first, second = tracer.status()["open_calls"]
        assert (first["name"], first["run_id"], first["kind"], second["name"]) == ("outer", str(run.id), "chain", "inner")
        assert first["seconds"] >= second["seconds"] >= 0
    assert tracer.status()["open_calls"] == []


def test_calls_that_last_are_announced_once() -> None:
    starts = Starts()
    old, young, dropped = (Call(number, number, number, started=time.perf_counter_ns()) for number in (1, 2, 3))
    old.started -= int(LASTS * 1e9)
    dropped.started, dropped.sampled = old.started, False
    open_calls = {call.span_id: call for call in (young, old, dropped)}
    assert starts.due(open_calls) == [old]
    assert starts.due(open_calls) == []
    starts._next_look = 0
    young.started -= int(LASTS * 1e9)
    assert starts.due(open_calls) == [young]


def test_what_did_not_fit_into_the_queue_is_said_at_the_end(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    install(Keeping("console", gate), queue_records=2)
    record("first")
    assert gate.reached.wait(PATIENCE)
    for number in range(5):
        record(str(number))
    gate.open.set()
    assert tracer.shutdown(PATIENCE)
    (line,) = [entry.getMessage() for entry in caplog.records]
    assert line == "tracer: 3 records came faster than they could be read and did not fit into the queue (TRACER_QUEUE_RECORDS)"
