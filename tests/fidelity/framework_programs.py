"""Frameworks over a wrapped client: instructor, pydantic-ai, openai-agents, litellm, LangChain. Each where it is installed."""

# These frameworks' types say less than their objects hold, and not all of them are in one environment.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingImports=false

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from pydantic import BaseModel

from tests.fidelity.programs import FRAMEWORKS, World, program
from tests.fidelity.seen import chain_of
from tests.integration.capture_support import STREAM_USAGE
from tracer.replay.behaviour import Behaviour

PLAIN = "openinference.tool_calls.cached_tokens.1"
RESPONSES = "pydanticai.openai_responses.azure_responses_reasoning_context_default_wire_contract-gpt-5"
RESPONSES_STREAM = "pydanticai.openai_responses.openai_responses_model_file_search_tool_stream.3"
EMBEDDINGS = "pydanticai.embeddings.TestOpenAI.test_instrumentation"

INSTRUCTOR, PYDANTIC_AI, AGENTS, LITELLM = "instructor", "pydantic-ai", "openai-agents", "litellm"
LANGCHAIN = "langchain-openai"


def needs(package: str) -> None:
    """There is no cell where the framework is not installed."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"not in this environment: {package}")


class City(BaseModel):
    """What a model is to give."""

    city: str
    country: str


def _completion(content: str | None, tool: str | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if tool is not None:
        call = {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": json.dumps({"city": "Paris", "country": "FR"})}}
        message["tool_calls"] = [call]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if tool else "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [choice], "usage": usage}


def scripted(world: World, *answers: dict[str, Any], asynchronous: bool = False) -> Any:
    """A client that gives these answers one after the other, and notes what was asked."""
    left = iter(answers)

    def answer(request: Any) -> Any:
        world.note(str(request.url), dict(request.headers), json.loads(request.content))
        return world.family.http.Response(200, json=next(left))

    return world.over(answer, asynchronous=asynchronous)


# instructor


@program(INSTRUCTOR, "`from_openai`: an answer by tool, one by JSON, a retry, one in vain", FRAMEWORKS)
def instructor(world: World) -> None:
    needs("instructor")
    import instructor

    messages: Any = [{"role": "user", "content": "Paris?"}]
    good, bad = json.dumps({"city": "Paris", "country": "FR"}), json.dumps({"city": 3})
    for mode, answers in (
        (instructor.Mode.TOOLS, [_completion(None, "City")]),
        (instructor.Mode.JSON, [_completion(good)]),
        (instructor.Mode.JSON, [_completion(bad), _completion(good)]),
        (instructor.Mode.JSON, [_completion(bad), _completion(bad)]),
    ):
        client = instructor.from_openai(scripted(world, *answers), mode=mode)
        world.note(type(client), type(client.client))
        try:
            city, raw = client.chat.completions.create_with_completion(
                model="gpt-4o", messages=list(messages), response_model=City, max_retries=2
            )
            world.note(city, raw, type(raw))
        except Exception as error:
            world.note(type(error), [type(link) for link in _links(error)])


@program(INSTRUCTOR, "`from_openai`: an answer by tool, one by JSON, a retry, one in vain", FRAMEWORKS)
async def async_instructor(world: World) -> None:
    needs("instructor")
    import instructor

    client = instructor.from_openai(scripted(world, _completion(None, "City"), asynchronous=True))
    messages: Any = [{"role": "user", "content": "Paris?"}]
    world.note(await client.chat.completions.create(model="gpt-4o", messages=messages, response_model=City))


def _links(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


# pydantic-ai


def _agent(world: World, client: Any, responses: bool = False, **more: Any) -> Any:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    kind: Any = OpenAIResponsesModel if responses else OpenAIChatModel
    model = kind("gpt-4o", provider=OpenAIProvider(openai_client=client))
    world.note(type(model.client), model.client is client, model.base_url)
    return Agent(model, **more)


def _without_times(messages: bytes) -> Any:
    """Messages of a run without what is new each time."""

    def cleaned(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: cleaned(item) for name, item in value.items() if name not in ("timestamp", "run_id", "conversation_id")}
        return [cleaned(item) for item in value] if isinstance(value, list) else value

    return cleaned(json.loads(messages))


@program(PYDANTIC_AI, "`Agent.run` with a tool and typed output, and refused by the server", FRAMEWORKS)
async def pydantic_ai_run(world: World) -> None:
    needs("pydantic_ai")
    client = scripted(world, _completion(None, "weather"), _completion(None, "final_result"), asynchronous=True)
    agent = _agent(world, client, output_type=City)

    @agent.tool_plain
    def weather(city: str, country: str) -> str:
        return f"sun in {city}, {country}"

    result = await agent.run("Paris?")
    world.note(result.output, result.usage() if callable(result.usage) else result.usage, _without_times(result.all_messages_json()))
    try:
        await _agent(world, world.client(PLAIN, Behaviour(fail=9, status=400), asynchronous=True)).run("hi")
    except Exception as error:
        world.note(chain_of(error))


@program(PYDANTIC_AI, "`Agent.run` with a tool and typed output, and refused by the server", FRAMEWORKS)
def pydantic_ai_run_sync(world: World) -> None:
    needs("pydantic_ai")
    client = scripted(world, _completion("hi"), asynchronous=True)
    world.note(_agent(world, client).run_sync("hi").output)


@program(PYDANTIC_AI, "`Agent.run_stream`, chat and responses", FRAMEWORKS)
async def pydantic_ai_stream(world: World) -> None:
    needs("pydantic_ai")
    for record_id, responses in ((STREAM_USAGE, False), (RESPONSES_STREAM, True)):
        agent = _agent(world, world.client(record_id, asynchronous=True), responses)
        async with agent.run_stream("hi") as running:
            world.note([text async for text in running.stream_text(delta=True, debounce_by=None)])
        world.note(_without_times(running.all_messages_json()))


# openai-agents


def _quiet_agents() -> Any:
    import agents

    agents.set_tracing_disabled(True)
    return agents


@program(AGENTS, "`Runner.run` with a tool, chat completions and responses", FRAMEWORKS)
async def agents_run(world: World) -> None:
    needs("agents")
    agents = _quiet_agents()

    @agents.function_tool
    def weather(city: str, country: str) -> str:
        """The weather of a city."""
        return f"sun in {city}, {country}"

    client = scripted(world, _completion(None, "weather"), _completion("sunny"), asynchronous=True)
    model = agents.OpenAIChatCompletionsModel(model="gpt-4o", openai_client=client)
    result = await agents.Runner.run(agents.Agent(name="a", model=model, tools=[weather]), "Paris?")
    world.note(result.final_output, result.to_input_list(), [item.usage for item in result.raw_responses])
    model = agents.OpenAIResponsesModel(model="gpt-5", openai_client=world.client(RESPONSES, asynchronous=True))
    result = await agents.Runner.run(agents.Agent(name="a", model=model), "hi")
    world.note(result.final_output, result.to_input_list(), [item.response_id for item in result.raw_responses])
    model = agents.OpenAIChatCompletionsModel(
        model="m", openai_client=world.client(PLAIN, Behaviour(fail=9, status=401), asynchronous=True)
    )
    await world.attempt_later(agents.Runner.run(agents.Agent(name="a", model=model), "hi"))


@program(AGENTS, "`Runner.run_streamed`, chat completions and responses", FRAMEWORKS)
async def agents_streamed(world: World) -> None:
    needs("agents")
    agents = _quiet_agents()
    for kind, record_id in ((agents.OpenAIChatCompletionsModel, STREAM_USAGE), (agents.OpenAIResponsesModel, RESPONSES_STREAM)):
        model = kind(model="gpt-4o", openai_client=world.client(record_id, asynchronous=True))
        result = agents.Runner.run_streamed(agents.Agent(name="a", model=model), "hi")
        world.note([event.data.type async for event in result.stream_events() if event.type == "raw_response_event"])
        world.note(result.final_output, result.to_input_list())


@program(AGENTS, "`set_default_openai_client`", FRAMEWORKS)
async def agents_default_client(world: World) -> None:
    needs("agents")
    agents = _quiet_agents()
    agents.set_default_openai_client(world.client(PLAIN, asynchronous=True), use_for_tracing=False)
    agents.set_default_openai_api("chat_completions")
    try:
        result = await agents.Runner.run(agents.Agent(name="a", model="gpt-4o"), "hi")
        world.note(result.final_output, result.to_input_list())
    finally:
        agents.set_default_openai_api("responses")


# litellm


@contextmanager
def _litellm() -> Generator[Any, None, None]:
    needs("litellm")
    with mock.patch.dict(os.environ, {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}):
        import litellm
    with mock.patch.object(litellm, "suppress_debug_info", True):
        yield litellm


MESSAGES = [{"role": "user", "content": "hi"}]


def _shown(answer: Any) -> Any:
    """An answer of litellm without what is new each time."""
    return {name: value for name, value in answer.model_dump().items() if name not in ("created", "id")}


@program(LITELLM, "`completion` and `acompletion`, whole and streamed, with `client=`", FRAMEWORKS)
def litellm_completion(world: World) -> None:
    with _litellm() as litellm:
        answer = litellm.completion(model="openai/gpt-4o", messages=MESSAGES, client=world.client(PLAIN))
        world.note(type(answer), _shown(answer))
        pieces = litellm.completion(model="openai/gpt-4o", messages=MESSAGES, stream=True, client=world.client(STREAM_USAGE))
        world.note([_shown(piece) for piece in pieces])
        refusing = world.client(PLAIN, Behaviour(fail=9, status=401))
        try:
            litellm.completion(model="openai/gpt-4o", messages=MESSAGES, client=refusing, num_retries=0)
        except litellm.AuthenticationError as error:
            world.note(str(error), error.status_code, [type(link) for link in _links(error)])


@program(LITELLM, "`completion` and `acompletion`, whole and streamed, with `client=`", FRAMEWORKS)
async def litellm_acompletion(world: World) -> None:
    with _litellm() as litellm:
        answer = await litellm.acompletion(model="openai/gpt-4o", messages=MESSAGES, client=world.client(PLAIN, asynchronous=True))
        world.note(_shown(answer))
        client = world.client(STREAM_USAGE, asynchronous=True)
        pieces = await litellm.acompletion(model="openai/gpt-4o", messages=MESSAGES, stream=True, client=client)
        world.note([_shown(piece) async for piece in pieces])


@program(LITELLM, "`embedding`, with `client=`", FRAMEWORKS)
def litellm_embedding(world: World) -> None:
    with _litellm() as litellm:
        answer = litellm.embedding(model="openai/text-embedding-3-small", input=["hi"], client=world.client(EMBEDDINGS))
        world.note(type(answer), answer.model_dump())


# LangChain


@program(LANGCHAIN, "`ChatOpenAI` over the resources of a wrapped client: `invoke`, `stream`", FRAMEWORKS)
def langchain(world: World) -> None:
    needs("langchain_openai")
    from langchain_openai import ChatOpenAI

    for record_id in (PLAIN, STREAM_USAGE):
        client = world.client(record_id)
        # Its own async client would be one more HTTP client; it is not used here.
        unused = world.client(record_id, asynchronous=True)
        model = ChatOpenAI(model="gpt-4o", client=client.chat.completions, async_client=unused.chat.completions, root_client=client)
        if record_id == PLAIN:
            world.note(_message(model.invoke("hi")))
        else:
            world.note([_message(piece) for piece in model.stream("hi")])


def _message(message: Any) -> Any:
    return {name: value for name, value in message.model_dump().items() if name != "id"}
