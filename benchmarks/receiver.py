"""A receiver in a process of its own: counts spans and runs, so that a tracer that drops some shows as such.

Prints its port, then answers `POST /v1/traces`, LangSmith's `POST /runs/multipart` and `GET /info`, and `GET /count`; ends with its
standard input.
"""

from __future__ import annotations

import gzip
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_RUN = re.compile(rb'name="?(?:post|patch)\.([0-9a-f-]{36})"?\r\n')
"""The part of a multipart request that is a run itself, not one of its fields."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    spans = 0
    runs: ClassVar[set[bytes]] = set()
    lock = threading.Lock()

    def do_POST(self) -> None:  # the name is http.server's
        body = self._body()
        if self.path.startswith("/runs"):
            with _Handler.lock:
                _Handler.runs.update(_RUN.findall(body))
            self._answer(b"{}")
            return
        request = ExportTraceServiceRequest.FromString(body)
        count = sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
        with _Handler.lock:
            _Handler.spans += count
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b"{}" if self.path == "/info" else str(_Handler.spans + len(_Handler.runs)).encode())

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            body = self.rfile.read(int(self.headers["content-length"]))
        else:
            body = b""
            while length := int(self.rfile.readline(), 16):
                body += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
        return gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


def main() -> None:
    """Serve until standard input ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
