"""`Clocks` of a call, from the readings that were taken while the caller took the pieces of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from operator import sub

from tracer.call import Call, pieces_taken
from tracer.reading.record import Clocks

_NANOSECONDS = 1e9


def read_clocks(call: Call, chunk_kinds: Sequence[str] = ()) -> Clocks:
    """The times of a streamed answer. `chunk_kinds` says what each piece brought (`Generation.chunk_kinds`).

    >>> call = Call(1, 1, 1, started=0, ended=9_000_000_000, stream_clock=[1_000_000_000, 3_000_000_000])
    >>> read_clocks(call, ["text"]).time_to_first_text
    3.0
    """
    if call.stream_clock is None:
        return _without_readings(call, chunk_kinds)
    taken = pieces_taken(call)
    came = call.stream_clock[1::2]
    asked = call.stream_clock[0::2]
    waits = list(map(sub, came, asked))
    waited = sum(waits)
    consumer_time = _consumer_time(asked, came, waits, waited)
    if len(asked) > len(came) and call.ended:
        # The last wait brought no piece: it ended with the stream.
        waits.append(call.ended - asked[-1])
        waited += waits[-1]
    return Clocks(
        time_to_first_chunk=_seconds(came[0] - call.started) if taken > 0 else None,
        time_to_first_text=_first("text", call, came, chunk_kinds),
        time_to_first_reasoning=_first("reasoning", call, came, chunk_kinds),
        time_to_first_tool_call=_first("tool_call", call, came, chunk_kinds),
        provider_time=_seconds(waited) if waits else None,
        consumer_time=consumer_time,
        longest_gap=_seconds(max(waits[1:])) if len(waits) > 1 else None,
        chunks=taken,
    )


def _consumer_time(asked: list[int], came: list[int], waits: list[int], waited: int) -> float | None:
    """From the first asking to the last, all that was not waiting; cheaper than adding up the single times."""
    if not came:
        return None
    before_last_asking = waited if len(asked) > len(came) else waited - waits[-1]
    return _seconds(asked[-1] - asked[0] - before_last_asking)


def _without_readings(call: Call, chunk_kinds: Sequence[str]) -> Clocks:
    """Where nobody could tell how long a piece was waited for: a framework's callbacks, or a raw stream that was read by hand."""
    if call.piece_times:
        return Clocks(
            time_to_first_chunk=_seconds(call.piece_times[0] - call.started),
            time_to_first_text=_first("text", call, call.piece_times, chunk_kinds),
            time_to_first_reasoning=_first("reasoning", call, call.piece_times, chunk_kinds),
            time_to_first_tool_call=_first("tool_call", call, call.piece_times, chunk_kinds),
            chunks=len(call.piece_times),
        )
    if not chunk_kinds or not call.attempts:
        return Clocks()
    first = call.attempts[-1].first_piece
    return Clocks(time_to_first_chunk=_seconds(first - call.started) if first else None, chunks=len(chunk_kinds))


def _first(kind: str, call: Call, came: list[int], chunk_kinds: Sequence[str]) -> float | None:
    try:
        return _seconds(came[chunk_kinds.index(kind)] - call.started)
    except (ValueError, IndexError):
        return None


def _seconds(nanoseconds: int) -> float:
    return nanoseconds / _NANOSECONDS
