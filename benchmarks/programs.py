"""The programs that are compared: the bare SDK call, the same with a hand-written OpenTelemetry span, and the same wrapped."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionChunk
from opentelemetry.trace import SpanKind

MESSAGES: list[Any] = [
    {"role": "system", "content": "You answer in one sentence. " * 7},
    {"role": "user", "content": "How high is the Eiffel tower, and who built it? " * 4},
    {"role": "user", "content": "Say it in metres, please, and name the year as well. " * 4},
]
"""Three messages of about 200 bytes."""

TURNS = [(item["role"], item["content"]) for item in MESSAGES]
"""The same as `ChatModel` takes them."""

STREAM_CHUNKS = 200

_TIMEOUT = 120
"""Seconds for one request: it holds a hundred images of 1 MB where instructions are counted, fifty times as slowly."""

PAYLOADS: dict[str, dict[str, Any]] = {
    "small": {"messages": MESSAGES},
    "long": {"messages": [{"role": "user" if number % 2 else "assistant", "content": "A word. " * 512} for number in range(50)]},
    "image": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is shown here?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo" * (1024 * 1024 // 11)}},
                ],
            }
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": f"look_up_{number}",
                    "description": "Looks something up.",
                    "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
                },
            }
            for number in range(5)
        ],
    },
}
"""Payloads a, b and e of the targets: three small messages; fifty of 4 KB; tools and an image of 1 MB."""

_ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1750000000,
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "logprobs": None,
                "message": {
                    "role": "assistant",
                    "content": "It is 330 metres high; Gustave Eiffel's company built it in 1889. " * 3,
                    "refusal": None,
                },
            }
        ],
        "usage": {
            "prompt_tokens": 120,
            "completion_tokens": 40,
            "total_tokens": 160,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
    }
).encode()


def client() -> OpenAI:
    """A client whose transport answers at once from memory."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=_ANSWER, headers={"content-type": "application/json"}, request=request)

    return OpenAI(api_key="none", base_url="http://127.0.0.1:9/v1", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))


def async_client() -> AsyncOpenAI:
    """The same for async calls."""

    async def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=_ANSWER, headers={"content-type": "application/json"}, request=request)

    http_client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    return AsyncOpenAI(api_key="none", base_url="http://127.0.0.1:9/v1", http_client=http_client)


def call(openai: OpenAI | AsyncOpenAI, payload: str = "small") -> Any:
    """One chat call."""
    create: Any = openai.chat.completions.create
    return create(model="gpt-4o-mini", temperature=0.5, max_tokens=100, **PAYLOADS[payload])


def stream_client(chunks: int = STREAM_CHUNKS) -> OpenAI:
    """A client whose transport answers with a stream of so many pieces from memory."""
    chunk: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1750000000,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
    }
    last: dict[str, Any] = {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    body = b"".join(b"data: " + json.dumps(item).encode() + b"\n\n" for item in [chunk] * (chunks - 1) + [last]) + b"data: [DONE]\n\n"

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body, headers={"content-type": "text/event-stream"}, request=request)

    return OpenAI(api_key="none", base_url="http://127.0.0.1:9/v1", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))


def drain(stream: Any) -> None:
    """Take all pieces."""
    for _ in stream:
        pass


def bare_stream(client: OpenAI) -> None:
    """The SDK's own stream, to its end."""
    drain(client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True))


def otel_tracer(endpoint: str) -> tuple[Any, Any]:
    """The OpenTelemetry SDK as most programs set it up: batch processor, OTLP over HTTP."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=_TIMEOUT), max_queue_size=100_000))
    return provider, provider.get_tracer("benchmark")


def hand_written(openai: OpenAI, tracer: Any, payload: str = "small") -> Callable[[], Any]:
    """The yardstick O: one OpenTelemetry SDK span with the same attributes, `json.dumps` of messages and answer."""

    def run() -> Any:
        with tracer.start_as_current_span("chat gpt-4o-mini") as span:
            _before(span, payload)
            response = call(openai, payload)
            _after(span, response)
        return response

    return run


Running = tuple[Callable[[], Any], Callable[[], Any]]
"""A call, and what waits until everything is delivered."""


def by_hand(endpoint: str, payload: str = "small") -> Running:
    """O, to an OTLP endpoint."""
    provider, otel = otel_tracer(endpoint + "/v1/traces")
    return hand_written(client(), otel, payload), provider.force_flush


def wrapped(payload: str = "small", **settings: Any) -> Running:
    """The call of a client that is wrapped, with these settings."""
    # Imported here: processes that measure others are not to load it.
    import tracer

    tracer.configure(quiet=True, **settings)
    traced = tracer.wrap(client())
    return lambda: call(traced, payload), lambda: tracer.flush(60)


def hand_written_async(openai: AsyncOpenAI, tracer: Any) -> Callable[[], Any]:
    """O for an async call."""

    async def run() -> Any:
        with tracer.start_as_current_span("chat gpt-4o-mini") as span:
            _before(span, "small")
            response = await call(openai)
            _after(span, response)
        return response

    return run


def _before(span: Any, payload: str) -> None:
    span.set_attribute("gen_ai.operation.name", "chat")
    span.set_attribute("gen_ai.provider.name", "openai")
    span.set_attribute("gen_ai.request.model", "gpt-4o-mini")
    span.set_attribute("gen_ai.request.temperature", 0.5)
    span.set_attribute("gen_ai.request.max_tokens", 100)
    span.set_attribute("gen_ai.input.messages", json.dumps(PAYLOADS[payload]["messages"]))


def _after(span: Any, response: Any) -> None:
    span.set_attribute("gen_ai.response.id", response.id)
    span.set_attribute("gen_ai.response.model", response.model)
    span.set_attribute("gen_ai.response.finish_reasons", [choice.finish_reason for choice in response.choices])
    span.set_attribute("gen_ai.usage.input_tokens", response.usage.prompt_tokens)
    span.set_attribute("gen_ai.usage.output_tokens", response.usage.completion_tokens)
    answers = [{"role": choice.message.role, "content": choice.message.content} for choice in response.choices]
    span.set_attribute("gen_ai.output.messages", json.dumps(answers))


def hand_written_in_full(openai: OpenAI, tracer: Any) -> Callable[[], Any]:
    """The same with every attribute that the library records of this call, the cost by constant prices."""

    def run() -> Any:
        with tracer.start_as_current_span("chat gpt-4o-mini", kind=SpanKind.CLIENT) as span:
            span.set_attribute("gen_ai.operation.name", "chat")
            span.set_attribute("gen_ai.provider.name", "openai")
            span.set_attribute("gen_ai.request.model", "gpt-4o-mini")
            span.set_attribute("gen_ai.request.temperature", 0.5)
            span.set_attribute("gen_ai.request.max_tokens", 100)
            span.set_attribute("gen_ai.input.messages", json.dumps([_message(item["role"], item["content"]) for item in MESSAGES]))
            span.set_attribute("openai.api.type", "chat_completions")
            span.set_attribute("server.address", openai.base_url.host)
            span.set_attribute("server.port", openai.base_url.port)
            span.set_attribute("tracer.run_id", str(uuid.uuid4()))
            response = call(openai)
            usage = response.usage
            span.set_attribute("gen_ai.response.id", response.id)
            span.set_attribute("gen_ai.response.model", response.model)
            span.set_attribute("gen_ai.response.finish_reasons", [choice.finish_reason for choice in response.choices])
            span.set_attribute("openai.response.service_tier", response.service_tier)
            span.set_attribute("openai.response.system_fingerprint", response.system_fingerprint)
            span.set_attribute("gen_ai.usage.input_tokens", usage.prompt_tokens)
            span.set_attribute("gen_ai.usage.output_tokens", usage.completion_tokens)
            span.set_attribute("gen_ai.usage.cache_read.input_tokens", usage.prompt_tokens_details.cached_tokens)
            span.set_attribute("gen_ai.usage.audio.input_tokens", usage.prompt_tokens_details.audio_tokens)
            span.set_attribute("gen_ai.usage.audio.output_tokens", usage.completion_tokens_details.audio_tokens)
            span.set_attribute("gen_ai.usage.reasoning.output_tokens", usage.completion_tokens_details.reasoning_tokens)
            input_cost, output_cost = usage.prompt_tokens * 0.15e-6, usage.completion_tokens * 0.6e-6
            span.set_attribute("tracer.cost.input", input_cost)
            span.set_attribute("tracer.cost.output", output_cost)
            span.set_attribute("tracer.cost.total", input_cost + output_cost)
            span.set_attribute("tracer.cost.currency", "USD")
            span.set_attribute("tracer.cost.prices", "by hand")
            span.set_attribute("tracer.usage.source", "reported")
            span.set_attribute("tracer.outcome", "completed")
            answers = [
                {**_message(choice.message.role, choice.message.content), "finish_reason": choice.finish_reason}
                for choice in response.choices
            ]
            span.set_attribute("gen_ai.output.messages", json.dumps(answers))
        return response

    return run


def _message(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": content}]}


def chunks(count: int) -> list[ChatCompletionChunk]:
    """Chunks of a stream, built beforehand: what is measured is the tap, not the SDK's 100 µs for building each."""
    raw = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1750000000,
        "model": "gpt-4o-mini",
        "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
        "usage": None,
    }
    return [ChatCompletionChunk.model_validate(raw) for _ in range(count)]


class CannedStream:
    """What the tap needs to know of an SDK stream."""

    def __init__(self, pieces: list[ChatCompletionChunk]) -> None:
        self._iterator: Iterator[ChatCompletionChunk] = self._pieces(pieces)

    @staticmethod
    def _pieces(pieces: list[ChatCompletionChunk]) -> Iterator[ChatCompletionChunk]:
        yield from pieces

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        yield from self._iterator  # this is how the SDK's stream does it
