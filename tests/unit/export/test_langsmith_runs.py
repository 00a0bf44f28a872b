"""Runs of the LangSmith protocol: places in a trace, names, what is hidden, what is hostile, bytes that are not written again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from typing import Any
from uuid import UUID

import orjson
import pytest

import tracer
from tests.langsmith_fields import complaints_about
from tests.langsmith_pairs import delivered, recorded
from tests.support import record_into, runtime_put_back
from tracer.call import CANCELLED, COMPLETED, FAILED, LLM, STOPPED, Attempt, Call, Failure
from tracer.export.langsmith.places import place_of
from tracer.export.langsmith.run import LangSmithRun, run_of, start_of
from tracer.export.langsmith.usage import usage_metadata
from tracer.pipeline.readings import CallReader
from tracer.reading import read_call
from tracer.reading.generation import Generation, Usage
from tracer.runtime import begin_call, new_call
from tracer.scope import EMPTY, Parent, Scope, new_run_id, under
from tracer.settings import Settings

Json = dict[str, Any]
SECRET = "the secret"
WALL = 1_795_600_000_123_456_789


def json_of(run: LangSmithRun) -> Json:
    """Every part of it parsed, which is proof that it is JSON."""
    values = {item.name: getattr(run, item.name) for item in fields(run)}
    return {name: orjson.loads(value) if isinstance(value, bytes) else value for name, value in values.items()}


def chat_call(request: bytes = b'{"model":"m","messages":[]}', answer: bytes = b"{}", **more: Any) -> Call:
    run_id = new_run_id(WALL)
    given: Json = {"ending": COMPLETED, "attempts": [Attempt(0, status=200, request_body=request, response_body=answer)], **more}
    return Call(run_id, run_id, 1, kind=LLM, operation="chat", started_wall=WALL, started=1_000, ended=2_001_000, **given)


@pytest.fixture
def calls() -> Iterator[list[Call]]:
    with runtime_put_back():
        found: list[Call] = []
        record_into(found)
        yield found


# Places.


def test_a_place_names_every_ancestor_with_its_microseconds(calls: list[Call]) -> None:
    @tracer.trace
    def level(depth: int) -> None:
        if depth:
            level(depth - 1)

    level(4)
    places = [place_of(call) for call in calls][::-1]
    assert [len(place.dotted_order.split(".")) for place in places] == [1, 2, 3, 4, 5]
    assert all(below.dotted_order.startswith(f"{above.dotted_order}.") for above, below in pairwise(places))
    assert all(below.parent_run_id == above.id for above, below in pairwise(places))
    assert {place.trace_id for place in places} == {places[0].id}
    started = [call.started_wall // 1000 for call in calls][::-1]
    assert [int(segment[:8] + segment[9:21]) % 1_000_000 for segment in places[-1].dotted_order.split(".")] == [
        t % 1_000_000 for t in started
    ]
    assert [place.start for place in places] == started


def test_threads_tasks_and_siblings_have_the_right_places() -> None:
    @tracer.trace
    async def leaf(_: int) -> None:
        await asyncio.sleep(0)

    @tracer.trace
    async def root() -> None:
        await asyncio.gather(*(leaf(number) for number in range(5)))
        with tracer.trace("inner"):
            await asyncio.to_thread(lambda: asyncio.run(leaf(6)))

    with recorded() as runs:
        asyncio.run(root())
    assert complaints_about(runs) == []
    assert sorted(len(run["dotted_order"].split(".")) for run in runs) == [1, *[2] * 6, 3]


def test_a_clock_that_is_set_back_does_not_turn_a_trace_over(monkeypatch: pytest.MonkeyPatch, calls: list[Call]) -> None:
    walls = [WALL, WALL - 5_000_000_000, WALL - 9_000_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: walls.pop(0))
    with tracer.trace("root"), tracer.trace("child"), tracer.trace("grandchild"):
        pass
    starts = [start_of(call, Settings()) for call in calls]
    ends = [run_of(read_call(call), Settings()) for call in calls]
    assert {run.start_time for run in starts + ends} == {"2026-11-25T09:46:40.123456+00:00"}
    assert [run.dotted_order for run in starts] == [run.dotted_order for run in ends]
    assert complaints_about([json_of(run) for run in ends]) == []


def test_a_trace_goes_on_from_another_process(calls: list[Call]) -> None:
    order = "20261123T082453002678Z01a20782-0c0a-7940-a194-910cc8b1d75c.20261123T082453034292Z01a20782-0c2a-721c-b3c6-a8c44191d321"
    above = UUID("01a20782-0c2a-721c-b3c6-a8c44191d321").int
    root = UUID("01a20782-0c0a-7940-a194-910cc8b1d75c").int
    scope = Scope(Parent(root, 1, above, remote=True, root_run_id=root, dotted_order=order))
    call = begin_call(new_call(LLM, scope), scope)
    below = begin_call(new_call(LLM, under(call, scope)), EMPTY)
    for made, depth in ((call, 3), (below, 4)):
        place = place_of(made)
        assert place.dotted_order.startswith(f"{order}.")
        assert len(place.dotted_order.split(".")) == depth
        assert place.trace_id == "01a20782-0c0a-7940-a194-910cc8b1d75c"
    assert place_of(call).parent_run_id == "01a20782-0c2a-721c-b3c6-a8c44191d321"


def test_a_place_from_elsewhere_that_is_no_place_is_left_aside(calls: list[Call]) -> None:
    scope = Scope(Parent(7, 1, new_run_id(WALL), root_run_id=7, dotted_order="20261123T08Znonsense"))
    place = place_of(new_call(LLM, scope))
    assert len(place.dotted_order.split(".")) == 2
    assert place.parent_run_id == place.trace_id


# Names and beginnings.


@pytest.mark.parametrize(
    ("operation", "azure", "name"),
    [
        ("chat", False, "ChatOpenAI"),
        ("chat", True, "AzureChatOpenAI"),
        ("responses", False, "ChatOpenAI"),
        ("completions", False, "OpenAI"),
        ("embeddings", False, "OpenAIEmbeddings"),
        ("messages", False, "ChatAnthropic"),
        ("", False, "GET /models"),
    ],
)
def test_a_create_has_the_final_name_and_the_inputs(operation: str, azure: bool, name: str) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    call = chat_call(body, azure=azure, method="GET", path="/models")
    call.operation = operation
    begun, over = start_of(call, Settings()), run_of(read_call(call), Settings())
    assert begun.name == over.name == name
    assert begun.end_time is None
    if operation:
        assert begun.inputs == over.inputs == body
        metadata = orjson.loads(begun.extra)["metadata"]
        assert metadata["ls_model_name"] == "m"
        assert metadata["ls_provider"] == ("azure" if azure else "anthropic" if operation == "messages" else "openai")
    assert {item.name for item in fields(begun) if getattr(begun, item.name) != getattr(over, item.name)} <= {
        "end_time",
        "outputs",
        "extra",
        "error",
        "events",
        "inputs" if not operation else "outputs",
    }


# Bytes.


def test_a_request_is_not_written_again() -> None:
    body = b'{"model" : "m", "messages": [ {"role":"user","content":"hi"} ] }'
    assert run_of(read_call(chat_call(body)), Settings()).inputs is body
    asked = b'{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}'
    begun = chat_call(asked, streaming=True, asked_usage=True)
    assert run_of(read_call(begun), Settings()).inputs == b'{"model":"m","messages":[],"stream":true}'
    spaced = b'{"stream_options": {"include_usage": true, "x": 1}, "model": "m"}'
    begun = chat_call(spaced, streaming=True, asked_usage=True)
    assert json_of(run_of(read_call(begun), Settings()))["inputs"] == {"model": "m", "stream_options": {"x": 1}}


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}],"temperature":NaN}',
        b'{"model":"m","messages":"not a list","n":1e999}',
        b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}',
        b'{"model":"m","tools":[{"type":"mcp","authorization":"the secret","headers":{"a":"the secret"}}]}',
        b"\x00\x01",
        b"[1,2]",
        b'{"model":' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
    ids=["surrogate and NaN", "wrong kinds", "no UTF-8", "secrets", "no JSON", "a list", "deep"],
)
def test_odd_requests_arrive_as_json(body: bytes) -> None:
    call = chat_call(body, b'{"choices":[{"message":{"content":"\\udfff"},"x":NaN}],"usage":"many"}', tags=("\ud800",), name="n\udc00")
    (run,) = delivered([call])
    assert isinstance(run["inputs"], dict)
    assert run["outputs"]["choices"][0]["x"] is None
    assert run["name"] == "n\ufffd"
    assert run["tags"] == ["\ufffd"]
    assert SECRET not in repr(run)


class Hostile:
    """Refuses to be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def test_hostile_values_arrive_with_a_mark() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)

    @tracer.trace
    def run(**_: Any) -> Any:
        raise ValueError(Hostile())

    with recorded() as runs:
        with contextlib.suppress(ValueError):
            run(cycle=cycle, hostile=Hostile(), surrogate="a\ud800", number=float("nan"), huge=10**400, keys={(1, 2): 3})
        with tracer.trace("own") as own:
            own.add_metadata(cycle=cycle, hostile=Hostile())
            own.set_output(Hostile())
    first, second = sorted(runs, key=lambda made: str(made["name"]) == "own")
    text = orjson.dumps([first["inputs"], second["outputs"], second["extra"]["metadata"]]).decode()
    assert "(a cycle)" in text
    assert "that cannot be shown" in text
    assert "\\ud800" not in text
    assert first["error"]


# What is hidden.


def texts(call: Call, **settings: Any) -> str:
    made = Settings(**settings)
    return repr([json_of(run_of(read_call(call), made)), json_of(start_of(call, made))])


@pytest.mark.parametrize("what", ["hide inputs", "hide outputs", "content off"])
def test_hidden_content_is_in_no_part_of_a_run(what: str) -> None:
    request = orjson.dumps(
        {
            "model": "m",
            "messages": [{"role": "user", "content": SECRET}],
            "stop": [SECRET],
            "response_format": {"type": "json_schema", "json_schema": {"name": SECRET}},
            "prediction": {"content": SECRET},
            "metadata": {"note": SECRET},
        }
    )
    failure = Failure("openai.BadRequestError", SECRET, shown=f"BadRequestError({SECRET!r})")
    for chat_model in (False, True):
        call = chat_call(request, b'{"choices":[]}', ending=FAILED, failure=failure, by_chat_model=chat_model)
        assert SECRET in texts(call)
        if what == "content off":
            call.content_inputs = call.content_outputs = False
            text = texts(call)
        else:
            text = texts(call, langsmith_hide_inputs=what == "hide inputs", langsmith_hide_outputs=what == "hide outputs")
        if what != "hide outputs":
            assert SECRET not in text
        run = json_of(run_of(read_call(call), Settings(langsmith_hide_outputs=True)))
        assert run["error"] == "openai.BadRequestError"


def test_what_is_masked_does_not_come_back_with_the_bytes_of_the_request() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"key sk-proj-0123456789abcdefghij0123456789abcdefghij"}]}'
    for call in (chat_call(body), chat_call(body, by_chat_model=True)):
        record = CallReader(Settings(mask=("secrets",))).read(call)
        run = json_of(run_of(record, Settings()))
        assert "0123456789abcdefghij" not in repr(run)
        assert "key " in repr(run["inputs"])


def test_another_endpoint_is_no_model_and_shows_no_ids() -> None:
    call = chat_call(b"{}", b'{"id":"file-1"}', method="GET", path="/files/file-1", template="/files/{id}")
    call.kind, call.operation = "request", "endpoint"
    run = json_of(run_of(read_call(call), Settings()))
    assert (run["name"], run["run_type"]) == ("GET /files/{id}", "chain")
    assert "ls_model_type" not in run["extra"]["metadata"]


def test_answers_are_hidden_with_their_usage_kept() -> None:
    answer = orjson.dumps(
        {
            "choices": [{"index": 0, "message": {"content": SECRET}}],
            "usage": {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 9},
        }
    )
    for chat_model in (False, True):
        call = chat_call(answer=answer, by_chat_model=chat_model)
        text = texts(call, langsmith_hide_outputs=True)
        assert SECRET not in text
        # The total is the sum, whatever was reported.
        assert "'usage_metadata': {'input_tokens': 2, 'output_tokens': 1, 'total_tokens': 3," in text


# What else stands in a run.


def test_session_user_attributes_and_how_it_ended_stand_in_the_metadata() -> None:
    for ending in (STOPPED, CANCELLED):
        call = chat_call(ending=ending, session="s1", user="u1", metadata={"team": "a"}, attributes={"shade": "blue"})
        run = json_of(run_of(read_call(call), Settings()))
        metadata = run["extra"]["metadata"]
        assert {"session_id": "s1", "user_id": "u1", "team": "a", "shade": "blue", "tracer.outcome": ending}.items() <= metadata.items()
        assert run["error"] is None
    runtime = run["extra"]["runtime"]
    assert {"sdk": "chat-tracer", "runtime": "python"}.items() <= runtime.items()


def test_no_variable_of_the_environment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGSMITH_FOO", "LANGCHAIN_BAR", "GITHUB_SHA", "OPENAI_API_KEY", "LANGSMITH_ENDPOINT"):
        monkeypatch.setenv(name, "value-of-the-environment")
    with recorded() as runs, tracer.trace("root"):
        pass
    assert "value-of-the-environment" not in repr(runs)


def test_usage_of_a_tier_with_its_own_prices() -> None:
    generation = Generation(usage=Usage(input=10, output=6, cache_read=3, reasoning=2), response_service_tier="flex")
    assert usage_metadata(generation) == {
        "input_tokens": 10,
        "output_tokens": 6,
        "total_tokens": 16,
        "input_token_details": {"flex_cache_read": 3, "flex": 7},
        "output_token_details": {"flex_reasoning": 2, "flex": 4},
    }


def test_usage_that_was_written_to_a_cache() -> None:
    usage = usage_metadata(Generation(usage=Usage(input=10, output=6, cache_write=5, cache_write_hour=2)))
    assert usage is not None
    assert usage["input_token_details"] == {"cache_creation": 3, "ephemeral_1h_input_tokens": 2}
    assert usage_metadata(Generation(usage=Usage(reasoning=2))) is None
