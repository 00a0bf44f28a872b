"""LangChain models and chains, wrapped: exact type, every way of calling recorded once, right parents, right endings."""

# LangChain's types say less than its objects hold.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownLambdaType=false
# pyright: reportMissingParameterType=false, reportUnknownParameterType=false, reportUntypedFunctionDecorator=false

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import openai
import pytest

pytest.importorskip("langchain_openai", reason="needs langchain-openai (pip install langchain-core langchain-openai)")

from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

import tracer
from tests.integration.capture_support import PLAIN, STREAM_USAGE, Calls
from tests.support import wait_until
from tracer.call import CANCELLED, COMPLETED, FAILED, LLM, STOPPED, Call
from tracer.reading import read_call
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer
from tracer.runtime import runtime
from tracer.scope import EMPTY, find_through, leave

pytestmark = [
    # LangChain's own deprecations (astream_log among them) are not ours to make errors of.
    pytest.mark.filterwarnings("default"),
]

NOT_FOUND = "pydanticai.model_name_suggestions.model_name_suggestion-openai-chat"


@pytest.fixture(autouse=True)
def without_finder() -> Iterator[None]:
    """What wrapping leaves in the process is taken out again."""
    yield
    find_through(None)
    leave(EMPTY)


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer(Behaviour(honour_usage=1)) as running:
        yield running


def model(server: ReplayServer, record: str = PLAIN, behaviour: Behaviour | None = None, **more: Any) -> ChatOpenAI:
    arguments: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "api_key": "none",
        "base_url": server.base_url(record, behaviour),
        "max_retries": 0,
        "http_async_client": openai.DefaultAsyncHttpxClient(),  # LangChain shares them between loops; each test closes its own.
    }
    return ChatOpenAI(**{**arguments, **more})


def in_loop(wrapped: ChatOpenAI, program: Callable[[], Awaitable[Any]]) -> None:
    """Run `program` in a loop of its own and close the model's connections there."""

    async def run() -> None:
        try:
            await program()
        finally:
            await wrapped.root_async_client.close()

    asyncio.run(run())


def names(calls: list[Call]) -> dict[int | None, str]:
    return {call.span_id: call.name for call in calls}


def test_the_type_stays_and_the_original_is_untouched(calls: Calls, server: ReplayServer) -> None:
    bare = model(server)
    wrapped = tracer.wrap(bare)
    assert type(wrapped) is ChatOpenAI
    assert bare.callbacks is None
    assert tracer.wrap(wrapped) is wrapped
    bare.invoke("hi")
    assert [(c.name, c.kind, c.operation, c.library) for c in calls] == []


@pytest.mark.parametrize(
    "way",
    [
        lambda m: m.invoke("hi"),
        lambda m: m.batch(["hi"]),
        lambda m: m.generate([[HumanMessage("hi")]]),
        lambda m: m.bind(temperature=0.5).invoke("hi"),
        lambda m: m.with_retry().invoke("hi"),
        lambda m: m.with_fallbacks([m]).invoke("hi"),
        lambda m: m.with_config(tags=["t"]).invoke("hi"),
        lambda m: copy.copy(m).invoke("hi"),
        lambda m: m.model_copy().invoke("hi"),
        lambda m: (m | StrOutputParser()).invoke("hi"),
        lambda m: (ChatPromptTemplate.from_template("{x}") | m).invoke({"x": "hi"}),
        lambda m: in_loop(m, lambda: m.ainvoke("hi")),
        lambda m: in_loop(m, lambda: m.abatch(["hi"])),
        lambda m: in_loop(m, lambda: m.agenerate([[HumanMessage("hi")]])),
    ],
)
def test_every_way_of_calling_is_one_record(calls: Calls, server: ReplayServer, way: Any) -> None:
    way(tracer.wrap(model(server)))
    assert [(call.kind, call.name, call.ending) for call in calls if call.kind == LLM] == [(LLM, "ChatOpenAI", COMPLETED)]
    assert runtime.open_calls == {}


async def _read(stream: Any) -> None:
    async for _ in stream:
        pass


@pytest.mark.parametrize(
    "way",
    [
        lambda m: list(m.stream("hi")),
        lambda m: list((m | StrOutputParser()).stream("hi")),
        lambda m: in_loop(m, lambda: _read(m.astream("hi"))),
        lambda m: in_loop(m, lambda: _read(m.astream_log("hi"))),
        lambda m: in_loop(m, lambda: _read(m.astream_events("hi", version="v2"))),
    ],
)
def test_every_way_of_streaming_is_one_record_with_its_clocks(calls: Calls, server: ReplayServer, way: Any) -> None:
    way(tracer.wrap(model(server, STREAM_USAGE, stream_usage=True)))
    (call,) = [call for call in calls if call.kind == LLM]
    record = read_call(call)
    assert record.outcome == COMPLETED
    assert record.generation is not None
    assert record.generation.output_messages[0].parts == [{"type": "text", "content": "This is a test."}]
    assert record.generation.finish_reasons == ["stop"]
    assert record.generation.usage is not None
    assert (record.generation.usage.input, record.generation.usage.output) == (12, 5)
    assert record.clocks.time_to_first_text is not None
    assert record.clocks.time_to_first_chunk is not None
    assert record.clocks.time_to_first_chunk <= record.clocks.time_to_first_text


def test_what_was_really_sent_and_answered_is_read(calls: Calls, server: ReplayServer) -> None:
    wrapped = tracer.wrap(model(server, temperature=0, max_tokens=7))
    wrapped.bind(stop=["END"]).invoke(
        [("system", "Be short."), ("human", "hi")], config={"tags": ["a"], "metadata": {"thread_id": "t1", "k": 1}}
    )
    (call,) = calls
    generation = read_call(call).generation
    assert generation is not None
    assert (generation.provider, generation.request_model) == ("openai", "gpt-4o-mini")
    assert generation.parameters == {"temperature": 0.0, "max_tokens": 7, "stop_sequences": ["END"]}
    assert [(message.role, message.parts) for message in generation.input_messages] == [
        ("system", [{"type": "text", "content": "Be short."}]),
        ("user", [{"type": "text", "content": "hi"}]),
    ]
    assert generation.output_messages[0].parts[0]["type"] == "tool_call"
    assert generation.finish_reasons == ["tool_call"]
    assert generation.usage is not None
    assert (generation.usage.input, generation.usage.output) == (109, 11)
    assert (call.session, call.tags) == ("t1", ("a",))
    assert call.metadata is not None
    assert call.metadata["k"] == 1
    assert b"none" not in (call.input_json or b"")  # the key


def test_a_stream_that_is_left_is_stopped(calls: Calls, server: ReplayServer) -> None:
    for _ in tracer.wrap(model(server, STREAM_USAGE)).stream("hi"):
        break
    (call,) = calls
    assert call.ending == STOPPED
    assert call.failure is None


def test_an_error_is_a_failure(calls: Calls, server: ReplayServer) -> None:
    with pytest.raises(openai.NotFoundError):
        tracer.wrap(model(server, NOT_FOUND)).invoke("hi")
    (call,) = calls
    assert call.ending == FAILED
    assert call.failure is not None
    assert call.failure.status == 404


def test_a_cancelled_task_is_cancelled(calls: Calls, server: ReplayServer) -> None:
    wrapped = tracer.wrap(model(server, PLAIN, Behaviour(hang=1)))

    async def program() -> None:
        before = len(server.requests(PLAIN))
        task = asyncio.create_task(wrapped.ainvoke("hi"))
        while len(server.requests(PLAIN)) == before:  # noqa: ASYNC110  # the server is no part of this loop
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_loop(wrapped, program)
    wait_until(lambda: bool(calls))
    (call,) = calls
    assert call.ending == CANCELLED
    assert runtime.open_calls == {}


def test_nothing_leaks_to_the_consumer_between_pieces(calls: Calls, server: ReplayServer) -> None:
    for _ in tracer.wrap(model(server, STREAM_USAGE)).stream("hi"):
        with tracer.trace("consumer"):
            pass
    after = {call.parent_span_id for call in calls if call.name == "consumer"}
    assert after == {None}


def test_nothing_leaks_after_an_awaited_call(calls: Calls, server: ReplayServer) -> None:
    wrapped = tracer.wrap(model(server))

    async def program() -> None:
        await wrapped.ainvoke("hi")
        with tracer.trace("after"):
            pass

    in_loop(wrapped, program)
    (after,) = [call for call in calls if call.name == "after"]
    assert after.parent_span_id is None


def test_chains_tools_and_own_spans_nest_both_ways(calls: Calls, server: ReplayServer) -> None:
    plain = model(server)

    @tool
    def weather(city: str) -> str:
        """The weather of a city."""
        with tracer.trace("inside tool"):
            plain.invoke(city)
        return "sunny"

    def step(city: str) -> str:
        with tracer.trace("own span"):
            return str(weather.invoke({"city": city}))

    chain = tracer.wrap(RunnableLambda(step))
    with tracer.trace("outer"):
        assert chain.invoke("Lisbon") == "sunny"
    known = names(calls)
    assert {call.name: known.get(call.parent_span_id) for call in calls} == {
        "outer": None,
        "step": "outer",
        "own span": "step",
        "weather": "own span",
        "inside tool": "weather",
        "ChatOpenAI": "inside tool",
    }
    assert len({call.trace_id for call in calls}) == 1


def test_a_model_over_a_wrapped_client_is_one_record_with_the_attempts(calls: Calls, server: ReplayServer) -> None:
    client = tracer.wrap(openai.OpenAI(api_key="none", base_url=server.base_url(PLAIN, Behaviour(fail=1)), max_retries=2))
    tracer.wrap(ChatOpenAI(model="gpt-4o-mini", api_key="none", client=client.chat.completions)).invoke("hi")  # pyright: ignore[reportArgumentType]
    (call,) = calls
    record = read_call(call)
    assert [attempt.status for attempt in call.attempts] == [429, 200]
    assert call.server_host == "127.0.0.1"
    assert record.generation is not None
    assert record.generation.usage is not None
    assert record.generation.usage.input == 109


def test_several_prompts_at_once_each_take_their_own_client_call(calls: Calls, server: ReplayServer) -> None:
    client = tracer.wrap(openai.OpenAI(api_key="none", base_url=server.base_url(PLAIN)))
    wrapped = tracer.wrap(ChatOpenAI(model="gpt-4o-mini", api_key="none", client=client.chat.completions))  # pyright: ignore[reportArgumentType]
    wrapped.generate([[HumanMessage("a")], [HumanMessage("b")]])
    assert [(call.kind, call.parent_span_id) for call in calls] == [(LLM, None), (LLM, None)]
    bodies = [call.inner.attempts[0].request_body for call in calls if call.inner is not None]
    assert [b'"a"' in (body or b"") for body in bodies] == [True, False]


def test_a_client_call_inside_a_step_has_the_step_as_parent(calls: Calls, server: ReplayServer) -> None:
    client = tracer.wrap(openai.OpenAI(api_key="none", base_url=server.base_url(PLAIN)))

    def ask(text: str) -> str:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
        return text

    tracer.wrap(RunnableLambda(ask)).invoke("hi")
    assert {call.operation: names(calls).get(call.parent_span_id) for call in calls} == {"chat": "ask", "span": None}


def test_the_same_results_and_errors_as_bare(calls: Calls, server: ReplayServer) -> None:
    bare, wrapped = model(server), tracer.wrap(model(server))

    def comparable(message: Any) -> Any:
        return {**message.model_dump(), "id": None}

    assert comparable(bare.invoke("hi")) == comparable(wrapped.invoke("hi"))
    bare_pieces = [comparable(piece) for piece in model(server, STREAM_USAGE).stream("hi")]
    assert bare_pieces == [comparable(piece) for piece in tracer.wrap(model(server, STREAM_USAGE)).stream("hi")]
    assert len(calls) == 2


def test_copies_of_the_handler_are_the_handler(calls: Calls, server: ReplayServer) -> None:
    (ours,) = tracer.wrap(model(server)).callbacks  # pyright: ignore[reportGeneralTypeIssues]
    assert copy.copy(ours) is copy.deepcopy(ours) is pickle.loads(pickle.dumps(ours)) is ours


def test_off_is_off(calls: Calls, server: ReplayServer) -> None:
    with tracer.context(enabled=False):
        tracer.wrap(model(server)).invoke("hi")
    assert [(c.name, c.kind, c.operation, c.library) for c in calls] == []
