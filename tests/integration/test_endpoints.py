"""Endpoints beside those of language models: what is recorded, what is not kept, and that bytes and pages reach the caller as ever."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

import tracer
from tests.integration.capture_support import Calls, async_http_client, captured_calls, ended, http_client, need, need_argument
from tests.integration.endpoint_support import AnyServer, serving_anything
from tests.support import PATIENCE
from tracer.call import Call
from tracer.export.attributes import attributes_of
from tracer.export.spans import spans_of
from tracer.pipeline.readings import CallReader
from tracer.settings import Settings

KEYS: dict[str, Any] = {"api_key": "none", "max_retries": 0}
SOUND = b"\x00\x01sound" * 50_000
"""More than is kept of bodies that ask no model."""
PICTURE = base64.b64encode(b"\x89PNG" * 40_000).decode()
USAGE = {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}


server = pytest.fixture(scope="module")(serving_anything)
calls = pytest.fixture(captured_calls)


@pytest.fixture
def client(server: AnyServer, calls: Calls) -> Any:
    bare = openai.OpenAI(**KEYS, base_url=f"{server.address}/v1", http_client=http_client())
    server.taken()
    return tracer.wrap(bare)


def lay(server: AnyServer, *answers: Any) -> None:
    """Answer one after the other with these JSON values."""
    server.lay("application/json", json.dumps(answers[-1]).encode())
    server.bodies = [("application/json", json.dumps(answer).encode()) for answer in answers[:-1]]


def events(*contents: dict[str, Any], named: bool = False) -> bytes:
    return b"".join(
        (f"event: {content['event']}\n" if named else "").encode()
        + b"data: "
        + json.dumps(content["data"] if named else content).encode()
        + b"\n\n"
        for content in contents
    )


def seen(call: Call) -> tuple[str, dict[str, Any]]:
    """Name and attributes of the call's span."""
    record = CallReader(Settings()).read(call)
    return spans_of(record, Settings())[0].name, dict(attributes_of(record, Settings()))


def kept_bytes(call: Call) -> int:
    """Bytes of bodies that the record refers to."""
    return sum(
        len(attempt.request_body or b"") + len(attempt.response_body or b"") + sum(map(len, attempt.pieces or ()))
        for attempt in call.attempts
    )


# Pictures.


def test_a_picture_counts_tokens_and_leaves_its_data_out(client: Any, server: AnyServer, calls: Calls) -> None:
    usage = {**USAGE, "input_tokens_details": {"image_tokens": 4, "text_tokens": 6}}
    lay(server, {"created": 1, "data": [{"b64_json": PICTURE}], "usage": usage, "size": "1024x1024", "output_format": "webp"})
    answer = client.images.generate(model="gpt-image-1", prompt="a heron", n=2, size="1024x1024", user="private")
    assert answer.data[0].b64_json == PICTURE
    name, attributes = seen(calls.only())
    assert name == "generate_content gpt-image-1"
    assert attributes["gen_ai.output.type"] == "image"
    assert attributes["gen_ai.usage.input_tokens"] == 10
    assert attributes["gen_ai.usage.output_tokens"] == 20
    assert attributes["gen_ai.usage.image.input_tokens"] == 4
    assert attributes["gen_ai.request.choice.count"] == 2
    assert attributes["tracer.request.size"] == "1024x1024"
    assert attributes["http.response.body.size"] > len(PICTURE)
    assert "a heron" in attributes["gen_ai.input.messages"]
    assert '"bytes":160000' in attributes["gen_ai.output.messages"]
    assert PICTURE[:40] not in str(attributes)
    assert "private" not in str(attributes)


def test_the_signature_in_a_pictures_address_is_left_out(client: Any, server: AnyServer, calls: Calls) -> None:
    lay(server, {"created": 1, "data": [{"url": "https://store.test/p.png?sig=secret", "revised_prompt": "a grey heron"}]})
    client.images.generate(model="dall-e-3", prompt="a heron")
    _, attributes = seen(calls.only())
    assert "https://store.test/p.png" in attributes["gen_ai.output.messages"]
    assert "secret" not in str(attributes)
    assert "tracer.usage.source" not in attributes


def test_streamed_pictures(client: Any, server: AnyServer, calls: Calls) -> None:
    partial = {"type": "image_generation.partial_image", "b64_json": PICTURE, "partial_image_index": 0}
    last = {"type": "image_generation.completed", "b64_json": PICTURE, "usage": USAGE, "output_format": "png"}
    server.lay("text/event-stream", events(partial, last))
    need_argument(client.images.generate, "stream")
    stream = client.images.generate(model="gpt-image-1", prompt="a heron", stream=True, partial_images=1)
    assert [event.type for event in stream] == [partial["type"], last["type"]]
    _, attributes = seen(calls.only())
    assert attributes["gen_ai.usage.output_tokens"] == 20
    assert attributes["tracer.stream.chunks"] == 2
    assert PICTURE[:40] not in str(attributes)


def test_a_stream_of_pictures_that_is_left(client: Any, server: AnyServer, calls: Calls) -> None:
    partial = {"type": "image_generation.partial_image", "b64_json": PICTURE, "partial_image_index": 0}
    server.lay("text/event-stream", events(partial, partial))
    need_argument(client.images.generate, "stream")
    stream = client.images.generate(model="gpt-image-1", prompt="a heron", stream=True)
    next(iter(stream))
    stream.close()
    _, attributes = seen(calls.only())
    assert attributes["tracer.outcome"] == "stopped"
    assert "gen_ai.usage.output_tokens" not in attributes


# Sound.


class Reads(io.BytesIO):
    """A file that says who reads it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reads: list[int | None] = []

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads.append(size)
        return super().read(size)


def test_files_of_a_form_are_named_and_not_read(client: Any, server: AnyServer, calls: Calls) -> None:
    lay(server, {"text": "hello there", "usage": {**USAGE, "type": "tokens", "input_token_details": {"audio_tokens": 8, "text_tokens": 2}}})
    bare = openai.OpenAI(**KEYS, base_url=f"{server.address}/v1", http_client=http_client())
    files = [Reads(SOUND), Reads(SOUND)]
    for given, file in zip((bare, client), files, strict=True):
        answer = given.audio.transcriptions.create(model="whisper-1", file=("speech.wav", file), prompt="names: Ada", language="en")
        assert answer.text == "hello there"
    assert files[0].reads == files[1].reads
    assert [sent.body for sent in server.sent[:1]] == [sent.body for sent in server.sent[1:]]
    call = calls.only()
    assert kept_bytes(call) < 1000
    name, attributes = seen(call)
    assert name == "generate_content whisper-1"
    assert attributes["tracer.request.files"] == ["file audio/wav"] or attributes["tracer.request.files"] == ["file audio/x-wav"]
    assert attributes["tracer.request.language"] == "en"
    assert attributes["http.request.body.size"] > len(SOUND)
    assert attributes["gen_ai.usage.audio.input_tokens"] == 8
    assert "names: Ada" in attributes["gen_ai.input.messages"]
    assert "hello there" in attributes["gen_ai.output.messages"]
    assert "speech.wav" not in str(attributes)


def test_sizes_that_are_known_without_reading(client: Any, server: AnyServer, calls: Calls) -> None:
    lay(
        server,
        {"id": "file-1", "object": "file", "bytes": 5, "purpose": "batch", "filename": "private.jsonl", "created_at": 1, "status": "x"},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "private.jsonl"
        path.write_bytes(b"{}\n{}")
        with path.open("rb") as file:
            client.files.create(file=file, purpose="batch")
        client.files.create(file=path, purpose="batch")
        client.files.create(file=b"{}\n{}", purpose="batch")
    found = [seen(call) for call in calls]
    assert [name for name, _ in found] == ["POST /files"] * 3
    assert [attributes["tracer.request.files"][0].endswith("5 bytes") for _, attributes in found] == [True] * 3
    assert found[0][1]["tracer.request.purpose"] == "batch"
    assert found[0][1]["tracer.response.id"] == "file-1"
    assert found[0][1]["tracer.response.bytes"] == 5
    assert "private" not in str([attributes for _, attributes in found])


def test_streamed_transcription(client: Any, server: AnyServer, calls: Calls) -> None:
    pieces = [{"type": "transcript.text.delta", "delta": text} for text in ("hello ", "there")]
    server.lay("text/event-stream", events(*pieces, {"type": "transcript.text.done", "text": "hello there", "usage": USAGE}))
    need_argument(client.audio.transcriptions.create, "stream")
    list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=b"x", stream=True))
    _, attributes = seen(calls.only())
    assert "hello there" in attributes["gen_ai.output.messages"]
    assert attributes["gen_ai.usage.input_tokens"] == 10
    assert attributes["tracer.stream.time_to_first_text"] >= 0


def test_a_transcription_as_plain_text(client: Any, server: AnyServer, calls: Calls) -> None:
    server.lay("text/plain", b"1\n00:00 --> 00:01\nhello")
    assert client.audio.transcriptions.create(model="whisper-1", file=b"x", response_format="srt").endswith("hello")
    _, attributes = seen(calls.only())
    assert "00:01" in attributes["gen_ai.output.messages"]


def by_pieces(response: Any, folder: str) -> bytes:
    return b"".join(response.iter_bytes(1000))


def to_a_file(response: Any, folder: str) -> bytes:
    path = Path(folder) / "sound"
    response.stream_to_file(path)
    return path.read_bytes()


def at_once(response: Any, folder: str) -> bytes:
    return bytes(response.read())


@pytest.mark.parametrize("take", [by_pieces, to_a_file, at_once])
def test_bytes_that_are_streamed(take: Callable[[Any, str], bytes], client: Any, server: AnyServer, calls: Calls, tmp_path: Path) -> None:
    server.lay("audio/mpeg", SOUND)
    with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="hello") as response:
        assert type(response).__name__ == "StreamedBinaryAPIResponse"
        calls.clear()
        assert take(response, str(tmp_path)) == SOUND
    call = calls.only()
    assert kept_bytes(call) < 1000
    name, attributes = seen(call)
    assert name == "generate_content tts-1"
    assert attributes["tracer.outcome"] == "completed"
    assert attributes["http.response.body.size"] == len(SOUND)
    assert attributes["tracer.response.content_type"] == "audio/mpeg"
    assert attributes["tracer.request.voice"] == "alloy"
    assert attributes["gen_ai.output.type"] == "speech"
    assert "hello" in attributes["gen_ai.input.messages"]


async def test_bytes_that_are_streamed_to_an_async_client(server: AnyServer, calls: Calls) -> None:
    server.lay("audio/mpeg", SOUND)
    bare = openai.AsyncOpenAI(**KEYS, base_url=f"{server.address}/v1", http_client=async_http_client())
    async with tracer.wrap(bare).audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="hello") as response:
        assert b"".join([piece async for piece in response.iter_bytes()]) == SOUND
    _, attributes = seen(calls.only())
    assert (attributes["tracer.outcome"], attributes["http.response.body.size"]) == ("completed", len(SOUND))


def test_bytes_that_are_left_before_their_end(client: Any, server: AnyServer, calls: Calls) -> None:
    server.lay("audio/mpeg", SOUND)
    with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="hello") as response:
        next(response.iter_bytes(10))
    _, attributes = seen(calls.only())
    assert attributes["tracer.outcome"] == "stopped"
    assert 0 < attributes["http.response.body.size"] <= len(SOUND)


def test_bytes_that_nobody_takes(client: Any, server: AnyServer, calls: Calls) -> None:
    server.lay("audio/mpeg", SOUND)
    with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="hello"):
        pass
    assert seen(calls.only())[1]["tracer.outcome"] == "abandoned"


def test_bytes_that_came_at_once(client: Any, server: AnyServer, calls: Calls) -> None:
    server.lay("audio/mpeg", SOUND)
    answer = client.audio.speech.create(model="tts-1", voice="alloy", input="hello")
    assert type(answer).__name__ == "HttpxBinaryResponseContent"
    assert answer.content == SOUND
    call = calls.only()
    assert kept_bytes(call) < 1000
    assert seen(call)[1]["http.response.body.size"] == len(SOUND)


def test_tokens_of_speech_in_events(client: Any, server: AnyServer, calls: Calls) -> None:
    server.lay("text/event-stream", events({"type": "speech.audio.delta", "audio": "AAAA"}, {"type": "speech.audio.done", "usage": USAGE}))
    need_argument(client.audio.speech.create, "stream_format")
    with client.audio.speech.with_streaming_response.create(model="tts", voice="alloy", input="hi", stream_format="sse") as response:
        assert response.read().startswith(b"data: ")
    assert seen(calls.only())[1]["gen_ai.usage.output_tokens"] == 20


# Files, lists, state.


def test_a_large_file_is_counted_and_not_kept(client: Any, server: AnyServer, calls: Calls) -> None:
    lines = b'{"private": "line"}\n' * 10_000
    server.lay("application/jsonl", lines)
    assert client.files.content("file-zz91").content == lines
    call = calls.only()
    assert kept_bytes(call) == 0
    name, attributes = seen(call)
    assert name == "GET /files/{id}/content"
    assert attributes["url.path"] == "/files/file-zz91/content"
    assert attributes["http.response.body.size"] == len(lines)
    assert "line" not in str(attributes)


def test_each_page_is_a_request_of_its_own(client: Any, server: AnyServer, calls: Calls) -> None:
    item = {"object": "batch", "endpoint": "/v1/responses", "status": "completed"}
    lay(server, {"object": "list", "data": [{"id": "b1", **item}, {"id": "b2", **item}], "has_more": True}, {"data": [], "has_more": False})
    assert [batch.id for batch in client.batches.list(limit=2)] == ["b1", "b2"]
    found = [seen(call) for call in calls]
    assert [name for name, _ in found] == ["GET /batches", "GET /batches"]
    assert [attributes["tracer.response.items"] for _, attributes in found] == [2, 0]
    assert found[0][1]["tracer.request.limit"] == 2
    assert [sent.path for sent in server.taken()] == ["/v1/batches?limit=2", "/v1/batches?limit=2&after=b2"]


def test_the_state_of_a_batch(client: Any, server: AnyServer, calls: Calls) -> None:
    state = {"object": "batch", "endpoint": "/v1/responses", "status": "failed", "errors": {"object": "list", "data": [{"message": "x"}]}}
    lay(server, {"id": "batch_1", **state, "request_counts": {"total": 3, "completed": 2, "failed": 1}, "usage": USAGE})
    client.batches.retrieve("batch_1")
    name, attributes = seen(calls.only())
    assert name == "GET /batches/{id}"
    assert attributes["tracer.response.status"] == "failed"
    assert attributes["tracer.response.request_counts.failed"] == 1
    assert attributes["tracer.response.usage.output_tokens"] == 20
    assert attributes["tracer.outcome"] == "completed"
    assert "gen_ai.usage.output_tokens" not in attributes


def test_a_job_that_has_failed_was_fetched_all_the_same(client: Any, server: AnyServer, calls: Calls) -> None:
    lay(server, {"id": "ftjob-1", "object": "fine_tuning.job", "status": "failed", "error": {"code": "bad_file", "message": "no"}})
    client.fine_tuning.jobs.retrieve("ftjob-1")
    assert seen(calls.only())[1]["tracer.outcome"] == "completed"


def test_an_endpoint_that_refuses(client: Any, server: AnyServer, calls: Calls) -> None:
    server.lay("application/json", b'{"error": {"message": "no such file", "code": "not_found"}}', 404)
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve("file-1")
    _, attributes = seen(calls.only())
    assert attributes["tracer.outcome"] == "failed"
    assert attributes["error.type"] == "not_found"
    assert attributes["http.response.status_code"] == 404


def test_a_secret_that_an_endpoint_gives_is_not_recorded(client: Any, server: AnyServer, calls: Calls) -> None:
    lay(server, {"value": "ek_secret", "id": "sess_1", "client_secret": {"value": "ek_secret"}, "expires_at": 5})
    client.post("/realtime/client_secrets", cast_to=object, body={"session": {"instructions": "private"}, "token": "private"})
    record = CallReader(Settings()).read(calls.only())
    assert record.generation is not None
    told = str((attributes_of(record, Settings()), record.generation.request, record.generation.answer))
    assert "secret'" not in told
    assert "ek_secret" not in told
    assert "private" not in told


@pytest.mark.parametrize("path", ["/brand/new/thing-17", "/brand/{}/thing", "/Zz9/1/2", "/xyz?key=private"])
def test_endpoints_that_nobody_knows_yet(path: str, client: Any, server: AnyServer, calls: Calls) -> None:
    lay(server, {"anything": True})
    client.get(path.format("01890a5d-ac96-774b-bcce-b302099a8057"), cast_to=object)
    name, attributes = seen(calls.only())
    assert name in ("GET /brand/{id}/{id}", "GET /brand/{id}/thing", "GET /{id}/{id}/{id}", "GET /xyz")
    assert "gen_ai.operation.name" not in attributes
    assert "private" not in str(attributes)


def test_a_whole_address_names_its_own_server(client: Any, server: AnyServer, calls: Calls) -> None:
    lay(server, {"data": []})
    client.get(f"{server.address}/v1/files?after=file-1", cast_to=object)
    client.get(f"{server.address.replace('127.0.0.1', 'localhost')}/other/file-1", cast_to=object)
    found = [seen(call) for call in calls]
    assert [name for name, _ in found] == ["GET /files", "GET /other/{id}"]
    assert [attributes["server.address"] for _, attributes in found] == ["127.0.0.1", "localhost"]


def test_a_deployment_of_azure(server: AnyServer, calls: Calls) -> None:
    bare = openai.AzureOpenAI(
        **KEYS, azure_endpoint=server.address, azure_deployment="pictures", api_version="2024-06-01", http_client=http_client()
    )
    lay(server, {"created": 1, "data": []})
    server.taken()
    for given in (bare, tracer.wrap(bare)):
        given.images.generate(model="gpt-image-1", prompt="a heron")
        given.files.list()
    sent = server.taken()
    assert sent[:2] == sent[2:]
    found = [seen(call) for call in calls]
    assert [name for name, _ in found] == ["generate_content gpt-image-1", "GET /files"]
    assert {attributes["gen_ai.provider.name"] for _, attributes in found} == {"azure.ai.openai"}


# Search, moderation, assistants.


def test_a_search(client: Any, server: AnyServer, calls: Calls) -> None:
    found: dict[str, Any] = {
        "file_id": "file-1",
        "filename": "a.md",
        "score": 0.9,
        "content": [{"type": "text", "text": "herons fish"}],
        "attributes": {},
    }
    lay(server, {"object": "vector_store.search_results.page", "data": [found], "has_more": False})
    need(hasattr(client, "vector_stores"), "vector_stores")
    assert client.vector_stores.search("vs_zz91", query="herons", max_num_results=3).data[0].score == 0.9
    name, attributes = seen(calls.only())
    assert name == "retrieval"
    assert attributes["gen_ai.data_source.id"] == "vs_zz91"
    assert attributes["gen_ai.retrieval.top_k"] == 3
    assert attributes["gen_ai.retrieval.query.text"] == "herons"
    documents = json.loads(attributes["gen_ai.retrieval.documents"])
    assert documents == [{"id": "file-1", "score": 0.9, "filename": "a.md", "content": "herons fish"}]


def test_a_moderation(client: Any, server: AnyServer, calls: Calls) -> None:
    lay(server, {"id": "modr-1", "model": "omni-moderation-2024", "results": [{"flagged": False}, {"flagged": True}]})
    client.moderations.create(model="omni-moderation-latest", input=["fine", "bad"])
    name, attributes = seen(calls.only())
    assert name == "moderation omni-moderation-latest"
    assert attributes["tracer.response.flagged"] is True
    assert attributes["gen_ai.response.model"] == "omni-moderation-2024"
    assert len(json.loads(attributes["gen_ai.input.messages"])) == 2


RUN = {"id": "run_1", "object": "thread.run", "thread_id": "thread_1", "assistant_id": "asst_1", "model": "gpt-4o"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_streamed_run_of_an_assistant(client: Any, server: AnyServer, calls: Calls) -> None:
    message: dict[str, Any] = {"id": "msg_1", "object": "thread.message", "role": "assistant", "content": []}
    delta = {"id": "msg_1", "object": "thread.message.delta", "delta": {"content": [{"index": 0, "type": "text", "text": {"value": "hi"}}]}}
    told: list[dict[str, Any]] = [
        {"event": "thread.run.created", "data": {**RUN, "status": "queued"}},
        {"event": "thread.message.created", "data": message},
        {"event": "thread.message.delta", "data": delta},
        {"event": "thread.run.completed", "data": {**RUN, "status": "completed", "usage": {"prompt_tokens": 5, "completion_tokens": 7}}},
    ]
    server.lay("text/event-stream", events(*told, named=True))
    list(client.beta.threads.runs.create("thread_1", assistant_id="asst_1", stream=True, instructions="be brief"))
    name, attributes = seen(calls.only())
    assert name == "invoke_agent"
    assert attributes["gen_ai.agent.id"] == "asst_1"
    assert attributes["gen_ai.conversation.id"] == "thread_1"
    assert attributes["gen_ai.response.status"] == "completed"
    assert attributes["gen_ai.usage.output_tokens"] == 7
    assert '"hi"' in attributes["gen_ai.output.messages"]
    assert "be brief" in attributes["gen_ai.system_instructions"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_assistant_is_named(client: Any, server: AnyServer, calls: Calls) -> None:
    lay(server, {"id": "asst_1", "object": "assistant", "name": "Tutor"})
    client.beta.assistants.create(model="gpt-4o", name="Tutor")
    name, attributes = seen(calls.only())
    assert (name, attributes["gen_ai.agent.id"], attributes["gen_ai.request.model"]) == ("create_agent Tutor", "asst_1", "gpt-4o")


# Answers that are fetched.


def response(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "model": "gpt-5", "status": status, "output": [], **more}


OUTPUT: list[dict[str, Any]] = [
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "42", "annotations": []}]}
]


def test_tokens_of_an_answer_made_in_the_background_count_once(client: Any, server: AnyServer, calls: Calls) -> None:
    need(hasattr(client, "responses"), "responses")
    done = response("completed", output=OUTPUT, usage=USAGE)
    lay(server, response("queued"), response("in_progress"), done, done)
    client.responses.create(model="gpt-5", input="6*7?", background=True)
    for _ in range(3):
        client.responses.retrieve("resp_1")
    reader = CallReader(Settings())
    spans = [spans_of(reader.read(call), Settings())[0] for call in calls]
    assert [span.name for span in spans] == ["chat gpt-5", *["fetch_response"] * 3]
    assert [span.attributes.get("gen_ai.response.status") for span in spans] == ["queued", "in_progress", "completed", "completed"]
    assert [span.attributes.get("gen_ai.usage.output_tokens") for span in spans] == [None, None, 20, None]
    assert [span.attributes.get("tracer.usage.source") for span in spans] == ["pending", None, "reported", None]
    assert {span.attributes["gen_ai.response.id"] for span in spans} == {"resp_1"}
    assert '"42"' in str(spans[3].attributes["gen_ai.output.messages"])
    assert "gen_ai.input.messages" not in spans[3].attributes


def test_an_answer_that_somebody_else_asked_for_is_not_counted(client: Any, server: AnyServer, calls: Calls) -> None:
    need(hasattr(client, "responses"), "responses")
    lay(server, response("failed", usage=USAGE, error={"code": "server_error", "message": "no"}))
    client.responses.retrieve("resp_1")
    _, attributes = seen(calls.only())
    assert "gen_ai.usage.output_tokens" not in attributes
    assert attributes["tracer.outcome"] == "completed"
    assert attributes["gen_ai.response.finish_reasons"] == ["error"]


def test_a_stream_that_is_taken_up_again(client: Any, server: AnyServer, calls: Calls) -> None:
    need(hasattr(client, "responses"), "responses")
    told = [
        {"type": "response.output_text.delta", "delta": "42", "item_id": "m", "output_index": 0, "content_index": 0, "sequence_number": 8},
        {"type": "response.completed", "response": response("completed", output=OUTPUT, usage=USAGE), "sequence_number": 9},
    ]
    server.lay("text/event-stream", events(*told))
    assert len(list(client.responses.retrieve("resp_1", stream=True, starting_after=7))) == 2
    name, attributes = seen(calls.only())
    assert name == "fetch_response"
    assert attributes["gen_ai.request.stream_cursor"] == "7"
    assert attributes["tracer.stream.chunks"] == 2
    assert '"42"' in attributes["gen_ai.output.messages"]


# What is not traced.


@pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")  # The SDK does not.
def test_a_realtime_connection_is_left_alone(client: Any, server: AnyServer, calls: Calls) -> None:
    need(hasattr(client, "realtime"), "realtime")
    need(importlib.util.find_spec("websockets") is not None, "websockets")
    websockets: Any = importlib.import_module("websockets.sync.server")

    def hello(connection: Any) -> None:
        connection.send(json.dumps({"type": "input_audio_buffer.cleared", "event_id": "event_1"}))

    with websockets.serve(hello, "127.0.0.1", 0) as sockets:
        thread = threading.Thread(target=sockets.serve_forever)
        thread.start()
        address = f"ws://127.0.0.1:{sockets.socket.getsockname()[1]}"
        traced: Any = tracer.wrap(openai.OpenAI(**KEYS, websocket_base_url=address, http_client=http_client()))
        with traced.realtime.connect(model="gpt-realtime") as connection:
            assert connection.recv().event_id == "event_1"
        sockets.shutdown()
        thread.join(PATIENCE)
    calls.none()


# Anthropic.


def test_endpoints_of_anthropic(server: AnyServer, calls: Calls) -> None:
    bare = anthropic.Anthropic(**KEYS, base_url=server.address, http_client=http_client())
    client = tracer.wrap(bare)
    lay(
        server,
        {"input_tokens": 12},
        {"type": "completion", "id": "compl_1", "completion": " hi", "stop_reason": "stop_sequence", "model": "c"},
    )
    client.messages.count_tokens(model="claude", messages=[{"role": "user", "content": "hi"}])
    client.post("/v1/complete", cast_to=object, body={"model": "c", "prompt": "\n\nHuman: hi\n\nAssistant:", "max_tokens_to_sample": 5})
    counted, completed = [seen(call) for call in calls]
    assert counted[0] == "POST /v1/messages/count_tokens"
    assert counted[1]["tracer.response.input_tokens"] == 12
    assert counted[1]["gen_ai.request.model"] == "claude"
    assert "gen_ai.usage.input_tokens" not in counted[1]
    assert {attributes["gen_ai.provider.name"] for _, attributes in (counted, completed)} == {"anthropic"}
    assert completed[0] == "text_completion c"
    assert completed[1]["gen_ai.request.max_tokens"] == 5
    assert completed[1]["gen_ai.response.finish_reasons"] == ["stop"]
    assert '" hi"' in completed[1]["gen_ai.output.messages"]


def test_a_streamed_completion_of_anthropic(server: AnyServer, calls: Calls) -> None:
    client = tracer.wrap(anthropic.Anthropic(**KEYS, base_url=server.address, http_client=http_client()))
    pieces = [
        {"type": "completion", "completion": text, "stop_reason": reason, "model": "c"}
        for text, reason in ((" h", None), ("i", "max_tokens"))
    ]
    server.lay("text/event-stream", events(*[{"event": "completion", "data": piece} for piece in pieces], named=True))
    stream = client.post(
        "/v1/complete", cast_to=object, body={"model": "c", "prompt": "hi"}, stream=True, stream_cls=anthropic.Stream[object]
    )
    assert len(list(stream)) == 2
    _, attributes = seen(ended(calls))
    assert attributes["gen_ai.response.finish_reasons"] == ["length"]
    assert '" hi"' in attributes["gen_ai.output.messages"]
