"""Names, kinds, times, status, events and attempts of spans."""

from __future__ import annotations

import traceback

import pytest

from tracer.call import OUTCOMES, Attempt, Call, Failure
from tracer.export.span import CLIENT, INTERNAL
from tracer.export.spans import attempt_span_id, spans_of
from tracer.reading.generation import Generation
from tracer.reading.record import Record
from tracer.settings import Settings

SETTINGS = Settings()
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("call", "generation", "name", "kind"),
    [
        (Call(1, 2, 3, operation="chat"), Generation(request_model="gpt-4o"), "chat gpt-4o", CLIENT),
        (Call(1, 2, 3, operation="chat"), Generation(), "chat", CLIENT),
        (Call(1, 2, 3, operation="chat", model="m"), Generation(), "chat m", CLIENT),
        (Call(1, 2, 3), Generation(operation="embeddings", request_model="e3"), "embeddings e3", CLIENT),
        (Call(1, 2, 3, operation="completions", model="m"), None, "text_completion m", CLIENT),
        (Call(1, 2, 3, method="POST", path="/files"), None, "POST /files", CLIENT),
        (Call(1, 2, 3, kind="chain", operation="span", name="answer"), None, "answer", INTERNAL),
        (Call(1, 2, 3, kind="chain", operation="span"), None, "invoke_workflow", INTERNAL),
        (Call(1, 2, 3, kind="tool", operation="span", name="get_weather"), None, "execute_tool get_weather", INTERNAL),
        (Call(1, 2, 3, kind="agent", operation="span", name="planner"), None, "invoke_agent planner", INTERNAL),
        (Call(1, 2, 3, kind="retriever", operation="span", name="docs"), None, "retrieval docs", CLIENT),
        (Call(1, 2, 3, kind="chain", operation="span", name="a\ud800"), None, "a\ufffd", INTERNAL),
    ],
)
def test_name_and_kind(call: Call, generation: Generation | None, name: str, kind: str) -> None:
    (span,) = spans_of(Record(call, "completed", generation), SETTINGS)
    assert (span.name, span.kind) == (name, kind)


def test_identity_and_times() -> None:
    call = Call(1, 2, 3, parent_span_id=4, parent_is_remote=True, started_wall=1000 * SECOND, started=50, ended=50 + SECOND)
    (span,) = spans_of(Record(call, "completed"), SETTINGS)
    assert (span.trace_id, span.span_id, span.parent_span_id, span.parent_is_remote) == (2, 3, 4, True)
    assert (span.start, span.end) == (1000 * SECOND, 1001 * SECOND)
    call.ended = 0
    (span,) = spans_of(Record(call, "unfinished"), SETTINGS)
    assert span.end == span.start


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_only_a_failure_is_an_error(outcome: str) -> None:
    call = Call(1, 2, 3, failure=Failure("GeneratorExit", "closed"))
    (span,) = spans_of(Record(call, outcome), SETTINGS)
    assert (span.error is not None) is (outcome == "failed")
    assert bool(span.events) is (outcome == "failed")


def test_the_exception_event() -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        failure = Failure("ValueError", "no", trace=traceback.TracebackException.from_exception(error))
    call = Call(1, 2, 3, failure=failure, started_wall=10, started=0, ended=5)
    (span,) = spans_of(Record(call, "failed"), SETTINGS)
    (event,) = span.events
    assert (event.name, event.time) == ("exception", 15)
    assert event.attributes["exception.type"] == "ValueError"
    assert event.attributes["exception.message"] == "no"
    assert "raise ValueError" in str(event.attributes["exception.stacktrace"])


def test_an_error_inside_an_answer() -> None:
    record = Record(Call(1, 2, 3), "failed", Generation(error_code="server_error", error_message="The server had an error"))
    (span,) = spans_of(record, SETTINGS)
    assert span.error == "The server had an error"
    assert span.events[0].attributes == {"exception.type": "server_error", "exception.message": "The server had an error"}
    (span,) = spans_of(Record(Call(1, 2, 3), "failed"), SETTINGS)
    assert span.error == "_OTHER"


def test_one_attempt_is_no_span_of_its_own() -> None:
    assert len(spans_of(Record(Call(1, 2, 3, attempts=[Attempt(1, 2, status=500)]), "failed"), SETTINGS)) == 1


def test_attempts() -> None:
    attempts = [
        Attempt(1 * SECOND, 2 * SECOND, status=429, request_id="a", failure=Failure("openai.RateLimitError", "slow down")),
        Attempt(4 * SECOND, 5 * SECOND, failure=Failure("httpx.ConnectError", "refused")),
        Attempt(int(5.25 * SECOND), 6 * SECOND, status=200, request_id="c"),
    ]
    call = Call(1, 2, 3, parent_span_id=9, attempts=attempts, started_wall=100 * SECOND, started=SECOND, ended=7 * SECOND)
    call_span, *children = spans_of(Record(call, "completed"), SETTINGS)
    assert call_span.error is None
    assert [child.name for child in children] == ["attempt"] * 3
    assert {child.kind for child in children} == {CLIENT}
    assert {(child.trace_id, child.parent_span_id, child.parent_is_remote) for child in children} == {(2, 3, False)}
    assert [(child.start, child.end) for child in children] == [
        (100 * SECOND, 101 * SECOND),
        (103 * SECOND, 104 * SECOND),
        (int(104.25 * SECOND), 105 * SECOND),
    ]
    assert [child.error for child in children] == ["slow down", "refused", None]
    assert [child.attributes for child in children] == [
        {"http.response.status_code": 429, "tracer.attempt.request_id": "a", "error.type": "429"},
        {"http.request.resend_count": 1, "tracer.attempt.wait": 2.0, "error.type": "httpx.ConnectError"},
        {
            "http.response.status_code": 200,
            "http.request.resend_count": 2,
            "tracer.attempt.wait": 0.25,
            "tracer.attempt.request_id": "c",
        },
    ]
    ids = {span.span_id for span in (call_span, *children)}
    assert len(ids) == 4


def test_attempt_ids_are_the_same_every_time() -> None:
    assert attempt_span_id(3, 0) == attempt_span_id(3, 0)
    found = {attempt_span_id(span_id, index) for span_id in range(50) for index in range(4)}
    assert len(found) == 200
    assert all(0 < span_id < 2**64 for span_id in found)
