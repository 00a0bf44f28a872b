"""The spool on disk: claims, order, limits, trouble with the disk, and what a sender makes of it."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import PATIENCE, ROOT, Delivering, senders, wait_until
from tests.unit.test_sender import Wire, busy, down, names, record
from tracer.export.transport import ACCEPTED, RETRY, STOP, Item, Verdict
from tracer.pipeline.sender import Sender
from tracer.spool.file import VERSION, InUse, SpoolError, SpoolFile
from tracer.spool.listing import look_into, sizes
from tracer.spool.spool import Spool

MEBIBYTE = 1024 * 1024
DAY = 24 * 3600.0


def spool_in(directory: Path, most_bytes: int = 512 * MEBIBYTE, age: float = DAY) -> Spool:
    return Spool(directory, most_bytes, age)


class Spooling(Delivering):
    """A sender with a spool, and the account of what it delivered."""

    def __init__(self, wire: Wire, spool: Spool, most_records: int = 10_000, address: str = "wire") -> None:
        super().__init__(wire)
        senders.pop()
        shelf = spool.shelf(address, lambda: b"frame")
        self.sender = Sender(wire, most_records, MEBIBYTE, self.sender._outcomes._pace, shelf=shelf)
        self.sender.settle = self._settle
        senders.append(self.sender)


def left_in(directory: Path) -> dict[str, int]:
    """Records by address in files that nobody uses."""
    counts: dict[str, int] = {}
    for found in look_into(directory):
        for address, records in (found.records or {}).items():
            counts[address] = counts.get(address, 0) + records
    return counts


def ends(destination: Delivering) -> None:
    """What the end of a process leaves to the spool."""
    destination.sender.close(PATIENCE)


# The file.


def test_what_is_written_is_read_back_whole_and_in_order(tmp_path: Path) -> None:
    file = SpoolFile.make(tmp_path / "new" / "a.spool")
    items = [Item({"run": b"a\x00b", "inputs": b""}, key="k", opens=True, overhead=7), Item({"spans": bytes(range(256))})]
    numbers = file.write("here", b"frame", items)
    file.write("there", b"", items[:1])
    found = file.read("here", 0, 100, 1 << 20)
    assert [number for number, _ in found] == numbers
    first, second = (item for _, item in found)
    assert (first.parts, first.key, first.opens, first.overhead, first.frame) == (items[0].parts, "k", True, 7, b"frame")
    assert second.parts == items[1].parts
    assert [number for number, _ in file.read("here", numbers[0], 100, 1)] == numbers[1:]
    assert file.counts() == {"here": 1, "there": 0}
    file.remove(numbers)
    assert file.read("here", 0, 100, 100) == []
    file.release()


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    file = SpoolFile.make(tmp_path / "new" / "a.spool")
    file.write("here", b"", [Item({"a": b"b"})])
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    file.release()


def test_a_file_belongs_to_one_at_a_time_and_to_nobody_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "a.spool"
    code = f"""
import sys
from pathlib import Path
from tracer.export.transport import Item
from tracer.spool.file import SpoolFile
file = SpoolFile.make(Path({str(path)!r}))
file.write("here", b"", [Item({{"a": b"b"}})])
print("ready", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(InUse):
            SpoolFile(path)
        process.kill()
    file = SpoolFile(path)
    assert file.counts() == {"here": 1}
    with pytest.raises(InUse):
        SpoolFile(path)
    file.release()


def test_an_empty_file_is_deleted_and_looking_makes_none(tmp_path: Path) -> None:
    file = SpoolFile.make(tmp_path / "a.spool")
    file.remove(file.write("here", b"", [Item({"a": b"b"})]))
    file.release()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SpoolError):
        SpoolFile(tmp_path / "a.spool")
    assert list(tmp_path.iterdir()) == []


def test_files_of_newer_versions_and_of_others_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with sqlite3.connect(tmp_path / "a.spool") as newer:
        newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    newer.close()
    (tmp_path / "b.spool").write_bytes(b"no database at all, but long enough to be looked at" * 100)
    destination = Spooling(Wire(), spool_in(tmp_path))
    destination.deliver([record(0)])
    assert destination.outcome == (1, {})
    assert sorted(path.name for path in tmp_path.iterdir())[-2:] == ["a.spool", "b.spool"]
    lines = [line.getMessage() for line in caplog.records]
    assert len(lines) == 1
    assert "is left alone" in lines[0]
    troubles = [found.trouble for found in look_into(tmp_path) if found.trouble]
    assert any("newer version" in text for text in troubles)
    ends(destination)


# A sender with a spool.


def test_what_arrives_leaves_nothing_behind(tmp_path: Path) -> None:
    destination = Spooling(Wire(), spool_in(tmp_path))
    destination.deliver([record(number) for number in range(20)])
    assert destination.outcome == (20, {})
    assert destination.account.spooled == 0
    ends(destination)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_sent_is_left_and_sent_by_the_next_each_once(tmp_path: Path) -> None:
    first = Spooling(Wire(down), spool_in(tmp_path))
    first.put([record(number) for number in range(20)])
    assert first.account.spooled == 20
    assert first.waiting == 0
    ends(first)
    assert left_in(tmp_path) == {"wire": 20}
    wire = Wire()
    second = Spooling(wire, spool_in(tmp_path))
    second.deliver([record(20)])
    wait_until(lambda: len(wire.accepted) == 21)
    assert sorted(wire.names) == sorted(names(0, 21))
    wait_until(lambda: second.account.recovered == 20)
    # The ledger of the second knows its own records only.
    assert (second.outcome, second.account.spooled) == ((1, {}), 0)
    assert {item.frame for item in wire.accepted if item.adopted} == {b"frame"}
    assert {item.frame for item in wire.accepted if not item.adopted} == {b""}
    ends(second)
    assert list(tmp_path.iterdir()) == []


def test_an_outage_longer_than_memory_reaches_loses_nothing_and_keeps_the_order(tmp_path: Path) -> None:
    wire = Wire(down)
    destination = Spooling(wire, spool_in(tmp_path), most_records=50)
    for number in range(0, 1000, 10):
        destination.put([record(at, 2000) for at in range(number, number + 10)])
        assert destination.sender._waiting.records <= 50
    assert destination.account.spooled == 1000
    wire.behaviour = None
    assert destination.sender.flush(PATIENCE)
    assert destination.outcome == (1000, {})
    assert wire.names == names(0, 1000)
    assert all(len(item.parts["content"]) == 2000 for item in wire.accepted)


def test_records_for_another_place_stay(tmp_path: Path) -> None:
    first = Spooling(Wire(down), spool_in(tmp_path), address="wire elsewhere")
    first.put([record(0)])
    ends(first)
    wire = Wire()
    second = Spooling(wire, spool_in(tmp_path))
    second.deliver([record(1)])
    ends(second)
    assert wire.names == ["record 1"]
    assert left_in(tmp_path) == {"wire elsewhere": 1}


def test_two_destinations_share_a_file_and_each_gets_its_own(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    wires = [Wire(down), Wire()]
    destinations = [Spooling(wire, spool, address=f"wire {number}") for number, wire in enumerate(wires)]
    for destination in destinations:
        destination.put([record(0), record(1)])
    assert destinations[1].sender.flush(PATIENCE)
    for destination in destinations:
        ends(destination)
    assert left_in(tmp_path) == {"wire 0": 2}
    assert len(wires[1].accepted) == 2


def test_a_wrong_key_leaves_records_to_a_process_with_the_right_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = Spooling(Wire(lambda _: Verdict(STOP, "refused:401", "refused the key", "Check the key.")), spool_in(tmp_path))
    first.deliver([record(0)])
    wait_until(lambda: bool(first.account.stopped))
    first.put([record(1)])
    assert (first.outcome, first.account.spooled) == ((0, {}), 2)
    ends(first)
    assert [line.getMessage().count("Check the key.") for line in caplog.records] == [1]
    second = Spooling(Wire(), spool_in(tmp_path))
    second.deliver([record(2)])
    wait_until(lambda: second.account.recovered == 2)


def test_what_is_refused_for_good_does_not_come_back(tmp_path: Path) -> None:
    destination = Spooling(Wire(lambda _: Verdict("refused", "refused:400", "refused it")), spool_in(tmp_path))
    destination.deliver([record(0)])
    assert (destination.outcome, destination.account.spooled) == ((0, {"refused:400": 1}), 0)
    ends(destination)
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_run_that_was_begun_by_a_dead_process_follows_its_beginning(tmp_path: Path) -> None:
    def only_beginnings(items: Sequence[Item]) -> Verdict:
        return Verdict(ACCEPTED) if all(item.opens for item in items) else Verdict(RETRY, "busy", "is busy", after=1000)

    first = Spooling(Wire(only_beginnings, most=1), spool_in(tmp_path))
    first.sender.open([record(0).call])
    wait_until(lambda: first.sender._waiting.records == 0 and not first.sender._waiting._items)
    first.put([record(0)])
    ends(first)
    wire = Wire()
    second = Spooling(wire, spool_in(tmp_path))
    second.deliver([record(1)])
    wait_until(lambda: second.account.recovered == 1)
    (item,) = [item for item in wire.accepted if item.adopted]
    assert item.follows


# Limits and trouble.


def test_the_oldest_give_way_when_the_directory_is_full(tmp_path: Path) -> None:
    wire = Wire(down)
    destination = Spooling(wire, spool_in(tmp_path, most_bytes=2 * MEBIBYTE), most_records=10)
    for number in range(0, 1000, 10):
        destination.put([record(at, 10_000) for at in range(number, number + 10)])
    dropped = destination.account.dropped["spool full"]
    assert destination.account.spooled == 1000 - dropped
    assert 100 < destination.account.spooled < 210
    # SQLite's log of a few megabytes comes on top.
    assert sum(size for _, size in sizes(tmp_path)) < 7 * MEBIBYTE
    wire.behaviour = None
    assert destination.sender.flush(PATIENCE)
    assert destination.outcome == (1000 - dropped, {"spool full": dropped})
    # Those in memory, and the newest.
    assert wire.names == [*names(0, 10), *names(10 + dropped, 1000)]


def test_what_others_keep_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = Spooling(Wire(down), spool_in(tmp_path), address="other")
    other.put([record(number, 10_000) for number in range(200)])
    destination = Spooling(Wire(busy), spool_in(tmp_path, most_bytes=MEBIBYTE))
    destination.put([record(0)])
    assert (destination.account.spooled, destination.waiting) == (0, 1)
    assert "is full (TRACER_SPOOL_BYTES); recording goes on in memory" in caplog.text
    ends(other)


def test_what_is_too_old_is_given_up_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = Spooling(Wire(down), spool_in(tmp_path))
    first.put([record(0), record(1)])
    ends(first)
    time.sleep(0.02)
    second = Spooling(Wire(), spool_in(tmp_path, age=0.01))
    second.deliver([record(2)])
    assert second.outcome == (1, {})
    assert second.account.recovered == 0
    assert "older than TRACER_SPOOL_AGE allows; 2 records dropped." in caplog.text
    ends(second)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_is_one_line_and_recording_goes_on_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    destination = Spooling(Wire(), spool_in(tmp_path / "file" / "spool"))
    for number in range(10):
        destination.deliver([record(number)])
    assert destination.outcome == (10, {})
    (line,) = caplog.records
    assert "cannot write the spool" in line.getMessage()
    assert "recording goes on in memory" in line.getMessage()


def test_a_full_disk_is_one_line_and_what_was_written_before_is_sent_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(down)
    spool = spool_in(tmp_path)
    destination = Spooling(wire, spool)
    destination.put([record(0)])
    connection = spool.own()._connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 20")
    caplog.clear()
    destination.put([record(number, 50_000) for number in range(1, 4)])
    destination.put([record(4)])
    assert (destination.account.spooled, destination.waiting) == (1, 4)
    (line,) = [line for line in caplog.records if line.levelno >= logging.WARNING and "spool" in line.getMessage()]
    assert "full" in line.getMessage()
    wire.behaviour = None
    assert destination.sender.flush(PATIENCE)
    assert destination.outcome == (5, {})


def test_a_spool_that_is_deleted_is_made_again(tmp_path: Path) -> None:
    destination = Spooling(Wire(), spool_in(tmp_path / "spool"))
    destination.deliver([record(0)])
    for path in (tmp_path / "spool").iterdir():
        path.unlink()
    os.rmdir(tmp_path / "spool")
    destination.sender._transport.behaviour = down  # type: ignore[attr-defined]
    destination.put([record(1)])
    assert destination.account.spooled == 1
    ends(destination)
    assert left_in(tmp_path / "spool") == {"wire": 1}
