"""A loopback imitation of a LangSmith-style API: it takes runs in every form, is strict about it, counts, and can be in trouble."""

from __future__ import annotations

import gzip
import re
import socket
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs
from uuid import UUID

import orjson
import zstandard

from tests.support import PATIENCE, running_server

Json = dict[str, Any]
PARTS = ("inputs", "outputs", "events", "extra", "error", "serialized")
FEEDBACK_MUST = ("id", "run_id", "key", "created_at", "modified_at", "feedback_source")
FEEDBACK_MAY = {*FEEDBACK_MUST, "trace_id", "score", "value", "comment", "correction", "extra"}
MUST = ("id", "trace_id", "dotted_order", "name", "run_type", "start_time", "session_name")

FULL: Json = {
    "version": "0.18.3",
    "batch_ingest_config": {"use_multipart_endpoint": True, "size_limit": 100, "size_limit_bytes": 20_971_520},
    "instance_flags": {"zstd_compression_enabled": True},
}
NO_ZSTD: Json = {**FULL, "instance_flags": {"zstd_compression_enabled": False}}
BATCH_ONLY: Json = {**FULL, "batch_ingest_config": {"use_multipart_endpoint": False, "size_limit": 100, "size_limit_bytes": 20_971_520}}
SMALL: Json = {**FULL, "batch_ingest_config": {"use_multipart_endpoint": True, "size_limit": 3, "size_limit_bytes": 20_000}}
MISSING: Json | None = None
PROFILES: dict[str, Json | None] = {"full": FULL, "no zstd": NO_ZSTD, "batch only": BATCH_ONLY, "small limits": SMALL, "no info": MISSING}


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came, decompressed."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one ingest request instead of a good answer. `taken`: its runs are stored all the same."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    taken: bool = False
    reset: bool = False
    hang: bool = False
    delay: float = 0


@dataclass
class LangSmith:
    """The server: what it says at `/info`, what it does, and what it got.

    `faults` are for the next ingest requests, one each; `always` answers every ingest request; `on_request` may choose a fault itself.
    """

    info: Json | None = None
    info_delay: float = 0
    info_status: int = 0
    faults: list[Fault] = field(default_factory=list[Fault])
    always: Fault | None = None
    choose: Callable[[Request], Fault | None] | None = None
    port: int = 0
    url: str = ""
    requests: list[Request] = field(default_factory=list[Request])
    creates: dict[str, Json] = field(default_factory=dict[str, Json])
    patches: dict[str, Json] = field(default_factory=dict[str, Json])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    projects: dict[str, Json] = field(default_factory=dict[str, Json])
    feedback: dict[str, Json] = field(default_factory=dict[str, Json])
    complaints: list[str] = field(default_factory=list[str])
    release: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ingests(self) -> list[Request]:
        """Requests that carried runs or feedback."""
        return [request for request in list(self.requests) if request.method != "GET"]

    @property
    def runs(self) -> dict[str, Json]:
        """Every run as the server has it: its create, and its patch over it."""
        return {run_id: {**run, **self.patches.get(run_id, {})} for run_id, run in self.creates.items()}

    @property
    def names(self) -> list[str]:
        """Names of the runs that have ended, in order."""
        return sorted(run["name"] for run in self.runs.values() if run.get("end_time"))

    def take(self, request: Request) -> None:
        """Store the runs of a request, and complain about whatever is not as it must be."""
        try:
            operations = list(_operations(request))
        except Exception as error:
            self.complaints.append(f"{request.path}: {error!r}")
            return
        limits = (self.info or FULL)["batch_ingest_config"]
        if len({run["id"] for _, run in operations}) > limits["size_limit"]:
            self.complaints.append(f"{len(operations)} operations in one request")
        if len(request.body) > limits["size_limit_bytes"]:
            self.complaints.append(f"{len(request.body)} bytes in one request")
        for verb, run in operations:
            if verb == "feedback":
                self._keep_feedback(run)
            else:
                self._store(verb, run)

    def _keep_feedback(self, given: Json) -> None:
        """The same feedback again is no second one."""
        missing = [name for name in FEEDBACK_MUST if not given.get(name)]
        unknown = set(given) - FEEDBACK_MAY
        if missing or unknown or UUID(given["id"]).version != 7:
            self.complaints.append(f"feedback {given.get('id')} without {missing}, with {unknown}")
        if self.feedback.setdefault(given["id"], given) != given:
            self.complaints.append(f"feedback {given['id']} came again and was another")
        self.counts[given["id"]] = self.counts.get(given["id"], 0) + 1

    def _store(self, verb: str, run: Json) -> None:
        run_id = run["id"]
        missing = [name for name in MUST if not run.get(name)]
        if missing:
            self.complaints.append(f"{verb} {run_id} without {missing}")
        if verb == "patch":
            if run_id not in self.creates:
                self.complaints.append(f"patch of {run_id} before its create")
            else:
                same = ("trace_id", "dotted_order", "start_time", "session_name")
                if any(run[name] != self.creates[run_id][name] for name in same):
                    self.complaints.append(f"patch of {run_id} differs from its create")
            self.patches[run_id] = run
            return
        # The first create counts, a second is a conflict.
        self.counts[run_id] = self.counts.get(run_id, 0) + 1
        self.creates.setdefault(run_id, run)


def _operations(request: Request) -> Generator[tuple[str, Json], None, None]:
    if request.path == "/runs/multipart":
        yield from _multipart(request)
    elif request.path == "/runs/batch":
        assert request.headers["content-type"] == "application/json"
        assert "content-encoding" not in request.headers
        body = _object(request.body)
        assert set(body) <= {"post", "patch"}
        assert all(body.values())
        for verb in ("post", "patch"):
            for run in body.get(verb, []):
                yield verb, run
    elif request.method == "POST" and request.path == "/feedback":
        assert request.headers["content-type"] == "application/json"
        yield "feedback", _object(request.body)
    elif request.method == "POST" and request.path == "/runs":
        yield "post", _object(request.body)
    else:
        assert request.method == "PATCH"
        run = _object(request.body)
        assert request.path == f"/runs/{run['id']}"
        yield "patch", run


PART = re.compile(
    rb"Content-Disposition: form-data; name=\"((?:post|patch|feedback)\.[0-9a-f-]{36}(?:\.[a-z]+)?)\"\r\n"
    rb"Content-Type: application/json\r\nContent-Length: (\d+)\r\n\r\n"
)


def _multipart(request: Request) -> Generator[tuple[str, Json], None, None]:
    kind, _, boundary = request.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    rest = request.body
    start, end = f"--{boundary}\r\n".encode(), f"--{boundary}--\r\n".encode()
    found: list[tuple[str, str, Json]] = []
    size = 0
    while rest != end:
        assert rest.startswith(start), rest[:100]
        head = PART.match(rest, len(start))
        assert head is not None, rest[:300]
        length = int(head[2])
        data = rest[head.end() : head.end() + length]
        size += length
        rest = rest[head.end() + length :]
        assert rest.startswith(b"\r\n")
        rest = rest[2:]
        verb, run_id, *field_name = head[1].decode().split(".")
        value = orjson.loads(data)
        if not field_name:
            assert (verb, run_id) not in [(old, key) for old, key, _ in found], "parts of a run are not together"
            assert value["id"] == run_id
            assert verb == "feedback" or not set(value) & set(PARTS)
            found.append((verb, run_id, cast("Json", value)))
        else:
            assert found, "a field before its run"
            assert found[-1][:2] == (verb, run_id), "a field away from its run"
            assert field_name[0] in PARTS
            found[-1][2][field_name[0]] = value
    if request.headers.get("content-encoding") == "zstd":
        assert int(request.headers["x-pre-compressed-size"]) == size
        assert request.headers["x-post-compressed-size"] == request.headers["content-length"]
    for verb, _, run in found:
        if verb == "feedback":
            assert run.get("trace_id"), "only with a trace may it ride beside runs"
        else:
            assert isinstance(run.get("inputs", {}), dict)
            assert isinstance(run.get("outputs", {}), dict)
            assert isinstance(run.get("error", ""), str)
        yield verb, run


def _object(body: bytes) -> Json:
    value = orjson.loads(body)
    assert isinstance(value, dict)
    return cast("Json", value)


class Handler(BaseHTTPRequestHandler):
    """Answers for the `LangSmith` that the server carries."""

    protocol_version = "HTTP/1.1"

    @property
    def state(self) -> LangSmith:
        """What the server is about."""
        return cast("Server", self.server).state

    def do_GET(self) -> None:
        """`/info`."""
        state = self.state
        state.requests.append(Request("GET", self.path, _lower(self.headers.items()), b""))
        if state.info_delay:
            state.release.wait(state.info_delay)
        path, _, query = self.path.partition("?")
        if path == "/sessions" and not state.info_status:
            found = state.projects.get(parse_qs(query)["name"][0])
            self._answer(Fault(200, {"content-type": "application/json"}, orjson.dumps([found] if found else [])))
        elif self.path != "/info" or state.info is None or state.info_status:
            self._answer(Fault(state.info_status or 404))
        else:
            self._answer(Fault(200, {"content-type": "application/json"}, orjson.dumps(state.info)))

    def do_POST(self) -> None:
        """Runs."""
        state = self.state
        headers = _lower(self.headers.items())
        body = _decompressed(self.rfile.read(int(headers["content-length"])), headers.get("content-encoding"))
        request = Request(self.command, self.path, headers, body)
        with state.lock:
            state.requests.append(request)
            fault = state.choose(request) if state.choose else None
            fault = fault or state.always or (state.faults.pop(0) if state.faults else None)
            if fault is None or fault.taken:
                state.take(request)
        self._answer(fault or Fault(202, body=b"{}"))

    def do_PATCH(self) -> None:
        """A single run."""
        self.do_POST()

    def _answer(self, fault: Fault) -> None:
        if fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        if fault.hang or fault.delay:
            self.state.release.wait(fault.delay or PATIENCE)
        if fault.hang:
            self.close_connection = True
            return
        self.send_response(fault.status or 202)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(fault.body)))
        self.end_headers()
        self.wfile.write(fault.body)

    def handle(self) -> None:
        """A client that has given up waiting is no error."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def finish(self) -> None:
        """The same."""
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """The socket of a `LangSmith`."""

    daemon_threads = True

    def __init__(self, state: LangSmith) -> None:
        super().__init__(("127.0.0.1", state.port), Handler)
        self.state = state


def _decompressed(body: bytes, encoding: str | None) -> bytes:
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return gzip.decompress(body) if encoding == "gzip" else body


@contextmanager
def langsmith(info: Json | None = FULL, **values: Any) -> Generator[LangSmith, None, None]:
    """Serve on loopback. At the end nothing may have been wrong with what came."""
    state = LangSmith(info, **values)
    with running_server(Server(state)) as state.url:
        try:
            yield state
        finally:
            state.release.set()
    assert state.complaints == [], state.complaints[:3]


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}
