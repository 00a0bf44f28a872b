"""What the wrapper model costs over the bare SDK call on a canned transport, in per cent of the bare call; LangChain's model beside it."""

from __future__ import annotations

import json
from typing import Any

import httpx2
from openai import OpenAI

import tracer
from benchmarks import programs
from benchmarks.measure import Row, added

CHUNKS = 200
_STREAM_BLOCKS = 40


def stream_client() -> OpenAI:
    """A client whose transport answers with a stream of `CHUNKS` pieces from memory."""
    chunk: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1750000000,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
    }
    last: dict[str, Any] = {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    body = b"".join(b"data: " + json.dumps(item).encode() + b"\n\n" for item in [chunk] * (CHUNKS - 1) + [last]) + b"data: [DONE]\n\n"

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body, headers={"content-type": "text/event-stream"}, request=request)

    return OpenAI(api_key="none", base_url="http://127.0.0.1:9/v1", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))


def _drain(stream: Any) -> None:
    for _ in stream:
        pass


def _bare_stream(client: OpenAI) -> None:
    _drain(client.chat.completions.create(model="gpt-4o-mini", messages=programs.MESSAGES, stream=True))


def _langchain(client: OpenAI) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model="gpt-4o-mini", temperature=0.5, max_tokens=100, api_key="none", client=client.chat.completions)  # type: ignore[arg-type]


def chat_model(endpoint: str) -> list[Row]:
    """`ChatModel.invoke` and `.stream` against the SDK's own calls, with tracing off and on."""
    parameters: dict[str, Any] = {"model": "gpt-4o-mini", "temperature": 0.5, "max_tokens": 100}
    bare_client, bare_streams = programs.client(), stream_client()
    messages = [(item["role"], item["content"]) for item in programs.MESSAGES]

    def models() -> tuple[Any, Any]:
        return tracer.ChatModel(programs.client(), **parameters), tracer.ChatModel(stream_client(), model="gpt-4o-mini")

    tracer.configure(quiet=True, otlp_endpoint="")
    chat, streaming = models()
    langchain = _langchain(programs.client())
    bare, off = added(
        lambda: programs.call(bare_client), {"ours": lambda: chat.invoke(messages), "langchain": lambda: langchain.invoke(messages)}
    )
    stream_bare, stream_off = added(
        lambda: _bare_stream(bare_streams), {"ours": lambda: _drain(streaming.stream(messages))}, _STREAM_BLOCKS, 2
    )

    tracer.configure(quiet=True, otlp_endpoint=endpoint, stream_usage="off")
    chat, streaming = models()
    _, on = added(lambda: programs.call(bare_client), {"ours": lambda: chat.invoke(messages)})
    _, stream_on = added(lambda: _bare_stream(bare_streams), {"ours": lambda: _drain(streaming.stream(messages))}, _STREAM_BLOCKS, 2)
    tracer.flush(30)
    return [
        Row("ChatModel.invoke over the bare call, tracing off", 100 * off["ours"] / bare, "%"),
        Row("ChatModel.invoke over the bare call, tracing on", 100 * on["ours"] / bare, "%"),
        Row("ChatModel.stream over the bare stream, tracing off", 100 * stream_off["ours"] / stream_bare, "%", "chat_model_chunk_off"),
        Row("ChatModel.stream over the bare stream, tracing on", 100 * stream_on["ours"] / stream_bare, "%", "chat_model_chunk_on"),
        Row("LangChain's ChatOpenAI.invoke over the bare call", 100 * off["langchain"] / bare, "%"),
    ]
