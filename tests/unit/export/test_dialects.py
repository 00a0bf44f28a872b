"""What each dialect adds, from recorded traffic: published names only, the facts of the first copy, and nothing that it may not tell."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from tests.integration.otlp_support import llm_record
from tests.unit.export.published_names import PUBLISHED
from tests.unit.reading.calls import recorded
from tracer.call import Attempt, Call, Failure
from tracer.dotted_order import dotted_order_of
from tracer.export.backend_spans import backend_spans_of
from tracer.export.dialects import langfuse, langsmith, phoenix, previous
from tracer.export.dialects.copies import copies_in, json_in
from tracer.export.dialects.table import DIALECTS
from tracer.export.langsmith.run import run_of
from tracer.export.limits import span_limits_of
from tracer.export.otlp import OtlpTransport
from tracer.export.spans import spans_of
from tracer.masking.masker import Masker
from tracer.reading import read_call
from tracer.reading.generation import Generation, Message, Part, Usage
from tracer.reading.record import Record
from tracer.replay.recordings import load
from tracer.scope import Parent
from tracer.settings import Settings, read

RECORDINGS = [*load(), *load("anthropic")]
EACH = pytest.mark.parametrize("dialect", DIALECTS)
SECRET = "sk-" + "proj-abcdefghijkl0123456789"


def own(kind: str, **fields: Any) -> Record:
    call = Call(7, 1, 2, kind=kind, operation="span", name="n", input_json=b'{"q":"in"}', output_json=b'"out"', **fields)
    call.metadata, call.tags, call.session, call.user = {"team": "search"}, ("a", "b"), "s1", "u7"
    return Record(call, "completed")


def found_nothing() -> Record:
    documents: list[dict[str, object]] = [{"id": "f1", "score": 0.5, "content": "text", "metadata": {"lang": "en"}}, {"filename": "x"}]
    call = Call(7, 1, 2, operation="search", template="/vector_stores/{id}/search", attempts=[Attempt(0, 9, status=200)])
    return Record(call, "completed", Generation(operation="retrieval", query="what?", documents=documents))


def failed() -> Record:
    call = Call(7, 1, 2, kind="llm", operation="chat", failure=Failure("openai.RateLimitError", "slow down"), started_wall=10**18)
    call.attempts = [Attempt(0, 10, status=429), Attempt(20, 30, status=429)]
    call.ended = 40
    return Record(call, "failed", Generation(request_model="gpt-4o"))


RECORDS = {
    **{recording.id: read_call(recorded(recording)) for recording in RECORDINGS},
    **{kind: own(kind) for kind in ("chain", "agent", "tool", "retriever", "llm")},
    "search": found_nothing(),
    "failed": failed(),
    "streamed": llm_record(),
    "request": Record(Call(7, 1, 2, method="GET", path="/files", template="/files"), "completed"),
}


def added(record: Record, *dialects: str, **settings: Any) -> dict[str, Any]:
    """What the dialects add to the first span."""
    chosen = Settings(dialects=dialects, **settings)
    first = spans_of(record, chosen)[0].attributes
    told = backend_spans_of(record, chosen)[0].attributes
    assert {name: told[name] for name in first} == first
    return {name: value for name, value in told.items() if name not in first}


def value_of(text: Any) -> Any:
    return json.loads(text)


# All of them.


@EACH
@pytest.mark.parametrize("name", RECORDS)
def test_only_published_names_are_added_in_attribute_types(dialect: str, name: str) -> None:
    found = added(RECORDS[name], dialect)
    assert [key for key in found if not PUBLISHED[dialect].fullmatch(key)] == []
    assert found or dialect == "previous"
    assert [key for key, value in found.items() if value == "" or not isinstance(value, str | bool | int | float | list | tuple)] == []
    for key in json_in(found):
        value_of(found[key])


@pytest.mark.parametrize("module", [previous, phoenix, langfuse, langsmith])
def test_a_table_names_what_is_published(module: Any) -> None:
    dialect = module.__name__.rpartition(".")[2]
    assert module.RENAMED
    assert [name for name in module.RENAMED.values() if not PUBLISHED[dialect].fullmatch(name)] == []


@pytest.mark.parametrize("name", RECORDS)
def test_dialects_together_add_what_each_adds(name: str) -> None:
    record = RECORDS[name]
    apart = {key: value for dialect in reversed(DIALECTS) for key, value in added(record, dialect).items()}
    assert added(record, *DIALECTS) == apart


def test_no_dialect_adds_nothing() -> None:
    for record in RECORDS.values():
        assert backend_spans_of(record, Settings()) == spans_of(record, Settings())


@EACH
def test_content_that_is_off_is_in_no_copy(dialect: str) -> None:
    for recording in RECORDINGS:
        record = read_call(recorded(recording))
        record.call.content_inputs = record.call.content_outputs = False
        assert copies_in(backend_spans_of(record, Settings(dialects=(dialect,)))[0].attributes) == []
    record = llm_record(text="PROMPT")
    record.call.content_inputs = record.call.content_outputs = False
    assert "PROMPT" not in repr(added(record, dialect))
    assert "hello" not in repr(added(record, dialect))


@EACH
def test_only_what_may_be_told_of_prompt_and_answer_is_copied(dialect: str) -> None:
    record = llm_record(text="PROMPT")
    record.call.content_outputs = False
    assert "hello" not in repr(added(record, dialect))
    record.call.content_inputs, record.call.content_outputs = False, True
    assert "PROMPT" not in repr(added(record, dialect))


@EACH
def test_a_masked_secret_is_in_no_copy(dialect: str) -> None:
    request = orjson.dumps({"model": "m", "messages": [{"role": "system", "content": SECRET}, {"role": "user", "content": f"my {SECRET}"}]})
    body = orjson.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": SECRET}, "finish_reason": "stop"}]})
    attempts = [Attempt(0, status=503, failure=Failure("E", SECRET)), Attempt(0, status=200, request_body=request, response_body=body)]
    call = Call(1, 1, 1, kind="llm", operation="chat", ending="completed", attempts=attempts, metadata={"key": SECRET})
    record = read_call(call)
    assert SECRET in repr(backend_spans_of(record, Settings(dialects=(dialect,))))
    Masker(Settings().mask, 1).mask(record)
    assert SECRET not in repr(backend_spans_of(record, Settings(dialects=(dialect,))))


@EACH
def test_copies_are_as_short_as_the_first(dialect: str) -> None:
    record = llm_record(text="x" * 100_000)
    attributes = backend_spans_of(record, Settings(dialects=(dialect,), max_content=4000))[0].attributes
    for name in copies_in(attributes):
        assert len(str(attributes[name])) <= 4000
    for name in json_in(attributes):
        value_of(attributes[name])


@EACH
def test_the_length_limit_leaves_json_whole(dialect: str) -> None:
    settings = Settings(dialects=(dialect,), attribute_length_limit=300)
    (span,) = backend_spans_of(llm_record(text="é" * 5000), settings)
    kept = span_limits_of(settings).attributes_of(span).kept
    assert kept["tracer.content.truncated"] is True
    plain = span_limits_of(settings).attributes_of(spans_of(llm_record(text="é" * 5000), settings)[0]).kept
    assert {name: kept[name] for name in plain} == plain
    for value in kept.values():
        assert not isinstance(value, str) or len(value.encode()) <= 600
    for name in json_in(kept):
        value_of(kept[name])


def test_copies_give_way_before_the_first() -> None:
    settings = Settings(otlp_endpoint="http://localhost:1", dialects=tuple(DIALECTS))
    transport = OtlpTransport(settings)
    (item,) = transport.pack([llm_record(text="y" * 20_000)]).items
    (plain,) = OtlpTransport(Settings(otlp_endpoint="http://localhost:1")).pack([llm_record(text="y" * 20_000)]).items
    assert item.weight > 3 * plain.weight

    def names_and_prompt(parts: dict[str, bytes] | None) -> tuple[set[str], str]:
        assert parts is not None
        span = ScopeSpans.FromString(parts["spans"]).spans[0]
        texts = {pair.key: pair.value.string_value for pair in span.attributes}
        return set(texts), texts.get("gen_ai.input.messages", "")

    names, prompt = names_and_prompt(transport.shorten(item, plain.weight + 6000))
    assert "y" * 20_000 in prompt
    assert copies_in(dict.fromkeys(names, "")) == []
    assert {"openinference.span.kind", "langfuse.observation.type", "langsmith.span.id", "gen_ai.system"} <= names
    names, prompt = names_and_prompt(transport.shorten(item, 12_000))
    assert 0 < len(prompt) < 12_000
    assert value_of(prompt)
    assert "tracer.content.truncated" in names
    names, prompt = names_and_prompt(transport.shorten(item, 0))
    assert prompt == ""


def test_what_the_application_set_itself_stays() -> None:
    record = llm_record()
    record.call.attributes = {"openinference.span.kind": "AGENT", "gen_ai.system": "mine"}
    attributes = backend_spans_of(record, Settings(dialects=tuple(DIALECTS)))[0].attributes
    assert (attributes["openinference.span.kind"], attributes["gen_ai.system"]) == ("AGENT", "mine")


@pytest.mark.parametrize("text", ["phoenix,arize", "", " , "])
def test_a_bad_value_is_one_clear_line(text: str) -> None:
    settings, problems, _ = read({"TRACER_DIALECT": text or ","})
    assert settings.dialects == ()
    (problem,) = problems
    assert "TRACER_DIALECT" in str(problem)
    assert "otel, previous, phoenix, langfuse, langsmith" in str(problem)


# One by one.


def test_previous_names() -> None:
    found = added(llm_record(), "previous")
    assert found.pop("gen_ai.system") == "openai"
    assert (found["gen_ai.usage.prompt_tokens"], found["gen_ai.usage.completion_tokens"]) == (12, 3)
    assert value_of(found["gen_ai.prompt"]) == [{"role": "user", "content": "hi"}]
    assert value_of(found["gen_ai.completion"]) == [{"role": "assistant", "content": "hello"}]
    assert found["gen_ai.openai.response.system_fingerprint"] == "fp_1"
    assert added(own("chain"), "previous")["gen_ai.workflow.name"] == "n"
    azure = Record(Call(1, 1, 1, kind="llm"), "completed", Generation(provider="azure.ai.openai"))
    assert added(azure, "previous")["gen_ai.system"] == "az.ai.openai"


def test_openinference() -> None:
    found = added(llm_record(), "phoenix")
    assert found["openinference.span.kind"] == "LLM"
    assert found["llm.input_messages.0.message.content"] == found["input.value"] == "hi"
    assert found["llm.output_messages.0.message.content"] == found["output.value"] == "hello"
    assert value_of(found["llm.invocation_parameters"]) == {"temperature": 0.0, "max_tokens": 100, "stop_sequences": ["END"]}
    assert (found["llm.token_count.prompt"], found["llm.token_count.completion"], found["llm.token_count.total"]) == (12, 3, 15)
    assert found["llm.token_count.prompt_details.cache_read"] == 8
    assert value_of(found["metadata"]) == {"team": "search", "limit": 3}
    assert list(found["tag.tags"]) == ["beta", "eu"]
    tool = backend_spans_of(own("tool"), Settings(dialects=("phoenix",)))[0].attributes
    assert (tool["openinference.span.kind"], tool["tool.name"], tool["tool.parameters"]) == ("TOOL", "n", '{"q":"in"}')
    assert (tool["input.value"], tool["output.value"], tool["output.mime_type"]) == ('{"q":"in"}', '"out"', "application/json")
    search = added(found_nothing(), "phoenix")
    assert (search["openinference.span.kind"], search["input.value"]) == ("RETRIEVER", "what?")
    assert (search["retrieval.documents.0.document.id"], search["retrieval.documents.0.document.score"]) == ("f1", 0.5)


def test_pictures_reasoning_and_tools_as_openinference_has_them() -> None:
    call = Call(1, 1, 1, kind="llm", operation="chat")
    picture: Part = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBORw0K"}
    result: Part = {"type": "tool_call_response", "id": "c1", "response": {"t": 3}}
    asked = [
        Message(
            "user", [{"type": "text", "content": "what is it"}, picture, {"type": "uri", "modality": "image", "uri": "http://x/y.png"}]
        ),
        Message("user", [result, {"type": "text", "content": "and now"}]),
    ]
    made: Part = {"type": "tool_call", "id": "c2", "name": "look", "arguments": {"at": "x"}}
    answer = Message("assistant", [{"type": "reasoning", "content": "hm"}, made])
    generation = Generation(input_messages=asked, output_messages=[answer], tool_definitions=[{"type": "function", "name": "look"}])
    record = Record(call, "completed", generation)
    found = added(record, "phoenix")
    assert found["llm.input_messages.0.message.contents.1.message_content.image.image.url"] == "data:image/png;base64,iVBORw0K"
    assert found["llm.input_messages.0.message.contents.2.message_content.image.image.url"] == "http://x/y.png"
    assert (found["llm.input_messages.1.message.role"], found["llm.input_messages.1.message.tool_call_id"]) == ("tool", "c1")
    assert found["llm.input_messages.1.message.content"] == '{"t":3}'
    assert found["llm.input_messages.2.message.content"] == found["input.value"] == "and now"
    assert found["llm.output_messages.0.message.contents.0.message_content.type"] == "reasoning"
    assert value_of(found["llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments"]) == {"at": "x"}
    assert value_of(found["llm.tools.0.tool.json_schema"]) == {"type": "function", "name": "look"}
    (said,) = value_of(added(record, "previous")["gen_ai.completion"])
    assert said["tool_calls"] == [{"id": "c2", "type": "function", "function": {"name": "look", "arguments": '{"at":"x"}'}}]


def test_langfuse() -> None:
    record = llm_record()
    found = added(record, "langfuse")
    assert found["langfuse.observation.type"] == "generation"
    assert value_of(found["langfuse.observation.usage_details"]) == {"input": 4, "output": 3, "input_cached_tokens": 8, "total": 15}
    assert value_of(found["langfuse.observation.cost_details"]) == {"input": 0.00012, "output": 0.00006, "total": 0.00018}
    assert value_of(found["langfuse.observation.input"]) == [{"role": "user", "content": "hi"}]
    assert value_of(found["langfuse.observation.output"]) == {"role": "assistant", "content": "hello"}
    assert found["langfuse.observation.metadata.team"] == "search"
    begun = datetime.fromtimestamp(record.call.started_wall / 1e9).astimezone()
    first = datetime.fromisoformat(value_of(found["langfuse.observation.completion_start_time"]))
    assert first - begun == timedelta(seconds=0.4)
    assert "langfuse.trace.name" not in found
    assert added(own("chain"), "langfuse")["langfuse.trace.name"] == "n"
    wrong = added(failed(), "langfuse")
    assert (wrong["langfuse.observation.level"], wrong["langfuse.observation.status_message"]) == ("ERROR", "slow down")
    assert added(llm_record(outcome="stopped"), "langfuse")["langfuse.observation.level"] == "WARNING"


@pytest.mark.parametrize("name", RECORDS)
def test_kinds_of_tokens_for_langfuse_add_up_to_the_total(name: str) -> None:
    found = added(RECORDS[name], "langfuse")
    if "langfuse.observation.usage_details" in found:
        details = value_of(found["langfuse.observation.usage_details"])
        assert details.pop("total") == sum(details.values())


def test_more_cached_than_asked_is_no_negative_count() -> None:
    record = Record(Call(1, 1, 1, kind="llm"), "completed", Generation(usage=Usage(input=2, output=1, cache_read=5)))
    details = value_of(added(record, "langfuse")["langfuse.observation.usage_details"])
    assert details == {"input": 0, "output": 1, "input_cached_tokens": 2, "total": 3}


@pytest.mark.parametrize("name", RECORDS)
def test_a_span_for_langsmith_is_the_run_that_our_exporter_sends(name: str) -> None:
    record, settings = RECORDS[name], Settings(langsmith_project="shop")
    run, found = run_of(record, settings), added(record, "langsmith", langsmith_project="shop")
    assert found["langsmith.trace.id"] == run.trace_id
    assert found["langsmith.span.id"] == run.id
    assert found.get("langsmith.span.parent_id") == run.parent_run_id
    assert found["langsmith.span.dotted_order"] == run.dotted_order
    assert (found["langsmith.span.kind"], found["langsmith.trace.name"]) == (run.run_type, run.name)
    assert found["langsmith.trace.session_name"] == "shop"
    assert found.get("langsmith.span.tags", "") == ", ".join(record.call.tags)
    metadata = value_of(run.extra)["metadata"]
    if "usage_metadata" in metadata:
        assert value_of(found["langsmith.usage_metadata"]) == metadata["usage_metadata"]
        assert found["gen_ai.usage.total_tokens"] == metadata["usage_metadata"]["total_tokens"]


def test_below_a_caller_a_span_for_langsmith_is_in_the_callers_project() -> None:
    record = own("tool", started_wall=10**18)
    record.call.parent_run_id = record.call.root_run_id = 7
    record.call.above = Parent(7, 0, 7, root_run_id=7, started_wall=10**18, project="theirs")
    found = added(record, "langsmith", langsmith_project="shop")
    assert found["langsmith.trace.session_name"] == run_of(record, Settings(langsmith_project="shop")).session_name == "theirs"


def test_metadata_and_place_for_langsmith() -> None:
    parent = own("chain", started_wall=10**18).call
    record = own("tool", started_wall=10**18 + 5000)
    record.call.run_id, record.call.above, record.call.parent_run_id, record.call.root_run_id = 9, parent_ancestor(parent), 7, 7
    found = added(record, "langsmith")
    assert found["langsmith.span.dotted_order"].startswith(dotted_order_of(parent_ancestor(parent)) + ".")
    assert "langsmith.root_span" not in found
    assert "langsmith.trace.session_name" not in found
    assert [found[f"langsmith.metadata.{name}"] for name in ("team", "session_id", "user_id")] == ["search", "s1", "u7"]
    assert found["langsmith.span.tags"] == "a, b"
    assert found["input.value"] == '{"q":"in"}'
    hidden = added(record, "langsmith", langsmith_hide_inputs=True, langsmith_hide_outputs=True, langsmith_hide_metadata=True)
    assert {"input.value", "output.value"} & set(hidden) == set()
    assert [name for name in hidden if name.startswith("langsmith.metadata.")] == []


def parent_ancestor(call: Call) -> Any:
    return SimpleNamespace(run_id=call.run_id, started_wall=call.started_wall, above=None, dotted_order="", project="")


def test_attempts_are_children_in_every_dialect() -> None:
    call, first, second = backend_spans_of(failed(), Settings(dialects=tuple(DIALECTS)))
    for attempt in (first, second):
        assert attempt.attributes["langsmith.span.parent_id"] == call.attributes["langsmith.span.id"]
        order = str(attempt.attributes["langsmith.span.dotted_order"])
        assert order.startswith(f"{call.attributes['langsmith.span.dotted_order']}.")
        assert order.endswith(str(attempt.attributes["langsmith.span.id"]))
        assert str(attempt.attributes["langsmith.span.id"])[14] == "7"
        assert (attempt.attributes["openinference.span.kind"], attempt.attributes["langfuse.observation.type"]) == ("CHAIN", "span")
    assert first.attributes["langsmith.span.id"] != second.attributes["langsmith.span.id"]
    assert (
        backend_spans_of(failed(), Settings(dialects=("langsmith",)))[1].attributes["langsmith.span.id"]
        == first.attributes["langsmith.span.id"]
    )
