"""Events of the GenAI conventions v0.1.0: the details of a model call, and what somebody thinks of one.

Names, severities and attributes: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-events/.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from tracer.evaluation import Feedback
from tracer.export import names
from tracer.export.attributes import attributes_of
from tracer.export.content import CONTENT_NAMES
from tracer.export.spans import wall_time
from tracer.export.texts import well_formed
from tracer.export.values import attribute_value
from tracer.reading.record import Record
from tracer.settings import Settings

DETAILS = "gen_ai.client.inference.operation.details"
EVALUATION = "gen_ai.evaluation.result"

DEBUG = 5
INFO = 9
"""Severity numbers of OpenTelemetry's log data model."""

SEVERITIES = {DEBUG: "DEBUG", INFO: "INFO"}

_INFERENCE = (names.CHAT, names.TEXT_COMPLETION, names.GENERATE_CONTENT)


@dataclass(slots=True)
class LogEvent:
    """A log record that is an event. `time` is Unix time in nanoseconds; attributes may hold lists and mappings, unlike those of spans.

    `trace_id` 0: it belongs to no trace that is known.
    """

    name: str
    time: int
    severity: int
    trace_id: int = 0
    span_id: int = 0
    sampled: bool = True
    attributes: dict[str, object] = field(default_factory=dict[str, object])


def details_event_of(record: Record, settings: Settings) -> LogEvent | None:
    """The event with everything about a model call, prompt and answer as structures; None for calls that are no inference.

    It is linked to the call's span, and tells what that span would tell, within the same limits.
    """
    generation, call = record.generation, record.call
    if generation is None or generation.operation not in _INFERENCE:
        return None
    attributes = attributes_of(record, settings)
    return LogEvent(
        DETAILS,
        wall_time(call, max(call.ended, call.started)),
        DEBUG,
        call.trace_id,
        call.span_id,
        call.sampled,
        {name: _structured(value) if name in CONTENT_NAMES else value for name, value in attributes.items()},
    )


def evaluation_event_of(evaluation: Feedback) -> LogEvent:
    """The event of a judgement, linked to the span that is judged where that is known.

    A score that is a truth value becomes 1.0 or 0.0, with the label `true` or `false` unless words were given.
    """
    score = evaluation.score
    label = evaluation.value if isinstance(evaluation.value, str) else attribute_value(evaluation.value)
    if label is None and isinstance(score, bool):
        label = score
    attributes: dict[str, object] = {names.EVALUATION_NAME: well_formed(evaluation.key)}
    if score is not None:
        attributes[names.EVALUATION_SCORE] = float(score)
    if label is not None and label != "":
        attributes[names.EVALUATION_LABEL] = str(label).lower() if isinstance(label, bool) else attribute_value(str(label))
    if evaluation.comment:
        attributes[names.EVALUATION_EXPLANATION] = attribute_value(evaluation.comment)
    return LogEvent(EVALUATION, evaluation.time, INFO, evaluation.trace_id, evaluation.span_id, evaluation.sampled, attributes)


def _structured(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value.encode("utf-8", "replace"))
    except orjson.JSONDecodeError:
        return value
