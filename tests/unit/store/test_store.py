"""The local store: what is written is read back, by one process or several, and nothing breaks the program."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import sqlite3
import stat
import threading
from pathlib import Path
from traceback import TracebackException
from uuid import UUID

import pytest

from tests.unit.store.records import model_call, own_span
from tracer.call import FAILED, Failure
from tracer.export.destination import Destination
from tracer.reading.record import Record
from tracer.settings import Settings
from tracer.store import schema
from tracer.store.place import store_path
from tracer.store.reader import AmbiguousId, StoreReader, attributes_of, tags_of
from tracer.store.schema import StoreError, connect
from tracer.store.store import LocalStore
from tracer.store.trim import DAY, Limits, trim, used_bytes

SETTINGS = Settings(otlp_headers={}, resource_attributes={})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "traces.sqlite"


def _write(path: Path, records: list[Record], limits: Limits | None = None) -> None:
    store: Destination = LocalStore(path, SETTINGS, limits)
    delivery = store.export(records)
    store.close(1)
    assert (delivery.exported, delivery.dropped) == (len(records), {})


def test_a_call_is_read_back_whole(path: Path) -> None:
    record = model_call(first_chunk=0.25)
    _write(path, [record])
    with StoreReader(path) as reader:
        (trace,) = reader.traces(last=5)
    (row,) = trace.spans
    call = record.call
    assert trace.trace_id == f"{call.trace_id:032x}"
    assert (row.span_id, row.parent_span_id) == (f"{call.span_id:016x}", None)
    assert row.run_id == UUID(int=call.run_id).hex
    assert (row.name, row.kind, row.operation, row.model) == ("chat gpt-4o-mini", "llm", "chat", "gpt-4o-mini")
    assert (row.start_ns, row.end_ns - row.start_ns) == (call.started_wall, 500_000_000)
    assert (row.outcome, row.error_type, row.error_message) == ("completed", None, None)
    assert (row.input_tokens, row.output_tokens, row.cost, row.currency) == (12, 34, 0.00123, "USD")
    assert row.time_to_first_chunk == 0.25
    assert (row.session, row.user, tags_of(row)) == ("s1", "u7", ["beta", "two"])
    assert attributes_of(row)["gen_ai.response.model"] == "gpt-4o-mini-2024-07-18"
    assert "sunny" in attributes_of(row)["gen_ai.output.messages"]


def test_attempts_are_children_of_their_call(path: Path) -> None:
    record = model_call(statuses=(429, 200))
    _write(path, [record])
    with StoreReader(path) as reader:
        spans = reader.traces()[0].spans
    own = next(row for row in spans if row.kind == "llm")
    attempts = [row for row in spans if row.kind == "attempt"]
    assert [(row.parent_span_id, row.run_id, row.outcome) for row in attempts] == [
        (own.span_id, None, "failed"),
        (own.span_id, None, "completed"),
    ]


def test_a_failure_is_kept(path: Path) -> None:
    _write(path, [model_call(outcome=FAILED, failure=Failure("openai.RateLimitError", "too many", status=429))])
    with StoreReader(path) as reader:
        (row,) = reader.traces()[0].spans
    assert (row.outcome, row.error_type, row.error_message) == ("failed", "openai.RateLimitError", "too many")
    assert "exception.stacktrace" not in attributes_of(row)


def test_the_stack_of_an_exception_is_kept(path: Path) -> None:
    try:
        raise ValueError("too many")
    except ValueError as error:
        stack = TracebackException.from_exception(error)
    _write(path, [model_call(outcome=FAILED, failure=Failure("ValueError", "too many", trace=stack))])
    with StoreReader(path) as reader:
        (row,) = reader.traces()[0].spans
    assert attributes_of(row)["exception.stacktrace"] == "".join(stack.format())


def test_text_that_is_no_unicode_is_kept_in_replaced_form(path: Path) -> None:
    record = model_call(model="gpt-\ud800", answer="lone \ud800 surrogate")
    record.call.session = "s\udfff"
    _write(path, [record])
    with StoreReader(path) as reader:
        (row,) = reader.traces()[0].spans
    assert row.name == "chat gpt-\ufffd"
    assert row.session == "s\ufffd"


def test_spans_of_one_trace_may_come_one_by_one_and_twice(path: Path) -> None:
    root = own_span("answer question", started_wall=1_000)
    child = model_call(parent=root.call, started_wall=2_000)
    _write(path, [child], Limits(age=1e10))
    _write(path, [root, child], Limits(age=1e10))
    with StoreReader(path) as reader:
        (trace,) = reader.traces(last=9)
    assert [row.name for row in trace.spans] == ["answer question", "chat gpt-4o-mini"]
    assert (trace.start_ns, trace.end_ns) == (1_000, 1_000 + 1_000_000_000)


def test_the_last_traces_come_oldest_first(path: Path) -> None:
    now = model_call().call.started_wall
    _write(path, [own_span(name, started_wall=now + offset) for name, offset in (("b", 2), ("c", 3), ("a", 1))])
    with StoreReader(path) as reader:
        assert [trace.spans[0].name for trace in reader.traces(last=2)] == ["b", "c"]
        assert [trace.spans[0].name for trace in reader.traces(last=9)] == ["a", "b", "c"]


def test_a_trace_is_found_by_any_id_of_it(path: Path) -> None:
    root = own_span("root")
    child = model_call(parent=root.call)
    other = own_span("other", started_wall=1_700_000_000_000_000_000)
    _write(path, [root, child, other], Limits(age=1e12))
    with StoreReader(path) as reader:
        wanted = f"{root.call.trace_id:032x}"
        for identifier in (
            wanted,
            wanted.upper(),
            str(UUID(hex=wanted)),
            str(UUID(int=child.call.run_id)),
            f"{child.call.run_id:032x}"[:20],
            f"{child.call.span_id:016x}",
            f"{child.call.span_id:016x}"[:12],
        ):
            found = reader.trace(identifier)
            assert found is not None
            assert found.trace_id == wanted
            assert len(found.spans) == 2
        for identifier in ("", "-", "zz", "f" * 32, wanted + "0", "%"):
            assert reader.trace(identifier) is None


def test_a_prefix_that_fits_several_traces_is_refused(path: Path) -> None:
    one, two = own_span("one"), own_span("two")
    one.call.trace_id, two.call.trace_id = 0xABCD << 112, 0xABCE << 112
    _write(path, [one, two])
    with StoreReader(path) as reader:
        with pytest.raises(AmbiguousId, match="not unique"):
            reader.trace("abc")
        found = reader.trace("abcd")
        assert found is not None
        assert found.spans[0].name == "one"


def test_files_are_for_their_owner_only(path: Path) -> None:
    old_mask = os.umask(0)
    try:
        store = LocalStore(path, SETTINGS)
        store.export([model_call()])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        folders = [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)]
        store.close()
    finally:
        os.umask(old_mask)
    assert modes == {"traces.sqlite": 0o600, "traces.sqlite-wal": 0o600, "traces.sqlite-shm": 0o600}
    assert folders == [0o700, 0o700]


def test_nothing_is_opened_before_the_first_export(path: Path) -> None:
    store = LocalStore(path, SETTINGS)
    store.close()
    assert not path.parent.exists()


def test_after_close_records_are_refused(path: Path) -> None:
    store = LocalStore(path, SETTINGS)
    store.close()
    assert store.export([model_call()]).dropped == {"closed": 1}


def _write_many(path: Path, count: int) -> None:
    store = LocalStore(path, SETTINGS)
    for _ in range(count):
        assert store.export([model_call()]).exported == 1
    store.close()


def test_processes_and_threads_write_at_once(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_many, args=(path, 25)) for _ in range(3)]
    threads = [threading.Thread(target=_write_many, args=(path, 25)) for _ in range(2)]
    for worker in (*processes, *threads):
        worker.start()
    for worker in (*processes, *threads):
        worker.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with StoreReader(path) as reader:
        assert len(reader.traces(last=1000)) == 125


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_leaves_the_connection_to_its_parent(path: Path) -> None:
    store = LocalStore(path, SETTINGS)
    store.export([model_call()])
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            left = store._file._connection is None
            exported = store.export([model_call()]).exported
            store.close()
            os._exit(0 if left and exported == 1 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.export([model_call()]).exported == 1
    store.close()
    with StoreReader(path) as reader:
        assert len(reader.traces(last=9)) == 3


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "tracer"]


def test_a_place_that_cannot_be_written_costs_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    store = LocalStore(tmp_path / "file" / "traces.sqlite", SETTINGS)
    with caplog.at_level(logging.WARNING, "tracer"):
        for _ in range(3):
            delivery = store.export([model_call(), model_call()])
            assert (delivery.exported, delivery.dropped) == (0, {"disk": 2})
    store.close()
    (line,) = _lines(caplog)
    assert str(tmp_path) in line


def test_a_full_disk_drops_and_recovers(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = LocalStore(path, SETTINGS)
    assert store.export([model_call()]).exported == 1
    # SQLite's own limit stands for the full disk: the same error comes from the same place.
    connection = store._file._connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 1")
    with caplog.at_level(logging.WARNING, "tracer"):
        assert store.export([model_call(answer="x" * 500_000)]).dropped == {"disk": 1}
    assert re.search(r"full", _lines(caplog)[0])
    assert store.export([model_call()]).exported == 1
    store.close()
    with StoreReader(path) as reader:
        assert len(reader.traces(last=9)) == 2


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, and longer than the header of one " * 20)
    before = path.read_bytes()
    store = LocalStore(path, SETTINGS)
    with caplog.at_level(logging.WARNING, "tracer"):
        assert store.export([model_call()]).dropped == {"disk": 1}
    store.close()
    assert path.read_bytes() == before
    with pytest.raises(StoreError, match="not a store"):
        StoreReader(path)


def test_a_record_that_cannot_be_encoded_leaves_the_others(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = model_call()
    broken.call.trace_id = "no number"  # type: ignore[assignment]
    store = LocalStore(path, SETTINGS)
    with caplog.at_level(logging.WARNING, "tracer"):
        delivery = store.export([model_call(), broken, model_call()])
    store.close()
    assert (delivery.exported, delivery.dropped) == (2, {"encoding": 1})


def test_a_removed_file_is_made_again(path: Path) -> None:
    store = LocalStore(path, SETTINGS)
    store.export([model_call()])
    for file in path.parent.iterdir():
        file.unlink()
    assert store.export([model_call()]).exported == 1
    store.close()
    with StoreReader(path) as reader:
        assert len(reader.traces(last=9)) == 1


def test_a_newer_file_is_neither_written_nor_read(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _write(path, [model_call()])
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    connection.close()
    store = LocalStore(path, SETTINGS)
    with caplog.at_level(logging.WARNING, "tracer"):
        assert store.export([model_call()]).dropped == {"disk": 1}
    store.close()
    with pytest.raises(StoreError, match="newer version"):
        StoreReader(path)


def test_migrations_run_once_in_order_and_keep_what_is_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(path, [model_call()])

    def add_column(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE traces ADD COLUMN note TEXT")

    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, add_column])
    for _ in range(2):
        connect(path).close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*), max(note) FROM traces").fetchone() == (1, None)
    assert schema.version(connection) == len(schema.MIGRATIONS)
    connection.close()


def test_a_failed_migration_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(path, [model_call()])

    def breaks(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE traces ADD COLUMN note TEXT")
        raise RuntimeError("half way")

    known = len(schema.MIGRATIONS)
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, breaks])
    with pytest.raises(RuntimeError):
        connect(path)
    connection = sqlite3.connect(path)
    assert schema.version(connection) == known
    assert "note" not in {row[1] for row in connection.execute("PRAGMA table_info(traces)")}
    connection.close()


def test_old_traces_go(path: Path) -> None:
    now = model_call().call.started_wall
    old = own_span("old", started_wall=now - int(31 * DAY * 1e9))
    young = own_span("young", started_wall=now - int(29 * DAY * 1e9))
    _write(path, [old, young])
    with StoreReader(path) as reader:
        assert [trace.spans[0].name for trace in reader.traces(last=9)] == ["young"]
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM spans").fetchone() == (1,)
    connection.close()


def test_a_store_that_is_too_large_loses_its_oldest_traces_and_shrinks(path: Path) -> None:
    now = model_call().call.started_wall
    store = LocalStore(path, SETTINGS, Limits(every=10**9))
    for index in range(100):
        store.export([model_call(answer="x" * 20_000, model=f"m{index:03}", started_wall=now + index)])
    store.close()
    limit = 1024 * 1024
    size = path.stat().st_size
    assert size > limit
    connection = connect(path)
    assert trim(connection, Limits(bytes=limit)) > 0
    assert used_bytes(connection) <= limit * 9 // 10
    assert trim(connection, Limits(bytes=limit)) == 0
    connection.close()
    assert path.stat().st_size < size
    with StoreReader(path) as reader:
        names = [trace.spans[0].model for trace in reader.traces(last=1000)]
    assert names == [f"m{index:03}" for index in range(100 - len(names), 100)]
    assert len(names) > 30


def test_size_is_looked_at_now_and_then(path: Path) -> None:
    now = model_call().call.started_wall
    store = LocalStore(path, SETTINGS, Limits(bytes=200_000, every=10))
    counts: list[int] = []
    for index in range(31):
        store.export([model_call(answer="x" * 20_000, started_wall=now + index)])
        with StoreReader(path) as reader:
            counts.append(len(reader.traces(last=1000)))
    store.close()
    shrunk = [index for index in range(1, 31) if counts[index] <= counts[index - 1]]
    assert shrunk == [10, 20, 30]


def test_a_store_in_a_folder_that_cannot_be_written_is_read(path: Path) -> None:
    _write(path, [model_call()])
    path.parent.chmod(0o500)
    path.chmod(0o400)
    try:
        with StoreReader(path) as reader:
            assert len(reader.traces()) == 1
    finally:
        path.parent.chmod(0o700)


def test_reading_goes_on_beside_a_writer(path: Path) -> None:
    store = LocalStore(path, SETTINGS)
    store.export([model_call()])
    with StoreReader(path) as reader:
        store.export([model_call()])
        assert len(reader.traces(last=9)) == 2
    store.close()


def test_the_place_follows_the_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert store_path(local=True) == tmp_path / "tracer" / "traces.sqlite"
    assert store_path(local=False) == tmp_path / "tracer" / "traces.sqlite"
    assert store_path(str(tmp_path)) == tmp_path / "traces.sqlite"
    assert store_path(str(tmp_path / "mine.db")) == tmp_path / "mine.db"
    assert LocalStore.from_settings(SETTINGS.replaced(local=str(tmp_path / "mine.db"))).path == tmp_path / "mine.db"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert store_path(local=True) == tmp_path / "home" / ".local" / "share" / "tracer" / "traces.sqlite"
    assert store_path("~/x.sqlite") == tmp_path / "home" / "x.sqlite"


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such file"):
        StoreReader(tmp_path / "none.sqlite")
    assert list(tmp_path.iterdir()) == []
