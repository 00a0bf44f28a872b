"""`trace`, `context`, `current`: nesting, inheritance, every kind of function, scope per step, outcomes, snapshots."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import inspect
import json
import threading
import traceback
import uuid
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

import tracer
from tests.support import record_into
from tracer.call import KINDS, Call
from tracer.capture.run import Run
from tracer.runtime import Runtime, report_fault, runtime
from tracer.scope import EMPTY, current
from tracer.settings import Settings


def by_name(calls: list[Call]) -> dict[str, Call]:
    assert len({call.name for call in calls}) == len(calls)
    return {call.name: call for call in calls}


def nothing_open() -> bool:
    return not runtime.open_calls and current() is EMPTY


# Identity and inheritance.


def test_ids_and_nesting(calls: list[Call]) -> None:
    with tracer.trace("root", kind="chain") as root, tracer.trace("child", kind="tool") as child:
        with tracer.trace("grandchild", kind="retriever"):
            pass
        with tracer.trace("second"):
            pass
    with tracer.trace("other"):
        pass
    found = by_name(calls)
    assert [call.name for call in calls] == ["grandchild", "second", "child", "root", "other"]
    assert [found[name].kind for name in ("root", "child", "grandchild", "second")] == ["chain", "tool", "retriever", "chain"]
    assert all(uuid.UUID(int=call.run_id).version == 7 for call in calls)
    assert len({call.run_id for call in calls}) == len({call.span_id for call in calls}) == 5
    assert found["root"].parent_span_id is None
    assert found["root"].trace_id == found["root"].run_id
    assert {found[name].trace_id for name in ("child", "grandchild", "second")} == {found["root"].run_id}
    assert found["other"].trace_id == found["other"].run_id != found["root"].trace_id
    assert found["child"].parent_span_id == found["root"].span_id
    assert found["grandchild"].parent_span_id == found["second"].parent_span_id == found["child"].span_id
    assert found["grandchild"].parent_run_id == found["child"].run_id
    assert not found["child"].parent_is_remote
    assert root.id == uuid.UUID(int=found["root"].run_id)
    assert root.trace_id == child.trace_id == f"{found['root'].trace_id:032x}"
    assert child.span_id == f"{found['child'].span_id:016x}"
    assert nothing_open()


def test_clocks(calls: list[Call]) -> None:
    with tracer.trace("outer"), tracer.trace("inner"):
        pass
    inner, outer = calls
    assert outer.started <= inner.started <= inner.ended <= outer.ended
    assert outer.started_wall <= inner.started_wall


def test_everything_inside_inherits(calls: list[Call]) -> None:
    with (
        tracer.context(session="s1", user="u1", tags=["a"], metadata={"x": 1, "y": 1}),
        tracer.trace("outer", tags=["own"], metadata={"z": 1}),
    ):
        with tracer.context(session="s2", tags=["b", "a"], metadata={"y": 2}), tracer.trace("inner"):
            pass
        with tracer.trace("after"):
            pass
    with tracer.trace("outside"):
        pass
    found = by_name(calls)
    outer, inner, after, outside = (found[name] for name in ("outer", "inner", "after", "outside"))
    assert (outer.session, outer.user, outer.tags, outer.metadata) == ("s1", "u1", ("a", "own"), {"x": 1, "y": 1, "z": 1})
    # What is said of one span is not said of its children.
    assert (inner.session, inner.user, inner.tags, inner.metadata) == ("s2", "u1", ("a", "b"), {"x": 1, "y": 2})
    assert (after.session, after.tags, after.metadata) == ("s1", ("a",), {"x": 1, "y": 1})
    assert (outside.session, outside.user, outside.tags, outside.metadata) == (None, None, (), None)


async def test_async_with(calls: list[Call]) -> None:
    async with tracer.context(session="s"), tracer.trace("a") as run:
        await asyncio.sleep(0)
        assert tracer.current() is not None
        assert run.id is not None
    assert [(call.name, call.session, call.ending) for call in calls] == [("a", "s", "completed")]
    assert nothing_open()


def test_enabled_switches_recording_off_and_on(fresh_runtime: Runtime) -> None:
    calls: list[Call] = []
    record_into(calls)
    with tracer.trace("a"), tracer.context(enabled=False), tracer.trace("hidden") as run:
        assert run.id is None
        with tracer.context(enabled=True), tracer.trace("b"):
            pass
    assert [call.name for call in calls] == ["b", "a"]
    assert calls[0].parent_span_id == calls[1].span_id
    fresh_runtime.on = False
    with tracer.trace("off"):
        pass
    with tracer.context(enabled=True), tracer.trace("on"):
        pass
    assert [call.name for call in calls] == ["b", "a", "on"]


def test_enabled_records_to_the_local_store_when_nothing_is_configured(
    fresh_runtime: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracer.trace("before"):
        pass
    assert not runtime.on
    with tracer.context(enabled=True), tracer.trace("inside"):
        pass
    with tracer.trace("after"):
        pass
    assert tracer.flush()
    status = tracer.status()
    assert not status["on"]
    assert status["started"] == 1
    assert status["destinations"]["local"]["exported"] == 1
    assert list(tmp_path.rglob("*.sqlite"))
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(("name", "value"), [("TRACER_ENABLED", "false"), ("OTEL_SDK_DISABLED", "true")])
def test_what_rules_tracing_out_wins(fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, name: str, value: str) -> None:
    no_variables.setenv(name, value)
    no_variables.setenv("TRACER_CONSOLE", "true")
    client = OpenAI(api_key="none")
    assert tracer.wrap(client) is client
    something = object()
    assert tracer.wrap(something) is something
    with tracer.context(enabled=True), tracer.trace("a") as run:
        assert run.id is None
    assert tracer.status()["started"] == 0
    assert fresh_runtime.pipeline is None


def test_wrap_says_what_can_be_wrapped(fresh_runtime: Runtime) -> None:
    with pytest.raises(TypeError, match=r"tracer\.wrap\(\) cannot wrap builtins\.object: .*OpenAI"):
        tracer.wrap(object())


# Handles.


def test_current(calls: list[Call]) -> None:
    assert tracer.current() is None
    with tracer.trace("a") as a:
        run = tracer.current()
        assert run is not None
        assert run.id == a.id
        with tracer.trace("b") as b:
            run = tracer.current()
            assert run is not None
            assert run.id == b.id
    assert tracer.current() is None


def test_what_a_handle_says(calls: list[Call]) -> None:
    with tracer.trace("a", inputs={"q": 1}, tags=["t"], metadata={"m": 1}) as run:
        run.set_output([1])
        run.set_attribute("app.flag", value=True)
        run.set_attribute("app.size", 3)
        run.add_tags("t", "u")
        run.add_metadata(n=2)
    (call,) = calls
    assert (call.input_json, call.output_json) == (b'{"q":1}', b"[1]")
    assert (call.attributes, call.tags, call.metadata) == ({"app.flag": True, "app.size": 3}, ("t", "u"), {"m": 1, "n": 2})


def test_a_handle_of_nothing_does_nothing(fresh_runtime: Runtime) -> None:
    with tracer.trace("a") as run:
        run.set_input(1)
        run.set_output(1)
        run.set_attribute("a", 1)
        run.add_tags("t")
        run.add_metadata(m=1)
        assert (run.id, run.trace_id, run.span_id) == (None, None, None)
    assert isinstance(run, Run)


def test_inputs_and_outputs_are_snapshots(calls: list[Call]) -> None:
    items = [1]
    metadata: dict[str, object] = {"m": 1, "items": items}

    @tracer.trace
    def change(values: list[int]) -> list[int]:
        values.append(2)
        return values

    with tracer.context(metadata={"outer": items}), tracer.trace("with", inputs=items, metadata=metadata) as run:
        run.set_output(items)
        run.set_attribute("app.items", items)
        run.add_metadata(more=items)
        items.append(9)
        metadata["m"] = 2
    items.pop()
    result = change(items)
    assert result is items
    result.append(3)
    assert [(call.input_json, call.output_json) for call in calls] == [(b"[1]", b"[1]"), (b'{"values":[1]}', b"[1,2]")]
    assert calls[0].metadata == {"outer": [1], "m": 1, "items": [1], "more": [1]}
    assert calls[0].attributes == {"app.items": [1]}


@pytest.mark.parametrize("content", ["on", "off", "inputs", "outputs"])
def test_content_can_be_left_out(fresh_runtime: Runtime, content: str) -> None:
    calls: list[Call] = []
    record_into(calls, Settings(content=content))

    @tracer.trace
    def function(value: int) -> int:
        return value

    @tracer.trace
    def generator(value: int) -> Iterator[int]:
        yield value

    function(1)
    list(generator(1))
    with tracer.trace("with", inputs=1) as run:
        run.set_output(1)
    assert {call.input_json is not None for call in calls} == {content in ("on", "inputs")}
    assert {call.output_json is not None for call in calls} == {content in ("on", "outputs")}


def test_values_that_fight_back_do_not_reach_the_caller(calls: list[Call]) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise ValueError("no")

        __repr__ = __str__

        def __getattr__(self, name: str) -> object:
            raise ValueError("no")

    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    cycle: list[object] = []
    cycle.append(cycle)
    values = [Hostile(), deep, cycle, "\ud800", float("nan"), {Hostile(): 1}]

    @tracer.trace
    def same(value: object) -> object:
        return value

    for value in values:
        assert same(value) is value
    assert len(calls) == len(values)
    for call in calls:
        json.loads(call.input_json or b"")
        json.loads(call.output_json or b"")


# Arguments of `trace`.


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(calls: list[Call], kind: str) -> None:
    with tracer.trace(kind=kind):
        pass
    assert [(call.kind, call.name) for call in calls] == [(kind, kind)]


def test_an_unknown_kind_raises() -> None:
    with pytest.raises(ValueError, match="kind='dance' is not known: accepted is one of llm, embedding, chain"):
        tracer.trace("x", kind="dance")


def test_names_of_decorated_functions(calls: list[Call]) -> None:
    @tracer.trace
    def plain() -> None: ...

    @tracer.trace()
    def called() -> None: ...

    @tracer.trace("own name", kind="tool")
    def named() -> None: ...

    plain()
    called()
    named()
    assert [(call.name, call.kind) for call in calls] == [("plain", "chain"), ("called", "chain"), ("own name", "tool")]


# Decorated functions: four kinds, bare and traced side by side.


def sync_function(a: int, /, b: str = "x", *rest: int, c: bool, **more: int) -> tuple[Any, ...]:
    """Doc."""
    return (a, b, rest, c, more)


async def async_function(a: int, b: str = "x") -> tuple[int, str]:
    """Doc."""
    await asyncio.sleep(0)
    return (a, b)


def generator_function(count: int) -> Generator[int, Any, str]:
    """Doc."""
    yield from range(count)
    return "end"


async def async_generator_function(count: int) -> AsyncGenerator[int, None]:
    """Doc."""
    for number in range(count):
        await asyncio.sleep(0)
        yield number


FUNCTIONS: list[Callable[..., Any]] = [sync_function, async_function, generator_function, async_generator_function]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_decorated_functions_keep_their_kind_and_signature(calls: list[Call], function: Callable[..., Any]) -> None:
    traced = tracer.trace(function)
    for question in (
        inspect.isgeneratorfunction,
        inspect.iscoroutinefunction,
        inspect.isasyncgenfunction,
        asyncio.iscoroutinefunction if not hasattr(inspect, "markcoroutinefunction") else inspect.iscoroutinefunction,
        inspect.isfunction,
        inspect.signature,
        inspect.getdoc,
    ):
        assert question(traced) == question(function)
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(traced, name) == getattr(function, name)
    assert inspect.unwrap(traced) is function


async def test_decorated_functions_do_nothing_before_they_would(calls: list[Call]) -> None:
    began: list[str] = []

    @tracer.trace
    async def coroutine() -> None:
        began.append("coroutine")

    @tracer.trace
    def generator() -> Iterator[int]:
        began.append("generator")
        yield 1

    @tracer.trace
    async def async_generator() -> AsyncIterator[int]:
        began.append("async generator")
        yield 1

    waiting, items, async_items = coroutine(), generator(), async_generator()
    assert began == []
    assert calls == []
    assert not runtime.open_calls
    await waiting
    next(items)
    await anext(async_items)
    assert began == ["coroutine", "generator", "async generator"]
    await async_items.aclose()  # type: ignore[attr-defined]


async def test_results_arguments_and_items(calls: list[Call]) -> None:
    assert tracer.trace(sync_function)(1, "y", 2, c=True, d=4) == sync_function(1, "y", 2, c=True, d=4)
    assert await tracer.trace(async_function)(1, b="z") == (1, "z")
    generator = tracer.trace(generator_function)(3)
    assert [next(generator) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "end"
    with pytest.raises(StopIteration):
        next(generator)
    assert [item async for item in tracer.trace(async_generator_function)(2)] == [0, 1]
    assert [(call.name, json.loads(call.input_json or b""), json.loads(call.output_json or b"")) for call in calls] == [
        ("sync_function", {"a": 1, "b": "y", "rest": [2], "c": True, "more": {"d": 4}}, [1, "y", [2], True, {"d": 4}]),
        ("async_function", {"a": 1, "b": "z"}, [1, "z"]),
        ("generator_function", {"count": 3}, [0, 1, 2]),
        ("async_generator_function", {"count": 2}, [0, 1]),
    ]
    assert {call.ending for call in calls} == {"completed"}
    assert nothing_open()


def test_methods_keep_their_binding_and_leave_self_out(calls: list[Call]) -> None:
    class Agent:
        @tracer.trace(kind="agent")
        def run(self, question: str) -> tuple[object, str]:
            return (self, question)

        @classmethod
        @tracer.trace
        def make(cls) -> type:
            return cls

        @staticmethod
        @tracer.trace
        def plain(value: int) -> int:
            return value

    agent = Agent()
    assert agent.run("q") == (agent, "q")
    assert Agent.make() is Agent
    assert Agent.plain(1) == 1
    assert json.loads(calls[0].input_json or b"") == {"question": "q"}


def test_a_set_output_wins_over_the_result(calls: list[Call]) -> None:
    @tracer.trace
    def function() -> str:
        run = tracer.current()
        assert run is not None
        run.set_output("short")
        return "long"

    assert function() == "long"
    assert calls[0].output_json == b'"short"'


async def test_wrong_arguments_raise_pythons_own_error(calls: list[Call]) -> None:
    for function in FUNCTIONS:
        traced = tracer.trace(function)

        async def use(traced: Callable[..., Any] = traced) -> None:
            result = traced(nothing_of_the_kind=1)
            if inspect.isawaitable(result):
                await result
            elif inspect.isasyncgen(result):
                await anext(result)
            else:
                next(result)

        with pytest.raises(TypeError, match=function.__name__):
            await use()
    assert [call.ending for call in calls] == ["failed"] * 4
    assert nothing_open()


def test_builtins_and_partials(calls: list[Call]) -> None:
    assert tracer.trace("length")(len)("abc") == 3
    assert tracer.trace("partial")(functools.partial(sync_function, 1, c=False))() == (1, "x", (), False, {})
    assert [call.name for call in calls] == ["length", "partial"]


async def test_off_means_the_bare_function(fresh_runtime: Runtime) -> None:
    tracer.context()
    assert tracer.trace(sync_function)(1, c=True) == (1, "x", (), True, {})
    assert await tracer.trace(async_function)(1) == (1, "x")
    assert list(tracer.trace(generator_function)(2)) == [0, 1]
    assert [item async for item in tracer.trace(async_generator_function)(2)] == [0, 1]
    assert tracer.status()["started"] == 0


def test_many_items_are_counted_and_not_all_kept(calls: list[Call]) -> None:
    @tracer.trace
    def numbers() -> Iterator[int]:
        yield from range(5000)

    assert sum(1 for _ in numbers()) == 5000
    assert len(json.loads(calls[0].output_json or b"")) == 1000
    assert calls[0].attributes == {"tracer.items": 5000}


# Exceptions.


class Oops(Exception):  # noqa: N818
    pass


def raise_in(style: str, error: BaseException) -> Callable[[], object]:
    """A function that raises `error` through each kind of shell."""

    def sync() -> object:
        raise error

    async def coroutine() -> object:
        raise error

    def generator() -> Iterator[int]:
        yield 1
        raise error

    async def async_generator() -> AsyncIterator[int]:
        yield 1
        raise error

    async def consume(function: Callable[[], AsyncIterator[int]]) -> list[int]:
        return [item async for item in function()]

    async def wait(function: Callable[[], Awaitable[object]]) -> object:
        return await function()

    def in_with_block() -> None:
        with tracer.trace("with"):
            raise error

    match style:
        case "sync":
            return tracer.trace(sync)
        case "async":
            return lambda: asyncio.run(wait(tracer.trace(coroutine)))
        case "generator":
            return lambda: list(tracer.trace(generator)())
        case "async generator":
            return lambda: asyncio.run(consume(tracer.trace(async_generator)))
        case _:
            return in_with_block


STYLES = ["sync", "async", "generator", "async generator", "with"]


@pytest.mark.parametrize("style", STYLES)
def test_exceptions_pass_as_they_are(calls: list[Call], style: str) -> None:
    error, cause = Oops("a", 1), ValueError("cause")
    error.__cause__ = cause
    with pytest.raises(Oops) as caught:
        raise_in(style, error)()
    assert caught.value is error
    assert error.__context__ is None
    assert error.__cause__ is cause
    (call,) = calls
    assert call.ending == "failed"
    assert call.failure is not None
    assert (call.failure.type, call.failure.message) == (f"{__name__}.Oops", "('a', 1)")
    assert nothing_open()


@pytest.mark.parametrize("style", STYLES)
def test_the_context_of_an_exception_is_left_alone(calls: list[Call], style: str) -> None:
    error = Oops()
    run = raise_in(style, error)
    outer = ValueError("being handled")
    try:
        raise outer
    except ValueError:
        with pytest.raises(Oops):
            run()
    # A new event loop runs in the same thread and sees the handled exception as well.
    assert error.__context__ is outer


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (Oops(), "failed"),
        (TimeoutError(), "failed"),
        (StopAsyncIteration(), "failed"),
        (KeyboardInterrupt(), "cancelled"),
        (SystemExit(3), "cancelled"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "stopped"),
    ],
)
def test_how_an_exception_ends_a_span(calls: list[Call], error: BaseException, ending: str) -> None:
    for style in ("sync", "with"):
        with pytest.raises(type(error)) as caught:
            raise_in(style, error)()
        assert caught.value is error
    assert [call.ending for call in calls] == [ending] * 2


def test_an_exception_that_cannot_be_shown(calls: list[Call]) -> None:
    class Mute(Exception):  # noqa: N818
        @property
        def code(self) -> str:
            return "c7"

        def __str__(self) -> str:
            raise ValueError("no")

    with pytest.raises(Mute), tracer.trace("a"):
        raise Mute
    assert calls[0].ending == "failed"
    assert calls[0].failure is not None
    assert calls[0].failure.code == "c7"


def test_nothing_of_the_caller_is_kept_alive(calls: list[Call]) -> None:
    class Big:
        alive = 0

        def __init__(self) -> None:
            Big.alive += 1

        def __del__(self) -> None:
            Big.alive -= 1

    @tracer.trace
    def function(big: Big) -> Big:
        raise Oops

    @tracer.trace
    def generator(big: Big) -> Iterator[Big]:
        yield big

    gc.disable()
    try:
        with pytest.raises(Oops):
            function(Big())
        next(generator(Big()))
        left = generator(Big())
        next(left)
        with pytest.raises(Oops):
            left.throw(Oops)  # type: ignore[attr-defined]
        del left
    finally:
        gc.enable()
    gc.collect()
    assert Big.alive == 0
    assert len(calls) == 3


def throw_and_forget(generator: Generator[object, object, object]) -> weakref.ref[BaseException]:
    next(generator)
    error = Oops()
    reference: weakref.ref[BaseException] = weakref.ref(error)
    try:
        generator.throw(error)
    except Oops:
        pass
    del error
    return reference


def test_a_thrown_exception_is_not_caught_in_a_cycle(calls: list[Call]) -> None:
    gc.disable()
    try:
        assert throw_and_forget(generator_function(3))() is None
        assert throw_and_forget(tracer.trace(generator_function)(3))() is None
    finally:
        gc.enable()


def test_tracebacks_name_the_function_of_the_caller(calls: list[Call]) -> None:
    @tracer.trace
    def function() -> None:
        raise Oops

    with pytest.raises(Oops) as caught:
        function()
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "function"
    assert calls[0].failure is not None
    assert calls[0].failure.trace is not None
    assert "raise Oops" in "".join(calls[0].failure.trace.format())


# Generators: send, throw, close.


def echo(log: list[object]) -> Generator[object, object, object]:
    """Answers what is sent; catches Oops; says what closed it."""
    received: object = "begin"
    try:
        while True:
            try:
                received = yield received
            except Oops as error:
                received = error
            log.append(received)
            if received == "stop":
                return "returned"
            if received == "raise":
                raise ValueError("asked for")
    finally:
        log.append("closed")


async def async_echo(log: list[object]) -> AsyncGenerator[object, object]:
    """The same, asynchronous."""
    received: object = "begin"
    try:
        while True:
            try:
                received = yield received
            except Oops as error:
                received = error
            log.append(received)
            await asyncio.sleep(0)
            if received == "stop":
                return
            if received == "raise":
                raise ValueError("asked for")
    finally:
        await asyncio.sleep(0)
        log.append("closed")


OOPS = Oops()
SCRIPTS: dict[str, tuple[list[object], str]] = {
    "send": ([None, "a", "b", "stop"], "completed"),
    "throw caught": ([None, OOPS, "a", "stop"], "completed"),
    "throw not caught": ([None, KeyError("k")], "failed"),
    "raises": ([None, "raise"], "failed"),
    "close": ([None, "a", "close"], "stopped"),
    "throw exit": ([None, GeneratorExit()], "stopped"),
    "next after the end": ([None, "stop", None], "completed"),
    "cancelled": ([None, asyncio.CancelledError()], "cancelled"),
}


def play(generator: Generator[object, object, object], steps: list[object]) -> list[object]:
    heard: list[object] = []
    for step in steps:
        try:
            if step == "close":
                heard.append(generator.close())
            elif isinstance(step, BaseException):
                heard.append(generator.throw(step))
            else:
                heard.append(generator.send(step))
        except BaseException as error:
            heard.append((type(error), error.args, error.__context__, error.__cause__, error if error is step else None))
    return heard


async def play_async(generator: AsyncGenerator[object, object], steps: list[object]) -> list[object]:
    heard: list[object] = []
    for step in steps:
        try:
            if step == "close":
                heard.append(await generator.aclose())
            elif isinstance(step, BaseException):
                heard.append(await generator.athrow(step))
            else:
                heard.append(await generator.asend(step))
        except BaseException as error:
            heard.append((type(error), error.args, error.__context__, error.__cause__, error if error is step else None))
    return heard


@pytest.mark.parametrize("script", SCRIPTS)
def test_generators_hear_and_say_what_the_bare_ones_do(calls: list[Call], script: str) -> None:
    steps, ending = SCRIPTS[script]
    bare_log: list[object] = []
    log: list[object] = []
    assert play(tracer.trace(echo)(log), steps) == play(echo(bare_log), steps)
    assert log == bare_log
    assert [call.ending for call in calls] == [ending]
    assert nothing_open()


@pytest.mark.parametrize("script", SCRIPTS)
async def test_async_generators_hear_and_say_what_the_bare_ones_do(calls: list[Call], script: str) -> None:
    steps, ending = SCRIPTS[script]
    bare_log: list[object] = []
    log: list[object] = []
    assert await play_async(tracer.trace(async_echo)(log), steps) == await play_async(async_echo(bare_log), steps)
    assert log == bare_log
    assert [call.ending for call in calls] == [ending]
    assert nothing_open()


def stubborn(reaction: str) -> Iterator[int]:
    try:
        yield 1
    except GeneratorExit:
        if reaction == "yields":
            yield 2
        if reaction == "raises":
            raise Oops from None
        if reaction == "raises with context":
            raise Oops  # noqa: B904


async def async_stubborn(reaction: str) -> AsyncIterator[int]:
    try:
        yield 1
    except GeneratorExit:
        if reaction == "yields":
            yield 2
        if reaction == "raises":
            raise Oops from None
        if reaction == "raises with context":
            raise Oops  # noqa: B904


def closing(generator: Any) -> object:
    next(generator)
    try:
        return generator.close()
    except Exception as error:
        context = error.__context__
        return (type(error), error.args, type(context), context and context.__context__, error.__suppress_context__)


async def async_closing(generator: Any) -> object:
    await anext(generator)
    try:
        return await generator.aclose()
    except Exception as error:
        context = error.__context__
        return (type(error), error.args, type(context), context and context.__context__, error.__suppress_context__)


REACTIONS = {"returns": "stopped", "yields": None, "raises": "failed", "raises with context": "failed"}


@pytest.mark.parametrize("reaction", REACTIONS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_closing_a_generator_that_does_something_about_it(calls: list[Call], reaction: str) -> None:
    same = tracer.trace(stubborn)
    bare_result, result = closing(stubborn(reaction)), closing(same(reaction))
    if isinstance(result, tuple):
        assert isinstance(bare_result, tuple)
        assert result[0] == bare_result[0]
        assert result[2:] == bare_result[2:]
    else:
        assert result == bare_result
    gc.collect()
    if REACTIONS[reaction]:
        assert [call.ending for call in calls] == [REACTIONS[reaction]]
        assert nothing_open()


@pytest.mark.parametrize("reaction", ["returns", "raises", "raises with context"])
async def test_closing_an_async_generator_that_does_something_about_it(calls: list[Call], reaction: str) -> None:
    same = tracer.trace(async_stubborn)
    assert await async_closing(same(reaction)) == await async_closing(async_stubborn(reaction))
    assert [call.ending for call in calls] == [REACTIONS[reaction]]
    assert nothing_open()


def test_a_generator_that_is_dropped_was_stopped(calls: list[Call]) -> None:
    for _ in tracer.trace(generator_function)(5):
        break
    gc.collect()
    assert [(call.ending, call.output_json) for call in calls] == [("stopped", b"[0]")]


def test_a_generator_never_begun_is_no_call(calls: list[Call]) -> None:
    tracer.trace(generator_function)(5)
    tracer.trace(generator_function)(5).close()
    gc.collect()
    assert calls == []
    assert nothing_open()


def test_cleaning_up_happens_inside_of_the_span(calls: list[Call]) -> None:
    @tracer.trace
    def outer() -> Iterator[int]:
        try:
            yield 1
        finally:
            with tracer.trace("cleaning"):
                pass

    for _ in outer():
        break
    gc.collect()
    found = by_name(calls)
    assert found["cleaning"].parent_span_id == found["outer"].span_id


def test_an_event_loop_that_ends_closes_an_async_generator_once(calls: list[Call]) -> None:
    cleaned: list[str] = []
    complaints: list[dict[str, Any]] = []

    @tracer.trace
    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            cleaned.append("cleaned")

    async def main() -> AsyncIterator[int]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        left = numbers()
        await anext(left)
        return left

    left = asyncio.run(main())
    assert cleaned == ["cleaned"]
    assert complaints == []
    assert [call.ending for call in calls] == ["stopped"]
    del left


async def test_an_async_generator_that_is_dropped_is_closed_by_its_loop(calls: list[Call]) -> None:
    async for _ in tracer.trace(async_generator_function)(5):
        break
    gc.collect()
    for _ in range(20):
        await asyncio.sleep(0)
    assert [call.ending for call in calls] == ["stopped"]


# The scope is set for each step only.


def test_nothing_leaks_between_two_items(calls: list[Call]) -> None:
    @tracer.trace
    def numbers(name: str) -> Iterator[int]:
        for number in range(3):
            with tracer.trace(f"{name}{number}"):
                pass
            assert tracer.current() is not None
            yield number

    with tracer.trace("consumer"):
        inside = current()
        first, second = numbers("a"), numbers("b")
        for left, right in zip(first, second, strict=True):
            assert left == right
            assert current() is inside
            with tracer.trace(f"between{left}"):
                pass
    by_span = {call.span_id: call for call in calls}
    parents = [
        (call.name, by_span[call.parent_span_id].input_json) for call in calls if call.parent_span_id in by_span and call.name[0] in "ab"
    ]
    assert [(name, text) for name, text in parents if name[0] == "a"] == [(f"a{number}", b'{"name":"a"}') for number in range(3)]
    consumer = next(call for call in calls if call.name == "consumer")
    assert all(call.parent_span_id == consumer.span_id for call in calls if call.name in ("numbers", "between0", "between1", "between2"))
    assert nothing_open()


async def test_nothing_leaks_between_tasks_and_async_items(calls: list[Call]) -> None:
    @tracer.trace
    async def numbers(name: str) -> AsyncIterator[int]:
        for number in range(5):
            await asyncio.sleep(0)
            with tracer.trace(f"{name}.{number}"):
                await asyncio.sleep(0)
            yield number

    async def consume(name: str) -> None:
        with tracer.context(session=name), tracer.trace(f"consumer {name}"):
            inside = current()
            async for _ in numbers(name):
                assert current() is inside
                await asyncio.sleep(0)
                assert current() is inside

    await asyncio.gather(*(consume(str(number)) for number in range(8)))
    assert current() is EMPTY
    by_span = {call.span_id: call for call in calls}
    assert len(calls) == 8 * 7
    for call in calls:
        if call.name == "numbers":
            assert call.parent_span_id is not None
            assert by_span[call.parent_span_id].name == f"consumer {call.session}"
        elif not call.name.startswith("consumer"):
            assert call.parent_span_id is not None
            assert by_span[call.parent_span_id].name == "numbers"
            assert call.name.startswith(f"{call.session}.")
    assert len({call.trace_id for call in calls}) == 8


async def test_a_cancelled_task_is_cancelled_and_not_an_error(calls: list[Call]) -> None:
    started = asyncio.Event()

    @tracer.trace
    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    @tracer.trace
    async def items() -> AsyncIterator[int]:
        yield 1
        started.set()
        await asyncio.Event().wait()

    async def consume() -> None:
        async for _ in items():
            pass

    for function in (wait, consume):
        started.clear()
        task = asyncio.create_task(function())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [call.ending for call in calls] == ["cancelled"] * 2


# Ending in another context than the beginning.


def test_a_generator_read_in_several_contexts(calls: list[Call]) -> None:
    generator = tracer.trace(generator_function)(3)
    for expected in range(3):
        context = contextvars.copy_context()
        assert context.run(next, generator) == expected
        assert context.run(current) is EMPTY
    assert contextvars.Context().run(next, generator, "over") == "over"
    assert [call.ending for call in calls] == ["completed"]


async def test_an_async_generator_read_by_several_tasks(calls: list[Call]) -> None:
    generator = tracer.trace(async_generator_function)(3)

    async def step() -> int:
        return await anext(generator, -1)

    assert [await asyncio.create_task(step()) for _ in range(4)] == [0, 1, 2, -1]
    assert [call.ending for call in calls] == ["completed"]
    assert nothing_open()


def test_a_span_that_is_left_in_another_context_or_thread(calls: list[Call]) -> None:
    span, scope = tracer.trace("a"), tracer.context(session="s")

    def begin() -> None:
        scope.__enter__()
        span.__enter__()

    def end() -> None:
        span.__exit__(None, None, None)
        scope.__exit__(None, None, None)

    contextvars.copy_context().run(begin)
    with tracer.trace("elsewhere"):
        here = current()
        end()
        # The scope of the place where it ended was not its own.
        assert current() is here
    contextvars.copy_context().run(begin)
    thread = threading.Thread(target=end)
    thread.start()
    thread.join()
    assert sorted(call.name for call in calls) == ["a", "a", "elsewhere"]
    assert nothing_open()


async def test_async_context_managers_left_in_another_task(calls: list[Call]) -> None:
    @asynccontextmanager
    async def resource() -> AsyncGenerator[None, None]:
        async with tracer.context(session="s"), tracer.trace("resource"):
            yield

    manager = resource()
    await asyncio.create_task(manager.__aenter__())  # type: ignore[arg-type]
    await asyncio.create_task(manager.__aexit__(None, None, None))  # type: ignore[arg-type]
    assert [call.ending for call in calls] == ["completed"]
    assert nothing_open()


def test_one_context_manager_entered_again_and_in_several_threads(calls: list[Call]) -> None:
    span, scope = tracer.trace("a"), tracer.context(session="s")
    with span, scope, span, scope:
        pass
    barrier = threading.Barrier(4)
    seen: list[object] = []

    def work() -> None:
        with scope, span:
            inside = current()
            barrier.wait()
            seen.append(inside is current())
            barrier.wait()
        seen.append(current() is EMPTY)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 8
    assert len({call.span_id for call in calls}) == len(calls) == 6
    assert calls[0].parent_span_id == calls[1].span_id
    assert nothing_open()


async def test_one_context_manager_shared_by_tasks(calls: list[Call]) -> None:
    scope, span = tracer.context(session="s"), tracer.trace("a")

    async def work(first: asyncio.Event, second: asyncio.Event) -> None:
        with scope, span:
            first.set()
            await second.wait()
        assert current() is EMPTY

    one, two, three = asyncio.Event(), asyncio.Event(), asyncio.Event()
    tasks = [asyncio.create_task(work(one, two)), asyncio.create_task(work(two, three))]
    await one.wait()
    await tasks[0]
    three.set()
    await tasks[1]
    assert [call.parent_span_id for call in calls] == [None, None]
    assert nothing_open()


def test_leaving_what_was_never_entered_does_nothing(calls: list[Call]) -> None:
    tracer.trace("a").__exit__(None, None, None)
    tracer.context().__exit__(None, None, None)
    assert calls == []


def test_context_managers_of_the_application(calls: list[Call]) -> None:
    @contextmanager
    @tracer.trace
    def resource() -> Generator[str, None, None]:
        yield "resource"

    with resource() as value:
        assert value == "resource"
        assert current() is EMPTY
    assert [call.ending for call in calls] == ["completed"]


# Faults of ours stay with us.


def test_a_fault_of_ours_is_counted_and_the_program_goes_on(
    fresh_runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[Call] = []
    record_into(calls)
    fresh_runtime.raise_faults = False

    def broken(*_: object) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("tracer.capture.spans.new_call", broken)
    traced = tracer.trace(sync_function)
    for _ in range(2):
        assert traced(1, c=True) == (1, "x", (), True, {})
        with tracer.trace("a") as run:
            assert run.id is None
    assert fresh_runtime.faults == {"beginning a span": 4}
    assert len(caplog.records) == 1
    assert calls == []


def test_a_fault_while_the_interpreter_goes_away_is_counted_and_not_said(
    fresh_runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fresh_runtime.raise_faults = False
    with monkeypatch.context() as end:
        end.setattr("sys.is_finalizing", lambda: True)
        assert report_fault("the end", ImportError("no module"))
    assert fresh_runtime.faults == {"the end": 1}
    assert caplog.records == []
