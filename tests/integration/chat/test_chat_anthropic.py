"""`ChatModel` over Anthropic's clients: what is sent, what comes back, streams that add up, tools, objects, LangChain."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic.resources.messages import Messages
from pydantic import BaseModel

from tests.integration.anthropic_support import (
    CACHED,
    CACHED_STREAM,
    CITATIONS,
    HTTP,
    OUTDATED,
    PLAIN,
    STREAM,
    THINKING_STREAM,
    TOOLS_STREAM,
    http_client,
    make_client,
)
from tests.integration.capture_support import Calls
from tracer import AIMessage, AIMessageChunk, ChatModel, HumanMessage, SystemMessage, ToolMessage
from tracer.call import COMPLETED, STOPPED
from tracer.chat import StructuredOutputError
from tracer.chat.messages import add_chunks, tool_call
from tracer.reading.read import read_call
from tracer.replay.recordings import by_id, load
from tracer.replay.server import ReplayServer

NO_OUTPUT_CONFIG = "output_config" not in inspect.signature(Messages.create).parameters

pytestmark = pytest.mark.filterwarnings(OUTDATED)


@pytest.fixture(autouse=True)
def closing(captured: Calls) -> Calls:
    """Every HTTP client is closed at the end of its test."""
    return captured


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


def chat_over(server: ReplayServer, record_id: str, *, asynchronous: bool = False, **parameters: Any) -> ChatModel:
    client = make_client(server, record_id, asynchronous=asynchronous)
    return ChatModel(client, **{"model": by_id(record_id).request["model"], **parameters})


class Listening:
    """A client over memory that keeps what it is sent and answers with one message."""

    def __init__(self, *content: Any, stop_reason: str = "end_turn", **more: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        body = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": list(content) or [{"type": "text", "text": "ok"}],
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 2},
            **more,
        }

        def answer(request: Any) -> Any:
            self.sent.append(json.loads(request.content))
            return HTTP.Response(200, json=body)

        http = http_client(transport=HTTP.MockTransport(answer))
        self.client = anthropic.Anthropic(api_key="none", base_url="http://replay.test", max_retries=0, http_client=http)

    def chat(self, **parameters: Any) -> ChatModel:
        return ChatModel(self.client, model="m", **parameters)

    @property
    def only(self) -> dict[str, Any]:
        assert len(self.sent) == 1
        return self.sent[0]


# What comes back.


def test_an_answer(server: ReplayServer, captured: Calls) -> None:
    answer = chat_over(server, CACHED).invoke("hi")
    body = json.loads(by_id(CACHED).body)
    assert answer.content == body["content"][0]["text"]
    assert answer.id == body["id"]
    assert answer.usage_metadata == {
        "input_tokens": 21 + 1733,
        "output_tokens": 568,
        "total_tokens": 21 + 1733 + 568,
        "input_token_details": {"cache_read": 1733, "cache_creation": 0},
        "output_token_details": {},
    }
    said = answer.response_metadata
    assert (said["model_provider"], said["finish_reason"], said["stop_reason"]) == ("anthropic", "stop", "end_turn")
    call = captured.only()
    assert call.ending == COMPLETED
    generation = read_call(call).generation
    assert generation is not None
    assert generation.parameters["max_tokens"] == 4096


async def test_the_same_async(server: ReplayServer, captured: Calls) -> None:
    assert await chat_over(server, CACHED, asynchronous=True).ainvoke("hi") == chat_over(server, CACHED).invoke("hi")
    assert len(captured) == 2


def test_calls_of_tools(server: ReplayServer) -> None:
    answer = chat_over(server, PLAIN).invoke("hi")
    assert answer.tool_calls == [tool_call("get_news", {"location": "San Francisco"}, "toolu_012guEZNJ5yH5jxHKWAkzCzh")]
    assert answer.text.startswith("Now, let's look")
    assert answer.response_metadata["finish_reason"] == "tool_calls"


def test_citations_and_searches_stay_blocks(server: ReplayServer) -> None:
    answer = chat_over(server, CITATIONS).invoke("hi")
    assert isinstance(answer.content, list)
    kinds = [part["type"] for part in answer.content if isinstance(part, dict)]
    assert kinds[:3] == ["thinking", "server_tool_use", "web_search_tool_result"]
    assert answer.text == "".join(block["text"] for block in json.loads(by_id(CITATIONS).body)["content"] if block["type"] == "text")


def test_a_refusal() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    listening = Listening(stop_reason="refusal", stop_details=details, content=[])
    answer = listening.chat().invoke("hi")
    assert (answer.content, answer.additional_kwargs["refusal"]) == ("", "No.")
    assert answer.response_metadata["finish_reason"] == "content_filter"


# Streams.

STREAMED = [recording for recording in load("anthropic") if recording.streamed and recording.status == 200]


def without_index(content: Any) -> Any:
    """Parts as the unstreamed answer has them: without their place in the stream, and first texts as blocks."""
    if isinstance(content, str):
        return content
    parts = [{"type": "text", "text": part} if isinstance(part, str) else dict(part) for part in content]
    for part in parts:
        part.pop("index", None)
        written = part.pop("partial_json", None)
        if written:
            part["input"] = json.loads(written)
    return parts


def unstreamed(server: ReplayServer, record_id: str, captured: Calls) -> dict[str, Any]:
    """What the readers of traces made of the same stream, in the form of an unstreamed answer."""
    generation = read_call(captured[-1]).generation
    assert generation is not None
    assert generation.answer is not None
    return generation.answer


@pytest.mark.parametrize("recording", STREAMED, ids=lambda recording: recording.id)
def test_pieces_add_up_to_the_answer(server: ReplayServer, captured: Calls, recording: Any) -> None:
    pieces = list(chat_over(server, recording.id).stream("hi"))
    whole = add_chunks(pieces)
    assert sum(pieces) == whole
    answer = unstreamed(server, recording.id, captured)
    expected = Listening(*answer["content"], stop_reason=answer["stop_reason"], usage=answer["usage"]).chat().invoke("hi")
    assert whole.text == expected.text
    assert whole.tool_calls == expected.tool_calls
    assert whole.usage_metadata == expected.usage_metadata
    assert without_index(whole.content) == without_index(expected.content)
    for name in ("finish_reason", "stop_reason"):
        assert whole.response_metadata[name] == expected.response_metadata[name]
    assert whole.response_metadata["model_name"] == answer["model"]
    assert whole.id == answer["id"]


def test_usage_of_a_stream_counts_what_was_cached(server: ReplayServer) -> None:
    whole = add_chunks(list(chat_over(server, CACHED_STREAM).stream("hi")))
    usage: Any = whole.usage_metadata
    assert usage["input_tokens"] == 4 + 1165
    assert usage["input_token_details"] == {"cache_read": 0, "cache_creation": 1165}


def test_a_stream_that_is_left_has_no_usage(server: ReplayServer, captured: Calls) -> None:
    stream = chat_over(server, STREAM).stream("hi")
    pieces = [next(stream), next(stream)]
    stream.close()
    assert add_chunks(pieces).text == "Four"
    assert add_chunks(pieces).usage_metadata is None
    assert captured.only().ending == STOPPED


async def test_streams_async_and_as_a_log(server: ReplayServer, captured: Calls) -> None:
    chat = chat_over(server, TOOLS_STREAM, asynchronous=True)
    pieces = [piece async for piece in chat.astream("hi")]
    assert add_chunks(pieces) == add_chunks(list(chat_over(server, TOOLS_STREAM).stream("hi")))
    patches = [patch async for patch in chat.astream_log("hi")]
    final: Any = sum(patches[1:], patches[0])
    (generation,) = final.state["final_output"]["generations"][0]
    assert generation["message"] == add_chunks(pieces)


# What is sent.


def test_messages() -> None:
    listening = Listening()
    thought: dict[str, Any] = {"type": "thinking", "thinking": "hm", "signature": "s", "index": 0}
    listening.chat().invoke(
        [
            SystemMessage("Be brief."),
            HumanMessage("Weather in Paris and Rome?"),
            AIMessage([thought, {"type": "text", "text": "I'll look."}], tool_calls=[tool_call("w", {"c": "Paris"}, "t1")]),
            ToolMessage("sunny", tool_call_id="t1"),
            ToolMessage([{"type": "text", "text": "no such city"}], tool_call_id="t2", status="error"),
            HumanMessage("And?"),
        ]
    )
    assert listening.only == {
        "model": "m",
        "max_tokens": 4096,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "Weather in Paris and Rome?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "I'll look."},
                    {"type": "tool_use", "id": "t1", "name": "w", "input": {"c": "Paris"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "sunny"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "t2",
                        "content": [{"type": "text", "text": "no such city"}],
                        "is_error": True,
                    },
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
    }


def test_several_system_texts_and_one_given_as_a_parameter() -> None:
    listening = Listening()
    cached: list[Any] = [{"type": "text", "text": "B", "cache_control": {"type": "ephemeral"}}]
    listening.chat(system="A").invoke([SystemMessage(cached), ("user", "hi"), SystemMessage("C")])
    assert listening.only["system"] == [{"type": "text", "text": "A"}, cached[0], {"type": "text", "text": "C"}]


def test_images_and_files_in_every_spelling() -> None:
    listening = Listening()
    own: dict[str, Any] = {"type": "document", "source": {"type": "url", "url": "https://e/x.pdf"}, "title": "T"}
    listening.chat().invoke(
        [
            HumanMessage(
                [
                    "Look:",
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                    {"type": "image_url", "image_url": {"url": "https://e/x.png"}},
                    {"type": "image", "base64": "aGk=", "mime_type": "image/jpeg"},
                    {"type": "image", "source": {"type": "file", "file_id": "f1"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "x.pdf"}},
                    {"type": "file", "file": {"file_id": "f2"}},
                    own,
                ]
            )
        ]
    )
    assert listening.only["messages"][0]["content"] == [
        {"type": "text", "text": "Look:"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "image", "source": {"type": "url", "url": "https://e/x.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "aGk="}},
        {"type": "image", "source": {"type": "file", "file_id": "f1"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}},
        {"type": "document", "source": {"type": "file", "file_id": "f2"}},
        own,
    ]


@pytest.mark.skipif(NO_OUTPUT_CONFIG, reason=f"anthropic {anthropic.__version__} has no output_config")
def test_parameters_in_both_spellings() -> None:
    listening = Listening()
    listening.chat(temperature=0, max_completion_tokens=7, reasoning_effort="low", user="u", stream_usage=True).invoke(
        "hi", stop="END", thinking={"type": "disabled"}, top_k=5
    )
    assert {name: value for name, value in listening.only.items() if name not in ("model", "messages")} == {
        "temperature": 0,
        "max_tokens": 7,
        "output_config": {"effort": "low"},
        "metadata": {"user_id": "u"},
        "stop_sequences": ["END"],
        "thinking": {"type": "disabled"},
        "top_k": 5,
    }


def test_what_the_api_does_not_know_is_refused_by_the_sdk() -> None:
    with pytest.raises(TypeError, match="seed"):
        Listening().chat(seed=1).invoke("hi")


def add(a: int, b: int = 0) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        (True, {"type": "any"}),
        ("add", {"type": "tool", "name": "add"}),
        (
            {"type": "tool", "name": "add", "disable_parallel_tool_use": True},
            {"type": "tool", "name": "add", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_tools(choice: Any, sent: Any) -> None:
    listening = Listening({"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}, stop_reason="tool_use")
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}
    own: dict[str, Any] = {"name": "own", "description": "d", "input_schema": {"type": "object", "properties": {}}}
    answer = listening.chat().bind_tools([add, search, own], tool_choice=choice).invoke("hi")
    assert answer.tool_calls == [tool_call("add", {"a": 1}, "t1")]
    assert answer.content == ""
    assert listening.only["tools"][0]["name"] == "add"
    assert listening.only["tools"][0]["description"] == "Add two numbers."
    assert listening.only["tools"][0]["input_schema"]["required"] == ["a"]
    assert listening.only["tools"][1:] == [search, own]
    assert listening.only["tool_choice"] == sent


def test_an_answer_can_be_sent_back(server: ReplayServer) -> None:
    """Thinking with its signature, searches and calls: what came streamed goes back as the service made it."""
    for record_id in (THINKING_STREAM, TOOLS_STREAM, "pydanticai.anthropic.anthropic_code_execution_tool_stream"):
        whole = add_chunks(list(chat_over(server, record_id).stream("hi")))
        listening = Listening()
        listening.chat().invoke([HumanMessage("q"), whole, HumanMessage("go on")])
        sent = listening.only["messages"][1]["content"]
        if isinstance(sent, str):
            continue
        assert all("index" not in block and "partial_json" not in block for block in sent)
        for block in sent:
            if block["type"] == "thinking":
                assert block["signature"]
            if block["type"] in ("tool_use", "server_tool_use"):
                assert block["input"]


# Objects.


class Sum(BaseModel):
    total: int


@pytest.mark.skipif(NO_OUTPUT_CONFIG, reason=f"anthropic {anthropic.__version__} has no output_config")
def test_structured_output_by_schema() -> None:
    listening = Listening({"type": "text", "text": '{"total": 3}'})
    assert listening.chat().with_structured_output(Sum).invoke("1 + 2") == Sum(total=3)
    layout = listening.only["output_config"]["format"]
    assert layout["type"] == "json_schema"
    assert layout["schema"]["properties"]["total"]["type"] == "integer"
    assert layout["schema"]["additionalProperties"] is False


def test_structured_output_by_function() -> None:
    listening = Listening({"type": "tool_use", "id": "t1", "name": "Sum", "input": {"total": 3}}, stop_reason="tool_use")
    assert listening.chat().with_structured_output(Sum, method="function_calling").invoke("1 + 2") == Sum(total=3)
    assert listening.only["tool_choice"] == {"type": "tool", "name": "Sum", "disable_parallel_tool_use": True}


@pytest.mark.skipif(NO_OUTPUT_CONFIG, reason=f"anthropic {anthropic.__version__} has no output_config")
def test_structured_output_that_was_refused_or_is_not_possible() -> None:
    listening = Listening(stop_reason="refusal", content=[])
    with pytest.raises(StructuredOutputError, match="refused"):
        listening.chat().with_structured_output(Sum).invoke("1 + 2")
    with pytest.raises(ValueError, match="json_schema or function_calling"):
        listening.chat().with_structured_output(Sum, method="json_mode").invoke("1 + 2")


# Clients.


async def test_an_async_client_is_made_from_a_sync_one_and_back(server: ReplayServer, captured: Calls) -> None:
    settings: dict[str, Any] = {"api_key": "none", "base_url": server.root(STREAM), "max_retries": 3, "default_headers": {"x-team": "t"}}
    from_sync = ChatModel(anthropic.Anthropic(**settings), model="m")
    from_async = ChatModel(anthropic.AsyncAnthropic(**settings), model="m")
    texts = [
        "".join([piece.text async for piece in from_sync.astream("hi")]),
        "".join([piece.text async for piece in from_async.astream("hi")]),
    ]
    texts += ["".join(piece.text for piece in chat.stream("hi")) for chat in (from_sync, from_async)]
    assert texts == ["Four plus five equals nine."] * 4
    requests = server.requests(STREAM)[-4:]
    assert {request.headers["x-team"] for request in requests} == {"t"}
    assert {request.headers.get("x-api-key") or request.headers["authorization"].removeprefix("Bearer ") for request in requests} == {
        "none"
    }
    assert len(captured) == 4
    for made in (from_sync, from_async):
        made._clients.sync().close()
        await (await made._clients.for_async()).close()


def test_clients_of_two_sdks_do_not_go_together() -> None:
    with pytest.raises(TypeError, match="of one SDK"):
        ChatModel(anthropic.Anthropic(api_key="k"), async_client=openai.AsyncOpenAI(api_key="k"))


def test_batch_and_generate() -> None:
    listening = Listening()
    chat = listening.chat()
    assert [answer.content for answer in chat.batch(["a", "b"])] == ["ok", "ok"]
    result = chat.generate([["a"], ["b"]])
    assert result.llm_output == {"token_usage": {"input_tokens": 2, "output_tokens": 4}, "model_name": "m"}
    assert chat.provider == "anthropic"


def test_as_langchain(server: ReplayServer) -> None:
    pytest.importorskip("langchain_core")
    model = chat_over(server, PLAIN).as_langchain()
    answer = model.invoke([("system", "s"), ("user", "hi")])
    assert answer.tool_calls[0]["name"] == "get_news"
    assert model._get_ls_params()["ls_provider"] == "anthropic"
    whole: Any = None
    for piece in chat_over(server, TOOLS_STREAM).as_langchain().stream("hi"):
        whole = piece if whole is None else whole + piece
    assert [call["name"] for call in whole.tool_calls] == ["get_weather", "get_time"]
    assert whole.usage_metadata["input_tokens"] == 506


def test_a_chunk_is_of_the_usual_kind(server: ReplayServer) -> None:
    assert all(type(piece) is AIMessageChunk for piece in chat_over(server, STREAM).stream("hi"))
