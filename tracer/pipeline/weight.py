"""How much memory a finished call holds on to, and how it lets go of it."""

from __future__ import annotations

from tracer.call import Call


def weight_of(call: Call) -> int:
    """Bytes of bodies that the call refers to. Safe in finalizers: it only adds lengths.

    >>> weight_of(Call(1, 1, 1, input_json=b"[1,2]"))
    5
    """
    weight = 0
    if call.input_json is not None:
        weight += len(call.input_json)
    if call.output_json is not None:
        weight += len(call.output_json)
    for attempt in call.attempts:
        if attempt.request_body is not None:
            weight += len(attempt.request_body)
        if attempt.response_body is not None:
            weight += len(attempt.response_body)
        elif attempt.pieces:
            # Of a long answer only the beginning is kept.
            weight += attempt.response_bytes if attempt.complete else sum(map(len, attempt.pieces))
    if call.inner is not None:
        weight += weight_of(call.inner)
    return weight


def without_bodies(call: Call) -> None:
    """Let go of the bodies; who called what, when and how it ended stays."""
    call.input_json = call.output_json = None
    for attempt in call.attempts:
        attempt.request_body = attempt.response_body = attempt.pieces = None
    if call.inner is not None:
        without_bodies(call.inner)
