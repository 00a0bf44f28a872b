"""Which attributes of the dialects repeat content, and which are JSON: what shortens spans has to know it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tracer.export import names

PLAIN_TEXT = "text/plain"

_COPIES = (
    "gen_ai.prompt",
    "gen_ai.completion",
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.tools.",
    "retrieval.documents.",
    "tool.parameters",
    "langfuse.observation.input",
    "langfuse.observation.output",
)
_NOT_COPIES = ("gen_ai.prompt.name", "gen_ai.prompt.version")
_VALUES = {names.INPUT_VALUE: names.INPUT_MIME_TYPE, names.OUTPUT_VALUE: names.OUTPUT_MIME_TYPE}

_JSON = frozenset(
    {
        "gen_ai.prompt",
        "gen_ai.completion",
        "llm.invocation_parameters",
        "metadata",
        "tool.parameters",
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.observation.model.parameters",
        "langfuse.observation.usage_details",
        "langfuse.observation.cost_details",
        "langfuse.observation.completion_start_time",
        "langsmith.usage_metadata",
    }
)
_JSON_ENDINGS = (".tool.json_schema", ".tool_call.function.arguments", ".document.metadata")


def copies_in(attributes: Mapping[str, object]) -> list[str]:
    """Names of attributes that repeat content which the span also has under the conventions' names; they may be left out."""
    return [name for name in attributes if _is_copy(name, attributes)]


def _is_copy(name: str, attributes: Mapping[str, object]) -> bool:
    if name in _VALUES:
        # The application's own spans have JSON there, and nothing else.
        return attributes.get(_VALUES[name]) == PLAIN_TEXT
    return name.startswith(_COPIES) and not name.startswith(_NOT_COPIES)


def json_in(attributes: Iterable[str]) -> list[str]:
    """Names of attributes whose text is JSON: cut in the middle it would be worth nothing."""
    return [name for name in attributes if name in _JSON or name.endswith(_JSON_ENDINGS)]
