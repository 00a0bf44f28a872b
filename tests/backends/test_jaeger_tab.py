"""What the GenAI tab of Jaeger's user interface (2.20 and newer) reads is there, in a real Jaeger, in the shape in which it reads it.

The binary that can be built has no user interface; the shapes below are those that the tab's source reads (`jaeger-ui`, its GenAI view).
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from typing import Any
from urllib.parse import quote

import pytest

from tests.backends.dashboard_run import Row, rows_of
from tests.backends.programs import Stack, environment, get, poll

PROGRAM = """
import anthropic, openai, tracer
from tracer.replay.server import ReplayServer
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import load
from tracer.replay.sdk import call_arguments, client_arguments

LONG = "Zürich 😀 " * 2000
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo" * 300}}
MESSAGES = [
    {"role": "system", "content": "Answer briefly. " + LONG},
    {"role": "developer", "content": "No jokes."},
    {"role": "user", "content": [{"type": "text", "text": LONG}, IMAGE]},
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Zürich"}'}}]},
    {"role": "tool", "tool_call_id": "c1", "content": '{"sunny": true}'},
    {"role": "user", "content": "So?"},
]

def ask(server, recording, behaviour=None, messages=None):
    client = openai.OpenAI(**client_arguments(server, recording, behaviour))
    function = tracer.wrap(client).chat.completions.create
    arguments = call_arguments(recording, function)
    try:
        answer = function(**{**arguments, **({"messages": messages} if messages else {})})
        if hasattr(answer, "__next__"):
            for piece in answer: pass
    except openai.APIError:
        pass

def ask_anthropic(server, recording):
    function = tracer.wrap(anthropic.Anthropic(**client_arguments(server, recording))).messages.create
    try:
        answer = function(**call_arguments(recording, function))
        if hasattr(answer, "__next__"):
            for piece in answer: pass
    except anthropic.APIError:
        pass

with ReplayServer() as server:
    with tracer.trace("helper", kind="agent"):
        for recording in load():
            if recording.api == "chat" and not recording.azure:
                ask(server, recording)
        for recording in load("anthropic"):
            ask_anthropic(server, recording)
        chats = [item for item in load() if item.api == "chat" and not item.azure and item.status == 200]
        ask(server, chats[0], messages=MESSAGES)
        for status in (400, 401, 429, 500):
            ask(server, chats[0], Behaviour(fail=9, status=status))
        ask(server, next(item for item in chats if item.streamed), Behaviour(cut=1))
        with tracer.trace("weather", kind="tool") as tool:
            tool.set_input({"city": "Zürich"})
            tool.set_output({"sunny": True})
        try:
            with tracer.trace("forecast", kind="tool"):
                raise LookupError("no such city")
        except LookupError:
            pass
"""

ROLES = {"system", "user", "assistant", "tool", "developer"}
"""The first four have a label of their own in the tab; developer, which OpenAI's interface has beside system, is shown without one."""
LONG = 2000 * len("Zürich 😀 ")
PARTS = {
    "text": {"content"},
    "reasoning": {"content"},
    "tool_call": {"name", "arguments"},
    "tool_call_response": {"response"},
    "server_tool_call": set[str](),
    "server_tool_call_response": set[str](),
    "compaction": set[str](),
    "blob": set[str](),
    "file": set[str](),
    "uri": set[str](),
}
"""The kinds of parts that the tab knows, and the fields of each that it reads."""


class Tab:
    """A span as the tab sees it: attributes by name, from `/api/traces`."""

    def __init__(self, span: dict[str, Any]) -> None:
        self.id: str = span["spanID"]
        self.tags: dict[str, Any] = {tag["key"]: tag["value"] for tag in span["tags"]}

    def messages(self, name: str) -> list[dict[str, Any]]:
        return json.loads(self.tags.get(name, "[]"))


@pytest.fixture(scope="module", params=["whole", "shortened"])
def shown(request: pytest.FixtureRequest, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Tab], list[Row]]:
    """Service, spans in Jaeger, and what was recorded: of a run whose contents are complete, and of one that may keep little of them."""
    service = f"tab-{uuid.uuid4().hex[:6]}"
    store = tmp_path_factory.mktemp("tab") / "store.sqlite"
    limit = {"TRACER_MAX_CONTENT": "4096"} if request.param == "shortened" else {}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=stack.otlp,
            TRACER_LOCAL=str(store),
            TRACER_QUIET="true",
            TRACER_EXIT_TIMEOUT="30",
            OTEL_SERVICE_NAME=service,
            PYTHONWARNINGS="ignore",  # Of the SDK, about models of the recordings.
            **limit,
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = list(rows_of(store, service))
    spans = poll(lambda: found if len(found := _found(stack, service)) >= len(rows) else None)
    texts = [
        part.get("content", "") for span in spans.values() for item in span.messages("gen_ai.input.messages") for part in item["parts"]
    ]
    assert (max(map(len, texts)) >= LONG) == (request.param == "whole")
    return service, spans, rows


def _found(stack: Stack, service: str, tags: dict[str, str] | None = None) -> dict[str, Tab]:
    chosen = f"&tags={quote(json.dumps(tags))}" if tags else ""
    traces = get(f"{stack.jaeger}/api/traces?service={service}&lookback=1h&limit=200{chosen}")["data"]
    return {span["spanID"]: Tab(span) for trace in traces for span in trace["spans"]}


Shown = tuple[str, dict[str, Tab], list[Row]]


def test_every_message_has_the_shape_that_is_read(shown: Shown) -> None:
    _, spans, _ = shown
    kinds: set[str] = set()
    roles: set[str] = set()
    for span in spans.values():
        for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
            for message in span.messages(name):
                roles.add(message["role"])
                for part in message["parts"]:
                    kinds.add(part["type"])
                    assert PARTS[part["type"]] <= part.keys(), part
        assert isinstance(span.messages("gen_ai.system_instructions"), list)
        assert isinstance(span.messages("gen_ai.tool.definitions"), list)
    assert roles <= ROLES
    assert roles >= {"user", "assistant", "tool"}
    assert kinds >= {"text", "tool_call", "tool_call_response", "blob"}


def test_fields_that_the_tab_shows_are_those_recorded(shown: Shown) -> None:
    _, spans, rows = shown
    fields = (
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.agent.name",
        "gen_ai.tool.name",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
    )
    for name in fields:
        recorded = {row.span_id: row.get(name) for row in rows if name in row.attributes}
        assert recorded, name
        assert {span.id: span.tags[name] for span in spans.values() if name in span.tags} == recorded


def test_icons_can_be_told_from_operations(shown: Shown) -> None:
    _, spans, _ = shown
    operations = {span.tags.get("gen_ai.operation.name") for span in spans.values()}
    assert operations >= {"chat", "execute_tool", "invoke_agent"}
    attempts = [span for span in spans.values() if not any(name.startswith("gen_ai.") for name in span.tags)]
    assert all("http.response.status_code" in span.tags for span in attempts)


def test_every_failed_span_is_found_by_its_error_type(stack: Stack, shown: Shown) -> None:
    """Jaeger's search does not find `error=true` or a status."""
    service, spans, rows = shown
    failed = [row for row in rows if row.outcome == "failed"]
    assert len({row.get("error.type") for row in failed}) > 5
    for row in failed:
        error = str(row.get("error.type"))
        # The search gives whole traces: the spans in them that have the tag.
        found = {span.id for span in _found(stack, service, {"error.type": error}).values() if str(span.tags.get("error.type")) == error}
        assert row.span_id in found
    marked = {span.id for span in spans.values() if span.tags.get("error") is True}
    with_type = {span.id for span in spans.values() if "error.type" in span.tags}
    assert {row.span_id for row in failed} <= marked
    assert marked <= with_type
