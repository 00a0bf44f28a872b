"""`tracer.testing`: calls of real SDKs as objects, isolated, with nothing left behind and nothing in any destination."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI as LangChainOpenAI
from opentelemetry.sdk.trace import ReadableSpan

import tracer
from tests.integration.capture_support import ERROR_IN_STREAM, PLAIN, STREAM, close_http_clients, create, make_client
from tests.support import run_program, stored_names, wait_until
from tracer.call import Call
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer
from tracer.runtime import Runtime, runtime
from tracer.testing import Capture, capture


@pytest.fixture(autouse=True)
async def connections_closed() -> AsyncIterator[None]:
    """In the loop of the test, and not in the middle of another one."""
    yield
    await close_http_clients()


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as server:
        yield server


def names(calls: Capture) -> list[str]:
    return [call.name for call in calls]


def test_what_a_call_says(fresh_runtime: Runtime, server: ReplayServer) -> None:
    client = tracer.wrap(make_client(server, PLAIN))
    before = set(threading.enumerate())
    said = tracer.context(session="s1", user="u7", tags=["beta"], metadata={"plan": "free"})
    with capture() as calls, said, tracer.trace("answer", inputs={"q": 1}) as run:
        create(client, PLAIN)
        run.set_output("done")
    call = calls.only()
    assert (call.model, call.provider, call.kind, call.outcome, call.error, call.is_open) == (
        "gpt-4o",
        "openai",
        "llm",
        "completed",
        None,
        False,
    )
    assert [message.role for message in call.messages] == ["system", "user"]
    assert call.messages[1].text == "What is the largest city in the user country?"
    assert [(part["name"], part["arguments"]) for part in call.tool_calls] == [("get_user_country", {})]
    assert call.usage is not None
    assert (call.usage.input, call.usage.output) == (109, 11)
    assert call.cost is not None
    assert call.cost.total == pytest.approx(109 * 2.5e-6 + 11 * 10e-6)
    assert (call.session, call.user, call.tags, call.metadata) == ("s1", "u7", ("beta",), {"plan": "free"})
    assert call.attributes["gen_ai.usage.input_tokens"] == 109
    (span,) = call.spans
    assert isinstance(span, ReadableSpan)
    assert span.name == "chat gpt-4o"
    assert call.seconds > 0
    assert call.request["model"] == "gpt-4o"
    assert call.answer["object"] == "chat.completion"
    parent = calls.only(kind="chain")
    assert call.parent is parent
    assert parent.children == [call]
    assert (calls.roots, parent.input, parent.output, parent.run_id) == ([parent], {"q": 1}, "done", run.id)
    assert {thread for thread in set(threading.enumerate()) - before if thread.name.startswith("tracer")} == set()


def test_attempts_and_errors(fresh_runtime: Runtime, server: ReplayServer) -> None:
    with capture() as calls:
        create(tracer.wrap(make_client(server, PLAIN, Behaviour(fail=1), max_retries=1)), PLAIN)
        with pytest.raises(openai.APIStatusError):
            create(tracer.wrap(make_client(server, PLAIN, Behaviour(fail=9), max_retries=0)), PLAIN)
        with pytest.raises(openai.APIError):
            list(create(tracer.wrap(make_client(server, ERROR_IN_STREAM)), ERROR_IN_STREAM))
    retried, failed, broken = calls
    assert (retried.attempts, retried.outcome, len(retried.spans)) == (2, "completed", 3)
    assert failed.error is not None
    assert (failed.outcome, failed.error.status) == ("failed", 429)
    assert broken.error is not None
    assert broken.outcome == "failed"
    assert "error: " in calls.tree()


def test_streams_appear_as_open_until_they_end(fresh_runtime: Runtime, server: ReplayServer) -> None:
    client = tracer.wrap(make_client(server, STREAM))
    with capture() as calls:
        stream = create(client, STREAM)
        next(iter(stream))
        (call,) = calls.open
        assert (call.outcome, call.is_open, call.model, call.usage, call.text) == ("open", True, "gpt-3.5-turbo", None, "")
        list(stream)
        assert (calls.open, call.outcome) == ([], "completed")
        assert call.text
        left = create(client, STREAM)
        next(iter(left))
    assert calls.open == [calls[1]]
    assert "open" in repr(calls)
    assert runtime.open_calls == {}
    left.close()
    assert len(calls) == 2


async def test_async_tasks_have_their_own(fresh_runtime: Runtime, server: ReplayServer) -> None:
    client = tracer.wrap(make_client(server, PLAIN, asynchronous=True))
    both: Any = asyncio.Barrier(2) if sys.version_info >= (3, 11) else None

    async def test_of_its_own(name: str) -> list[str]:
        async with capture() as calls:
            if both is not None:
                await both.wait()
            async with tracer.trace(name):
                await create(client, PLAIN)
                await asyncio.to_thread(tracer.trace("thread").__enter__)
            return names(calls)

    with capture() as outer:
        found = await asyncio.gather(test_of_its_own("a"), test_of_its_own("b"))
    assert found == [["a", "chat gpt-4o", "thread"], ["b", "chat gpt-4o", "thread"]]
    assert len(outer) == 6


def test_nested_and_threads(fresh_runtime: Runtime, server: ReplayServer) -> None:
    client = tracer.wrap(make_client(server, PLAIN))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()  # The thread was there before.
        with capture() as outer:
            with capture() as inner, tracer.trace("job"):
                thread = threading.Thread(target=create, args=(client, PLAIN))
                thread.start()
                thread.join()
                pool.submit(create, client, PLAIN).result()
            with tracer.trace("after"):
                pass
    assert names(inner) == ["job", "chat gpt-4o", "chat gpt-4o"]
    assert inner.roots == [inner[0]]
    assert names(outer) == [*names(inner), "after"]


def test_chat_model_and_langchain(fresh_runtime: Runtime, server: ReplayServer) -> None:
    chat = tracer.ChatModel(make_client(server, PLAIN), model="gpt-4o")
    bare: Any = LangChainOpenAI
    model = tracer.wrap(bare(model="gpt-4o", base_url=server.base_url(PLAIN), api_key="none"))
    with capture() as calls:
        chat.invoke("hi")
        list(chat.stream("hi"))
        model.invoke("hello")
    assert [(call.model, call.kind) for call in calls.model_calls] == [("gpt-4o", "llm")] * 3
    assert [call.messages[-1].text for call in calls.model_calls] == ["hi", "hi", "hello"]
    assert all(call.tool_calls for call in calls.model_calls)


def test_nothing_leaks_into_the_destinations(fresh_runtime: Runtime, server: ReplayServer, tmp_path: Path) -> None:
    store, other = tmp_path / "a.sqlite", tmp_path / "b.sqlite"
    client = tracer.wrap(make_client(server, PLAIN))
    tracer.configure(local=store, quiet=True)
    with tracer.trace("outside"), capture() as calls:
        create(client, PLAIN)
    assert tracer.flush()
    assert stored_names(store) == ["outside"]
    assert tracer.status()["destinations"]["local"]["exported"] == tracer.status()["started"] == 1
    with capture() as more:
        tracer.configure(local=other, quiet=True)  # The program under test does so.
        create(client, PLAIN)
        assert tracer.flush()
        assert tracer.shutdown()
        create(client, PLAIN)
    assert (len(calls), len(more)) == (1, 2)
    with tracer.trace("afterwards"):
        pass
    assert tracer.flush()
    assert stored_names(other) == ["afterwards"]


def test_a_call_that_began_before_goes_where_it_would_have_gone(calls: list[Call]) -> None:
    outside = tracer.trace("outside")
    outside.__enter__()
    with capture() as captured:
        outside.__exit__(None, None, None)
    assert ([call.name for call in calls], len(captured)) == (["outside"], 0)


def test_content_and_switches_do_not_matter(fresh_runtime: Runtime, server: ReplayServer, no_variables: pytest.MonkeyPatch) -> None:
    no_variables.setenv("TRACER_CONTENT", "off")
    no_variables.setenv("OTEL_TRACES_SAMPLER", "always_off")
    no_variables.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    client = tracer.wrap(make_client(server, PLAIN))
    with capture() as calls:
        create(client, PLAIN)
    assert calls.only().messages


def test_the_first_use_of_the_library_reads_no_environment() -> None:
    ended = run_program(
        """
        import threading
        import tracer
        from tracer.testing import capture
        with capture() as calls, tracer.trace("job"):
            pass
        print(len(calls), threading.active_count(), tracer.status()["on"])
        """,
        TRACER_CONSOLE="true",
        TRACER_EXIT_TIMEOUT="soon",
    )
    assert (ended.out.split(), ended.lines) == (["1", "1", "False"], [])


def test_beside_an_applications_own_provider() -> None:
    ended = run_program("""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        import tracer
        from tracer.testing import capture
        tracer.configure(quiet=True)
        with capture() as calls, tracer.trace("captured"):
            pass
        with tracer.trace("theirs"):
            pass
        print(len(calls), *[span.name for span in exporter.get_finished_spans()])
    """)
    assert (ended.out.split(), ended.err) == (["1", "theirs"], "")


def test_failed_assertions_show_the_tree(fresh_runtime: Runtime, server: ReplayServer) -> None:
    client = tracer.wrap(make_client(server, PLAIN))
    with capture() as calls:
        with pytest.raises(AssertionError, match="found 0 model calls:\nno calls"):
            calls.only()
        with tracer.trace("answer"):
            create(client, PLAIN)
            create(client, PLAIN)
    with pytest.raises(AssertionError) as shown:
        calls.only(model="gpt-4o", outcome="completed")
    first, *lines = str(shown.value).splitlines()
    assert first == "expected one call, found 2 calls with model='gpt-4o', outcome='completed':"
    assert lines[0].startswith("answer · completed · ")
    assert lines[1].startswith("├── chat gpt-4o · completed · 109→11 tokens · ")
    assert lines[-1].strip() == "assistant: get_user_country({})"
    assert repr(calls).startswith("<3 captured calls>\nanswer")
    with pytest.raises(AttributeError):
        calls.find(colour="red")
    calls.clear()
    assert repr(calls) == "<no captured calls>"


def test_an_error_under_test_leaves_nothing_behind(fresh_runtime: Runtime) -> None:
    before = dict(vars(runtime))
    error = ValueError()
    with pytest.raises(ValueError) as raised, capture():
        raise error
    assert raised.value is error
    # LangChain's runs stay watched, as they are wherever something is recorded.
    assert {**vars(runtime), "every_run": None} == {**before, "every_run": None}
    wait_until(lambda: runtime.open_calls == {})
