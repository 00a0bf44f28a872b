"""Every recording of real traffic is read whole; what stands in representative ones was checked by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.reading.calls import counts, only, parts_of, read, recorded, text_of
from tracer.call import COMPLETED, FAILED
from tracer.reading import read_call
from tracer.replay.recordings import Recording, by_id, load

RECORDINGS = load()
STREAMS = [recording for recording in RECORDINGS if recording.streamed]
ANSWERS = [recording for recording in RECORDINGS if not recording.streamed and recording.status < 400]


def by_name(recording: Recording) -> str:
    return recording.id


def sdk_chunks(recording: Recording) -> list[dict[str, Any]]:
    """The chunks an SDK would hand out, parsed in another way than the readers do."""
    found: list[dict[str, Any]] = []
    for line in recording.body.splitlines():
        if line.startswith("data: {"):
            data = json.loads(line[len("data: ") :])
            if not data.get("error"):
                found.append(data)
    return found


@pytest.mark.parametrize("recording", RECORDINGS, ids=by_name)
def test_nothing_of_a_recording_is_unreadable(recording: Recording) -> None:
    generation = read(recorded(recording, cut=37))
    assert generation.problems == []
    assert generation.request == recording.request
    assert generation.request_model == recording.request["model"]
    assert generation.operation == {"completions": "text_completion", "embeddings": "embeddings"}.get(recording.api, "chat")
    assert generation.api_type == {"chat": "chat_completions", "responses": "responses"}.get(recording.api)


@pytest.mark.parametrize("recording", ANSWERS, ids=by_name)
def test_the_head_of_an_answer_is_taken_over(recording: Recording) -> None:
    generation, body = read(recorded(recording)), json.loads(recording.body)
    assert (generation.response_id, generation.response_model) == (body.get("id"), body["model"])
    assert generation.response_service_tier == body.get("service_tier")
    usage = body["usage"]
    assert counts(generation)["input"] == usage.get("prompt_tokens", usage.get("input_tokens"))
    assert counts(generation)["total"] == usage["total_tokens"]
    if recording.api != "embeddings":
        assert generation.answer == body
        assert counts(generation)["output"] == usage.get("completion_tokens", usage.get("output_tokens"))
        assert generation.all_finished


@pytest.mark.parametrize("recording", STREAMS, ids=by_name)
def test_every_chunk_of_a_stream_is_counted(recording: Recording) -> None:
    assert len(read(recorded(recording, cut=100)).chunk_kinds) == len(sdk_chunks(recording))


@pytest.mark.parametrize("recording", STREAMS, ids=by_name)
@pytest.mark.parametrize("cut", [1, 7, 4096])
def test_where_a_stream_was_cut_into_pieces_makes_no_difference(recording: Recording, cut: int) -> None:
    assert read(recorded(recording, cut=cut)) == read(recorded(recording))


@pytest.mark.parametrize("recording", [stream for stream in STREAMS if stream.api == "chat"], ids=by_name)
def test_a_merged_chat_stream_holds_all_fragments(recording: Recording) -> None:
    """Joined in another way: per choice and field, over all chunks."""
    generation = read(recorded(recording))
    assert generation.answer is not None
    answer: dict[str, Any] = generation.answer
    for choice in answer["choices"]:
        deltas = [
            part["delta"] for event in sdk_chunks(recording) for part in event.get("choices") or () if part["index"] == choice["index"]
        ]
        for name in ("content", "refusal", "reasoning", "reasoning_content"):
            assert (choice["message"].get(name) or "") == "".join(delta.get(name) or "" for delta in deltas)
        calls: list[Any] = choice["message"].get("tool_calls") or []
        for index, call in enumerate(calls):
            fragments = [part for delta in deltas for part in delta.get("tool_calls") or () if part["index"] == index]
            assert call["function"]["arguments"] == "".join(part["function"].get("arguments") or "" for part in fragments)
            assert call["id"] == fragments[0]["id"]
            assert set(call) == {"id", "type", "function"}


@pytest.mark.parametrize("recording", [stream for stream in STREAMS if stream.api == "responses"], ids=by_name)
def test_a_response_stream_gives_the_response_of_its_last_event(recording: Recording) -> None:
    assert read(recorded(recording)).answer == sdk_chunks(recording)[-1]["response"]


def test_a_tool_call_and_the_request_that_offered_the_tools() -> None:
    generation = read(recorded("openinference.beeai.instrumentor.llm_with_tools.0"))
    assert parts_of(generation) == [
        {
            "type": "tool_call",
            "id": "call_l3hCeqcnWalcG3C9gI5t9p1w",
            "name": "OpenMeteoTool",
            "arguments": {
                "location_name": "Las Vegas",
                "country": "USA",
                "start_date": None,
                "end_date": None,
                "temperature_unit": "celsius",
            },
        }
    ]
    assert generation.finish_reasons == ["tool_call"]
    assert only(generation.output_messages).finish_reason == "tool_call"
    assert generation.parameters == {"temperature": 0.0, "max_tokens": 100}
    assert isinstance(generation.parameters["temperature"], float)
    assert [message.role for message in generation.input_messages] == ["system", "user"]
    assert generation.input_messages[1].parts == [{"type": "text", "content": "What's the current weather in Las Vegas?"}]
    first = generation.tool_definitions[0]
    assert (first["type"], first["name"], first["strict"]) == ("function", "DuckDuckGo", True)
    assert "function" not in first
    assert generation.system_fingerprint == "fp_deacdd5f6f"


def test_parallel_tool_calls_of_a_stream() -> None:
    generation = read(recorded("openaipy.stream.parse_multiple_pydantic_tools", cut=11))
    assert parts_of(generation) == [
        {
            "type": "tool_call",
            "id": "call_JMW1whyEaYG438VE1OIflxA2",
            "name": "GetWeatherArgs",
            "arguments": {"city": "Edinburgh", "country": "GB", "units": "c"},
        },
        {
            "type": "tool_call",
            "id": "call_DNYTawLBoN8fj3KN6qU9N1Ou",
            "name": "get_stock_price",
            "arguments": {"ticker": "AAPL", "exchange": "NASDAQ"},
        },
    ]
    assert counts(generation) == {"input": 149, "output": 60, "total": 209, "reasoning": 0}
    assert generation.chunk_kinds.count("tool_call") == 22
    assert generation.chunk_kinds[-1] == "usage"


def test_choices_that_interleave() -> None:
    generation = read(recorded("openaipy.stream.parse_pydantic_model_multiple_choices"))
    assert [message.parts for message in generation.output_messages] == [
        [{"type": "text", "content": '{"city":"San Francisco","temperature":65,"units":"f"}'}],
        [{"type": "text", "content": '{"city":"San Francisco","temperature":61,"units":"f"}'}],
        [{"type": "text", "content": '{"city":"San Francisco","temperature":59,"units":"f"}'}],
    ]
    assert generation.finish_reasons == ["stop", "stop", "stop"]
    assert generation.parameters == {"choice.count": 3, "stream": True}
    assert generation.output_type == "json"


def test_a_refusal_is_text() -> None:
    streamed_refusal = read(recorded("openaipy.stream.parse_pydantic_model_refusal"))
    assert parts_of(streamed_refusal) == [{"type": "text", "content": "I'm sorry, I can't assist with that request."}]
    assert streamed_refusal.chunk_kinds[:2] == ["other", "text"]
    whole = read(recorded("openllmetry.chat_parse.async_parsed_refused_completion.0"))
    assert parts_of(whole) == [{"type": "text", "content": "I'm very sorry, but I can't assist with that request."}]


def test_log_probabilities_of_a_stream_are_one_list() -> None:
    generation = read(recorded("openaipy.stream.content_logprobs_events"))
    assert generation.answer is not None
    answer: dict[str, Any] = generation.answer
    logprobs = answer["choices"][0]["logprobs"]
    assert [entry["token"] for entry in logprobs["content"]] == ["Foo", "!"]
    assert logprobs["refusal"] is None


def test_a_legacy_function_call() -> None:
    generation = read(recorded("openllmetry.langchain.llms.openai_functions"))
    assert parts_of(generation) == [
        {
            "type": "tool_call",
            "name": "Joke",
            "arguments": {
                "setup": "Why did the scarecrow win an award?",
                "punchline": "Because he was outstanding in his field!",
            },
        }
    ]
    assert generation.finish_reasons == ["tool_call"]
    definition = generation.tool_definitions[0]
    assert (definition["type"], definition["name"], definition["description"]) == ("function", "Joke", "Joke to tell user.")
    # n=1 is no parameter worth an attribute.
    assert generation.parameters == {"temperature": 0.7}


def test_audio_input_is_a_blob() -> None:
    recording = by_id("logfire.openai.chat_completions_with_audio_input")
    generation = read(recorded(recording))
    sound = only(generation.input_messages).parts[1]
    assert sound == {
        "type": "blob",
        "modality": "audio",
        "mime_type": "audio/wav",
        "content": recording.request["messages"][0]["content"][1]["input_audio"]["data"],
    }
    assert counts(generation) == {
        "input": 21,
        "output": 1,
        "total": 22,
        "cache_read": 0,
        "reasoning": 0,
        "input_audio": 2,
        "input_text": 19,
        "input_image": 0,
        "output_audio": 0,
        "output_text": 1,
    }


def test_an_image_by_address_and_the_error_that_it_made() -> None:
    generation = read(recorded("openinference.input_value_image_hiding.TestInputValueImageHiding.test_input_value_hides_re"))
    assert only(generation.input_messages).parts[1] == {
        "type": "uri",
        "modality": "image",
        "uri": "https://example.com/test-image.jpg",
    }
    assert generation.error_code == "invalid_image_url"
    assert generation.error_message == "Error while downloading https://example.com/test-image.jpg."
    assert generation.answer is None
    assert (generation.output_messages, generation.finish_reasons, generation.usage) == ([], [], None)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("langsmith.openai_agents_test_wrap_openai_nests_under_agent_trace.1", "invalid_api_key"),
        ("pydanticai.model_name_suggestions.model_name_suggestion-openai-chat", "model_not_found"),
        ("otel.genai.embeddings_model_not_found", "model_not_found"),
        ("pydanticai.openai_responses.openai_responses_thinking_with_modified_history.1", "invalid_request_error"),
    ],
)
def test_bodies_of_failed_requests(name: str, code: str) -> None:
    record = read_call(recorded(name))
    assert record.outcome == FAILED
    assert record.generation is not None
    assert record.generation.error_code == code
    assert record.generation.error_message


def test_azure() -> None:
    generation = read(recorded("openllmetry.azure.chat_reasoning.0"))
    assert generation.provider == "azure.ai.openai"
    assert text_of(generation) == "3"
    assert generation.parameters == {"reasoning.level": "low"}
    assert counts(generation)["reasoning"] == 192


def test_openrouter_reports_cost_and_cache() -> None:
    generation = read(recorded("pydanticai.cache.openrouter_cache_all_settings_real_api.1", server_host="openrouter.ai"))
    assert generation.provider == "openrouter"
    assert counts(generation) == {
        "input": 2649,
        "output": 100,
        "total": 2749,
        "cache_read": 2569,
        "cache_write": 79,
        "reasoning": 0,
        "input_audio": 0,
        "output_audio": 0,
        "output_image": 0,
        "cost": 0.00256995,
    }
    assert generation.parameters == {"max_tokens": 100}
    assert generation.finish_reasons == ["length"]
    assert generation.input_messages[0].parts[0]["cache_control"] == {"ttl": "5m", "type": "ephemeral"}


def test_reasoning_and_a_tool_result_of_a_compatible_server() -> None:
    generation = read(recorded("pydanticai.crusoe.crusoe_tool_calling.1"))
    asked = generation.input_messages
    assert [message.role for message in asked] == ["user", "assistant", "tool"]
    assert [part["type"] for part in asked[1].parts] == ["reasoning", "tool_call"]
    assert asked[2].parts == [{"type": "tool_call_response", "id": "chatcmpl-tool-bbb91941bf76335c", "response": "sunny, 25C"}]
    assert parts_of(generation)[0] == {
        "type": "reasoning",
        "content": "The weather in Paris is sunny and 25°C. I'll relay this information to the user.",
    }
    assert parts_of(generation)[1]["type"] == "text"


def test_reasoning_content_of_a_stream() -> None:
    generation = read(recorded("pydanticai.zai.zai_thinking_stream", cut=5))
    reasoning, text = parts_of(generation)
    assert str(reasoning["content"]).startswith("\n1.  **Analyze the User's Request:**")
    assert text == {"type": "text", "content": "4"}
    assert generation.chunk_kinds[0] == "reasoning"
    assert generation.chunk_kinds[-3:] == ["text", "other", "usage"]
    assert generation.finish_reasons == ["stop"]
    assert counts(generation)["reasoning"] == 561


def test_reasoning_details_of_a_stream_without_finish_reason() -> None:
    generation = read(recorded("pydanticai.snowflake.snowflake_thinking_streaming"))
    reasoning, text = parts_of(generation)
    assert reasoning == {"type": "reasoning", "content": "15 * 27 = 405"}
    assert str(text["content"]).startswith("15 \u00d7 27 = **405**")
    assert generation.finish_reasons == []
    assert generation.parameters == {"temperature": 1.0, "stream": True, "reasoning.level": "low"}
    assert not generation.all_finished


def test_an_error_in_the_middle_of_a_stream() -> None:
    record = read_call(recorded("pydanticai.groq.tool_use_failed_error_streaming.0", ending=FAILED))
    generation = record.generation
    assert generation is not None
    assert generation.error_code == "tool_use_failed"
    assert str(generation.error_message).startswith("Tool call validation failed")
    assert generation.finish_reasons == ["error"]
    message = only(generation.output_messages)
    assert (message.finish_reason, message.parts[0]["type"]) == ("error", "reasoning")
    # A caller who read the bytes by hand saw no exception.
    assert read_call(recorded("pydanticai.groq.tool_use_failed_error_streaming.0", ending=COMPLETED)).outcome == FAILED


def test_responses_with_file_search() -> None:
    generation = read(recorded("pydanticai.openai_responses.openai_responses_model_file_search_tool_stream.3", cut=13))
    call, text = parts_of(generation)
    assert call == {
        "type": "server_tool_call",
        "id": "fs_006dcb10dc68b990006931d758d64c819b8936fb07f31c09d4",
        "name": "file_search",
        "server_tool_call": {"type": "file_search", "queries": ["What is the capital of France?"]},
    }
    assert text["content"] == "The capital of France is Paris."
    assert text["annotations"] == [
        {"type": "file_citation", "file_id": "file-9RhPAs9YqVajpGXRfcgavJ", "filename": "tmp8l5_2pzy.txt", "index": 30}
    ]
    assert generation.system_instructions == [{"type": "text", "content": "You are a helpful assistant."}]
    assert generation.tool_definitions == [
        {"type": "file_search", "name": "file_search", "vector_store_ids": ["vs_6931d752e41c8191833fcaad1cf47055"]}
    ]
    assert generation.finish_reasons == ["stop"]


def test_responses_with_web_search() -> None:
    generation = read(recorded("pydanticai.openai_responses.openai_responses_model_web_search_tool_stream.0"))
    call, text = parts_of(generation)
    assert (call["type"], call["name"]) == ("server_tool_call", "web_search")
    assert call["server_tool_call"] == {
        "type": "web_search",
        "action": {"type": "search", "query": "weather: San Francisco, CA", "sources": [{"type": "api", "name": "oai-weather"}]},
    }
    assert "around 71°F" in str(text["content"])
    assert generation.tool_definitions == [{"type": "web_search", "name": "web_search", "search_context_size": "medium"}]
    assert counts(generation) == {"input": 9463, "output": 582, "total": 10045, "cache_read": 8320, "reasoning": 512}
    assert "text" in generation.chunk_kinds


def test_a_function_call_of_responses() -> None:
    generation = read(recorded("pydanticai.openai_responses.openai_responses_streaming_usage"))
    assert parts_of(generation) == [
        {"type": "tool_call", "id": "call_CWXgs68YprAjp6t0371hiPOI", "name": "final_result", "arguments": {"result": 6666}}
    ]
    assert generation.finish_reasons == ["tool_call"]
    assert (generation.service_tier, generation.response_service_tier) == ("flex", "flex")
    assert generation.parameters == {"stream": True, "reasoning.level": "low"}


def test_reasoning_text_of_responses_and_the_turn_it_belongs_to() -> None:
    answer = read(recorded("pydanticai.deepseek_responses.deepseek_responses-function_tool.0"))
    assert [part["type"] for part in parts_of(answer)] == ["reasoning", "tool_call"]
    followed = read(recorded("pydanticai.deepseek_responses.deepseek_responses-function_tool_stream.1"))
    assert [(message.role, [part["type"] for part in message.parts]) for message in followed.input_messages] == [
        ("user", ["text"]),
        ("assistant", ["reasoning", "tool_call"]),
        ("tool", ["tool_call_response"]),
    ]
    assert followed.input_messages[2].parts[0]["response"] == "21.0"


def test_responses_that_follow_another() -> None:
    generation = read(recorded("pydanticai.openai_responses.openai_previous_response_id_seed_auto_chains_through_retries.3"))
    assert generation.previous_response_id == "resp_0435eb6c2aa8e9eb0069e1600000608195818a61245c018620"
    assert only(generation.input_messages).role == "tool"
    assert text_of(generation) == "The weather in New York is sunny and 72°F."


def test_completions() -> None:
    whole = read(recorded("langsmith.openai_test_completions_async_api.0"))
    assert parts_of(whole) == [{"type": "text", "content": "\n\nHi i'm Chat"}]
    assert whole.finish_reasons == ["length"]
    assert whole.parameters == {"temperature": 0.0, "seed": 42, "max_tokens": 5}
    assert only(whole.input_messages).parts == [{"type": "text", "content": "Say 'Hi i'm ChatGPT' then stop."}]
    stream = read(recorded("openllmetry.completions.async_completion_streaming.0", cut=3))
    assert text_of(stream) == " that isn\u2019t about collecting logs\n\nJ) Some of these folks helped bring the"
    assert stream.chunk_kinds == ["text"] * 16
    assert stream.answer is not None
    assert stream.answer["object"] == "text_completion"


def test_nulls_among_the_parameters_of_a_request_are_not_sent() -> None:
    assert read(recorded("openllmetry.together.completion.together_completion_legacy")).parameters == {"max_tokens": 512}


def test_embeddings_keep_their_length_and_lose_their_vectors() -> None:
    asked = read(recorded("pydanticai.embeddings.TestOpenAI.test_instrumentation"))
    assert asked.embedding_dimensions == 128
    assert asked.parameters == {"encoding_formats": ["base64"]}
    assert counts(asked) == {"input": 4, "total": 4}
    assert (asked.output_messages, asked.input_messages, asked.finish_reasons) == ([], [], [])
    unasked = read(recorded("openllmetry.embeddings.azure_openai_embeddings.0"))
    assert unasked.embedding_dimensions == 3072
    assert unasked.answer is not None
    assert unasked.answer["data"] == [{"index": 0, "object": "embedding"}]
    assert unasked.provider == "azure.ai.openai"
