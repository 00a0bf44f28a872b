"""Recorded traffic with `TRACER_DIALECT=otel,phoenix` in a real Arize Phoenix: read back by its APIs, it is what was recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.backends.programs import environment, get, local, poll, running
from tests.support import closed_port
from tools.backends.phoenix import COMMAND, PHOENIX
from tracer.replay.recordings import by_id
from tracer.store.reader import StoreReader

START_SECONDS = 300.0
"""It takes half a minute on a free machine, several on a busy one."""

PROGRAM = """
import anthropic, openai, tracer
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import load
from tracer.replay.sdk import call_arguments, client_arguments
from tracer.replay.server import ReplayServer

def ask(server, recording, behaviour=None, **more):
    kind = anthropic.Anthropic if recording.anthropic else openai.OpenAI
    client = tracer.wrap(kind(**{**client_arguments(server, recording, behaviour), **more}))
    if recording.api == "chat":
        function = client.chat.completions.create
    else:
        function = getattr(client, recording.api).create
    try:
        with tracer.context(metadata={"recording": recording.id}):
            answer = function(**call_arguments(recording, function))
        if hasattr(answer, "__next__"):
            for piece in answer: pass
    except (openai.APIError, anthropic.APIError):
        pass

with ReplayServer() as server:
    asked = [item for item in [*load(), *load("anthropic")] if item.api != "completions" and not item.azure]
    with tracer.context(session="s1", user="u7", tags=["beta", "eu"], metadata={"plan": "frei 😀"}):
        with tracer.trace("planner", kind="agent") as run:
            run.set_input({"question": "what is it like?"})
            with tracer.trace("look up", kind="tool") as tool:
                tool.set_input({"city": "Köln"})
                tool.set_output("rain")
            for recording in asked:
                ask(server, recording)
            ask(server, asked[0], Behaviour(fail=1, status=503), max_retries=2)
            ask(server, asked[0], Behaviour(fail=9, status=400), max_retries=0)
            run.set_output("wet")
    print(run.trace_id)
assert tracer.flush(60)
account = tracer.status()["destinations"]["otlp"]
assert (account["dropped"], account["queued"]) == ({}, 0), account
"""


@dataclass(slots=True)
class Told:
    """What the program recorded into its local store, and what Phoenix has of it, both by span id."""

    rows: dict[str, dict[str, Any]]
    spans: dict[str, dict[str, Any]]
    address: str


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not PHOENIX.made:
        pytest.skip(f"needs arize-phoenix: `{COMMAND}` brings it (one CPU minute, 0.9 GB once; needs uv)")
    folder = tmp_path_factory.mktemp("phoenix")
    web, grpc = closed_port(), closed_port()
    with running(
        str(PHOENIX.folder / "bin" / "phoenix"),
        ["serve"],
        folder,
        f"http://{local(web)}/healthz",
        {
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(web),
            "PHOENIX_GRPC_PORT": str(grpc),
            "PHOENIX_WORKING_DIR": str(folder),
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "HOME": str(folder),
        },
        seconds=START_SECONDS,
    ):
        yield f"http://{local(web)}"


@pytest.fixture(scope="module")
def told(phoenix: str, tmp_path_factory: pytest.TempPathFactory) -> Told:
    store = tmp_path_factory.mktemp("store") / "calls.sqlite"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env=environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=phoenix,
            OTEL_SERVICE_NAME="shop",
            TRACER_DIALECT="otel,phoenix",
            TRACER_LOCAL=os.fspath(store),
            TRACER_QUIET="true",
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = _stored(store)

    def arrived() -> dict[str, dict[str, Any]] | None:
        data = get(f"{phoenix}/v1/projects/default/spans?limit=1000")["data"]
        return {span["context"]["span_id"]: span for span in data} if len(data) >= len(rows) else None

    return Told(rows, poll(arrived), phoenix)


def _stored(path: Path) -> dict[str, dict[str, Any]]:
    with StoreReader(path) as store:
        return {
            span.span_id: {
                "name": span.name,
                "parent": span.parent_span_id,
                "outcome": span.outcome,
                "attributes": json.loads(span.attributes),
            }
            for trace in store.traces(10)
            for span in trace.spans
        }


def ask_graphql(address: str, query: str) -> Any:
    request = urllib.request.Request(
        f"{address}/graphql", json.dumps({"query": query}).encode(), {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        body = json.loads(answer.read())
    assert "errors" not in body, body
    return body["data"]


KINDS = {"chat": "LLM", "embeddings": "EMBEDDING", "execute_tool": "TOOL", "invoke_agent": "AGENT", None: "CHAIN"}


def test_every_span_is_there_in_its_place(told: Told) -> None:
    assert set(told.spans) == set(told.rows)
    for span_id, row in told.rows.items():
        span = told.spans[span_id]
        assert (span["name"], span["parent_id"]) == (row["name"], row["parent"])
        assert span["span_kind"] == KINDS[row["attributes"].get("gen_ai.operation.name")]
        assert (span["status_code"] == "ERROR") is (row["outcome"] == "failed")
        # The names of the conventions came along unchanged.
        texts = {name: value for name, value in row["attributes"].items() if name.startswith("gen_ai.") and isinstance(value, str)}
        assert {name: span["attributes"].get(name) for name in texts} == texts


def _texts(messages: str) -> list[str]:
    return [part["content"] for message in json.loads(messages) for part in message["parts"] if part["type"] == "text"]


def _seen(attributes: dict[str, Any], side: str, ending: str) -> list[str]:
    return [str(value) for name, value in attributes.items() if name.startswith(f"llm.{side}_messages.") and name.endswith(ending)]


def test_prompts_and_answers_are_shown(told: Told) -> None:
    compared = 0
    for span_id, row in told.rows.items():
        attributes = told.spans[span_id]["attributes"]
        for side in ("input", "output"):
            messages = row["attributes"].get(f"gen_ai.{side}.messages")
            if row["attributes"].get("gen_ai.operation.name") != "chat" or messages is None:
                continue
            seen = _seen(attributes, side, ".content") + _seen(attributes, side, "message_content.text")
            assert [text for text in _texts(messages) if text and text not in seen] == []
            compared += 1
    assert compared > 60


def test_the_recorded_exchange_itself_is_found_again(told: Told) -> None:
    by_recording: dict[str, dict[str, Any]] = {}
    for span in told.spans.values():
        recorded = span["attributes"].get("metadata.recording")
        if span["status_code"] != "ERROR" and recorded:
            by_recording.setdefault(recorded, span)
    compared = 0
    for name, span in by_recording.items():
        recording = by_id(name)
        if recording.streamed or recording.api != "chat" or recording.status >= 400:
            continue
        body, attributes = json.loads(recording.body), span["attributes"]
        for index, message in enumerate(recording.request["messages"]):
            assert attributes[f"llm.input_messages.{index}.message.role"] == message["role"]
            if isinstance(message.get("content"), str) and message["content"]:
                assert attributes[f"llm.input_messages.{index}.message.content"] == message["content"]
        answer = body["choices"][0]["message"]
        if answer.get("content"):
            assert answer["content"] in _seen(attributes, "output", ".content") + _seen(attributes, "output", "message_content.text")
        for index, call in enumerate(answer.get("tool_calls") or []):
            prefix = f"llm.output_messages.0.message.tool_calls.{index}.tool_call"
            assert attributes[f"{prefix}.function.name"] == call["function"]["name"]
            assert json.loads(attributes[f"{prefix}.function.arguments"]) == json.loads(call["function"]["arguments"])
            assert attributes[f"{prefix}.id"] == call["id"]
        offered = [value for key, value in attributes.items() if key.startswith("llm.tools.")]
        assert len(offered) == len(recording.request.get("tools", recording.request.get("functions", [])))
        assert attributes["llm.token_count.prompt"] == body["usage"]["prompt_tokens"]
        assert attributes["llm.token_count.completion"] == body["usage"]["completion_tokens"]
        compared += 1
    assert compared >= 10


def test_tools_and_agents_show_what_went_in_and_out(told: Told) -> None:
    (tool,) = [span["attributes"] for span in told.spans.values() if span["span_kind"] == "TOOL"]
    assert tool["tool.name"] == "look up"
    assert json.loads(tool["input.value"]) == {"city": "Köln"}
    assert json.loads(tool["output.value"]) == "rain"
    (agent,) = [span["attributes"] for span in told.spans.values() if span["span_kind"] == "AGENT"]
    assert json.loads(agent["input.value"]) == {"question": "what is it like?"}
    assert agent["agent.name"] == "planner"
    assert (agent["session.id"], agent["user.id"], agent["tag.tags"]) == ("s1", "u7", ["beta", "eu"])


def test_tokens_sessions_and_users_are_counted_by_phoenix_itself(told: Told) -> None:
    query = """{ projects(first: 10) { edges { node { name traceCount recordCount tokenCountTotal sessions(first: 10) { edges { node {
        sessionId numTraces firstInput { value } lastOutput { value } tokenUsage { prompt completion total } } } } } } } }"""
    (project,) = [edge["node"] for edge in ask_graphql(told.address, query)["projects"]["edges"]]
    counted = {
        side: sum(
            row["attributes"].get(f"gen_ai.usage.{side}_tokens", 0)
            for row in told.rows.values()
            # Phoenix adds up the tokens of language models, not those of embeddings.
            if row["attributes"].get("gen_ai.operation.name") == "chat"
        )
        for side in ("input", "output")
    }
    assert (project["name"], project["traceCount"], project["recordCount"]) == ("default", 1, len(told.rows))
    assert project["tokenCountTotal"] == sum(counted.values()) > 0
    (session,) = [edge["node"] for edge in project["sessions"]["edges"]]
    assert (session["sessionId"], session["numTraces"]) == ("s1", 1)
    assert json.loads(session["firstInput"]["value"]) == {"question": "what is it like?"}
    assert json.loads(session["lastOutput"]["value"]) == "wet"
    assert session["tokenUsage"] == {"prompt": counted["input"], "completion": counted["output"], "total": sum(counted.values())}
