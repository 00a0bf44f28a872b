"""Who answers, as real clients tell it: their addresses, their own classes, and what the settings name."""

from __future__ import annotations

import inspect
import json
from typing import Any

import anthropic
import openai
import pytest

from tests.integration.anthropic_support import HTTP, http_client
from tests.integration.capture_support import Calls, need
from tracer.capture.wrapping import traced
from tracer.export.attributes import attributes_of
from tracer.export.spans import span_name
from tracer.reading.read import read_call
from tracer.runtime import runtime
from tracer.settings import Settings

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 5, "output_tokens": 2},
}
ASKED: dict[str, Any] = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


class Sent:
    """An HTTP client over memory that answers with one message, and where it was asked."""

    def __init__(self) -> None:
        self.paths: list[str] = []

        def answer(request: Any) -> Any:
            self.paths.append(request.url.path)
            return HTTP.Response(200, json=MESSAGE)

        self.http = http_client(transport=HTTP.MockTransport(answer))


def attributes(captured: Calls) -> dict[str, Any]:
    return dict(attributes_of(read_call(captured.only()), Settings()))


def test_anthropic_by_its_own_client(captured: Calls) -> None:
    sent = Sent()
    traced(anthropic.Anthropic(api_key="k", http_client=sent.http)).messages.create(**ASKED)
    found = attributes(captured)
    assert span_name(read_call(captured[0])) == "chat claude-x"
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.provider.name"] == "anthropic"
    assert found["server.address"] == "api.anthropic.com"
    assert found["gen_ai.request.max_tokens"] == 9
    assert found["gen_ai.usage.input_tokens"] == 18
    assert found["gen_ai.usage.cache_read.input_tokens"] == 10
    assert found["gen_ai.usage.cache_write.input_tokens"] == 5
    assert found["gen_ai.usage.output_tokens"] == 2
    assert found["gen_ai.response.finish_reasons"] == ["stop"]
    assert found["anthropic.message.stop_reason"] == "end_turn"
    assert not [name for name in found if name.startswith("openai.")]


@pytest.mark.parametrize("base_url", [None, "http://gateway.internal"])
def test_bedrock(captured: Calls, base_url: str | None) -> None:
    sent = Sent()
    kind: Any = anthropic.AnthropicBedrock  # pyright: ignore[reportPrivateImportUsage]  # the SDK's own documents name it so
    need("api_key" in inspect.signature(kind).parameters, "Bedrock client with a key", anthropic)
    client = kind(api_key="k", aws_region="eu-west-1", base_url=base_url, http_client=sent.http)
    answer = traced(client).messages.create(**ASKED)
    assert answer.content[0].text == "hi"
    assert sent.paths == ["/model/claude-x/invoke"]
    found = attributes(captured)
    assert found["gen_ai.provider.name"] == "aws.bedrock"
    assert found["gen_ai.request.model"] == "claude-x"
    assert found["gen_ai.usage.input_tokens"] == 18


def test_vertex(captured: Calls) -> None:
    sent = Sent()
    kind: Any = anthropic.AnthropicVertex  # pyright: ignore[reportPrivateImportUsage]  # the SDK's own documents name it so
    client = kind(region="europe-west1", project_id="p", access_token="t", http_client=sent.http)
    traced(client).messages.create(**ASKED)
    assert sent.paths == ["/v1/projects/p/locations/europe-west1/publishers/anthropic/models/claude-x:rawPredict"]
    found = attributes(captured)
    assert (found["gen_ai.provider.name"], found["gen_ai.request.model"]) == ("gcp.vertex_ai", "claude-x")


def test_foundry(captured: Calls) -> None:
    need(hasattr(anthropic, "AnthropicFoundry"), "Foundry client", anthropic)
    sent = Sent()
    client = anthropic.AnthropicFoundry(api_key="k", resource="mine", http_client=sent.http)
    traced(client).messages.create(**ASKED)
    assert attributes(captured)["gen_ai.provider.name"] == "anthropic"


@pytest.mark.parametrize(
    ("base_url", "named", "provider"),
    [
        ("https://api.groq.com/openai/v1", {}, "groq"),
        ("http://localhost:11434/v1", {}, "ollama"),
        ("http://localhost:8000/v1", {}, "openai"),
        ("http://localhost:8000/v1", {"localhost:8000": "vllm"}, "vllm"),
        ("http://localhost:8001/v1", {"localhost:8000": "vllm"}, "openai"),
        ("https://llm.example/v1", {"llm.example": "groq"}, "groq"),
        ("https://api.groq.com/openai/v1", {"api.groq.com": "mine"}, "mine"),
    ],
)
def test_hosts_of_openai_s_protocol(captured: Calls, base_url: str, named: dict[str, str], provider: str) -> None:
    runtime.settings = Settings(providers=named)
    body: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}

    def answer(_request: Any) -> Any:
        return HTTP.Response(200, content=json.dumps(body))

    transport = HTTP.MockTransport(answer)
    kind: Any = openai.DefaultHttpxClient
    with kind(transport=transport) as http:
        client = traced(openai.OpenAI(api_key="k", base_url=base_url, http_client=http))
        client.chat.completions.create(model="m", messages=[])
        assert attributes(captured)["gen_ai.provider.name"] == provider
        captured.clear()
        client.models.list()
    assert attributes(captured)["gen_ai.provider.name"] == provider
