"""The second record of the library: what somebody, or another program, thinks of a run (`tracer.feedback`).

OpenTelemetry calls it an evaluation result (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-events/), LangSmith feedback.
"""

from __future__ import annotations

from dataclasses import dataclass

API = "api"
"""Feedback of people, or of the application in their name."""

MODEL = "model"
"""Feedback of a model that judges."""


@dataclass(slots=True)
class Feedback:
    """One judgement of one run. It is complete when it is made, holds plain values only, and nothing but masking changes it.

    Ids are integers as those of `Call`: `id` and `run_id` are UUIDs, `root_run_id` is the run id of the outermost run above (the trace id
    of LangSmith-style backends), `trace_id` and `span_id` are OpenTelemetry's. 0: not known, which is usual where only a run id was given.

    >>> Feedback(id=1, run_id=2, key="helpful", score=1).source
    'api'
    """

    id: int
    """A UUIDv7, made once: what bears it a second time is the same feedback, sent again."""
    run_id: int
    key: str
    """What is judged: `helpful`, `correctness`. Never empty."""
    score: bool | int | float | None = None
    """A finite number."""
    value: object = None
    """A judgement that is no number, or the words for the score: text, number, truth value, or an object of JSON's kinds of values."""
    comment: str | None = None
    correction: dict[str, object] | None = None
    """What would have been right."""
    source: str = API
    """Who judges: `api`, `model`, or a word of the application's own."""
    time: int = 0
    """When, in Unix nanoseconds."""
    root_run_id: int = 0
    trace_id: int = 0
    span_id: int = 0
    sampled: bool = True
    """The run is recorded, as far as that was decided when it began."""
