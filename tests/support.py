"""What several test modules share: a runtime that is put back, calls kept in a list, a loopback OTLP server, programs in subprocesses."""

from __future__ import annotations

import gzip
import os
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tracer import assembly
from tracer.call import Call
from tracer.export.destination import Delivery
from tracer.export.transport import Transport
from tracer.pipeline.backoff import Pace
from tracer.pipeline.ledger import Account
from tracer.pipeline.pipeline import Pipeline
from tracer.pipeline.sender import Sender
from tracer.reading.record import Record
from tracer.runtime import Runtime, runtime
from tracer.settings import Settings
from tracer.store.reader import StoreReader

ROOT = Path(__file__).parent.parent
OUR_PREFIXES = ("TRACER_", "OTEL_", "LANGSMITH_", "LANGCHAIN_", "HOSTED_LANGSERVE_")
PATIENCE = 20.0
"""Seconds after which a test gives up waiting; passed tests never wait so long."""


def clean_environment() -> dict[str, str]:
    """The environment without any variable that the library reads."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OUR_PREFIXES)}


@contextmanager
def runtime_put_back() -> Generator[Runtime, None, None]:
    """A runtime as in a new process; every attribute is put back afterwards. Faults of ours are raised."""
    earlier = dict(vars(runtime))
    vars(runtime).update(vars(Runtime()))
    runtime.configure = assembly.ensure_configured
    runtime.raise_faults = True
    try:
        yield runtime
    finally:
        pipeline = runtime.pipeline
        if isinstance(pipeline, Pipeline):
            pipeline.shutdown(1)
        vars(runtime).update(earlier)


def record_into(calls: list[Call], settings: Settings | None = None) -> None:
    """Switch recording on; finished calls are appended to `calls` at once, without a pipeline."""
    runtime.settings = settings or Settings()
    runtime.content = (runtime.settings.content_inputs, runtime.settings.content_outputs)
    runtime.configured = True
    runtime.on = runtime.can_record = True
    runtime.submit = calls.append


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again until the condition holds; fails after a long while."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.005)


class Keeping:
    """A destination that keeps what it gets; `before` runs at the start of each export and may block or raise."""

    def __init__(self, name: str = "keeping", before: Callable[[Sequence[Record]], None] | None = None) -> None:
        self.name = name
        self.records: list[Record] = []
        self.closed = 0
        self._before = before

    def export(self, records: Sequence[Record]) -> Delivery:
        """Keep the records."""
        if self._before is not None:
            self._before(records)
        self.records += records
        return Delivery(len(records))

    def close(self, timeout: float) -> None:
        """Count."""
        self.closed += 1

    @property
    def names(self) -> list[str]:
        """Names of the calls that arrived, in order."""
        return [record.call.name for record in self.records]


senders: list[Sender] = []
"""Of the running test; closed at its end."""


class Delivering:
    """A transport behind a sender that tries again at once, and the account of what it delivered."""

    def __init__(self, transport: Transport, most_records: int = 10_000, most_bytes: int = 2**26, pace: Pace | None = None) -> None:
        self.transport = transport
        self.account = Account()
        self.sender = Sender(transport, most_records, most_bytes, pace or Pace(0.01, 0.05))
        self.sender.settle = self._settle
        self._lock = threading.Lock()
        self.handed_in = 0
        senders.append(self.sender)

    def put(self, records: Sequence[Any]) -> None:
        """Hand records in."""
        self.handed_in += len(records)
        self._settle("", self.sender.export(records))

    def deliver(self, records: Sequence[Any], timeout: float = PATIENCE) -> Account:
        """Hand records in and wait until they have arrived or are given up, for at most `timeout` seconds."""
        self.put(records)
        self.sender.flush(timeout)
        return self.account

    @property
    def outcome(self) -> tuple[int, dict[str, int]]:
        """Records exported, and dropped by reason."""
        return self.account.exported, self.account.dropped

    @property
    def waiting(self) -> int:
        """Records whose fate is open."""
        return self.handed_in - self.account.settled

    def _settle(self, _: str, delivery: Delivery) -> None:
        with self._lock:
            self.account.add(delivery)


@dataclass
class Collector:
    """A loopback OTLP/HTTP endpoint. While `hold` is set and not released, it takes requests and does not answer."""

    url: str = ""
    hold: threading.Event | None = None
    bodies: list[bytes] = field(default_factory=list[bytes])
    shut: bool = False
    """Connections are reset without an answer."""

    def close_door(self) -> None:
        """Be in trouble from now on."""
        self.shut = True

    def open_door(self) -> None:
        """Be there again."""
        self.shut = False

    def services(self) -> list[tuple[str, str]]:
        """Service name and span name of every span that arrived."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in list(self.bodies)]
        return [
            (next(item.value.string_value for item in resource.resource.attributes if item.key == "service.name"), span.name)
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def spans(self) -> list[Span]:
        """All spans that arrived."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in list(self.bodies)]
        return [
            span for request in requests for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans
        ]

    @property
    def names(self) -> list[str]:
        """Names of the spans that arrived."""
        return [span.name for span in self.spans()]


def attributes_of(span: Span) -> dict[str, Any]:
    """Attributes that are texts, by name."""
    return {item.key: item.value.string_value for item in span.attributes}


@contextmanager
def collecting(hang: bool = False) -> Generator[Collector, None, None]:
    """Serve OTLP on loopback."""
    collector = Collector(hold=threading.Event() if hang else None)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if collector.shut:
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.bodies.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            if collector.hold is not None:
                collector.hold.wait(PATIENCE)
                return
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with running_server(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as collector.url:
        try:
            yield collector
        finally:
            if collector.hold is not None:
                collector.hold.set()


@contextmanager
def running_server(server: ThreadingHTTPServer) -> Generator[str, None, None]:
    """The address of a server on loopback, while it serves."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that ran to its end."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def lines(self) -> list[str]:
        """Lines on stderr that are ours."""
        return [line for line in self.err.splitlines() if line.startswith("tracer: ")]


def start_program(code: str, **environment: str) -> subprocess.Popen[str]:
    """Start a Python program in a process of its own, with only these of our variables set."""
    return _start(["-c", textwrap.dedent(code)], environment)


def run_program(code: str, **environment: str) -> Ended:
    """Run a Python program in a process of its own to its end."""
    return run_long_program(code, 60, environment)


def run_long_program(code: str, patience: float, environment: dict[str, str]) -> Ended:
    """The same for at most `patience` seconds."""
    begun = time.monotonic()
    return _end(start_program(code, **environment), begun, patience)


def run_file(file: Path, code: str, **environment: str) -> Ended:
    """The same from a file, which its children can import."""
    file.write_text(code, "utf-8")
    begun = time.monotonic()
    return _end(_start([str(file)], environment), begun)


def _start(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    # Whoever looks into the store afterwards has not asked how soon it is written: on a busy machine two seconds are little.
    patient = {"TRACER_EXIT_TIMEOUT": str(PATIENCE)} if "TRACER_LOCAL" in environment else {}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**clean_environment(), "PYTHONPATH": str(ROOT), **patient, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def _end(process: subprocess.Popen[str], begun: float, patience: float = 60) -> Ended:
    try:
        out, err = process.communicate(timeout=patience)
    finally:
        process.kill()
    return Ended(process.returncode, out, err, time.monotonic() - begun)


def closed_port() -> int:
    """A port of loopback where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stored_names(path: Path) -> list[str]:
    """Names of the spans in a local store, by start."""
    with StoreReader(path) as store:
        return [span.name for trace in store.traces(1000) for span in trace.spans]
