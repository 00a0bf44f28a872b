"""What the wrapper model costs over the bare SDK call on a canned transport, in per cent of the bare call; LangChain's model beside it."""

from __future__ import annotations

from typing import Any

from openai import OpenAI

import tracer
from benchmarks import programs
from benchmarks.measure import Row, added

_STREAM_BLOCKS = 40


def _langchain(client: OpenAI) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model="gpt-4o-mini", temperature=0.5, max_tokens=100, api_key="none", client=client.chat.completions)  # type: ignore[arg-type]


def chat_model(endpoint: str) -> list[Row]:
    """`ChatModel.invoke` and `.stream` against the SDK's own calls, with tracing off and on."""
    parameters: dict[str, Any] = {"model": "gpt-4o-mini", "temperature": 0.5, "max_tokens": 100}
    bare_client, bare_streams = programs.client(), programs.stream_client()

    def models() -> tuple[Any, Any]:
        return tracer.ChatModel(programs.client(), **parameters), tracer.ChatModel(programs.stream_client(), model="gpt-4o-mini")

    tracer.configure(quiet=True, otlp_endpoint="")
    chat, streaming = models()
    langchain = _langchain(programs.client())
    bare, off = added(
        lambda: programs.call(bare_client),
        {"ours": lambda: chat.invoke(programs.TURNS), "langchain": lambda: langchain.invoke(programs.TURNS)},
    )
    stream_bare, stream_off = added(
        lambda: programs.bare_stream(bare_streams), {"ours": lambda: programs.drain(streaming.stream(programs.TURNS))}, _STREAM_BLOCKS, 2
    )

    tracer.configure(quiet=True, otlp_endpoint=endpoint, stream_usage="off")
    chat, streaming = models()
    _, on = added(lambda: programs.call(bare_client), {"ours": lambda: chat.invoke(programs.TURNS)})
    _, stream_on = added(
        lambda: programs.bare_stream(bare_streams), {"ours": lambda: programs.drain(streaming.stream(programs.TURNS))}, _STREAM_BLOCKS, 2
    )
    tracer.flush(30)
    return [
        Row("ChatModel.invoke over the bare call, tracing off", 100 * off["ours"] / bare, "%"),
        Row("ChatModel.invoke over the bare call, tracing on", 100 * on["ours"] / bare, "%"),
        Row("ChatModel.stream over the bare stream, tracing off", 100 * stream_off["ours"] / stream_bare, "%"),
        Row("ChatModel.stream over the bare stream, tracing on", 100 * stream_on["ours"] / stream_bare, "%"),
        Row("LangChain's ChatOpenAI.invoke over the bare call", 100 * off["langchain"] / bare, "%"),
    ]
