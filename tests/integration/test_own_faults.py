"""Faults of ours on purpose: whatever of ours raises, the caller sees what it would see without us, and the ledger counts it."""

from __future__ import annotations

import ctypes
import gc
import importlib
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

pytest.importorskip("langchain_openai", reason="needs langchain-openai (pip install langchain-core langchain-openai)")

import tracer
from tests.integration.capture_support import STREAM, close_http_clients, create, http_client, make_client
from tests.integration.host_support import application, host_account
from tests.integration.outcomes import Outcome
from tests.integration.programs import PROGRAMS, outcome_of
from tests.support import PATIENCE, Keeping, collecting, runtime_put_back, wait_until
from tracer.host.later import Later
from tracer.replay.server import ReplayServer
from tracer.runtime import runtime
from tracer.scope import EMPTY, find_through, leave
from tracer.settings import Settings

pytestmark = [
    # LangChain's own deprecations are not ours to make errors of.
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


@pytest.fixture(autouse=True)
async def clean(no_variables: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Nothing of a test is left in the process."""
    with runtime_put_back():
        runtime.raise_faults = False
        yield
        tracer.shutdown(PATIENCE)
        find_through(None)
        leave(EMPTY)
        await close_http_clients()


_bare: dict[str, Outcome] = {}


async def bare_outcome(name: str, server: ReplayServer) -> Outcome:
    """What the program sees without us; found once."""
    if name not in _bare:
        with runtime_put_back():
            runtime.configured = True
            _bare[name] = await outcome_of(PROGRAMS[name], server, lambda target: target)
    return _bare[name]


def record_into(monkeypatch: pytest.MonkeyPatch, *places: Any) -> None:
    """Switch recording on, into destinations made here."""

    def make(_: Settings) -> list[Any]:
        return list(places)

    monkeypatch.setattr("tracer.pipeline.destinations.make_destinations", make)
    tracer.configure(quiet=True, local=True, exit_timeout=PATIENCE)


def ledger_closes() -> bool:
    status = tracer.status()
    return bool(status["destinations"]) and all(
        status["started"]
        == status["open"] + account["queued"] + account["exported"] + account["sampled_out"] + sum(account["dropped"].values())
        for account in status["destinations"].values()
    )


class Broken:
    """Stands for something of ours: raises when it is called, compared or read."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise self.error("a bug of ours")

    def __lt__(self, _: Any) -> bool:
        return False

    def __ge__(self, _: Any) -> bool:
        raise self.error("a bug of ours")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is broken (dotted name of a module, then the name in it), and where the ledger counts that."""

    module: str
    name: str
    places: str
    programs: str = ""
    """The programs that meet it, by the beginnings of their names; all of them if empty."""


IN_THE_CALLERS_THREAD = [
    Fault("tracer.runtime", "new_run_id", "beginning a call|beginning a call of an object|LangChain's on_"),
    Fault("tracer.runtime", "runtime.sampler", "beginning a call|beginning a call of an object|LangChain's on_"),
    Fault("tracer.runtime", "runtime.submit", "handing over a call"),
    Fault("tracer.pipeline.inbox", "weight_of", "handing over a call"),
    Fault("tracer.pipeline.pipeline", "Pipeline.start", "beginning a call|beginning a call of an object|LangChain's on_"),
    Fault("tracer.capture.sdk", "_facts", "beginning a call", "plain|stream|raw|chat"),
    Fault("tracer.capture.sdk", "serving", "beginning a call", "plain|stream|raw|chat|langchain"),
    Fault("tracer.capture.sdk", "ask_for_usage", "asking for usage", "stream|chat_stream"),
    Fault("tracer.capture.sdk", "refused_usage", "reading a refusal", "refused|stream_refused"),
    Fault("tracer.capture.sdk", "traced_http", "wrapping openai.", "plain|stream|raw"),
    Fault("tracer.capture.sdk", "_is_stream", "watching an answer", "stream|chat_stream|anthropic_stream"),
    Fault("tracer.capture.watch", "Attempt", "reading a request", "plain|stream"),
    Fault("tracer.capture.watch", "_is_kept", "reading a response", "plain|stream"),
    Fault("tracer.capture.watch", "failure_of", "reading an error", "refused|stream_cut|chat_ainvoke_refused"),
    Fault("tracer.capture.streams", "HiddenUsage", "watching a stream", "stream"),
    Fault("tracer.capture.watch", "KEPT_BYTES", "keeping a piece", "stream"),
    Fault("tracer.capture.langchain", "plain_message", "LangChain's on_chat_model_start", "langchain"),
    Fault("tracer.capture.langchain", "plain_result", "LangChain's on_llm_e", "langchain"),
    Fault("tracer.capture.langchain", "piece_kind", "LangChain's on_llm_new_token", "langchain_stream"),
    Fault("tracer.capture.langchain", "failure_of", "LangChain's on_llm_error|LangChain's _task_ends", "langchain_ainvoke"),
    Fault("tracer.capture.langchain_joining", "handler", "wrapping langchain|joining LangChain|finding LangChain's run", "langchain"),
    Fault("tracer.capture.langchain", "LangChainRuns.inside", "finding LangChain's run", "langchain_chain_invoke"),
    Fault("tracer.capture.verbs", "given_input", "beginning a call of an object", "any_object"),
    Fault("tracer.capture.verbs", "request_json", "beginning a call of an object", "any_object"),
    Fault("tracer.capture.verbs", "piece_json", "watching a stream of an object", "any_object"),
    Fault("tracer.capture.verbs", "answer_json", "ending a call of an object", "any_object"),
    Fault("tracer.capture.verbs", "failure_of", "ending a call of an object", "any_object"),
]


def break_it(monkeypatch: pytest.MonkeyPatch, fault: Fault, error: type[BaseException]) -> None:
    owner: Any = importlib.import_module(fault.module)
    *way, name = fault.name.split(".")
    for step in way:
        owner = getattr(owner, step)
    monkeypatch.setattr(owner, name, Broken(error))


def named(fault: Fault) -> str:
    return f"{fault.module.rpartition('.')[2]}.{fault.name}"


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, RecursionError])
@pytest.mark.parametrize("fault", IN_THE_CALLERS_THREAD, ids=named)
async def test_the_caller_sees_nothing_of_a_fault_in_its_thread(
    server: ReplayServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fault: Fault,
    error: type[BaseException],
) -> None:
    wanted = tuple(fault.programs.split("|"))
    names = [name for name in PROGRAMS if name.startswith(wanted)]
    names = names if error is RuntimeError else names[:4]
    bare = [await bare_outcome(name, server) for name in names]
    place = Keeping("local")
    record_into(monkeypatch, place)
    with monkeypatch.context() as broken:
        break_it(broken, fault, error)
        for name, expected in zip(names, bare, strict=True):
            assert (name, await outcome_of(PROGRAMS[name], server, tracer.wrap)) == (name, expected)
        gc.collect()  # Dropped streams end when they are collected.
    tracer.flush(PATIENCE)
    status = tracer.status()
    assert status["open"] == 0
    assert status["faults"]
    assert all(found.startswith(tuple(fault.places.split("|"))) for found in status["faults"]), status["faults"]
    if fault.name != "runtime.submit":  # What takes the records is no part of this pipeline then.
        assert ledger_closes(), status
    # One line for each place, and nothing beside it.
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING and record.name != "asyncio"]
    assert sorted(said) == sorted(f"tracer: internal error in {found}; the traced program is not affected" for found in status["faults"])
    assert capfd.readouterr().err == ""


DELIVERY = [
    Fault("tracer.pipeline.readings", "read_call", "reading a call"),
    Fault("tracer.pipeline.readings", "Prices.cost_of", "reading a call"),
    Fault("tests.support", "Keeping.export", "exporting to local"),
]


class Panic(BaseException):
    """As extensions in Rust raise it."""


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, RecursionError, KeyboardInterrupt, SystemExit, GeneratorExit, Panic])
@pytest.mark.parametrize("fault", DELIVERY, ids=named)
async def test_the_worker_survives_whatever_is_raised_in_it(
    server: ReplayServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fault: Fault,
    error: type[BaseException],
) -> None:
    bare = {name: await bare_outcome(name, server) for name in ("plain", "stream_async")}
    place, other = Keeping("local"), Keeping("console")
    record_into(monkeypatch, place, other)
    with monkeypatch.context() as broken:
        break_it(broken, fault, error)
        for name, expected in bare.items():
            assert await outcome_of(PROGRAMS[name], server, tracer.wrap) == expected
        assert tracer.flush(PATIENCE)
    faults = tracer.status()["faults"]
    assert {place.replace("console", "local") for place in faults} == {fault.places}
    assert ledger_closes()
    # What comes afterwards arrives.
    with tracer.trace("after"):
        pass
    assert tracer.flush(PATIENCE)
    assert place.names[-1:] == ["after"]
    assert ledger_closes()
    assert len(caplog.records) == len(faults)
    assert capfd.readouterr().err == ""


async def test_a_worker_that_dies_is_replaced(server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = await bare_outcome("plain", server)
    place = Keeping("local")
    record_into(monkeypatch, place)
    with tracer.trace("first"):
        pass
    (worker,) = [thread for thread in threading.enumerate() if thread.name == "tracer"]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident or 0), ctypes.py_object(SystemExit))
    worker.join(PATIENCE)
    assert not worker.is_alive()
    assert await outcome_of(PROGRAMS["plain"], server, tracer.wrap) == bare
    assert tracer.flush(PATIENCE)
    assert len(place.records) == 2
    assert tracer.status()["faults"] == {"the worker": 1}
    assert ledger_closes()


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, SystemExit, Panic])
@pytest.mark.parametrize("name", ["send", "pack", "limits"])
async def test_a_sender_survives_whatever_is_raised_in_it(
    server: ReplayServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, error: type[BaseException]
) -> None:
    bare = await bare_outcome("plain", server)
    with collecting() as collector:
        tracer.configure(quiet=True, otlp_endpoint=collector.url, exit_timeout=PATIENCE)
        with monkeypatch.context() as broken:
            break_it(broken, Fault("tracer.export.otlp", f"OtlpTransport.{name}", ""), error)
            assert await outcome_of(PROGRAMS["plain"], server, tracer.wrap) == bare
            wait_until(lambda: bool(tracer.status()["faults"]))
            tracer.flush(PATIENCE)
        places = {"send": "sending to otlp", "pack": "exporting to otlp", "limits": "preparing otlp"}
        assert list(tracer.status()["faults"]) == [places[name]]
        with tracer.trace("after"):
            pass
        assert tracer.flush(PATIENCE)
        assert collector.names[-1] == "after"
        assert ledger_closes()
        dropped = tracer.status()["destinations"]["otlp"]["dropped"]
        assert dropped == {"send": {"internal": 1}, "pack": {"error": 1}, "limits": {}}[name]
        assert len(caplog.records) == 1
        tracer.shutdown(PATIENCE)


async def test_a_sender_that_dies_is_replaced() -> None:
    with collecting() as collector:
        tracer.configure(quiet=True, otlp_endpoint=collector.url, exit_timeout=PATIENCE)
        with tracer.trace("first"):
            pass
        assert tracer.flush(PATIENCE)
        (sender,) = [thread for thread in threading.enumerate() if thread.name == "tracer otlp"]
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(sender.ident or 0), ctypes.py_object(SystemExit))
        with tracer.trace("second"):
            pass
        tracer.flush(PATIENCE)
        sender.join(PATIENCE)
        assert not sender.is_alive()
        with tracer.trace("third"):
            pass
        assert tracer.flush(PATIENCE)
        assert collector.names == ["first", "second", "third"]
        assert tracer.status()["faults"] == {"the sender of otlp": 1}
        assert ledger_closes()
        tracer.shutdown(PATIENCE)


class BrokenSampler(Sampler):
    """As an application may have it."""

    def should_sample(self, *_: Any, **__: Any) -> SamplingResult:
        raise LookupError("the application's bug")

    def get_description(self) -> str:
        return "broken"


class BrokenProcessor(SpanProcessor):
    """The same for processors: raises at the start or at the end of a span."""

    def __init__(self, at: str, error: type[BaseException]) -> None:
        self.at = at
        self.error = error

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        if self.at == "start":
            raise self.error("the application's bug")

    def on_end(self, span: Any) -> None:
        if self.at == "end":
            raise self.error("the application's bug")


@pytest.mark.parametrize("where", ["sampler", "start", "end", "is_recording", "get_span_context"])
async def test_telemetry_of_the_application_that_raises(
    server: ReplayServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], where: str
) -> None:
    names = [name for name in PROGRAMS if not name.startswith("any_object")]
    bare = [await bare_outcome(name, server) for name in names]
    with application(**({"sampler": BrokenSampler()} if where == "sampler" else {})) as app:
        runtime.raise_faults = False
        if where in ("start", "end"):
            app.provider.add_span_processor(BrokenProcessor(where, RuntimeError))
        elif where != "sampler":
            kind: Any = importlib.import_module("opentelemetry.sdk.trace").Span
            monkeypatch.setattr(kind, where, Broken(RuntimeError))
        tracer.configure(quiet=True)
        for name, expected in zip(names, bare, strict=True):
            assert (name, await outcome_of(PROGRAMS[name], server, tracer.wrap)) == (name, expected)
        gc.collect()
        assert tracer.flush(PATIENCE)
        monkeypatch.undo()
        account = host_account()
        assert account["exported"] == 0
        assert account["dropped"] == {"error": account["started"]}
        assert account["started"] > 20
        assert all("application's tracer provider" in place for place in tracer.status()["faults"])
    said = [record for record in caplog.records if record.name != "asyncio"]
    assert len(said) == len({record.getMessage() for record in said}) <= 2
    assert capfd.readouterr().err == ""


async def test_a_dropped_call_whose_processor_raises_more_than_an_exception(server: ReplayServer) -> None:
    """Dropped streams end in a thread of ours: nothing that is raised there may end it."""
    with application() as app:
        runtime.raise_faults = False
        broken = BrokenProcessor("end", SystemExit)
        app.provider.add_span_processor(broken)
        tracer.configure(quiet=True)
        for _ in range(2):
            wrapped = tracer.wrap(make_client(server, STREAM))
            pieces = create(wrapped, STREAM)
            next(iter(pieces))
            del pieces
            wait_until(lambda: gc.collect() >= 0 and not tracer.status()["open"])
        wait_until(lambda: tracer.status()["faults"].get("ending a call that was dropped") == 2)
        broken.at = "never"
        with tracer.trace("after"):
            pass
        assert app.names[-1] == "after"
        account = tracer.status()["destinations"]["host"]
        assert (account["exported"], account["dropped"]) == (1, {"error": 2})


async def test_what_is_said_of_a_fault_keeps_no_stream_alive(
    server: ReplayServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A traceback holds its frames and theirs, and a handler may keep the record: the caller's stream would never be collected."""

    def without_thread(later: Later[Any]) -> None:
        later.started = True

    monkeypatch.setattr(Later, "start", without_thread)  # So the next call does what is left.
    with application() as app:
        runtime.raise_faults = False
        app.provider.add_span_processor(BrokenProcessor("end", RuntimeError))
        tracer.configure(quiet=True)
        wrapped = tracer.wrap(make_client(server, STREAM))
        for _ in range(2):
            pieces = create(wrapped, STREAM)
            next(iter(pieces))
            del pieces
            wait_until(lambda: gc.collect() >= 0 and not tracer.status()["open"])
        assert tracer.flush(PATIENCE)
        assert "the application's bug" in caplog.text
        assert tracer.status()["destinations"]["host"]["dropped"] == {"error": 2}


async def test_a_client_that_cannot_be_copied_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    break_it(monkeypatch, Fault("tracer.capture.sdk", "clone_of", ""), TypeError)
    with openai.OpenAI(api_key="none", http_client=http_client()) as client:
        assert tracer.wrap(client) is client
    assert len(tracer.status()["faults"]) == len(caplog.records) == 1
    with pytest.raises(TypeError, match="cannot wrap"):
        tracer.wrap(3)


@pytest.mark.parametrize("name", ["read", "wanted"])
async def test_settings_that_cannot_be_read_leave_the_program_alone(
    server: ReplayServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    broken = Fault("tracer.settings", "read", "") if name == "read" else Fault("tracer.assembly", "wanted", "")
    monkeypatch.setenv("TRACER_CONSOLE", "true")
    bare = {program: await bare_outcome(program, server) for program in ("plain", "stream", "any_object")}
    break_it(monkeypatch, broken, RuntimeError)
    for program, expected in bare.items():
        assert await outcome_of(PROGRAMS[program], server, tracer.wrap) == expected
    with tracer.trace("a"), tracer.context(enabled=True):
        pass
    assert set(tracer.status()["faults"]) == {"setting up"}
    assert len(caplog.records) == 1


async def test_an_application_whose_logging_raises(server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: logging.LogRecord) -> bool:
        raise RuntimeError("the application's bug")

    bare = await bare_outcome("plain", server)
    record_into(monkeypatch, Keeping("local"))
    break_it(monkeypatch, IN_THE_CALLERS_THREAD[0], RuntimeError)
    logging.getLogger("tracer").addFilter(refuse)
    try:
        assert await outcome_of(PROGRAMS["plain"], server, tracer.wrap) == bare
    finally:
        logging.getLogger("tracer").removeFilter(refuse)
    assert tracer.status()["faults"] == {"beginning a call": 1}


async def test_what_begins_twice_is_counted_once_when_one_seam_fails(server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain's model and the client below it claim one record together: whichever fails, there is one record with its tokens once."""
    bare = await bare_outcome("langchain_invoke", server)
    for module, name in [
        ("tracer.capture.sdk", "serving"),
        ("tracer.capture.sdk", "_facts"),
        ("tracer.capture.langchain", "plain_message"),
    ]:
        place = Keeping("local")
        record_into(monkeypatch, place)
        tracer.instrument()
        try:
            with monkeypatch.context() as broken:
                break_it(broken, Fault(module, name, ""), RuntimeError)
                assert (name, await outcome_of(PROGRAMS["langchain_invoke"], server, tracer.wrap)) == (name, bare)
        finally:
            tracer.uninstrument()
        assert tracer.flush(PATIENCE)
        ((record, generation),) = [(record, record.generation) for record in place.records if record.generation is not None]
        assert record.outcome == "completed"
        assert generation.usage is not None
        assert tracer.status()["faults"]
        assert ledger_closes()
        runtime.every_run = None
