"""One call while it is under way: what its attempts bring on the wire, what the caller takes, and how it ends.

Nothing here may fail into the caller, and everything that a finalizer can reach takes no lock (`close_call`).
"""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from time import perf_counter_ns
from typing import Any, cast

from tracer.call import ABANDONED, CANCELLED, COMPLETED, ENDPOINT, STOPPED, Attempt, Call
from tracer.capture.failure import ending_of, failure_of, is_cancellation
from tracer.runtime import close_call, report_fault
from tracer.scope import Scope, Within

KEPT_BYTES = 16 * 1024 * 1024
"""A body beyond this is never kept."""

_SMALL_BYTES = 64 * 1024
"""A body up to this is kept without asking what it is. Of endpoints that ask no model nothing larger is kept."""

_KEPT_TYPES = ("json", "event-stream", "eventstream", "text/")


@functools.lru_cache(maxsize=256)
def _is_kept(content_type: str) -> bool:
    return not content_type or any(kind in content_type for kind in _KEPT_TYPES)


def _length(request: Any) -> int:
    """What a request says about the size of its body; nothing is read for it."""
    said = request.headers.get("content-length", "")
    return int(said) if said.isdigit() else 0


def type_and_encoding(headers: Any) -> tuple[str, str]:
    """What two headers say of a body. Each look-up goes through all of them, so where the HTTP library's own list can be had it is that."""
    entries = getattr(headers, "_list", None)
    if type(entries) is not list:
        return headers.get("content-type", ""), headers.get("content-encoding", "")
    types: list[bytes] = []
    encodings: list[bytes] = []
    for _, name, value in cast("list[tuple[bytes, bytes, bytes]]", entries):
        if name == b"content-type":
            types.append(value)
        elif name == b"content-encoding":
            encodings.append(value)
    return b", ".join(types).decode("latin-1"), b", ".join(encodings).decode("latin-1")


class Watch(Within):
    """Follows one call of an SDK client from its first attempt to its end."""

    __slots__ = ("attempt", "ended_bytes", "handed_over", "most_bytes")

    def __init__(self, call: Call, outer: Scope) -> None:
        self.call = call
        self.outer = outer
        self.host = call.host
        self.most_bytes = _SMALL_BYTES if call.operation == ENDPOINT else KEPT_BYTES
        """A body beyond this is counted, not kept."""
        self.attempt: Attempt | None = None
        self.handed_over = False
        """The SDK has given its result to the caller; only from then on do closing and end of the body mean anything."""
        self.ended_bytes = False
        """The body of the latest attempt has been read to its end."""

    # What happens on the wire.

    def attempt_begins(self, request: Any) -> Attempt | None:
        """A request is about to be sent."""
        try:
            attempt = Attempt(perf_counter_ns())
            self.call.attempts.append(attempt)
            self.attempt = attempt
            self.ended_bytes = False
            # Where the HTTP library keeps a body that is bytes; uploads in parts have none and are not read.
            body: bytes | None = getattr(request, "_content", None)
            if body is None or len(body) > self.most_bytes:
                attempt.request_bytes = _length(request) if body is None else len(body)
            else:
                attempt.request_body = body
        except Exception as error:
            if not report_fault("reading a request", error):
                raise
            return None
        return attempt

    def attempt_fails(self, attempt: Attempt | None, error: BaseException) -> None:
        """Sending or waiting raised: a time-out, a refused connection, a cancelled task."""
        if attempt is None:
            return
        attempt.ended = perf_counter_ns()
        try:
            attempt.failure = failure_of(error)
        except Exception as fault:
            if not report_fault("reading an error", fault):
                raise

    def attempt_answers(self, attempt: Attempt | None, response: Any, tap: Callable[[Any, Watch, Attempt], object]) -> None:
        """Headers have come, and the body too unless it is streamed; `tap` then replaces the response's byte stream."""
        if attempt is None:
            return
        attempt.ended = perf_counter_ns()
        try:
            status = attempt.status = response.status_code
            if status >= 400 or len(self.call.attempts) > 1:  # A look into headers costs microseconds: only where it is shown.
                attempt.request_id = response.headers.get("x-request-id") or response.headers.get("request-id")
            if self.call.template:
                attempt.content_type = response.headers.get("content-type", "")
            body = getattr(response, "_content", None)
            if body is not None:
                self._keep_body(attempt, body, response)
                if self.call.streaming:
                    _watch_whole(response, self, attempt)
                return
            attempt.content_type, attempt.content_encoding = type_and_encoding(response.headers)
            attempt.pieces = []
            attempt.complete = _is_kept(attempt.content_type)
            response.stream = tap(response.stream, self, attempt)
        except Exception as fault:
            if not report_fault("reading a response", fault):
                raise

    def _keep_body(self, attempt: Attempt, body: bytes, response: Any) -> None:
        size = attempt.response_bytes = len(body)
        if size <= _SMALL_BYTES or (size <= self.most_bytes and _is_kept(response.headers.get("content-type", ""))):
            attempt.response_body = body
        else:
            attempt.complete = False

    def bytes_end(self) -> None:
        """The body has been read to its end."""
        self.ended_bytes = True
        if self.handed_over and not self._in_use():
            self.finish(COMPLETED)

    def bytes_fail(self, error: BaseException) -> None:
        """Reading the body raised."""
        if self.handed_over and not self._in_use():
            self.fail(error)

    def closes(self) -> None:
        """The response is being closed: by the caller, or by the SDK on its way out of an iteration, which then tells itself."""
        clock = self.call.stream_clock
        if not self.handed_over or (clock is not None and len(clock) & 1):
            return
        if self.ended_bytes and not self._in_use():
            self.finish(COMPLETED)
            return
        self.finish(CANCELLED if is_cancellation(sys.exc_info()[1]) else self._left())

    def dropped(self) -> None:
        """Nobody can read the rest any more (called from finalizers)."""
        if self.handed_over:
            attempt, clock = self.attempt, self.call.stream_clock
            # A stream that is part of a cycle goes long after the caller let go of it: the last thing that was seen is the better end.
            last = clock[-1] if clock else attempt.first_piece or attempt.ended if attempt is not None else 0
            self.finish(self._left(), last, finalizing=True)

    def _left(self) -> str:
        """The ending of a stream that the caller leaves: abandoned if nothing of it was taken."""
        taken = self._in_use() or (self.attempt is not None and self.attempt.first_piece > 0)
        return STOPPED if taken else ABANDONED

    def _in_use(self) -> bool:
        """The SDK's own stream object has been asked for a piece."""
        return bool(self.call.stream_clock)

    # How it ends.

    def hand_over(self) -> None:
        """The SDK's result goes to the caller now. A call whose body has been read is over."""
        self.handed_over = True
        attempt = self.attempt
        body_is_there = attempt is None or attempt.pieces is None or self.ended_bytes
        if body_is_there and not self.call.streaming:
            close_call(self.call)

    def finish(self, ending: str, ended: int = 0, finalizing: bool = False) -> None:
        """End the call, now or at a reading of the clock; only the first ending counts."""
        close_call(self.call, ending, ended, finalizing)

    def fail(self, error: BaseException) -> None:
        """End the call by an exception that came out of the SDK."""
        if self.call.ending:
            return
        try:
            self.call.failure = failure_of(error)
        except Exception as fault:
            if not report_fault("reading an error", fault):
                raise
        self.finish(ending_of(error))


class Sentinel:
    """Held by whatever the caller can read the answer from; when it goes, nobody can."""

    __slots__ = ("attempt", "watch")

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.attempt = watch.attempt

    def __del__(self) -> None:
        # The answer of an attempt that was repeated goes at any time, and means nothing.
        if self.watch.attempt is self.attempt:
            self.watch.dropped()


def _watch_whole(response: Any, watch: Watch, attempt: Attempt) -> None:
    """See the caller read and close a response whose whole body was there from the start (in-memory transports stream nothing)."""
    bare_iter, bare_aiter, bare_close, bare_aclose = response.iter_bytes, response.aiter_bytes, response.close, response.aclose
    sentinel = Sentinel(watch)

    def iter_bytes(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        attempt.first_piece = attempt.first_piece or perf_counter_ns()
        yield from bare_iter(*args, **kwargs)
        sentinel.watch.bytes_end()

    async def aiter_bytes(*args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        attempt.first_piece = attempt.first_piece or perf_counter_ns()
        async for piece in bare_aiter(*args, **kwargs):
            yield piece
        sentinel.watch.bytes_end()

    def close() -> None:
        sentinel.watch.closes()
        bare_close()

    async def aclose() -> None:
        sentinel.watch.closes()
        await bare_aclose()

    response.iter_bytes, response.aiter_bytes = iter_bytes, aiter_bytes
    response.close, response.aclose = close, aclose
