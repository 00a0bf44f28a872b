"""The delivery engine without a network: bounds, what gives way first, order, back-off, loss by reason, and a ledger that closes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from tests.support import PATIENCE, Delivering, wait_until
from tracer.call import Call
from tracer.export.transport import ACCEPTED, REFUSED, RETRY, STOP, Item, Limits, Packed, Verdict
from tracer.pipeline.backoff import Pace
from tracer.pipeline.destinations import make_destinations
from tracer.pipeline.sender import Gather, Sender
from tracer.pipeline.waiting import Waiting
from tracer.reading.record import Record
from tracer.settings import Settings

CONTENT = "content"
Behaviour = Callable[[Sequence[Item]], Verdict]


def record(number: int = 0, size: int = 100) -> Record:
    return Record(Call(number + 1, number + 1, number + 1, name=f"record {number}", input_json=b"x" * size), "completed")


class Wire:
    """A transport that does what a function says, and keeps what it accepted."""

    name = "wire"
    place = "The wire"
    timeout = 5.0
    frame = b""

    def __init__(self, behaviour: Behaviour | None = None, most: int = 1000) -> None:
        self.behaviour = behaviour
        self.most = most
        self.accepted: list[Item] = []
        self.requests: list[list[str]] = []
        self.timeouts: list[float] = []
        self.closed = 0

    def pack(self, records: Sequence[Record]) -> Packed:
        return Packed([item_of(record.call) for record in records])

    def open(self, calls: Sequence[Call], /) -> list[Item]:
        return [Item({"name": b"start of " + call.name.encode()}, key=call.name, opens=True) for call in calls]

    def limits(self, _timeout: float, /) -> Limits:
        return Limits(self.most, 1 << 30)

    def send(self, items: Sequence[Item], timeout: float) -> Verdict:
        self.requests.append([name_of(item) for item in items])
        self.timeouts.append(timeout)
        verdict = self.behaviour(items) if self.behaviour else Verdict(ACCEPTED)
        if verdict.outcome == ACCEPTED:
            self.accepted += items
        return verdict

    def shorten(self, item: Item, limit: int) -> dict[str, bytes] | None:
        if not item.parts.get(CONTENT):
            return None
        room = max(0, limit - item.weight + len(item.parts[CONTENT]))
        return {**item.parts, CONTENT: item.parts[CONTENT][:room]}

    def close(self) -> None:
        self.closed += 1

    @property
    def names(self) -> list[str]:
        return [name_of(item) for item in self.accepted]


def busy(_: Sequence[Item]) -> Verdict:
    return Verdict(RETRY, "busy", "is busy", after=1000)


def item_of(call: Call) -> Item:
    return Item({"name": call.name.encode(), CONTENT: call.input_json or b""}, key=call.name)


def name_of(item: Item) -> str:
    return item.parts["name"].decode()


def down(_: Sequence[Item]) -> Verdict:
    return Verdict(RETRY, "unreachable", "cannot be reached", "Mend it.")


def names(first: int, last: int) -> list[str]:
    return [f"record {number}" for number in range(first, last)]


# Bounds.


def test_memory_stays_under_the_limit_while_the_backend_is_down_and_the_newest_are_kept() -> None:
    wire = Wire(down)
    destination = Delivering(wire, most_records=100, most_bytes=200_000, pace=Pace(1000, 1000))
    destination.put([record(0, 10_000)])
    wait_until(lambda: bool(wire.requests) and not destination.sender._busy)  # What is being sent does not give way.
    for number in range(1, 1000):
        destination.put([record(number, 10_000)])
        assert destination.sender._waiting.bytes <= 200_000
    assert destination.account.dropped == {"queue full": 900}
    assert destination.waiting == 100
    # Contents went before records: 1000 times 10 kB are far beyond 200 kB, and yet a hundred records are there.
    assert destination.account.shortened["queue full"] > 900
    wire.behaviour = None
    assert destination.sender.flush(PATIENCE)
    assert destination.outcome == (100, {"queue full": 900})
    assert sorted(wire.names) == sorted(names(900, 1000))
    sizes = {name_of(item): len(item.parts[CONTENT]) for item in wire.accepted}
    assert sizes["record 900"] == 0
    assert sizes["record 999"] == 10_000


def test_records_without_contents_are_dropped_oldest_first_when_bytes_run_out() -> None:
    wire = Wire(down)
    destination = Delivering(wire, most_bytes=10 * (256 + len("record 00")))
    destination.put([record(number, 0) for number in range(10, 30)])
    assert destination.account.dropped == {"queue full": 10}
    wire.behaviour = None
    destination.sender.flush(PATIENCE)
    assert sorted(wire.names) == names(20, 30)


def test_nothing_is_kept_of_what_has_arrived() -> None:
    wire = Wire()
    destination = Delivering(wire)
    for number in range(50):
        destination.deliver([record(number)])
    waiting = destination.sender._waiting
    assert (waiting.records, waiting.bytes, len(waiting)) == (0, 0, 0)
    assert not waiting._heavy
    assert not waiting._unsettled


def test_a_full_queue_is_one_line_that_names_the_trouble(caplog: pytest.LogCaptureFixture) -> None:
    destination = Delivering(Wire(down), most_records=3)
    destination.put([record(0)])
    wait_until(lambda: bool(destination.sender.trouble))
    destination.put([record(number) for number in range(1, 10)])
    destination.put([record(10)])
    (line,) = [entry.getMessage() for entry in caplog.records]
    assert line == (
        "tracer: The wire cannot be reached, and the queue is full (TRACER_QUEUE_RECORDS, TRACER_QUEUE_BYTES); 7 records dropped. Mend it."
    )


# Order.


def test_order_is_kept_through_failures() -> None:
    verdicts = iter([Verdict(RETRY, "busy"), Verdict(ACCEPTED), Verdict(RETRY, "busy")])
    wire = Wire(lambda _: next(verdicts, Verdict(ACCEPTED)), most=3)
    destination = Delivering(wire)
    destination.deliver([record(number) for number in range(10)])
    assert wire.names == names(0, 10)


def test_an_opening_item_that_waits_becomes_one_with_its_end() -> None:
    waiting = Waiting(100, 10_000, lambda _item, _limit: None)
    waiting.put(Item({"name": b"a"}, key="a", opens=True))
    waiting.put(Item({"name": b"b"}))
    waiting.put(Item({"name": b"end of a"}, key="a"))
    batch = waiting.take(10, 10_000)
    assert [name_of(item) for item in batch] == ["b", "end of a"]
    assert not batch[1].follows
    assert waiting.records == 2


def test_an_end_waits_for_what_opens_it() -> None:
    waiting = Waiting(100, 10_000, lambda _item, _limit: None)
    opener, end = Item({"name": b"a"}, key="a", opens=True), Item({"name": b"end of a"}, key="a")
    waiting.put(opener)
    assert waiting.take(10, 10_000) == [opener]
    opener.sent = True  # It may have arrived.
    waiting.put(end)
    waiting.give_back([opener], at_end=True)
    assert waiting.take(1, 10_000) == [opener]
    assert waiting.take(1, 10_000) == [end]
    assert end.follows
    waiting.give_back([end], at_end=False)
    waiting.done([opener], accepted=False)
    assert waiting.take(1, 10_000) == [end]
    assert not end.follows


def test_what_could_leave_a_half_behind_is_dropped_last() -> None:
    waiting = Waiting(2, 10_000, lambda _item, _limit: None)
    opener = Item({"name": b"a"}, key="a", opens=True)
    waiting.put(opener)
    waiting.done(waiting.take(1, 10_000), accepted=True)
    for name in (b"end of a", b"b", b"c"):
        waiting.put(Item({"name": name}, key=name.decode()[-1]))
    assert [name_of(item) for item in waiting.take(10, 10_000)] == ["end of a", "c"]


# Verdicts.


def test_a_record_that_always_fails_is_given_up_alone_while_others_pass() -> None:
    def behaviour(items: Sequence[Item]) -> Verdict:
        bad = any(name_of(item) == "record 0" for item in items)
        return Verdict(RETRY, "refused:500", "fails", doubtful=True) if bad else Verdict(ACCEPTED)

    wire = Wire(behaviour)
    destination = Delivering(wire)
    for number in range(0, 300, 3):
        destination.put([record(number + offset) for offset in range(3)])
        destination.sender.flush(0.02)
        if destination.account.dropped:
            break
    wait_until(lambda: not destination.waiting)
    assert destination.account.dropped == {"refused:500": 1}
    assert "record 0" not in wire.names
    assert destination.account.exported == destination.handed_in - 1
    assert len(wire.names) == len(set(wire.names))


def test_a_backend_that_fails_on_everything_loses_nothing() -> None:
    wire = Wire(lambda _: Verdict(RETRY, "refused:500", "fails", doubtful=True))
    destination = Delivering(wire, pace=Pace(0.001, 0.001))
    destination.put([record(number) for number in range(20)])
    wait_until(lambda: len(wire.requests) > 60)
    assert destination.waiting == 20
    wire.behaviour = None
    assert destination.sender.flush(PATIENCE)
    assert destination.outcome == (20, {})
    assert len(wire.requests[-1]) > 1


def test_a_wrong_key_empties_the_queue_and_closes_the_books(caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()

    def behaviour(_: Sequence[Item]) -> Verdict:
        assert gate.wait(PATIENCE)
        return Verdict(STOP, "refused:401", "refused the key", "Mend the key.")

    wire = Wire(behaviour, most=2)
    destination = Delivering(wire)
    destination.put([record(number) for number in range(10)])
    gate.set()
    assert destination.sender.flush(PATIENCE)
    destination.deliver([record(11)])
    assert destination.outcome == (0, {"refused:401": 11})
    assert destination.account.stopped == "refused the key"
    assert len(wire.requests) == 1
    assert [entry.getMessage() for entry in caplog.records] == ["tracer: The wire refused the key; 10 records dropped. Mend the key."]


def test_a_bug_of_a_transport_is_counted_and_the_sender_lives(caplog: pytest.LogCaptureFixture) -> None:
    def behaviour(items: Sequence[Item]) -> Verdict:
        if name_of(items[0]) == "record 0":
            raise RuntimeError("a bug")
        return Verdict(ACCEPTED)

    destination = Delivering(Wire(behaviour))
    destination.deliver([record(0)])
    destination.deliver([record(1)])
    assert destination.outcome == (1, {"internal": 1})
    assert "internal error in sending to wire" in caplog.text


def test_refused_and_partly_accepted_records_are_counted() -> None:
    verdicts = [Verdict(REFUSED, "refused:400", "refused"), Verdict(ACCEPTED, "rejected", "rejected one", rejected=1)]
    destination = Delivering(Wire(lambda _: verdicts.pop(0)))
    destination.deliver([record(0)])
    destination.deliver([record(1), record(2)])
    assert destination.outcome == (1, {"refused:400": 1, "rejected": 1})


def test_one_that_is_refused_is_found_by_halves() -> None:
    def behaviour(items: Sequence[Item]) -> Verdict:
        bad = {"record 5", "record 40"} & {name_of(item) for item in items}
        return Verdict(REFUSED, "refused:422", "refused", doubtful=True) if bad else Verdict(ACCEPTED)

    wire = Wire(behaviour)
    destination = Delivering(wire)
    destination.deliver([record(number) for number in range(64)])
    assert destination.outcome == (62, {"refused:422": 2})
    assert sorted(wire.names) == sorted(set(names(0, 64)) - {"record 5", "record 40"})
    assert len(wire.requests) < 40


def test_halves_end_where_everything_is_refused() -> None:
    wire = Wire(lambda _: Verdict(REFUSED, "refused:400", "refused", doubtful=True), most=100)
    destination = Delivering(wire)
    destination.deliver([record(number) for number in range(1000)])
    assert destination.outcome == (0, {"refused:400": 1000})
    assert len(wire.requests) < 30


# Time.


def test_waits_grow_and_have_jitter() -> None:
    pace = Pace(1.0, 30.0)
    for failures, whole in [(1, 1), (2, 2), (3, 4), (6, 30), (10_000, 30)]:
        waits = {pace.wait(failures, None) for _ in range(50)}
        assert all(whole / 2 <= wait <= whole for wait in waits)
        assert len(waits) > 10
    assert pace.wait(9, 2.5) == 2.5
    assert pace.wait(1, 10_000) == 300
    assert pace.wait(1, -5) == 0


def test_a_flush_tries_at_once_but_honours_what_the_destination_asked_for() -> None:
    wire = Wire(down)
    destination = Delivering(wire, pace=Pace(1000, 1000))
    destination.put([record(0)])
    wait_until(lambda: bool(destination.sender.trouble))
    wire.behaviour = busy
    assert not destination.sender.flush(0.2)
    wait_until(lambda: len(wire.requests) == 2)
    begun = time.monotonic()
    assert not destination.sender.flush(PATIENCE)
    assert time.monotonic() - begun < PATIENCE / 2
    assert len(wire.requests) == 2
    destination.sender.close(1)
    assert wire.closed == 1


def test_towards_the_end_requests_are_short_and_tries_frequent() -> None:
    wire = Wire(down)
    destination = Delivering(wire, pace=Pace(1000, 1000))
    destination.put([record(0)])
    wait_until(lambda: bool(destination.sender.trouble))
    destination.sender.finish(time.monotonic() + 2)
    assert not destination.sender.flush(1)
    assert len(wire.requests) >= 3
    assert all(timeout <= 2 for timeout in wire.timeouts[1:])
    destination.sender.close(0)


def test_a_sender_that_cannot_start_a_thread_sends_in_the_thread_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    verdicts = iter([Verdict(RETRY, "busy", "is busy")])
    wire = Wire(lambda _: next(verdicts, Verdict(ACCEPTED)), most=3)
    destination = Delivering(wire)
    destination.put([record(number) for number in range(10)])
    assert wire.requests == []
    assert destination.sender.flush(PATIENCE)
    assert destination.outcome == (10, {})
    wire.behaviour = down
    destination.put([record(11)])
    begun = time.monotonic()
    assert not destination.sender.flush(0.3)
    assert time.monotonic() - begun < 2


def test_nothing_runs_before_the_first_record_and_after_the_end() -> None:
    destination = Delivering(Wire())
    assert destination.sender._thread is None
    destination.deliver([record()])
    thread = destination.sender._thread
    assert thread is not None
    assert thread.daemon
    assert thread.name == "tracer wire"
    destination.sender.close(1)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    destination.put([record()])
    assert destination.account.dropped == {"closed": 1}


# Gathering.


def test_records_are_gathered_until_there_are_enough_or_somebody_waits_for_them() -> None:
    wire = Wire()
    sender = Sender(wire, 100, 1 << 20, gather=Gather(seconds=600, records=3))
    try:
        sender.export([record(0)])
        wait_until(lambda: len(wire.accepted) == 1)
        sender.export([record(1)])
        sender.export([record(2)])
        assert wire.requests == [names(0, 1)]
        sender.export([record(3)])
        wait_until(lambda: len(wire.accepted) == 4)
        assert wire.requests == [names(0, 1), names(1, 4)]
        sender.export([record(4)])
        assert sender.flush(PATIENCE)
        assert wire.requests == [names(0, 1), names(1, 4), names(4, 5)]
        sender.export([record(5)])
        sender.finish(time.monotonic() + PATIENCE)
        wait_until(lambda: len(wire.accepted) == 6)
    finally:
        sender.close(1)


def test_records_are_gathered_for_a_while() -> None:
    wire = Wire()
    sender = Sender(wire, 100, 1 << 20, gather=Gather(seconds=0.05, records=100))
    try:
        began = time.monotonic()
        sender.export([record(0)])
        wait_until(lambda: len(wire.accepted) == 1)
        sender.export([record(1)])
        wait_until(lambda: len(wire.accepted) == 2)
        assert time.monotonic() - began >= 0.05
    finally:
        sender.close(1)


def test_what_goes_over_the_network_is_gathered_unless_something_else_is_set() -> None:
    places = Settings(
        otlp_endpoint="http://127.0.0.1:9", langsmith_tracing=True, langsmith_key="none", langsmith_endpoint="http://127.0.0.1:9"
    )
    senders = [made for made in make_destinations(places) if isinstance(made, Sender)]
    assert {made.name: made._gather.seconds for made in senders} == {"otlp": 0.25, "langsmith": 0.25}
    (otlp,) = make_destinations(Settings(otlp_endpoint="http://127.0.0.1:9", otlp_schedule_delay=0.0))
    assert isinstance(otlp, Sender)
    assert otlp._gather.seconds == 0.0
