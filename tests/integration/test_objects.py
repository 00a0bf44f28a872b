"""`tracer.wrap` of any object with some of a chat model's verbs."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import operator
import pickle
import types
from collections.abc import AsyncGenerator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

import tracer
from tests.integration.capture_support import PLAIN, create, make_client, until
from tests.support import wait_until
from tracer.call import Call
from tracer.reading import read_call
from tracer.replay.server import ReplayServer
from tracer.runtime import runtime


@dataclass
class Message:
    """A message as several libraries have it."""

    content: str
    role: str = "assistant"
    usage_metadata: dict[str, int] | None = None
    response_metadata: dict[str, Any] = field(default_factory=dict[str, Any])


ANSWER = Message(
    "hello",
    usage_metadata={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    response_metadata={"model_name": "parrot-1-2026", "finish_reason": "stop", "headers": {"authorization": "secret"}},
)


class Base:
    """What a model inherits."""

    def generate(self, prompts: list[Any], **_: Any) -> list[Message]:
        raise NotImplementedError

    def invoke(self, input: Any, **kwargs: Any) -> Message:  # noqa: A002
        """Answer."""
        if input == "fail":
            raise ValueError("no answer")
        return self.generate([input], **kwargs)[0]

    def __or__(self, other: Any) -> Pair:
        return Pair(self, other)


class Model(Base):
    """Nobody's class: some verbs, some state."""

    model_name = "parrot-1"

    def __init__(self, temperature: float = 0.5) -> None:
        self.temperature = temperature
        self.api_key = "secret"
        self.generated = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.temperature == other.temperature

    def __hash__(self) -> int:
        return hash(self.temperature)

    def invoke(self, input: Any, **kwargs: Any) -> Message:  # noqa: A002
        return super().invoke(input, **kwargs)

    async def ainvoke(self, input: Any) -> Message:  # noqa: A002
        await asyncio.sleep(0)
        return self.generate([input])[0]

    def generate(self, prompts: list[Any], **_: Any) -> list[Message]:
        self.generated += 1
        return [copy.copy(ANSWER) for _ in prompts]

    def stream(self, input: Any) -> Generator[str, None, None]:  # noqa: A002
        for piece in ("a", "b", "c"):
            if input == piece:
                raise ValueError(piece)
            yield piece

    async def astream(self, _input: Any) -> AsyncGenerator[Message, None]:
        for piece in ("a", "b"):
            yield Message(piece)
        yield Message("", usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3})

    def batch(self, inputs: list[Any]) -> list[Any]:
        def one(item: Any) -> Any:
            try:
                return self.invoke(item)
            except ValueError as error:
                return error

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(one, inputs))

    async def abatch(self, inputs: list[Any]) -> list[Any]:
        return list(await asyncio.gather(*(self.ainvoke(item) for item in inputs)))

    def bind(self, temperature: float) -> Model:
        return type(self)(temperature)

    def with_config(self, **_: Any) -> Model:
        return self


class Pair:
    """What `|` gives: it asks its first part."""

    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = first, second

    def invoke(self, value: Any) -> Any:
        return self.second(self.first.invoke(value))


class Pieces:
    """An iterator that is no generator."""

    def __init__(self) -> None:
        self.left = [Message("x"), Message("y")]
        self.closed = False

    def __iter__(self) -> Pieces:
        return self

    def __next__(self) -> Message:
        if not self.left:
            raise StopIteration
        return self.left.pop(0)

    def close(self) -> None:
        self.closed = True


class Handmade:
    """Verbs that are no generators and no coroutine functions."""

    def stream(self, _input: Any) -> Pieces:
        return Pieces()

    def ainvoke(self, _input: Any) -> asyncio.Future[str]:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        future.get_loop().call_soon(future.set_result, "later")
        return future

    def __call__(self, text: str) -> dict[str, Any]:
        return {
            "model": "m-2",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8},
        }


def only(calls: list[Call]) -> Call:
    assert len(calls) == 1
    assert runtime.open_calls == {}
    return calls[0]


def said(call: Call) -> list[Any]:
    generation = read_call(call).generation
    assert generation is not None
    return [part for message in generation.output_messages for part in message.parts]


def test_it_stays_what_it_was() -> None:
    bare = Model()
    model = tracer.wrap(bare)
    assert isinstance(model, Model)
    assert model.__class__ is Model
    assert isinstance(model, type(model))
    assert type(model).__name__ == "Model"
    assert inspect.signature(model.invoke) == inspect.signature(bare.invoke)
    assert inspect.iscoroutinefunction(model.ainvoke)
    assert model == bare
    assert hash(model) == hash(bare)
    assert repr(model) == repr(bare)
    assert str(model) == str(bare)
    assert callable(model) is callable(bare) is False
    assert callable(tracer.wrap(Handmade()))
    with pytest.raises(TypeError, match="not iterable"):
        iter(model)  # pyright: ignore[reportCallIssue, reportArgumentType]
    model.temperature = 0.9
    assert bare.temperature == 0.9
    assert tracer.wrap(model) is model
    assert model.with_config() is model
    assert model.invoke.__doc__ == bare.invoke.__doc__


def test_copies_stay_traced(calls: list[Call]) -> None:
    model = tracer.wrap(Model(0.1))
    for made in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model.bind(0.1)):
        assert made == model
        made.invoke("hi")
    assert [call.ending for call in calls] == ["completed"] * 4


def test_what_cannot_be_copied_fails_as_bare() -> None:
    class Local(Model):
        def __deepcopy__(self, memo: Any) -> Any:
            raise RuntimeError("not this one")

    model = tracer.wrap(Local())
    with pytest.raises((AttributeError, pickle.PicklingError), match="local"):
        pickle.dumps(model)
    with pytest.raises(RuntimeError, match="not this one"):
        copy.deepcopy(model)


def test_one_call_is_one_record(calls: list[Call]) -> None:
    bare = Model()
    question = [{"role": "user", "content": "hi"}]
    answer = tracer.wrap(bare).invoke(question, max_tokens=5, api_key="secret")
    question.append({"role": "user", "content": "changed later"})
    assert (type(answer), answer.content, bare.generated) == (Message, "hello", 1)
    call = only(calls)
    generation = read_call(call).generation
    assert generation is not None
    assert generation.usage is not None
    assert (call.kind, call.name, call.ending) == ("llm", "Model", "completed")
    assert (generation.request_model, generation.response_model) == ("parrot-1", "parrot-1-2026")
    assert (generation.usage.input, generation.usage.output) == (3, 2)
    assert generation.finish_reasons == ["stop"]
    assert [message.role for message in generation.input_messages] == ["user"]
    assert said(call) == [{"type": "text", "content": "hello"}]
    assert (generation.parameters["temperature"], generation.parameters["max_tokens"]) == (0.5, 5)
    assert b"secret" not in (call.input_json or b"") + (call.output_json or b"")


async def test_the_async_verb(calls: list[Call]) -> None:
    assert (await tracer.wrap(Model()).ainvoke("hi")).content == "hello"
    assert said(only(calls)) == [{"type": "text", "content": "hello"}]


def test_the_very_exception_comes_through(calls: list[Call]) -> None:
    with pytest.raises(ValueError, match="no answer") as caught:
        tracer.wrap(Model()).invoke("fail")
    assert caught.value.__context__ is None
    call = only(calls)
    assert call.ending == "failed"
    assert call.failure is not None
    assert call.failure.type == "ValueError"


def test_a_batch_is_a_record_with_one_for_each_input(calls: list[Call]) -> None:
    inputs = ["fail" if number % 20 == 7 else f"question {number}" for number in range(100)]
    results = tracer.wrap(Model()).batch(inputs)
    assert [isinstance(result, ValueError) for result in results] == [text == "fail" for text in inputs]
    batch = calls[-1]
    singles = calls[:-1]
    assert (batch.kind, batch.ending) == ("chain", "completed")
    assert len(singles) == 100
    assert {call.parent_span_id for call in singles} == {batch.span_id}
    assert sorted(call.ending for call in singles) == ["completed"] * 95 + ["failed"] * 5
    assert runtime.open_calls == {}


async def test_cancelling_a_batch_leaves_a_record_for_each_call_begun(calls: list[Call]) -> None:
    never = asyncio.Event()

    class Hanging(Model):
        begun = 0

        async def ainvoke(self, input: Any) -> Message:  # noqa: A002
            type(self).begun += 1
            await never.wait()
            return ANSWER

    model = tracer.wrap(Hanging())
    task = asyncio.create_task(model.abatch(["a", "b", "c"]))
    await until(lambda: Hanging.begun == 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert sorted(call.kind for call in calls) == ["chain", "llm", "llm", "llm"]
    assert {call.ending for call in calls} == {"cancelled"}
    assert runtime.open_calls == {}


def test_a_batch_that_asks_by_itself_is_the_model_call(calls: list[Call]) -> None:
    class Native:
        def batch(self, inputs: list[str]) -> list[str]:
            return [text.upper() for text in inputs]

    assert tracer.wrap(Native()).batch(["a", "b"]) == ["A", "B"]
    call = only(calls)
    assert call.kind == "llm"
    assert [part["content"] for part in said(call)] == ["A", "B"]


def test_a_stream_is_lazy_and_of_its_type(calls: list[Call]) -> None:
    stream = tracer.wrap(Model()).stream("hi")
    assert isinstance(stream, types.GeneratorType)
    assert iter(stream) is stream
    assert runtime.open_calls == {}
    assert next(stream) == "a"
    assert len(runtime.open_calls) == 1
    assert list(stream) == ["b", "c"]
    record = read_call(only(calls))
    assert said(calls[0]) == [{"type": "text", "content": "abc"}]
    assert record.clocks.chunks == 3
    assert record.clocks.time_to_first_chunk is not None
    assert record.clocks.time_to_first_text is not None


@pytest.mark.parametrize("leave", ["break", "close", "drop", "throw"])
def test_a_stream_that_is_left_was_stopped(calls: list[Call], leave: str) -> None:
    stream = tracer.wrap(Model()).stream("hi")
    next(stream)
    if leave == "close":
        stream.close()
    elif leave == "throw":
        with pytest.raises(GeneratorExit):
            stream.throw(GeneratorExit())
    del stream
    gc.collect()
    call = only(calls)
    assert call.ending == "stopped"
    assert said(call) == [{"type": "text", "content": "a"}]


def test_a_stream_that_breaks_has_failed(calls: list[Call]) -> None:
    with pytest.raises(ValueError, match="b"):
        list(tracer.wrap(Model()).stream("b"))
    call = only(calls)
    assert call.ending == "failed"
    assert said(call) == [{"type": "text", "content": "a"}]


async def test_async_streams(calls: list[Call]) -> None:
    model = tracer.wrap(Model())
    stream = model.astream("hi")
    assert isinstance(stream, types.AsyncGeneratorType)
    assert [piece.content async for piece in stream] == ["a", "b", ""]
    generation = read_call(only(calls)).generation
    assert generation is not None
    assert generation.usage is not None
    assert (generation.usage.input, generation.usage.output) == (1, 2)
    stream = model.astream("hi")
    async for _ in stream:
        break
    await stream.aclose()
    assert [call.ending for call in calls] == ["completed", "stopped"]


async def test_a_cancelled_consumer(calls: list[Call]) -> None:
    class Slow:
        async def astream(self, _input: Any) -> AsyncGenerator[str, None]:
            yield "first"
            await asyncio.Event().wait()

    got: list[str] = []

    async def consume() -> None:
        async for piece in tracer.wrap(Slow()).astream("hi"):
            got.append(piece)  # noqa: PERF401

    task = asyncio.create_task(consume())
    await until(lambda: bool(got))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert only(calls).ending == "cancelled"


async def test_handmade_streams_and_futures_keep_their_ways(calls: list[Call]) -> None:
    thing = tracer.wrap(Handmade())
    stream: Iterator[Any] = thing.stream("hi")
    assert isinstance(stream, Pieces)
    assert len(runtime.open_calls) == 1
    assert [piece.content for piece in stream] == ["x", "y"]
    unread = thing.stream("hi")
    unread.close()
    assert unread.closed
    dropped = thing.stream("hi")
    del dropped
    gc.collect()
    future = thing.ainvoke("hi")
    assert isinstance(future, asyncio.Future)
    assert await future == "later"
    await asyncio.sleep(0)
    assert [call.ending for call in calls] == ["completed", "abandoned", "abandoned", "completed"]
    assert said(calls[-1]) == [{"type": "text", "content": "later"}]
    assert runtime.open_calls == {}


def test_an_answer_in_the_shape_of_a_completion(calls: list[Call]) -> None:
    thing = tracer.wrap(Handmade())
    assert thing("echo")["choices"][0]["message"]["content"] == "echo"
    generation = read_call(only(calls)).generation
    assert generation is not None
    assert generation.usage is not None
    assert (generation.response_model, generation.usage.input) == ("m-2", 7)
    assert said(calls[0]) == [{"type": "text", "content": "echo"}]


def test_what_the_bar_makes_is_traced(calls: list[Call]) -> None:
    pair = tracer.wrap(Model()) | operator.attrgetter("content")
    assert pair.invoke("hi") == "hello"
    assert only(calls).kind == "llm"


def test_spans_inside_nest_and_a_tool_between_ends_the_call(calls: list[Call]) -> None:
    class Agent(Model):
        def invoke(self, input: Any, **kwargs: Any) -> Message:  # noqa: A002
            if input == "inner":
                return super().invoke(input)
            with tracer.trace("look up", kind="tool"):
                return self.invoke("inner")

    tracer.wrap(Agent()).invoke("outer")
    inner, tool, outer = calls
    assert [call.kind for call in calls] == ["llm", "tool", "llm"]
    assert (inner.parent_span_id, tool.parent_span_id, outer.parent_span_id) == (tool.span_id, outer.span_id, None)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_client_below_serves_the_call(calls: list[Call], asynchronous: bool) -> None:
    class Inner:
        def invoke(self, _input: Any) -> Message:
            return ANSWER

        async def ainvoke(self, _input: Any) -> Message:
            return ANSWER

    class Outer:
        def __init__(self) -> None:
            self.inner = tracer.wrap(Inner())

        def invoke(self, value: Any) -> str:
            return self.inner.invoke(value).content

        async def ainvoke(self, value: Any) -> str:
            return (await self.inner.ainvoke(value)).content

    model = tracer.wrap(Outer())
    assert (asyncio.run(model.ainvoke("hi")) if asynchronous else model.invoke("hi")) == "hello"
    generation = read_call(only(calls)).generation
    assert generation is not None
    assert generation.usage is not None
    assert generation.usage.input == 3


def test_nothing_is_recorded_when_off(fresh_runtime: Any) -> None:
    model = tracer.wrap(Model())
    assert model.invoke("hi").content == "hello"
    assert list(model.stream("hi")) == ["a", "b", "c"]
    assert runtime.open_calls == {}
    assert runtime.started_count() == 0


@pytest.mark.parametrize("target", [object(), Model, types, print, lambda: 1, 5, "text", [1]], ids=lambda value: type(value).__name__)
def test_what_cannot_be_wrapped_is_said(target: Any) -> None:
    with pytest.raises(TypeError, match=r"cannot wrap [^:]*: .* any object with one of invoke"):
        tracer.wrap(target)


def test_records_end_although_nobody_waits(calls: list[Call]) -> None:
    stream = tracer.wrap(Model()).stream("hi")
    next(stream)
    holder = [stream]
    holder.append(holder)  # type: ignore[arg-type]
    del stream, holder
    wait_until(lambda: gc.collect() >= 0 and bool(calls))
    assert only(calls).ending == "stopped"


def test_a_wrapped_client_inside_serves_the_call_and_its_tokens_count_once(captured: Any) -> None:
    class Thin:
        def __init__(self, client: Any) -> None:
            self.client = client

        def invoke(self, _input: str) -> str:
            return create(self.client, PLAIN).id

    with ReplayServer() as server:
        assert tracer.wrap(Thin(tracer.wrap(make_client(server, PLAIN)))).invoke("hi")
    call = captured.only()
    record = read_call(call)
    assert record.generation is not None
    assert record.generation.usage is not None
    assert record.generation.usage.input
    assert record.generation.provider != "unknown"
    assert len(call.attempts) == 1
    assert call.name == "Thin"
