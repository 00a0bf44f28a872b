"""Beside an application's own tracer provider: our calls are its spans, with its ids, sampler, limits and parents."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

import tracer
from tests.integration.capture_support import PLAIN
from tests.integration.host_support import (
    Application,
    application,
    ask,
    attributes,
    closing_clients,
    host_account,
    id_of,
    no_host_left,
    no_provider,
    parent_of,
    replaying,
    traced,
)
from tests.support import collecting, stored_names
from tracer.call import Call
from tracer.host.recorded import RecordedSpan
from tracer.reading.record import Record
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer
from tracer.runtime import runtime
from tracer.scope import Scope

NOT_FOUND = "pydanticai.model_name_suggestions.model_name_suggestion-openai-chat"
CHAT = "chat gpt-4o"


server = pytest.fixture(scope="module")(replaying)
clients_are_closed = pytest.fixture(autouse=True)(closing_clients)


@pytest.fixture
def app() -> Iterator[Application]:
    with application() as installed:
        yield installed


# What arrives, and when.


def test_a_call_is_a_span_of_the_application_and_has_ended_when_it_returns(app: Application, server: ReplayServer) -> None:
    ask(traced(server))
    (span,) = app.spans
    values = attributes(span)
    assert (span.name, span.kind, span.status.status_code) == (CHAT, SpanKind.CLIENT, StatusCode.UNSET)
    assert values["gen_ai.operation.name"] == "chat"
    assert values["gen_ai.usage.input_tokens"] > 0
    assert values["tracer.outcome"] == "completed"
    assert values["server.address"] == "127.0.0.1"
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "tracer"
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.start_time < span.end_time
    assert host_account() == {"started": 1, "open": 0, "exported": 1, "sampled_out": 0, "dropped": {}, "queued": 0}
    assert tracer.status()["on"]


async def test_the_same_of_an_async_call(app: Application, server: ReplayServer) -> None:
    await ask(traced(server, asynchronous=True))
    assert app.names == [CHAT]
    assert attributes(app.only(CHAT))["tracer.outcome"] == "completed"


def test_a_cost_is_there_from_the_first_call_on(app: Application, server: ReplayServer) -> None:
    ask(traced(server))
    assert attributes(app.only(CHAT))["tracer.cost.total"] > 0


def test_the_resource_and_the_ids_are_those_of_the_application(server: ReplayServer) -> None:
    class Counting(IdGenerator):
        count = 0x10

        def generate_span_id(self) -> int:
            self.count += 1
            return self.count

        def generate_trace_id(self) -> int:
            return 0xABCDEF

    with application(id_generator=Counting(), resource=Resource({"service.name": "shop"})) as app:
        with tracer.trace("mine") as run:
            assert (run.trace_id, run.span_id) == (f"{0xABCDEF:032x}", f"{0x11:016x}")
            ask(traced(server))
        mine, call = app.only("mine"), app.only(CHAT)
        assert (id_of(mine), id_of(call), parent_of(call)) == (0x11, 0x12, 0x11)
        assert mine.resource.attributes["service.name"] == "shop"


def test_ids_that_are_all_the_same_confuse_nobody(server: ReplayServer) -> None:
    class Same(IdGenerator):
        def generate_span_id(self) -> int:
            return 7

        def generate_trace_id(self) -> int:
            return 9

    with application(id_generator=Same()) as app:
        with tracer.trace("a"), tracer.trace("b"):
            ask(traced(server))
        assert app.names == [CHAT, "b", "a"]
        assert host_account()["exported"] == 3


def test_few_attributes_are_the_important_ones(server: ReplayServer) -> None:
    with application(span_limits=SpanLimits(max_span_attributes=4)) as app:
        with tracer.context(metadata={f"key{number}": number for number in range(50)}):
            ask(traced(server))
        values = attributes(app.only(CHAT))
        assert len(values) == 4
        assert {"gen_ai.operation.name", "gen_ai.request.model"} <= set(values)


def test_its_processors_see_both_ends(server: ReplayServer) -> None:
    seen: list[str] = []

    class Noting(SpanProcessor):
        def on_start(self, span: Span, parent_context: otel_context.Context | None = None) -> None:
            seen.append(f"start {span.name}")
            span.set_attribute("tenant", "t1")

        def on_end(self, span: ReadableSpan) -> None:
            seen.append(f"end {span.name}")

    with application() as app:
        app.provider.add_span_processor(Noting())
        ask(traced(server))
        assert seen == [f"start {CHAT}", f"end {CHAT}"]
        assert attributes(app.only(CHAT))["tenant"] == "t1"


def test_a_batch_processor_has_it_after_force_flush(server: ReplayServer) -> None:
    exporter = InMemorySpanExporter()
    with application() as app:
        app.provider.add_span_processor(BatchSpanProcessor(exporter))
        ask(traced(server))
        assert app.provider.force_flush()
        assert [span.name for span in exporter.get_finished_spans()] == [CHAT]
        app.provider.shutdown()


# Samplers.


class Remembering(Sampler):
    """Keeps what it was asked by."""

    def __init__(self, decision: Decision = Decision.RECORD_AND_SAMPLE) -> None:
        self.asked: list[tuple[str, SpanKind | None, dict[str, Any]]] = []
        self._decision = decision

    def should_sample(
        self,
        parent_context: otel_context.Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[otel.Link] | None = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        self.asked.append((name, kind, dict(attributes or {})))
        return SamplingResult(self._decision, attributes)

    def get_description(self) -> str:
        return "remembering"


def test_samplers_know_name_kind_model_and_address_at_the_start(server: ReplayServer) -> None:
    sampler = Remembering()
    with application(sampler=sampler):
        ask(traced(server))
        ((name, kind, values),) = sampler.asked
        assert (name, kind) == (CHAT, SpanKind.CLIENT)
        port = values.pop("server.port")
        assert isinstance(port, int)
        assert values == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "server.address": "127.0.0.1",
        }


def test_what_is_not_sampled_is_not_read_and_counted(server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with application(sampler=ALWAYS_OFF) as app:
        client = traced(server)

        def read(call: Call) -> Record:
            pytest.fail("read")

        monkeypatch.setattr("tracer.pipeline.readings.read_call", read)
        assert ask(client).model
        assert app.spans == []
        assert host_account()["sampled_out"] == 1


def test_what_is_recorded_but_not_sampled_is_read(server: ReplayServer) -> None:
    ended: list[ReadableSpan] = []

    class Keeping(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            ended.append(span)

    with application(sampler=Remembering(Decision.RECORD_ONLY)) as app:
        app.provider.add_span_processor(Keeping())
        ask(traced(server))
        assert app.spans == []
        assert attributes(ended[0])["gen_ai.usage.input_tokens"] > 0


def test_traces_are_sampled_whole() -> None:
    with application(sampler=ParentBased(TraceIdRatioBased(0.5))) as app:
        for _ in range(40):
            with tracer.trace("outer"), tracer.trace("inner"):
                pass
        account = host_account()
        assert 0 < account["sampled_out"] < 80
        assert account["sampled_out"] + account["exported"] == 80
        assert app.names.count("outer") == app.names.count("inner") == account["exported"] / 2


def test_the_sampling_of_the_application_holds_for_other_destinations(server: ReplayServer, tmp_path: Path) -> None:
    store = tmp_path / "x.sqlite"
    with application(sampler=ALWAYS_OFF):
        tracer.configure(local=str(store), quiet=True)
        ask(traced(server))
        assert tracer.flush()
        assert tracer.status()["destinations"]["local"]["sampled_out"] == 1
        assert tracer.status()["destinations"]["local"]["exported"] == 0


# Parents, both ways.


def test_spans_nest_both_ways(app: Application, server: ReplayServer) -> None:
    client = traced(server)
    with app.tracer.start_as_current_span("request"):
        with tracer.trace("mine"):
            with app.tracer.start_as_current_span("database"):
                ask(client)
            with app.tracer.start_as_current_span("after"):
                pass
        with app.tracer.start_as_current_span("outside"):
            pass
    ids = {span.name: id_of(span) for span in app.spans}
    parents = {span.name: parent_of(span) for span in app.spans}
    assert parents == {
        CHAT: ids["database"],
        "database": ids["mine"],
        "after": ids["mine"],
        "mine": ids["request"],
        "outside": ids["request"],
        "request": None,
    }
    assert len({span.context.trace_id for span in app.spans if span.context}) == 1


def test_a_span_of_the_application_inside_of_a_call_is_its_child(app: Application, server: ReplayServer) -> None:
    @tracer.trace(kind="tool")
    def weather(city: str) -> str:
        with app.tracer.start_as_current_span("lookup"):
            return f"sun in {city}"

    weather("Paris")
    assert parent_of(app.only("lookup")) == id_of(app.only("execute_tool weather"))
    assert otel.get_current_span() is otel.INVALID_SPAN


async def test_tasks_have_parents_of_their_own(app: Application, server: ReplayServer) -> None:
    client = traced(server, asynchronous=True)

    async def work(name: str) -> None:
        with app.tracer.start_as_current_span(f"task {name}"):
            async with tracer.trace(f"mine {name}"):
                await ask(client)
                with app.tracer.start_as_current_span(f"inner {name}"):
                    await asyncio.sleep(0)

    with app.tracer.start_as_current_span("request"):
        await asyncio.gather(*(work(name) for name in "abc"))
    for name in "abc":
        mine = app.only(f"mine {name}")
        assert parent_of(mine) == id_of(app.only(f"task {name}"))
        assert parent_of(app.only(f"inner {name}")) == id_of(mine)
    calls = [span for span in app.spans if span.name == CHAT]
    assert sorted(parent_of(span) or 0 for span in calls) == sorted(id_of(app.only(f"mine {name}")) for name in "abc")


def test_work_in_threads_stays_under_our_span(app: Application, server: ReplayServer) -> None:
    client = traced(server)
    current: list[otel.Span] = []

    def work() -> None:
        current.append(otel.get_current_span())
        ask(client)

    with app.tracer.start_as_current_span("request"), tracer.trace("mine"):
        with ThreadPoolExecutor(2) as pool:
            pool.submit(work).result()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    calls = [span for span in app.spans if span.name == CHAT]
    assert [parent_of(span) for span in calls] == [id_of(app.only("mine"))] * 2
    assert current == [otel.INVALID_SPAN] * 2  # The application's own context goes where the application takes it.


def test_a_span_of_the_application_in_a_thread_is_nearer_than_ours(app: Application, server: ReplayServer) -> None:
    client = traced(server)

    def work() -> None:
        with app.tracer.start_as_current_span("worker"):
            ask(client)

    with tracer.trace("mine"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert parent_of(app.only(CHAT)) == id_of(app.only("worker"))


def test_contexts_of_ours_change_no_parent(app: Application, server: ReplayServer) -> None:
    with tracer.trace("mine"), app.tracer.start_as_current_span("inner"), tracer.context(session="s1"):
        assert otel.get_current_span().get_span_context().span_id != 0
        ask(traced(server))
    assert parent_of(app.only(CHAT)) == id_of(app.only("inner"))
    assert attributes(app.only(CHAT))["session.id"] == "s1"


@pytest.mark.parametrize("kind", ["generator", "async generator"])
async def test_the_consumer_of_a_generator_is_outside_of_it(kind: str, app: Application) -> None:
    @tracer.trace
    def numbers() -> Iterator[int]:
        for number in range(2):
            with app.tracer.start_as_current_span(f"making {number}"):
                pass
            yield number

    @tracer.trace
    async def later_numbers() -> AsyncIterator[int]:
        for number in numbers.__wrapped__():  # type: ignore[attr-defined]
            yield number

    def consume() -> None:
        with app.tracer.start_as_current_span("using"):
            pass

    with app.tracer.start_as_current_span("request"):
        if kind == "generator":
            for _ in numbers():
                consume()
        else:
            async for _ in later_numbers():
                consume()
    name = "numbers" if kind == "generator" else "later_numbers"
    ids = {span.name: id_of(span) for span in app.spans}
    assert {parent_of(span) for span in app.spans if span.name == "using"} == {ids["request"]}
    assert {parent_of(app.only("making 0")), parent_of(app.only("making 1"))} == {ids[name]}


def test_links_and_baggage_stay(app: Application) -> None:
    from opentelemetry import baggage

    token = otel_context.attach(baggage.set_baggage("tenant", "t1"))
    try:
        with tracer.trace("mine"):
            assert baggage.get_baggage("tenant") == "t1"
            with app.tracer.start_as_current_span("inner", links=[otel.Link(otel.SpanContext(1, 2, False))]):
                pass
        assert baggage.get_baggage("tenant") == "t1"
    finally:
        otel_context.detach(token)
    assert [link.context.span_id for link in app.only("inner").links] == [2]


# Errors and attempts.


def test_an_error_is_the_status_and_an_event(app: Application, server: ReplayServer) -> None:
    client = traced(server, NOT_FOUND)
    with pytest.raises(Exception, match="model") as caught:
        ask(client, NOT_FOUND)
    (span,) = app.spans
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]
    assert dict(span.events[0].attributes or {})["exception.type"] == "openai.NotFoundError"
    assert attributes(span)["error.type"] == "model_not_found"
    assert caught.value.__context__ is None or "tracer" not in repr(caught.value.__context__)


def test_an_error_in_a_span_of_ours(app: Application) -> None:
    with pytest.raises(ValueError, match="no"), tracer.trace("mine"):
        raise ValueError("no")
    assert app.only("mine").status.status_code is StatusCode.ERROR
    assert otel.get_current_span() is otel.INVALID_SPAN


def test_attempts_are_children_with_their_own_times(app: Application, server: ReplayServer) -> None:
    ask(traced(server, behaviour=Behaviour(fail=2, status=429), max_retries=3))
    call = app.only(CHAT)
    attempts = [span for span in app.spans if span.name == "attempt"]
    assert [attributes(span)["http.response.status_code"] for span in attempts] == [429, 429, 200]
    assert {parent_of(span) for span in attempts} == {id_of(call)}
    times = [(span.start_time or 0, span.end_time or 0) for span in attempts]
    assert times == sorted(times)
    assert all((call.start_time or 0) <= start <= end <= (call.end_time or 0) for start, end in times)


# Where it is found, and where not.


def test_a_provider_that_is_set_after_wrapping_is_noticed(server: ReplayServer, capsys: pytest.CaptureFixture[str]) -> None:
    with no_host_left():
        client = traced(server)
        ask(client)
        assert not tracer.status()["on"]
        assert capsys.readouterr().err == ""
        app = Application().install()
        ask(client)
        assert app.names == [CHAT]
        ask(client)
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert line.startswith("tracer: recording to the application's own OpenTelemetry; prompts and answers are not captured")


def test_a_provider_that_is_replaced_between_tests(server: ReplayServer) -> None:
    with no_host_left():
        client = traced(server)
        app = Application()
        for _ in range(3):
            app = Application().install()
            ask(client)
            assert app.names == [CHAT]
            app.exporter.clear()
            ask(client)
            assert app.names == [CHAT]
        no_provider()
        ask(client)
        assert app.names == [CHAT]
        assert host_account()["exported"] == 6
        assert not tracer.status()["on"]


def test_a_call_ends_with_the_provider_it_began_with(server: ReplayServer) -> None:
    with application() as first:
        run = tracer.trace("mine")
        with run:
            second = Application().install()
        assert (first.names, second.names) == (["mine"], [])


@pytest.mark.parametrize("provider", [otel.NoOpTracerProvider, otel.ProxyTracerProvider])
def test_placeholders_are_no_provider(provider: Callable[[], Any], server: ReplayServer) -> None:
    with no_host_left():
        setattr(otel, "_TRACER_PROVIDER", provider())  # noqa: B010
        ask(traced(server))
        assert tracer.status()["destinations"] == {}
        assert threading.active_count() == len([thread for thread in threading.enumerate() if thread.name != "tracer-host"])


def test_asking_makes_no_provider(server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "sdk_tracer_provider")
    with no_host_left():
        ask(traced(server))
        assert getattr(otel, "_TRACER_PROVIDER", "moved") is None


def test_a_wrapper_around_a_provider_is_one(server: ReplayServer) -> None:
    class Wrapper(otel.TracerProvider):
        """As several vendors have it: a provider of its own around the SDK's."""

        def __init__(self, inner: TracerProvider) -> None:
            self._inner = inner

        def get_tracer(self, *arguments: Any, **more: Any) -> otel.Tracer:
            return self._inner.get_tracer(*arguments, **more)

    with no_host_left():
        app = Application()
        otel.set_tracer_provider(Wrapper(app.provider))
        ask(traced(server))
        assert app.names == [CHAT]


def test_switched_off_is_off(app: Application, server: ReplayServer) -> None:
    tracer.configure(enabled=False)
    ask(traced(server))
    with tracer.trace("mine"):
        pass
    assert app.spans == []
    tracer.configure()
    with tracer.context(enabled=False):
        ask(traced(server))
    assert app.spans == []


def test_suppressed_instrumentation_is_suppressed(app: Application, server: ReplayServer) -> None:
    key = getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
    token = otel_context.attach(otel_context.set_value(key, True))
    try:
        ask(traced(server))
    finally:
        otel_context.detach(token)
    assert app.spans == []


# Beside our own destinations.


def test_no_otlp_of_ours_beside_a_provider(app: Application, server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        ask(traced(server))
        assert tracer.flush()
        assert set(tracer.status()["destinations"]) == {"host"}
        assert collector.bodies == []
    assert app.names == [CHAT]


def test_otlp_of_ours_ends_where_a_provider_comes(server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with no_host_left(), collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        client = traced(server)
        ask(client)
        app = Application().install()
        ask(client)
        assert tracer.flush(20)
        assert collector.names == [CHAT]
        assert app.names == [CHAT]
        account = tracer.status()["destinations"]["otlp"]
        assert (account["exported"], sum(account["dropped"].values())) == (1, 1)


def test_the_local_store_goes_on_beside_it(app: Application, server: ReplayServer, tmp_path: Path) -> None:
    store = tmp_path / "x.sqlite"
    tracer.configure(local=str(store), quiet=True)
    with tracer.trace("mine"):
        ask(traced(server))
    assert tracer.flush()
    assert stored_names(store) == ["mine", CHAT]
    assert app.names == [CHAT, "mine"]
    assert attributes(app.only(CHAT))["gen_ai.input.messages"]  # A destination of ours was asked for.


@pytest.mark.parametrize(
    ("variables", "inputs", "outputs"),
    [
        ({}, False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, False, False),
        ({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "NO_CONTENT"}, False, False),
        ({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"}, True, True),
        ({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}, True, True),
        ({"TRACER_CONTENT": "on"}, True, True),
        ({"TRACER_CONTENT": "inputs"}, True, False),
        ({"TRACER_CONTENT": "off", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}, False, False),
    ],
)
@pytest.mark.parametrize("first", ["provider", "client"])
def test_content_follows_the_rule_of_opentelemetry(
    first: str, variables: dict[str, str], inputs: bool, outputs: bool, server: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with no_host_left():
        client = traced(server) if first == "client" else None
        app = Application().install()
        ask(client or traced(server))
        with tracer.trace("mine", inputs="question") as run:
            run.set_output("answer")
        values, mine = attributes(app.only(CHAT)), attributes(app.only("mine"))
        assert ("gen_ai.input.messages" in values, "gen_ai.output.messages" in values) == (inputs, outputs)
        assert ("input.value" in mine, "output.value" in mine) == (inputs, outputs)


def test_an_enabled_context_needs_no_store_beside_a_provider(app: Application, server: ReplayServer) -> None:
    client = traced(server)
    with tracer.context(enabled=True):
        ask(client)
    assert app.names == [CHAT]
    assert set(tracer.status()["destinations"]) == {"host"}


# What the application's telemetry does to us.


def test_a_processor_that_raises_is_not_the_callers_trouble(server: ReplayServer) -> None:
    class Broken(SpanProcessor):
        def on_start(self, span: Span, parent_context: otel_context.Context | None = None) -> None:
            if span.name == "first":
                raise RuntimeError("on start")

        def on_end(self, span: ReadableSpan) -> None:
            raise RuntimeError("on end")

    with application() as app:
        runtime.raise_faults = False
        app.provider.add_span_processor(Broken())
        assert ask(traced(server)).model
        with tracer.trace("first"):
            pass
        account = host_account()
        assert account["dropped"] == {"error": 2}
        assert account["exported"] == 0
        assert otel.get_current_span() is otel.INVALID_SPAN


def test_after_the_provider_was_shut_down_nothing_breaks(app: Application, server: ReplayServer) -> None:
    client = traced(server)
    app.provider.shutdown()
    assert ask(client).model
    assert app.spans == []
    assert host_account()["started"] == 1


def test_after_our_own_shutdown_nothing_is_begun(app: Application, server: ReplayServer) -> None:
    client = traced(server)
    with tracer.trace("mine"):
        assert tracer.shutdown()
        ask(client)
    assert app.names == ["mine"]
    assert not tracer.status()["on"]
    tracer.configure(quiet=True)
    ask(client)
    assert app.names == ["mine", CHAT]


# Without a provider of its own, an application may still have spans.


def test_a_local_root_takes_a_foreign_parent(server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with no_host_left(), collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        app = Application()  # Its provider is not the global one.
        client = traced(server)
        with app.tracer.start_as_current_span("request") as request:
            ask(client)
            with tracer.trace("mine"):
                ask(client)
        assert tracer.flush(20)
        context = request.get_span_context()
        ours = {span.name: span for span in collector.spans() if span.parent_span_id == context.span_id.to_bytes(8, "big")}
        assert set(ours) == {CHAT, "mine"}
        assert {span.trace_id for span in collector.spans()} == {context.trace_id.to_bytes(16, "big")}
        assert app.names == ["request"]


def test_a_foreign_parent_that_is_not_sampled_decides(server: ReplayServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with no_host_left():
        tracer.configure(local=str(tmp_path / "x.sqlite"), quiet=True)
        app = Application(sampler=ALWAYS_OFF)
        with app.tracer.start_as_current_span("request"), tracer.trace("mine"):
            pass
        assert tracer.flush()
        assert tracer.status()["destinations"]["local"]["sampled_out"] == 1


def test_the_model_asked_for_is_the_recorded_one(app: Application, server: ReplayServer) -> None:
    ask(traced(server, PLAIN))
    assert attributes(app.only(CHAT))["gen_ai.request.model"] == "gpt-4o"


def test_a_call_that_is_over_needs_no_garbage_collection(app: Application, server: ReplayServer) -> None:
    client = traced(server)
    ask(client)

    def kept() -> int:
        return sum(type(item) is RecordedSpan for item in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        read = [attributes(span) for span in app.spans]
        before = kept()
        ask(client)
        assert len([attributes(span) for span in app.spans]) == len(read) + 1
        assert kept() == before
    finally:
        gc.enable()


def test_what_outlives_a_call_does_not_keep_its_content() -> None:
    with application() as app:
        with tracer.trace("mine"):
            context = copy_context()
        (ended,) = app.spans
        app.exporter.clear()
        parents: list[int | None] = []

        def later() -> None:
            with tracer.trace("later"):
                pass
            parents.append(parent_of(app.only("later")))

        context.run(later)
        assert parents == [id_of(ended)]
        hosts = [scope.parent.host for scope in context.values() if isinstance(scope, Scope) and scope.parent]
        assert [(host.span, host.inside, host.call) for host in hosts if isinstance(host, RecordedSpan)] == [(None, None, None)]
