"""`Record`: a call together with what was read from it. This is all that exporters get to see."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracer.call import Call
from tracer.reading.generation import Generation


@dataclass(slots=True)
class Clocks:
    """Times of a streamed answer as the caller saw it, in seconds; `None` where there was nothing to measure."""

    time_to_first_chunk: float | None = None
    time_to_first_text: float | None = None
    time_to_first_reasoning: float | None = None
    time_to_first_tool_call: float | None = None
    provider_time: float | None = None
    """Time spent waiting for the provider between asking for a piece and getting it."""
    consumer_time: float | None = None
    """Time the caller took between getting a piece and asking for the next."""
    longest_gap: float | None = None
    """The longest single wait for a piece after the first."""
    chunks: int | None = None
    """Pieces the caller took."""


@dataclass(slots=True)
class Record:
    """One call, read. `outcome` is one of `tracer.call.OUTCOMES`; `generation` is None for own spans."""

    call: Call
    outcome: str
    generation: Generation | None = None
    clocks: Clocks = field(default_factory=Clocks)
    withheld: str = ""
    """Why its content was left out: masking it failed."""
