"""Every run of LangChain is one record under the right parent: chains, agents, graphs; sync, async, in threads; wrapped or not.

LangChain tells any handler its own tree. Ours must be that tree, with the application's own spans and the calls of other clients in it.
"""

# LangChain's types say less than its objects hold.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingTypeArgument=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false, reportArgumentType=false
# pyright: reportUntypedFunctionDecorator=false, reportDeprecated=false

from __future__ import annotations

import asyncio
import operator
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

import pytest

pytest.importorskip("langgraph.types", reason="needs langgraph 0.2.60 or newer (pip install langchain-core langgraph)")

from langchain_core.callbacks import CallbackManager, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import FakeListChatModel, FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableBranch, RunnableConfig, RunnableGenerator, RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from langgraph.prebuilt import create_react_agent
from langgraph.types import Command, Send, interrupt

import tracer
from tests.integration.capture_support import until
from tests.integration.langchain_support import MODES, LangChainsView, parents_in_langchain, paths
from tests.support import wait_until
from tracer.call import CANCELLED, CHAIN, COMPLETED, FAILED, LLM, RETRIEVER, STOPPED, TOOL, Call
from tracer.capture.langchain_joining import handler, leave_runs_alone, trace_every_run
from tracer.runtime import runtime
from tracer.scope import EMPTY, as_entered, find_through, leave

pytestmark = [
    # LangChain's and LangGraph's own deprecations are not ours to make errors of.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(autouse=True)
def nothing_left_behind(calls: list[Call]) -> Iterator[None]:
    """No run stays open, no error of ours was swallowed by LangChain, and what wrapping leaves in the process is taken out."""
    yield
    assert runtime.open_calls == {}
    assert runtime.faults == {}
    assert handler()._runs == {}
    assert all(not scope.absorbers for scope in as_entered())
    find_through(None)
    leave(EMPTY)


class Down(Exception):  # noqa: N818
    """What fails in these tests."""


class Failing(FakeListChatModel):
    """Fails as often as it is told to, over all of its copies."""

    failures: list[int]

    def _call(self, *args: Any, **kwargs: Any) -> str:
        if self.failures:
            self.failures.pop()
            raise Down
        return super()._call(*args, **kwargs)


class Agents(FakeMessagesListChatModel):
    """A model with tools that are bound to it."""

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable:
        return self


class Library(BaseRetriever):
    """Finds what a model tells it; LangChain's newer retrievers await, the older do not."""

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        with tracer.trace("look up"):
            return [Document(str(model().invoke(query, {"callbacks": run_manager.get_child()}).content))]


def model() -> FakeListChatModel:
    return FakeListChatModel(responses=["a b"])


def chain() -> Runnable:
    return ChatPromptTemplate.from_template("{x}") | model() | StrOutputParser()


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    with tracer.trace("own span"):
        model().invoke(city)
    return "sunny"


@tool
async def forecast(city: str) -> str:
    """The weather of a city tomorrow."""
    async with tracer.trace("own span"):
        await model().ainvoke(city)
    return "rain"


def agent(of: Any) -> Runnable:
    """Asks for its tool twice at once, and then has an answer."""
    calls: list[Any] = [{"name": of.name, "args": {"city": city}, "id": city} for city in ("Lisbon", "Porto")]
    return create_react_agent(Agents(responses=[AIMessage("", tool_calls=calls), AIMessage("done")]), [of])


class State(TypedDict):
    """What goes through a graph."""

    done: Annotated[list[str], operator.add]


def node(name: str) -> Callable[[State], dict[str, list[str]]]:
    def run(_: State) -> dict[str, list[str]]:
        with tracer.trace(f"own span of {name}"):
            model().invoke(name)
        return {"done": [name]}

    return run


def async_node(name: str) -> Callable[..., Awaitable[dict[str, list[str]]]]:
    async def run(_: State, config: RunnableConfig) -> dict[str, list[str]]:
        async with tracer.trace(f"own span of {name}"):
            await model().ainvoke(name, config)
        return {"done": [name]}

    return run


def graph(make: Callable[[str], Any]) -> Runnable:
    """`a`, then `b` and `c` at the same time, then a graph of `d` and twice `e` at the same time."""

    def onward(_: State) -> list[Send]:
        return [Send("e", {"done": []}), Send("e", {"done": []})]

    inner = StateGraph(State)
    inner.add_node("d", make("d"))
    inner.add_node("e", make("e"))
    inner.add_edge(START, "d")
    inner.add_conditional_edges("d", onward, ["e"])
    outer = StateGraph(State)
    for name in "abc":
        outer.add_node(name, make(name))
    outer.add_node("inner", inner.compile())
    for begin, end in ((START, "a"), ("a", "b"), ("a", "c"), ("b", "inner"), ("c", "inner")):
        outer.add_edge(begin, end)
    return outer.compile()


def in_threads(text: str) -> str:
    """Threads that LangChain knows nothing of."""
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(model().invoke, text) for _ in range(2)]
    return str([answer.result() for answer in answers])


def generated(pieces: Iterator[str]) -> Iterator[str]:
    for piece in pieces:
        with tracer.trace("own span"):
            model().invoke(piece)
        yield piece


async def generated_async(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    async for piece in pieces:
        async with tracer.trace("own span"):
            await model().ainvoke(piece)
        yield piece


async def read(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


X = {"x": "hi"}
ASK: dict[str, Any] = {"messages": [("user", "hi")]}
Way = Callable[[Any, Any], Any]
PARALLEL = RunnableParallel(one=chain(), two=RunnableParallel(three=chain()))
INVOKE: Way = lambda r, c: r.invoke("hi", c)  # noqa: E731
AINVOKE: Way = lambda r, c: r.ainvoke("hi", c)  # noqa: E731

# What is run, in which way, and how many model calls there are in it.
PROGRAMS: dict[str, tuple[Callable[[], Any], Way, int | None]] = {
    "model": (model, INVOKE, 1),
    "model, async": (model, AINVOKE, 1),
    "model, streamed": (model, lambda r, c: list(r.stream("hi", c)), 1),
    "model, batch": (model, lambda r, c: r.batch(["a", "b", "c"], c), 3),
    "model, async batch": (model, lambda r, c: r.abatch(["a", "b", "c"], c), 3),
    "chain": (chain, lambda r, c: r.invoke(X, c), 1),
    "chain, async": (chain, lambda r, c: r.ainvoke(X, c), 1),
    "chain, streamed": (chain, lambda r, c: list(r.stream(X, c)), 1),
    "chain, async stream": (chain, lambda r, c: read(r.astream(X, c)), 1),
    "chain, batch": (chain, lambda r, c: r.batch([X, X, X], c), 3),
    "chain, batch as completed": (chain, lambda r, c: list(r.batch_as_completed([X, X, X], c)), 3),
    "chain, async batch": (chain, lambda r, c: r.abatch([X, X, X], c), 3),
    "chain, events": (chain, lambda r, c: read(r.astream_events(X, c, version="v2")), 1),
    "chain, log": (chain, lambda r, c: read(r.astream_log(X, c)), 1),
    "parallel": (lambda: PARALLEL, lambda r, c: r.invoke(X, c), 2),
    "parallel, async": (lambda: PARALLEL, lambda r, c: r.ainvoke(X, c), 2),
    "parallel, streamed": (lambda: PARALLEL, lambda r, c: list(r.stream(X, c)), 2),
    "parallel, batch": (lambda: PARALLEL, lambda r, c: r.batch([X, X], c), 4),
    "branch": (lambda: RunnableBranch((lambda _: True, chain()), model()), lambda r, c: r.invoke(X, c), 1),
    "assign and pick": (lambda: RunnableParallel(x=chain()).assign(y=chain()).pick("y"), lambda r, c: r.invoke(X, c), 2),
    "map": (lambda: chain().map(), lambda r, c: r.invoke([X, X], c), 2),
    "retry": (lambda: Failing(responses=["a"], failures=[1, 2]).with_retry(wait_exponential_jitter=False), INVOKE, 3),
    "retry, async": (lambda: Failing(responses=["a"], failures=[1, 2]).with_retry(wait_exponential_jitter=False), AINVOKE, 3),
    "fallback": (lambda: Failing(responses=["a"], failures=[1]).with_fallbacks([model()]), INVOKE, 2),
    "fallback, async": (lambda: Failing(responses=["a"], failures=[1]).with_fallbacks([model()]), AINVOKE, 2),
    "retriever": (Library, INVOKE, 1),
    "retriever, async": (Library, AINVOKE, 1),
    "retriever in a chain": (lambda: Library() | RunnableLambda(str), INVOKE, 1),
    "tool": (lambda: RunnableLambda(lambda city: weather.invoke(city)), INVOKE, 1),
    "tool, async": (lambda: RunnableLambda(forecast.ainvoke), AINVOKE, 1),
    "generator": (lambda: chain() | RunnableGenerator(generated), lambda r, c: list(r.stream(X, c)), 4),
    "generator, async": (lambda: chain() | RunnableGenerator(generated_async), lambda r, c: read(r.astream(X, c)), 4),
    "threads": (lambda: RunnableLambda(in_threads), INVOKE, 2),
    "agent": (lambda: agent(weather), lambda r, c: r.invoke(ASK, c), 4),
    "agent, async": (lambda: agent(forecast), lambda r, c: r.ainvoke(ASK, c), 4),
    "agent, async with a sync tool": (lambda: agent(weather), lambda r, c: r.ainvoke(ASK, c), 4),
    "agent, events": (lambda: agent(forecast), lambda r, c: read(r.astream_events(ASK, c, version="v2")), 4),
    "agent, batch": (lambda: agent(weather), lambda r, c: r.batch([ASK, ASK], c), None),
    "graph": (lambda: graph(node), lambda r, c: r.invoke({"done": []}, c), 6),
    "graph, streamed": (lambda: graph(node), lambda r, c: list(r.stream({"done": []}, c, stream_mode="messages")), 6),
    "graph, async": (lambda: graph(async_node), lambda r, c: r.ainvoke({"done": []}, c), 6),
    "graph, async with sync nodes": (lambda: graph(node), lambda r, c: r.ainvoke({"done": []}, c), 6),
    "graph, async stream": (lambda: graph(async_node), lambda r, c: read(r.astream({"done": []}, c, stream_mode="messages")), 6),
    "graph, batch": (lambda: graph(node), lambda r, c: r.batch([{"done": []}, {"done": []}], c), 12),
}  # fmt: skip


DEEPER = {name for name in PROGRAMS if name.startswith(("fallback", "agent"))}
"""Where LangChain names a run further above as the parent than the one that it runs in. What these come to is below, in full."""


def above(run_id: int, parents: dict[int, int | None]) -> Iterator[int | None]:
    """The runs above a run, and None at the end."""
    parent = parents[run_id]
    while parent is not None:
        yield parent
        parent = parents[parent]
    yield None


def run(way: Way, runnable: Any, config: Any = None) -> None:
    """Run it to its end, in a loop if it is to be awaited."""
    outcome = way(runnable, config)
    if isinstance(outcome, Awaitable):
        if sys.version_info < (3, 11):
            getattr(outcome, "close")()  # noqa: B009  # a coroutine that nobody awaits is told of
            reason = "before Python 3.11 LangChain hands no context to what it awaits"
            print(reason)
            pytest.skip(reason)

        async def wait() -> None:
            await outcome

        asyncio.run(wait())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_tree_is_langchains_own(calls: list[Call], name: str, mode: str) -> None:
    make, way, models = PROGRAMS[name]
    view = LangChainsView()
    run(way, MODES[mode](make()), {"callbacks": [view]})
    found = parents_in_langchain(calls)
    assert [run_id for run_id, count in Counter(call.run_id for call in calls).items() if count > 1] == []
    expected = dict(view.parents)
    if name == "threads":
        # Nothing carries LangChain's own context into these, so it knows neither parent nor callbacks there.
        lost = [call for call in calls if call.kind == LLM and call.run_id not in expected]
        assert len(lost) == (2 if mode != "wrapped" else 0)
        root = next(call.run_id for call in calls if call.name == "in_threads")
        expected.update({call.run_id: root for call in lost})
        models = len(lost)
    if name in DEEPER:
        assert all(expected[run_id] in above(run_id, found) for run_id in expected)
        assert found.keys() == expected.keys()
    else:
        assert found == expected
    kinds = {call.run_id: call.kind for call in calls}
    assert {run_id: kinds[run_id] for run_id in view.kinds} == view.kinds
    if models is not None:
        assert sum(call.kind == LLM for call in calls) == models
    roots = [call for call in calls if call.parent_span_id is None]
    assert len({call.trace_id for call in calls}) == len(roots)
    assert {call.ending for call in calls} <= {COMPLETED, FAILED}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_all_of_it_lies_under_a_span_around_it(calls: list[Call], name: str, mode: str) -> None:
    make, way, _ = PROGRAMS[name]
    runnable = MODES[mode](make())
    with tracer.trace("around", tags=["t"]):
        run(way, runnable)
    with tracer.trace("after"):
        pass
    known = {call.span_id for call in calls}
    (around,) = [call for call in calls if call.name == "around"]
    assert [call.name for call in calls if call.parent_span_id is None] == ["around", "after"]
    assert all(call.parent_span_id in known for call in calls if call.name not in ("around", "after"))
    assert {call.trace_id for call in calls if call.name != "after"} == {around.trace_id}


# Shapes in full, so that a mistake that LangChain's tree shares would be seen.


def test_a_graph_in_full(calls: list[Call]) -> None:
    MODES["every_run"](graph(async_node))
    run(lambda r, c: r.ainvoke({"done": []}, c), graph(async_node))
    parts = {"a": "LangGraph", "b": "LangGraph", "c": "LangGraph", "d": "LangGraph/inner/LangGraph", "e": "LangGraph/inner/LangGraph"}
    expected = ["LangGraph", "LangGraph/inner", "LangGraph/inner/LangGraph", "LangGraph/inner/LangGraph/d/onward"]
    for name, above in parts.items():
        own = f"{above}/{name}", f"{above}/{name}/own span of {name}", f"{above}/{name}/own span of {name}/FakeListChatModel"
        expected += own * (2 if name == "e" else 1)
    assert paths(calls) == sorted(expected)


def test_a_tool_of_an_agent_in_full(calls: list[Call]) -> None:
    run(lambda r, c: r.invoke(ASK, c), MODES["every_run"](agent(weather)))
    assert paths(calls).count("LangGraph/agent/call_model/RunnableSequence/Agents") == 2
    found = Counter(path for path in paths(calls) if "tools" in path)
    tools = "LangGraph/tools"
    below = (tools, f"{tools}/weather", f"{tools}/weather/own span", f"{tools}/weather/own span/FakeListChatModel")
    assert found == dict.fromkeys(below, 2)
    assert {call.kind for call in calls if call.name == "weather"} == {TOOL}


def test_fallbacks_in_full(calls: list[Call]) -> None:
    step = Failing(responses=["a"], failures=[1]).with_fallbacks([chain()])
    run(INVOKE, MODES["every_run"](RunnableLambda(lambda x: x, name="before") | step))
    sequence = "RunnableSequence/RunnableWithFallbacks/RunnableSequence"
    assert paths(calls) == sorted(
        [
            "RunnableSequence",
            "RunnableSequence/before",
            "RunnableSequence/RunnableWithFallbacks",
            "RunnableSequence/RunnableWithFallbacks/Failing",
            sequence,
            *(f"{sequence}/{name}" for name in ("ChatPromptTemplate", "FakeListChatModel", "StrOutputParser")),
        ]
    )


def test_a_span_inside_a_run_that_was_given_the_config_of_a_run_above(calls: list[Call]) -> None:
    """LangChain would put the model beside the inner step; the application's span is nearer."""

    def step(text: str, config: RunnableConfig) -> str:
        def inner(text: str) -> str:
            with tracer.trace("own span"):
                return str(model().invoke(text, config).content)

        return str(RunnableLambda(inner).invoke(text))

    run(INVOKE, MODES["every_run"](RunnableLambda(step)))
    assert paths(calls) == ["step", "step/inner", "step/inner/own span", "step/inner/own span/FakeListChatModel"]


def test_nothing_of_a_chain_leaks_between_its_pieces(calls: list[Call]) -> None:
    for _ in MODES["every_run"](chain()).stream(X):
        with tracer.trace("consumer"):
            model().invoke("aside")
    assert paths([call for call in calls if call.name == "consumer"]) == ["consumer"] * 3
    asides = [path for path in paths(calls) if path.startswith("consumer/")]
    assert asides == ["consumer/FakeListChatModel"] * 3


def test_concurrent_chains_in_one_loop_do_not_mix(calls: list[Call]) -> None:
    trace_every_run()

    async def one(number: int) -> None:
        async with tracer.trace(f"number {number}"):
            await chain().ainvoke(X)

    async def main() -> None:
        await asyncio.gather(*(one(number) for number in range(5)))

    asyncio.run(main())
    assert Counter(path.split("/")[0] for path in paths(calls)) == {f"number {number}": 5 for number in range(5)}


# Endings that LangChain does not tell as they are.


def test_a_chain_that_is_left_is_stopped(calls: list[Call]) -> None:
    """LangChain's parser reads the model to its end, for the sake of its own tracing."""
    for _ in MODES["every_run"](chain()).stream(X):
        break
    assert {call.name: call.ending for call in calls} == {
        "RunnableSequence": STOPPED,
        "ChatPromptTemplate": COMPLETED,
        "FakeListChatModel": COMPLETED,
        "StrOutputParser": COMPLETED,
    }


def test_a_chain_that_is_left_in_a_loop_is_stopped(calls: list[Call]) -> None:
    async def leave_early() -> None:
        stream = MODES["every_run"](chain()).astream(X)
        async for _ in stream:
            break
        await stream.aclose()

    asyncio.run(leave_early())
    assert {call.name: call.ending for call in calls if call.kind == LLM or call.name == "RunnableSequence"} == {
        "RunnableSequence": STOPPED,
        "FakeListChatModel": STOPPED,
    }


class Slow(BaseRetriever):
    """Waits for ever."""

    begun: list[int] = []  # noqa: RUF012  # a field of pydantic

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        raise NotImplementedError

    async def _aget_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        self.begun.append(1)
        await asyncio.Event().wait()
        return []


@tool
async def endless(city: str) -> str:
    """Waits for ever."""
    await asyncio.Event().wait()
    return city


@pytest.mark.parametrize("inside", ["nothing", "chain", "tool"])
def test_what_a_cancelled_task_awaited_is_cancelled(calls: list[Call], inside: str) -> None:
    trace_every_run()
    slow = Slow(begun=[])

    async def main() -> None:
        step = {"nothing": slow, "chain": RunnableLambda(lambda x: x) | slow, "tool": endless}[inside]
        task = asyncio.create_task(step.ainvoke("hi"))  # pyright: ignore[reportAttributeAccessIssue]
        await until(lambda: bool(slow.begun) or (inside == "tool" and bool(runtime.open_calls)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    awaited = [call for call in calls if call.kind in (RETRIEVER, TOOL) or call.name == "RunnableSequence"]
    assert {call.ending for call in awaited} == {CANCELLED}
    assert len(awaited) == (2 if inside == "chain" else 1)


def test_a_cancellation_that_the_task_survives(calls: list[Call]) -> None:
    """The record comes when the task ends, as cancelled, however well the task ends."""
    trace_every_run()

    async def main() -> str:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(0.01, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await Slow(begun=[]).ainvoke("hi")
        return "fine"

    assert asyncio.run(main()) == "fine"
    assert [call.ending for call in calls] == [CANCELLED]


def test_a_task_does_not_collect_what_watches_its_calls(calls: list[Call]) -> None:
    trace_every_run()

    async def main() -> int:
        for _ in range(20):
            await model().ainvoke("hi")
        task: Any = asyncio.current_task()
        return len(task._callbacks or ())

    async def outer() -> int:
        return await asyncio.create_task(main())

    assert asyncio.run(outer()) <= 1
    assert len(calls) == 20


def test_an_interrupt_of_a_graph_is_no_failure(calls: list[Call]) -> None:
    from langgraph.checkpoint.memory import InMemorySaver

    def ask(_: State) -> dict[str, list[str]]:
        return {"done": [interrupt("sure?")]}

    made = StateGraph(State)
    made.add_node("ask", ask)
    made.add_edge(START, "ask")
    compiled = MODES["every_run"](made.compile(checkpointer=InMemorySaver()))
    config: Any = {"configurable": {"thread_id": "1"}}
    compiled.invoke({"done": []}, config)
    compiled.invoke(Command(resume="yes"), config)
    assert [(call.name, call.ending, call.failure) for call in calls] == [
        ("ask", STOPPED, None),
        ("LangGraph", COMPLETED, None),
        ("ask", COMPLETED, None),
        ("LangGraph", COMPLETED, None),
    ]
    assert {call.session for call in calls} == {"1"}


# Callback managers where lists are usual.


@pytest.mark.parametrize("inheritable", [False, True])
def test_a_model_with_a_manager_of_callbacks(calls: list[Call], inheritable: bool) -> None:
    view = LangChainsView()
    manager = CallbackManager([view], inheritable_handlers=[view] if inheritable else [])
    bare = FakeListChatModel(responses=["a"], callbacks=manager)
    wrapped = tracer.wrap(bare)
    assert tracer.wrap(wrapped) is wrapped
    wrapped.invoke("hi")
    assert [call.run_id for call in calls] == list(view.parents)
    assert bare.callbacks is manager
    assert manager.handlers == [view]
    bare.invoke("hi")
    assert len(calls) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_config_with_a_manager_of_callbacks(calls: list[Call], mode: str) -> None:
    view = LangChainsView()
    manager = CallbackManager([], inheritable_handlers=[])
    manager.add_handler(view, inherit=True)
    runnable = MODES[mode](chain())
    runnable.invoke(X, {"callbacks": manager})
    runnable.batch([X, X], {"callbacks": manager})
    assert parents_in_langchain(calls) == view.parents
    assert len(calls) == 12
    assert manager.handlers == [view]


def test_a_manager_that_holds_our_handler_already(calls: list[Call]) -> None:
    manager = CallbackManager([handler()], inheritable_handlers=[handler()])
    tracer.wrap(model()).invoke("hi", {"callbacks": manager})
    MODES["both"](chain()).invoke(X, {"callbacks": manager})
    assert len(calls) == 5


# On and off.


def test_runs_are_left_alone_again(calls: list[Call]) -> None:
    chain().invoke(X)
    assert calls == []
    trace_every_run()
    chain().invoke(X)
    assert len(calls) == 4
    leave_runs_alone()
    chain().invoke(X)
    assert len(calls) == 4
    tracer.wrap(chain()).invoke(X)
    assert len(calls) == 8


def test_off_inside_of_a_chain(calls: list[Call]) -> None:
    def step(text: str) -> str:
        with tracer.context(enabled=False):
            model().invoke(text)
        return text

    MODES["every_run"](RunnableLambda(step) | RunnableLambda(lambda x: x)).invoke("hi")
    assert sorted({call.kind for call in calls}) == [CHAIN]
    assert len(calls) == 3


def test_a_record_of_each_of_a_hundred_in_a_batch(calls: list[Call]) -> None:
    def step(number: int) -> int:
        if number % 20 == 0:
            raise Down
        model().invoke(str(number))
        return number

    with tracer.trace("around"):
        results = MODES["every_run"](RunnableLambda(step)).batch(list(range(100)), {"max_concurrency": 8}, return_exceptions=True)
    assert [number for number, result in enumerate(results) if isinstance(result, Down)] == [0, 20, 40, 60, 80]
    assert [result for result in results if not isinstance(result, Down)] == [number for number in range(100) if number % 20]
    assert Counter((call.kind, call.ending) for call in calls) == {
        (CHAIN, COMPLETED): 96,
        (CHAIN, FAILED): 5,
        (LLM, COMPLETED): 95,
    }
    steps = {call.span_id for call in calls if call.name == "step"}
    assert all(call.parent_span_id in steps for call in calls if call.kind == LLM)
    wait_until(lambda: not runtime.open_calls)
