"""The replay server in front of the real OpenAI SDK."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.integration.capture_support import OMITTED, resource_of
from tracer.replay.behaviour import Behaviour, parse
from tracer.replay.recordings import Recording, by_id, load
from tracer.replay.sdk import call_arguments, client_arguments
from tracer.replay.server import ReplayServer

CHAT = "otel.genai.async_chat_completion_multiple_choices"
STREAM = "otel.genai.async_chat_completion_streaming"
STREAM_WITHOUT_USAGE = "langsmith.openai_test_chat_async_api.2"


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


def _client(server: ReplayServer, recording: Recording, behaviour: Behaviour | None = None, **more: Any) -> Any:
    kind = openai.AzureOpenAI if recording.azure else openai.OpenAI
    return kind(**{**client_arguments(server, recording, behaviour), **more})


def _async_client(server: ReplayServer, recording: Recording, behaviour: Behaviour | None = None) -> Any:
    return openai.AsyncOpenAI(**client_arguments(server, recording, behaviour))


def _create(client: Any, recording: Recording) -> Any:
    resource = resource_of(client, recording)
    return resource.create(**call_arguments(recording, resource.create))


def _chunks(server: ReplayServer, record_id: str, behaviour: Behaviour, **arguments: Any) -> list[dict[str, Any]]:
    with _client(server, by_id(record_id), behaviour) as client:
        create = client.chat.completions.create
        stream = create(**{**call_arguments(record_id, create), **arguments})
        return [chunk.to_dict(exclude_unset=True) for chunk in stream]


def _text(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


@pytest.mark.parametrize("recording", load(), ids=lambda recording: recording.id)
def test_the_sdk_reads_every_recording(server: ReplayServer, recording: Recording) -> None:
    with _client(server, recording) as client:
        if recording.status >= 400:
            with pytest.raises(openai.APIStatusError) as caught:
                _create(client, recording)
            assert caught.value.status_code == recording.status
            assert caught.value.response.headers.get("x-request-id") == recording.headers.get("x-request-id")
        elif "error-in-stream" in recording.features:
            with pytest.raises(openai.APIError):
                list(_create(client, recording))
        elif recording.streamed:
            sent = [line for line in recording.body.splitlines() if line.startswith("data: {")]
            assert len(list(_create(client, recording))) == len(sent)
        else:
            answer = _create(client, recording)
            assert answer.model == json.loads(recording.body)["model"]


def test_requests_are_kept_as_they_came(server: ReplayServer) -> None:
    recording = by_id("openllmetry.azure.chat_reasoning.0")
    before = len(server.requests(recording.id))
    with _client(server, recording) as client:
        _create(client, recording)
    received = server.requests(recording.id)[before:]
    assert len(received) == 1
    assert received[0].method == "POST"
    assert received[0].path.endswith("/openai/deployments/gpt-5-nano/chat/completions?api-version=2024-02-01")
    assert received[0].headers["api-key"] == "none"
    assert json.loads(received[0].body) == recording.request
    assert received[0].status == 200


async def test_the_async_sdk_reads_a_stream(server: ReplayServer) -> None:
    recording = by_id(STREAM)
    async with _async_client(server, recording) as client:
        stream = await client.chat.completions.create(**call_arguments(recording, client.chat.completions.create))
        text = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    assert "".join(text) == "This is a test."


def test_delays_are_taken_before_and_within_an_answer(server: ReplayServer) -> None:
    begin = time.perf_counter()
    _chunks(server, STREAM_WITHOUT_USAGE, Behaviour(wait=0.05, delay=0.05))
    assert time.perf_counter() - begin >= 0.05 + 3 * 0.05


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(pieces=7),
        Behaviour(crlf=1),
        Behaviour(comments=1),
        Behaviour(no_done=1),
        Behaviour(gzip=1),
        Behaviour(pieces=3, gzip=1, crlf=1),
    ],
    ids=lambda behaviour: behaviour.segment(),
)
def test_a_stream_reads_the_same_in_another_form(server: ReplayServer, behaviour: Behaviour) -> None:
    assert _chunks(server, STREAM, behaviour) == _chunks(server, STREAM, Behaviour())


def test_forms_differ_on_the_wire(server: ReplayServer) -> None:
    def wire(behaviour: Behaviour) -> Any:
        with _client(server, by_id(STREAM), behaviour) as client:
            create = client.chat.completions.with_streaming_response.create
            with create(**call_arguments(STREAM, client.chat.completions.create)) as response:
                return response.headers, b"".join(response.iter_bytes())

    plain = by_id(STREAM).body.encode()
    assert wire(Behaviour())[1] == plain
    assert wire(Behaviour(crlf=1))[1] == plain.replace(b"\n", b"\r\n")
    assert wire(Behaviour(comments=1))[1].count(b": keep-alive\n\n") == 9
    assert b"[DONE]" not in wire(Behaviour(no_done=1))[1]
    headers, body = wire(Behaviour(gzip=1))
    assert headers["content-encoding"] == "gzip"
    assert body == plain


def test_a_plain_answer_has_its_length_and_may_be_compressed(server: ReplayServer) -> None:
    recording = by_id(CHAT)
    for behaviour, encoding in ((Behaviour(), None), (Behaviour(gzip=1), "gzip")):
        with _client(server, recording, behaviour) as client:
            raw = client.chat.completions.with_raw_response.create(**call_arguments(recording, client.chat.completions.create))
            assert raw.headers.get("content-encoding") == encoding
            assert int(raw.headers["content-length"]) > 0
            assert raw.text.strip() == recording.body.strip()


def test_a_cut_stream_breaks_after_the_events_that_were_sent(server: ReplayServer) -> None:
    with _client(server, by_id(STREAM), Behaviour(cut=3)) as client:
        taken: list[Any] = []
        create = client.chat.completions.create
        with pytest.raises(Exception, match=r"reset|closed|peer|Connection error") as caught:
            taken.extend(chunk for chunk in create(**call_arguments(STREAM, create)))
        assert not isinstance(caught.value, openai.APIStatusError)
        assert len(taken) == 3
    with _client(server, by_id(CHAT), Behaviour(cut=0)) as client, pytest.raises(openai.APIConnectionError):
        _create(client, by_id(CHAT))


def _read_to_the_end(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def test_a_cut_is_a_reset_not_an_orderly_end(server: ReplayServer) -> None:
    host, port = server.address.removeprefix("http://").split(":")
    path = server.base_url(STREAM, Behaviour(cut=1)).removeprefix(server.address)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"POST {path}/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        with pytest.raises(ConnectionResetError):
            _read_to_the_end(connection)


def test_failures_come_first_and_are_counted_for_each_url(server: ReplayServer) -> None:
    recording = by_id(CHAT)
    for status in (429, 503):
        before = len(server.requests(CHAT))
        with _client(server, recording, Behaviour(fail=2, status=status), max_retries=3) as client:
            assert _create(client, recording).choices
        assert [item.status for item in server.requests(CHAT)[before:]] == [status, status, 200]
    with _client(server, recording, Behaviour(fail=1)) as client, pytest.raises(openai.RateLimitError) as caught:
        _create(client, recording)
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "0"


def test_a_hanging_request_is_let_go_when_the_server_closes() -> None:
    recording = by_id(CHAT)
    with ReplayServer(Behaviour(hang=1)) as server, _client(server, recording, timeout=0.2) as client:
        with pytest.raises(openai.APITimeoutError):
            _create(client, recording)
        begin = time.perf_counter()
        server.close()
        assert time.perf_counter() - begin < 5


@pytest.mark.parametrize("record_id", [STREAM, STREAM_WITHOUT_USAGE, "openaipy.stream.parse_nothing"])
def test_usage_is_honoured_as_openai_does(server: ReplayServer, record_id: str) -> None:
    honour = Behaviour(honour_usage=1)
    asked = _chunks(server, record_id, honour, stream_options={"include_usage": True})
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["total_tokens"] > 0
    assert all("usage" in chunk and chunk["usage"] is None for chunk in asked[:-1])
    unasked = _chunks(server, record_id, honour, stream_options=OMITTED)
    assert len(unasked) == len(asked) - 1
    assert not any("usage" in chunk for chunk in unasked)
    assert _text(unasked) == _text(asked)


def test_vectors_come_in_the_encoding_that_was_asked_for(server: ReplayServer) -> None:
    recording = by_id("pydanticai.embeddings.TestOpenAI.test_instrumentation")
    with _client(server, recording) as client:
        arguments = call_arguments(recording, client.embeddings.create)
        by_default, numbers, text = (
            client.embeddings.create(**arguments, **more).data[0].embedding
            for more in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"})
        )
    assert by_default == numbers
    assert (len(numbers), {type(number) for number in numbers}) == (128, {float})
    assert text == json.loads(recording.body)["data"][0]["embedding"]


def test_stream_options_can_be_rejected(server: ReplayServer) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        _chunks(server, STREAM, Behaviour(reject_usage=1))
    assert caught.value.param == "stream_options"
    assert _chunks(server, STREAM, Behaviour(reject_usage=1), stream_options=OMITTED)


def test_an_unknown_record_or_option_is_said(server: ReplayServer) -> None:
    for url in (server.base_url("no.such.record"), f"{server.address}/c/{CHAT};speed=3/v1"):
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client, pytest.raises(openai.NotFoundError, match="replay"):
            client.models.list()


def test_options_survive_the_url() -> None:
    behaviour = Behaviour(delay=0.05, fail=2, status=503, cut=3, gzip=1)
    assert parse(behaviour.segment().split(";")[1:], Behaviour()) == behaviour
    assert parse([], behaviour) == behaviour


async def test_many_at_once(server: ReplayServer) -> None:
    recording = by_id(STREAM)
    async with _async_client(server, recording, Behaviour(delay=0.01)) as client:

        async def one() -> str:
            stream = await client.chat.completions.create(**call_arguments(recording, client.chat.completions.create))
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

        assert set(await asyncio.gather(*(one() for _ in range(20)))) == {"This is a test."}


# Anthropic's interface.


@pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")
@pytest.mark.parametrize("recording", load("anthropic"), ids=lambda recording: recording.id)
def test_anthropic_s_sdk_reads_every_recording(server: ReplayServer, recording: Recording) -> None:
    with anthropic.Anthropic(**client_arguments(server, recording)) as client:
        messages: Any = client.beta.messages if recording.query else client.messages
        if recording.status >= 400:
            with pytest.raises(anthropic.APIStatusError) as caught:
                messages.create(**call_arguments(recording, messages.create))
            assert caught.value.status_code == recording.status
        elif recording.streamed:
            events = list(messages.create(**call_arguments(recording, messages.create)))
            assert len(events) == recording.body.count("event: ") - recording.body.count("event: ping")
        else:
            assert messages.create(**call_arguments(recording, messages.create)).id == json.loads(recording.body)["id"]
    received = server.requests(recording.id)[-1]
    assert received.path.split("?")[0].endswith("/v1/messages")
    assert json.loads(received.body) == {name: value for name, value in recording.request.items() if value is not None}


def test_failures_look_like_anthropic_s(server: ReplayServer) -> None:
    record_id = "logfire.anthropic.sync_messages_stream_version_v1_only"
    for behaviour, kind in ((Behaviour(fail=1), anthropic.RateLimitError), (Behaviour(fail=1, status=529), anthropic.InternalServerError)):
        with anthropic.Anthropic(**client_arguments(server, by_id(record_id), behaviour)) as client:
            with pytest.raises(kind) as caught:
                client.messages.create(model="m", max_tokens=1, messages=[])
            assert caught.value.request_id == "req_replay_failure"
    with anthropic.Anthropic(**client_arguments(server, by_id(record_id), Behaviour(overload=2))) as client:
        stream = client.messages.create(model="m", max_tokens=1, messages=[], stream=True)
        assert [next(stream).type, next(stream).type] == ["message_start", "content_block_start"]
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            next(stream)
