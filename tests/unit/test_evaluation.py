"""`tracer.feedback`: what its arguments may be, where it goes, and that its books close."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tracer
from tests.support import PATIENCE, Keeping
from tests.unit.evaluation_support import some_feedback
from tests.unit.store.records import own_span
from tracer.capture.evaluating import feedback_of
from tracer.evaluation import Feedback
from tracer.export.destination import Delivery
from tracer.masking.masker import Masker
from tracer.pipeline.batches import Batches
from tracer.pipeline.pipeline import Pipeline
from tracer.runtime import Runtime, runtime
from tracer.settings import Settings
from tracer.store import schema
from tracer.store.reader import StoreReader
from tracer.store.store import LocalStore
from tracer.store.trim import Limits

SETTINGS = Settings(otlp_headers={}, resource_attributes={})
RUN_ID = "01a20782-87c4-77ed-bd28-60881602883b"


class KeepingFeedback:
    """Keeps feedback; `delivery` is what it says of it."""

    def __init__(self, delivery: Delivery | None = None) -> None:
        self.given: list[Feedback] = []
        self._delivery = delivery

    def export(self, feedback: Sequence[Feedback], /) -> Delivery:
        """Keep it."""
        self.given += feedback
        return self._delivery or Delivery(len(feedback))

    def close(self, timeout: float) -> None:
        """Nothing is open."""


class Taking(Keeping):
    """A destination that takes feedback too."""

    def __init__(self, name: str, delivery: Delivery | None = None) -> None:
        super().__init__(name)
        self.feedback = KeepingFeedback(delivery)


class Slow(Taking):
    """Closing it takes a while, and so does closing its part for feedback."""

    def __init__(self, name: str, clock: list[float]) -> None:
        super().__init__(name)
        self.left: list[float] = []

        def close(timeout: float) -> None:
            self.left.append(timeout)
            clock[0] += 1.0

        self.close = self.feedback.close = close


def serve(monkeypatch: pytest.MonkeyPatch, *destinations: Keeping) -> None:
    """Have the next pipeline deliver to these."""

    def make(_: Settings) -> list[Keeping]:
        return list(destinations)

    monkeypatch.setattr("tracer.pipeline.destinations.make_destinations", make)


@pytest.fixture
def local(fresh_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Taking:
    """A destination in the place of the local store."""
    destination = Taking("local")
    serve(monkeypatch, destination, Keeping("console"))
    tracer.configure(local=True, console=True, quiet=True)
    return destination


def closes(account: dict[str, Any]) -> bool:
    settled = sum((account["exported"], account["sampled_out"], account["queued"], account.get("spooled", 0), *account["dropped"].values()))
    return bool(account["given"] == settled)


# Arguments.


@pytest.mark.usefixtures("fresh_runtime")
@pytest.mark.parametrize("run", [RUN_ID, RUN_ID.replace("-", ""), f" {RUN_ID.upper()} ", uuid.UUID(RUN_ID)])
def test_a_run_id_in_any_form(run: Any) -> None:
    assert feedback_of(run, "helpful").run_id == uuid.UUID(RUN_ID).int


def test_handles_bring_their_place_along(local: Taking) -> None:
    with tracer.trace("outer") as outer, tracer.trace("inner") as inner:
        now = tracer.current()
        assert now is not None
        by_id = feedback_of(str(inner.id), "helpful")
        given = [feedback_of(run, "helpful") for run in (inner, now)]
    for feedback in (by_id, *given):
        assert inner.id is not None
        assert outer.id is not None
        assert (feedback.run_id, feedback.root_run_id) == (inner.id.int, outer.id.int)
        assert (f"{feedback.trace_id:032x}", f"{feedback.span_id:016x}") == (inner.trace_id, inner.span_id)


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"run": 7}, "run is of type int. Give a handle"),
        ({"key": 7}, "key is of type int. Give a text."),
        ({"score": "good"}, "score is of type str. Give a number or a truth value; texts go into value."),
        ({"score": [1]}, "score is of type list."),
        ({"score": 1j}, "score is of type complex."),
        ({"comment": 7}, "comment is of type int."),
        ({"correction": "right"}, "correction is of type str. Give a mapping"),
        ({"source": 7}, "source is of type int."),
    ],
)
def test_a_wrong_type_raises_and_says_the_fix(arguments: dict[str, Any], words: str) -> None:
    said: dict[str, Any] = {"run": RUN_ID, "key": "helpful", **arguments}
    with pytest.raises(TypeError) as caught:
        tracer.feedback(**said)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"run": "chatcmpl-1"}, "run is 'chatcmpl-1', which is no run id. Give a handle"),
        ({"key": None}, "key is None. Name what is judged"),
        ({"key": " "}, "key is ' '. Name what is judged"),
        ({"score": float("nan")}, "score is nan. Give a finite number, or leave it out."),
        ({"score": float("-inf")}, "score is -inf."),
        ({"score": Decimal("NaN")}, "score is Decimal('NaN')."),
        ({"source": ""}, "source is ''. Say who judges"),
    ],
)
def test_a_value_of_no_use_is_one_line(arguments: dict[str, Any], words: str, local: Taking, caplog: pytest.LogCaptureFixture) -> None:
    said: dict[str, Any] = {"run": RUN_ID, "key": "helpful", **arguments}
    for _ in range(3):
        assert tracer.feedback(**said) is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"tracer: feedback is not recorded: {words}")
    assert tracer.flush()
    assert (local.feedback.given, tracer.status()["feedback"]) == ([], {})


@pytest.mark.usefixtures("fresh_runtime")
def test_values_are_plain_and_of_the_moment() -> None:
    correction = {"answer": {"to": [1]}}
    value = [1, {"a": {2}}]
    feedback = feedback_of(RUN_ID, "helpful", Decimal("0.5"), value, correction=correction)
    correction["answer"]["to"].append(2)
    value.append(3)
    assert (feedback.score, feedback.value, feedback.correction) == (0.5, [1, {"a": [2]}], {"answer": {"to": [1]}})
    assert feedback_of(RUN_ID, "helpful", True).score is True
    assert uuid.UUID(int=feedback.id).version == 7


# Where it goes.


def test_it_goes_to_those_that_take_it_and_the_books_close(local: Taking) -> None:
    with tracer.trace("answer") as run:
        given = tracer.feedback(run, "helpful", score=1, comment="fine")
    assert tracer.feedback(str(run.id), "right", value="B") is not None
    assert tracer.flush()
    assert [(feedback.key, feedback.score, feedback.value) for feedback in local.feedback.given] == [
        ("helpful", 1, None),
        ("right", None, "B"),
    ]
    assert given == uuid.UUID(int=local.feedback.given[0].id)
    status = tracer.status()
    assert status["feedback"] == {"local": {"given": 2, "exported": 2, "sampled_out": 0, "dropped": {}, "queued": 0}}
    # Runs have books of their own.
    assert status["started"] == status["destinations"]["local"]["exported"] == 1


def test_what_is_dropped_late_or_too_many_is_counted(
    fresh_runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    destination = Taking("local", Delivery(dropped={"disk": 1}))
    serve(monkeypatch, destination)
    tracer.configure(local=True, quiet=True, queue_records=1)
    pipeline = fresh_runtime.pipeline
    assert pipeline is not None
    fresh_runtime.running = True  # No worker begins.
    for _ in range(3):
        tracer.feedback(RUN_ID, "helpful")
    account = tracer.status()["feedback"]["local"]
    assert (account["queued"], account["dropped"], closes(account)) == (1, {"queue full": 2}, True)
    tracer.shutdown(5)
    tracer.feedback(RUN_ID, "helpful")
    account = tracer.status()["feedback"]["local"]
    assert account == {"given": 4, "exported": 0, "sampled_out": 0, "dropped": {"disk": 1, "queue full": 2, "shut down": 1}, "queued": 0}
    assert caplog.records == []


def test_a_destination_that_raises_is_a_fault_and_counted(fresh_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def export(_: Sequence[Feedback], /) -> Delivery:
        raise ValueError("a bug")

    destination = Taking("local")
    monkeypatch.setattr(destination.feedback, "export", export)
    serve(monkeypatch, destination)
    tracer.configure(local=True, quiet=True)
    fresh_runtime.raise_faults = False
    tracer.feedback(RUN_ID, "helpful")
    assert tracer.flush()
    account = tracer.status()["feedback"]["local"]
    assert (account["dropped"], closes(account)) == ({"error": 1}, True)


def test_of_a_run_that_is_not_sampled_it_is_not_recorded(fresh_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    destination = Taking("local")
    serve(monkeypatch, destination)
    tracer.configure(local=True, quiet=True, sampler="always_off")
    with tracer.trace("answer") as run:
        pass
    tracer.feedback(run, "helpful")
    assert tracer.flush()
    assert destination.feedback.given == []
    assert tracer.status()["feedback"]["local"]["sampled_out"] == 1
    del fresh_runtime


@pytest.mark.parametrize("settings", [{}, {"console": True}])
def test_where_nothing_takes_it_one_line_says_so(
    settings: dict[str, Any], fresh_runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    tracer.configure(quiet=True, **settings)
    for _ in range(2):
        assert tracer.feedback(RUN_ID, "helpful", score=1) is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == (
        "tracer: feedback is not recorded: no destination takes it. Switch LangSmith tracing (LANGSMITH_TRACING) or TRACER_LOCAL on."
    )
    assert not fresh_runtime.running


def test_where_tracing_is_forbidden_nothing_is_said(
    fresh_runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TRACER_ENABLED", "false")
    with tracer.trace("answer") as run:
        assert tracer.feedback(run, "helpful") is None
    assert tracer.feedback(RUN_ID, "helpful", score=float("nan")) is None
    assert (caplog.records, fresh_runtime.pipeline) == ([], None)


# Masking.


def test_texts_are_masked() -> None:
    feedback = some_feedback(comment="my key is sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD", value={"a": "sk-ant-api03-" + "x" * 40})
    Masker(["secrets"], 1).mask_feedback(feedback)
    assert "abcdefghij" not in (feedback.comment or "")
    assert "xxxxx" not in json.dumps(feedback.value)


def failing(_: str) -> str:
    """A mask with a bug."""
    raise ValueError


def test_a_mask_that_fails_costs_the_texts_only(caplog: pytest.LogCaptureFixture) -> None:
    feedback = some_feedback(comment="secret", score=1, correction={"a": "secret"})
    Masker([f"{__name__}:failing"], 1).mask_feedback(feedback)
    assert (feedback.score, feedback.comment, feedback.correction) == (1, "(mask failed)", None)
    assert len(caplog.records) == 1


# The local store.


def stored(path: Path, *given: Feedback) -> None:
    store = LocalStore(path, SETTINGS)
    assert store.feedback.export(given).exported == len(given)
    store.close()


def test_the_store_keeps_it_beside_the_run_and_once(tmp_path: Path) -> None:
    path = tmp_path / "traces.sqlite"
    record = own_span("answer")
    store = LocalStore(path, SETTINGS)
    store.export([record])
    store.close()
    feedback = some_feedback(run_id=record.call.run_id, score=True, value={"grade": "B"}, comment="a \ud83d", correction={"a": 1})
    stored(path, feedback, feedback)
    stored(path, feedback, some_feedback())
    with StoreReader(path) as reader:
        (trace,) = reader.traces()
    (row,) = trace.feedback[uuid.UUID(int=record.call.run_id).hex]
    assert (row.score, row.value, row.comment, row.correction) == (1, '{"grade":"B"}', "a \ufffd", '{"a":1}')


def test_an_older_file_gets_the_table_and_can_be_read_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "traces.sqlite"
    record = own_span("answer")
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        store = LocalStore(path, SETTINGS)
        store._file._limits = Limits(every=10**9)  # pyright: ignore[reportPrivateUsage]  # the version of then knew no feedback to remove
        store._file._writes = 1  # pyright: ignore[reportPrivateUsage]
        store.export([record])
        store.close()
    with StoreReader(path) as reader:
        (trace,) = reader.traces()
        assert trace.feedback == {}
    stored(path, some_feedback(run_id=record.call.run_id))
    with StoreReader(path) as reader:
        (trace,) = reader.traces()
        assert len(trace.feedback) == 1


def test_it_goes_with_its_run(tmp_path: Path) -> None:
    path = tmp_path / "traces.sqlite"
    old, new = own_span("old", started_wall=1), own_span("new")
    store = LocalStore(path, SETTINGS, Limits(every=1))
    about = [some_feedback(run_id=record.call.run_id) for record in (old, new)]
    orphan = replace(some_feedback(), time=1)
    store.feedback.export([*about, orphan])
    store.export([new, old])
    store.export([own_span("next")])
    store.close()
    with sqlite3.connect(path) as connection:
        left = connection.execute("SELECT run_id FROM feedback").fetchall()
    connection.close()
    assert left == [(uuid.UUID(int=new.call.run_id).hex,)]


def test_a_file_that_cannot_be_written_drops_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = LocalStore(tmp_path / "folder", Settings())
    (tmp_path / "folder").mkdir()
    assert store.feedback.export([some_feedback()]).dropped == {"disk": 1}
    assert "cannot write the local store" in caplog.text


def test_all_that_is_closed_shares_one_deadline(fresh_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [time.monotonic()]
    first, second = Slow("local", clock), Slow("langsmith", clock)
    serve(monkeypatch, first, second)
    tracer.configure(local=True, langsmith_tracing=True, langsmith_key="key", langsmith_endpoint="http://127.0.0.1:9", quiet=True)
    with tracer.trace("a"):
        pass
    assert tracer.flush(PATIENCE)
    monkeypatch.setattr("tracer.pipeline.batches.time", SimpleNamespace(monotonic=lambda: clock[0], sleep=time.sleep))
    assert isinstance(runtime.pipeline, Pipeline)
    batches: Batches = runtime.pipeline._batches  # pyright: ignore[reportPrivateUsage]
    batches.close(clock[0] + 2.5)
    assert [*first.left, *second.left] == pytest.approx([2.5, 0.5, 1.5, 0.0])
