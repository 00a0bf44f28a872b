"""Properties that hold whatever a server sends."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.reading.calls import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    RESPONSES,
    answered,
    chunk,
    cuts,
    events,
    named_events,
    read,
    recorded,
    streamed,
    taken,
    text_of,
    texts,
)
from tracer.call import OUTCOMES, Call
from tracer.reading import read_call
from tracer.replay.recordings import load

OPERATIONS = st.sampled_from([CHAT, RESPONSES, COMPLETIONS, EMBEDDINGS])
ENDINGS = st.sampled_from(OUTCOMES)


def words(text: str) -> st.SearchStrategy[str]:
    """One of the words of a text."""
    return st.sampled_from(text.split())


# Names and values that lead deep into the readers, beside ones that lead nowhere.
NAMES = words(
    """choices message delta content role tool_calls function function_call name arguments index id type text finish_reason logprobs
    usage prompt_tokens completion_tokens prompt_tokens_details cached_tokens cost output status item output_index content_index part
    summary reasoning reasoning_details refusal audio data transcript error code detail embedding images x_groq input messages tools
    image_url url input_audio file response incomplete_details annotations thinking instructions prompt stop n conversation"""
)
TEXTS = words(
    """response.output_text.delta response.output_item.added response.completed response.function_call_arguments.delta message
    function_call reasoning assistant tool user stop completed failed incomplete text image_url input_audio data: data:,x {} [1 error
    response.created custom image_generation_call web_search_call mcp_call_output"""
) | st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=5),
    max_leaves=30,
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=6)


def holds(call: Call) -> None:
    """What must be true of every record."""
    record = read_call(call)
    assert record.outcome in OUTCOMES
    generation = record.generation
    assert generation is not None
    assert all(isinstance(reason, str) for reason in generation.finish_reasons)
    for message in generation.input_messages + generation.output_messages:
        assert isinstance(message.role, str)
        assert all(isinstance(part["type"], str) for part in message.parts)
        for part in message.parts:
            if part["type"] in ("text", "reasoning"):
                assert isinstance(part["content"], str)
    usage = generation.usage
    if usage is not None:
        for name in usage.__slots__:
            count = getattr(usage, name)
            assert name in ("raw", "cost") or count is None or (type(count) is int and 0 <= count < 2**63)
    for value in (
        generation.request_model,
        generation.response_id,
        generation.response_model,
        generation.error_code,
        generation.service_tier,
    ):
        assert value is None or (isinstance(value, str) and value)
    for parameter in generation.parameters.values():
        assert isinstance(parameter, float | int | str | list)
    # Everything that was read can be written again.
    json.dumps([message.parts for message in generation.output_messages]).encode()


@given(JSON, JSON, OPERATIONS, ENDINGS, st.sampled_from([200, 400, 500]))
def test_any_value_as_request_and_answer(request: Any, answer: Any, operation: str, ending: str, status: int) -> None:
    holds(answered(answer, request, operation=operation, ending=ending, status=status))


@given(OBJECTS, OBJECTS, OPERATIONS)
def test_any_object_as_request_and_answer(request: Any, answer: Any, operation: str) -> None:
    holds(answered(answer, request, operation=operation))


@given(st.lists(OBJECTS | JSON, max_size=6), OPERATIONS, ENDINGS, st.none() | st.integers(0, 6))
def test_any_values_as_events(contents: list[Any], operation: str, ending: str, pieces: int | None) -> None:
    clock = None if pieces is None else taken(pieces)
    holds(streamed(events(*contents), operation=operation, ending=ending, stream_clock=clock))


@given(st.lists(OBJECTS, max_size=6), st.sampled_from([CHAT, COMPLETIONS]))
def test_any_values_as_deltas(deltas: list[Any], operation: str) -> None:
    holds(streamed(events(*map(chunk, deltas)), operation=operation))
    holds(streamed(events(*({"choices": [delta, {"index": 1, **delta}]} for delta in deltas)), operation=operation))


RESPONSE_TYPES = words(
    """response.created response.output_item.added response.output_item.done response.content_part.added response.output_text.delta
    response.reasoning_summary_text.delta response.function_call_arguments.delta response.output_text.annotation.added
    response.completed response.failed error"""
)


@given(st.lists(st.tuples(RESPONSE_TYPES, OBJECTS), max_size=8))
def test_any_values_as_response_events(contents: list[tuple[str, Any]]) -> None:
    holds(streamed(named_events(*({**fields, "type": type_} for type_, fields in contents)), operation=RESPONSES))


@given(st.binary(max_size=200), OPERATIONS, st.sampled_from(["", "gzip", "deflate", "br"]))
def test_any_bytes(data: bytes, operation: str, encoding: str) -> None:
    holds(answered(data, data, operation=operation))
    holds(streamed([data], data, operation=operation, encoding=encoding))
    holds(streamed([b"data: ", data, b"\n\n"], operation=operation))


STREAMS = [recording for recording in load() if recording.streamed and len(recording.body) < 6000]


@given(st.sampled_from(STREAMS), st.lists(st.integers(0, 6000), max_size=30), st.sampled_from(["\n", "\r\n", "\r"]))
def test_any_cut_of_a_stream_reads_the_same(recording: Any, positions: list[int], line_end: str) -> None:
    call = recorded(recording)
    whole = read(call)
    data = recording.body.replace("\n", line_end).encode()
    call.attempts[0].pieces = cuts(data, [min(position, len(data)) for position in positions])
    assert read(call) == whole


@given(st.sampled_from(STREAMS), st.integers(0, 6000))
def test_any_stream_that_broke_off_reads_a_beginning(recording: Any, end: int) -> None:
    whole = read(recorded(recording))
    broken = recorded(recording, ending="stopped")
    broken.attempts[0].pieces = [recording.body.encode()[:end]]
    part = read(broken)
    assert part.chunk_kinds == whole.chunk_kinds[: len(part.chunk_kinds)]
    for message, complete in zip(part.output_messages, whole.output_messages, strict=False):
        if complete.parts and complete.parts[0]["type"] == "text" and message.parts:
            assert str(complete.parts[0]["content"]).startswith(str(message.parts[0]["content"]))


@given(st.lists(st.text(min_size=1), max_size=20), st.integers(0, 25))
def test_the_text_is_what_the_caller_took(words: list[str], pieces: int) -> None:
    contents = texts(*words)
    call = streamed(events(*contents), ending="stopped", stream_clock=taken(min(pieces, len(contents))))
    generation = read(call)
    assert (text_of(generation) if generation.output_messages else "") == "".join(words[: max(pieces - 1, 0)])
