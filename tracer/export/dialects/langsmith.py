"""What LangSmith's OTLP endpoint needs so that a span becomes the very run that our LangSmith exporter would send.

Source: `langsmith/_internal/otel/_otel_exporter.py` of the `langsmith` package, and the names that its OTLP endpoint reads besides
(`langsmith.trace.id`, `langsmith.span.id`, `langsmith.span.parent_id`, `langsmith.span.dotted_order`, `langsmith.usage_metadata`,
`langsmith.root_span`).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import cast
from uuid import UUID

from tracer.dotted_order import joined, project_of
from tracer.export import names
from tracer.export.dialects.subject import Attributes, Subject, present, renamed
from tracer.export.langsmith.places import place_of
from tracer.export.langsmith.run import run_metadata, run_name, run_type_of
from tracer.export.langsmith.usage import usage_metadata
from tracer.export.texts import shorten_text, well_formed
from tracer.export.values import attribute_value, json_text

TRACE_ID = "langsmith.trace.id"
SPAN_ID = "langsmith.span.id"
PARENT_ID = "langsmith.span.parent_id"
DOTTED_ORDER = "langsmith.span.dotted_order"
ROOT_SPAN = "langsmith.root_span"
KIND = "langsmith.span.kind"
NAME = "langsmith.trace.name"
PROJECT = "langsmith.trace.session_name"
TAGS = "langsmith.span.tags"
METADATA = "langsmith.metadata."
USAGE_METADATA = "langsmith.usage_metadata"
TOTAL_TOKENS = "gen_ai.usage.total_tokens"
SYSTEM = "gen_ai.system"

RENAMED = {names.PROVIDER_NAME: SYSTEM, names.TOOL_CALL_ARGUMENTS: names.INPUT_VALUE, names.TOOL_CALL_RESULT: names.OUTPUT_VALUE}

_MOST_NAME = 128
_DEFAULT_PROJECT = "default"


def of_call(subject: Subject) -> Attributes:
    """What the span of a call gets."""
    call, settings = subject.call, subject.settings
    place = place_of(call)
    generation = subject.record.generation
    usage = usage_metadata(generation) if generation is not None else None
    added = {
        **_identity(subject, place.trace_id, place.id, place.parent_run_id, place.dotted_order),
        **present(
            {
                KIND: run_type_of(call),
                NAME: well_formed(run_name(call))[:_MOST_NAME],
                TAGS: ", ".join(subject.tags),
                TOTAL_TOKENS: subject.total_tokens,
                USAGE_METADATA: json_text(usage) if usage is not None else None,
            }
        ),
        **renamed(subject, RENAMED),
    }
    if settings.langsmith_hide_inputs:
        added.pop(names.INPUT_VALUE, None)
    if settings.langsmith_hide_outputs:
        added.pop(names.OUTPUT_VALUE, None)
    if not settings.langsmith_hide_metadata:
        for name, value in run_metadata(call, subject.record.outcome).items():
            told = attribute_value(json_text(cast("object", value)) if isinstance(value, list | tuple) else value)
            if told is not None:
                added[METADATA + well_formed(str(name))] = told
    return added


def of_attempt(subject: Subject, index: int) -> Attributes:
    """An attempt is a run below that of its call, always with the same id."""
    place = place_of(subject.call)
    start = subject.span.start
    digest = int.from_bytes(blake2b(f"{place.id}/{index}".encode(), digest_size=10).digest(), "big")
    # Its id is a UUIDv7 like all others: time, version, variant, and bits that are its own.
    number = (start // 1_000_000 & (1 << 48) - 1) << 80 | digest & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62
    order, _ = joined(place.dotted_order, [(number, start)])
    return {
        **_identity(subject, place.trace_id, str(UUID(int=number)), place.id, order),
        KIND: "chain",
        NAME: shorten_text(subject.span.name, _MOST_NAME),
    }


def _identity(subject: Subject, trace_id: str, run_id: str, parent_id: str | None, order: str) -> Attributes:
    project = project_of(subject.call) or subject.settings.langsmith_project
    return present(
        {
            TRACE_ID: trace_id,
            SPAN_ID: run_id,
            PARENT_ID: parent_id,
            DOTTED_ORDER: order,
            ROOT_SPAN: True if parent_id is None else None,
            # Where none is named, the header of the collector that sends it there decides.
            PROJECT: None if project == _DEFAULT_PROJECT else project,
        }
    )
