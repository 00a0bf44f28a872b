"""Answers that no specification allows and that servers send: nothing raises, and what is readable is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.reading.calls import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    RESPONSES,
    answered,
    chunk,
    counts,
    events,
    parts_of,
    read,
    streamed,
    text_of,
    texts,
)
from tracer.call import COMPLETED, FAILED, Attempt, Call
from tracer.reading import read_call
from tracer.reading.values import MOST_PROBLEMS, note

OPERATIONS = (CHAT, RESPONSES, COMPLETIONS, EMBEDDINGS)
GOOD: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}


def whole(**fields: object) -> dict[str, object]:
    return {"id": "c1", "model": "m-1", "choices": [GOOD], "usage": {"prompt_tokens": 3, "completion_tokens": 4}, **fields}


@pytest.mark.parametrize("choices", [None, {}, "x", 7, [None], ["x"], [[]], []])
def test_choices_of_a_wrong_shape_cost_only_themselves(choices: object) -> None:
    generation = read(answered(whole(choices=choices)))
    assert (generation.response_id, generation.response_model) == ("c1", "m-1")
    assert counts(generation) == {"input": 3, "output": 4}
    assert (generation.output_messages, generation.finish_reasons, generation.all_finished) == ([], [], False)
    assert bool(generation.problems) == (choices != [])


def test_one_broken_choice_does_not_cost_the_others() -> None:
    generation = read(answered(whole(choices=[None, {**GOOD, "message": 5}, GOOD])))
    assert [message.parts for message in generation.output_messages] == [[], [{"type": "text", "content": "hi"}]]
    assert generation.finish_reasons == ["stop", "stop"]


@pytest.mark.parametrize("usage", ["many", [1, 2], 5, True, {"prompt_tokens": "3"}, {"prompt_tokens": [], "completion_tokens": True}])
def test_usage_of_a_wrong_shape_is_dropped(usage: object) -> None:
    generation = read(answered(whole(usage=usage)))
    assert generation.usage is None
    assert any(problem.startswith("usage") for problem in generation.problems)
    assert text_of(generation) == "hi"
    assert read(streamed(events(*texts("hi"), whole(choices=[], usage=usage)))).usage is None


@pytest.mark.parametrize("number", [-1, 2**64, 10**400, 1.5, "7", None, False, {}])
def test_counts_of_a_wrong_kind_cost_only_themselves(number: object) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": number, "completion_tokens_details": {"reasoning_tokens": number}, "cost": number}
    generation = read(answered(whole(usage=usage)))
    expected: dict[str, object] = {"input": 3}
    if number in (1.5, 2**64):
        expected["cost"] = number
    assert counts(generation) == expected
    assert bool(generation.problems) == (number is not None)


def test_nothing_was_reported() -> None:
    nothing: list[dict[str, object] | None] = [None, {}]
    for usage in nothing:
        generation = read(answered(whole(usage=usage)))
        assert (generation.usage, generation.problems) == (None, [])


def test_zero_is_reported() -> None:
    assert counts(read(answered(whole(usage={"prompt_tokens": 0, "completion_tokens": 0.0})))) == {"input": 0, "output": 0}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5}, {"input": 9, "cache_read": 4}),
        ({"prompt_tokens": 9, "cached_tokens": 2}, {"input": 9, "cache_read": 2}),
        (
            {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 3}},
            {"input": 9, "cache_read": 1, "cache_write": 3},
        ),
        ({"prompt_tokens": 9, "cost": {"total_cost": 0.5}}, {"input": 9, "cost": 0.5}),
        ({"prompt_tokens": 9, "cost": -1}, {"input": 9}),
        ({"prompt_tokens": 9, "prompt_tokens_details": [4]}, {"input": 9}),
    ],
)
def test_spellings_of_usage(usage: dict[str, object], expected: dict[str, object]) -> None:
    generation = read(answered(whole(usage=usage)))
    assert counts(generation) == expected
    assert generation.usage is not None
    assert generation.usage.raw == usage


def test_null_deltas_and_messages() -> None:
    no_delta: dict[str, object] = {"index": 0, "delta": None, "finish_reason": None}
    stream = events(
        chunk({"content": "a"}), {"choices": [no_delta]}, {"choices": None}, {"choices": [None]}, chunk({"content": "b"}, finish="stop")
    )
    generation = read(streamed(stream))
    assert text_of(generation) == "ab"
    assert generation.chunk_kinds == ["text", "other", "other", "other", "text"]
    assert generation.finish_reasons == ["stop"]


@pytest.mark.parametrize("content", [5, 1.5, True, {"a": 1}])
def test_content_of_a_wrong_kind(content: object) -> None:
    generation = read(streamed(events(chunk({"content": content}), *texts("hi"))))
    assert text_of(generation) == "hi"
    assert any("content of a delta" in problem for problem in generation.problems)
    unstreamed = read(answered(whole(choices=[{**GOOD, "message": {"content": content}}])))
    assert unstreamed.finish_reasons == ["stop"]
    assert any("content of a message" in problem for problem in unstreamed.problems)


def test_content_as_a_list_is_read() -> None:
    content = [{"type": "text", "text": "a"}, {"type": "wave", "form": "sine"}, "b"]
    generation = read(answered(whole(choices=[{**GOOD, "message": {"content": content}}])))
    assert [part["type"] for part in parts_of(generation)] == ["text", "generic", "text"]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            {"id": "a", "function": {"name": "f", "arguments": {"x": 1}}},
            {"type": "tool_call", "id": "a", "name": "f", "arguments": {"x": 1}},
        ),
        ({"id": "a", "function": {"arguments": "{}"}}, {"type": "tool_call", "id": "a", "name": "", "arguments": {}}),
        ({"id": 5, "function": {"name": 6, "arguments": None}}, {"type": "tool_call", "name": ""}),
        ({"id": "a", "function": None}, {"type": "generic", "generic_type": "tool_call", "id": "a"}),
        ({"id": "a", "function": [1]}, {"type": "generic", "generic_type": "tool_call", "id": "a"}),
    ],
)
def test_odd_tool_calls(call: dict[str, object], expected: dict[str, object]) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [None, call]}
    unstreamed = parts_of(read(answered(whole(choices=[{**GOOD, "message": message}]))))
    assert len(unstreamed) == 1
    assert expected.items() <= unstreamed[0].items()
    # The same call, streamed without an index.
    of_stream = parts_of(read(streamed(events(chunk({"tool_calls": [None, call]})))))
    assert len(of_stream) == 1
    assert of_stream[0]["type"] == expected["type"]
    assert of_stream[0].get("arguments") == expected.get("arguments")


@pytest.mark.parametrize("tool_calls", [5, "x", {"index": 0}])
def test_tool_calls_that_are_no_list(tool_calls: object) -> None:
    generation = read(streamed(events(chunk({"tool_calls": tool_calls}), *texts("hi"))))
    assert text_of(generation) == "hi"
    assert any("tool_calls" in problem for problem in generation.problems)
    assert text_of(read(answered(whole(choices=[{**GOOD, "message": {"content": "hi", "tool_calls": tool_calls}}])))) == "hi"


@pytest.mark.parametrize(
    ("index", "places"), [("1", [0, 1]), (1.0, [0, 1]), (None, [0]), ("one", [0]), ([], [0]), ({}, [0]), (-3, [-3, 0])]
)
def test_odd_indexes_of_choices(index: object, places: list[int]) -> None:
    generation = read(streamed(events(chunk({"content": "a"}), chunk({"content": "b"}, index=index))))
    assert generation.answer is not None
    answer: dict[str, Any] = generation.answer
    assert [choice["index"] for choice in answer["choices"]] == places
    assert sorted("".join(choice["message"]["content"] for choice in answer["choices"])) == ["a", "b"]


def test_two_thousand_choices() -> None:
    generation = read(answered(whole(choices=[{**GOOD, "index": index} for index in range(2000)])))
    assert generation.finish_reasons == ["stop"] * 2000
    many = {**chunk(), "choices": [{"index": index, "delta": {"content": "x"}, "finish_reason": "stop"} for index in range(2000)]}
    assert len(read(streamed(events(many))).output_messages) == 2000


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "body", [b"", b"  \n", b"<html>502</html>", b"[1, 2]", b"17", b'"text"', b"null", b"true", b'{"id": "c1", "cho', b"\xff\xfe\x00"]
)
def test_bodies_that_are_no_answer(operation: str, body: bytes) -> None:
    record = read_call(answered(body, {"model": "m"}, operation=operation))
    assert record.generation is not None
    assert record.generation.answer is None
    assert len(record.generation.problems) == 1
    assert record.generation.request_model == "m"
    assert record.outcome == COMPLETED
    of_pieces = read_call(streamed([body], {"model": "m"}, operation=operation, content_type="application/json")).generation
    assert of_pieces is not None
    assert of_pieces.answer is None
    assert len(of_pieces.problems) == 1


def test_problems_do_not_quote() -> None:
    generation = read(answered(whole(choices="top secret", usage="top secret", model=["top secret"]), b'"top secret"'))
    assert len(generation.problems) == 4
    assert "secret" not in " ".join(generation.problems)


def test_nan_and_infinity() -> None:
    usage = b'{"prompt_tokens": NaN, "completion_tokens": 2, "cost": Infinity, "total_tokens": 1e999}'
    generation = read(answered(b'{"choices": [{"message": {"content": "hi"}}], "usage": ' + usage + b"}"))
    assert text_of(generation) == "hi"
    assert counts(generation) == {"output": 2}
    assert generation.usage is not None
    assert generation.usage.raw is not None
    assert generation.usage.raw["cost"] is None
    assert text_of(read(streamed(b"data: " + json.dumps(chunk({"content": "hi"}, x=float("nan"))).encode() + b"\n\n"))) == "hi"


def test_lone_surrogates_become_replacement_characters() -> None:
    body = b'{"choices": [{"message": {"content": "a\\ud83d b \\ud83d\\ude00 \\\\ud83d \\udc00"}, "finish_reason": "stop"}]}'
    text = text_of(read(answered(body)))
    assert text == "a\ufffd b \U0001f600 \\ud83d \ufffd"
    text.encode()


def test_nuls_and_broken_utf8() -> None:
    assert text_of(read(answered(b'{"choices": [{"message": {"content": "a\\u0000b\xff"}}]}'))) == "a\0b\ufffd"


def test_deep_nesting() -> None:
    deep = b"[" * 200 + b"]" * 200
    generation = read(answered(b'{"id": "c1", "extra": ' + deep + b', "choices": [{"message": {"content": ' + deep + b"}}]}"))
    assert generation.response_id == "c1"
    deeper = b"[" * 100_000 + b"]" * 100_000
    generation = read(answered(b'{"id": "c1", "extra": ' + deeper + b"}"))
    assert generation.problems == ["the answer is not JSON"]


def test_of_duplicate_keys_the_last_counts() -> None:
    assert read(answered(b'{"id": "first", "id": "second", "choices": []}')).response_id == "second"
    # The lenient parser has the same rule.
    assert read(answered(b'{"id": "first", "id": "second", "choices": [], "x": NaN}')).response_id == "second"


def test_an_error_object_in_a_200() -> None:
    record = read_call(answered({"error": {"message": "No credits", "code": 402}, "user_id": "u"}))
    assert record.generation is not None
    assert (record.generation.error_code, record.generation.error_message) == ("402", "No credits")
    assert (record.generation.answer, record.outcome) == (None, FAILED)
    beside = read(answered(whole(error={"message": "Partly", "code": "filtered"})))
    assert (beside.error_code, text_of(beside)) == ("filtered", "hi")
    nothings: list[object] = [None, "", {}, False]
    for nothing in nothings:
        assert read_call(answered(whole(error=nothing))).outcome == COMPLETED


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"message": "m", "type": "t", "code": None}}, "t", "m"),
        ({"error": {"message": "m", "type": "t", "code": "c"}}, "c", "m"),
        ({"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}, "INVALID_ARGUMENT", "m"),
        ([{"error": {"code": 404, "message": "m"}}], "404", "m"),
        ({"error": "m"}, None, "m"),
        ({"error": ["m"]}, None, "m"),
        ({"errors": [{"message": "m", "code": "c"}]}, "c", "m"),
        ({"detail": "m"}, None, "m"),
        ({"detail": [{"loc": ["body"], "msg": "m", "type": "missing"}]}, "missing", "m"),
        ({"object": "error", "message": "m", "type": "bad_request", "code": 40001}, "bad_request", "m"),
        ({"message": "m"}, None, "m"),
        ({"error": {"error": {"message": "m"}}}, None, "m"),
        ({"error": True, "message": "m"}, None, "m"),
        ("m", None, "m"),
        ({"unknown": 1}, None, None),
        ([], None, None),
        (5, None, None),
    ],
)
def test_spellings_of_error_bodies(body: object, code: str | None, message: str | None) -> None:
    generation = read(answered(body, status=400, ending=FAILED))
    assert (generation.error_code, generation.error_message) == (code, message)
    assert generation.answer is None


def test_comments_broken_events_and_no_end() -> None:
    good = [json.dumps(item).encode() for item in texts("a", "b")]
    stream = (
        b"\xef\xbb\xbf: OPENROUTER PROCESSING\n\n"
        b"event: ping\n\n"
        b"retry: 3000\nid: 1\ndata:" + good[0] + b"\n\n"
        b"data: {broken\n\n"
        b"data: 5\n\n"
        b"data\n\n"
        b"\n\n\n"
        b": in between\ndata: " + good[1][:20] + b"\ndata: " + good[1][20:] + b"\n\n"
        b"data: " + good[2] + b"\nevent: message\n\n"
        b"data: " + good[3]
    )
    generation = read(streamed(stream))
    assert text_of(generation) == "ab"
    assert generation.finish_reasons == ["stop"]
    assert generation.chunk_kinds == ["other", "other", "text", "text", "other"]
    assert generation.problems == ["an event of the stream is not JSON", "an event of the stream is not an object"]


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_other_line_ends(line_end: bytes) -> None:
    stream = events(*texts("one\r\n", "two"))
    assert read(streamed(stream.replace(b"\n", line_end))) == read(streamed(stream))


def test_nothing_but_the_end() -> None:
    generation = read(streamed(b"data: [DONE]\n\n"))
    assert (generation.answer, generation.chunk_kinds) == (None, [])
    assert generation.problems == ["the stream has no events"]


def test_nothing_counts_after_the_end() -> None:
    generation = read(streamed(events(*texts("a")) + events(*texts("b"))))
    assert text_of(generation) == "a"
    assert generation.problems == []


def test_chunks_after_the_finish_reason_count() -> None:
    generation = read(streamed(events(*texts("a"), chunk({"content": "b"}))))
    assert (text_of(generation), generation.finish_reasons) == ("ab", ["stop"])


def test_an_event_that_was_cut_at_the_end_is_left_out() -> None:
    stream = events(*texts("a", "b"), done=False)
    generation = read(streamed(stream[: stream.index(b'"b"') + 1]))
    assert text_of(generation) == "a"


def test_many_broken_events_are_few_problems() -> None:
    generation = read(streamed(events(*({"choices": "x" * size} for size in range(500)), *({"choices": [size]} for size in range(500)))))
    assert len(generation.problems) == 2
    problems: list[str] = []
    for number in range(100):
        note(problems, f"problem {number}")
        note(problems, f"problem {number}")
    assert problems == [f"problem {number}" for number in range(MOST_PROBLEMS)]


@pytest.mark.parametrize(
    "request_body", [b"", b"not json", b"[]", b"5", b'{"messages": 5}', b'{"messages": [5, {"role": 3}]}', b"--boundary\r\n"]
)
def test_requests_of_any_shape(request_body: bytes) -> None:
    for operation in OPERATIONS:
        generation = read(answered(whole(), request_body, operation=operation, model="m"))
        assert (generation.request_model, generation.response_id) == ("m", "c1")


def test_a_body_that_was_too_large_to_keep_is_noted() -> None:
    call = streamed(events(*texts("a"), done=False))
    call.attempts[0].complete = False
    generation = read(call)
    assert text_of(generation) == "a"
    assert generation.problems == ["the answer is larger than what is kept"]


def test_a_call_without_attempts() -> None:
    record = read_call(Call(1, 1, 1, operation=CHAT, ending=FAILED, model="m", attempts=[]))
    assert record.generation is not None
    assert (record.generation.request_model, record.generation.request, record.generation.problems) == ("m", None, [])


def test_an_event_stream_of_embeddings_is_no_answer() -> None:
    call = Call(1, 1, 1, operation=EMBEDDINGS, ending=COMPLETED, attempts=[Attempt(0, status=200, response_body=b"data: {}\n\n")])
    assert read(call).problems == ["the answer is a stream"]


@pytest.mark.parametrize(
    ("data", "dimensions"), [([], None), ([5], None), ([{"embedding": [0.5, 1]}], 2), ([{"embedding": "AAAAAAAAAAA="}], 2), ("x", None)]
)
def test_vectors(data: object, dimensions: int | None) -> None:
    generation = read(answered({"data": data, "usage": {"prompt_tokens": 1}}, operation=EMBEDDINGS))
    assert generation.embedding_dimensions == dimensions
    assert counts(generation) == {"input": 1}
    assert "embedding" not in str(generation.answer)
