"""Attributes of every kind of record, against the names and types of the conventions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.call import Attempt, Call, Failure
from tracer.export.attributes import attributes_of, error_type_of
from tracer.export.content import finish_reason_of
from tracer.export.values import attribute_value, json_bytes, well_formed
from tracer.reading.generation import Cost, Generation, Message, Part, Usage
from tracer.reading.record import Clocks, Record
from tracer.settings import Settings

SETTINGS = Settings()
HELLO: list[Part] = [{"type": "text", "content": "hello"}]


def llm_call(outcome: str = "completed", generation: Generation | None = None, call: Call | None = None) -> Record:
    return Record(call or Call(1, 2, 3, kind="llm", operation="chat"), outcome, generation or Generation(request_model="gpt-4o"))


def test_a_bare_call_has_nothing_that_was_not_there() -> None:
    assert attributes_of(llm_call(), SETTINGS) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "tracer.outcome": "completed",
        "tracer.run_id": "00000000-0000-0000-0000-000000000001",
        "tracer.usage.source": "missing",
    }


def test_parameters_have_the_types_of_the_conventions() -> None:
    generation = Generation(
        parameters={
            "temperature": 0,
            "top_p": 1,
            "frequency_penalty": 0.5,
            "seed": 7,
            "choice.count": 1,
            "stop_sequences": [],
            "reasoning.level": "low",
            "encoding_formats": ["float"],
        }
    )
    found = attributes_of(llm_call(generation=generation), SETTINGS)
    requested = {key.removeprefix("gen_ai.request."): value for key, value in found.items() if key.startswith("gen_ai.request.")}
    assert requested == {
        "temperature": 0.0,
        "top_p": 1.0,
        "frequency_penalty": 0.5,
        "seed": 7,
        "reasoning.level": "low",
        "encoding_formats": ["float"],
    }
    assert isinstance(requested["temperature"], float)
    assert isinstance(requested["top_p"], float)
    generation.parameters = {"choice.count": 3}
    assert attributes_of(llm_call(generation=generation), SETTINGS)["gen_ai.request.choice.count"] == 3


def test_stream_is_named_only_when_streaming() -> None:
    call = Call(1, 2, 3, kind="llm", operation="chat", streaming=True)
    assert attributes_of(llm_call(call=call), SETTINGS)["gen_ai.request.stream"] is True
    assert "gen_ai.request.stream" not in attributes_of(llm_call(), SETTINGS)


def test_all_of_an_answer() -> None:
    generation = Generation(
        operation="chat",
        provider="azure.ai.openai",
        api_type="responses",
        request_model="gpt-4o",
        output_type="json",
        conversation_id="conv_1",
        previous_response_id="resp_0",
        prompt_name="greet",
        prompt_version="2",
        service_tier="flex",
        finish_reasons=["stop", "length"],
        response_id="resp_1",
        response_model="gpt-4o-2024-08-06",
        response_service_tier="default",
        system_fingerprint="fp",
        embedding_dimensions=3,
        usage=Usage(
            input=10, output=9, cache_read=0, cache_write=2, reasoning=3, input_audio=1, output_audio=4, input_text=5, output_text=6,
            input_image=7,
        ),
        cost=Cost(1, None, None, "USD", "provider"),
    )  # fmt: skip
    found = attributes_of(llm_call(generation=generation, call=Call(1, 2, 3, session="s")), SETTINGS)
    expected: dict[str, object] = {
        "gen_ai.provider.name": "azure.ai.openai",
        "openai.api.type": "responses",
        "gen_ai.output.type": "json",
        "gen_ai.conversation.id": "conv_1",
        "session.id": "s",
        "gen_ai.request.previous_response.id": "resp_0",
        "gen_ai.prompt.name": "greet",
        "gen_ai.prompt.version": "2",
        "openai.request.service_tier": "flex",
        "gen_ai.response.finish_reasons": ["stop", "length"],
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "openai.response.service_tier": "default",
        "openai.response.system_fingerprint": "fp",
        "gen_ai.embeddings.dimension.count": 3,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 9,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.cache_write.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 3,
        "gen_ai.usage.audio.input_tokens": 1,
        "gen_ai.usage.audio.output_tokens": 4,
        "gen_ai.usage.text.input_tokens": 5,
        "gen_ai.usage.text.output_tokens": 6,
        "gen_ai.usage.image.input_tokens": 7,
        "tracer.usage.source": "reported",
        "tracer.cost.total": 1.0,
        "tracer.cost.currency": "USD",
        "tracer.cost.prices": "provider",
    }
    assert {key: found[key] for key in expected} == expected
    assert isinstance(found["tracer.cost.total"], float)
    assert "tracer.cost.input" not in found


def test_the_service_tier_auto_is_not_recorded() -> None:
    assert "openai.request.service_tier" not in attributes_of(llm_call(generation=Generation(service_tier="auto")), SETTINGS)


def test_stream_clocks() -> None:
    call = Call(1, 2, 3, kind="llm", operation="chat", stream_clock=[0, 1])
    clocks = Clocks(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0)
    found = attributes_of(Record(call, "abandoned", Generation(), clocks), SETTINGS)
    assert {key: value for key, value in found.items() if "stream" in key or "first" in key} == {
        "gen_ai.response.time_to_first_chunk": 0.1,
        "tracer.stream.time_to_first_text": 0.2,
        "tracer.stream.time_to_first_reasoning": 0.3,
        "tracer.stream.time_to_first_tool_call": 0.4,
        "tracer.stream.provider_time": 0.5,
        "tracer.stream.consumer_time": 0.6,
        "tracer.stream.longest_gap": 0.7,
        "tracer.stream.chunks": 0,
    }


@pytest.mark.parametrize(
    ("given_port", "expected"),
    [(8080, 8080), (None, 443)],
)
def test_server_address_always_has_a_port(given_port: int | None, expected: int) -> None:
    call = Call(1, 2, 3, server_host="h", server_port=given_port, attempts=[Attempt(1)])
    found = attributes_of(llm_call(call=call), SETTINGS)
    assert (found["server.address"], found["server.port"]) == ("h", expected)


@pytest.mark.parametrize(
    ("failure", "code", "expected"),
    [
        (Failure("openai.RateLimitError", "m", code="rate_limit_exceeded"), None, "rate_limit_exceeded"),
        (Failure("openai.APIError", "m"), "server_error", "server_error"),
        (Failure("TimeoutError", "m"), None, "TimeoutError"),
        (None, None, "_OTHER"),
    ],
)
def test_error_type(failure: Failure | None, code: str | None, expected: str) -> None:
    record = llm_call("failed", Generation(error_code=code), Call(1, 2, 3, failure=failure))
    assert attributes_of(record, SETTINGS)["error.type"] == expected
    record.outcome = "stopped"
    assert error_type_of(record) is None
    assert "error.type" not in attributes_of(record, SETTINGS)


# Content.


def content_record(outcome: str = "completed", reason: str | None = "stop", **call: bool) -> Record:
    generation = Generation(
        system_instructions=[{"type": "text", "content": "be brief"}],
        input_messages=[Message("user", HELLO, name="ann")],
        tool_definitions=[{"type": "function", "name": "f"}],
        output_messages=[Message("assistant", HELLO, finish_reason=reason)],
    )
    return Record(Call(1, 2, 3, kind="llm", operation="chat", **call), outcome, generation)  # pyright: ignore[reportArgumentType]


def test_content_is_compact_json() -> None:
    found = attributes_of(content_record(), SETTINGS)
    assert found["gen_ai.system_instructions"] == '[{"type":"text","content":"be brief"}]'
    assert found["gen_ai.input.messages"] == '[{"role":"user","parts":[{"type":"text","content":"hello"}],"name":"ann"}]'
    assert found["gen_ai.tool.definitions"] == '[{"type":"function","name":"f"}]'
    assert found["gen_ai.output.messages"] == '[{"role":"assistant","parts":[{"type":"text","content":"hello"}],"finish_reason":"stop"}]'
    assert "tracer.content.truncated" not in found


@pytest.mark.parametrize(("inputs", "outputs"), [(True, False), (False, True), (False, False)])
def test_content_switches(inputs: bool, outputs: bool) -> None:
    found = attributes_of(content_record(content_inputs=inputs, content_outputs=outputs), SETTINGS)
    for name in ("gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.tool.definitions"):
        assert (name in found) is inputs
    assert ("gen_ai.output.messages" in found) is outputs
    tool = Record(
        Call(1, 2, 3, kind="tool", operation="span", input_json=b"{}", output_json=b"1", content_inputs=inputs, content_outputs=outputs),
        "completed",
    )
    found = attributes_of(tool, SETTINGS)
    assert ("gen_ai.tool.call.arguments" in found) is inputs
    assert ("gen_ai.tool.call.result" in found) is outputs


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [("failed", "error"), ("cancelled", "error"), ("stopped", "stopped"), ("unfinished", "unfinished"), ("abandoned", "abandoned")],
)
def test_a_finish_reason_is_never_made_up(outcome: str, expected: str) -> None:
    assert finish_reason_of(Message("assistant"), outcome) == expected
    assert finish_reason_of(Message("assistant", finish_reason="length"), outcome) == "length"
    found = attributes_of(content_record(outcome, reason=None), SETTINGS)
    assert json.loads(str(found["gen_ai.output.messages"]))[0]["finish_reason"] == expected
    assert "gen_ai.response.finish_reasons" not in found


def test_long_content_says_so() -> None:
    record = content_record()
    assert record.generation is not None
    record.generation.input_messages = [Message("user", [{"type": "text", "content": "é" * 10_000}])]
    found = attributes_of(record, Settings(max_content=3000))
    assert found["tracer.content.truncated"] is True
    assert isinstance(found["tracer.content.bytes"], int)
    assert found["tracer.content.bytes"] > 20_000
    assert len(str(found["tracer.content.sha256"])) == 64
    content = [str(found[f"gen_ai.{name}"]) for name in ("input.messages", "output.messages", "system_instructions", "tool.definitions")]
    assert sum(len(text.encode()) for text in content) <= 3000
    for text in content:
        json.loads(text)


# Own spans and other endpoints.


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("chain", {"gen_ai.operation.name": "invoke_workflow", "gen_ai.agent.name": "work"}),
        ("agent", {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "work"}),
        ("tool", {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "work"}),
        ("retriever", {"gen_ai.operation.name": "retrieval"}),
    ],
)
def test_own_spans(kind: str, expected: dict[str, object]) -> None:
    call = Call(1, 2, 3, kind=kind, name="work", operation="span", input_json=b'{"q":1}', output_json=b'"a"')
    found = attributes_of(Record(call, "completed"), SETTINGS)
    if kind == "tool":
        expected = {**expected, "gen_ai.tool.call.arguments": '{"q":1}', "gen_ai.tool.call.result": '"a"'}
    else:
        mime = "application/json"
        expected = {**expected, "input.value": '{"q":1}', "input.mime_type": mime, "output.value": '"a"', "output.mime_type": mime}
    assert found == {**expected, "tracer.outcome": "completed", "tracer.run_id": "00000000-0000-0000-0000-000000000001"}


def test_another_endpoint() -> None:
    call = Call(
        1, 2, 3, method="GET", path="/models", library="openai", server_host="api.openai.com", server_port=443,
        attempts=[Attempt(1, status=500), Attempt(2, status=200)],
    )  # fmt: skip
    assert attributes_of(Record(call, "completed"), SETTINGS) == {
        "gen_ai.provider.name": "openai",
        "http.request.method": "GET",
        "url.path": "/models",
        "http.response.status_code": 200,
        "server.address": "api.openai.com",
        "server.port": 443,
        "tracer.outcome": "completed",
        "tracer.run_id": "00000000-0000-0000-0000-000000000001",
    }


def test_a_model_call_that_could_not_be_read_is_still_one() -> None:
    call = Call(1, 2, 3, kind="embedding", operation="embeddings", model="e3", azure=True)
    found = attributes_of(Record(call, "completed"), SETTINGS)
    assert found["gen_ai.operation.name"] == "embeddings"
    assert found["gen_ai.request.model"] == "e3"
    assert found["gen_ai.provider.name"] == "azure.ai.openai"
    assert found["tracer.usage.source"] == "missing"


def test_the_application_s_attributes_come_last_but_not_over_identity() -> None:
    call = Call(
        1, 2, 3, kind="llm", operation="chat", metadata={"n": 1, "d": {"a": [1]}, "none": None},
        attributes={"gen_ai.request.model": "mine", "tracer.run_id": "x", "tracer.outcome": "x", "list": [1, 2.5], "obj": {1, 2}},
    )  # fmt: skip
    found = attributes_of(llm_call(call=call), SETTINGS)
    assert found["gen_ai.request.model"] == "mine"
    assert found["tracer.run_id"] != "x"
    assert found["tracer.outcome"] == "completed"
    assert found["list"] == [1.0, 2.5]
    assert found["obj"] == [1, 2]
    assert found["tracer.metadata.n"] == 1
    assert found["tracer.metadata.d"] == '{"a":[1]}'
    assert "tracer.metadata.none" not in found


# Values.

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)) | st.integers(), inner) | st.tuples(inner, inner),
)


@given(ANYTHING)
def test_json_is_valid_for_anything(value: object) -> None:
    json.loads(json_bytes(value), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@given(ANYTHING)
def test_attribute_values_have_attribute_types(value: object) -> None:
    found = attribute_value(value)
    if isinstance(found, list):
        assert found
        assert len({type(item) for item in found}) == 1
        items: list[object] = list(found)
    else:
        assert found != ""
        items = [] if found is None else [found]
    for item in items:
        assert isinstance(item, str | bool | int | float)
        if isinstance(item, str):
            item.encode()
        elif isinstance(item, int):
            assert -(2**63) <= item < 2**63


def test_odd_values() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert json.loads(json_bytes(circle)) == ["[…]"]
    deep: object = 1
    for _ in range(2000):
        deep = [deep]
    json.loads(json_bytes(deep))

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    assert attribute_value(Broken()) == "<Broken>"
    assert json_bytes({"x": Broken(), 1: 2**80}) == b'{"x":"<Broken>","1":"1208925819614629174706176"}'
    assert well_formed("\ud83d\ude00 \ud83d") == "😀 \ufffd"
    assert len(str(attribute_value("x" * 1_000_000))) <= 64 * 1024
