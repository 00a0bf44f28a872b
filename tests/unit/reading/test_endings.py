"""How a call ended, how much of a stream counts, and its clocks."""

from __future__ import annotations

import pytest

from tests.unit.reading.calls import (
    RESPONSES,
    answered,
    chunk,
    counts,
    events,
    named_events,
    only,
    read,
    streamed,
    taken,
    text_of,
    texts,
)
from tracer.call import ABANDONED, CANCELLED, COMPLETED, FAILED, STOPPED, UNFINISHED, Attempt, Call
from tracer.reading import read_call
from tracer.reading.clocks import read_clocks
from tracer.reading.record import Clocks

FIVE_CHUNKS = events(*texts("one", "two", "three"))


@pytest.mark.parametrize("ending", [STOPPED, CANCELLED, UNFINISHED])
def test_only_what_the_caller_took_counts(ending: str) -> None:
    generation = read(streamed(FIVE_CHUNKS, ending=ending, stream_clock=taken(3)))
    assert text_of(generation) == "onetwo"
    assert generation.chunk_kinds == ["other", "text", "text"]
    assert not generation.all_finished


@pytest.mark.parametrize("ending", [COMPLETED, FAILED])
def test_all_counts_where_the_end_was_reached(ending: str) -> None:
    generation = read(streamed(FIVE_CHUNKS, ending=ending, stream_clock=taken(3)))
    assert text_of(generation) == "onetwothree"


def test_all_that_arrived_counts_where_the_bytes_were_read_by_hand() -> None:
    record = read_call(streamed(FIVE_CHUNKS[:-200], ending=STOPPED, raw=True))
    assert record.generation is not None
    assert text_of(record.generation) == "onetwo"
    assert (record.outcome, record.clocks.chunks) == (STOPPED, 3)


def test_hidden_pieces_count_for_usage_and_not_for_the_caller() -> None:
    stream = events(*texts("one"), {"id": "c1", "choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 1}})
    call = streamed(stream, ending=STOPPED, stream_clock=taken(4, waiting=True), hidden_pieces=1, asked_usage=True, ended=100)
    record = read_call(call)
    assert record.generation is not None
    assert counts(record.generation) == {"input": 2, "output": 1}
    assert (record.outcome, record.clocks.chunks) == (COMPLETED, 3)
    unseen = read(streamed(stream, ending=STOPPED, stream_clock=taken(3)))
    assert unseen.usage is None


def test_a_caller_who_left_after_the_last_finish_reason_has_it_all() -> None:
    record = read_call(streamed(FIVE_CHUNKS, ending=STOPPED, stream_clock=taken(5)))
    assert record.outcome == COMPLETED
    assert record.generation is not None
    assert record.generation.finish_reasons == ["stop"]
    assert read_call(streamed(FIVE_CHUNKS, ending=STOPPED, stream_clock=taken(4))).outcome == STOPPED


def test_every_choice_must_have_finished() -> None:
    stream = events(chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk(finish="stop"), chunk(index=1, finish="stop"))
    assert read_call(streamed(stream, ending=STOPPED, stream_clock=taken(3))).outcome == STOPPED
    assert read_call(streamed(stream, ending=STOPPED, stream_clock=taken(4))).outcome == COMPLETED
    # The second of two choices had not even begun.
    one_of_two = events(chunk({"content": "a"}), chunk(finish="stop"), chunk({"content": "b"}, index=1))
    assert read_call(streamed(one_of_two, {"n": 2}, ending=STOPPED, stream_clock=taken(2))).outcome == STOPPED


def test_a_response_has_finished_with_its_last_event() -> None:
    response: dict[str, object] = {"id": "r", "status": "in_progress", "output": []}
    stream = named_events(
        {"type": "response.created", "response": response},
        {"type": "response.output_text.delta", "delta": "x"},
        {"type": "response.completed", "response": {**response, "status": "completed"}},
    )
    assert read_call(streamed(stream, operation=RESPONSES, ending=STOPPED, stream_clock=taken(2))).outcome == STOPPED
    assert read_call(streamed(stream, operation=RESPONSES, ending=STOPPED, stream_clock=taken(3))).outcome == COMPLETED


def test_a_stream_of_which_nothing_was_taken_is_abandoned() -> None:
    record = read_call(streamed(FIVE_CHUNKS, ending=STOPPED, stream_clock=[]))
    assert record.outcome == ABANDONED
    assert record.generation is not None
    assert (record.generation.output_messages, record.generation.chunk_kinds) == ([], [])
    assert record.clocks == Clocks(chunks=0)
    assert read_call(streamed([], ending=STOPPED, raw=True)).outcome == ABANDONED
    assert read_call(Call(1, 1, 1, ending=STOPPED, stream_clock=[])).outcome == ABANDONED


@pytest.mark.parametrize(
    ("ending", "reasons"), [(FAILED, ["error"]), (CANCELLED, ["error"]), (STOPPED, []), (UNFINISHED, []), (COMPLETED, [])]
)
def test_a_choice_that_broke_off(ending: str, reasons: list[str]) -> None:
    generation = read(streamed(events(*texts("a", finish=None), done=False), ending=ending, stream_clock=taken(2)))
    assert generation.finish_reasons == reasons
    assert only(generation.output_messages).finish_reason == (reasons[0] if reasons else None)


def test_finish_reasons_keep_their_places_where_one_choice_broke_off() -> None:
    stream = events(chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk(index=1, finish="length"))
    assert read(streamed(stream, ending=FAILED)).finish_reasons == ["error", "length"]
    assert read(streamed(stream, ending=STOPPED, stream_clock=taken(3))).finish_reasons == ["length"]


def test_a_failed_call_without_an_answer_has_nothing_invented() -> None:
    call = Call(1, 1, 1, operation="chat", ending=FAILED, model="m", attempts=[Attempt(0, request_body=b'{"model":"m"}')])
    record = read_call(call)
    assert record.outcome == FAILED
    assert record.generation is not None
    assert (record.generation.finish_reasons, record.generation.output_messages, record.generation.problems) == ([], [], [])


def test_only_the_last_attempt_is_read() -> None:
    call = answered({"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}, {"model": "m"})
    call.attempts.insert(0, Attempt(0, status=429, response_body=b'{"error": {"code": "rate_limit"}}'))
    record = read_call(call)
    assert record.generation is not None
    assert (record.outcome, record.generation.error_code) == (COMPLETED, None)
    assert text_of(record.generation) == "yes"


@pytest.mark.parametrize("operation", ["span", "", "something new"])
def test_other_records_have_no_generation(operation: str) -> None:
    record = read_call(Call(1, 1, 1, operation=operation, ending=FAILED, attempts=[Attempt(0, response_body=b"{}")]))
    assert (record.generation, record.outcome) == (None, FAILED)
    assert read_call(Call(1, 1, 1, operation=operation)).outcome == UNFINISHED


def test_the_clocks_of_a_stream() -> None:
    kinds = ["other", "reasoning", "text", "tool_call"]
    # Asked and got, four times; then asked once more, until the stream's end. The caller waits for 300, 200, 100, 1000 and at the
    # end 100 nanoseconds, and works for 100, 1000, 50 and 50.
    readings = [100, 400, 500, 700, 1700, 1800, 1850, 2850, 2900]
    call = Call(1, 1, 1, started=50, ended=3000, stream_clock=readings)
    assert read_clocks(call, kinds) == Clocks(
        time_to_first_chunk=350e-9,
        time_to_first_reasoning=650e-9,
        time_to_first_text=1750e-9,
        time_to_first_tool_call=2800e-9,
        provider_time=1700e-9,
        consumer_time=1200e-9,
        longest_gap=1000e-9,
        chunks=4,
    )


def test_the_clocks_of_a_caller_who_left() -> None:
    call = Call(1, 1, 1, started=0, ended=10_000, stream_clock=[100, 300, 1000, 1900])
    clocks = read_clocks(call, ["other", "other", "text"])
    assert clocks.provider_time == pytest.approx(1100e-9)
    assert clocks.consumer_time == pytest.approx(700e-9)
    assert clocks.longest_gap == pytest.approx(900e-9)
    # The text came in a piece that was not taken.
    assert (clocks.chunks, clocks.time_to_first_text) == (2, None)


def test_the_first_wait_is_no_gap() -> None:
    assert read_clocks(Call(1, 1, 1, stream_clock=[10, 900, 910, 915])).longest_gap == pytest.approx(5e-9)


def test_one_piece_has_no_gap_and_the_wait_for_the_end_is_one() -> None:
    assert read_clocks(Call(1, 1, 1, ended=50, stream_clock=[10, 20])).longest_gap is None
    assert read_clocks(Call(1, 1, 1, ended=50, stream_clock=[10, 20, 25])).longest_gap == pytest.approx(25e-9)


def test_a_stream_that_ended_before_its_first_piece() -> None:
    assert read_clocks(Call(1, 1, 1, ended=50, stream_clock=[10])) == Clocks(provider_time=40e-9, chunks=0)


def test_a_raw_stream_knows_when_its_first_bytes_came() -> None:
    record = read_call(streamed(FIVE_CHUNKS, raw=True, started=1000, first_piece=3000))
    assert record.clocks == Clocks(time_to_first_chunk=2e-6, chunks=5)
    assert read_call(streamed(FIVE_CHUNKS, raw=True)).clocks == Clocks(chunks=5)


def test_an_unstreamed_answer_has_no_clocks() -> None:
    assert read_call(answered({"choices": []})).clocks == Clocks()
