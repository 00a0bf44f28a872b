"""Prompts, answers and tool data of a record as JSON texts, within the settings' size."""

from __future__ import annotations

import orjson

from tracer.call import CANCELLED, FAILED, TOOL
from tracer.export import names
from tracer.export.shorten import shorten
from tracer.export.span import AttributeValue
from tracer.export.values import json_bytes
from tracer.reading.generation import Generation, Message
from tracer.reading.record import Record

JSON_MIME_TYPE = "application/json"

CONTENT_NAMES = frozenset(
    {
        names.SYSTEM_INSTRUCTIONS,
        names.INPUT_MESSAGES,
        names.TOOL_DEFINITIONS,
        names.OUTPUT_MESSAGES,
        names.TOOL_CALL_ARGUMENTS,
        names.TOOL_CALL_RESULT,
        names.INPUT_VALUE,
        names.OUTPUT_VALUE,
        names.RETRIEVAL_DOCUMENTS,
        names.RETRIEVAL_QUERY,
    }
)
"""Attributes that hold content; where there is no room they give way before the record does."""


def content_attributes(record: Record, limit: int) -> dict[str, AttributeValue]:
    """What was asked and answered, as valid JSON texts of at most `limit` bytes of UTF-8 in all.

    Honours the call's `content_inputs` and `content_outputs`; tool definitions count as inputs. Where something was cut,
    `tracer.content.truncated` says so, with the size and the SHA-256 of all content as it would have been: the JSON texts of the
    attributes one after the other in the order of this dictionary. Base64 data behind a reference counts as cut.
    """
    sections = _sections(record)
    if not sections:
        return {}
    shortened = shorten(sections, limit)
    attributes: dict[str, AttributeValue] = {name: data.decode("utf-8", "replace") for name, data in shortened.sections.items()}
    if names.INPUT_VALUE in attributes:
        attributes[names.INPUT_MIME_TYPE] = JSON_MIME_TYPE
    if names.RETRIEVAL_QUERY in attributes:
        attributes[names.RETRIEVAL_QUERY] = orjson.loads(shortened.sections[names.RETRIEVAL_QUERY])  # A text, not JSON.
    if names.OUTPUT_VALUE in attributes:
        attributes[names.OUTPUT_MIME_TYPE] = JSON_MIME_TYPE
    if shortened.cut:
        attributes[names.CONTENT_TRUNCATED] = True
        attributes[names.CONTENT_BYTES] = shortened.original_bytes
        attributes[names.CONTENT_SHA256] = shortened.original_sha256
    return attributes


def finish_reason_of(message: Message, outcome: str) -> str:
    """The finish reason inside an output message: always a text, since Phoenix drops the whole output without one.

    A reason that the provider did not give is never made up: the message says how the call ended instead (`error` for failed and
    cancelled calls as the conventions want it, else the word of `tracer.outcome`, such as `stopped`).
    `gen_ai.response.finish_reasons` has only what the provider said.
    """
    if message.finish_reason:
        return message.finish_reason
    return "error" if outcome in (FAILED, CANCELLED) else outcome


def _sections(record: Record) -> dict[str, bytes]:
    if record.generation is not None:
        return _generation_sections(record, record.generation)
    call = record.call
    tool = call.kind == TOOL
    sections: dict[str, bytes] = {}
    if call.input_json and call.content_inputs:
        sections[names.TOOL_CALL_ARGUMENTS if tool else names.INPUT_VALUE] = call.input_json
    if call.output_json and call.content_outputs:
        sections[names.TOOL_CALL_RESULT if tool else names.OUTPUT_VALUE] = call.output_json
    return sections


def _generation_sections(record: Record, generation: Generation) -> dict[str, bytes]:
    values: dict[str, object] = {}
    if record.call.content_inputs:
        values[names.SYSTEM_INSTRUCTIONS] = generation.system_instructions
        values[names.INPUT_MESSAGES] = [_message(message) for message in generation.input_messages]
        values[names.TOOL_DEFINITIONS] = generation.tool_definitions
        values[names.RETRIEVAL_QUERY] = generation.query
    if record.call.content_outputs:
        values[names.OUTPUT_MESSAGES] = [
            {**_message(message), "finish_reason": finish_reason_of(message, record.outcome)} for message in generation.output_messages
        ]
        values[names.RETRIEVAL_DOCUMENTS] = generation.documents
    return {name: json_bytes(value) for name, value in values.items() if value}


def _message(message: Message) -> dict[str, object]:
    entry: dict[str, object] = {"role": message.role, "parts": message.parts}
    if message.name:
        entry["name"] = message.name
    return entry
