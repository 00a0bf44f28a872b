"""Names that the GenAI conventions used before: for dashboards and backends made for them.

Source: the deprecated attributes of the OpenTelemetry semantic conventions v1.27 to v1.41, as `opentelemetry-semantic-conventions`
lists them (`_incubating/attributes/gen_ai_attributes.py`). What kept its name is not repeated.
"""

from __future__ import annotations

from tracer.export import names
from tracer.export.dialects.chat import chat_messages
from tracer.export.dialects.subject import Attributes, Subject, renamed
from tracer.export.values import json_text

SYSTEM = "gen_ai.system"
PROMPT = "gen_ai.prompt"
COMPLETION = "gen_ai.completion"
WORKFLOW_NAME = "gen_ai.workflow.name"
RESPONSE_FORMAT = "gen_ai.openai.request.response_format"

RENAMED = {
    names.USAGE_INPUT_TOKENS: "gen_ai.usage.prompt_tokens",
    names.USAGE_OUTPUT_TOKENS: "gen_ai.usage.completion_tokens",
    names.USAGE_CACHE_WRITE: "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.request.seed": "gen_ai.openai.request.seed",
    names.OPENAI_REQUEST_SERVICE_TIER: "gen_ai.openai.request.service_tier",
    names.OPENAI_RESPONSE_SERVICE_TIER: "gen_ai.openai.response.service_tier",
    names.OPENAI_RESPONSE_SYSTEM_FINGERPRINT: "gen_ai.openai.response.system_fingerprint",
}

SYSTEMS = {
    "azure.ai.openai": "az.ai.openai",
    "azure.ai.inference": "az.ai.inference",
    "gcp.gemini": "gemini",
    "gcp.vertex_ai": "vertex_ai",
    "x_ai": "xai",
}
"""`gen_ai.system` where it was another word than `gen_ai.provider.name`."""

_FORMATS = {"text": "text", "json": "json_object"}


def of_call(subject: Subject) -> Attributes:
    """What the span of a call gets."""
    added = renamed(subject, RENAMED)
    provider = subject.attributes.get(names.PROVIDER_NAME)
    if isinstance(provider, str):
        added[SYSTEM] = SYSTEMS.get(provider, provider)
    if subject.operation == names.INVOKE_WORKFLOW and names.AGENT_NAME in subject.attributes:
        added[WORKFLOW_NAME] = subject.attributes[names.AGENT_NAME]
    output_type = subject.attributes.get(names.OUTPUT_TYPE)
    if provider == "openai" and output_type in _FORMATS:
        added[RESPONSE_FORMAT] = _FORMATS[str(output_type)]
    if subject.asked:
        added[PROMPT] = json_text(chat_messages(subject.asked))
    if subject.answered:
        added[COMPLETION] = json_text(chat_messages(subject.answered))
    return added


def of_attempt(_subject: Subject, _index: int) -> Attributes:
    """Attempts have no name there."""
    return {}
