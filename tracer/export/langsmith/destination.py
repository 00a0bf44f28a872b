"""`LangSmithTransport`: runs to one LangSmith-style backend, in the best way that this backend takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from tracer.call import Call
from tracer.export.http import Answer, Http, judge, judge_error
from tracer.export.langsmith import wire
from tracer.export.langsmith.ids import is_sampled
from tracer.export.langsmith.info import OUR_MOST_BYTES, Info, info_of
from tracer.export.langsmith.run import LangSmithRun, run_of, start_of
from tracer.export.langsmith.targets import Target, targets_of
from tracer.export.notices import Notices
from tracer.export.resource import version
from tracer.export.transport import ACCEPTED, RETRY, STOP, Item, Limits, Packed, Verdict
from tracer.reading.record import Record
from tracer.settings import Settings

TIMEOUT = 10.0
"""Seconds that an ingest request may take."""

LEFT_TO_LANGCHAIN = "posted by LangChain's own tracer"
"""Why a record did not go to LangSmith from here."""

INFO_TIMEOUT = 3.0
"""Seconds that a server may take to say what it takes; then it gets the defaults."""

INFO_AGAIN = 60.0
"""Seconds after which a server that could not say it is asked again."""

MULTIPART = "multipart"
BATCH = "batch"
SINGLE = "single"

_END = 64  # Bytes that end a body.
_STOPPED = "Nothing more is sent there until the settings change."
_ADVICE = {
    401: f"Check LANGSMITH_API_KEY. {_STOPPED}",
    403: f"Check LANGSMITH_API_KEY, and LANGSMITH_WORKSPACE_ID if the key is for an organisation. {_STOPPED}",
    404: "Check LANGSMITH_ENDPOINT.",
    429: "The backend limits how much it takes; LANGSMITH_TRACING_SAMPLING_RATE sends less.",
}
_UNREACHABLE = "Check LANGSMITH_ENDPOINT."
# What a server answers that cannot read the compressed form, and one that does not know a path.
_UNREADABLE = (415, 422)
_UNKNOWN = (404, 405)
_NO_ANSWER = (408, 425, 429)
# What it answers to a batch in which one run is not to its liking.
_MALFORMED = (400, 422)


def transports_of(settings: Settings) -> list[LangSmithTransport]:
    """A transport for each backend that the settings ask for."""
    return [LangSmithTransport(settings, target) for target in targets_of(settings)]


class LangSmithTransport:
    """Records as runs to one target.

    Making one imports and opens nothing. The server is asked what it takes before the first request, in the sender's thread. What it
    then refuses in general, compression or a form of request, is not tried again.
    """

    def __init__(self, settings: Settings, target: Target) -> None:
        self.name = target.name
        self.place = f"LangSmith endpoint {target.shown}"
        self.timeout = TIMEOUT
        self.frame = b""
        self._settings = settings
        self._target = target
        self._notices = Notices()
        self._info = Info()
        self._ask_at: float | None = 0.0
        self._takes_compressed = not settings.langsmith_no_compression
        self._form = MULTIPART
        self._encoding = wire.PLAIN
        self._zstd = None
        self._boundary = wire.new_boundary()
        headers = {"user-agent": f"chat-tracer/{version()}", "accept": "application/json"}
        if target.key:
            headers["x-api-key"] = target.key
        if target.workspace:
            headers["x-tenant-id"] = target.workspace
        self._http = Http(headers)

    # The worker's side.

    def pack(self, records: Sequence[Record]) -> Packed:
        """One item for each run of a sampled trace."""
        packed = Packed()
        for record in records:
            if record.call.left_to_langchain:
                packed.delivery.drop(LEFT_TO_LANGCHAIN, 1)
                continue
            try:
                run = run_of(record, self._settings)
                if self._is_sampled(run):
                    packed.items.append(wire.item_of(self._target.adapted(run)))
                else:
                    packed.delivery.sampled_out += 1
            except Exception as error:
                packed.delivery.drop("unreadable", 1)
                self._notices.lost("unreadable", 1, f"a record could not be written as a LangSmith run ({error!r})")
        return packed

    def open(self, calls: Sequence[Call], /) -> list[Item]:
        """Creates of runs that go on."""
        items = [self._opening(call) for call in calls if not call.left_to_langchain]
        return [item for item in items if item is not None]

    def _opening(self, call: Call) -> Item | None:
        try:
            run = start_of(call, self._settings)
            return wire.item_of(self._target.adapted(run), opens=True) if self._is_sampled(run) else None
        except Exception:
            return None  # The run arrives whole when it is over, or is counted then.

    def _is_sampled(self, run: LangSmithRun) -> bool:
        return is_sampled(run.trace_id, self._settings.langsmith_sampling_rate)

    def shorten(self, item: Item, limit: int) -> dict[str, bytes] | None:
        """Cut inside inputs and outputs, or leave them out."""
        return wire.shortened(item, limit)

    # The sender's side.

    def limits(self, timeout: float, /) -> Limits:
        """The server's limits as caps. It is asked once, and again from time to time while it gives no answer."""
        if self._ask_at is not None and time.monotonic() >= self._ask_at:
            self._ask(min(timeout, INFO_TIMEOUT))
        most = 1 if self._form == SINGLE else min(self._info.most_runs, self._settings.langsmith_batch_limit or self._info.most_runs)
        return Limits(most, max(min(self._info.most_bytes, OUR_MOST_BYTES) - _END, 1), strict=True)

    def _ask(self, timeout: float) -> None:
        try:
            answer = self._http.request("GET", f"{self._target.url}/info", timeout)
        except Exception:
            answer = None
        if answer is None or answer.status in _NO_ANSWER or answer.status >= 500:
            self._ask_at = time.monotonic() + INFO_AGAIN
            return
        self._ask_at = None
        if answer.ok:
            self._info = info_of(answer.body)
            self._choose(self._info)

    def _choose(self, info: Info) -> None:
        """The best form and compression, without those that have been refused by now."""
        if self._form == MULTIPART and not info.multipart:
            self._form = BATCH
        # Only a server that knows compression gets any.
        if info.zstd and self._takes_compressed:
            self._zstd = wire.zstd_compressor()
            self._encoding = wire.ZSTD if self._zstd is not None else wire.GZIP

    def send(self, items: Sequence[Item], timeout: float) -> Verdict:
        """Send the items in the best form that the server has not refused yet."""
        try:
            answer = self._request(items, timeout)
            if answer.status in _UNREADABLE and self._form == MULTIPART and self._encoding:
                answer = self._uncompressed(items, timeout)
            if answer.status in _UNKNOWN and self._form == MULTIPART:
                self._form = BATCH
                answer = self._request(items, timeout)
        except Exception as error:
            return self._without_key(judge_error(error, timeout, _UNREACHABLE))
        # 409: the run is there already; an earlier answer got lost.
        if answer.ok or answer.status == 409:
            return Verdict(ACCEPTED)
        verdict = self._without_key(judge(answer, "the runs", _ADVICE))
        if answer.status in _MALFORMED:
            return replace(verdict, doubtful=True)
        if answer.status in _UNKNOWN and self._form == BATCH:
            self._form = SINGLE
            return replace(verdict, outcome=RETRY, after=0.0)
        if answer.status in _UNKNOWN and self._form == SINGLE and not items[0].follows:
            # It knows none of the three forms: this is no such backend.
            return replace(verdict, outcome=STOP, advice=f"{_UNREACHABLE} {_STOPPED}")
        return verdict

    def _uncompressed(self, items: Sequence[Item], timeout: float) -> Answer:
        """The same without compression, which was perhaps the reason. If it was not, it stays in use."""
        encoding, self._encoding = self._encoding, wire.PLAIN
        answer = self._request(items, timeout)
        if answer.status in _UNREADABLE:
            self._encoding = encoding
        else:
            self._takes_compressed = False
        return answer

    def _request(self, items: Sequence[Item], timeout: float) -> Answer:
        if self._form == MULTIPART:
            return self._multipart(items, timeout)
        if self._form == BATCH:
            return self._json("POST", "/runs/batch", wire.batch(items), timeout)
        (item,) = items
        method, path = ("PATCH", f"/runs/{item.key}") if item.follows else ("POST", "/runs")
        return self._json(method, path, wire.single(item), timeout)

    def _multipart(self, items: Sequence[Item], timeout: float) -> Answer:
        pieces = wire.multipart(items, self._boundary)
        headers = {"content-type": f"multipart/form-data; boundary={self._boundary}"}
        if self._encoding == wire.ZSTD and self._zstd is not None:
            body = wire.compressed(pieces, self._zstd())
            headers["x-pre-compressed-size"] = str(wire.data_size(items))
            headers["x-post-compressed-size"] = str(len(body))
        elif self._encoding == wire.GZIP:
            body = wire.compressed(pieces, wire.gzip_compressor())
        else:
            body = b"".join(pieces)
        if self._encoding:
            headers["content-encoding"] = self._encoding
        return self._http.request("POST", f"{self._target.url}/runs/multipart", timeout, body, headers)

    def _json(self, method: str, path: str, body: bytes, timeout: float) -> Answer:
        return self._http.request(method, f"{self._target.url}{path}", timeout, body, {"content-type": "application/json"})

    def _without_key(self, verdict: Verdict) -> Verdict:
        """Some servers repeat the key that they refuse."""
        key = self._target.key
        return replace(verdict, text=verdict.text.replace(key, "…")) if key else verdict

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()
