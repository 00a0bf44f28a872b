"""TRACER_LIMITS: each destination gets what its backend takes, from the same calls."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

import tracer
from tests.integration.otlp_support import Collector, attributes, delivering, llm_record, serving, settings
from tests.langsmith_server import langsmith
from tests.support import PATIENCE, attributes_of, collecting
from tracer.export import names
from tracer.runtime import Runtime
from tracer.store.reader import StoreReader


@pytest.fixture
def collector() -> Generator[Collector, None, None]:
    with serving(Collector()) as running:
        yield running


TEXT = "begin " + "é" * 3000 + " end"


def test_several_destinations_each_get_their_own(fresh_runtime: Runtime, tmp_path: Path) -> None:
    place = tmp_path / "store.sqlite"
    with collecting() as tempo, langsmith() as smith:
        tracer.configure(
            quiet=True,
            otlp_endpoint=tempo.url,
            local=str(place),
            limits="otlp=tempo",
            langsmith_tracing="true",
            langsmith_key="k",
            langsmith_endpoint=smith.url,
        )
        with tracer.trace("ask") as run:
            run.set_input({"text": TEXT})
        assert tracer.shutdown(PATIENCE)
        (span,) = tempo.spans()
    shown = attributes_of(span)[names.INPUT_VALUE]
    assert len(shown.encode()) <= 2048
    text = json.loads(shown)["text"]
    assert (text[:8], text[-4:]) == ("begin éé", " end")
    whole = json.dumps({"text": TEXT}, ensure_ascii=False, separators=(",", ":")).encode()
    marks = {item.key: item.value for item in span.attributes}
    assert marks[names.CONTENT_TRUNCATED].bool_value
    assert marks[names.CONTENT_BYTES].int_value == len(whole)
    (sent,) = smith.runs.values()
    assert sent["inputs"] == {"text": TEXT}
    with StoreReader(place) as store:
        ((kept,),) = [trace.spans for trace in store.traces(10)]
    assert TEXT in str(json.loads(kept.attributes)[names.INPUT_VALUE])


def texts_of(collector: Collector) -> list[str]:
    """The text of the prompt of every span that arrived, in order."""
    found = [str(attributes(span.attributes).get(names.INPUT_MESSAGES, "")) for span in collector.spans()]
    return [json.loads(text)[0]["parts"][0]["content"] if text else "" for text in found]


def test_a_record_that_no_request_can_carry_is_shortened_before_it_is_sent(collector: Collector) -> None:
    for name, whole in (("", True), ("langsmith", True), ("jaeger", False)):
        collector.requests.clear()
        limits = {"limits": {"otlp": name}, "attribute_length_limit": 8_000_000} if name else {}
        destination = delivering(settings(collector, max_content=2**23, **limits))
        destination.deliver([llm_record(1), llm_record(2, text="y" * 5_000_000), llm_record(3)])
        assert destination.outcome == (3, {})
        assert destination.account.shortened == ({} if whole else {"too large": 1})
        assert (max(map(len, texts_of(collector))) == 5_000_000) is whole
        assert whole or max(len(body) for _, _, body in collector.requests) <= 4 * 1024 * 1024


def test_contents_give_way_where_a_trace_grows_too_large(collector: Collector) -> None:
    destination = delivering(settings(collector, limits={"otlp": "tempo"}, attribute_length_limit=2_000_000))
    destination.deliver([llm_record(number, text="y" * 1_900_000) for number in range(4)])
    assert destination.outcome == (4, {})
    assert destination.account.shortened == {"trace too large": 2}
    assert sorted(map(len, texts_of(collector))) == [0, 0, 1_900_000, 1_900_000]
    assert sum(len(body) for _, _, body in collector.requests) < 5_000_000
