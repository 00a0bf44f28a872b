"""Names that others publish and read, as patterns; `*` stands for a name of the application's own, `N` for a number.

openinference-semantic-conventions 0.1.42 (`openinference.semconv.trace`); langfuse/langfuse, `LangfuseOtelSpanAttributes` and the
property mapping of its OpenTelemetry page; langsmith 0.14, `_internal/otel/_otel_exporter.py`, and what its endpoint reads besides.
"""

from __future__ import annotations

import re

import opentelemetry.semconv._incubating.attributes.gen_ai_attributes as official

_OPENINFERENCE = """
openinference.span.kind input.value input.mime_type output.value output.mime_type session.id user.id metadata tag.tags agent.name
llm.model_name llm.request.model_name llm.response.model_name llm.provider llm.system llm.invocation_parameters llm.finish_reason
llm.token_count.prompt llm.token_count.completion llm.token_count.total
llm.token_count.prompt_details.cache_read llm.token_count.prompt_details.cache_write llm.token_count.prompt_details.audio
llm.token_count.completion_details.reasoning llm.token_count.completion_details.audio
llm.cost.prompt llm.cost.completion llm.cost.total
llm.tools.N.tool.json_schema tool.name tool.parameters embedding.model_name
llm.input_messages.N.message.role llm.input_messages.N.message.content llm.input_messages.N.message.name
llm.input_messages.N.message.tool_call_id
llm.input_messages.N.message.contents.N.message_content.type llm.input_messages.N.message.contents.N.message_content.text
llm.input_messages.N.message.contents.N.message_content.image.image.url
llm.input_messages.N.message.tool_calls.N.tool_call.id llm.input_messages.N.message.tool_calls.N.tool_call.function.name
llm.input_messages.N.message.tool_calls.N.tool_call.function.arguments
retrieval.documents.N.document.id retrieval.documents.N.document.score retrieval.documents.N.document.content
retrieval.documents.N.document.metadata
"""
_LANGFUSE = """
langfuse.trace.name langfuse.trace.tags langfuse.trace.public langfuse.trace.metadata.* langfuse.trace.input langfuse.trace.output
langfuse.observation.type langfuse.observation.metadata.* langfuse.observation.level langfuse.observation.status_message
langfuse.observation.input langfuse.observation.output langfuse.observation.completion_start_time langfuse.observation.model.name
langfuse.observation.model.parameters langfuse.observation.usage_details langfuse.observation.cost_details
langfuse.observation.prompt.name langfuse.observation.prompt.version langfuse.environment langfuse.release langfuse.version
langfuse.user.id langfuse.session.id user.id session.id
"""
_LANGSMITH = """
langsmith.trace.id langsmith.span.id langsmith.span.parent_id langsmith.span.dotted_order langsmith.root_span langsmith.usage_metadata
langsmith.span.kind langsmith.trace.name langsmith.trace.session_name langsmith.trace.session_id langsmith.span.tags langsmith.metadata.*
langsmith.reference_example_id langsmith.request.streaming gen_ai.system gen_ai.usage.total_tokens input.value output.value
"""


def _pattern(name: str) -> str:
    return re.escape(name).replace(r"\*", ".+").replace(r"\.N\.", r"\.[0-9]+\.")


def _published(names: str, *more: str) -> re.Pattern[str]:
    return re.compile("|".join(_pattern(name) for name in (*names.split(), *more)))


_LATER = "gen_ai.usage.cache_creation.input_tokens gen_ai.usage.cache_read.input_tokens gen_ai.workflow.name"
"""Of the official ones: those that opentelemetry-semantic-conventions 0.60b0, the oldest that is allowed, does not hold yet."""

PUBLISHED = {
    "previous": _published(
        _LATER, *(value for name, value in vars(official).items() if name.startswith("GEN_AI_") and isinstance(value, str))
    ),
    "phoenix": _published(_OPENINFERENCE, *(name.replace("input_m", "output_m") for name in _OPENINFERENCE.split())),
    "langfuse": _published(_LANGFUSE),
    "langsmith": _published(_LANGSMITH),
}
