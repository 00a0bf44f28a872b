"""Beside an application's own tracer provider: LangChain's runs, other objects, and instrumentations of the HTTP library."""

# LangChain's types say less than its objects hold.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownLambdaType=false
# pyright: reportMissingParameterType=false, reportUnknownParameterType=false, reportUntypedFunctionDecorator=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
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
from opentelemetry import trace as otel

import tracer
from tests.integration.capture_support import HTTP, PLAIN, STREAM_USAGE, close_http_clients, http_client
from tests.integration.host_support import Application, application, ask, attributes, host_account, id_of, parent_of, traced
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer
from tracer.scope import EMPTY, find_through, leave

pytestmark = [pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer(Behaviour(honour_usage=1)) as running:
        yield running


@pytest.fixture(autouse=True)
async def clients_are_closed(no_variables: pytest.MonkeyPatch) -> AsyncIterator[None]:
    yield
    await close_http_clients()


@pytest.fixture(autouse=True)
def no_scope_is_left() -> Iterator[None]:
    yield
    find_through(None)
    leave(EMPTY)


@pytest.fixture
def app() -> Iterator[Application]:
    with application() as installed:
        yield installed


def model(server: ReplayServer, record: str = PLAIN, **more: Any) -> ChatOpenAI:
    arguments: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "api_key": "none",
        "base_url": server.base_url(record),
        "max_retries": 0,
        "http_async_client": openai.DefaultAsyncHttpxClient(),
    }
    return ChatOpenAI(**{**arguments, **more})


def current_id() -> int:
    return otel.get_current_span().get_span_context().span_id


def test_a_model_is_a_span_that_samplers_know(app: Application, server: ReplayServer) -> None:
    with app.tracer.start_as_current_span("request"):
        before = current_id()
        tracer.wrap(model(server)).invoke("hi")
        assert current_id() == before
    call = app.only("chat gpt-4o-mini")
    assert parent_of(call) == id_of(app.only("request"))
    assert attributes(call)["gen_ai.usage.input_tokens"] > 0
    assert host_account()["exported"] == 1


def test_a_stream_of_a_model(app: Application, server: ReplayServer) -> None:
    wrapped = tracer.wrap(model(server, STREAM_USAGE, stream_usage=True))
    for _ in wrapped.stream("hi"):
        assert otel.get_current_span() is otel.INVALID_SPAN
    assert app.names == ["chat gpt-4o-mini"]
    assert otel.get_current_span() is otel.INVALID_SPAN


def test_chains_models_and_tools_nest_with_the_applications_spans(app: Application, server: ReplayServer) -> None:
    @tool
    def weather(city: str) -> str:
        """The weather."""
        with app.tracer.start_as_current_span("lookup"):
            return f"sun in {city}"

    def step(value: Any) -> Any:
        with app.tracer.start_as_current_span("own step"):
            return wrapped.invoke(value)

    wrapped = model(server)
    chain = tracer.wrap(ChatPromptTemplate.from_template("{x}") | RunnableLambda(step) | StrOutputParser() | weather)
    with app.tracer.start_as_current_span("request"):
        chain.invoke({"x": "hi"})
    assert otel.get_current_span() is otel.INVALID_SPAN
    root = app.only("RunnableSequence")
    assert parent_of(root) == id_of(app.only("request"))
    assert parent_of(app.only("execute_tool weather")) == id_of(root)
    assert parent_of(app.only("lookup")) == id_of(app.only("execute_tool weather"))
    assert parent_of(app.only("chat gpt-4o-mini")) == id_of(app.only("own step"))
    assert parent_of(app.only("ChatPromptTemplate")) == id_of(root)


async def test_async_runs_leave_nothing_behind(app: Application, server: ReplayServer) -> None:
    wrapped = tracer.wrap(model(server))
    streaming = tracer.wrap(model(server, STREAM_USAGE))
    chain = ChatPromptTemplate.from_template("{x}") | wrapped
    try:
        with app.tracer.start_as_current_span("request"):
            before = current_id()
            await chain.ainvoke({"x": "hi"})
            assert current_id() == before
            with app.tracer.start_as_current_span("after"):
                pass
            await asyncio.gather(*(wrapped.ainvoke("hi") for _ in range(3)))
            assert current_id() == before
            async for _ in streaming.astream("hi"):
                pass
            assert current_id() == before
            with app.tracer.start_as_current_span("last"):
                pass
    finally:
        await wrapped.root_async_client.close()
        await streaming.root_async_client.close()
    request, sequence = id_of(app.only("request")), id_of(app.only("RunnableSequence"))
    parents = [parent_of(span) for span in app.spans if span.name.startswith("chat")]
    assert (len(parents), parents.count(sequence), parents.count(request)) == (5, 1, 4)
    assert parent_of(app.only("after")) == parent_of(app.only("last")) == parent_of(app.only("RunnableSequence")) == request


def test_several_prompts_at_once_are_siblings(app: Application, server: ReplayServer) -> None:
    wrapped = tracer.wrap(model(server))
    with app.tracer.start_as_current_span("request"):
        wrapped.generate([[HumanMessage("a")], [HumanMessage("b")], [HumanMessage("c")]])
        wrapped.batch(["a", "b"])
    assert otel.get_current_span() is otel.INVALID_SPAN
    calls = [span for span in app.spans if span.name == "chat gpt-4o-mini"]
    assert [parent_of(span) for span in calls] == [id_of(app.only("request"))] * 5


def test_a_model_over_a_wrapped_client_is_one_span(app: Application, server: ReplayServer) -> None:
    bare = model(server)
    bare.client = tracer.wrap(bare.root_client).chat.completions
    tracer.wrap(bare).invoke("hi")
    assert app.names == ["chat gpt-4o-mini"]


def test_objects_with_verbs(app: Application) -> None:
    class Model:
        def invoke(self, text: str) -> str:
            with app.tracer.start_as_current_span("inside"):
                return text

        def stream(self, text: str) -> Iterator[str]:
            for letter in text:
                with app.tracer.start_as_current_span(f"letter {letter}"):
                    pass
                yield letter

    wrapped = tracer.wrap(Model())
    assert wrapped.invoke("hi") == "hi"
    inside, call = app.spans
    assert parent_of(inside) == id_of(call)
    app.exporter.clear()
    for _ in wrapped.stream("ab"):
        assert otel.get_current_span() is otel.INVALID_SPAN
    call = app.spans[-1]
    assert app.names[:2] == ["letter a", "letter b"]
    assert {parent_of(span) for span in app.spans[:2]} == {id_of(call)}


def test_requests_are_children_of_the_call(app: Application, server: ReplayServer) -> None:
    instrumentation: Any = pytest.importorskip("opentelemetry.instrumentation.httpx", reason="needs opentelemetry-instrumentation-httpx")
    name = "HTTPX2ClientInstrumentor" if HTTP.__name__ == "httpx2" else "HTTPXClientInstrumentor"
    instrumentor = getattr(instrumentation, name)
    client = http_client()
    instrumentor.instrument_client(client, tracer_provider=app.provider)
    wrapped = traced(server, http_client=client)
    with app.tracer.start_as_current_span("request"):
        ask(wrapped)
    call = app.only("chat gpt-4o")
    assert parent_of(call) == id_of(app.only("request"))
    assert [parent_of(span) for span in app.spans if span.name == "POST"] == [id_of(call)]
    app.exporter.clear()
    stream = ask(traced(server, STREAM_USAGE, http_client=client), STREAM_USAGE)
    list(stream)
    streamed = app.spans[-1]
    assert [parent_of(span) for span in app.spans if span.name == "POST"] == [id_of(streamed)]


def test_requests_of_langchain_are_children_of_its_run(app: Application, server: ReplayServer) -> None:
    instrumentation: Any = pytest.importorskip("opentelemetry.instrumentation.httpx", reason="needs opentelemetry-instrumentation-httpx")
    name = "HTTPX2ClientInstrumentor" if HTTP.__name__ == "httpx2" else "HTTPXClientInstrumentor"
    client = http_client()
    getattr(instrumentation, name).instrument_client(client, tracer_provider=app.provider)
    tracer.wrap(model(server, http_client=client)).invoke("hi")
    assert parent_of(app.only("POST")) == id_of(app.only("chat gpt-4o-mini"))
