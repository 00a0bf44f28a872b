"""Hosts that speak OpenAI's protocol: each has its provider, and its own spellings of reasoning and of cached tokens.

The answers are in the form that each host gives them; the numbers are made up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.unit.reading.calls import answered, chunk, counts, events, parts_of, read, streamed
from tracer.call import Call
from tracer.reading.providers import provider_of_call

REQUEST: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "2+2?"}]}
TEXT = {"type": "text", "content": "4"}
THOUGHT = {"type": "reasoning", "content": "Two and two."}


@dataclass(frozen=True)
class Host:
    """How one host answers: fields of the message beside `content`, the usage, fields of the answer; and what is meant by it."""

    provider: str
    address: str
    counts: dict[str, object]
    usage: dict[str, Any]
    message: dict[str, Any] = field(default_factory=dict[str, Any])
    answer: dict[str, Any] = field(default_factory=dict[str, Any])
    content: str | list[dict[str, Any]] = "4"
    port: int = 443
    path: str = "/v1"


HOSTS = [
    Host(
        "groq",
        "api.groq.com",
        {"input": 74, "output": 40, "total": 114, "cache_read": 64, "reasoning": 30},
        {
            "queue_time": 0.03,
            "prompt_tokens": 74,
            "prompt_time": 0.004,
            "completion_tokens": 40,
            "completion_time": 0.08,
            "total_tokens": 114,
            "total_time": 0.084,
            "prompt_tokens_details": {"cached_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
        {"reasoning": "Two and two."},
        {"x_groq": {"id": "req_1"}, "service_tier": "on_demand", "usage_breakdown": None},
        path="/openai/v1",
    ),
    Host(
        "openrouter",
        "openrouter.ai",
        {"input": 20, "output": 40, "total": 60, "cache_read": 5, "cache_write": 2, "reasoning": 30, "input_audio": 0, "cost": 0.00014},
        {
            "prompt_tokens": 20,
            "completion_tokens": 40,
            "total_tokens": 60,
            "cost": 0.00014,
            "is_byok": False,
            "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2, "audio_tokens": 0},
            "cost_details": {"upstream_inference_cost": None},
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
        {
            "refusal": None,
            "reasoning": "Two and two.",
            "reasoning_details": [{"type": "reasoning.text", "text": "Two and two.", "format": "unknown", "index": 0}],
        },
        {"provider": "Fireworks"},
        path="/api/v1",
    ),
    Host(
        "deepseek",
        "api.deepseek.com",
        {"input": 18, "output": 40, "total": 58, "cache_read": 12, "reasoning": 30},
        {
            "prompt_tokens": 18,
            "completion_tokens": 40,
            "total_tokens": 58,
            "completion_tokens_details": {"reasoning_tokens": 30},
            "prompt_cache_hit_tokens": 12,
            "prompt_cache_miss_tokens": 6,
        },
        {"reasoning_content": "Two and two."},
        path="",
    ),
    Host(
        "together",
        "api.together.xyz",
        {"input": 18, "output": 40, "total": 58, "cache_read": 4},
        {"prompt_tokens": 18, "completion_tokens": 40, "total_tokens": 58, "cached_tokens": 4},
        {"reasoning": "Two and two."},
        {"prompt": []},
    ),
    Host(
        "mistral_ai",
        "api.mistral.ai",
        {"input": 18, "output": 40, "total": 58, "cache_read": 16},
        {"prompt_tokens": 18, "completion_tokens": 40, "total_tokens": 58, "num_cached_tokens": 16},
        content=[
            {"type": "thinking", "thinking": [{"type": "text", "text": "Two and two."}], "closed": True},
            {"type": "text", "text": "4"},
        ],
    ),
    Host(
        "x_ai",
        "api.x.ai",
        # The output of this host leaves reasoning out, its total does not.
        {
            "input": 32,
            "output": 9 + 94,
            "total": 135,
            "cache_read": 6,
            "reasoning": 94,
            "input_text": 32,
            "input_audio": 0,
            "input_image": 0,
            "output_audio": 0,
        },
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 135,
            "prompt_tokens_details": {"text_tokens": 32, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 6},
            "completion_tokens_details": {"reasoning_tokens": 94, "audio_tokens": 0, "accepted_prediction_tokens": 0},
            "num_sources_used": 0,
        },
        {"reasoning_content": "Two and two."},
    ),
    Host(
        "fireworks",
        "api.fireworks.ai",
        {"input": 18, "output": 40, "total": 58, "cache_read": 16},
        {"prompt_tokens": 18, "completion_tokens": 40, "total_tokens": 58, "prompt_tokens_details": {"cached_tokens": 16}},
        {"reasoning_content": "Two and two."},
        path="/inference/v1",
    ),
    Host(
        "perplexity",
        "api.perplexity.ai",
        {"input": 18, "output": 40, "total": 58, "reasoning": 30, "cost": 0.006},
        {
            "prompt_tokens": 18,
            "completion_tokens": 40,
            "total_tokens": 58,
            "search_context_size": "low",
            "citation_tokens": 9,
            "num_search_queries": 1,
            "reasoning_tokens": 30,
            "cost": {"input_tokens_cost": 0.0, "output_tokens_cost": 0.001, "request_cost": 0.005, "total_cost": 0.006},
        },
        answer={"citations": ["https://example.com"], "search_results": [{"title": "T", "url": "https://example.com"}]},
        path="",
    ),
    Host(
        "cerebras",
        "api.cerebras.ai",
        {"input": 18, "output": 40, "total": 58, "cache_read": 0},
        {"prompt_tokens": 18, "completion_tokens": 40, "total_tokens": 58, "prompt_tokens_details": {"cached_tokens": 0}},
        {"reasoning": "Two and two."},
        {"time_info": {"queue_time": 0.0001, "completion_time": 0.01}},
    ),
    Host(
        "moonshot_ai",
        "api.moonshot.ai",
        {"input": 18, "output": 40, "total": 58, "cache_read": 10},
        {"prompt_tokens": 18, "completion_tokens": 40, "total_tokens": 58, "cached_tokens": 10},
        {"reasoning_content": "Two and two."},
    ),
    Host(
        "dashscope",
        "dashscope-intl.aliyuncs.com",
        {"input": 18, "output": 40, "total": 58, "cache_read": 4, "cache_write": 8},
        {
            "prompt_tokens": 18,
            "completion_tokens": 40,
            "total_tokens": 58,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_creation_input_tokens": 8, "cache_type": "ephemeral"},
        },
        {"reasoning_content": "Two and two."},
        path="/compatible-mode/v1",
    ),
    Host(
        "azure.ai.inference",
        "mine.services.ai.azure.com",
        {"input": 18, "output": 40, "total": 58},
        {"prompt_tokens": 18, "completion_tokens": 40, "total_tokens": 58, "prompt_tokens_details": None},
        {"reasoning_content": "Two and two."},
        path="/models",
    ),
    Host(
        "azure.ai.openai",
        "mine.services.ai.azure.com",
        {"input": 18, "output": 40, "total": 58},
        {"prompt_tokens": 18, "completion_tokens": 40, "total_tokens": 58},
        answer={"prompt_filter_results": []},
        path="/openai/v1",
    ),
    Host(
        "ollama",
        "10.0.0.5",
        {"input": 18, "output": 40, "total": 58},
        {"prompt_tokens": 18, "completion_tokens": 40, "total_tokens": 58},
        {"reasoning": "Two and two."},
        {"system_fingerprint": "fp_ollama"},
        port=11434,
    ),
    Host(
        "ollama",
        "models.internal",
        {"input": 18, "output": 40, "total": 58},
        {"prompt_tokens": 18, "completion_tokens": 40, "total_tokens": 58},
        answer={"system_fingerprint": "fp_ollama"},
    ),
    Host(
        "lm_studio",
        "localhost",
        {"input": 18, "output": 40, "total": 58, "reasoning": 30},
        {
            "prompt_tokens": 18,
            "completion_tokens": 40,
            "total_tokens": 58,
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
        {"reasoning_content": "Two and two."},
        {"stats": {}, "system_fingerprint": "m"},
        port=1234,
    ),
    # vLLM has no address of its own: it counts as what it speaks, unless the settings name it (see below).
    Host(
        "openai",
        "localhost",
        {"input": 18, "output": 40, "total": 58, "cache_read": 16},
        {"prompt_tokens": 18, "completion_tokens": 40, "total_tokens": 58, "prompt_tokens_details": {"cached_tokens": 16}},
        {"reasoning": "Two and two.", "reasoning_content": "Two and two.", "tool_calls": []},
        {"prompt_logprobs": None, "kv_transfer_params": None},
        port=8000,
    ),
    # A LiteLLM proxy in front of Anthropic: OpenAI's totals, with Anthropic's counts beside them.
    Host(
        "openai",
        "proxy.internal",
        {"input": 118, "output": 40, "total": 158, "cache_read": 60, "cache_write": 40},
        {
            "prompt_tokens": 118,
            "completion_tokens": 40,
            "total_tokens": 158,
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 40,
        },
        {"reasoning_content": "Two and two."},
    ),
]
EACH = pytest.mark.parametrize("host", HOSTS, ids=lambda host: f"{host.provider}-{host.address}")


def placed(call: Call, host: Host) -> Call:
    call.library, call.server_host, call.server_port, call.base_path = "openai", host.address, host.port, host.path
    return call


def thinks(host: Host) -> bool:
    return bool({"reasoning", "reasoning_content"} & set(host.message)) or isinstance(host.content, list)


@EACH
def test_an_answer(host: Host) -> None:
    message = {"role": "assistant", "content": host.content, **host.message}
    body = {
        "id": "c1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": host.usage,
        **host.answer,
    }
    generation = read(placed(answered(body, REQUEST), host))
    assert generation.problems == []
    assert generation.provider == host.provider
    assert counts(generation) == host.counts
    assert parts_of(generation) == ([THOUGHT, TEXT] if thinks(host) else [TEXT])
    assert generation.finish_reasons == ["stop"]


@EACH
def test_a_stream(host: Host) -> None:
    thought = [chunk({"role": "assistant", "content": None, name: value}) for name, value in host.message.items() if value]
    contents: list[Any] = [[part] for part in host.content] if isinstance(host.content, list) else [host.content]
    said = [chunk({"content": content}) for content in contents]
    end = {**chunk({}, finish="stop"), "usage": host.usage, **host.answer}
    generation = read(placed(streamed(events(*thought, *said, end), {**REQUEST, "stream": True}), host))
    assert generation.problems == []
    assert generation.provider == host.provider
    assert counts(generation) == host.counts
    assert parts_of(generation) == ([THOUGHT, TEXT] if thinks(host) else [TEXT])
    assert ("reasoning" in generation.chunk_kinds) == thinks(host)


def test_the_last_chunk_of_groq_may_have_its_usage_elsewhere() -> None:
    end = {**chunk({}, finish="stop"), "x_groq": {"id": "req_1", "usage": HOSTS[0].usage}}
    assert counts(read(placed(streamed(events(chunk({"content": "4"}), end), REQUEST), HOSTS[0]))) == HOSTS[0].counts


def test_reasoning_that_the_output_has_already_is_not_added() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60, "completion_tokens_details": {"reasoning_tokens": 40}}
    generation = read(answered({"choices": [], "usage": usage}, REQUEST))
    assert counts(generation)["output"] == 50


@pytest.mark.parametrize(
    ("fields", "provider"),
    [
        ({"library": "anthropic", "server_host": "api.anthropic.com"}, "anthropic"),
        ({"library": "anthropic", "server_host": "127.0.0.1"}, "anthropic"),
        ({"library": "anthropic", "server_host": "bedrock-runtime.eu-west-1.amazonaws.com"}, "aws.bedrock"),
        ({"library": "anthropic", "server_host": "aws-external-anthropic.eu-west-1.api.aws"}, "anthropic"),
        ({"library": "anthropic", "server_host": "europe-west1-aiplatform.googleapis.com"}, "gcp.vertex_ai"),
        ({"library": "anthropic", "server_host": "aiplatform.eu.rep.googleapis.com"}, "gcp.vertex_ai"),
        ({"library": "anthropic", "server_host": "mine.services.ai.azure.com", "base_path": "/anthropic/"}, "anthropic"),
        ({"library": "anthropic", "server_host": "api.deepseek.com", "base_path": "/anthropic/"}, "deepseek"),
        ({"library": "openai", "server_host": "localhost", "server_port": 8000, "provider": "vllm"}, "vllm"),
        ({"library": "openai", "server_host": "remote.example", "server_port": 1234}, "openai"),
        ({"library": "openai", "server_host": "x.openai.azure.com", "azure": True, "provider": "mine"}, "mine"),
    ],
    ids=str,
)
def test_who_answers(fields: dict[str, Any], provider: str) -> None:
    assert provider_of_call(Call(1, 1, 1, **fields)) == provider
