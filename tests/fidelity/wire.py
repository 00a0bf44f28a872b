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
        self._read: list[bytes] = []
        self._lock = threading.Lock()
        cast("Any", self.replay)._server.RequestHandlerClass = self._handler()

    def __enter__(self) -> Wire:
        self.replay.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        self.replay.close()

    def keep(self, piece: bytes) -> None:
        """Remember what was read."""
        with self._lock:
            self._read.append(piece)

    def take(self) -> bytes:
        """Everything that was read since the last time."""
        with self._lock:
            taken = b"".join(self._read)
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

    def readline(self, *size: int) -> bytes:
        line = self._file.readline(*size)
        self._wire.keep(line)
        return line

    def read(self, *size: int) -> bytes:
        piece = self._file.read(*size)
        self._wire.keep(piece)
        return piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
