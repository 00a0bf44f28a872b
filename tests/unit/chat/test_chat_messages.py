"""Messages are values, and the pieces of a stream add up to the same message however it was cut."""

from __future__ import annotations

import copy
import json
import pickle
from functools import reduce
from operator import add
from typing import Any

import pytest
from chat_strategies import ARGS, IDS, MESSAGES
from hypothesis import given
from hypothesis import strategies as st

from tracer.chat.merging import merge_content, merge_deltas
from tracer.chat.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    ToolCallChunk,
    ToolMessage,
    add_chunks,
    tool_call,
)
from tracer.chat.partial import partial_json


def piece(args: str | None, name: str | None = None, identity: str | None = None, index: int | None = 0) -> ToolCallChunk:
    return {"name": name, "args": args, "id": identity, "index": index, "type": "tool_call_chunk"}


def test_equality_type_and_repr() -> None:
    assert HumanMessage("hi") == HumanMessage(content="hi")
    assert HumanMessage("hi") != AIMessage("hi")
    assert HumanMessage("hi") != HumanMessage("hi", name="Ann")
    assert [message.type for message in (HumanMessage(""), AIMessage(), ToolMessage("", tool_call_id="1"))] == ["human", "ai", "tool"]
    assert repr(AIMessage("hi", id="x", response_metadata={"a": 1})) == "AIMessage(content='hi')"
    assert repr(ChatMessage("hi", role="critic", name="Ann")) == "ChatMessage(content='hi', name='Ann', role='critic')"
    call = tool_call("add", {"a": 1}, "c1")
    assert repr(AIMessage("", tool_calls=[call])) == f"AIMessage(content='', tool_calls=[{call}])"


@given(MESSAGES)
def test_copies_are_equal(message: BaseMessage) -> None:
    assert copy.deepcopy(message) == message
    assert pickle.loads(pickle.dumps(message)) == message


def test_text_of_parts() -> None:
    assert HumanMessage([{"type": "text", "text": "a"}, "b", {"type": "image_url", "image_url": {"url": "x"}}]).text == "ab"


Cut = tuple[AIMessageChunk, list[AIMessageChunk]]


@st.composite
def cut_streams(draw: st.DrawFn) -> Cut:
    """A whole answer and its pieces: text and arguments cut anywhere, bookkeeping where providers put it."""
    text = draw(st.text(max_size=30))
    calls = draw(st.lists(st.tuples(IDS, ARGS, IDS), max_size=3))
    usage: Any = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7, "input_token_details": {"cache_read": 1}}
    finish = {"finish_reason": "stop", "model_name": "m"}
    chunks = [AIMessageChunk(part, id="r1") for part in draw(cuts(text))]
    whole_calls: list[ToolCallChunk] = []
    for index, (name, args, identity) in enumerate(calls):
        arguments = json.dumps(args, ensure_ascii=False)
        whole_calls.append(piece(arguments, name, identity, index))
        first, *rest = draw(cuts(arguments))
        chunks.append(AIMessageChunk("", id="r1", tool_call_chunks=[piece(first, name, identity, index)]))
        chunks += [AIMessageChunk("", id="r1", tool_call_chunks=[piece(part, index=index)]) for part in rest]
    chunks.append(AIMessageChunk("", id="r1", response_metadata=finish))
    chunks.append(AIMessageChunk("", usage_metadata=usage))
    whole = AIMessageChunk(text, id="r1", tool_call_chunks=whole_calls, response_metadata=finish, usage_metadata=usage)
    return whole, chunks


def cuts(text: str) -> st.SearchStrategy[list[str]]:
    places = st.lists(st.integers(0, len(text)), max_size=5).map(sorted)
    return places.map(lambda found: [text[start:end] for start, end in zip([0, *found], [*found, len(text)], strict=True)])


@given(cut_streams(), st.randoms(use_true_random=False))
def test_any_cut_adds_up_to_the_same_message(stream: Cut, random: Any) -> None:
    whole, chunks = stream
    assert reduce(add, chunks) == whole
    assert add_chunks(chunks) == whole
    assert sum(chunks) == whole
    while len(chunks) > 1:  # neighbours added in any order
        place = random.randrange(len(chunks) - 1)
        chunks[place : place + 2] = [chunks[place] + chunks[place + 1]]
    assert chunks == [whole]
    assert [call["args"] for call in whole.tool_calls] == [json.loads(item["args"] or "") for item in whole.tool_call_chunks]
    assert whole.to_message() == AIMessage(
        whole.text, id="r1", tool_calls=whole.tool_calls, response_metadata=whole.response_metadata, usage_metadata=whole.usage_metadata
    )


def indexed_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "index": 0}


short = st.text(max_size=2)
contents: st.SearchStrategy[Any] = short | st.lists(short | st.builds(indexed_part, short), max_size=3)


@given(contents, contents, contents)
def test_joining_contents_is_associative(one: Any, two: Any, three: Any) -> None:
    assert merge_content([merge_content([one, two]), three]) == merge_content([one, merge_content([two, three])])


def test_adding_changes_neither_side() -> None:
    left = AIMessageChunk([{"type": "text", "text": "a", "index": 0}], tool_call_chunks=[piece("{", "f", "c")])
    right = AIMessageChunk([{"type": "text", "text": "b", "index": 0}], tool_call_chunks=[piece("}")])
    kept = copy.deepcopy((left, right))
    both = left + right
    assert both.content == [{"type": "text", "text": "ab", "index": 0}]
    assert both.tool_calls == [tool_call("f", {}, "c")]
    assert (left, right) == kept


def test_usage_is_summed_and_calls_are_kept_apart() -> None:
    first = AIMessageChunk("", usage_metadata={"input_tokens": 1, "total_tokens": 1, "output_token_details": {"reasoning": 2}})
    second = AIMessageChunk("", usage_metadata={"output_tokens": 5, "total_tokens": 5, "output_token_details": {"reasoning": 3}})
    assert (first + second).usage_metadata == {
        "input_tokens": 1,
        "output_tokens": 5,
        "total_tokens": 6,
        "output_token_details": {"reasoning": 5},
    }
    pieces = [piece("{}", "f", "c1"), piece("{", "g", "c2"), piece("}"), piece("{}", "h", "c3", None), piece("{}", "i", None, None)]
    assert [call["name"] for call in add_chunks([AIMessageChunk("", tool_call_chunks=[item]) for item in pieces]).tool_calls] == [
        "f",
        "g",
        "h",
        "i",
    ]


def test_arguments_that_are_no_object_are_invalid() -> None:
    chunk = AIMessageChunk("", tool_call_chunks=[piece("[1]", "f", "c1")])
    assert chunk.tool_calls == []
    assert chunk.invalid_tool_calls[0]["args"] == "[1]"


def test_chunks_add_only_to_chunks() -> None:
    with pytest.raises(TypeError):
        AIMessageChunk("a") + AIMessage("b")  # type: ignore[operator]
    with pytest.raises(ValueError, match="no chunks"):
        add_chunks([])


def test_deltas() -> None:
    assert merge_deltas([{"audio": {"id": "a", "data": "x"}}, {"audio": {"id": "a", "data": "y", "expires_at": 5}}]) == {
        "audio": {"id": "a", "data": "xy", "expires_at": 5}
    }


@given(ARGS, st.integers(0, 200))
def test_partial_json_never_raises_and_keeps_what_is_whole(value: dict[str, Any], end: int) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert partial_json(text) == value
    part: dict[str, Any] | None = partial_json(text[:end])
    assert part is None or type(part) is dict
    if part:
        first = next(iter(part))
        assert first in value or any(key.startswith(first) for key in value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "x\\', {"a": "x"}),
        ('{"a": [1, {"b": "c', {"a": [1, {"b": "c"}]}),
        ('{"a": 1, "b', {"a": 1}),
        ("{", {}),
        ("nonsense", None),
        ("", None),
    ],
)
def test_partial_json_cases(text: str, value: Any) -> None:
    assert partial_json(text) == value
