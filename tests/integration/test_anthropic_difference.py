"""The difference proof with Anthropic's SDK: the same programs bare and wrapped, over every recording of its interface."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from tests.fidelity.anthropic_ways import ASYNC_WAYS, SYNC_WAYS, a_helper_events, helper_events, helper_texts
from tests.fidelity.seen import Seen, described
from tests.fidelity.ways import (
    a_as_created,
    a_through_streaming_raw,
    as_created,
    async_observed,
    by_lines,
    in_with,
    observed,
    through_raw,
    through_streaming_raw,
)
from tests.integration.anthropic_support import (
    HTTP,
    OUTDATED,
    PLAIN,
    STREAM,
    THINKING_STREAM,
    TOOLS_STREAM,
    arguments_of,
    broken_client,
    client_of_kind,
    create,
    http_client,
    make_client,
)
from tests.integration.capture_support import Calls, need
from tests.integration.test_difference import (
    a_within_an_error,
    assert_recorded,
    check_wire,
    compare,
    compare_without_run,
    counts_left_out,
    no_collection_by_server_threads,
    server,
    within_an_error,
)
from tests.support import PATIENCE, wait_until
from tracer.call import FAILED
from tracer.capture.wrapping import traced
from tracer.reading.read import read_call
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import Recording, by_id, load
from tracer.replay.server import ReplayServer

__all__ = ["no_collection_by_server_threads", "server"]

pytestmark = pytest.mark.filterwarnings(OUTDATED)

RECORDINGS = pytest.mark.parametrize("recording", load("anthropic"), ids=lambda recording: recording.id)


@pytest.mark.parametrize("program", SYNC_WAYS)
@RECORDINGS
def test_sync(server: ReplayServer, captured: Calls, recording: Recording, program: Any) -> None:
    shared = http_client()
    first = len(server.requests())
    theirs = observed(program, make_client(server, recording, http_client=shared), recording)
    second = len(server.requests())
    captured.none()
    ours = observed(program, traced(make_client(server, recording, http_client=shared)), recording)
    compare(theirs, ours)
    check_wire(server, first, second, "off")
    assert_recorded(captured, server, second, "off")


@pytest.mark.parametrize("program", ASYNC_WAYS)
@RECORDINGS
async def test_async(server: ReplayServer, captured: Calls, recording: Recording, program: Any) -> None:
    shared = http_client(asynchronous=True)
    first = len(server.requests())
    theirs = await async_observed(program, make_client(server, recording, http_client=shared, asynchronous=True), recording)
    second = len(server.requests())
    captured.none()
    client = traced(make_client(server, recording, http_client=shared, asynchronous=True))
    ours = await async_observed(program, client, recording)
    compare(theirs, ours)
    check_wire(server, first, second, "off")
    assert_recorded(captured, server, second, "off")


# Trouble.

TROUBLE: dict[str, tuple[Behaviour, dict[str, Any]]] = {
    "cut": (Behaviour(cut=1), {}),
    "cut at once": (Behaviour(cut=0), {}),
    "overloaded at first": (Behaviour(fail=2, status=529), {"max_retries": 3}),
    "overloaded in vain": (Behaviour(fail=9, status=529), {"max_retries": 2}),
    "overloaded in the middle": (Behaviour(overload=3), {}),
    "overloaded before anything": (Behaviour(overload=0), {}),
    "rate limited": (Behaviour(fail=9), {}),
    "forbidden": (Behaviour(fail=9, status=403), {}),
    # Only the answer: on a busy machine it may take long to connect.
    "timed out": (Behaviour(hang=1), {"timeout": HTTP.Timeout(PATIENCE, read=0.05)}),
    "in small pieces": (Behaviour(pieces=7, crlf=1, comments=1), {}),
    "compressed": (Behaviour(gzip=1), {}),
}
TROUBLED = pytest.mark.parametrize(("behaviour", "options"), TROUBLE.values(), ids=TROUBLE)
TROUBLED_RECORDINGS = pytest.mark.parametrize("record_id", [PLAIN, STREAM, TOOLS_STREAM])


def arrived(server: ReplayServer, first: int, seen: Seen) -> int:
    if seen.error is not None and seen.error[0][1] is anthropic.APITimeoutError:
        wait_until(lambda: len(server.requests()) > first)
    return len(server.requests())


@TROUBLED
@TROUBLED_RECORDINGS
@pytest.mark.parametrize(
    "program", [as_created, in_with, through_raw, through_streaming_raw, by_lines, helper_events, helper_texts, within_an_error]
)
def test_trouble(
    server: ReplayServer, captured: Calls, record_id: str, program: Any, behaviour: Behaviour, options: dict[str, Any]
) -> None:
    recording = by_id(record_id)
    first = len(server.requests())
    theirs = observed(program, make_client(server, recording, behaviour, **options), recording)
    second = arrived(server, first, theirs)
    ours = observed(program, traced(make_client(server, recording, behaviour, **options)), recording)
    arrived(server, second, ours)
    compare_without_run(theirs, ours)
    requests = server.requests()
    assert counts_left_out(requests[second:]) == counts_left_out(requests[first:second])
    assert_recorded(captured, server, second, "off")


@TROUBLED
@TROUBLED_RECORDINGS
@pytest.mark.parametrize("program", [a_as_created, a_through_streaming_raw, a_helper_events, a_within_an_error])
async def test_async_trouble(
    server: ReplayServer, captured: Calls, record_id: str, program: Any, behaviour: Behaviour, options: dict[str, Any]
) -> None:
    recording = by_id(record_id)
    first = len(server.requests())
    theirs = await async_observed(program, make_client(server, recording, behaviour, asynchronous=True, **options), recording)
    second = arrived(server, first, theirs)
    ours = await async_observed(program, traced(make_client(server, recording, behaviour, asynchronous=True, **options)), recording)
    arrived(server, second, ours)
    compare_without_run(theirs, ours)
    assert_recorded(captured, server, second, "off")


@pytest.mark.parametrize("program", [as_created, through_raw, through_streaming_raw, by_lines, helper_events])
@pytest.mark.parametrize("kind", ["ReadTimeout", "ReadError", "RemoteProtocolError", "DecodingError"])
def test_broken_in_the_middle(captured: Calls, program: Any, kind: str) -> None:
    recording = by_id(STREAM)
    theirs = observed(program, broken_client(STREAM, getattr(HTTP, kind)("broken")), recording)
    ours = observed(program, traced(broken_client(STREAM, getattr(HTTP, kind)("broken"))), recording)
    assert theirs.error
    compare(theirs, ours)
    assert captured.only().ending == FAILED


@pytest.mark.parametrize("kind", ["memory", "memory_stream"])
@pytest.mark.parametrize("program", SYNC_WAYS)
@pytest.mark.parametrize("record_id", [PLAIN, THINKING_STREAM])
def test_clients_over_memory(server: ReplayServer, captured: Calls, record_id: str, program: Any, kind: str) -> None:
    recording = by_id(record_id)
    theirs = observed(program, client_of_kind(kind, server, record_id, asynchronous=False), recording)
    ours = observed(program, traced(client_of_kind(kind, server, record_id, asynchronous=False)), recording)
    compare(theirs, ours)


@pytest.mark.parametrize("kind", ["memory", "memory_stream"])
@pytest.mark.parametrize("program", ASYNC_WAYS)
@pytest.mark.parametrize("record_id", [PLAIN, THINKING_STREAM])
async def test_async_clients_over_memory(server: ReplayServer, captured: Calls, record_id: str, program: Any, kind: str) -> None:
    recording = by_id(record_id)
    theirs = await async_observed(program, client_of_kind(kind, server, record_id, asynchronous=True), recording)
    ours = await async_observed(program, traced(client_of_kind(kind, server, record_id, asynchronous=True)), recording)
    compare(theirs, ours)


# The client itself.


class WithOwnInit(anthropic.Anthropic):
    """A subclass that cannot be made by the arguments of its base."""

    def __init__(self, place: str, http: Any) -> None:
        super().__init__(api_key="none", base_url=place, http_client=http, max_retries=0)
        self.place = place


def test_a_subclass_stays_one(server: ReplayServer, captured: Calls) -> None:
    bare = WithOwnInit(server.root(PLAIN), http_client())
    wrapped = traced(bare)
    assert type(wrapped) is WithOwnInit
    assert wrapped.place == bare.place
    assert create(wrapped, PLAIN) == create(bare, PLAIN)
    captured.only()


def test_copies_are_traced_and_the_original_is_not(server: ReplayServer, captured: Calls) -> None:
    bare = make_client(server, PLAIN)
    wrapped = traced(bare)
    create(bare, PLAIN)
    captured.none()
    for made in (wrapped.with_options(timeout=9), wrapped.copy(), copy.copy(wrapped)):
        assert type(made) is anthropic.Anthropic
        create(made, PLAIN)
        captured.only()
        captured.clear()
    assert wrapped.with_options(timeout=9).timeout == bare.with_options(timeout=9).timeout == 9


def test_what_cannot_be_copied_fails_alike(server: ReplayServer) -> None:
    for attempt in (pickle.dumps, copy.deepcopy):
        errors: list[Any] = []
        for client in (make_client(server, PLAIN), traced(make_client(server, PLAIN))):
            with pytest.raises((TypeError, pickle.PicklingError)) as caught:
                attempt(client)
            errors.append((type(caught.value), str(caught.value)))
        assert errors[0] == errors[1]


@pytest.mark.skipif(not hasattr(anthropic.Anthropic, "middleware"), reason=f"anthropic {anthropic.__version__} has no middleware")
def test_middleware_runs_and_the_wire_is_seen(server: ReplayServer, captured: Calls) -> None:
    seen: list[str] = []

    def listening(request: Any, call_next: Any) -> Any:
        response = call_next(request)
        seen.append(f"{request.options.url} {response.status_code}")
        return response

    answers = [create(client, PLAIN) for client in (make_client(server, PLAIN, middleware=[listening]),)]
    wrapped = traced(make_client(server, PLAIN, middleware=[listening]))
    answers.append(create(wrapped, PLAIN))
    answers.append(create(wrapped.with_middleware(), PLAIN))
    assert seen == ["/v1/messages 200"] * 3
    assert described(answers[0]) == described(answers[1]) == described(answers[2])
    assert [[attempt.status for attempt in call.attempts] for call in captured] == [[200], [200]]


# Structured outputs.


class Country(BaseModel):
    city: str
    country: str


STRUCTURED = "pydanticai.output.strict_none_tool_native_output.1"


def parsed(client: Any, recording: Recording, seen: Seen) -> None:
    arguments = arguments_of(client, recording)
    for name in ("output_config", "stream"):
        arguments.pop(name, None)
    for messages in (client.messages, client.beta.messages):
        answer = messages.parse(**arguments, output_format=Country)
        seen.note(answer, answer.parsed_output)


def test_parse(server: ReplayServer, captured: Calls) -> None:
    recording = by_id(STRUCTURED)
    need(hasattr(make_client(server, recording).messages, "parse"), "parse", anthropic)
    theirs = observed(parsed, make_client(server, recording), recording)
    ours = observed(parsed, traced(make_client(server, recording)), recording)
    assert theirs.error is None
    compare(theirs, ours)
    assert [call.operation for call in captured] == ["messages", "messages"]
    generation = read_call(captured[0]).generation
    assert generation is not None
    assert generation.output_type == "json"


@pytest.fixture(autouse=True, scope="module")
def _quiet_server(server: ReplayServer) -> Iterator[None]:
    yield
    assert server.requests()
