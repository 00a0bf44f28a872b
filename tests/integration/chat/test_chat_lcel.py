"""Chat models in LangChain's chains, from both sides of `|`: whole, in pieces, in batches, sync and async."""

# LangChain is not among the dependencies: where it is missing, and where its types say less than its objects hold, no checks.
# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportOptionalSubscript=false, reportIndexIssue=false
# pyright: reportAttributeAccessIssue=false, reportTypedDictNotRequiredAccess=false

from __future__ import annotations

import asyncio
import gc
import threading
from uuid import uuid4

import pytest

pytest.importorskip("langchain_core", reason="needs langchain-core")

from chat_loopback import ANSWER, Loopback
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage as LangChainAIMessage
from langchain_core.messages import AIMessageChunk as LangChainChunk
from langchain_core.messages import HumanMessage as LangChainHuman
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from pydantic import BaseModel

from tests.support import wait_until
from tracer.call import STOPPED, Call
from tracer.chat import ChatModel

PROMPT = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "Say: {words}")])
WORDS = {"words": "one two three"}

CHAINS = {
    "prompt | chat | parser": lambda chat: PROMPT | chat | StrOutputParser(),
    "prompt | (chat | parser)": lambda chat: PROMPT | (chat | StrOutputParser()),
    "pipe": lambda chat: PROMPT.pipe(chat, StrOutputParser()),
    "chat.pipe": lambda chat: PROMPT | chat.pipe(StrOutputParser()),
    "bound": lambda chat: PROMPT | chat.bind(seed=3) | StrOutputParser(),
    "as_langchain": lambda chat: PROMPT | chat.as_langchain() | StrOutputParser(),
}

each_chain = pytest.mark.parametrize("make", CHAINS.values(), ids=CHAINS.keys())


@each_chain
def test_invoke_and_batch(chat: ChatModel, make) -> None:
    chain = make(chat)
    assert chain.invoke(WORDS) == "one two three"
    assert chain.batch([{"words": "a"}, {"words": "b"}, {"words": "c"}]) == ["a", "b", "c"]


@each_chain
async def test_ainvoke_and_abatch(async_chat: ChatModel, make) -> None:
    chain = make(async_chat)
    assert await chain.ainvoke(WORDS) == "one two three"
    assert await chain.abatch([{"words": "a"}, {"words": "b"}]) == ["a", "b"]


@each_chain
def test_pieces_come_one_by_one(server: Loopback, chat: ChatModel, make) -> None:
    server.gate = threading.Semaphore(0)
    stream = make(chat).stream(WORDS)
    taken = []
    server.gate.release(2)  # the role, the first word
    while not taken or not taken[-1]:
        taken.append(next(stream))
    assert taken[-1] == "one "
    assert server.sent <= 2, "the chain waited for more than the first word"
    server.gate.release(100)
    assert "".join([*taken, *stream]) == "one two three"


@each_chain
async def test_pieces_come_one_by_one_async(server: Loopback, async_chat: ChatModel, make) -> None:
    server.gate = threading.Semaphore(0)
    stream = make(async_chat).astream(WORDS)
    taken = []
    server.gate.release(2)
    while not taken or not taken[-1]:
        taken.append(await anext(stream))
    assert taken[-1] == "one "
    assert server.sent <= 2
    server.gate.release(100)
    taken.extend([piece async for piece in stream])
    assert "".join(taken) == "one two three"


def test_parallel_and_functions_on_the_left(chat: ChatModel) -> None:
    both = RunnableParallel(one=chat, other=chat | StrOutputParser()).invoke("Say: x")
    assert isinstance(both["one"], LangChainAIMessage)
    assert both["one"].content == both["other"] == "x"
    assert ((lambda text: f"Say: {text}") | chat).invoke("y").content == "y"
    assert (chat | chat.bind(model="other")).steps[1].chat.model == "other"


def test_a_chain_gives_langchain_messages_and_events(chat: ChatModel) -> None:
    pieces = list((PROMPT | chat).stream(WORDS))
    assert {type(piece) for piece in pieces} == {LangChainChunk}
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    assert whole.content == "one two three"
    assert whole.response_metadata["finish_reason"] == "stop"


async def test_events_show_the_model(async_chat: ChatModel) -> None:
    events = [event async for event in (PROMPT | async_chat | StrOutputParser()).astream_events(WORDS, version="v2")]
    streamed = [event["data"]["chunk"].content for event in events if event["event"] == "on_chat_model_stream"]
    assert "".join(streamed) == "one two three"
    assert "ChatModel" in {event["name"] for event in events}


def test_structured_output_in_a_chain(chat: ChatModel) -> None:
    class Point(BaseModel):
        x: int

    for structured in (chat.with_structured_output(Point), chat.as_langchain().with_structured_output(Point)):
        chain = ChatPromptTemplate.from_template("The number {n}") | structured | RunnableLambda(lambda point: point.x + 1)
        assert chain.invoke({"n": 6}) == 7
    told = {"ls_structured_output_format": {"kwargs": {}, "schema": {}}}  # Older versions hand on what is for tracers.
    assert chat.as_langchain()._generate([LangChainHuman("The number 6")], **told).generations
    raw = (ChatPromptTemplate.from_template("The number {n}") | chat.with_structured_output(Point, include_raw=True)).invoke({"n": 6})
    assert raw["parsed"] == Point(x=6)
    assert isinstance(raw["raw"], LangChainAIMessage)


def test_a_true_chat_model_with_the_runs_own_id(chat: ChatModel) -> None:
    model = chat.as_langchain()
    assert isinstance(model, BaseChatModel)
    assert model is chat.as_langchain()
    result = model.generate([[LangChainHuman("hi")], [LangChainHuman("hi")]])
    assert [item[0].text for item in result.generations] == [ANSWER, ANSWER]
    assert result.llm_output["token_usage"]["total_tokens"] == 28
    assert model.invoke("hi").usage_metadata["input_tokens"] == 1


def test_langchain_messages_in(server: Loopback, chat: ChatModel) -> None:
    chat.invoke([LangChainHuman("hi"), LangChainAIMessage("", tool_calls=[{"name": "f", "args": {"a": 1}, "id": "c1"}])])
    assert server.requests[-1]["messages"] == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
        },
    ]
    chat.invoke(PROMPT.invoke(WORDS))
    assert [item["role"] for item in server.requests[-1]["messages"]] == ["system", "user"]


def test_tools_of_langchain(server: Loopback, chat: ChatModel) -> None:
    from langchain_core.tools import tool

    @tool
    def double(number: int) -> int:
        """Twice the number."""
        return 2 * number

    answer = chat.bind_tools([double], tool_choice="double").invoke("Double 4")
    assert answer.tool_calls == [{"name": "double", "args": {"number": 4}, "id": "call_1", "type": "tool_call"}]
    assert server.requests[-1]["tools"][0]["function"]["description"] == "Twice the number."


@pytest.mark.filterwarnings("default")  # of langgraph's own
def test_agent_of_langgraph(chat: ChatModel) -> None:
    pytest.importorskip("langgraph", reason="needs langgraph")
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode, tools_condition

    def double(number: int) -> int:
        """Twice the number."""
        return 2 * number

    model = chat.as_langchain().bind_tools([double])
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([double]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    messages = graph.compile().invoke({"messages": [("human", "Double 21")]})["messages"]
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    assert messages[2].content == "42"


def test_the_record_bears_langchains_run_id_and_tags(calls: list[Call], chat: ChatModel) -> None:
    run_id = uuid4()
    chat.as_langchain().invoke("hi", config={"run_id": run_id, "tags": ["t"], "metadata": {"k": 1}})
    assert [(call.run_id, call.tags) for call in calls] == [(run_id.int, ("t",))]
    assert calls[0].metadata is not None
    assert calls[0].metadata["k"] == 1
    assert not [key for key in calls[0].metadata if key.startswith("ls_")]


def test_breaking_off_a_chain_ends_the_request(server: Loopback, calls: list[Call], chat: ChatModel) -> None:
    server.gate = threading.Semaphore(3)
    # Behind a sync parser LangChain itself reads the model's stream to its end when the chain is closed, bare models' too.
    stream = (PROMPT | chat).stream({"words": "word " * 400})
    next(stream)
    next(stream)
    stream.close()
    server.gate.release(1000)
    assert server.broken.wait(5), "the server could still send"
    assert [call.ending for call in calls] == [STOPPED]


async def test_breaking_off_an_async_chain_ends_the_request(server: Loopback, calls: list[Call], async_chat: ChatModel) -> None:
    server.gate = threading.Semaphore(3)
    stream = (PROMPT | async_chat | StrOutputParser()).astream({"words": "word " * 400})
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    # LangChain does not close the generators inside its own; they end when they are dropped.
    del stream
    gc.collect()
    await asyncio.sleep(0.05)
    server.gate.release(1000)
    assert await asyncio.to_thread(server.broken.wait, 5), "the server could still send"
    await asyncio.to_thread(wait_until, lambda: len(calls) == 1)
    assert [call.ending for call in calls] == [STOPPED]
