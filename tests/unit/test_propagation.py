"""Headers out and in: W3C trace context and baggage, whom they are believed, what is malformed."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import tracer
from tests.integration.capture_support import PLAIN, create, make_client
from tests.support import ROOT, clean_environment, run_program
from tracer.call import Call
from tracer.propagation import trust as trust_module
from tracer.propagation.w3c import parse_baggage, parse_traceparent
from tracer.replay.server import ReplayServer
from tracer.runtime import runtime
from tracer.settings import Settings

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust_module, "_said", set[str]())


def trust(*callers: str) -> None:
    runtime.settings = Settings(trust_headers=callers)


def test_nothing_outside_of_a_span(calls: list[Call]) -> None:
    assert tracer.headers() == {}


def test_the_official_propagator_reads_them(calls: list[Call]) -> None:
    with tracer.context(session="sitzung 1", user="ü,=;7"), tracer.trace("job") as run:
        headers = tracer.headers()
    from opentelemetry import trace

    context = trace.get_current_span(TraceContextTextMapPropagator().extract(headers)).get_span_context()
    assert (f"{context.trace_id:032x}", f"{context.span_id:016x}") == (run.trace_id, run.span_id)
    assert context.trace_flags.sampled
    assert parse_baggage(headers["baggage"]) == {"session.id": "sitzung 1", "user.id": "ü,=;7"}


def test_nothing_is_sent_to_the_model_host(calls: list[Call]) -> None:
    with ReplayServer() as server, tracer.context(session="s1"), tracer.trace("job"):
        create(tracer.wrap(make_client(server, PLAIN)), PLAIN)
        sent = {name.lower() for request in server.requests() for name in request.headers}
    assert sent
    assert not sent & {"traceparent", "tracestate", "baggage", "langsmith-trace", "b3"}


SHAPES: list[Any] = [
    {"traceparent": TRACEPARENT},
    {"Traceparent": TRACEPARENT},
    {"HTTP_TRACEPARENT": TRACEPARENT},
    {b"traceparent": TRACEPARENT.encode()},
    [(b"host", b"x"), (b"traceparent", TRACEPARENT.encode())],
    [("TRACEPARENT", f" {TRACEPARENT} ")],
    {"traceparent": [TRACEPARENT]},
]


@pytest.mark.parametrize("headers", SHAPES, ids=repr)
def test_every_shape_of_headers(calls: list[Call], headers: Any) -> None:
    trust("all")
    with tracer.continue_from(headers), tracer.trace("job"):
        pass
    (call,) = calls
    assert (f"{call.trace_id:032x}", f"{call.parent_span_id:016x}") == tuple(TRACEPARENT.split("-")[1:3])
    assert call.parent_is_remote
    assert call.sampled


async def test_async_and_what_baggage_says(calls: list[Call]) -> None:
    trust("10.0.0.0/8")
    headers = {"traceparent": TRACEPARENT, "baggage": "session.id=s1,user.id=u7,other=x"}
    async with tracer.continue_from(headers, client="10.1.2.3"):
        with tracer.context(user="u8"), tracer.trace("job"):
            pass
    with tracer.trace("after"):
        pass
    assert [(call.session, call.user) for call in calls] == [("s1", "u8"), (None, None)]
    assert calls[1].parent_span_id is None


def test_the_remote_decision_holds(calls: list[Call]) -> None:
    trust("all")
    with tracer.continue_from({"traceparent": TRACEPARENT[:-1] + "0"}), tracer.trace("job"):
        assert tracer.headers()["traceparent"].endswith("-00")
    assert not calls[0].sampled


@pytest.mark.parametrize(
    ("callers", "client", "believed"),
    [
        ((), None, False),
        ((), "10.0.0.1", False),
        (("all",), None, True),
        (("10.0.0.0/8",), "10.0.0.1", True),
        (("10.0.0.0/8",), "11.0.0.1", False),
        (("10.0.0.0/8",), None, False),
        (("gateway.internal",), "gateway.internal", True),
        (("::1",), "::1", True),
        (("10.0.0.0/8",), "no address", False),
    ],
)
def test_who_is_believed(
    calls: list[Call], caplog: pytest.LogCaptureFixture, callers: tuple[str, ...], client: str | None, believed: bool
) -> None:
    trust(*callers)
    with caplog.at_level(logging.WARNING, "tracer"):
        for _ in range(3):
            with tracer.continue_from({"traceparent": TRACEPARENT}, client=client), tracer.trace("job"):
                pass
    assert {call.parent_is_remote for call in calls} == {believed}
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == (0 if believed else 1)
    assert all("TRACER_TRUST_HEADERS" in line for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        TRACEPARENT.upper(),
        TRACEPARENT[:-1],
        "ff" + TRACEPARENT[2:],
        TRACEPARENT + "-more",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
    ],
)
def test_malformed_headers_are_ignored_with_one_line(calls: list[Call], caplog: pytest.LogCaptureFixture, text: str) -> None:
    trust("all")
    with caplog.at_level(logging.WARNING, "tracer"):
        for _ in range(2):
            with tracer.continue_from({"traceparent": text}), tracer.trace("job"):
                pass
    assert [call.parent_is_remote for call in calls] == [False, False]
    assert len(caplog.records) == 1


def test_a_later_version_may_say_more() -> None:
    assert parse_traceparent("01" + TRACEPARENT[2:] + "-more") is not None


def test_headers_that_are_none_harm_nobody(calls: list[Call], caplog: pytest.LogCaptureFixture) -> None:
    broken: Any = 5
    with tracer.continue_from(broken), tracer.trace("job"):
        pass
    assert len(calls) == 1
    assert "could not be read" in caplog.text


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    parse_traceparent(text)
    parse_baggage(text)


@given(st.text(min_size=1), st.text(min_size=1))
def test_session_and_user_survive(session: str, user: str) -> None:
    from tracer.scope import EMPTY, Parent, enter, extended, leave

    try:
        session.encode()
        user.encode()
    except UnicodeEncodeError:
        return  # Lone surrogates cannot be in a header.
    scope = extended(EMPTY, session=session, user=user)
    scope.parent = Parent(1, 1)
    earlier = enter(scope)
    try:
        found = tracer.headers()
    finally:
        leave(earlier)
    assert found["baggage"].isascii()
    if len(found["baggage"]) <= 8192:
        assert parse_baggage(found["baggage"]) == {"session.id": session, "user.id": user}


def test_threads_and_processes(calls: list[Call]) -> None:
    trust("all")
    with tracer.trace("parent") as run:
        headers = tracer.headers()

        def work() -> None:
            with tracer.continue_from(headers), tracer.trace("in a thread"):
                pass

        with ThreadPoolExecutor(1) as pool:
            pool.submit(work).result()
        code = (
            "import json, os, tracer\n"
            "with tracer.continue_from(json.loads(os.environ['JOB'])), tracer.trace('child') as run:\n"
            "    print(run.trace_id, json.dumps(tracer.headers()))\n"
        )
        variables = {"TRACER_LOCAL": "", "TRACER_CONSOLE": "true", "TRACER_QUIET": "true", "TRACER_TRUST_HEADERS": "all"}
        child = subprocess.run(
            [sys.executable, "-c", code],
            env={**clean_environment(), "PYTHONPATH": str(ROOT), "JOB": json.dumps(headers), **variables},
            capture_output=True,
            text=True,
            check=True,
        )
    assert child.stdout.split()[0] == run.trace_id
    assert run.trace_id is not None
    assert run.trace_id in child.stdout.split(maxsplit=1)[1]
    assert [f"{call.trace_id:032x}" for call in calls] == [run.trace_id] * 2
    assert f"{calls[0].parent_span_id:016x}" == run.span_id


def test_beside_an_applications_own_provider() -> None:
    code = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
import tracer
with tracer.continue_from({"traceparent": "%s"}), tracer.trace("job"):
    inside = tracer.headers()
(span,) = exporter.get_finished_spans()
print(f"{span.context.trace_id:032x} {span.parent.span_id:016x} {span.parent.is_remote}")
print(f"{span.context.span_id:016x}" in inside["traceparent"])
"""
    ended = run_program(code % TRACEPARENT, TRACER_TRUST_HEADERS="all", TRACER_QUIET="true")
    _, trace_id, span_id, _ = TRACEPARENT.split("-")
    assert ended.out.split() == [trace_id, span_id, "True", "True"]


def test_tracestate_beside_an_applications_own_provider() -> None:
    code = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
import tracer
with tracer.continue_from({"traceparent": "%s", "tracestate": "a=1"}), tracer.trace("job"):
    print(tracer.headers()["tracestate"])
order = "20261123T082453002678Z01a20782-0c0a-7940-a194-910cc8b1d75c"
with tracer.continue_from({"langsmith-trace": order}), tracer.trace("job"):
    print("tracestate" in tracer.headers())
first, second = exporter.get_finished_spans()
print(first.context.trace_state.to_header(), second.parent)
"""
    ended = run_program(code % TRACEPARENT, TRACER_TRUST_HEADERS="all", TRACER_QUIET="true")
    assert (ended.out.split(), ended.err) == (["a=1", "False", "a=1", "None"], "")
