"""Usage of chat streams: asked for where the caller did not, known to the record, hidden from the caller; and only that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.integration.capture_support import (
    HTTP,
    MESSAGES,
    STREAM,
    STREAM_USAGE,
    Calls,
    create,
    helpers_of,
    http_client,
    make_client,
)
from tracer.call import COMPLETED, FAILED, STOPPED, Call, pieces_taken
from tracer.capture.wrapping import traced
from tracer.reading.read import read_call
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer
from tracer.runtime import runtime
from tracer.settings import Settings

SEEN = 7
HONOURS = Behaviour(honour_usage=1)
REJECTS = Behaviour(reject_usage=1)


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


def set_to(mode: str) -> None:
    runtime.settings = Settings(stream_usage=mode)


def chat_stream(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **more)


def sent(server: ReplayServer) -> Any:
    """Body of the last request."""
    return json.loads(server.requests()[-1].body)


def tokens(call: Call) -> tuple[int | None, int | None]:
    """What the record knows of the usage."""
    generation = read_call(call).generation
    assert generation is not None
    usage = generation.usage
    return (usage.input, usage.output) if usage is not None else (None, None)


# Asked for and hidden.


def test_usage_is_known_and_not_seen(server: ReplayServer, captured: Calls) -> None:
    bare = list(chat_stream(make_client(server, STREAM_USAGE, HONOURS)))
    seen = list(chat_stream(traced(make_client(server, STREAM_USAGE, HONOURS))))
    assert sent(server)["stream_options"] == {"include_usage": True}
    assert seen == bare
    assert len(seen) == SEEN
    assert all("usage" not in chunk.model_fields_set for chunk in seen)
    assert [chunk.to_json() for chunk in seen] == [chunk.to_json() for chunk in bare]
    call = captured.only()
    assert (call.ending, call.asked_usage, call.hidden_pieces, pieces_taken(call)) == (COMPLETED, True, 1, SEEN)
    assert tokens(call) == (12, 5)


async def test_usage_is_known_and_not_seen_async(server: ReplayServer, captured: Calls) -> None:
    bare = [chunk async for chunk in await chat_stream(make_client(server, STREAM_USAGE, HONOURS, asynchronous=True))]
    seen = [chunk async for chunk in await chat_stream(traced(make_client(server, STREAM_USAGE, HONOURS, asynchronous=True)))]
    assert sent(server)["stream_options"] == {"include_usage": True}
    assert seen == bare
    assert all("usage" not in chunk.model_fields_set for chunk in seen)
    call = captured.only()
    assert (call.asked_usage, call.hidden_pieces) == (True, 1)
    assert tokens(call) == (12, 5)


def test_the_helper_sees_no_usage(server: ReplayServer, captured: Calls) -> None:
    def final(client: Any) -> Any:
        with helpers_of(client).stream(model="m", messages=MESSAGES) as stream:
            return list(stream), stream.get_final_completion()

    bare = final(make_client(server, STREAM_USAGE, HONOURS))
    seen = final(traced(make_client(server, STREAM_USAGE, HONOURS)))
    assert seen == bare
    assert seen[1].usage is None
    assert tokens(captured.only()) == (12, 5)


def test_the_callers_arguments_stay_as_they_are(server: ReplayServer, captured: Calls) -> None:
    options = {"include_obfuscation": False}
    arguments: dict[str, Any] = {"model": "m", "messages": MESSAGES, "stream": True, "stream_options": options}
    list(traced(make_client(server, STREAM_USAGE, HONOURS)).chat.completions.create(**arguments))
    assert options == {"include_obfuscation": False}
    assert arguments["stream_options"] is options


# Not asked for.


def test_raw_streams_are_never_asked(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, STREAM_USAGE, HONOURS))
    completions = client.chat.completions
    for mode in ("auto", "always"):
        set_to(mode)
        list(completions.with_raw_response.create(model="m", messages=MESSAGES, stream=True).parse())
        assert "stream_options" not in sent(server)
        with completions.with_streaming_response.create(model="m", messages=MESSAGES, stream=True) as raw:
            list(raw.iter_lines())
        assert "stream_options" not in sent(server)
    assert [call.asked_usage for call in captured] == [False] * 4
    assert tokens(captured[0]) == (None, None)


@pytest.mark.parametrize(
    ("options", "expected", "seen"),
    [
        ({"include_usage": True}, {"include_usage": True}, SEEN + 1),
        ({"include_usage": False}, {"include_usage": False}, SEEN),
        ({"include_usage": True, "include_obfuscation": False}, {"include_usage": True, "include_obfuscation": False}, SEEN + 1),
        ({"include_obfuscation": False}, {"include_obfuscation": False, "include_usage": True}, SEEN),
        ({}, {"include_usage": True}, SEEN),
        (None, None, SEEN),
    ],
)
def test_the_callers_own_options(server: ReplayServer, captured: Calls, options: Any, expected: Any, seen: int) -> None:
    """What the caller said of `include_usage` stands; a null was said too."""
    bare = list(chat_stream(make_client(server, STREAM_USAGE, HONOURS), stream_options=options))
    chunks = list(chat_stream(traced(make_client(server, STREAM_USAGE, HONOURS)), stream_options=options))
    assert sent(server)["stream_options"] == expected
    assert chunks == bare
    assert [chunk.model_fields_set for chunk in chunks] == [chunk.model_fields_set for chunk in bare]
    assert len(chunks) == seen


def test_options_in_the_extra_body(server: ReplayServer, captured: Calls) -> None:
    extra = {"stream_options": {"include_usage": False}}
    chunks = list(chat_stream(traced(make_client(server, STREAM_USAGE, HONOURS)), extra_body=extra))
    assert sent(server)["stream_options"] == {"include_usage": False}
    assert len(chunks) == SEEN
    assert captured.only().asked_usage is False


def test_off(server: ReplayServer, captured: Calls) -> None:
    set_to("off")
    assert len(list(chat_stream(traced(make_client(server, STREAM_USAGE, HONOURS))))) == SEEN
    assert "stream_options" not in sent(server)
    call = captured.only()
    assert call.asked_usage is False
    assert tokens(call) == (None, None)


def test_what_is_no_chat_stream_is_not_asked(server: ReplayServer, captured: Calls) -> None:
    legacy = "openllmetry.completions.async_completion_streaming.0"
    list(create(traced(make_client(server, legacy)), legacy))
    assert "stream_options" not in sent(server)
    traced(make_client(server, STREAM)).chat.completions.create(model="m", messages=MESSAGES)
    assert "stream_options" not in sent(server)
    assert [call.asked_usage for call in captured] == [False, False]


# Refused.


def test_a_refusal_is_repeated_once_and_remembered(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, STREAM, REJECTS))
    before = len(server.requests())
    assert len(list(chat_stream(client))) == 3
    assert [request.status for request in server.requests()[before:]] == [400, 200]
    call = captured.only()
    assert (call.ending, call.failure, call.asked_usage) == (COMPLETED, None, False)
    assert [attempt.status for attempt in call.attempts] == [400, 200]
    assert len(list(chat_stream(client))) == 3
    assert len(list(chat_stream(traced(make_client(server, STREAM, REJECTS))))) == 3
    assert [request.status for request in server.requests()[before:]] == [400, 200, 200, 200]
    assert [len(call.attempts) for call in captured] == [2, 1, 1]


def test_a_refusal_by_azure_without_a_deployment(server: ReplayServer, captured: Calls) -> None:
    """The SDK writes the deployment into the path while it sends: the second request has the same path as the first."""
    bare = openai.AzureOpenAI(
        api_key="none", azure_endpoint=server.root(STREAM, REJECTS), api_version="2024-06-01", max_retries=0, http_client=http_client()
    )
    client = traced(bare)
    for _ in range(2):
        assert len(list(chat_stream(client))) == 3
    list(chat_stream(bare))
    requests = server.requests()[-4:]
    assert [request.status for request in requests] == [400, 200, 200, 200]
    assert len({request.path for request in requests}) == 1
    assert len({request.body for request in requests[1:]}) == 1
    assert [(call.azure, call.model, len(call.attempts)) for call in captured] == [(True, "m", 2), (True, "m", 1)]


async def test_a_refusal_is_repeated_once_and_remembered_async(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, STREAM, REJECTS, asynchronous=True))
    before = len(server.requests())
    for _ in range(2):
        assert len([chunk async for chunk in await chat_stream(client)]) == 3
    assert [request.status for request in server.requests()[before:]] == [400, 200, 200]
    assert [len(call.attempts) for call in captured] == [2, 1]


def test_a_refusal_is_remembered_for_its_endpoint_only(server: ReplayServer, captured: Calls) -> None:
    list(chat_stream(traced(make_client(server, STREAM, REJECTS))))
    list(chat_stream(traced(make_client(server, STREAM_USAGE, HONOURS))))
    assert sent(server)["stream_options"] == {"include_usage": True}


def test_always_asks_again(server: ReplayServer, captured: Calls) -> None:
    set_to("always")
    client = traced(make_client(server, STREAM, REJECTS))
    before = len(server.requests())
    for _ in range(2):
        assert len(list(chat_stream(client))) == 3
    assert [request.status for request in server.requests()[before:]] == [400, 200, 400, 200]


def test_the_callers_own_option_is_refused_to_the_caller(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, STREAM, REJECTS))
    with pytest.raises(openai.BadRequestError):
        chat_stream(client, stream_options={"include_usage": True})
    assert captured.only().ending == FAILED
    assert runtime.usage_refused == set()


def answering(*answers: tuple[int, str]) -> Any:
    """A bare client whose server gives these answers in order."""
    waiting = list(answers)

    def answer(_request: Any) -> Any:
        status, body = waiting.pop(0)
        kind = "application/json" if body.startswith("{") else "text/event-stream"
        return HTTP.Response(status, headers={"content-type": kind}, content=iter([body.encode()]))

    transport = HTTP.MockTransport(answer)
    return openai.OpenAI(api_key="none", base_url="http://replay.test/v1", max_retries=0, http_client=http_client(transport=transport))


REFUSAL = (
    400,
    '{"error": {"message": "Unrecognized request argument supplied: stream_options", "type": "x", "param": null, "code": null}}',
)
OTHER = (404, '{"error": {"message": "no such model", "type": "x", "param": null, "code": "model_not_found"}}')
UNRELATED = (400, '{"error": {"message": "max_tokens is too large", "type": "x", "param": null, "code": null}}')


def chunk(choices: list[Any], **more: Any) -> str:
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}
    return f"data: {json.dumps(body)}\n\n"


def text(content: str, finish: str | None = None) -> list[Any]:
    return [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]


USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_no_trace_of_the_refusal_in_a_later_error(captured: Calls) -> None:
    bare_client = answering(OTHER)
    with pytest.raises(openai.NotFoundError) as bare:
        chat_stream(bare_client)
    with pytest.raises(openai.NotFoundError) as ours:
        chat_stream(traced(answering(REFUSAL, OTHER)))
    assert type(ours.value.__context__) is type(bare.value.__context__)
    assert type(ours.value.__cause__) is type(bare.value.__cause__)
    context = ours.value.__context__
    while context is not None:
        assert not isinstance(context, openai.BadRequestError)
        assert "400" not in str(context)
        context = context.__context__
    call = captured.only()
    assert call.ending == FAILED
    assert call.failure is not None
    assert call.failure.type == "openai.NotFoundError"
    assert [attempt.status for attempt in call.attempts] == [400, 404]


def test_an_unrelated_error_is_not_repeated(captured: Calls) -> None:
    with pytest.raises(openai.BadRequestError, match="max_tokens"):
        chat_stream(traced(answering(UNRELATED)))
    call = captured.only()
    assert (call.ending, len(call.attempts)) == (FAILED, 1)
    assert runtime.usage_refused == set()


def test_a_refusal_by_validation(captured: Calls) -> None:
    refusal = (422, '{"detail": [{"loc": ["body", "stream_options"], "msg": "extra fields not permitted", "type": "value_error.extra"}]}')
    chunks = list(chat_stream(traced(answering(refusal, (200, chunk(text("hi", "stop")) + "data: [DONE]\n\n")))))
    assert [item.choices[0].delta.content for item in chunks] == ["hi"]
    assert [attempt.status for attempt in captured.only().attempts] == [422, 200]


# Only what follows from asking is hidden.


def check_alike(captured: Calls, *events: str) -> tuple[list[Any], Call]:
    """What the caller sees of these events bare and wrapped, where the wrapped one asked."""
    body = "".join(events) + "data: [DONE]\n\n"
    bare = list(chat_stream(answering((200, body))))
    seen = list(chat_stream(traced(answering((200, body)))))
    assert seen == bare
    assert [item.model_fields_set for item in seen] == [item.model_fields_set for item in bare]
    return seen, captured.only()


def test_usage_on_chunks_with_choices_stays(captured: Calls) -> None:
    """Some servers report on every chunk, asked or not."""
    seen, call = check_alike(captured, chunk(text("a"), usage=USAGE), chunk(text("b", "stop"), usage=USAGE))
    assert [item.usage.total_tokens for item in seen] == [7, 7]
    assert call.hidden_pieces == 0
    assert tokens(call) == (3, 4)


def test_unasked_usage_stays_and_is_remembered(server: ReplayServer, captured: Calls) -> None:
    """A recording of OpenAI's with usage and no null before it: the server sends it whatever was asked."""
    events = [chunk(text("a", "stop"), system_fingerprint="fp_1"), chunk([], system_fingerprint="fp_1", usage=USAGE)]
    seen, call = check_alike(captured, *events)
    assert seen[-1].usage.total_tokens == 7
    assert (call.hidden_pieces, pieces_taken(call)) == (0, 2)
    assert tokens(call) == (3, 4)
    assert call.endpoint in runtime.usage_unasked
    client = answering((200, events[0] + "data: [DONE]\n\n"))
    list(chat_stream(traced(client)))
    assert captured[-1].asked_usage is False
    request = captured[-1].attempts[0].request_body
    assert request is not None
    assert b"stream_options" not in request


def test_a_server_without_nulls_is_hidden_too(captured: Calls) -> None:
    """vLLM and others answer the question without writing nulls before."""
    body = chunk(text("a", "stop")) + chunk([], usage=USAGE) + "data: [DONE]\n\n"
    seen = list(chat_stream(traced(answering((200, body)))))
    assert len(seen) == 1
    call = captured.only()
    assert (call.hidden_pieces, pieces_taken(call)) == (1, 1)
    assert tokens(call) == (3, 4)


def test_a_chunk_without_choices_and_usage_stays(captured: Calls) -> None:
    """Azure's first chunk holds the prompt's filter results and no choices."""
    filters = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}]
    first = chunk([], prompt_filter_results=filters)
    body = chunk([], prompt_filter_results=filters, usage=None) + chunk(text("a", "stop"), usage=None) + chunk([], usage=USAGE)
    seen = list(chat_stream(traced(answering((200, body + "data: [DONE]\n\n")))))
    bare = list(chat_stream(answering((200, first + chunk(text("a", "stop")) + "data: [DONE]\n\n"))))
    assert seen == bare
    assert [item.model_fields_set for item in seen] == [item.model_fields_set for item in bare]
    assert seen[0].model_extra == {"prompt_filter_results": filters}
    assert captured.only().hidden_pieces == 1


def test_odd_usage_harms_nobody(captured: Calls) -> None:
    check_alike(captured, chunk(text("a"), usage="seven"), chunk(text("b", "stop"), usage=[]))


def test_a_null_that_the_server_always_sends(captured: Calls) -> None:
    """Whether a null was sent because of the question cannot be told; it is taken out, as it would be missing without us."""
    body = chunk(text("a", "stop"), usage=None) + "data: [DONE]\n\n"
    seen = list(chat_stream(traced(answering((200, body)))))
    assert "usage" not in seen[0].model_fields_set
    assert captured.only().hidden_pieces == 0


def test_left_before_the_usage_chunk(server: ReplayServer, captured: Calls) -> None:
    with chat_stream(traced(make_client(server, STREAM_USAGE, HONOURS))) as stream:
        for _ in zip(stream, range(3), strict=False):
            pass
    call = captured.only()
    assert call.ending == STOPPED
    assert call.hidden_pieces == 0
    assert tokens(call) == (None, None)


def test_left_after_the_last_piece_that_is_seen(server: ReplayServer, captured: Calls) -> None:
    stream = chat_stream(traced(make_client(server, STREAM_USAGE, HONOURS)))
    for _ in range(SEEN):
        next(stream)
    stream.close()
    call = captured.only()
    assert (call.ending, pieces_taken(call)) == (STOPPED, SEEN)
    assert read_call(call).outcome == COMPLETED


def test_a_stream_cut_after_the_usage_chunk_was_hidden(server: ReplayServer, captured: Calls) -> None:
    chunks: list[Any] = []
    client = traced(make_client(server, STREAM_USAGE, Behaviour(honour_usage=1, cut=SEEN + 1)))
    with pytest.raises((openai.APIConnectionError, HTTP.TransportError)):
        chunks.extend(chat_stream(client))
    assert len(chunks) == SEEN
    call = captured.only()
    assert (call.ending, pieces_taken(call), call.hidden_pieces) == (FAILED, SEEN, 1)
    assert tokens(call) == (12, 5)
