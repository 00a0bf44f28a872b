"""A LangChain model over a traced OpenAI client: one record for each model call, with the client's attempts in it, tokens counted once."""

# LangChain's types say less than its objects hold.
# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import openai
import pytest

pytest.importorskip("langchain_openai", reason="needs langchain-openai (pip install langchain-core langchain-openai)")

from chat_loopback import Loopback, reply, usage
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

import tracer
from tests.integration.langchain_support import paths
from tracer.call import CHAIN, COMPLETED, FAILED, LLM, Call
from tracer.capture.langchain_joining import leave_runs_alone, trace_every_run
from tracer.capture.whole_process import instrument_all, uninstrument_all
from tracer.reading import read_call
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer
from tracer.runtime import runtime
from tracer.scope import EMPTY, as_entered, find_through, leave

pytestmark = [pytest.mark.filterwarnings("default")]

PLAIN = "pydanticai.openai.openai_prompted_output.0"


class City(BaseModel):
    """A place."""

    name: str
    country: str


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return city


async def read(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


WAYS: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda m: m.invoke("one two"),
    "ainvoke": lambda m: m.ainvoke("one two"),
    "stream": lambda m: list(m.stream("one two")),
    "astream": lambda m: read(m.astream("one two")),
    "events": lambda m: read(m.astream_events("one two", version="v2")),
    "stream events": lambda m: list(m.stream_events("one two", version="v3").text),
    "batch": lambda m: m.batch(["one", "one two", "one two three"]),
    "abatch": lambda m: m.abatch(["one", "one two", "one two three"]),
    "generate": lambda m: m.generate([[HumanMessage("one")], [HumanMessage("one two")], [HumanMessage("one two three")]]),
    "agenerate": lambda m: m.agenerate([[HumanMessage("one")], [HumanMessage("one two")], [HumanMessage("one two three")]]),
    "tools": lambda m: m.bind_tools([weather], tool_choice="weather").invoke("one"),
    "tools, streamed": lambda m: list(m.bind_tools([weather]).stream("one")),
    "tools, async": lambda m: m.bind_tools([weather]).ainvoke("one"),
    "schema": lambda m: m.with_structured_output(City, method="json_schema").invoke("one"),
    "schema, async": lambda m: m.with_structured_output(City, method="json_schema").ainvoke("one"),
    "schema, streamed": lambda m: list(m.with_structured_output(City, method="json_schema").stream("one")),
    "schema by a tool": lambda m: m.with_structured_output(City, method="function_calling").invoke("one"),
    "JSON": lambda m: m.with_structured_output(method="json_mode").invoke("one"),
    "retry": lambda m: m.with_retry().invoke("one"),
    "fallback": lambda m: m.with_fallbacks([m]).invoke("one"),
}


@pytest.fixture(scope="module", autouse=True)
def connections_let_go() -> Iterator[None]:
    """What nobody closes of LangChain's is told of here, and not in the middle of a later test."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def nothing_left_behind(calls: list[Call]) -> Iterator[None]:
    yield
    uninstrument_all()
    assert runtime.open_calls == {}
    assert runtime.faults == {}
    assert all(not scope.absorbers for scope in as_entered())
    find_through(None)
    leave(EMPTY)


def over_wrapped(base_url: str, retries: int = 0) -> tuple[Any, Any]:
    """A model over wrapped clients, and the async one to close."""
    client = tracer.wrap(openai.OpenAI(api_key="none", base_url=base_url, max_retries=retries))
    asynchronous = tracer.wrap(openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=retries))
    parts: Any = {
        "root_client": client,
        "root_async_client": asynchronous,
        "client": client.chat.completions,
        "async_client": asynchronous.chat.completions,
    }
    return ChatOpenAI(model="gpt-4o-mini", api_key="none", **parts), asynchronous


def wrapped_over_wrapped(base_url: str, retries: int = 0) -> tuple[Any, Any]:
    model, asynchronous = over_wrapped(base_url, retries)
    return tracer.wrap(model), asynchronous


def every_run_over_wrapped(base_url: str, retries: int = 0) -> tuple[Any, Any]:
    trace_every_run()
    return over_wrapped(base_url, retries)


def instrumented(base_url: str, retries: int = 0) -> tuple[Any, Any]:
    instrument_all()
    http = openai.DefaultAsyncHttpxClient()
    model = ChatOpenAI(model="gpt-4o-mini", api_key="none", base_url=base_url, max_retries=retries, http_async_client=http)
    return model, model.root_async_client


SETUPS = (wrapped_over_wrapped, every_run_over_wrapped, instrumented)


def run(way: Callable[[Any], Any], model: Any, asynchronous: Any) -> None:
    async def main() -> None:
        outcome = way(model)
        if isinstance(outcome, Awaitable):
            await outcome
        await asynchronous.close()

    asyncio.run(main())


def tokens(calls: list[Call]) -> int:
    """All tokens of all records."""
    found = [read_call(call).generation.usage for call in calls if call.kind == LLM]
    return sum((item.input or 0) + (item.output or 0) for item in found)


@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.parametrize("name", WAYS)
def test_one_record_with_what_the_client_saw(calls: list[Call], server: Loopback, name: str, setup: Any) -> None:
    if name == "stream events" and not hasattr(ChatOpenAI, "stream_events"):
        pytest.skip("this langchain-core has no stream_events")
    run(WAYS[name], *setup(server.base_url))
    models = [call for call in calls if call.kind == LLM]
    assert {(call.library, call.ending) for call in models} == {("langchain", COMPLETED)}
    assert [call for call in calls if call.library != "langchain"] == []
    assert len(models) == len(server.requests)
    assert tokens(calls) == sum(usage(body, reply(body)[0])["total_tokens"] for body in server.requests)
    for call in models:
        read_call(call)
        assert [attempt.status for attempt in call.attempts] == [200]
        assert (call.server_host, bool(call.server_port)) == ("127.0.0.1", True)


def test_each_of_several_prompts_has_its_own_client_call(calls: list[Call], server: Loopback) -> None:
    for setup in SETUPS:
        for name in ("generate", "agenerate", "batch", "abatch"):
            calls.clear()
            run(WAYS[name], *setup(server.base_url))
            for call in calls:
                (message,) = read_call(call).generation.input_messages
                assert f'"{message.parts[0]["content"]}"'.encode() in (call.inner.attempts[0].request_body or b"")
        uninstrument_all()
        leave_runs_alone()


@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.parametrize("name", ["invoke", "ainvoke"])
def test_attempts_of_the_clients_retries(calls: list[Call], name: str, setup: Any) -> None:
    with ReplayServer(Behaviour(fail=1)) as server:
        run(WAYS[name], *setup(server.base_url(PLAIN), 2))
    (call,) = calls
    record = read_call(call)
    assert [attempt.status for attempt in call.attempts] == [429, 200]
    assert (record.outcome, record.generation.usage.input, record.generation.usage.output) == (COMPLETED, 109, 11)


@pytest.mark.parametrize("setup", SETUPS)
def test_a_call_that_fails_is_one_failure(calls: list[Call], server: Loopback, setup: Any) -> None:
    def fails(model: Any) -> None:
        with pytest.raises(openai.InternalServerError):
            model.invoke("FAIL 500")

    run(fails, *setup(server.base_url))
    (call,) = calls
    record = read_call(call)
    assert (record.outcome, call.failure.status, [attempt.status for attempt in call.attempts]) == (FAILED, 500, [500])


# Models made by hand.


class ByHand(BaseChatModel):
    """A model over a client, as people write it: `step` makes the answer."""

    step: Any

    @property
    def _llm_type(self) -> str:
        return "by-hand"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.step(str(messages[-1].content)))])


def answer(completion: Any) -> AIMessage:
    counts = completion.usage
    told = {"input_tokens": counts.prompt_tokens, "output_tokens": counts.completion_tokens, "total_tokens": counts.total_tokens}
    return AIMessage(completion.choices[0].message.content, usage_metadata=told)


@pytest.fixture
def ask(server: Loopback) -> Iterator[Callable[[str], Any]]:
    """A call of a wrapped client."""
    with openai.OpenAI(api_key="none", base_url=server.base_url, max_retries=0) as client:
        wrapped = tracer.wrap(client)
        yield lambda text: wrapped.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])


def test_a_model_that_tries_again_by_itself(calls: list[Call], ask: Callable[[str], Any]) -> None:
    def step(text: str) -> AIMessage:
        with pytest.raises(openai.InternalServerError):
            ask("FAIL 500")
        return answer(ask(text))

    tracer.wrap(ByHand(step=step)).invoke("one two")
    (call,) = calls
    record = read_call(call)
    assert [attempt.status for attempt in call.attempts] == [500, 200]
    assert (record.outcome, record.generation.usage.input) == (COMPLETED, 2)


def test_a_tool_between_model_and_client_ends_that(calls: list[Call], ask: Callable[[str], Any]) -> None:
    @tool
    def look_up(text: str) -> str:
        """Asks a model of its own."""
        return ask(text).choices[0].message.content

    def step(text: str) -> AIMessage:
        look_up.invoke({"text": "one two three"})
        with tracer.trace("own span"):
            ask("one two three four")
        return answer(ask(text))

    trace_every_run()
    ByHand(step=step).invoke("one two")
    assert paths(calls) == ["ByHand", "ByHand/look_up", "ByHand/look_up/", "ByHand/own span", "ByHand/own span/"]
    assert sorted(read_call(call).generation.usage.input for call in calls if call.kind == LLM) == [2, 3, 4]


def test_a_tool_between_two_model_calls(calls: list[Call], server: Loopback) -> None:
    model, _ = wrapped_over_wrapped(server.base_url)
    with tracer.trace("agent"):
        asked = model.bind_tools([weather]).invoke("one")
        result = weather.invoke(asked.tool_calls[0])
        model.invoke([HumanMessage("one"), asked, result])
    assert paths(calls) == ["agent", "agent/ChatOpenAI", "agent/ChatOpenAI"]
    assert tokens(calls) == sum(usage(body, reply(body)[0])["total_tokens"] for body in server.requests)


@pytest.mark.parametrize("setup", SETUPS)
def test_a_model_that_asks_another_model_is_a_step_around_it(calls: list[Call], server: Loopback, setup: Any) -> None:
    inner, asynchronous = setup(server.base_url)

    def ask_twice(text: str) -> AIMessage:
        inner.invoke("one two three")
        return inner.invoke(text)

    run(lambda _: tracer.wrap(ByHand(step=ask_twice)).invoke("one two"), None, asynchronous)
    assert paths(calls) == ["ByHand", "ByHand/ChatOpenAI", "ByHand/ChatOpenAI"]
    assert {call.name: call.kind for call in calls} == {"ByHand": CHAIN, "ChatOpenAI": LLM}
    assert tokens(calls) == sum(usage(body, reply(body)[0])["total_tokens"] for body in server.requests)


def test_off_inside(calls: list[Call], server: Loopback) -> None:
    with tracer.context(enabled=False):
        run(WAYS["invoke"], *wrapped_over_wrapped(server.base_url))
    assert calls == []


def test_an_object_around_a_traced_model_is_a_step_around_it(calls: list[Call], server: Loopback) -> None:
    inner, asynchronous = wrapped_over_wrapped(server.base_url)

    class Assistant:
        def invoke(self, text: str) -> Any:
            return inner.invoke(text)

    run(lambda _: tracer.wrap(Assistant()).invoke("one two"), None, asynchronous)
    assert paths(calls) == ["Assistant", "Assistant/ChatOpenAI"]
    assert {call.name: call.kind for call in calls} == {"Assistant": CHAIN, "ChatOpenAI": LLM}
    assert tokens(calls) == usage(server.requests[0], reply(server.requests[0])[0])["total_tokens"]
