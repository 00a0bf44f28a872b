"""How a call ended, in the light of what was read (design §6)."""

from __future__ import annotations

from tracer.call import ABANDONED, COMPLETED, FAILED, STOPPED, UNFINISHED, Call, pieces_taken
from tracer.reading.generation import Generation


def final_outcome(call: Call, generation: Generation | None) -> str:
    """One of `tracer.call.OUTCOMES`.

    The capture side says how the iteration ended; only what was read shows that a stream which the caller left had already given
    a finish reason for every choice, or that an answer which came without an exception carries an error.
    """
    if call.operation == "span":
        return call.ending or UNFINISHED
    if call.ending == STOPPED:
        if _nothing_taken(call, generation):
            return ABANDONED
        return COMPLETED if generation is not None and generation.all_finished else STOPPED
    if call.ending == COMPLETED and generation is not None and _has_error(generation):
        return FAILED
    return call.ending or UNFINISHED


def _nothing_taken(call: Call, generation: Generation | None) -> bool:
    if call.stream_clock is not None:
        return pieces_taken(call) == 0
    return generation is not None and generation.answer is None and not generation.chunk_kinds


def _has_error(generation: Generation) -> bool:
    return generation.error_code is not None or generation.error_message is not None
