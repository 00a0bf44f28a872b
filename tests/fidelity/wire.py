"""A replay server that keeps every byte that it read, as it came."""

from __future__ import annotations

import threading
from typing import Any, cast

from tests.support import wait_until
from tracer.replay import server as replay
from tracer.replay.server import ReplayServer


class Wire:
    """Serves recordings, also as an HTTP proxy for itself, and keeps the bytes of the requests in the order in which they were read."""

    def __init__(self) -> None:
        self.replay = ReplayServer()
        self._read: list[bytearray] = []
        self._lock = threading.Lock()
        cast("Any", self.replay)._server.RequestHandlerClass = self._handler()

    def __enter__(self) -> Wire:  # noqa: PYI034  # typing has no Self before 3.11
        self.replay.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self.replay.close()

    def begin(self) -> bytearray:
        """The place for the bytes of another request."""
        with self._lock:
            self._read.append(bytearray())
            return self._read[-1]

    def take(self) -> list[bytes]:
        """Every request that was read since the last time, in the order in which they began to come."""
        with self._lock:
            taken = [bytes(request) for request in self._read]
            self._read.clear()
        return taken

    def wait_for_request(self, earlier: int) -> None:
        """Wait until there is another request than the `earlier` ones: a client that gives up may be ahead of the server."""
        wait_until(lambda: len(self.replay.requests()) > earlier)

    def _handler(self) -> Any:
        wire = self

        class Handler(replay._Handler):
            def setup(self) -> None:
                super().setup()
                self.rfile = cast("Any", _Kept(self.rfile, wire))

            def handle_one_request(self) -> None:
                cast("_Kept", self.rfile).request = None
                super().handle_one_request()

            def parse_request(self) -> bool:
                parsed = super().parse_request()
                if parsed and self.path.startswith("http://"):
                    # As a proxy is asked.
                    self.path = "/" + self.path.split("/", 3)[3]
                return parsed

        return Handler


class _Kept:
    """A file of a connection; what is read from it is kept."""

    def __init__(self, file: Any, wire: Wire) -> None:
        self._file = file
        self._wire = wire
        self.request: bytearray | None = None

    def readline(self, *size: int) -> bytes:
        return self._keep(self._file.readline(*size))

    def read(self, *size: int) -> bytes:
        return self._keep(self._file.read(*size))

    def _keep(self, piece: bytes) -> bytes:
        if piece:
            if self.request is None:
                self.request = self._wire.begin()
            self.request += piece
        return piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
