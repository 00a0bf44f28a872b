"""The real `langsmith` SDK is the reference: the same programs traced by it and by us, their runs compared field by field."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from langchain_core.tracers.langchain import LangChainTracer
from langchain_openai import ChatOpenAI as LangChainsChatOpenAI
from pydantic import BaseModel

from tests.integration.capture_support import PLAIN, STREAM, async_http_client, close_http_clients, create, helpers_of
from tests.integration.chat.chat_loopback import Loopback
from tests.integration.langsmith_programs import CHAT_PROGRAMS, LANGCHAIN_PROGRAMS, Kit, LangChainKit, OurKit
from tests.langsmith_allowed import EVERYWHERE, OF_CHAT_MODELS, OF_CLIENTS, OF_LANGCHAIN, OF_THE_QUICKSTART
from tests.langsmith_diff import ALLOWED, both, report
from tests.langsmith_fields import Allowed, Difference, complaints_about, differences, unexplained
from tests.langsmith_pairs import Json, Program, Reference, recorded, reference, with_recording
from tests.langsmith_version import AS_IT_IS_NOW
from tracer.capture.langchain_joining import leave_runs_alone, trace_every_run
from tracer.chat import ChatOpenAI
from tracer.export.langsmith.facts import runtime_json
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import load

pytestmark = [
    pytest.mark.filterwarnings("ignore::langsmith.utils.LangSmithMissingAPIKeyWarning", "ignore:.*LangGraph.*"),
    AS_IT_IS_NOW,
]


class Person(BaseModel):
    """What is parsed."""

    name: str


class City(BaseModel):
    """The same."""

    city: str
    country: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """A program over a recording."""

    recording: str
    program: Program
    asynchronous: bool = False
    behaviour: Behaviour | None = None


def whole(record_id: str, client: Any, **more: Any) -> None:
    result = create(client, record_id, **more)
    if hasattr(result, "__stream__"):
        for _ in result:
            pass


def whole_async(record_id: str, client: Any, **more: Any) -> None:
    async def main() -> None:
        try:
            result = await create(client, record_id, **more)
            if hasattr(result, "__stream__"):
                async for _ in result:
                    pass
        finally:
            await client.close()

    asyncio.run(main())


def left_early(client: Any) -> None:
    with create(client, STREAM) as stream:
        next(iter(stream))


def cancelled(client: Any) -> None:
    async def main() -> None:
        try:
            await asyncio.wait_for(create(client, PLAIN), 0.5)
        finally:
            await client.close()

    asyncio.run(main())


def parsed(client: Any) -> None:
    helpers_of(client).parse(model="m", messages=[{"role": "user", "content": "who?"}], response_format=Person)


def parsed_response(client: Any) -> None:
    helpers_of(client, "responses").parse(model="m", input="which city?", text_format=City)


def with_headers(client: Any) -> None:
    create(client, PLAIN, extra_headers={"X-Secret": "s"}, timeout=30)


def raw(client: Any) -> None:
    client.chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": "hi"}], stop="END", metadata={"team": "a"}
    )


ASYNC = (PLAIN, STREAM, "pydanticai.openai_responses.openai_responses_streaming_usage", "langsmith.openai_test_tool_call_chunking")

SCENARIOS: dict[str, Scenario] = {
    **{recording.id: Scenario(recording.id, partial(whole, recording.id)) for recording in load()},
    **{f"async {record_id}": Scenario(record_id, partial(whole_async, record_id), True) for record_id in ASYNC},
    "a stream left early": Scenario(STREAM, left_early),
    "cancelled": Scenario(PLAIN, cancelled, True, Behaviour(hang=1)),
    "parse": Scenario("openllmetry.chat_parse.async_parsed_refused_completion.0", parsed),
    "parse of responses": Scenario("pydanticai.bedrock_mantle.native_output", parsed_response),
    "headers and time-out of a call": Scenario(PLAIN, with_headers),
    "raw response": Scenario(PLAIN, raw),
}

Outcome = tuple[list[Json], list[Json]]
CLIENTS = (*EVERYWHERE, *OF_CLIENTS)
LANGCHAIN = (*EVERYWHERE, *OF_LANGCHAIN)
CHAT_MODELS = (*EVERYWHERE, *OF_LANGCHAIN, *OF_CHAT_MODELS)

needed: set[Allowed] = set()
"""Entries of the tables that some scenario needed."""
compared: set[str] = set()


@pytest.fixture(scope="module")
def sdk() -> Generator[Reference, None, None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with reference() as made:
            yield made


@pytest.fixture(scope="module")
def models() -> Generator[Loopback, None, None]:
    server = Loopback()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def libraries(monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    """None of the programs loads Anthropic's SDK; whether tests before these did is no matter of theirs."""
    told = ("openai", "langchain", "langchain-core", "langgraph")
    monkeypatch.setattr("tracer.export.langsmith.facts._LIBRARIES", told)
    runtime_json.cache_clear()
    yield
    runtime_json.cache_clear()


@pytest.fixture(autouse=True)
def connections() -> Generator[None, None, None]:
    yield
    asyncio.run(close_http_clients())


def check(name: str, outcome: Outcome, allowed: tuple[Allowed, ...]) -> list[Difference]:
    theirs, ours = outcome
    found = differences(theirs, ours)
    left, used = unexplained(found, allowed)
    needed.update(used)
    compared.add(name)
    assert left == [], "\n".join(map(str, left))
    assert complaints_about(ours) == []
    assert ours
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_runs_of_clients(sdk: Reference, name: str) -> None:
    scenario = SCENARIOS[name]
    more: Json = {} if scenario.behaviour is None else {"behaviour": scenario.behaviour}
    check(name, with_recording(sdk, scenario.recording, scenario.program, asynchronous=scenario.asynchronous, **more), CLIENTS)


def settings(server: Loopback) -> Json:
    return {"model": "gpt-4o-mini", "temperature": 0, "api_key": "k", "base_url": server.base_url, "max_retries": 0}


def langchains_kit(server: Loopback) -> LangChainKit:
    return LangChainKit(LangChainsChatOpenAI(**settings(server), http_async_client=async_http_client()))


def attempt(program: Callable[[Kit, Any], None], kit: Kit, config: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LangChain and LangGraph warn of their own ways.
        try:
            program(kit, config)
        except Exception as error:
            error.__traceback__ = None


@pytest.mark.parametrize("name", LANGCHAIN_PROGRAMS)
def test_runs_of_langchain(sdk: Reference, models: Loopback, name: str) -> None:
    """Its own tracer and we see the same runs, with the same ids."""
    kit = langchains_kit(models)
    with recorded() as ours:
        trace_every_run()
        try:
            attempt(LANGCHAIN_PROGRAMS[name], kit, {"callbacks": [LangChainTracer(client=sdk.client)], "tags": ["t"], "metadata": {"k": 1}})
        finally:
            leave_runs_alone()
    theirs = sdk.taken()
    assert {run["id"]: run.get("parent_run_id") for run in theirs} == {run["id"]: run.get("parent_run_id") for run in ours}
    check(f"langchain {name}", (theirs, ours), LANGCHAIN)


@pytest.mark.parametrize("name", CHAT_PROGRAMS)
def test_runs_of_our_chat_model(sdk: Reference, models: Loopback, name: str) -> None:
    """What LangChain's model of the same name is to its tracer."""
    program = CHAT_PROGRAMS[name]
    config = {"tags": ["t"], "metadata": {"k": 1}}
    tracer = LangChainTracer(client=sdk.client)
    attempt(program, langchains_kit(models), {**config, "callbacks": [tracer]})
    with recorded() as ours:
        attempt(program, OurKit(ChatOpenAI(**settings(models))), config)
    check(f"chat model {name}", (sdk.taken(), ours), CHAT_MODELS)


def test_the_quickstart_with_both() -> None:
    """What `make langsmith-diff` prints."""
    theirs, ours = both()
    found = differences(theirs, ours)
    left, used = unexplained(found, ALLOWED)
    assert left == [], "\n".join(map(str, left))
    assert complaints_about(ours) == []
    assert len(theirs) == len(ours) == 10
    assert set(OF_THE_QUICKSTART) <= used
    lines, well = report(theirs, ours)
    assert well
    assert lines[0] == "10 runs of LangSmith's own tracer, 10 of ours"
    assert lines[-1] == f"{len(found)} fields differ, 0 without a reason; 0 rules of ids and times are broken"
    assert "      Variables of the environment never leave." in lines
    # What has no reason is said, and all is not well then.
    ours[0]["name"] = "another"
    lines, well = report(theirs, ours)
    assert (well, lines.count("      NOT EXPLAINED")) == (False, 1)


def test_what_went_on_at_the_same_time_is_compared_by_its_inputs() -> None:
    def run(begin: int, end: int, asked: str) -> Json:
        number = f"{begin:06}"
        return {
            "id": f"00000000-0000-7000-8000-{number * 2}",
            "name": "ChatOpenAI",
            "dotted_order": f"20261123T082453{number}Z00000000-0000-7000-8000-{number * 2}",
            "start_time": f"2026-11-23T08:24:53.{number}+00:00",
            "end_time": f"2026-11-23T08:24:53.{end:06}+00:00",
            "inputs": {"asked": asked},
        }

    assert differences([run(1, 8, "one"), run(2, 9, "two")], [run(1, 8, "two"), run(2, 9, "one")]) == []
    # One after the other the order counts.
    assert len(differences([run(1, 3, "one"), run(4, 9, "two")], [run(1, 3, "two"), run(4, 9, "one")])) == 2


def test_every_allowed_difference_is_needed() -> None:
    """Last: an entry that nothing needs any more would hide a difference that is new."""
    everything = {*SCENARIOS, *(f"langchain {name}" for name in LANGCHAIN_PROGRAMS), *(f"chat model {name}" for name in CHAT_PROGRAMS)}
    if compared != everything:
        print("only some of the scenarios were run, so nothing can be said about the tables")
        pytest.skip("only some of the scenarios were run")
    tables = {*CLIENTS, *LANGCHAIN, *CHAT_MODELS}
    unneeded = sorted(entry.field for entry in tables - needed)
    assert not unneeded, "\n".join(unneeded)
