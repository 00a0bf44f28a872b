"""`Server`: one LangSmith-style backend as those see it who send to it. What it takes, and the requests that it understands."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from tracer.export.http import Answer, Http, Pieces, judge, judge_error
from tracer.export.langsmith import wire
from tracer.export.langsmith.info import OUR_MOST_BYTES, Info, info_of
from tracer.export.langsmith.targets import Target
from tracer.export.resource import version
from tracer.export.transport import STOP, Item, Limits, Verdict
from tracer.settings import Settings

TIMEOUT = 10.0
"""Seconds that an ingest request may take."""

INFO_TIMEOUT = 3.0
"""Seconds that a server may take to say what it takes; then it gets the defaults."""

INFO_AGAIN = 60.0
"""Seconds after which a server that could not say it is asked again."""

MULTIPART = "multipart"
BATCH = "batch"
SINGLE = "single"

UNKNOWN = (404, 405)
"""What a server answers that does not know a path."""

MALFORMED = (400, 422)
"""What it answers to a batch in which something is not to its liking."""

# What it answers that cannot read the compressed form.
_UNREADABLE = (415, 422)
_NO_ANSWER = (408, 425, 429)
_END = 64  # Bytes that end a body.
_STOPPED = "Nothing more is sent there until the settings change."
_UNREACHABLE = "Check LANGSMITH_ENDPOINT."
_ADVICE = {
    401: f"Check LANGSMITH_API_KEY. {_STOPPED}",
    403: f"Check LANGSMITH_API_KEY, and LANGSMITH_WORKSPACE_ID if the key is for an organisation. {_STOPPED}",
    404: _UNREACHABLE,
    429: "The backend limits how much it takes; LANGSMITH_TRACING_SAMPLING_RATE sends less.",
}


class Server:
    """Making one imports and opens nothing; everything else is for one thread, but for `close`.

    What the server refuses in general, compression or a form of request, is not tried again.
    """

    def __init__(self, settings: Settings, target: Target) -> None:
        self.place = f"LangSmith endpoint {target.shown}"
        self.url = target.url
        self.form = MULTIPART
        self.info = Info()
        """What it said of itself; the defaults until then."""
        self._key = target.key
        self._batch_limit = settings.langsmith_batch_limit
        self._ask_at: float | None = 0.0
        self._takes_compressed = not settings.langsmith_no_compression
        self._encoding = wire.PLAIN
        self._zstd = None
        self._boundary = wire.new_boundary()
        self._http = Http(headers_of(target))

    def limits(self, timeout: float) -> Limits:
        """The server's limits as caps. It is asked once, and again from time to time while it gives no answer."""
        if self._ask_at is not None and time.monotonic() >= self._ask_at:
            self._ask(min(timeout, INFO_TIMEOUT))
        most = 1 if self.form == SINGLE else min(self.info.most_runs, self._batch_limit or self.info.most_runs)
        return Limits(most, max(min(self.info.most_bytes, OUR_MOST_BYTES) - _END, 1), strict=True)

    def _ask(self, timeout: float) -> None:
        try:
            answer = self._http.request("GET", f"{self.url}/info", timeout)
        except Exception:
            answer = None
        if answer is None or answer.status in _NO_ANSWER or answer.status >= 500:
            self._ask_at = time.monotonic() + INFO_AGAIN
            return
        self._ask_at = None
        if answer.ok:
            self.info = info_of(answer.body)
            self._choose(self.info)

    def _choose(self, info: Info) -> None:
        """The best form and compression, without those that have been refused by now."""
        if self.form == MULTIPART and not info.multipart:
            self.form = BATCH
        # Only a server that knows compression gets any.
        if info.zstd and self._takes_compressed:
            self._zstd = wire.zstd_compressor()
            self._encoding = wire.ZSTD if self._zstd is not None else wire.GZIP

    def multipart(self, items: Iterable[Item], timeout: float) -> Answer:
        """Send the parts of the items in one form, and once more without compression where that may be why it was refused."""
        parts = [part for item in items for part in wire.named_parts(item)]
        answer = self._multipart(parts, timeout)
        if answer.status in _UNREADABLE and self._encoding:
            answer = self._uncompressed(parts, timeout)
        return answer

    def _uncompressed(self, parts: list[wire.Part], timeout: float) -> Answer:
        """The same without compression, which was perhaps the reason. If it was not, it stays in use."""
        encoding, self._encoding = self._encoding, wire.PLAIN
        answer = self._multipart(parts, timeout)
        if answer.status in _UNREADABLE:
            self._encoding = encoding
        else:
            self._takes_compressed = False
        return answer

    def _multipart(self, parts: list[wire.Part], timeout: float) -> Answer:
        pieces = wire.multipart(parts, self._boundary)
        headers = {"content-type": f"multipart/form-data; boundary={self._boundary}"}
        if self._encoding == wire.ZSTD and self._zstd is not None:
            body = wire.compressed(pieces, self._zstd())
            headers["x-pre-compressed-size"] = str(sum(len(data) for _, data in parts))
            headers["x-post-compressed-size"] = str(len(body))
        elif self._encoding == wire.GZIP:
            body = wire.compressed(pieces, wire.gzip_compressor())
        else:
            body = Pieces(pieces)
        if self._encoding:
            headers["content-encoding"] = self._encoding
        return self._http.request("POST", f"{self.url}/runs/multipart", timeout, body, headers)

    def json(self, method: str, path: str, body: bytes, timeout: float) -> Answer:
        """Send one JSON object."""
        return self._http.request(method, f"{self.url}{path}", timeout, body, {"content-type": "application/json"})

    def get(self, path: str, timeout: float) -> Answer:
        """Ask for something."""
        return self._http.request("GET", f"{self.url}{path}", timeout)

    def judge(self, answer: Answer, what: str) -> Verdict:
        """What an answer other than success means; `what` was refused."""
        return self._without_key(judge(answer, what, _ADVICE))

    def judge_error(self, error: Exception, timeout: float) -> Verdict:
        """What it means that no answer came."""
        return self._without_key(judge_error(error, timeout, _UNREACHABLE))

    def no_such_backend(self, verdict: Verdict) -> Verdict:
        """It knows none of the paths of such a backend."""
        return replace(verdict, outcome=STOP, advice=f"{_UNREACHABLE} {_STOPPED}")

    def _without_key(self, verdict: Verdict) -> Verdict:
        """Some servers repeat the key that they refuse."""
        return replace(verdict, text=verdict.text.replace(self._key, "…")) if self._key else verdict

    def close(self) -> None:
        """Let go of connections. Any thread may call it."""
        self._http.close()


def headers_of(target: Target) -> dict[str, str]:
    """The headers of every request to a target."""
    headers = {"user-agent": f"chat-tracer/{version()}", "accept": "application/json"}
    if target.key:
        headers["x-api-key"] = target.key
    if target.workspace:
        headers["x-tenant-id"] = target.workspace
    return headers
