"""What is measured of a record, where no traffic of the tests brings it about; labels; changes of the books; the page on metrics."""

from __future__ import annotations

import json
import re

import pytest

from tests.support import ROOT
from tracer.call import Attempt, Call, Failure
from tracer.cost import Prices
from tracer.metrics import instruments as of
from tracer.metrics.account import Changes
from tracer.metrics.labels import ALLOWED, Limit, labels_of
from tracer.metrics.measure import measure
from tracer.pipeline.ledger import Books
from tracer.reading.generation import Cost, Generation, Usage
from tracer.reading.record import Clocks, Record

SECOND = 1_000_000_000


def record(usage: Usage | None = None, **call: object) -> Record:
    made = Call(1, 1, 1, kind="llm", operation="chat", model="m", server_host="api.openai.com", ended=2 * SECOND)
    for name, value in call.items():
        setattr(made, name, value)
    return Record(made, "completed", Generation(request_model="m", usage=usage))


def values(found: Record, instrument: of.Instrument, version: str = "v1.41") -> list[float]:
    return [item.value for item in measure(found, version) if item.instrument is instrument]


def labels(found: Record, instrument: of.Instrument, version: str = "v1.41") -> list[dict[str, object]]:
    return [dict(item.labels) for item in measure(found, version) if item.instrument is instrument]


@pytest.mark.parametrize(("gap", "stalls"), [(4.9, []), (5.0, [1]), (None, [])])
def test_stalls(gap: float | None, stalls: list[float]) -> None:
    found = record(streaming=True)
    found.clocks = Clocks(longest_gap=gap)
    assert values(found, of.STALLS) == stalls
    assert values(found, of.LONGEST_GAP) == ([] if gap is None else [gap])


def test_the_mean_time_between_chunks_is_one_value() -> None:
    clock = [0, 1 * SECOND, 1 * SECOND, 2 * SECOND, 2 * SECOND, 5 * SECOND, 5 * SECOND]
    assert values(record(streaming=True, stream_clock=clock), of.PER_CHUNK_V141) == [2.0]
    assert values(record(streaming=True, piece_times=[SECOND, 4 * SECOND]), of.PER_CHUNK_V01, "v0.1") == [3.0]
    assert values(record(streaming=True, stream_clock=clock[:3]), of.PER_CHUNK_V141) == []


def test_usage_by_modality() -> None:
    found = record(Usage(input=100, input_audio=60, input_text=30, output=5, cache_write=7))
    split = {str(item["gen_ai.token.modality"]) for item in labels(found, of.INPUT_TOKENS, "v0.1")}
    assert (split, values(found, of.INPUT_TOKENS, "v0.1")) == ({"text", "audio", "unknown"}, [30, 60, 10])
    assert values(record(Usage(input=10, input_audio=60)), of.INPUT_TOKENS, "v0.1") == [10]
    assert values(found, of.CACHE_WRITE_TOKENS) == [7]
    # Without usage the counters say 0, as the conventions ask, and no histogram has a value.
    assert values(record(), of.OUTPUT_TOKENS, "v0.1") == [0]
    assert values(record(), of.CALL_OUTPUT_TOKENS, "v0.1") == values(record(), of.TOKEN_USAGE) == []


def test_priced_unpriced_and_without_usage() -> None:
    found = record(Usage(input=1, output=1))
    assert (values(found, of.COST), values(found, of.UNPRICED), values(found, of.USAGE_MISSING)) == ([], [1], [])
    assert found.generation is not None
    found.generation.cost = Cost(0.0, 0.0, 0.0, "EUR", "mine")
    assert (values(found, of.COST), values(found, of.UNPRICED)) == ([0.0], [])
    assert labels(found, of.COST)[0]["tracer.cost.currency"] == "EUR"
    found = record(streaming=True)
    assert (values(found, of.COST), values(found, of.UNPRICED), values(found, of.USAGE_MISSING)) == ([], [], [1])
    assert labels(found, of.USAGE_MISSING)[0]["gen_ai.request.stream"] is True


def test_attempts_of_the_client_call_below_a_framework_s() -> None:
    inner = Call(1, 1, 1, attempts=[Attempt(0, status=429, request_body=b"abc"), Attempt(0, failure=Failure("httpx.ReadTimeout", "slow"))])
    found = labels(record(operation="langchain", inner=inner), of.ATTEMPTS)
    assert [item.get("http.response.status_code") for item in found] == [429, None]
    assert [item["error.type"] for item in found] == ["429", "httpx.ReadTimeout"]


def test_labels_are_bounded() -> None:
    made = labels_of({"gen_ai.request.model": "m" * 5_000 + "\ud83d", "user.id": "u", "gen_ai.input.messages": "secret", "error.type": ""})
    assert set(made) == {"gen_ai.request.model"}
    assert len(str(made["gen_ai.request.model"]).encode()) <= 200
    for version in ("v0.1", "v1.41"):
        for item in measure(record(Usage(input=1, output=1), session="s", user="u", tags=("t",), metadata={"k": "v"}), version):
            assert set(item.labels) <= ALLOWED
    limit = Limit(2)
    admitted = [limit.admit("i", {"gen_ai.request.model": str(number % 5), "tracer.outcome": "failed"}) for number in range(10)]
    assert len({json.dumps(item) for item in admitted}) == 3
    assert limit.overflows == 6


def test_books_are_told_by_their_changes() -> None:
    changes = Changes()

    def told(books: Books) -> list[tuple[str, float]]:
        return [(item.instrument.name, item.value) for item in changes.since_last(books, 0)]

    account = {"exported": 2, "sampled_out": 0, "dropped": {"exit": 1}, "shortened": {}, "queued": 4}
    first = told(Books(3, 1, {"otlp": account}, {"reading a call": 1}))
    assert ("tracer.records", 2) in first
    assert ("tracer.records", 1) in first
    assert ("tracer.faults", 1) in first
    second = told(Books(5, 0, {"otlp": {**account, "exported": 7, "queued": 0}}, {"reading a call": 1}))
    assert second == [("tracer.calls.started", 2), ("tracer.calls.open", 0), ("tracer.records", 5), ("tracer.records.waiting", 0)]


def test_the_page_names_every_instrument() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith(("| `gen_ai.", "| `tracer."))]
    named = {name for row in rows for name in re.findall(r"`([a-z_.0-9]+)`", row.split("|")[1])}
    assert named == {instrument.name for instrument in of.INSTRUMENTS}
    by_name = {instrument.name: instrument for instrument in of.INSTRUMENTS}
    for row in rows:
        _, names, kind, found, _ = row.split("|")
        for name in re.findall(r"`([a-z_.0-9]+)`", names):
            instrument = by_name[name]
            assert kind.strip().split(";")[0] == f"{instrument.kind}, {instrument.unit}"
        assert set(re.findall(r"`([a-z_.0-9]+)`", found)) <= ALLOWED


def test_the_price_file_of_the_page_is_one(tmp_path: object) -> None:
    example = re.search(r"```json\n(.*?)```", (ROOT / "docs" / "cost.md").read_text("utf-8"), re.DOTALL)
    assert example is not None
    path = ROOT.__class__(str(tmp_path)) / "prices.json"
    path.write_text(example[1])
    prices = Prices(str(path))
    assert prices.problem is None
    assert prices.rates_of("anyone", "my-model") is not None
