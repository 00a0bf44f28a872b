"""The program that `tracer demo` runs: an ordinary user of the OpenAI SDK, with tracing on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
from pydantic import BaseModel

import tracer
from tracer.cli.demo_clients import ReplayClients
from tracer.replay.behaviour import Behaviour

EMBEDDINGS = "pydanticai.embeddings.TestOpenAI.test_instrumentation"
TOOL_CALL_STREAM = "pydanticai.openai.run_stream_sync_streams_real_model.0"
TOOL_RESULT = "pydanticai.crusoe.crusoe_tool_calling.1"
STRUCTURED = "pydanticai.bedrock_mantle.native_output"
LONG_STREAM = "openaipy.stream.parse_nothing"
RETRIED = "otel.genai.async_chat_completion_multiple_choices"
NO_SUCH_MODEL = "pydanticai.model_name_suggestions.model_name_suggestion-openai-chat"
STREAM = "otel.genai.async_chat_completion_streaming"
SHORT = "pydanticai.thinking_wire_contract.reasoning_wire_contract-groq-qwen3-disable-merges-user-e"

CHUNKS_BEFORE_STOP = 5

_CAPITALS = {"UK": "London", "United Kingdom": "London"}


class City(BaseModel):
    """The structured answer that is asked for."""

    city: str
    country: str


def run_program(clients: ReplayClients) -> str | None:
    """Ask, stream, stop, fail and retry inside one trace; gives its id in hex, None when nothing was traced."""
    with (
        tracer.context(session="demo", user="demo-user", tags=["demo"]),
        tracer.trace("answer question", kind="chain") as run,
    ):
        run.set_input({"question": "What is the capital of the UK, and how is the weather in Paris?"})
        find_documents(clients)
        capital = look_up_capital(clients)
        weather = report_weather(clients)
        extract_city(clients)
        stop_early(clients)
        retry(clients)
        ask_missing_model(clients)
        asyncio.run(ask_two_at_once(clients))
        run.set_output({"capital": capital, "weather": weather})
    return run.trace_id


def find_documents(clients: ReplayClients) -> None:
    """Embeddings inside a retriever."""
    with tracer.trace("find documents", kind="retriever") as run, clients.client(EMBEDDINGS) as client:
        answer = client.embeddings.create(**clients.arguments(EMBEDDINGS, client.embeddings.create))
        run.set_output({"dimensions": len(answer.data[0].embedding)})


def look_up_capital(clients: ReplayClients) -> str:
    """A streamed answer that calls a tool, and the tool."""
    with tracer.trace("look up capital", kind="chain"), clients.client(TOOL_CALL_STREAM) as client:
        create: Any = client.chat.completions.create
        pieces = [
            call.function.arguments or ""
            for chunk in create(**clients.arguments(TOOL_CALL_STREAM, create))
            for choice in chunk.choices
            for call in choice.delta.tool_calls or ()
        ]
        return get_capital(_country("".join(pieces)))


def _country(arguments: str) -> str:
    # A real model may answer without the tool, or with several calls.
    try:
        return str(json.loads(arguments)["country"])
    except (ValueError, KeyError, TypeError):
        return "UK"


def get_capital(country: str) -> str:
    """The tool."""
    with tracer.trace("get_capital", kind="tool") as run:
        run.set_input({"country": country})
        capital = _CAPITALS.get(country, "unknown")
        run.set_output(capital)
        return capital


def report_weather(clients: ReplayClients) -> str:
    """A tool's result given to the model, and its answer."""
    with tracer.trace("report weather", kind="chain"), clients.client(TOOL_RESULT) as client:
        create: Any = client.chat.completions.create
        return str(create(**clients.arguments(TOOL_RESULT, create)).choices[0].message.content)


def extract_city(clients: ReplayClients) -> City | None:
    """Structured output, through the Responses API; None where the SDK does not know it."""
    with clients.client(STRUCTURED) as client:
        if not hasattr(client, "responses"):
            return None  # The SDK is older than that API.
        arguments = clients.arguments(STRUCTURED, client.responses.create)
        return client.responses.parse(model=arguments["model"], input=arguments["input"], text_format=City).output_parsed


def stop_early(clients: ReplayClients) -> int:
    """A stream of which only the beginning is wanted."""
    taken = 0
    with clients.client(LONG_STREAM) as client:
        create: Any = client.chat.completions.create
        with create(**clients.arguments(LONG_STREAM, create)) as stream:
            for _ in stream:
                taken += 1
                if taken == CHUNKS_BEFORE_STOP:
                    break
    return taken


def retry(clients: ReplayClients) -> None:
    """Two refusals for too many requests, which the SDK sits out, then the answer."""
    behaviour = Behaviour(fail=2, status=429, retry_ms=20)
    with clients.client(RETRIED, behaviour, retries=2) as client:
        create: Any = client.chat.completions.create
        create(**clients.arguments(RETRIED, create))


def ask_missing_model(clients: ReplayClients) -> None:
    """An error of the service, which the program handles."""
    with clients.client(NO_SUCH_MODEL) as client:
        create: Any = client.chat.completions.create
        try:
            create(**clients.arguments(NO_SUCH_MODEL, create, keep_model=True))
        except openai.NotFoundError:
            return


async def ask_two_at_once(clients: ReplayClients) -> None:
    """The asynchronous client: a stream read to its end, and another call beside it."""
    with tracer.trace("ask two at once", kind="chain"):
        await asyncio.gather(_stream(clients), _short(clients))


async def _stream(clients: ReplayClients) -> str:
    # As OpenAI does it: usage only for those who ask. tracer asks, and hides the answer from this program.
    async with clients.async_client(STREAM, Behaviour(honour_usage=1)) as client:
        create: Any = client.chat.completions.create
        arguments = clients.arguments(STREAM, create)
        arguments.pop("stream_options", None)
        stream = await create(**arguments)
        return "".join([choice.delta.content or "" async for chunk in stream for choice in chunk.choices])


async def _short(clients: ReplayClients) -> str:
    async with clients.async_client(SHORT) as client:
        create: Any = client.chat.completions.create
        return str((await create(**clients.arguments(SHORT, create))).choices[0].message.content)
