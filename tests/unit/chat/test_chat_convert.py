"""Nothing is lost on the way to OpenAI and to LangChain and back; input of every form is understood, or refused with its position."""

from __future__ import annotations

from collections import UserDict
from types import SimpleNamespace
from typing import Any

import pytest
from chat_strategies import MESSAGES
from hypothesis import given
from hypothesis import strategies as st

from tracer.chat.answers import read_answer, read_chunk
from tracer.chat.coerce import messages_from
from tracer.chat.convert import from_openai, to_openai
from tracer.chat.langchain import from_langchain, to_langchain
from tracer.chat.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    tool_call,
)


def without_errors(message: BaseMessage) -> BaseMessage:
    """What was wrong with an invalid call is our own text, not part of the message."""
    if isinstance(message, AIMessage):
        for call in message.invalid_tool_calls:
            call["error"] = None
    return message


@given(st.lists(MESSAGES, max_size=4))
def test_messages_survive_openai(messages: list[BaseMessage]) -> None:
    back = messages_from([to_openai(message) for message in messages])
    assert [without_errors(message) for message in back] == [without_errors(message) for message in messages]


@given(st.lists(MESSAGES, max_size=4))
def test_messages_survive_langchain(messages: list[BaseMessage]) -> None:
    pytest.importorskip("langchain_core", reason="needs langchain-core")
    for message in messages:
        message.id = "m1"
        message.response_metadata = {"model_name": "m"}
        if isinstance(message, AIMessage):
            message.usage_metadata = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    foreign = [to_langchain(message) for message in messages]
    assert all(type(item).__module__.startswith("langchain_core.messages") for item in foreign)
    assert messages_from(foreign) == messages
    assert [to_openai(message) for message in messages_from(foreign)] == [to_openai(message) for message in messages]


def test_chunks_survive_langchain() -> None:
    pytest.importorskip("langchain_core", reason="needs langchain-core")
    call: Any = {"name": "f", "args": '{"a": 1', "id": "c", "index": 0, "type": "tool_call_chunk"}
    chunk = AIMessageChunk("a", id="m1", tool_call_chunks=[call])
    assert from_langchain(to_langchain(chunk)) == chunk
    assert to_langchain(chunk).tool_calls[0]["args"] == {"a": 1}


def test_request_dicts_of_every_kind() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert to_openai(HumanMessage(["Look", image], name="Ann")) == {
        "role": "user",
        "name": "Ann",
        "content": [{"type": "text", "text": "Look"}, image],
    }
    assert to_openai(ToolMessage("5", tool_call_id="c1", name="add", status="error")) == {
        "role": "tool",
        "tool_call_id": "c1",
        "content": "5",
    }
    assert to_openai(FunctionMessage("5", name="add")) == {"role": "function", "name": "add", "content": "5"}
    assert to_openai(ChatMessage("x", role="critic")) == {"role": "critic", "content": "x"}
    assert to_openai(SystemMessage("x", additional_kwargs={"__openai_role__": "developer"}))["role"] == "developer"
    assert to_openai(AIMessage("", tool_calls=[tool_call("add", {"a": "é"}, "c1")])) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": "é"}'}}],
    }
    refusal: Any = {"role": "assistant", "content": None, "refusal": "no"}
    assert to_openai(AIMessage("", additional_kwargs={"refusal": "no"})) == refusal
    older: Any = {"name": "add", "arguments": "{}"}
    assert to_openai(AIMessage("", additional_kwargs={"function_call": older}))["function_call"] == older


def test_unknown_fields_of_request_dicts_are_sent_as_they_came() -> None:
    data = {"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}}
    assert to_openai(from_openai(data)) == data
    custom = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "custom", "custom": {"name": "t", "input": "raw"}}]}
    assert to_openai(from_openai(custom)) == custom


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (
            {"type": "image", "base64": "QQ==", "mime_type": "image/jpeg"},
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,QQ=="}},
        ),
        ({"type": "image", "source_type": "url", "url": "https://x/a"}, {"type": "image_url", "image_url": {"url": "https://x/a"}}),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "QQ=="}},
            {"type": "image_url", "image_url": {"url": "data:image/gif;base64,QQ=="}},
        ),
        (
            {"type": "audio", "base64": "QQ==", "mime_type": "audio/mpeg"},
            {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}},
        ),
        (
            {"type": "file", "source_type": "base64", "data": "QQ==", "mime_type": "application/pdf", "filename": "a.pdf"},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf"}},
        ),
        ({"type": "file", "file_id": "f1"}, {"type": "file", "file": {"file_id": "f1"}}),
        ({"type": "file", "file": {"file_id": "f1"}}, {"type": "file", "file": {"file_id": "f1"}}),
    ],
)
def test_parts_of_others_are_written_in_openais_shape(part: dict[str, Any], sent: dict[str, Any]) -> None:
    assert to_openai(HumanMessage([part]))["content"] == [sent]


def test_parts_that_stand_elsewhere_are_left_out() -> None:
    parts: list[str | dict[str, Any]] = [
        {"type": "reasoning", "reasoning": "…"},
        {"type": "text", "text": "a"},
        {"type": "tool_call", "name": "f"},
    ]
    assert to_openai(AIMessage(parts))["content"] == [{"type": "text", "text": "a"}]


def test_every_form_of_input() -> None:
    hi = HumanMessage("hi")
    prompt = SimpleNamespace(to_messages=lambda: [SimpleNamespace(type="human", content="hi", name=None)])
    sdk_message = SimpleNamespace(role="assistant", content="yes", tool_calls=None)
    assert messages_from("hi") == messages_from(hi) == messages_from([hi]) == messages_from(prompt) == [hi]
    assert messages_from({"role": "user", "content": "hi"}) == messages_from([("user", "hi")]) == messages_from([["human", "hi"]]) == [hi]
    assert messages_from([UserDict(role="user", content="hi")]) == messages_from(iter(["hi"])) == [hi]
    assert messages_from([sdk_message]) == [AIMessage("yes")]
    assert messages_from([{"type": "human", "content": "hi"}]) == [hi]
    assert messages_from([("critic", "hi")]) == [ChatMessage("hi", role="critic")]
    assert messages_from([]) == []


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (5, "a text or a list of messages, not of type int"),
        (None, "not of type NoneType"),
        (["ok", 5], "position 1 is of type int"),
        (["ok", "ok", object()], "position 2 is of type object"),
        ([("human", "x", "y")], "position 0 is of type tuple"),
        ([{"content": "x"}], "position 0 is a dict without a role"),
        ([{"role": "user", "content": 5}], "position 0 has content of type int"),
        ([HumanMessage], "position 0 is of type type"),
        (
            [SimpleNamespace(type="remove", content="")],
            "position 0 is of type types.SimpleNamespace with the unknown message type 'remove'",
        ),
    ],
)
def test_what_cannot_be_a_message_is_named(value: Any, complaint: str) -> None:
    with pytest.raises(TypeError) as caught:
        messages_from(value)
    assert complaint in str(caught.value)


def test_the_callers_message_is_not_shared() -> None:
    foreign = SimpleNamespace(type="human", content=[{"type": "text", "text": "a"}], name=None, additional_kwargs={"k": [1]})
    message = messages_from([foreign])[0]
    foreign.content[0]["text"] = "changed"
    foreign.additional_kwargs["k"].append(2)
    assert message == HumanMessage([{"type": "text", "text": "a"}], additional_kwargs={"k": [1]})


def test_answers_are_read_from_dicts_and_objects() -> None:
    answer: Any = {
        "id": "c1",
        "model": "m",
        "choices": [
            {
                "finish_reason": "tool_calls",
                "message": {
                    "content": None,
                    "tool_calls": [
                        {"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}},
                        {"id": "2", "type": "function", "function": {"name": "g", "arguments": "{oops"}},
                    ],
                },
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "prompt_tokens_details": {"cached_tokens": 1}},
    }
    message = read_answer(answer)[0].message
    assert message.tool_calls == [tool_call("f", {}, "1")]
    assert message.invalid_tool_calls[0]["args"] == "{oops"
    assert message.usage_metadata == {
        "input_tokens": 3,
        "output_tokens": 2,
        "total_tokens": 5,
        "input_token_details": {"cache_read": 1},
        "output_token_details": {},
    }
    assert read_answer(as_object(answer)) == read_answer(answer)


def as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{key: as_object(item) for key, item in value.items()})  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return [as_object(item) for item in value] if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]


@pytest.mark.parametrize("answer", [{"choices": None}, {"choices": []}, {"error": {"message": "overloaded"}}, "<html>"])
def test_an_answer_without_choices_is_an_error(answer: Any) -> None:
    with pytest.raises(ValueError, match="overloaded" if "error" in answer else "no chat completion"):
        read_answer(answer)


def test_odd_chunks() -> None:
    odd_ones: list[Any] = [{"choices": []}, {"choices": None}, {"choices": 5}, {"choices": ["x"]}, {}, {"choices": [{"delta": "x"}]}]
    for odd in odd_ones:
        assert read_chunk(odd) == AIMessageChunk("")
    assert read_chunk({"choices": [{"delta": {"content": 5}}]}) == AIMessageChunk("5")
    assert read_chunk({"choices": [{"delta": None}]}) == AIMessageChunk("")
    assert read_chunk({"choices": [{"index": 1, "delta": {"content": "other"}}]}) is None
    chunk = read_chunk({"choices": [{"index": 0, "delta": {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}}]})
    assert chunk is not None
    assert chunk.tool_calls == [tool_call("f", {})]
