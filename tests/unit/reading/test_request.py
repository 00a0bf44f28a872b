"""Parameters, tools and messages of requests."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.unit.reading.calls import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, answered, only, read
from tracer.reading.generation import Generation, Part

ANSWER: dict[str, object] = {"id": "x", "choices": []}


def asked(request: object, operation: str = CHAT) -> Generation:
    return read(answered(ANSWER, request, operation=operation))


def part_of_user(content: object) -> Part:
    parts = only(asked({"messages": [{"role": "user", "content": [content]}]}).input_messages).parts
    assert len(parts) == 1
    return parts[0]


def test_parameters_of_chat_have_the_types_of_the_conventions() -> None:
    request: dict[str, object] = {
        "model": "m",
        "temperature": 0,
        "top_p": 1,
        "frequency_penalty": -1,
        "presence_penalty": 2,
        "max_completion_tokens": 9,
        "max_tokens": 8,
        "seed": 3,
        "top_k": 40.0,
        "stop": "END",
        "n": 2,
        "reasoning_effort": "high",
        "stream": False,
        "service_tier": "flex",
        "response_format": {"type": "json_schema", "json_schema": {}},
        "user": "someone",
        "metadata": {"secret": "x"},
        "top_logprobs": 5,
    }
    generation = asked(request)
    assert generation.parameters == {
        "temperature": 0.0,
        "top_p": 1.0,
        "frequency_penalty": -1.0,
        "presence_penalty": 2.0,
        "max_tokens": 9,
        "seed": 3,
        "top_k": 40,
        "stop_sequences": ["END"],
        "choice.count": 2,
        "reasoning.level": "high",
    }
    floats = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
    assert all(isinstance(generation.parameters[name], float) for name in floats)
    assert all(isinstance(generation.parameters[name], int) for name in ("max_tokens", "seed", "top_k", "choice.count"))
    assert (generation.service_tier, generation.output_type) == ("flex", "json")


@pytest.mark.parametrize(
    "request_fields",
    [
        {"temperature": "hot"},
        {"temperature": True},
        {"seed": 1.5},
        {"max_tokens": 10**30},
        {"n": [2]},
        {"stop": 5},
        {"reasoning_effort": 3},
        {"top_p": 10**400},
        {"service_tier": {}},
    ],
)
def test_a_parameter_of_a_wrong_kind_is_dropped_and_noted(request_fields: dict[str, object]) -> None:
    generation = asked({"model": "m", "presence_penalty": 1, **request_fields})
    assert generation.parameters == {"presence_penalty": 1.0}
    assert generation.service_tier is None
    (problem,) = [problem for problem in generation.problems if "choices" not in problem]
    assert next(iter(request_fields)) in problem


def test_values_that_say_nothing_are_no_parameters() -> None:
    generation = asked({"n": 1, "service_tier": "auto", "stop": None, "temperature": None, "stop_sequences": ["no"], "stream": False})
    assert generation.parameters == {}
    assert generation.service_tier is None


def test_stop_keeps_its_texts_only() -> None:
    assert asked({"stop": ["a", 3, "b"]}).parameters == {"stop_sequences": ["a", "b"]}


@pytest.mark.parametrize(
    ("request_fields", "expected"),
    [
        ({"response_format": {"type": "json_object"}}, "json"),
        ({"response_format": {"type": "text"}}, "text"),
        ({"modalities": ["text", "audio"], "response_format": {"type": "text"}}, "speech"),
        ({"response_format": {"type": "grammar"}}, None),
        ({}, None),
    ],
)
def test_output_type_of_chat(request_fields: dict[str, object], expected: str | None) -> None:
    assert asked(request_fields).output_type == expected


def test_parameters_of_responses() -> None:
    request = {
        "model": "m",
        "max_output_tokens": 50,
        "temperature": 1,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_schema"}},
        "conversation": {"id": "conv_1"},
        "previous_response_id": "resp_0",
        "prompt": {"id": "greet", "version": "2", "variables": {"name": "Alice"}},
        "instructions": "Be brief.",
        "input": "hi",
        "n": 4,
    }
    generation = asked(request, RESPONSES)
    assert generation.parameters == {"max_tokens": 50, "temperature": 1.0, "reasoning.level": "low"}
    assert generation.output_type == "json"
    assert (generation.conversation_id, generation.previous_response_id) == ("conv_1", "resp_0")
    assert (generation.prompt_name, generation.prompt_version) == ("greet", "2")
    assert generation.system_instructions == [{"type": "text", "content": "Be brief."}]
    assert only(generation.input_messages).parts == [{"type": "text", "content": "hi"}]
    assert asked({"conversation": "conv_2"}, RESPONSES).conversation_id == "conv_2"


def test_parameters_of_embeddings_and_completions() -> None:
    embeddings = asked({"model": "e", "dimensions": 256, "encoding_format": "float", "temperature": 1, "input": ["a"]}, EMBEDDINGS)
    assert (embeddings.parameters, embeddings.embedding_dimensions) == ({"encoding_formats": ["float"]}, 256)
    completion = asked({"prompt": ["a", "b"], "n": 3, "max_tokens": 4, "suffix": "z"}, COMPLETIONS)
    assert completion.parameters == {"choice.count": 3, "max_tokens": 4}
    assert [message.parts[0]["content"] for message in completion.input_messages] == ["a", "b"]


def test_a_prompt_of_tokens_is_kept_as_tokens() -> None:
    generation = asked({"prompt": [1, 2, 3]}, COMPLETIONS)
    assert only(generation.input_messages).parts == [{"type": "generic", "generic_type": "tokens", "content": [1, 2, 3]}]


def test_the_model_of_the_call_stands_in_for_a_request_without_one() -> None:
    assert read(answered(ANSWER, {"messages": []}, model="deployment")).request_model == "deployment"
    assert read(answered(ANSWER, {"model": "m"}, model="deployment")).request_model == "m"


def test_tools_become_flat_and_lose_their_secrets() -> None:
    mcp = {
        "type": "mcp",
        "server_label": "wiki",
        "server_url": "https://x",
        "headers": {"Authorization": "Bearer s3cret"},
        "authorization": "s3cret",
    }
    place = {"type": "web_search", "search_context_size": "low", "user_location": {"city": "Bern"}}
    function = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": False}
    generation = asked({"tools": [mcp, place, function]}, RESPONSES)
    assert generation.tool_definitions == [
        {"type": "mcp", "name": "wiki"},
        {"type": "web_search", "name": "web_search", "search_context_size": "low"},
        function,
    ]
    assert generation.request is not None
    assert "s3cret" not in str(generation.request)
    assert "https://x" in str(generation.request)


def test_tools_of_chat_are_nested() -> None:
    tools = [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
        {"type": "custom", "custom": {"name": "c", "description": "free text", "format": {"type": "text"}}},
        "not a tool",
    ]
    generation = asked({"tools": tools})
    assert generation.tool_definitions == [
        {"type": "function", "name": "f", "parameters": {"type": "object"}},
        {"type": "custom", "name": "c", "description": "free text", "format": {"type": "text"}},
    ]
    assert "a tool is text" in generation.problems


def test_a_data_address_becomes_a_blob() -> None:
    part = part_of_user({"type": "image_url", "image_url": {"url": "data:image/PNG;base64,aGk=", "detail": "low"}})
    assert part == {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "aGk=", "detail": "low"}


def test_a_data_address_without_base64_is_encoded() -> None:
    part = part_of_user({"type": "image_url", "image_url": {"url": "data:image/svg+xml,%3Csvg%2F%3E"}})
    assert part["mime_type"] == "image/svg+xml"
    assert base64.b64decode(str(part["content"])) == b"<svg/>"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("plain", {"type": "text", "content": "plain"}),
        ({"type": "text", "text": "t"}, {"type": "text", "content": "t"}),
        ({"text": "no type"}, {"type": "text", "content": "no type"}),
        ({"type": "image_url", "image_url": "https://x/y.png"}, {"type": "uri", "modality": "image", "uri": "https://x/y.png"}),
        (
            {"type": "input_image", "file_id": "f1", "detail": "auto"},
            {"type": "file", "modality": "image", "file_id": "f1", "detail": "auto"},
        ),
        ({"type": "input_image", "image_url": "https://x/y"}, {"type": "uri", "modality": "image", "uri": "https://x/y"}),
        (
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
            {"type": "blob", "modality": "audio", "mime_type": "audio/mpeg", "content": "QUJD"},
        ),
        ({"type": "video_url", "video_url": {"url": "https://v"}}, {"type": "uri", "modality": "video", "uri": "https://v"}),
        ({"type": "file", "file": {"file_id": "f2"}}, {"type": "file", "modality": "document", "file_id": "f2"}),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ=="}},
            {"type": "blob", "modality": "document", "mime_type": "application/pdf", "content": "QQ==", "filename": "a.pdf"},
        ),
        ({"type": "input_file", "file_url": "https://f"}, {"type": "uri", "modality": "document", "uri": "https://f"}),
        ({"type": "refusal", "refusal": "no"}, {"type": "text", "content": "no"}),
        ({"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "reasoning", "content": "hm"}),
        ({"type": "hologram", "beam": 3}, {"type": "generic", "generic_type": "hologram", "beam": 3}),
        ({"type": "image_url", "image_url": 5}, {"type": "generic", "generic_type": "image_url", "image_url": 5}),
        (17, {"type": "generic", "generic_type": "unknown", "content": 17}),
    ],
)
def test_kinds_of_content(content: object, expected: Part) -> None:
    assert part_of_user(content) == expected


def test_large_content_is_not_copied() -> None:
    """The part holds the very text that stands in the parsed request."""
    request = {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "A" * 1000, "format": "wav"}}]}]}
    generation = asked(request)
    assert generation.request is not None
    parsed: Any = generation.request["messages"]
    assert only(generation.input_messages).parts[0]["content"] is parsed[0]["content"][0]["input_audio"]["data"]


def test_a_conversation_with_tools() -> None:
    messages = [
        {"role": "developer", "content": "rules"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": "not json"}},
                {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "select 1"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": '{"ok": true}'},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "done"}]},
        {"role": "function", "name": "old", "content": "7"},
        {"role": "user", "name": "Ann", "content": "thanks"},
        {"role": "assistant", "audio": {"id": "audio_1"}},
    ]
    read_messages = asked({"messages": messages}).input_messages
    assert [message.role for message in read_messages] == ["developer", "assistant", "tool", "tool", "function", "user", "assistant"]
    assert read_messages[1].parts == [
        {"type": "tool_call", "id": "a", "name": "f", "arguments": {"x": 1}},
        {"type": "tool_call", "id": "b", "name": "g", "arguments": "not json"},
        {"type": "tool_call", "id": "c", "name": "sql", "arguments": "select 1"},
    ]
    assert read_messages[2].parts == [{"type": "tool_call_response", "id": "a", "response": {"ok": True}}]
    assert read_messages[3].parts == [{"type": "tool_call_response", "id": "b", "response": "done"}]
    assert read_messages[4].parts == [{"type": "tool_call_response", "response": "7", "name": "old"}]
    assert read_messages[5].name == "Ann"
    assert read_messages[6].parts == [{"type": "file", "modality": "audio", "file_id": "audio_1"}]


def test_items_of_responses() -> None:
    items: list[dict[str, object]] = [
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": "data:image/gif;base64,R0"}],
        },
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "think"}], "encrypted_content": "zzz"},
        {"type": "function_call", "call_id": "c1", "id": "fc", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "code", "input": "print()"},
        {"type": "computer_call", "call_id": "c3", "action": {"type": "click", "x": 1}},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "[1]"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "one", "annotations": []}]},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "two"}]},
        {"type": "compaction", "id": "cmp", "encrypted_content": "zzz"},
        {"type": "item_reference", "id": "msg_1"},
    ]
    generation = asked({"input": items}, RESPONSES)
    assert [(message.role, message.parts) for message in generation.input_messages] == [
        (
            "user",
            [
                {"type": "text", "content": "look"},
                {"type": "blob", "modality": "image", "mime_type": "image/gif", "content": "R0"},
            ],
        ),
        (
            "assistant",
            [
                {"type": "reasoning", "content": "think"},
                {"type": "tool_call", "id": "c1", "name": "f", "arguments": {}},
                {"type": "tool_call", "id": "c2", "name": "code", "arguments": "print()"},
                {"type": "tool_call", "id": "c3", "name": "computer", "arguments": {"type": "click", "x": 1}},
            ],
        ),
        ("tool", [{"type": "tool_call_response", "id": "c1", "response": [1]}]),
        ("assistant", [{"type": "text", "content": "one"}]),
        ("assistant", [{"type": "text", "content": "two"}]),
        ("user", [{"type": "compaction", "id": "cmp"}]),
        ("user", [{"type": "generic", "generic_type": "item_reference", "id": "msg_1"}]),
    ]


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("api.groq.com", "groq"),
        ("openrouter.ai", "openrouter"),
        ("api.deepseek.com", "deepseek"),
        ("api.together.xyz", "together"),
        ("api.mistral.ai", "mistral_ai"),
        ("api.x.ai", "x_ai"),
        ("API.Perplexity.AI", "perplexity"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "aws.bedrock"),
        ("mine.openai.azure.com", "azure.ai.openai"),
        ("mine.services.ai.azure.com", "azure.ai.inference"),
        ("api.cohere.com", "cohere"),
        ("api.groq.com.evil.example", "openai"),
        ("notopenrouter.ai", "openai"),
        ("", "openai"),
    ],
)
def test_provider(host: str, provider: str) -> None:
    assert read(answered(ANSWER, server_host=host)).provider == provider
