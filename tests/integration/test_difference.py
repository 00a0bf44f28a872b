"""The difference proof: the same program bare and wrapped, over every recording. What the caller and the server see is equal."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest
from pydantic import BaseModel

from tests.fidelity.seen import Seen, described
from tests.fidelity.ways import (
    ASYNC_PROGRAMS,
    PROGRAMS,
    AsyncWay,
    Way,
    a_as_created,
    a_through_streaming_raw,
    as_created,
    async_observed,
    by_lines,
    in_with,
    observed,
    through_helper,
    through_raw,
    through_streaming_raw,
)
from tests.integration.capture_support import (
    HTTP,
    PLAIN,
    STREAM,
    STREAM_USAGE,
    Calls,
    async_http_client,
    broken_client,
    client_of_kind,
    http_client,
    make_client,
)
from tests.support import PATIENCE, wait_until
from tracer.call import FAILED
from tracer.capture.wrapping import traced
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import Recording, by_id, load
from tracer.replay.server import Received, ReplayServer
from tracer.runtime import runtime
from tracer.settings import Settings


@pytest.fixture(autouse=True)
def no_collection_by_server_threads() -> Iterator[None]:
    """The replay server's threads must not collect the HTTP library's async generators: those belong to the test's own thread."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


def on_the_wire(received: Received) -> Any:
    """Everything of a request."""
    return received.method, received.path, received.headers, received.body, received.status


def compare(bare: Seen, wrapped: Seen) -> None:
    assert wrapped.error == bare.error
    assert len(wrapped.values) == len(bare.values)
    for ours, theirs in zip(wrapped.values, bare.values, strict=True):
        assert described(ours) == described(theirs)
        if isinstance(theirs, BaseModel):
            assert ours == theirs
            assert ours.model_dump(warnings=False) == theirs.model_dump(warnings=False)
            assert repr(ours) == repr(theirs)


def settings_with(stream_usage: str) -> Settings:
    return Settings(stream_usage=stream_usage)


USAGE = {
    "off": ("off", None),
    "auto": ("auto", None),
    "honoured": ("auto", Behaviour(honour_usage=1)),
    "rejected": ("auto", Behaviour(reject_usage=1)),
}
"""Setting of `TRACER_STREAM_USAGE`, and a server that follows the option, or refuses it."""

RECORDINGS = pytest.mark.parametrize("recording", load(), ids=lambda recording: recording.id)


def usages(recording: Recording) -> list[str]:
    """Settings that can make a difference: usage is asked for on chat streams only."""
    return list(USAGE) if recording.api == "chat" and recording.streamed else ["off"]


@pytest.mark.parametrize("program", PROGRAMS)
@RECORDINGS
def test_sync(server: ReplayServer, captured: Calls, recording: Recording, program: Way) -> None:
    shared = http_client()
    for usage in usages(recording):
        runtime.settings = settings_with(USAGE[usage][0])
        behaviour = USAGE[usage][1]
        first = len(server.requests())
        bare = make_client(server, recording, behaviour, http_client=shared)
        theirs = observed(program, bare, recording)
        second = len(server.requests())
        captured.none()
        ours = observed(program, traced(make_client(server, recording, behaviour, http_client=shared)), recording)
        compare(theirs, ours)
        check_wire(server, first, second, usage)
        assert_recorded(captured, server, second, usage)


@pytest.mark.parametrize("program", ASYNC_PROGRAMS)
@RECORDINGS
async def test_async(server: ReplayServer, captured: Calls, recording: Recording, program: AsyncWay) -> None:
    shared = async_http_client()
    for usage in usages(recording):
        runtime.settings = settings_with(USAGE[usage][0])
        behaviour = USAGE[usage][1]
        first = len(server.requests())
        theirs = await async_observed(program, make_client(server, recording, behaviour, http_client=shared, asynchronous=True), recording)
        second = len(server.requests())
        captured.none()
        client = traced(make_client(server, recording, behaviour, http_client=shared, asynchronous=True))
        ours = await async_observed(program, client, recording)
        compare(theirs, ours)
        check_wire(server, first, second, usage)
        assert_recorded(captured, server, second, usage)


def check_wire(server: ReplayServer, first: int, second: int, usage: str) -> None:
    """The same requests; where usage was asked for they differ by nothing but that."""
    requests = server.requests()
    theirs, ours = requests[first:second], requests[second:]
    if usage == "rejected":
        ours = [request for request in ours if request.status != 400 or b"stream_options" not in request.body] or ours
    if usage != "off":
        assert [(request.method, request.path, request.status) for request in ours] == [
            (request.method, request.path, request.status) for request in theirs
        ]
        return
    assert [on_the_wire(request) for request in ours] == [on_the_wire(request) for request in theirs]


def assert_recorded(captured: Calls, server: ReplayServer, second: int, usage: str) -> None:
    """Each request that was sent is an attempt of a record (one whose answer never came whole may have no status)."""
    requests = server.requests()[second:]
    if requests:
        call = captured.only()
        assert [attempt.request_body for attempt in call.attempts] == [request.body for request in requests]
        for attempt, request in zip(call.attempts, requests, strict=True):
            assert attempt.status == request.status or (attempt.status is None and attempt.failure is not None)
    else:
        captured.none()
    captured.clear()
    runtime.usage_refused.clear()
    runtime.usage_unasked.clear()


# Trouble: the exceptions, what hangs on them, and the requests are the same.


def within_an_error(client: Any, recording: Recording, seen: Seen) -> None:
    """The call is made while the caller handles an error of its own, which then is the context of what comes out."""
    try:
        raise LookupError("earlier")
    except LookupError:
        as_created(client, recording, seen)


async def a_within_an_error(client: Any, recording: Recording, seen: Seen) -> None:
    try:
        raise LookupError("earlier")
    except LookupError:
        await a_as_created(client, recording, seen)


TROUBLE: dict[str, tuple[Behaviour, dict[str, Any]]] = {
    "cut": (Behaviour(cut=1), {}),
    "cut at once": (Behaviour(cut=0), {}),
    "retried": (Behaviour(fail=2), {"max_retries": 3}),
    "retried in vain": (Behaviour(fail=9, status=503), {"max_retries": 2}),
    "conflict": (Behaviour(fail=9, status=409), {}),
    "forbidden": (Behaviour(fail=9, status=403), {}),
    # Only the answer: on a busy machine it may take long to connect.
    "timed out": (Behaviour(hang=1), {"timeout": HTTP.Timeout(PATIENCE, read=0.05)}),
    "in small pieces": (Behaviour(pieces=7, crlf=1, comments=1), {}),
    "compressed": (Behaviour(gzip=1), {}),
    "without an end mark": (Behaviour(no_done=1), {}),
}
TROUBLED = pytest.mark.parametrize(("behaviour", "options"), TROUBLE.values(), ids=TROUBLE)
TROUBLED_RECORDINGS = pytest.mark.parametrize(
    "record_id", [PLAIN, STREAM, "pydanticai.model_name_suggestions.model_name_suggestion-openai-chat"]
)


def counts_left_out(requests: list[Received]) -> list[Any]:
    """Requests without the counter that the server's failures are told apart by."""
    return [(re.sub(r";run=\d+", "", item.path), item.method, item.headers, item.body, item.status) for item in requests]


def arrived(server: ReplayServer, first: int, seen: Seen) -> int:
    """How many requests came; a client that has given up may be ahead of the server, which then has one more to come than `first`."""
    if seen.error is not None and seen.error[0][1] is openai.APITimeoutError:
        wait_until(lambda: len(server.requests()) > first)
    return len(server.requests())


@TROUBLED
@TROUBLED_RECORDINGS
@pytest.mark.parametrize("program", [as_created, in_with, through_raw, through_streaming_raw, by_lines, through_helper, within_an_error])
def test_trouble(
    server: ReplayServer, captured: Calls, record_id: str, program: Way, behaviour: Behaviour, options: dict[str, Any]
) -> None:
    recording = by_id(record_id)
    for usage in ("off", "auto"):
        runtime.settings = settings_with(usage)
        first = len(server.requests())
        theirs = observed(program, make_client(server, recording, behaviour, **options), recording)
        second = arrived(server, first, theirs)
        ours = observed(program, traced(make_client(server, recording, behaviour, **options)), recording)
        arrived(server, second, ours)
        compare_without_run(theirs, ours)
        requests = server.requests()
        if usage == "off":
            assert counts_left_out(requests[second:]) == counts_left_out(requests[first:second])
        assert_recorded(captured, server, second, usage)


@pytest.mark.parametrize("program", [as_created, in_with, through_raw, through_streaming_raw, by_lines, through_helper])
@pytest.mark.parametrize("kind", ["ReadTimeout", "ReadError", "RemoteProtocolError", "DecodingError"])
def test_broken_in_the_middle(captured: Calls, program: Way, kind: str) -> None:
    recording = by_id(STREAM)
    theirs = observed(program, broken_client(STREAM, getattr(HTTP, kind)("broken")), recording)
    ours = observed(program, traced(broken_client(STREAM, getattr(HTTP, kind)("broken"))), recording)
    assert theirs.error
    compare(theirs, ours)
    assert captured.only().ending == FAILED


@TROUBLED
@TROUBLED_RECORDINGS
@pytest.mark.parametrize("program", [a_as_created, a_through_streaming_raw, a_within_an_error])
async def test_async_trouble(
    server: ReplayServer, captured: Calls, record_id: str, program: AsyncWay, behaviour: Behaviour, options: dict[str, Any]
) -> None:
    recording = by_id(record_id)
    first = len(server.requests())
    theirs = await async_observed(program, make_client(server, recording, behaviour, asynchronous=True, **options), recording)
    second = arrived(server, first, theirs)
    ours = await async_observed(program, traced(make_client(server, recording, behaviour, asynchronous=True, **options)), recording)
    arrived(server, second, ours)
    compare_without_run(theirs, ours)
    assert_recorded(captured, server, second, "auto")


def compare_without_run(theirs: Seen, ours: Seen) -> None:
    for seen in (theirs, ours):
        seen.error = without_run(seen.error)
        seen.values = [without_run(value) for value in seen.values]
    compare(theirs, ours)


def without_run(value: Any) -> Any:
    """URLs of the server count the clients; everything else stays as it is."""
    if isinstance(value, str):
        return re.sub(r";run=\d+|scope [0-9a-f]+", "", value)
    if isinstance(value, list | tuple):
        items = [without_run(item) for item in cast("list[Any]", value)]
        return items if isinstance(value, list) else tuple(items)
    return value


# Answers from memory.


@pytest.mark.parametrize("kind", ["memory", "memory_stream", "azure"])
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("record_id", [PLAIN, STREAM, STREAM_USAGE])
def test_other_kinds_of_clients(server: ReplayServer, captured: Calls, record_id: str, program: Way, kind: str) -> None:
    recording = by_id(record_id)
    theirs = observed(program, client_of_kind(kind, server, record_id, asynchronous=False), recording)
    ours = observed(program, traced(client_of_kind(kind, server, record_id, asynchronous=False)), recording)
    compare(theirs, ours)


@pytest.mark.parametrize("kind", ["memory", "memory_stream", "azure"])
@pytest.mark.parametrize("program", ASYNC_PROGRAMS)
@pytest.mark.parametrize("record_id", [PLAIN, STREAM, STREAM_USAGE])
async def test_other_kinds_of_async_clients(server: ReplayServer, captured: Calls, record_id: str, program: AsyncWay, kind: str) -> None:
    recording = by_id(record_id)
    theirs = await async_observed(program, client_of_kind(kind, server, record_id, asynchronous=True), recording)
    ours = await async_observed(program, traced(client_of_kind(kind, server, record_id, asynchronous=True)), recording)
    compare(theirs, ours)


def test_the_program_may_change_what_it_sent(server: ReplayServer, captured: Calls) -> None:
    """The record keeps what was sent, not what the caller's list became."""
    messages = [{"role": "user", "content": "first"}]
    client = traced(make_client(server, PLAIN))
    client.chat.completions.create(model="m", messages=messages)
    messages[0]["content"] = "second"
    body = captured.only().attempts[0].request_body
    assert body is not None
    assert b"first" in body
