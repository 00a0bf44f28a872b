"""Merging of streams: what comes out is what the unstreamed endpoint answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.reading.calls import (
    COMPLETIONS,
    RESPONSES,
    answered,
    chunk,
    counts,
    events,
    named_events,
    only,
    parts_of,
    read,
    streamed,
    text_of,
    texts,
)
from tracer.call import FAILED
from tracer.reading import read_call
from tracer.reading.generation import Generation

HEAD: dict[str, Any] = {"id": "c1", "created": 7, "model": "m-1"}


def call_delta(*fragments: dict[str, object]) -> dict[str, object]:
    return chunk({"tool_calls": list(fragments)})


def merged_message(generation: Generation) -> dict[str, Any]:
    assert generation.answer is not None
    answer: dict[str, Any] = generation.answer
    return answer["choices"][0]["message"]


def test_a_chat_stream_is_read_like_the_unstreamed_answer() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}
    tool_call = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    whole = {
        **HEAD,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi you", "refusal": None},
                "logprobs": {"content": [{"token": "Hi"}, {"token": " you"}], "refusal": None},
                "finish_reason": "stop",
            },
            {
                "index": 1,
                "message": {"role": "assistant", "content": None, "tool_calls": [tool_call], "reasoning_content": "hm so"},
                "logprobs": None,
                "finish_reason": "tool_calls",
            },
        ],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": "fp",
    }
    tail = {"service_tier": "default", "system_fingerprint": "fp"}
    first, second = chunk({"role": "assistant", "content": "", "refusal": None}, **tail), chunk({"content": "Hi"})
    second["choices"][0]["logprobs"] = {"content": [{"token": "Hi"}], "refusal": None}  # type: ignore[index]
    third = chunk({"content": " you"})
    third["choices"][0]["logprobs"] = {"content": [{"token": " you"}], "refusal": None}  # type: ignore[index]
    stream = events(
        first,
        chunk({"role": "assistant", "content": None, "tool_calls": None, "reasoning_content": "hm"}, index=1),
        second,
        chunk({"reasoning_content": " so"}, index=1),
        chunk({"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": ""}}]}, index=1),
        third,
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}, index=1),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}, index=1),
        chunk(index=1, finish="tool_calls"),
        chunk(finish="stop"),
        {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": usage},
    )
    request = {"model": "m", "n": 2}
    of_stream, of_answer = read(streamed(stream, request)), read(answered(whole, request))
    assert of_stream.answer == whole
    assert of_stream.chunk_kinds == ["other", "reasoning", "text", "reasoning", "tool_call", "text"] + ["tool_call"] * 2 + [
        "other",
        "other",
        "usage",
    ]
    of_stream.chunk_kinds = []
    assert of_stream == of_answer


def test_a_completion_stream_is_read_like_the_unstreamed_answer() -> None:
    def piece(text: str, index: int, finish: str | None = None, tokens: list[str] | None = None) -> dict[str, object]:
        logprobs = {"tokens": tokens, "text_offset": [index]} if tokens else None
        return {
            **HEAD,
            "object": "text_completion",
            "choices": [{"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish}],
        }

    stream = events(piece("a", 1), piece("x", 0, tokens=["x"]), piece("b", 1, "stop"), piece("y", 0, "length", tokens=["y"]))
    whole = {
        **HEAD,
        "object": "text_completion",
        "choices": [
            {"text": "xy", "index": 0, "logprobs": {"tokens": ["x", "y"], "text_offset": [0, 0]}, "finish_reason": "length"},
            {"text": "ab", "index": 1, "logprobs": None, "finish_reason": "stop"},
        ],
    }
    of_stream = read(streamed(stream, operation=COMPLETIONS))
    assert of_stream.answer == whole
    of_stream.chunk_kinds = []
    assert of_stream == read(answered(whole, operation=COMPLETIONS))


def fragment(arguments: str, name: str | None = None, **fields: object) -> dict[str, object]:
    function: dict[str, object] = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {**fields, "function": function}


BY_ID = [fragment("1", "f", id="a"), fragment("2", "g", id="b"), fragment("3", id="a")]
BY_NAME = [fragment("1", "f", id="a"), fragment("2"), fragment("3", "g")]
INDEX_AS_TEXT = [fragment("2", "g", index="1", id="b"), fragment("1", "f", index=0, id="a")]
ALL_NUMBERED_0 = [fragment("1", "f", index=0, id="a"), fragment("2", "g", index=0, id="b")]
REPEATED = [fragment("1", "f", index=0, id="a"), fragment("2", "f", index=0, id="a")]


@pytest.mark.parametrize(
    ("fragments", "expected"),
    [
        (BY_ID, [("a", "f", "13"), ("b", "g", "2")]),
        (BY_NAME, [("a", "f", "12"), (None, "g", "3")]),
        (INDEX_AS_TEXT, [("a", "f", "1"), ("b", "g", "2")]),
        (ALL_NUMBERED_0, [("a", "f", "1"), ("b", "g", "2")]),
        (REPEATED, [("a", "f", "12")]),
    ],
)
def test_tool_calls_are_told_apart(fragments: list[dict[str, object]], expected: list[tuple[str | None, str, str]]) -> None:
    for stream in (events(*(call_delta(part) for part in fragments)), events(call_delta(*fragments))):
        calls = merged_message(read(streamed(stream)))["tool_calls"]
        assert [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls] == expected


def test_content_is_null_where_only_something_else_was_answered() -> None:
    with_call = events(chunk({"role": "assistant", "content": ""}), call_delta({"index": 0, "id": "a", "function": {"name": "f"}}))
    assert merged_message(read(streamed(with_call)))["content"] is None
    refused = events(chunk({"content": "", "refusal": "no"}))
    assert merged_message(read(streamed(refused)))["content"] is None
    empty = events(chunk({"role": "assistant", "content": ""}), chunk(finish="stop"))
    assert merged_message(read(streamed(empty)))["content"] == ""
    assert parts_of(read(streamed(empty))) == []


def test_custom_tool_calls_and_legacy_functions() -> None:
    custom = events(
        call_delta({"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": "select"}}),
        call_delta({"index": 0, "custom": {"input": " 1"}}),
    )
    assert parts_of(read(streamed(custom))) == [{"type": "tool_call", "id": "a", "name": "sql", "arguments": "select 1"}]
    legacy = events(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"a":'}}),
        chunk({"function_call": {"arguments": "2}"}}),
        chunk(finish="function_call"),
    )
    generation = read(streamed(legacy))
    assert parts_of(generation) == [{"type": "tool_call", "name": "f", "arguments": {"a": 2}}]
    assert generation.finish_reasons == ["tool_call"]
    assert generation.chunk_kinds == ["tool_call"] * 3 + ["other"]


def test_a_spoken_answer() -> None:
    stream = events(
        chunk({"audio": {"id": "audio_1", "transcript": "Hel"}}),
        chunk({"audio": {"transcript": "lo"}}),
        chunk({"audio": {"data": "aA=="}}),
        chunk({"audio": {"data": "aQ=="}}),
        chunk({"audio": {"expires_at": 99}}),
    )
    generation = read(streamed(stream, {"modalities": ["text", "audio"], "audio": {"format": "pcm16", "voice": "ash"}}))
    assert merged_message(generation)["audio"] == {"id": "audio_1", "transcript": "Hello", "data": "aGk=", "expires_at": 99}
    assert parts_of(generation) == [
        {"type": "text", "content": "Hello"},
        {"type": "blob", "modality": "audio", "mime_type": "audio/pcm", "content": "aGk="},
    ]
    assert generation.output_type == "speech"
    assert generation.chunk_kinds == ["text", "text", "other", "other", "other"]


def test_reasoning_details_with_signature() -> None:
    stream = events(
        chunk({"reasoning": "Let", "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "Let"}]}),
        chunk({"reasoning": " us", "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": " us"}]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "sig"}]}),
        chunk({"content": "ok"}),
    )
    generation = read(streamed(stream))
    assert merged_message(generation)["reasoning_details"] == [{"type": "reasoning.text", "index": 0, "text": "Let us", "signature": "sig"}]
    assert parts_of(generation) == [{"type": "reasoning", "content": "Let us"}, {"type": "text", "content": "ok"}]
    assert generation.chunk_kinds == ["reasoning", "reasoning", "reasoning", "text"]


def test_content_of_parts() -> None:
    """Mistral's thinking models answer with lists."""
    stream = events(
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "so"}]}]}),
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": " be it"}]}]}),
        chunk({"content": "Yes"}),
        chunk({"content": "."}),
    )
    generation = read(streamed(stream))
    assert parts_of(generation) == [{"type": "reasoning", "content": "so be it"}, {"type": "text", "content": "Yes."}]
    assert generation.chunk_kinds == ["reasoning", "reasoning", "text", "text"]


def test_head_fields_come_from_any_chunk() -> None:
    filtered = {"id": "", "model": "", "object": "", "created": 0, "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    stream = events(
        filtered,
        chunk({"content": "a"}, service_tier=None, system_fingerprint=None),
        chunk({"content": "b"}, service_tier="default", system_fingerprint=None),
        chunk({"content": "c"}, service_tier=None, system_fingerprint="fp"),
    )
    generation = read(streamed(stream))
    assert (generation.response_id, generation.response_model) == ("c1", "m-1")
    assert (generation.response_service_tier, generation.system_fingerprint) == ("default", "fp")
    assert generation.answer is not None
    assert generation.answer["prompt_filter_results"] == [{"prompt_index": 0}]
    assert generation.answer["created"] == 7
    assert generation.chunk_kinds == ["other", "text", "text", "text"]


def test_usage_in_every_chunk_counts_once() -> None:
    stream = events(
        chunk({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": 1}),
        chunk({"content": "b"}, usage={"prompt_tokens": 3, "completion_tokens": 2}),
        chunk(finish="stop", usage=None),
    )
    assert counts(read(streamed(stream))) == {"input": 3, "output": 2}


def test_fields_of_a_server_are_kept_whichever_chunk_brings_them() -> None:
    in_the_middle = events(chunk({"content": "a"}, x_id=1), chunk({"content": "b"}, x_id=2), chunk({"content": "c"}, x_id=None))
    generation = read(streamed(in_the_middle))
    assert generation.answer is not None
    assert generation.answer["x_id"] == 2
    in_place_of_another = events(chunk({"content": "a"}, obfuscation="zz"), chunk({"content": "b"}, citations=["u"]))
    generation = read(streamed(in_place_of_another))
    assert generation.answer is not None
    assert generation.answer["citations"] == ["u"]
    assert "obfuscation" not in generation.answer


def test_usage_of_groq() -> None:
    stream = events(chunk({"content": "a"}, x_groq={"id": "r"}), chunk(finish="stop", x_groq={"id": "r", "usage": {"prompt_tokens": 4}}))
    assert counts(read(streamed(stream))) == {"input": 4}


def test_extra_fields_of_choices_are_kept() -> None:
    last = chunk(finish="stop")
    last["choices"][0]["native_finish_reason"] = "end_turn"  # type: ignore[index]
    generation = read(streamed(events(chunk({"content": "a"}), last)))
    assert generation.answer is not None
    answer: dict[str, Any] = generation.answer
    assert answer["choices"][0]["native_finish_reason"] == "end_turn"


RESPONSE: dict[str, Any] = {"id": "r1", "object": "response", "model": "m", "status": "in_progress", "output": []}
MESSAGE: dict[str, Any] = {"id": "msg", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
RESPONSE_EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": RESPONSE},
    {"type": "response.output_item.added", "output_index": 0, "item": {"id": "rs", "type": "reasoning", "summary": []}},
    {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0, "part": {"type": "summary_text", "text": ""}},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "so"},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 1, "delta": "then"},
    {"type": "response.output_item.added", "output_index": 1, "item": MESSAGE},
    {
        "type": "response.content_part.added",
        "output_index": 1,
        "content_index": 0,
        "part": {"type": "output_text", "text": "", "annotations": []},
    },
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "He"},
    {"type": "response.output_text.annotation.added", "output_index": 1, "content_index": 0, "annotation": {"url": "u"}},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "llo"},
    {"type": "response.refusal.delta", "output_index": 1, "content_index": 1, "delta": "no"},
    {
        "type": "response.output_item.added",
        "output_index": 2,
        "item": {"id": "fc", "type": "function_call", "call_id": "c", "name": "f", "arguments": ""},
    },
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"a":'},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": " 1}"},
]


def test_a_response_stream_that_was_cut_off_is_built_from_its_events() -> None:
    generation = read(streamed(named_events(*RESPONSE_EVENTS), operation=RESPONSES, ending="stopped"))
    assert parts_of(generation) == [
        {"type": "reasoning", "content": "so"},
        {"type": "reasoning", "content": "then"},
        {"type": "text", "content": "Hello", "annotations": [{"url": "u"}]},
        {"type": "text", "content": "no"},
        {"type": "tool_call", "id": "c", "name": "f", "arguments": {"a": 1}},
    ]
    assert (generation.response_id, generation.response_model) == ("r1", "m")
    assert (generation.finish_reasons, generation.all_finished) == ([], False)
    assert generation.chunk_kinds == (
        ["other"] * 3 + ["reasoning"] * 2 + ["other"] * 2 + ["text", "other", "text", "text"] + ["tool_call"] * 3
    )


def test_a_finished_item_replaces_what_was_built() -> None:
    done: dict[str, Any] = {**MESSAGE, "status": "completed", "content": [{"type": "output_text", "text": "Hello!", "annotations": []}]}
    stream = named_events(*RESPONSE_EVENTS[5:8], {"type": "response.output_item.done", "output_index": 1, "item": done})
    generation = read(streamed(stream, operation=RESPONSES, ending="stopped"))
    assert generation.answer == {"object": "response", "output": [done]}
    assert text_of(generation) == "Hello!"


def test_deltas_without_an_announced_item() -> None:
    stream = named_events({"type": "response.output_text.delta", "item_id": "msg", "delta": "x"})
    assert text_of(read(streamed(stream, operation=RESPONSES, ending="stopped"))) == "x"


def test_the_last_event_of_a_response_stream_has_the_last_word() -> None:
    final = {
        **RESPONSE,
        "status": "completed",
        "output": [{**MESSAGE, "content": [{"type": "output_text", "text": "other"}]}],
        "usage": {"input_tokens": 1},
    }
    stream = named_events(*RESPONSE_EVENTS, {"type": "response.completed", "response": final})
    generation = read(streamed(stream, operation=RESPONSES))
    assert generation.answer == final
    assert (text_of(generation), generation.finish_reasons, generation.chunk_kinds[-1]) == ("other", ["stop"], "usage")
    without_output = named_events(*RESPONSE_EVENTS, {"type": "response.completed", "response": {**final, "output": []}})
    generation = read(streamed(without_output, operation=RESPONSES))
    assert text_of(generation) == "Hellono"
    assert generation.finish_reasons == ["tool_call"]


@pytest.mark.parametrize(
    ("status", "details", "reason"),
    [
        ("completed", None, "stop"),
        ("incomplete", {"reason": "max_output_tokens"}, "length"),
        ("incomplete", {"reason": "content_filter"}, "content_filter"),
        ("cancelled", None, "error"),
    ],
)
def test_finish_reasons_of_responses(status: str, details: object, reason: str) -> None:
    answer = {**RESPONSE, "status": status, "incomplete_details": details, "output": [MESSAGE]}
    generation = read(answered(answer, operation=RESPONSES))
    assert generation.finish_reasons == [reason]
    assert only(generation.output_messages).finish_reason == reason
    final = {"type": f"response.{status}", "response": answer}
    assert read(streamed(named_events(final), operation=RESPONSES)).finish_reasons == [reason]


def test_a_failed_response() -> None:
    answer = {**RESPONSE, "status": "failed", "error": {"code": "server_error", "message": "Sorry."}}
    for call in (
        answered(answer, operation=RESPONSES),
        streamed(named_events(RESPONSE_EVENTS[0], {"type": "response.failed", "response": answer}), operation=RESPONSES),
    ):
        record = read_call(call)
        assert record.generation is not None
        assert (record.generation.error_code, record.generation.error_message) == ("server_error", "Sorry.")
        assert (record.generation.finish_reasons, record.outcome) == (["error"], FAILED)


def test_the_error_event_of_responses() -> None:
    stream = named_events(RESPONSE_EVENTS[0], {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down.", "param": None})
    record = read_call(streamed(stream, operation=RESPONSES))
    assert record.generation is not None
    assert (record.generation.error_code, record.generation.error_message) == ("rate_limit_exceeded", "Slow down.")
    assert len(record.generation.chunk_kinds) == 2
    assert record.outcome == FAILED


def test_an_error_object_in_a_chat_stream_is_no_chunk() -> None:
    stream = events(*texts("a", finish=None), {"error": {"message": "Overloaded", "code": 502}})
    generation = read(streamed(stream, ending=FAILED))
    assert (generation.error_code, generation.error_message) == ("502", "Overloaded")
    assert generation.chunk_kinds == ["other", "text"]
    assert generation.finish_reasons == ["error"]
    named = events(*texts("a"), done=False) + b'event: error\ndata: {"message": "bare", "code": "x"}\n\n'
    assert read(streamed(named)).error_code == "x"


def test_server_tools_of_responses() -> None:
    output: list[dict[str, Any]] = [
        {
            "type": "mcp_call",
            "id": "m",
            "name": "search",
            "server_label": "wiki",
            "arguments": '{"q": 1}',
            "output": "found",
            "error": None,
        },
        {"type": "code_interpreter_call", "id": "ci", "code": "1+1", "outputs": [{"type": "logs", "logs": "2"}], "container_id": "k"},
        {"type": "image_generation_call", "id": "ig", "status": "completed", "output_format": "webp", "result": "UklG"},
        {"type": "mcp_list_tools", "id": "l", "tools": []},
    ]
    generation = read(answered({**RESPONSE, "status": "completed", "output": output}, operation=RESPONSES))
    assert parts_of(generation) == [
        {
            "type": "server_tool_call",
            "id": "m",
            "name": "search",
            "server_tool_call": {"type": "mcp", "name": "search", "server_label": "wiki", "arguments": {"q": 1}},
        },
        {"type": "server_tool_call_response", "id": "m", "server_tool_call_response": {"type": "mcp", "output": "found"}},
        {
            "type": "server_tool_call",
            "id": "ci",
            "name": "code_interpreter",
            "server_tool_call": {"type": "code_interpreter", "code": "1+1", "container_id": "k"},
        },
        {
            "type": "server_tool_call_response",
            "id": "ci",
            "server_tool_call_response": {"type": "code_interpreter", "outputs": [{"type": "logs", "logs": "2"}]},
        },
        {
            "type": "server_tool_call",
            "id": "ig",
            "name": "image_generation",
            "server_tool_call": {"type": "image_generation", "output_format": "webp"},
        },
        {"type": "blob", "modality": "image", "mime_type": "image/webp", "content": "UklG"},
        {"type": "generic", "generic_type": "mcp_list_tools", "id": "l", "tools": []},
    ]
    assert generation.finish_reasons == ["stop"]


def test_a_plain_answer_where_a_stream_was_asked_for() -> None:
    answer = {**HEAD, "object": "chat.completion", "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}
    data = json.dumps(answer, indent=1).encode()
    for content_type in ("application/json", "text/event-stream"):
        generation = read(streamed([data[:9], data[9:]], {"stream": True}, content_type=content_type))
        assert generation.answer == answer
        assert (text_of(generation), generation.chunk_kinds) == ("hi", [])


def test_a_stream_that_was_read_at_once_or_has_the_wrong_label() -> None:
    stream = events(*texts("a", "b"))
    at_once = answered(stream, content_type="text/event-stream")
    assert text_of(read(at_once)) == "ab"
    assert text_of(read(streamed(stream, content_type="text/plain"))) == "ab"
