"""Attributes of a span that has ended are read when somebody looks at them, and are what they would have been at its end."""

from __future__ import annotations

import ast
import copy
import json
import operator
import os
import threading
from collections.abc import Callable, Generator
from typing import Any

import openai
import pytest
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor

import tracer
from tests.integration.capture_support import HTTP, PLAIN, STREAM_USAGE, http_client
from tests.integration.host_support import Application, application, ask, attributes, closing_clients, host_account, replaying, traced
from tests.support import PATIENCE
from tracer.host import recorder as recorder_module
from tracer.host.deferred import DeferredAttributes
from tracer.pipeline.readings import CallReader
from tracer.reading.record import Record
from tracer.replay.recordings import load
from tracer.replay.server import ReplayServer
from tracer.runtime import runtime

CHAT = "chat gpt-4o"


class Reads:
    """Counts what is read, and by which thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[str] = []
        real = CallReader.read

        def read(reader: CallReader, call: Any) -> Record:
            self.threads.append(threading.current_thread().name)
            return real(reader, call)

        monkeypatch.setattr(CallReader, "read", read)


server = pytest.fixture(scope="module")(replaying)
clients_are_closed = pytest.fixture(autouse=True)(closing_clients)


@pytest.fixture
def app() -> Generator[Application, None, None]:
    with application() as application_:
        tracer.configure(content="on", quiet=True)
        yield application_


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As before: read in the caller's thread."""

    def is_known(_call: object) -> bool:
        return False

    monkeypatch.setattr(recorder_module, "is_all_but_read", is_known)


def comparable(span: ReadableSpan) -> dict[str, Any]:
    shown = json.loads(span.to_json())
    for name in ("context", "start_time", "end_time"):
        del shown[name]
    for event in shown["events"]:
        del event["timestamp"], event["attributes"]["exception.stacktrace"]
    shown["attributes"] = {
        name: value
        for name, value in shown["attributes"].items()
        if name not in ("tracer.run_id", "server.port") and "time" not in name and "duration" not in name and "gap" not in name
    }
    return shown


@pytest.mark.parametrize("record", [PLAIN, STREAM_USAGE])
def test_nothing_is_read_before_somebody_looks(app: Application, server: ReplayServer, reads: Reads, record: str) -> None:
    list(ask(traced(server, record), record))
    (span,) = app.spans
    assert reads.threads == []
    assert span.end_time is not None
    looker = threading.Thread(target=lambda: attributes(span), name="exporter")
    looker.start()
    looker.join()
    assert reads.threads == ["exporter"]
    assert attributes(span)["gen_ai.usage.input_tokens"] > 0
    assert len(reads.threads) == 1


@pytest.mark.parametrize("record", [recording.id for recording in load()])
def test_what_is_read_later_is_what_was_read_at_once(server: ReplayServer, monkeypatch: pytest.MonkeyPatch, record: str) -> None:
    shown: list[list[dict[str, Any]]] = []
    for later in (True, False):
        with application() as app:
            tracer.configure(content="on", quiet=True)
            if not later:
                at_once(monkeypatch)
            try:
                answer: Any = ask(traced(server, record, max_retries=0), record)
                if hasattr(answer, "__next__"):
                    list(answer)
            except openai.APIError:
                pass
            shown.append([comparable(span) for span in app.spans])
    assert shown[0] == shown[1]
    assert len(shown[0][0]["attributes"]) >= 5


def test_what_others_have_set_comes_first_and_limits_hold(server: ReplayServer) -> None:
    class Baggage(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            span.set_attribute("tenant", "acme")

    with application(span_limits=SpanLimits(max_span_attributes=9, max_span_attribute_length=5)) as app:
        app.provider.add_span_processor(Baggage())
        ask(traced(server))
        (span,) = app.spans
        found = attributes(span)
    assert len(found) == 9
    assert span.dropped_attributes > 5
    assert found["gen_ai.request.model"] == "gpt-4"
    assert "tenant" not in found


def test_a_processor_that_looks_at_the_end_sees_everything(server: ReplayServer) -> None:
    seen: list[dict[str, Any]] = []

    class Looking(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            seen.append(dict(span.attributes or {}))

    with application() as app:
        app.provider.add_span_processor(Looking())
        ask(traced(server))
    assert seen[0]["gen_ai.usage.output_tokens"] > 0


LOOKS: dict[str, Callable[[Any], Any]] = {
    "dict": dict,
    "copy": copy.copy,
    "own copy": operator.methodcaller("copy"),
    "items": operator.methodcaller("items"),
    "repr": repr,
    # Those of older SDKs hold a lock and cannot be copied so, deferred or not.
    **({"deepcopy": copy.deepcopy} if hasattr(BoundedAttributes, "__deepcopy__") else {}),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_every_way_to_look_shows_the_same(app: Application, server: ReplayServer, look: Callable[[Any], Any]) -> None:
    ask(traced(server))
    (span,) = app.spans
    found = getattr(span, "_attributes")  # noqa: B009
    assert type(found) is DeferredAttributes
    shown = look(found)
    shown = ast.literal_eval(shown) if isinstance(shown, str) else dict(shown)
    assert shown["gen_ai.usage.output_tokens"] > 0
    assert shown == attributes(span)
    assert not hasattr(found, "no_such_name")


def test_threads_that_look_at_once_read_once(app: Application, server: ReplayServer, reads: Reads) -> None:
    ask(traced(server))
    (span,) = app.spans
    ready = threading.Barrier(4)
    seen: list[int] = []

    def look() -> None:
        ready.wait()
        seen.append(len(attributes(span)))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads.threads) == 1
    assert len(set(seen)) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"error": {"message": "out of credit", "code": "broke"}}', "ERROR"),
        (b'{"id": "x", "object": "chat.completion", "model": "m", "choices": [], "error": null}', "UNSET"),
    ],
)
def test_an_error_in_the_answer_is_in_the_status(app: Application, body: bytes, status: str) -> None:
    answer = HTTP.Response(200, headers={"content-type": "application/json"}, content=body)

    def respond(_request: object) -> Any:
        return answer

    http = http_client(transport=HTTP.MockTransport(respond))
    ask(tracer.wrap(openai.OpenAI(api_key="none", base_url="http://replay.test/v1", http_client=http)))
    (span,) = app.spans
    assert span.status.status_code.name == status


def test_a_model_that_only_the_body_names_is_in_the_name(app: Application, server: ReplayServer) -> None:
    ask(traced(server), extra_body={"model": "gpt-4o-mini"})
    assert app.names == ["chat gpt-4o-mini"]


def test_a_span_of_another_kind_is_written_at_once(server: ReplayServer, reads: Reads) -> None:
    class Wrapped:
        """As logfire's: it hands everything on."""

        def __init__(self, span: Any) -> None:
            self._span = span

        def __getattr__(self, name: str) -> Any:
            return getattr(self._span, name)

    with application() as app:
        real = app.provider.get_tracer

        class Wrapping:
            def __init__(self, *arguments: Any, **more: Any) -> None:
                self._tracer = real(*arguments, **more)

            def start_span(self, *arguments: Any, **more: Any) -> Any:
                return Wrapped(self._tracer.start_span(*arguments, **more))

        setattr(app.provider, "get_tracer", Wrapping)  # noqa: B010
        ask(traced(server))
        assert len(reads.threads) == 1
    assert attributes(app.only(CHAT))["gen_ai.usage.input_tokens"] > 0


def test_a_fault_of_reading_costs_the_attributes_only_and_is_counted(
    app: Application, server: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[Any]:
        raise ValueError("on purpose")

    monkeypatch.setattr(recorder_module, "backend_spans_of", broken)
    monkeypatch.setattr(runtime, "raise_faults", False)
    ask(traced(server))
    assert host_account()["exported"] == 1
    assert attributes(app.only(CHAT))["gen_ai.request.model"] == "gpt-4o"
    assert (host_account()["exported"], host_account()["dropped"]) == (0, {"error": 1})


def test_a_forked_child_does_not_wait_for_a_reading_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def read() -> list[tuple[str, str]]:
        if threading.current_thread() is not threading.main_thread():
            reading.set()
            assert go_on.wait(PATIENCE)
        return [("name", "value")]

    found = DeferredAttributes(BoundedAttributes(immutable=False), read)
    parent = threading.Thread(target=dict, args=(found,))
    parent.start()
    assert reading.wait(PATIENCE)
    process = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: process + 1)
    assert dict(found) == {"name": "value"}
    go_on.set()
    parent.join()
