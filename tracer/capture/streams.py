"""Taps on streamed answers: the bytes as they pass, and the pieces as the caller takes them.

Both keep references and clock readings only. The SDK's stream object stays the native one; its inner iterator is replaced by one of
the two generators below (sync and async differ in nothing but the words).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from time import perf_counter_ns
from typing import Any

from tracer.call import CANCELLED, COMPLETED, STOPPED, Attempt
from tracer.capture.failure import is_cancellation
from tracer.capture.usage import HiddenUsage
from tracer.capture.watch import Sentinel, Watch
from tracer.runtime import report_fault


class ByteTap:
    """Stands for a response's byte stream, sync or async, and passes the HTTP library's isinstance checks by `__class__`."""

    __slots__ = ("_attempt", "_sentinel", "_stream", "_watch")

    def __init__(self, stream: Any, watch: Watch, attempt: Attempt) -> None:
        self._stream = stream
        self._watch = watch
        self._attempt = attempt
        self._sentinel = Sentinel(watch)

    @property
    def __class__(self) -> type[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self._stream)  # pyright: ignore[reportUnknownVariableType]  # asked for often

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._stream:
                _keep(self._attempt, piece, self._watch.most_bytes)
                yield piece
        except GeneratorExit:
            raise
        except BaseException as error:
            self._watch.bytes_fail(error)
            raise
        self._watch.bytes_end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                _keep(self._attempt, piece, self._watch.most_bytes)
                yield piece
        except GeneratorExit:
            raise
        except BaseException as error:
            self._watch.bytes_fail(error)
            raise
        self._watch.bytes_end()

    def close(self) -> None:
        """Close the response's stream; the call ends with it if the caller did this."""
        self._watch.closes()
        self._stream.close()

    async def aclose(self) -> None:
        """Close the response's stream; the call ends with it if the caller did this."""
        self._watch.closes()
        await self._stream.aclose()


def _keep(attempt: Attempt, piece: bytes, most_bytes: int) -> None:
    try:
        pieces = attempt.pieces
        if not attempt.response_bytes:
            attempt.first_piece = perf_counter_ns()
        attempt.response_bytes += len(piece)
        if pieces is not None and attempt.complete and attempt.response_bytes <= most_bytes:
            pieces.append(piece)
        else:
            attempt.complete = False
    except Exception as fault:  # Memory may be short.
        attempt.complete = False
        if not report_fault("keeping a piece", fault):
            raise


def tap_stream(stream: Any, watch: Watch) -> None:
    """Watch the caller take the pieces of an SDK stream (`openai.Stream`, `openai.AsyncStream`, a subclass, Anthropic's)."""
    try:
        inner = stream._iterator
        hidden = HiddenUsage(watch.call) if watch.call.asked_usage else None
        if hasattr(inner, "__anext__"):
            stream._iterator = _taken_async(inner, watch, Sentinel(watch), hidden)
        else:
            stream._iterator = _taken(inner, watch, Sentinel(watch), hidden)
    except Exception as fault:
        if not report_fault("watching a stream", fault):
            raise


def _taken(inner: Iterator[Any], watch: Watch, _sentinel: Sentinel, hidden: HiddenUsage | None) -> Iterator[Any]:
    clock = perf_counter_ns
    readings: list[int] = []
    note = readings.append
    watch.call.stream_clock = readings
    try:
        note(clock())
        for piece in inner:
            note(clock())
            if hidden is not None:  # In line, since it runs for every chunk.
                try:
                    if piece.usage is None:
                        fields = piece.__pydantic_fields_set__
                        if "usage" in fields:
                            fields.discard("usage")
                            hidden.nulls = True
                    elif hidden.hides(piece):
                        note(clock())
                        continue
                except AttributeError:
                    hidden.take_null_from(piece)
                except Exception as fault:
                    if not report_fault("looking at a piece", fault):
                        raise
            yield piece
            note(clock())
    except GeneratorExit:
        watch.finish(STOPPED, readings[-1])
        raise
    except BaseException as error:
        _ended_by(error, readings, watch)
        raise
    watch.finish(COMPLETED)


async def _taken_async(inner: Any, watch: Watch, _sentinel: Sentinel, hidden: HiddenUsage | None) -> AsyncIterator[Any]:
    clock = perf_counter_ns
    readings: list[int] = []
    note = readings.append
    watch.call.stream_clock = readings
    try:
        note(clock())
        async for piece in inner:
            note(clock())
            if hidden is not None:  # In line, since it runs for every chunk.
                try:
                    if piece.usage is None:
                        fields = piece.__pydantic_fields_set__
                        if "usage" in fields:
                            fields.discard("usage")
                            hidden.nulls = True
                    elif hidden.hides(piece):
                        note(clock())
                        continue
                except AttributeError:
                    hidden.take_null_from(piece)
                except Exception as fault:
                    if not report_fault("looking at a piece", fault):
                        raise
            yield piece
            note(clock())
    except GeneratorExit:
        # The inner generator is left to the event loop's own finalizer, as it is without the tap: closing it here could meet that.
        watch.finish(STOPPED, readings[-1])
        raise
    except BaseException as error:
        _ended_by(error, readings, watch)
        raise
    watch.finish(COMPLETED)


def _ended_by(error: BaseException, readings: list[int], watch: Watch) -> None:
    """An exception in the middle: the provider's if a piece was being waited for, else thrown in by the consumer."""
    if len(readings) & 1:
        watch.fail(error)
    else:
        watch.finish(CANCELLED if is_cancellation(error) else STOPPED)
