"""A server on loopback that answers with recorded traffic, for the demo, tests and benchmarks.

The record's id is part of the base URL, so that nothing has to be matched: `http://127.0.0.1:PORT/c/<id>/v1`.
"""

from __future__ import annotations

import itertools
import json
import socket
import struct
import threading
import zlib
from collections import Counter
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, final
from urllib.parse import quote, unquote

from tracer.replay import sse, vectors
from tracer.replay.behaviour import Behaviour, parse
from tracer.replay.recordings import Recording, by_id

_ANTHROPIC_ERRORS = {403: "permission_error", 409: "conflict_error", 429: "rate_limit_error", 529: "overloaded_error"}
_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Received:
    """One request that reached the server. `path` has the query; header names are in lower case; `status` is what was answered."""

    record_id: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int


@final
class ReplayServer:
    """Serves recordings on 127.0.0.1 at a free port until the `with` block is left.

    >>> with ReplayServer() as server:
    ...     url = server.base_url("pydanticai.openai.openai_prompted_output.0", Behaviour(fail=2))
    """

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self.closing = threading.Event()
        self._received: list[Received] = []
        self._failed: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._runs = itertools.count(1)
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="replay-server", daemon=True)

    def __enter__(self) -> ReplayServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def root(self, record_id: str, behaviour: Behaviour | None = None) -> str:
        """The address below which every path answers with that recording; for `azure_endpoint` of the SDK's Azure client."""
        options = replace(behaviour or Behaviour(), run=next(self._runs)) if behaviour is not None and behaviour.fail else behaviour
        return f"{self.address}/c/{quote(record_id, safe='')}{options.segment() if options else ''}"

    def base_url(self, record_id: str, behaviour: Behaviour | None = None) -> str:
        """`base_url` for the SDK's client, so that it is answered with that recording."""
        return f"{self.root(record_id, behaviour)}/v1"

    def requests(self, record_id: str | None = None) -> list[Received]:
        """The requests that came so far, in order; of one record if an id is given."""
        with self._lock:
            return [item for item in self._received if record_id is None or item.record_id == record_id]

    def close(self) -> None:
        """Stop, and end every open connection. Requests that hang are let go. May be called again."""
        if self.closing.is_set():
            return
        self.closing.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.end_connections()

    def note(self, received: Received) -> None:
        """Remember a request (called by the handler)."""
        with self._lock:
            self._received.append(received)

    def fails(self, segment: str, behaviour: Behaviour) -> bool:
        """Whether this request is one of those that are to fail; counts it."""
        with self._lock:
            if self._failed[segment] >= behaviour.fail:
                return False
            self._failed[segment] += 1
            return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, owner: ReplayServer) -> None:
        self.owner = owner
        self.to_reset: set[int] = set()
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        if id(request) in self.to_reset:
            # A shutdown would send the orderly end first; closing with no linger sends the reset.
            self.to_reset.discard(id(request))
            request.close()
            return
        super().shutdown_request(request)

    def end_connections(self) -> None:
        with self._open_lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what many tests are about; nothing is printed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""

    def _answer(self) -> None:
        owner = self.server.owner
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        segment = self.path.split("/")[2] if self.path.startswith("/c/") else ""
        name, *options = segment.split(";")
        record_id = unquote(name)
        try:
            behaviour = parse([unquote(option) for option in options], owner.behaviour)
            recording = by_id(record_id)
        except (KeyError, ValueError) as error:
            self._note(record_id, body, 404)
            self._send_error(404, f"replay: {error}", "not_found", {})
            return
        if behaviour.hang:
            self._note(record_id, body, 0)
            owner.closing.wait()
            self.close_connection = True
        elif owner.fails(segment, behaviour):
            self._note(record_id, body, behaviour.status)
            self._fail(behaviour, recording)
        else:
            self._replay(recording, behaviour, body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815

    def _note(self, record_id: str, body: bytes, status: int) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.owner.note(Received(record_id, self.command, self.path, headers, body, status))

    def _fail(self, behaviour: Behaviour, recording: Recording) -> None:
        if recording.anthropic:
            self._fail_as_anthropic(behaviour)
            return
        code = "rate_limit_exceeded" if behaviour.status == 429 else "server_error"
        headers = {"retry-after": "0", "retry-after-ms": str(behaviour.retry_ms), "x-request-id": "req_replay_failure"}
        self._send_error(behaviour.status, "The replay server was asked to fail this request.", code, headers)

    def _fail_as_anthropic(self, behaviour: Behaviour) -> None:
        type_ = _ANTHROPIC_ERRORS.get(behaviour.status, "api_error")
        error = {"type": type_, "message": "The replay server was asked to fail this request."}
        headers = {"retry-after-ms": str(behaviour.retry_ms), "request-id": "req_replay_failure"}
        content = json.dumps({"type": "error", "error": error, "request_id": "req_replay_failure"}).encode()
        self._send_plain(behaviour.status, {"content-type": "application/json", **headers}, content, Behaviour())

    def _send_error(self, status: int, message: str, code: str, headers: dict[str, str], param: str | None = None) -> None:
        content = json.dumps({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}).encode()
        self._send_plain(status, {"content-type": "application/json", **headers}, content, Behaviour())

    def _replay(self, recording: Recording, behaviour: Behaviour, body: bytes) -> None:
        request = _json_object(body)
        rejected = bool(behaviour.reject_usage and "stream_options" in request)
        status = 400 if rejected else recording.status
        self._note(recording.id, body, status)
        self.server.owner.closing.wait(behaviour.wait) if behaviour.wait else None
        if rejected:
            message = "Unrecognized request argument supplied: stream_options"
            self._send_error(400, message, "unknown_parameter", {}, "stream_options")
        elif recording.headers.get("content-type", "").startswith("text/event-stream"):
            pieces = sse.shaped(sse.split(recording.body.encode()), behaviour, request, recording.api)
            self._send_stream(status, dict(recording.headers), pieces, behaviour)
        else:
            content = recording.body.encode()
            content = vectors.as_asked(content, request) if recording.api == "embeddings" else content
            self._send_plain(status, dict(recording.headers), content, behaviour)

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_plain(self, status: int, headers: dict[str, str], content: bytes, behaviour: Behaviour) -> None:
        if behaviour.gzip:
            headers["content-encoding"] = "gzip"
            content = _compressed([content])[0]
        headers["content-length"] = str(len(content))
        self._begin(status, headers)
        if behaviour.cut >= 0:
            self.wfile.write(content[: len(content) // 2])
            self._reset()
        else:
            self.wfile.write(content)

    def _send_stream(self, status: int, headers: dict[str, str], pieces: list[bytes], behaviour: Behaviour) -> None:
        if behaviour.gzip:
            headers["content-encoding"] = "gzip"
            pieces = _compressed(pieces)
        headers["transfer-encoding"] = "chunked"
        self._begin(status, headers)
        for index, piece in enumerate(pieces):
            if index == behaviour.cut:
                break
            if index and behaviour.delay:
                self.server.owner.closing.wait(behaviour.delay)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        if 0 <= behaviour.cut <= len(pieces):
            self._reset()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.server.to_reset.add(id(self.request))
        self.close_connection = True


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _compressed(pieces: list[bytes]) -> list[bytes]:
    """The pieces as one gzip stream, flushed after each so that a client can read every piece when it comes."""
    packer = zlib.compressobj(wbits=31)
    result = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    result[-1] += packer.flush()
    return result
