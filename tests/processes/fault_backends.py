"""Loopback backends with a fault: an OTLP endpoint and a LangSmith-style API, each of which can be mended while it runs."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from tests.langsmith_server import FULL, Fault, LangSmith, Server
from tests.support import PATIENCE, closed_port

PEAK = """
import resource

def peak():
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
"""
"""For programs: the most memory that they had, in MiB. On Linux `ru_maxrss` starts with what the parent had when it started them."""

RETRY_AFTER = 1
"""Seconds that `asks to wait` wants between two tries."""


@dataclass
class Backend:
    """A backend with a fault, and how often each span or run has arrived. `asked`: when requests came while it was in trouble."""

    fault: str = ""
    url: str = ""
    spans: Counter[bytes] = field(default_factory=Counter[bytes])
    asked: list[float] = field(default_factory=list[float])
    release: threading.Event = field(default_factory=threading.Event)
    serve: Callable[[], None] = lambda: None

    @property
    def arrived(self) -> list[int]:
        """For each span or run that arrived, how often it did."""
        return list(self.spans.values())

    def mend(self) -> None:
        """Work from now on."""
        self.fault = ""
        self.release.set()
        self.serve()

    def take(self, body: bytes) -> None:
        """Count spans."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.spans.update(span.span_id for span in scope.spans)


class Handler(BaseHTTPRequestHandler):
    """An OTLP endpoint that answers as the fault of its backend says."""

    state: Backend

    def do_POST(self) -> None:
        """Spans."""
        fault = self.state.fault
        body = self.rfile.read(int(self.headers["content-length"]))
        if fault:
            self.state.asked.append(time.monotonic())
        if fault == "resets":
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if fault == "hangs":
            self.state.release.wait(PATIENCE)
            self.close_connection = True
            return
        if fault == "slow":
            self.state.release.wait(0.3)
        answer = b"\\xff\\xff{" if fault == "garbage" else b""
        if fault == "partial success":
            response = ExportTraceServiceResponse()
            response.partial_success.rejected_spans = 1
            response.partial_success.error_message = "one too many"
            answer = response.SerializeToString()
        status = 429 if fault == "asks to wait" else int(fault) if fault.isdigit() else 200
        if status == 200:
            self.state.take(body)
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        if fault == "asks to wait":
            self.send_header("retry-after", str(RETRY_AFTER))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class Quiet(ThreadingHTTPServer):
    """Takes no notice of clients that have gone."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """No error."""


@contextmanager
def backend(fault: str) -> Generator[Backend, None, None]:
    """Serve OTLP on loopback."""
    state = Backend(fault)
    with _served(state, lambda port: Quiet(("127.0.0.1", port), type("Bound", (Handler,), {"state": state}))):
        yield state


@dataclass
class SmithBackend(Backend):
    """The strict imitation of the other tests, behind the faults of this matrix."""

    smith: LangSmith = field(default_factory=lambda: LangSmith(FULL))

    @property
    def arrived(self) -> list[int]:
        """For each run that has begun and ended there, how often it was created."""
        return [self.smith.counts[run_id] for run_id, run in self.smith.runs.items() if run.get("end_time")]

    def mend(self) -> None:
        """Work from now on."""
        self.smith.always = None
        self.smith.release.set()
        super().mend()


@contextmanager
def smith_backend(fault: str) -> Generator[SmithBackend, None, None]:
    """Serve runs on loopback. At the end nothing may have been wrong with what came."""
    state = SmithBackend(fault)
    state.smith.always = _fault_of(fault)

    def server(port: int) -> ThreadingHTTPServer:
        state.smith.port = port
        return Server(state.smith)

    with _served(state, server):
        yield state
        state.smith.release.set()
    assert state.smith.complaints == [], state.smith.complaints[:3]


def _fault_of(fault: str) -> Fault | None:
    if fault.isdigit():
        return Fault(int(fault))
    named = {
        "resets": Fault(reset=True),
        "hangs": Fault(hang=True),
        "slow": Fault(202, delay=0.3, taken=True),
        "garbage": Fault(202, body=b"\xff\xff{", taken=True),
        "asks to wait": Fault(429, {"Retry-After": str(RETRY_AFTER)}),
    }
    return named.get(fault)


@contextmanager
def _served(state: Backend, make: Callable[[int], ThreadingHTTPServer]) -> Generator[None, None, None]:
    servers: list[ThreadingHTTPServer] = []
    port = closed_port()

    def serve() -> None:
        if not servers:
            servers.append(make(port))
            threading.Thread(target=servers[0].serve_forever, args=(0.02,), daemon=True).start()

    state.url = f"http://127.0.0.1:{port}"
    state.serve = serve
    if state.fault != "refuses":
        serve()
    try:
        yield
    finally:
        state.release.set()
        for server in servers:
            server.shutdown()
            server.server_close()
