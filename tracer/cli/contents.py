"""Prompts and answers of a stored span, taken out of its attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from tracer.export import names
from tracer.export.wording import part_text, printable

CONTENT_NAMES = {
    names.SYSTEM_INSTRUCTIONS: "system_instructions",
    names.INPUT_MESSAGES: "input_messages",
    names.OUTPUT_MESSAGES: "output_messages",
    names.TOOL_DEFINITIONS: "tool_definitions",
    names.RETRIEVAL_QUERY: "retrieval_query",
    names.RETRIEVAL_DOCUMENTS: "retrieval_documents",
    names.TOOL_CALL_ARGUMENTS: "arguments",
    names.TOOL_CALL_RESULT: "result",
    names.INPUT_VALUE: "input",
    names.OUTPUT_VALUE: "output",
}
"""Attributes with content, and their keys in the output of `tracer show --json --content`."""


def contents(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked and answered, by the keys of `CONTENT_NAMES`; JSON texts are parsed."""
    found = {key: attributes[name] for name, key in CONTENT_NAMES.items() if name in attributes}
    return {key: value if key == "retrieval_query" else _parsed(value) for key, value in found.items()}


def content_lines(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Who said what, for the terminal: pairs of a label (a role, `input`, `result` …) and a text. Tool definitions are left out."""
    lines: list[tuple[str, str]] = []
    for key, value in contents(attributes).items():
        if key == "system_instructions":
            lines.append(("system", _parts(value)))
        elif key in ("input_messages", "output_messages"):
            lines.extend(_messages(value))
        elif key != "tool_definitions":
            lines.append((key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    return [(label, printable(text)) for label, text in lines]


def _parsed(value: object) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _messages(value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, list):
        return [("message", str(value))]
    messages = [cast("dict[str, Any]", item) for item in cast("list[object]", value) if isinstance(item, dict)]
    return [(str(message.get("role", "")), _parts(message.get("parts"))) for message in messages]


def _parts(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    return "\n".join(part_text(cast("dict[str, object]", part)) for part in cast("list[object]", value) if isinstance(part, dict))
