"""`tracer demo`: the main job, run as a user runs it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tracer.cli import demo_program
from tracer.replay.recordings import by_id
from tracer.replay.vectors import as_asked
from tracer.settings import VARIABLES

RESPONSES = int(importlib.util.find_spec("openai.resources.responses") is not None)
"""The call through the Responses API, which the oldest SDKs do not have."""

# Runs the demo and reports, on the last line of stderr, every address that the process looked up or connected to.
PROBE = """
import json, sys
seen = set()
def watch(event, arguments):
    if event == "socket.connect":
        seen.add(str(arguments[1][0] if isinstance(arguments[1], tuple) else arguments[1]))
    elif event == "socket.getaddrinfo":
        seen.add(str(arguments[0]))
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wxa+"):
        seen.add("file:" + str(arguments[0]))
sys.addaudithook(watch)
from tracer.cli.main import main
status = main(sys.argv[1:])
print(json.dumps(sorted(seen)), file=sys.stderr)
sys.exit(status)
"""


def _environment(folder: Path, **more: str) -> dict[str, str]:
    ours = {name for variable in VARIABLES for name in variable.names}
    kept = {name: value for name, value in os.environ.items() if name not in ours and not name.lower().endswith("_proxy")}
    kept.pop("OPENAI_API_KEY", None)
    kept.pop("OPENAI_BASE_URL", None)
    return {**kept, "HOME": str(folder / "home"), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "error", **more}


def _run(folder: Path, *arguments: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    command = [sys.executable, "-c", PROBE, *arguments]
    own = _environment(folder, **environment)
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=120, check=False)
    lines = done.stderr.splitlines()
    return done, json.loads(lines[-1]) if lines and lines[-1].startswith("[") else []


def _spans(folder: Path, store: str = ".demo/traces.sqlite") -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tracer", "show", "--json", "--content", "--store", store]
    done = subprocess.run(command, cwd=folder, env=_environment(folder), capture_output=True, text=True, timeout=60, check=True)
    (trace,) = json.loads(done.stdout)
    return trace["spans"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str], list[str]]:
    """The demo run once, in a shell whose settings all point elsewhere."""
    folder = tmp_path_factory.mktemp("demo")
    done, seen = _run(
        folder,
        "demo",
        HTTP_PROXY="http://127.0.0.1:9",
        HTTPS_PROXY="http://127.0.0.1:9",
        ALL_PROXY="http://127.0.0.1:9",
        OPENAI_BASE_URL="http://192.0.2.1/v1",
        LANGSMITH_TRACING="true",
        LANGSMITH_API_KEY="key",
        LANGSMITH_ENDPOINT="http://192.0.2.1",
        OTEL_SDK_DISABLED="true",
        OTEL_TRACES_SAMPLER="always_off",
        TRACER_ENABLED="false",
        TRACER_LOCAL="elsewhere.sqlite",
        TRACER_CONSOLE="true",
    )
    assert done.returncode == 0, done.stderr
    return folder, done, seen


def test_it_contacts_loopback_only_and_stays_in_its_folder(demo: tuple[Path, Any, list[str]]) -> None:
    folder, _, seen = demo
    addresses = {item for item in seen if not item.startswith("file:")}
    assert addresses == {"127.0.0.1"}
    files = {item.removeprefix("file:") for item in seen if item.startswith("file:")} - {os.devnull}
    assert [name for name in files if "/.demo/" not in name] == []
    assert [item.name for item in folder.iterdir()] == [".demo"]


def test_the_picture_has_everything(demo: tuple[Path, subprocess.CompletedProcess[str], list[str]]) -> None:
    text = demo[1].stdout
    for words in (
        f"{8 + RESPONSES} model calls · 1 failed",
        "session demo · user demo-user · demo",
        "└── answer question",
        "embeddings text-embedding-3-small",
        "53→15 tokens",
        "execute_tool get_capital",
        "first chunk",
        "stopped after 5 chunks",
        "attempt 3",
        "after waiting",
        "failed: model_not_found",
        "show --store .demo/traces.sqlite",
        "http://localhost:16686",
        "show --store .demo/traces.sqlite --content --html .demo/trace.html",
    ):
        assert words in text
    assert demo[1].stderr.count("\n") == 1


def test_every_way_of_calling_is_recorded(demo: tuple[Path, Any, list[str]]) -> None:
    spans = _spans(demo[0])
    tree = [(span["depth"], span["name"], span["kind"], span["outcome"]) for span in spans]
    assert tree[:-2] == [
        (0, "answer question", "chain", "completed"),
        (1, "retrieval find documents", "retriever", "completed"),
        (2, "embeddings text-embedding-3-small", "embedding", "completed"),
        (1, "look up capital", "chain", "completed"),
        (2, "chat gpt-4o-mini", "llm", "completed"),
        (2, "execute_tool get_capital", "tool", "completed"),
        (1, "report weather", "chain", "completed"),
        (2, "chat zai/GLM-5.2", "llm", "completed"),
        *[(1, "chat openai.gpt-5.6-luna", "llm", "completed")] * RESPONSES,
        (1, "chat gpt-4o-2024-08-06", "llm", "stopped"),
        (1, "chat gpt-4o-mini", "llm", "completed"),
        (2, "attempt", "attempt", "failed"),
        (2, "attempt", "attempt", "failed"),
        (2, "attempt", "attempt", "completed"),
        (1, "chat gpt-5.2-proo", "llm", "failed"),
        (1, "ask two at once", "chain", "completed"),
    ]
    assert set(tree[-2:]) == {(2, "chat gpt-4", "llm", "completed"), (2, "chat qwen/qwen3-32b", "llm", "completed")}
    assert all(span["session"] == "demo" and span["user"] == "demo-user" for span in spans if span["kind"] != "attempt")
    by_model = {span["model"]: span for span in spans if (span["kind"] == "llm" and span["depth"] != 1) or span["outcome"] == "stopped"}
    streamed = by_model["gpt-4"]
    assert (streamed["input_tokens"], streamed["output_tokens"]) == (12, 5)
    assert streamed["cost"] > 0
    assert streamed["time_to_first_chunk"] > 0
    assert streamed["content"]["output_messages"][0]["parts"] == [{"type": "text", "content": "This is a test."}]
    assert by_model["gpt-4o-2024-08-06"]["input_tokens"] is None
    tool_call = by_model["gpt-4o-mini"]["content"]["output_messages"][0]["parts"][0]
    assert (tool_call["name"], tool_call["arguments"]) == ("get_capital", {"country": "UK"})
    tool = next(span for span in spans if span["kind"] == "tool")
    assert tool["content"] == {"arguments": {"country": "UK"}, "result": "London"}


def test_an_sdk_without_the_responses_api_is_not_asked_for_it() -> None:
    class Clients:
        def client(self, _record: str) -> Any:
            return nullcontext(object())

    assert demo_program.extract_city(cast("Any", Clients())) is None


def test_it_also_exports_where_the_environment_says(tmp_path: Path) -> None:
    received: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Quiet."""

    with _serving(Receiver) as server:
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        done, _ = _run(tmp_path, "demo", "--store", "own.sqlite", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert done.returncode == 0, done.stderr
    assert f"the spans also went to {endpoint}" in done.stdout
    sent = [
        span.span_id.hex()
        for body in received
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert sorted(sent) == sorted(span["span_id"] for span in _spans(tmp_path, "own.sqlite"))
    assert not (tmp_path / ".demo").exists()


class _serving:  # noqa: N801
    """A server of that handler on loopback for a `with` block."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> ThreadingHTTPServer:
        self._thread.start()
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_live_needs_a_key(tmp_path: Path) -> None:
    done, seen = _run(tmp_path, "demo", "--live")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("tracer: --live needs the environment variable OPENAI_API_KEY")
    assert done.stdout == ""
    assert seen == []
    assert list(tmp_path.iterdir()) == []


class _FakeService(BaseHTTPRequestHandler):
    """Stands for the real API: checks what a strict service would refuse, and answers from recordings."""

    protocol_version = "HTTP/1.1"
    requests: list[dict[str, Any]]

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.requests.append({"key": self.headers["authorization"], "path": self.path, **request})
        recording = by_id(self._choose(request))
        body = as_asked(recording.body.encode(), request) if recording.api == "embeddings" else recording.body.encode()
        self.send_response(recording.status)
        self.send_header("content-type", recording.headers["content-type"])
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _choose(self, request: dict[str, Any]) -> str:
        if self.path.endswith("/embeddings"):
            return demo_program.EMBEDDINGS
        if self.path.endswith("/responses"):
            return demo_program.STRUCTURED
        if request["model"] != "gpt-4o-mini":
            return demo_program.NO_SUCH_MODEL
        if request.get("stream"):
            return demo_program.TOOL_CALL_STREAM if request.get("tools") else demo_program.STREAM
        return demo_program.SHORT

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""


@pytest.fixture
def service() -> Iterator[str]:
    _FakeService.requests = []
    with _serving(_FakeService) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"


def test_live_asks_the_service_with_a_cheap_model_and_plain_requests(tmp_path: Path, service: str) -> None:
    done, _ = _run(tmp_path, "demo", "--live", OPENAI_API_KEY="sk-real", OPENAI_BASE_URL=service)
    assert done.returncode == 0, done.stderr
    assert "came from the real OpenAI API" in done.stdout
    assert "sk-real" not in done.stdout + done.stderr
    requests = _FakeService.requests
    assert len(requests) == 7 + RESPONSES
    assert {request["key"] for request in requests} == {"Bearer sk-real"}
    assert [request["model"] for request in requests if request["path"].endswith("/chat/completions")].count("gpt-4o-mini") == 5
    for request in requests:
        extra = set(request) & {"reasoning", "include", "extra_body", "service_tier", "reasoning_effort"}
        assert not extra
        messages = cast("list[dict[str, Any]]", request.get("messages", []))
        assert not [message for message in messages if "reasoning" in message]
        if request["path"].endswith("/chat/completions"):
            assert request["max_completion_tokens"] <= 100


def test_a_live_demo_that_fails_says_so(tmp_path: Path) -> None:
    done, _ = _run(tmp_path, "demo", "--live", OPENAI_API_KEY="sk-real", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert done.returncode == 1
    assert "the demo could not go on: Connection error." in done.stderr
    assert "Traceback" not in done.stderr
