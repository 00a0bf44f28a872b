"""Which traces are recorded: the samplers of the OpenTelemetry SDK specification, decided from ids alone.

The ratio sampler reads the low 56 bits of the trace id (the bits that W3C Trace Context level 2 calls random). The SDK's own takes 64,
of which two are the fixed variant bits of a UUIDv7, so that a rate of one half would keep nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from tracer.scope import Parent

Sampler = Callable[[int, "Parent | None"], bool]
"""From the trace id and the parent (None for a root) to whether the span is recorded."""

_RANDOM_BITS = 56
_RANDOM_MASK = (1 << _RANDOM_BITS) - 1


def _always_on(_trace_id: int, _parent: Parent | None) -> bool:
    return True


def _always_off(_trace_id: int, _parent: Parent | None) -> bool:
    return False


def _ratio(argument: float) -> Sampler:
    bound = round(argument * (1 << _RANDOM_BITS))

    def sampler(trace_id: int, _parent: Parent | None) -> bool:
        return trace_id & _RANDOM_MASK < bound

    return sampler


def _parent_based(root: Sampler) -> Sampler:
    def sampler(trace_id: int, parent: Parent | None) -> bool:
        return root(trace_id, None) if parent is None else parent.sampled

    return sampler


SAMPLERS: dict[str, Callable[[float], Sampler]] = {
    "always_on": lambda _: _always_on,
    "always_off": lambda _: _always_off,
    "traceidratio": _ratio,
    "parentbased_always_on": lambda _: _parent_based(_always_on),
    "parentbased_always_off": lambda _: _parent_based(_always_off),
    "parentbased_traceidratio": lambda argument: _parent_based(_ratio(argument)),
}
"""By the names of `OTEL_TRACES_SAMPLER`; each takes `OTEL_TRACES_SAMPLER_ARG`."""
