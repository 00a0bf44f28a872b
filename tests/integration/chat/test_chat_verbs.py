"""Every verb of the chat model, through the real SDK against a loopback server, sync and async, with tracing off and on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import openai
import pytest
from chat_loopback import ANSWER, Loopback
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.support import wait_until
from tracer import scope
from tracer.call import CANCELLED, COMPLETED, FAILED, STOPPED, Call
from tracer.chat import (
    AIMessage,
    AIMessageChunk,
    ChatModel,
    ChatOpenAI,
    HumanMessage,
    LLMResult,
    RunLogPatch,
    StructuredOutputError,
    SystemMessage,
)
from tracer.chat.messages import add_chunks, tool_call

MESSAGES = [SystemMessage("You're a helpful assistant"), HumanMessage("What is the purpose of model regularization?")]


def words(chunks: list[AIMessageChunk]) -> list[str]:
    return [chunk.text for chunk in chunks if chunk.text]


# One input.


def test_invoke(server: Loopback, chat: ChatModel) -> None:
    answer = chat.invoke(MESSAGES)
    assert (answer.content, answer.type) == (ANSWER, "ai")
    assert str(answer.id).startswith("chatcmpl-")
    assert answer.usage_metadata == {
        "input_tokens": 11,
        "output_tokens": 13,
        "total_tokens": 24,
        "input_token_details": {"audio": 0, "cache_read": 1},
        "output_token_details": {"audio": 0, "reasoning": 2},
    }
    metadata = answer.response_metadata
    assert (metadata["finish_reason"], metadata["model_name"], metadata["system_fingerprint"]) == (
        "stop",
        "gpt-4o-mini-2024-07-18",
        "fp_scripted",
    )
    assert metadata["token_usage"]["total_tokens"] == 24
    assert server.requests[0] == {
        "model": "gpt-4o-mini",
        "temperature": 0,
        "messages": [
            {"role": "system", "content": "You're a helpful assistant"},
            {"role": "user", "content": "What is the purpose of model regularization?"},
        ],
    }


async def test_ainvoke_on_either_client(chat: ChatModel, async_chat: ChatModel) -> None:
    assert (await async_chat.ainvoke(MESSAGES)).content == ANSWER
    assert (await chat.ainvoke(MESSAGES)).content == ANSWER
    with async_chat._clients.sync():
        assert async_chat.invoke(MESSAGES).content == ANSWER


def test_one_model_in_several_event_loops(chat: ChatModel) -> None:
    for _ in range(3):
        assert asyncio.run(chat.ainvoke("hi")).content == ANSWER


def test_calling_the_model(chat: ChatModel) -> None:
    assert chat([HumanMessage("Say: J'adore la programmation.")]).content == "J'adore la programmation."
    answer = chat([HumanMessage("Say: J'adore la programmation.")], stop=["la"])
    assert repr(answer) == 'AIMessage(content="J\'adore ")'


def test_stream_is_lazy_and_piecewise(server: Loopback, chat: ChatModel) -> None:
    server.gate = threading.Semaphore(0)
    stream = chat.stream("Say: one two three")
    assert server.requests == []
    server.gate.release(2)
    assert [next(stream).content, next(stream).content] == ["", "one "]
    assert server.sent <= 2
    server.gate.release(100)
    chunks = list(stream)
    assert words(chunks) == ["two ", "three"]
    assert chunks[-1].response_metadata["finish_reason"] == "stop"


async def test_astream_is_lazy_and_piecewise(server: Loopback, async_chat: ChatModel) -> None:
    server.gate = threading.Semaphore(0)
    stream = async_chat.astream("Say: one two three")
    assert server.requests == []
    server.gate.release(2)
    assert [(await anext(stream)).content, (await anext(stream)).content] == ["", "one "]
    assert server.sent <= 2
    server.gate.release(100)
    assert words([chunk async for chunk in stream]) == ["two ", "three"]


def test_a_stream_adds_up_to_the_whole_answer(chat: ChatModel) -> None:
    whole = add_chunks(list(chat.stream(MESSAGES, stream_usage=True))).to_message()
    answer = chat.invoke(MESSAGES)
    assert (whole.content, whole.usage_metadata) == (answer.content, answer.usage_metadata)


def test_closing_a_stream_closes_the_connection_at_once(server: Loopback, chat: ChatModel) -> None:
    server.gate = threading.Semaphore(3)
    stream = chat.stream("Say: " + "word " * 400)
    next(stream)
    stream.close()
    server.gate.release(1000)
    assert server.broken.wait(5), "the server could still send"
    assert list(stream) == []


async def test_closing_an_async_stream_closes_the_connection_at_once(server: Loopback, async_chat: ChatModel) -> None:
    server.gate = threading.Semaphore(3)
    log = async_chat.astream_log("Say: " + "word " * 400)
    await anext(log)
    await anext(log)
    await log.aclose()
    server.gate.release(1000)
    assert await asyncio.to_thread(server.broken.wait, 5), "the server could still send"


async def test_astream_log(async_chat: ChatModel) -> None:
    run_id = uuid4()
    patches = [patch async for patch in async_chat.astream_log("Say: one two", config={"run_id": run_id})]
    message = AIMessageChunk("one two", id=None)
    assert patches[0] == RunLogPatch(
        {"op": "replace", "path": "", "value": {"final_output": None, "id": str(run_id), "logs": {}, "streamed_output": []}}
    )
    assert [(patch.ops[0]["op"], patch.ops[0]["path"], patch.ops[0]["value"].content) for patch in patches[1:-1]] == [
        ("add", "/streamed_output/-", text) for text in ("", "one ", "two", "")
    ]
    last = patches[-1].ops
    generation = last[0]["value"]["generations"][0][0]
    message.id, message.response_metadata = generation["message"].id, generation["message"].response_metadata
    assert last == [
        {
            "op": "replace",
            "path": "/final_output",
            "value": {
                "generations": [[{"generation_info": {"finish_reason": "stop"}, "message": message, "text": "one two"}]],
                "llm_output": None,
                "run": None,
            },
        }
    ]
    log = patches[0] + patches[1]
    for patch in patches[2:]:
        log = log + patch
    assert log.state["final_output"] == last[0]["value"]
    assert len(log.state["streamed_output"]) == 4
    assert add_chunks(log.state["streamed_output"]) == message


# Many inputs.


def hundred() -> list[str]:
    return [f"FAIL 40{number % 2}" if number % 20 == 7 else f"Say: {number}" for number in range(100)]


def check_hundred(answers: list[Any]) -> None:
    failed = [number for number, answer in enumerate(answers) if isinstance(answer, Exception)]
    assert failed == [7, 27, 47, 67, 87]
    assert {type(answers[number]) for number in failed} == {openai.AuthenticationError}
    assert all(answers[number].content == str(number) for number in range(100) if number not in failed)


def test_batch_of_a_hundred(calls: list[Call], chat: ChatModel) -> None:
    check_hundred(chat.batch(hundred(), config={"max_concurrency": 8}, return_exceptions=True))
    assert len(calls) == 100
    assert sum(call.ending == FAILED for call in calls) == 5
    assert {call.parent_span_id for call in calls} == {None}


async def test_abatch_of_a_hundred(calls: list[Call], async_chat: ChatModel) -> None:
    check_hundred(await async_chat.abatch(hundred(), config={"max_concurrency": 8}, return_exceptions=True))
    assert len(calls) == 100
    assert sum(call.ending == FAILED for call in calls) == 5


async def test_batch_raises_without_return_exceptions(chat: ChatModel, async_chat: ChatModel) -> None:
    with pytest.raises(openai.BadRequestError):
        chat.batch(["a", "FAIL 400", "b"])
    with pytest.raises(openai.BadRequestError):
        await async_chat.abatch(["a", "FAIL 400", "b"])


async def test_cancelling_abatch_leaves_a_record_for_each_call_begun(server: Loopback, calls: list[Call], async_chat: ChatModel) -> None:
    server.hold = threading.Event()
    task = asyncio.ensure_future(async_chat.abatch(["a", "b", "c", "d"], config={"max_concurrency": 2}))
    await asyncio.to_thread(wait_until, lambda: len(server.requests) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.hold.set()
    assert [call.ending for call in calls] == [CANCELLED, CANCELLED]


def check_result(result: LLMResult) -> None:
    assert [[item.text for item in choices] for choices in result.generations] == [["one", "one"], ["two", "two"]]
    first = result.generations[0][0]
    assert first.generation_info == {"finish_reason": "stop"}
    assert first.message.content == "one"
    assert result.llm_output is not None
    assert result.llm_output["model_name"] == "gpt-4o-mini"
    usage = result.llm_output["token_usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (4, 2, 6)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 2
    assert [part.llm_output["token_usage"] for part in result.flatten() if part.llm_output] == [usage, {}]


def test_generate(calls: list[Call], chat: ChatModel) -> None:
    result = chat.generate([[HumanMessage("Say: one")], [HumanMessage("Say: two")]], n=2)
    check_result(result)
    assert result.run is not None
    assert [item.run_id.version for item in result.run] == [7, 7]
    assert sorted(item.run_id.int for item in result.run) == sorted(call.run_id for call in calls)
    assert repr(result.generations[0][0]) == (
        "ChatGeneration(text='one', generation_info={'finish_reason': 'stop'}, message=AIMessage(content='one'))"
    )


async def test_agenerate(calls: list[Call], async_chat: ChatModel) -> None:
    result = await async_chat.agenerate([[HumanMessage("Say: one")], [HumanMessage("Say: two")]], n=2)
    check_result(result)
    assert {item.run_id.int for item in result.run or []} == {call.run_id for call in calls}


# Parameters, tools, structured output.


def test_parameters_of_the_call_win_over_bound_and_those_over_the_models(server: Loopback, chat: ChatModel) -> None:
    bound = chat.bind(temperature=0.5, seed=1, stop=["x"])
    bound.invoke("hi", seed=2, stop="y", model="other")
    bound.invoke("hi", temperature=None)
    chat.invoke("hi")
    sent = [{key: value for key, value in request.items() if key != "messages"} for request in server.requests]
    assert sent == [
        {"model": "other", "temperature": 0.5, "seed": 2, "stop": "y"},
        {"model": "gpt-4o-mini", "seed": 1, "stop": ["x"]},
        {"model": "gpt-4o-mini", "temperature": 0},
    ]


def test_tools(chat: ChatModel) -> None:
    def double(number: int) -> int:
        """Twice the number."""
        return 2 * number

    with_tools = chat.bind_tools([double], tool_choice="any")
    expected = [tool_call("double", {"number": 12}, "call_1")]
    assert with_tools.invoke("Double 12").tool_calls == expected
    chunks = list(with_tools.stream("Double 12"))
    assert add_chunks(chunks).tool_calls == expected
    assert len([chunk for chunk in chunks if chunk.tool_call_chunks]) > 2


class Point(BaseModel):
    """A point."""

    x: int
    label: str | None = None


class PointDict(TypedDict):
    """A point."""

    x: int


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_structured_output(chat: ChatModel, async_chat: ChatModel, method: str) -> None:
    assert chat.with_structured_output(Point, method=method).invoke("'A' at 5") == Point(x=5, label="A")
    assert await async_chat.with_structured_output(Point, method=method).ainvoke("'A' at 5") == Point(x=5, label="A")
    assert chat.with_structured_output(PointDict, method=method).invoke("at 5") == {"x": 5}
    schema = {"title": "P", "type": "object", "properties": {"x": {"type": "integer"}}}
    structured = chat.with_structured_output(schema, method=method)
    assert structured.batch(["1", "2"]) == [{"x": 1}, {"x": 2}]
    assert await async_chat.with_structured_output(schema, method=method).abatch(["1", "2"]) == [{"x": 1}, {"x": 2}]
    assert list(structured.stream("3")) == [{"x": 3}]


def test_structured_output_that_does_not_fit(chat: ChatModel) -> None:
    plain = chat.with_structured_output(Point, include_raw=True).invoke("at 5")
    assert plain["parsed"] == Point(x=5, label="San Francisco")
    assert plain["raw"].type == "ai"
    wrong = chat.with_structured_output(Point, method="json_mode")
    with pytest.raises(StructuredOutputError, match="does not fit the schema"):
        wrong.invoke("a joke")
    with_raw = chat.with_structured_output(Point, method="json_mode", include_raw=True).invoke("a joke")
    assert with_raw["parsed"] is None
    assert isinstance(with_raw["parsing_error"], StructuredOutputError)
    answers = wrong.batch(["a", "FAIL 400"], return_exceptions=True)
    assert [type(answer) for answer in answers] == [StructuredOutputError, openai.BadRequestError]


# Tracing.


def test_records_bear_what_the_config_says(calls: list[Call], chat: ChatModel) -> None:
    run_id = uuid4()
    named = chat.with_config({"tags": ["a"], "metadata": {"k": 1}}, run_name="base")
    named.invoke("hi", config={"run_id": run_id, "tags": ["b"], "run_name": "asked"})
    list(named.stream("hi"))
    chat.invoke("hi")
    assert [(call.name, call.tags, call.metadata) for call in calls[:2]] == [("asked", ("a", "b"), {"k": 1}), ("base", ("a",), {"k": 1})]
    assert calls[0].run_id == run_id.int
    assert calls[2].tags == ()
    assert {call.ending for call in calls} == {COMPLETED}
    assert len({call.run_id for call in calls}) == 3


def test_a_stream_never_leaves_its_scope_behind(calls: list[Call], chat: ChatModel) -> None:
    before = scope.current()
    stream = chat.stream("hi", config={"run_name": "mine"})
    next(stream)
    assert scope.current() is before
    chat.invoke("in between")
    stream.close()
    assert scope.current() is before
    assert sorted((call.name == "mine", call.ending) for call in calls) == [(False, COMPLETED), (True, STOPPED)]


@pytest.mark.parametrize("failing", ["FAIL 400", "CUT"])
async def test_failures_are_the_clients_own_and_leave_no_scope(
    calls: list[Call], chat: ChatModel, async_chat: ChatModel, failing: str
) -> None:
    before = scope.current()
    if failing == "CUT":
        list(chat.stream(failing))  # a stream that merely ends is no error to the SDK
    else:
        with pytest.raises(openai.BadRequestError):
            chat.invoke(failing)
        with pytest.raises(openai.BadRequestError):
            await anext(async_chat.astream(failing))
        assert {call.ending for call in calls} == {FAILED}
    assert scope.current() is before


def test_a_trace_is_the_parent_of_a_batch(calls: list[Call], chat: ChatModel) -> None:
    import tracer

    with tracer.trace("questions"):
        chat.batch(["a", "b", "c"])
    outer = next(call for call in calls if call.name == "questions")
    assert [call.parent_span_id for call in calls if call is not outer] == [outer.span_id] * 3


def test_tracing_on_and_off_give_the_same(calls: list[Call], client: openai.OpenAI) -> None:
    import tracer

    chat = ChatModel(client, model="gpt-4o-mini")

    def outcome() -> list[Any]:
        chunks = list(chat.stream("Say: a b"))
        results: list[Any] = [chat.invoke("Say: a"), *chunks, *chat.batch(["Say: a", "FAIL 400"], return_exceptions=True)]
        return [(type(item), getattr(item, "content", None), getattr(item, "usage_metadata", None)) for item in results]

    with tracer.context(enabled=False):
        off = outcome()
    assert calls == []
    assert outcome() == off
    assert len(calls) == 4


# Other clients.


def duck_client(create: Callable[..., Any]) -> Any:
    return SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))


def test_any_object_with_create() -> None:
    seen: list[Any] = []

    def create(**arguments: Any) -> Any:
        seen.append(arguments)
        if arguments.get("stream"):
            return iter([{"choices": [{"delta": {"content": text}}]} for text in ("a", "b")])
        return {"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}

    chat = ChatModel(duck_client(create), model="m")
    assert chat.invoke("hi") == AIMessage("ok", response_metadata=chat.invoke("hi").response_metadata)
    assert words(list(chat.stream("hi"))) == ["a", "b"]
    assert seen[0] == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(TypeError, match=r"needs an async client.*async_client=…"):
        asyncio.run(chat.ainvoke("hi"))


def test_closing_reaches_the_clients_stream() -> None:
    closed: list[str] = []

    def pieces() -> Iterator[Any]:
        try:
            while True:
                yield {"choices": [{"delta": {"content": "a"}}]}
        finally:
            closed.append("closed")

    def create(**arguments: Any) -> Any:
        return pieces()

    stream = ChatModel(duck_client(create)).stream("hi")
    next(stream)
    stream.close()
    assert closed == ["closed"]


def test_the_users_client_stays_as_it_is(client: openai.OpenAI, calls: list[Call]) -> None:
    before = dict(vars(client))
    ChatModel(client, model="m").invoke("hi")
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert len(calls) == 1
    assert {name: vars(client)[name] for name in before} == before


def test_chat_openai_makes_its_clients(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    chat = ChatOpenAI("gpt-4o", openai_api_key="sk-mine", temperature=0, max_retries=0, organization="org-1", model_kwargs={"seed": 4})
    with chat._clients.sync():
        assert chat.invoke("hi").content == ANSWER
        with pytest.raises(openai.InternalServerError):
            chat.invoke("FAIL 500")
    assert len(server.requests) == 2
    assert (server.headers[0]["authorization"], server.headers[0]["openai-organization"]) == ("Bearer sk-mine", "org-1")
    assert server.requests[0]["seed"] == 4
    assert repr(chat) == "ChatOpenAI(model='gpt-4o', seed=4, temperature=0)"
