"""Attributes of Langfuse's own, which go before everything else that its OTLP endpoint reads.

Source: https://langfuse.com/integrations/native/opentelemetry#property-mapping and the list of names in langfuse/langfuse
(`LangfuseOtelSpanAttributes`).
"""

from __future__ import annotations

from tracer.call import COMPLETED, FAILED
from tracer.dotted_order import moment
from tracer.export import names
from tracer.export.dialects.chat import chat_messages
from tracer.export.dialects.subject import Attributes, Subject, present, renamed
from tracer.export.values import json_text

TYPE = "langfuse.observation.type"
INPUT = "langfuse.observation.input"
OUTPUT = "langfuse.observation.output"
LEVEL = "langfuse.observation.level"
STATUS_MESSAGE = "langfuse.observation.status_message"
USAGE_DETAILS = "langfuse.observation.usage_details"
COST_DETAILS = "langfuse.observation.cost_details"
COMPLETION_START_TIME = "langfuse.observation.completion_start_time"
MODEL_PARAMETERS = "langfuse.observation.model.parameters"
METADATA = "langfuse.observation.metadata."
TRACE_NAME = "langfuse.trace.name"
TRACE_METADATA = "langfuse.trace.metadata."

TYPES = {
    names.CHAT: "generation",
    names.TEXT_COMPLETION: "generation",
    names.GENERATE_CONTENT: "generation",
    names.EMBEDDINGS: "embedding",
    names.RETRIEVAL: "retriever",
    names.EXECUTE_TOOL: "tool",
    names.INVOKE_AGENT: "agent",
    names.CREATE_AGENT: "agent",
    names.INVOKE_WORKFLOW: "chain",
    names.MODERATION: "guardrail",
}
"""`langfuse.observation.type` by operation; anything else is a span."""

RENAMED = {
    names.PROMPT_NAME: "langfuse.observation.prompt.name",
    names.PROMPT_VERSION: "langfuse.observation.prompt.version",
    names.TAGS: "langfuse.trace.tags",
    names.TOOL_CALL_ARGUMENTS: INPUT,
    names.TOOL_CALL_RESULT: OUTPUT,
    names.INPUT_VALUE: INPUT,
    names.OUTPUT_VALUE: OUTPUT,
    names.RETRIEVAL_DOCUMENTS: OUTPUT,
}

COUNTS = {
    "input_cached_tokens": (names.USAGE_CACHE_READ, "input"),
    "input_cache_creation": (names.USAGE_CACHE_WRITE, "input"),
    "input_audio_tokens": (names.USAGE_AUDIO_INPUT, "input"),
    "output_reasoning_tokens": (names.USAGE_REASONING, "output"),
    "output_audio_tokens": (names.USAGE_AUDIO_OUTPUT, "output"),
}
"""Kinds of tokens that Langfuse counts beside plain input and output, the attribute of each, and what it is a part of."""


def of_call(subject: Subject) -> Attributes:
    """What the span of a call gets."""
    attributes = subject.attributes
    kind = TYPES.get(subject.operation, "span")
    added: Attributes = {TYPE: kind, **renamed(subject, RENAMED), **_level(subject.span.error)}
    if subject.record.outcome not in (COMPLETED, FAILED):
        added[LEVEL] = "WARNING"
        added[STATUS_MESSAGE] = subject.record.outcome
    added |= {METADATA + name: value for name, value in subject.metadata.items()}
    if subject.is_root:
        added |= {TRACE_NAME: subject.span.name, **{TRACE_METADATA + name: value for name, value in subject.metadata.items()}}
    if kind in ("generation", "embedding"):
        added |= _model(subject)
    if names.RETRIEVAL_QUERY in attributes:
        added[INPUT] = json_text(attributes[names.RETRIEVAL_QUERY])
    if subject.asked:
        added[INPUT] = json_text(chat_messages(subject.asked))
    if subject.answered:
        answers = chat_messages(subject.answered)
        added[OUTPUT] = json_text(answers[0] if len(answers) == 1 else answers)
    first = attributes.get(names.RESPONSE_TIME_TO_FIRST_CHUNK)
    if isinstance(first, float):
        # It is parsed as JSON there.
        added[COMPLETION_START_TIME] = json_text(moment(subject.span.start // 1000 + int(first * 1e6)).isoformat())
    return added


def of_attempt(subject: Subject, _index: int) -> Attributes:
    """What the span of an attempt gets."""
    return {TYPE: "span", **_level(subject.span.error)}


def _level(error: str | None) -> Attributes:
    return present({LEVEL: None if error is None else "ERROR", STATUS_MESSAGE: error})


def _model(subject: Subject) -> Attributes:
    attributes = subject.attributes
    cost = {
        "input": attributes.get(names.COST_INPUT),
        "output": attributes.get(names.COST_OUTPUT),
        "total": attributes.get(names.COST_TOTAL),
    }
    return present(
        {
            "langfuse.observation.model.name": attributes.get(names.RESPONSE_MODEL) or attributes.get(names.REQUEST_MODEL),
            MODEL_PARAMETERS: json_text(subject.parameters) if subject.parameters else None,
            USAGE_DETAILS: _usage(subject),
            # Prices there are in US dollars.
            COST_DETAILS: json_text(present(cost)) if attributes.get(names.COST_CURRENCY) == "USD" else None,
        }
    )


def _usage(subject: Subject) -> str | None:
    """Tokens by kind. Langfuse adds them up, so none is in two of them."""
    total = subject.total_tokens
    if total is None:
        return None
    rest = {"input": subject.whole(names.USAGE_INPUT_TOKENS), "output": subject.whole(names.USAGE_OUTPUT_TOKENS)}
    details: dict[str, int] = {}
    for name, (attribute, side) in COUNTS.items():
        count = min(subject.whole(attribute), rest[side])
        if count:
            details[name] = count
            rest[side] -= count
    return json_text({**rest, **details, "total": total})
