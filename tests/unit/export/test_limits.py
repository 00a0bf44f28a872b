"""Span limits: what is kept, what is counted as dropped, and that content stays valid JSON."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.export import names
from tracer.export.limits import NAMED, BackendLimits, SpanLimits, TraceSizes, span_limits_of
from tracer.export.span import AttributeValue, SpanData
from tracer.export.values import json_bytes
from tracer.settings import Settings
from tracer.settings.forms import LIMITS


def span(**attributes: AttributeValue) -> SpanData:
    return SpanData(
        "s", "internal", 1, 1, None, False, 0, 1, attributes={name.replace("__", "."): value for name, value in attributes.items()}
    )


def content(length: int) -> str:
    return json.dumps([{"role": "user", "parts": [{"type": "text", "content": "é" * length}]}], ensure_ascii=False)


def test_nothing_set_is_no_limit() -> None:
    assert not span_limits_of(Settings()).any


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(attribute_count_limit=9), SpanLimits(9, 9, None, None)),
        (Settings(attribute_count_limit=9, span_attribute_count_limit=0), SpanLimits(0, 9, None, None)),
        (Settings(attribute_count_limit=9, event_attribute_count_limit=1), SpanLimits(9, 1, None, None)),
        (Settings(span_event_count_limit=0), SpanLimits(None, None, 0, None)),
        (Settings(attribute_length_limit=5), SpanLimits(None, None, None, 5)),
    ],
)
def test_the_nearer_limit_goes_before_the_general_one(settings: Settings, expected: SpanLimits) -> None:
    assert span_limits_of(settings) == expected
    assert expected.any


def test_the_first_attributes_are_kept() -> None:
    bounded = SpanLimits(attributes=2).attributes_of(span(a=1, b=2, c=3))
    assert (bounded.kept, bounded.dropped) == ({"a": 1, "b": 2}, 1)
    assert SpanLimits(attributes=0).attributes_of(span(a=1)).dropped == 1


def test_texts_are_cut_and_numbers_are_not() -> None:
    kept = SpanLimits(length=3).attributes_of(span(text="abcdef", texts=["abcdef", "a"], number=123456, numbers=[123456], flag=True)).kept
    assert kept == {"text": "abc", "texts": ["abc", "a"], "number": 123456, "numbers": [123456], "flag": True}


def test_content_stays_valid_json_and_says_that_it_was_cut() -> None:
    whole = content(5000)
    bounded = SpanLimits(length=600).attributes_of(span(gen_ai__input__messages=whole))
    short = str(bounded.kept[names.INPUT_MESSAGES])
    assert len(short) <= 600
    assert json.loads(short)[0]["parts"][0]["content"].startswith("ééé")
    assert bounded.kept[names.CONTENT_TRUNCATED] is True
    assert bounded.kept[names.CONTENT_BYTES] == len(whole.encode())
    assert bounded.kept[names.CONTENT_SHA256] == sha256(whole.encode()).hexdigest()
    assert bounded.dropped == 0


def test_what_was_cut_before_keeps_its_marks() -> None:
    attributes = span(gen_ai__input__messages=content(5000), tracer__content__truncated=True, tracer__content__bytes=7)
    kept = SpanLimits(length=600).attributes_of(attributes).kept
    assert kept[names.CONTENT_BYTES] == 7
    assert names.CONTENT_SHA256 not in kept


def test_content_without_room_is_dropped_and_the_mark_survives_a_count() -> None:
    bounded = SpanLimits(attributes=3, length=10).attributes_of(span(a="x", gen_ai__input__messages=content(5000), b="y"))
    assert names.INPUT_MESSAGES not in bounded.kept
    assert bounded.kept[names.CONTENT_TRUNCATED] is True
    assert bounded.dropped == 3


def test_content_that_fits_is_left_alone() -> None:
    attributes = span(gen_ai__input__messages=content(10), a="x")
    assert SpanLimits(length=600).attributes_of(attributes).kept == attributes.attributes


def test_events_have_limits_of_their_own() -> None:
    bounded = SpanLimits(event_attributes=1, length=2).attributes_of_event({"exception.type": "Error", "exception.message": "no"})
    assert (bounded.kept, bounded.dropped) == ({"exception.type": "Er"}, 1)


# Limits of backends, by name.


def test_every_name_that_is_accepted_has_limits() -> None:
    assert set(NAMED) == {name for accepted in LIMITS.values() for name in accepted}


def test_the_table_says_what_the_backends_take() -> None:
    assert NAMED["tempo"] == BackendLimits(text=2048, request=4 * 1024 * 1024, trace=5_000_000)
    assert NAMED["jaeger"] == BackendLimits(request=4 * 1024 * 1024)
    assert NAMED["langsmith"] == BackendLimits(request=20 * 1024 * 1024)
    assert NAMED["none"] == BackendLimits()


def test_a_length_that_is_set_goes_before_that_of_the_name() -> None:
    tempo = {"otlp": "tempo"}
    assert span_limits_of(Settings(limits=tempo)) == SpanLimits(text_bytes=2048)
    assert span_limits_of(Settings(limits=tempo, attribute_length_limit=100_000)) == SpanLimits(length=100_000)
    assert not span_limits_of(Settings(limits={"langsmith": "langsmith"})).any


@given(st.lists(st.text(max_size=3000), min_size=1, max_size=8), st.text(max_size=4000))
def test_nothing_is_left_for_the_backend_to_cut(texts: list[str], other: str) -> None:
    messages = json_bytes([{"role": "user", "parts": [{"type": "text", "content": text}]} for text in texts]).decode()
    kept = SpanLimits(text_bytes=2048).attributes_of(span(gen_ai__input__messages=messages, other=other, texts=[other, "a"])).kept
    (first, _) = cast("list[str]", kept["texts"])
    assert all(len(str(text).encode("utf-8", "replace")) <= 2048 for text in (kept[names.INPUT_MESSAGES], kept["other"], first))
    assert isinstance(json.loads(str(kept[names.INPUT_MESSAGES])), list)
    assert (names.CONTENT_TRUNCATED in kept) is (len(messages.encode()) > 2048)


def test_texts_keep_head_and_tail() -> None:
    kept = (
        SpanLimits(text_bytes=100)
        .attributes_of(span(note="begin " + "x" * 500 + " end", gen_ai__retrieval__query__text="who " + "y" * 500))
        .kept
    )
    assert str(kept["note"]).startswith("begin ")
    assert str(kept["note"]).endswith(" end")
    assert str(kept[names.RETRIEVAL_QUERY]).startswith("who ")
    assert len(str(kept[names.RETRIEVAL_QUERY]).encode()) <= 100


def test_a_trace_has_room_until_it_is_nearly_full() -> None:
    sizes = TraceSizes(1000)
    assert [sizes.has_room(1, 300), sizes.has_room(1, 300), sizes.has_room(1, 300), sizes.has_room(1, 200)] == [True, True, False, True]
    assert sizes.has_room(2, 800)
    assert all(TraceSizes(None).has_room(1, size) for size in (10**9, 10**9))


def test_only_so_many_traces_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TraceSizes, "MOST_TRACES", 2)
    sizes = TraceSizes(100)
    assert all(sizes.has_room(trace, 80) for trace in (1, 2, 3))
    assert [sizes.has_room(trace, 80) for trace in (3, 2, 1)] == [False, False, True]
