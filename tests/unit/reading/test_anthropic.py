"""Anthropic's Messages API: every recording is read whole, and what stands in it was checked against the recordings themselves."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.reading.calls import answered, counts, named_events, only, parts_of, read, recorded, streamed, taken, text_of
from tracer.call import COMPLETED, FAILED, STOPPED
from tracer.reading import read_call
from tracer.reading.generation import Generation, Usage
from tracer.replay.recordings import Recording, by_id, load

RECORDINGS = load("anthropic")
STREAMS = [recording for recording in RECORDINGS if recording.streamed and recording.status < 400]
ANSWERS = [recording for recording in RECORDINGS if not recording.streamed]
MESSAGES = "messages"


def by_name(recording: Recording) -> str:
    return recording.id


def sdk_events(recording: Recording) -> list[dict[str, Any]]:
    """The events an SDK would hand out, parsed in another way than the readers do."""
    found: list[dict[str, Any]] = []
    for block in recording.body.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.strip().splitlines() if ": " in line)
        if lines and lines["event"] != "ping":
            found.append(json.loads(lines["data"]))
    return found


@pytest.mark.parametrize("recording", RECORDINGS, ids=by_name)
def test_nothing_of_a_recording_is_unreadable(recording: Recording) -> None:
    generation = read(recorded(recording, cut=37))
    assert generation.problems == []
    assert generation.request == recording.request
    assert (generation.request_model, generation.operation, generation.provider) == (recording.request["model"], "chat", "anthropic")
    assert generation.api_type is None
    assert generation.parameters["max_tokens"] == recording.request["max_tokens"]
    parts = [part for message in (*generation.input_messages, *generation.output_messages) for part in message.parts]
    assert [part for part in parts if part["type"] == "generic"] == []
    assert len(generation.tool_definitions) == len(recording.request.get("tools", ()))


@pytest.mark.parametrize("recording", ANSWERS, ids=by_name)
def test_an_answer_is_taken_over(recording: Recording) -> None:
    generation, body = read(recorded(recording)), json.loads(recording.body)
    assert generation.answer == body
    assert (generation.response_id, generation.response_model) == (body["id"], body["model"])
    assert text_of(generation) == "".join(block["text"] for block in body["content"] if block["type"] == "text")
    check_usage(generation, body["usage"])
    assert generation.all_finished


def check_usage(generation: Generation, reported: dict[str, Any]) -> None:
    cached = reported.get("cache_read_input_tokens", 0), reported.get("cache_creation_input_tokens", 0)
    found = counts(generation)
    assert found["input"] == reported["input_tokens"] + sum(cached)
    assert found["output"] == reported["output_tokens"]
    assert (found["cache_read"], found["cache_write"]) == cached
    assert found.get("reasoning") == reported.get("output_tokens_details", {}).get("thinking_tokens")


@pytest.mark.parametrize("recording", STREAMS, ids=by_name)
def test_a_merged_stream_holds_all_fragments(recording: Recording) -> None:
    """Joined in another way: block by block, over all events."""
    events = sdk_events(recording)
    generation = read(recorded(recording, cut=100))
    assert len(generation.chunk_kinds) == len(events)
    assert generation.answer is not None
    answer: dict[str, Any] = generation.answer
    begun: dict[int, Any] = {event["index"]: event["content_block"] for event in events if event["type"] == "content_block_start"}
    assert [block["type"] for block in answer["content"]] == [begun[index]["type"] for index in sorted(begun)]
    for index, block in enumerate(answer["content"]):
        deltas = [event["delta"] for event in events if event["type"] == "content_block_delta" and event["index"] == index]
        for name in ("text", "thinking", "signature"):
            assert block.get(name, "") == begun[index].get(name, "") + "".join(delta.get(name, "") for delta in deltas)
        arguments = "".join(delta.get("partial_json", "") for delta in deltas)
        assert block.get("input") == (json.loads(arguments) if arguments else begun[index].get("input"))
    last = next(event for event in events if event["type"] == "message_delta")
    assert answer["stop_reason"] == last["delta"]["stop_reason"]
    check_usage(generation, {**events[0]["message"]["usage"], **last["usage"]})


@pytest.mark.parametrize("recording", STREAMS, ids=by_name)
@pytest.mark.parametrize("cut", [1, 7, 4096])
def test_where_a_stream_was_cut_into_pieces_makes_no_difference(recording: Recording, cut: int) -> None:
    assert read(recorded(recording, cut=cut)) == read(recorded(recording))


# What stands in representative recordings.


def test_cached_tokens_are_part_of_the_input() -> None:
    generation = read(recorded("openinference.instrumentor.anthropic_instrumentation_messages_token_counts.1"))
    assert counts(generation) == {"input": 21 + 1733, "output": 568, "cache_read": 1733, "cache_write": 0}
    assert [part["type"] for part in generation.system_instructions] == ["text", "text"]
    assert generation.system_instructions[1]["cache_control"] == {"type": "ephemeral"}
    written = read(recorded("openllmetry.prompt_caching.anthropic_prompt_caching_stream_legacy.0"))
    assert counts(written) == {"input": 4 + 1165, "output": 201, "cache_read": 0, "cache_write": 1165}


def test_tools_and_their_results() -> None:
    generation = read(recorded("openllmetry.tool_calls.tool_calls_anthropic_text_block_and_history"))
    assert generation.tool_definitions[0]["type"] == "function"
    assert generation.tool_definitions[0]["name"] == "get_weather"
    assert "parameters" in generation.tool_definitions[0]
    assert [(message.role, [part["type"] for part in message.parts]) for message in generation.input_messages] == [
        ("user", ["text"]),
        ("assistant", ["text", "tool_call"]),
        ("user", ["tool_call_response"]),
    ]
    call, result = generation.input_messages[1].parts[1], generation.input_messages[2].parts[0]
    assert call["id"] == result["id"]
    assert isinstance(call["arguments"], dict)
    assert [part["type"] for part in parts_of(generation)] == ["text", "tool_call"]
    assert parts_of(generation)[1] == {
        "type": "tool_call",
        "id": "toolu_012guEZNJ5yH5jxHKWAkzCzh",
        "name": "get_news",
        "arguments": {"location": "San Francisco"},
    }
    assert generation.finish_reasons == ["tool_call"]
    assert generation.vendor_attributes["anthropic.message.stop_reason"] == "tool_use"


def test_parallel_tool_calls_of_a_stream() -> None:
    generation = read(recorded("openllmetry.messages.anthropic_tools_streaming_legacy", cut=11))
    assert [part.get("name") for part in parts_of(generation)] == [None, "get_weather", "get_time"]
    assert parts_of(generation)[1]["arguments"] == {"location": "San Francisco, CA", "unit": "celsius"}
    assert generation.chunk_kinds.count("tool_call") == 2 + sum(
        '"partial_json"' in line for line in by_id("openllmetry.messages.anthropic_tools_streaming_legacy").body.splitlines()
    )
    assert generation.chunk_kinds[-2:] == ["usage", "other"]


def test_thinking() -> None:
    generation = read(recorded("openinference.instrumentor.completion_streaming_with_extended_thinking_anthropic"))
    reasoning, text = parts_of(generation)
    assert (set(reasoning), text["type"]) == ({"type", "content"}, "text")
    assert str(reasoning["content"]).startswith("This is a simple arithmetic")
    assert counts(generation)["reasoning"] == 53
    assert generation.vendor_attributes["anthropic.thinking.budget_tokens"] == 1024
    assert generation.vendor_attributes["anthropic.thinking.type"] == "enabled"
    assert {"reasoning", "text"} <= set(generation.chunk_kinds)
    assert generation.answer is not None
    blocks: Any = generation.answer["content"]
    assert blocks[0]["signature"]


def test_a_search_by_the_provider_and_its_citations() -> None:
    generation = read(recorded("pydanticai.thinking_native_tools.thinking_with_native_tool_wire_contract-anthropic"))
    call, result = parts_of(generation)[1:3]
    assert (call["type"], call["name"]) == ("server_tool_call", "web_search")
    assert result["type"] == "server_tool_call_response"
    assert call["id"] == result["id"]
    details: Any = call["server_tool_call"]
    assert (details["type"], list(details["input"])) == ("web_search", ["query"])
    found: Any = result["server_tool_call_response"]
    assert found["type"] == "web_search"
    assert {"type", "url", "title"} <= set(found["content"][0])
    assert "encrypted_content" not in json.dumps(found)
    cited = [part for part in parts_of(generation) if part.get("citations")]
    assert cited
    citations: Any = cited[0]["citations"]
    assert citations[0]["type"] == "web_search_result_location"
    assert "encrypted_index" not in citations[0]
    assert counts(generation)["web_searches"] == 1
    assert generation.tool_definitions == [{"type": "web_search", "name": "web_search"}]


def test_code_that_the_provider_ran() -> None:
    generation = read(recorded("pydanticai.anthropic.anthropic_code_execution_tool_stream"))
    assert [part["type"] for part in parts_of(generation)] == [
        "reasoning",
        "text",
        "server_tool_call",
        "server_tool_call_response",
        "text",
    ]
    details: Any = parts_of(generation)[3]["server_tool_call_response"]
    assert details["type"] == "bash_code_execution"
    assert details["content"]["return_code"] == 0


def test_an_advisor_is_counted_apart() -> None:
    usage = read(recorded("pydanticai.anthropic.anthropic_advisor_tool_stream")).usage
    assert usage is not None
    assert (usage.input, usage.output) == (2411, 145)
    assert [(other.model, other.usage.input, other.usage.output) for other in usage.others or ()] == [("claude-opus-4-8", 2543, 18)]


def test_an_image_and_a_document() -> None:
    image = only(read(recorded("openinference.instrumentor.anthropic_instrumentation_image_input_messages_with_stream")).input_messages)
    assert (image.parts[1]["type"], image.parts[1]["modality"], image.parts[1]["mime_type"]) == ("blob", "image", "image/png")
    assert base64.b64decode(str(image.parts[1]["content"]))[:2] == b"\xff\xd8"  # a JPEG that its sender called PNG
    result = read(recorded("pydanticai.multimodal_tool_returns.text_plain_document_anthropic.1")).input_messages[-1].parts[0]
    assert result == {"type": "tool_call_response", "id": "toolu_01P84KgBph6WqH2De4QJ1PPm", "response": "Dummy TXT file\n"}


def test_structured_output() -> None:
    assert read(recorded("pydanticai.output.strict_none_tool_native_output.1")).output_type == "json"


def test_an_error_of_the_service() -> None:
    record = read_call(recorded("langsmith.tests.anthropic_test_chat_async_api_stream.24"))
    assert record.outcome == FAILED
    assert record.generation is not None
    assert record.generation.error_code == "not_found_error"
    assert record.generation.usage is None


# By hand: what no recording has.


def answer_of(*content: Any, **fields: Any) -> Generation:
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": list(content), **fields}
    return read(answered(body, {"model": "m", "messages": []}, operation=MESSAGES))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_call"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        ("compaction", "compaction"),
    ],
)
def test_why_it_stopped(said: str, meant: str) -> None:
    generation = answer_of({"type": "text", "text": "x"}, stop_reason=said)
    assert generation.finish_reasons == [only(generation.output_messages).finish_reason] == [meant]
    assert generation.all_finished


def test_a_refusal_without_any_content() -> None:
    generation = answer_of(stop_reason="refusal", stop_details={"type": "refusal", "category": "cyber"})
    assert only(generation.output_messages).parts == []
    assert generation.finish_reasons == ["content_filter"]
    assert generation.problems == []


def test_parts_of_an_answer() -> None:
    assert parts_of(
        answer_of(
            {"type": "redacted_thinking", "data": "secret"},
            {"type": "thinking", "thinking": "", "signature": "s"},
            {"type": "mcp_tool_use", "id": "m1", "name": "find", "server_name": "docs", "input": {"q": 1}},
            {"type": "mcp_tool_result", "tool_use_id": "m1", "is_error": False, "content": [{"type": "text", "text": "r"}]},
            {"type": "container_upload", "file_id": "f1"},
            {"type": "compaction", "content": "so far"},
            {"type": "hologram", "id": "h1"},
        )
    ) == [
        {"type": "reasoning", "content": "", "redacted": True},
        {"type": "reasoning", "content": ""},
        {
            "type": "server_tool_call",
            "name": "find",
            "server_tool_call": {"type": "find", "server_name": "docs", "input": {"q": 1}},
            "id": "m1",
        },
        {
            "type": "server_tool_call_response",
            "server_tool_call_response": {"type": "mcp", "is_error": False, "content": [{"type": "text", "text": "r"}]},
            "id": "m1",
        },
        {"type": "file", "modality": "document", "file_id": "f1"},
        {"type": "compaction", "content": "so far"},
        {"type": "generic", "id": "h1", "generic_type": "hologram"},
    ]


def asked(**request: Any) -> Generation:
    return read(answered({"content": []}, {"model": "m", "messages": [], **request}, operation=MESSAGES))


def test_parameters() -> None:
    generation = asked(
        max_tokens=10,
        temperature=1,
        top_p=0.5,
        top_k=40,
        stop_sequences=["END"],
        stream=False,
        thinking={"type": "adaptive"},
        output_config={"effort": "high"},
        service_tier="standard_only",
        metadata={"user_id": "u"},
    )
    assert generation.parameters == {
        "max_tokens": 10,
        "temperature": 1.0,
        "top_p": 0.5,
        "top_k": 40,
        "stop_sequences": ["END"],
        "reasoning.level": "high",
    }
    assert generation.vendor_attributes == {"anthropic.thinking.type": "adaptive", "anthropic.request.service_tier": "standard_only"}
    assert generation.service_tier is None
    assert asked(service_tier="auto").vendor_attributes == {}
    assert asked(output_format={"type": "json_schema", "schema": {}}).output_type == "json"


def test_input_parts() -> None:
    content = [
        {"type": "image", "source": {"type": "url", "url": "https://e/x.png"}},
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "document", "title": "T", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
        {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": "no such city"},
    ]
    assert only(asked(messages=[{"role": "user", "content": content}]).input_messages).parts == [
        {"type": "uri", "modality": "image", "uri": "https://e/x.png"},
        {"type": "file", "modality": "image", "file_id": "f"},
        {"type": "blob", "modality": "document", "mime_type": "application/pdf", "content": "aGk=", "title": "T"},
        {"type": "text", "content": "plain", "mime_type": "text/plain"},
        {"type": "tool_call_response", "id": "t1", "response": "no such city", "is_error": True},
    ]


def test_keys_of_mcp_servers_are_left_out() -> None:
    generation = asked(
        mcp_servers=[{"type": "url", "url": "https://e/mcp", "name": "docs", "authorization_token": "secret"}],
        tools=[{"type": "mcp_toolset", "mcp_server_name": "docs"}],
    )
    assert generation.tool_definitions == [{"type": "mcp_toolset", "name": "docs"}]
    assert "secret" not in json.dumps(generation.request)
    assert generation.request is not None
    assert generation.request["mcp_servers"] == [{"type": "url", "url": "https://e/mcp", "name": "docs"}]


def usage_of(**reported: Any) -> Usage:
    usage = answer_of(stop_reason="end_turn", usage=reported).usage
    assert usage is not None
    return usage


def test_tokens_for_an_hour_and_compactions() -> None:
    usage = usage_of(
        input_tokens=10,
        output_tokens=5,
        cache_creation_input_tokens=30,
        cache_creation={"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
        iterations=[
            {"type": "compaction", "input_tokens": 100, "output_tokens": 7},
            {"type": "message", "input_tokens": 10, "output_tokens": 5},
        ],
    )
    assert (usage.input, usage.output, usage.cache_write, usage.cache_write_hour) == (140, 12, 30, 10)


EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {"id": "msg_1", "role": "assistant", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": {"type": "char_location"}}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]


def test_a_stream_that_was_left_has_its_input_counted_and_no_output() -> None:
    generation = read(streamed(named_events(*EVENTS), operation=MESSAGES, ending=STOPPED, stream_clock=taken(3)))
    assert counts(generation) == {"input": 3}
    assert text_of(generation) == "Hi"
    assert generation.chunk_kinds == ["other", "other", "text"]
    assert not generation.all_finished
    whole = read(streamed(named_events(*EVENTS), operation=MESSAGES, ending=COMPLETED))
    assert counts(whole) == {"input": 3, "output": 2}
    assert parts_of(whole) == [{"type": "text", "content": "Hi", "citations": [{"type": "char_location"}]}]


def test_an_error_in_the_middle() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    record = read_call(streamed(named_events(*EVENTS[:4], error), operation=MESSAGES))
    assert record.outcome == FAILED
    assert record.generation is not None
    assert (record.generation.error_code, record.generation.error_message) == ("overloaded_error", "Overloaded")
    assert text_of(record.generation) == "Hi"
    assert record.generation.finish_reasons == ["error"]


ODD: list[dict[str, Any]] = [
    {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "x"}},
    {"type": "content_block_delta", "index": "0", "delta": {"type": "text_delta", "text": 5}},
    {"type": "content_block_delta", "index": 0, "delta": None},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{"}},
    {"type": "content_block_start", "content_block": "no"},
    {"type": "message_start", "message": []},
    {"type": "message_delta", "delta": [], "usage": "many"},
    {"type": "message_delta", "delta": {"stop_reason": 5}, "usage": {"output_tokens": "5", "input_tokens": -1}},
    {"type": 5},
    {},
]


@pytest.mark.parametrize("event", ODD, ids=lambda event: json.dumps(event)[:40])
def test_odd_events_cost_nothing_but_themselves(event: dict[str, Any]) -> None:
    body = b"".join(f"event: x\ndata: {json.dumps(item)}\n\n".encode() for item in (*EVENTS[:4], event, *EVENTS[4:]))
    generation = read(streamed(body, operation=MESSAGES))
    assert text_of(generation).startswith("Hi")
    assert len(generation.chunk_kinds) == len(EVENTS)
    assert generation.finish_reasons in (["stop"], [])


@pytest.mark.parametrize(
    "body",
    [
        {"content": None},
        {"content": "text"},
        {"content": 5},
        {"content": [None, 5, "t", {"type": 5}, {"type": "tool_use"}, {"type": "text", "text": None}]},
        {"content": [], "usage": "many"},
        {"content": [], "usage": {"input_tokens": "1", "cache_creation": [], "iterations": [5, {"type": "compaction"}]}},
        {"stop_reason": ["x"]},
        [],
        "x",
    ],
    ids=str,
)
def test_odd_answers_are_read_as_far_as_they_go(body: Any) -> None:
    record = read_call(answered(body, {"model": "m", "messages": 5, "tools": [5], "system": 5, "thinking": []}, operation=MESSAGES))
    assert record.outcome == COMPLETED
    assert record.generation is not None
    assert record.generation.problems


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["type", "text", "index", "delta", "usage", "content"]), inner)
    ),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.sampled_from(["type", "index", "delta", "message", "usage", "content_block"]), JSON), max_size=6))
def test_whatever_the_events_are_nothing_raises(events: list[dict[str, Any]]) -> None:
    body = b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in events)
    read_call(streamed(body, {"model": "m"}, operation=MESSAGES))


# Bedrock: the same events in Amazon's binary frames.


def frame(payload: bytes, **headers: str) -> bytes:
    head = b"".join(
        struct.pack("B", len(name) + 1) + f":{name.replace('_', '-')}".encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return message + struct.pack(">I", zlib.crc32(message))


def bedrock(*events: dict[str, Any]) -> bytes:
    return b"".join(
        frame(
            json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode(), "p": "abc"}).encode(),
            event_type="chunk",
            content_type="application/json",
            message_type="event",
        )
        for event in events
    )


def of_bedrock(data: bytes, cut: int = 50) -> Any:
    pieces = [data[start : start + cut] for start in range(0, len(data), cut)]
    return streamed(pieces, operation=MESSAGES, content_type="application/vnd.amazon.eventstream", provider="aws.bedrock")


def test_a_stream_of_bedrock_reads_like_any_other() -> None:
    generation = read(of_bedrock(bedrock(*EVENTS)))
    plain = read(streamed(named_events(*EVENTS), operation=MESSAGES, provider="aws.bedrock"))
    assert generation == plain
    assert generation.problems == []
    assert text_of(generation) == "Hi"
    assert generation.provider == "aws.bedrock"


def test_an_exception_of_bedrock_in_the_middle() -> None:
    exception = frame(b'{"message": "slow down"}', message_type="exception", exception_type="throttlingException")
    record = read_call(of_bedrock(bedrock(*EVENTS[:4]) + exception))
    assert record.outcome == FAILED
    assert record.generation is not None
    assert (record.generation.error_code, record.generation.error_message) == ("throttlingException", "slow down")


@pytest.mark.parametrize("cut", [3, 20, -5])
def test_a_cut_stream_of_bedrock_is_read_as_far_as_it_came(cut: int) -> None:
    data = bedrock(*EVENTS)
    record = read_call(of_bedrock(data[:cut]))
    assert record.generation is not None
    assert len(record.generation.chunk_kinds) == (len(EVENTS) - 2 if cut < 0 else 0)


def test_broken_frames_are_said_so() -> None:
    assert "a frame of the event stream is broken" in read(of_bedrock(b"\x00" * 40)).problems
