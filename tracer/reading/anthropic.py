"""Anthropic's Messages API: what a request asks for, and what an answer says.

Its `input_tokens` leave out what was read from the cache or written to it; the conventions count all of it as input. What has no
name in the conventions goes under the names that Anthropic's own SDK gives it (`anthropic.*`).
"""

from __future__ import annotations

from tracer.reading.generation import Generation, Message, OtherUsage, Usage
from tracer.reading.messages import read_messages
from tracer.reading.parts import content_parts, text_part
from tracer.reading.tools import anthropic_tool_definitions
from tracer.reading.values import Json, Problems, as_list, as_object, as_text, count_at, kind, list_at, note, object_at, text_at, whole_at

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "content_filter",
}
"""Anthropic's words where the conventions have their own; the others (`pause_turn`, `compaction`) stay."""

_OUTPUT_TYPES = {"json_schema": "json"}


# What was asked.


def read_stop_sequences(request: Json, generation: Generation) -> None:
    """`stop_sequences`."""
    sequences = [item for item in list_at(request, "stop_sequences", generation.problems) or () if isinstance(item, str)]
    if sequences:
        generation.parameters["stop_sequences"] = sequences


def read_thinking(request: Json, generation: Generation) -> None:
    """The effort in words is the conventions' level; the kind of thinking and its budget have no name there."""
    output = object_at(request, "output_config", generation.problems)
    effort = text_at(output, "effort", generation.problems, "output_config.") if output is not None else None
    if effort is not None:
        generation.parameters["reasoning.level"] = effort
    thinking = object_at(request, "thinking", generation.problems)
    if thinking is not None:
        _put(generation, "anthropic.thinking.type", text_at(thinking, "type", generation.problems, "thinking."))
        _put(generation, "anthropic.thinking.budget_tokens", whole_at(thinking, "budget_tokens", generation.problems, "thinking."))


def read_output_type(request: Json, generation: Generation) -> None:
    """`output_config.format`, and `output_format` of the beta."""
    output = object_at(request, "output_config", generation.problems)
    layout = as_object(output.get("format")) if output is not None else None
    if layout is None:
        layout = object_at(request, "output_format", generation.problems)
    generation.output_type = _OUTPUT_TYPES.get(as_text(layout.get("type")) or "") if layout is not None else None


def read_service_tier(request: Json, generation: Generation) -> None:
    """`service_tier`, unless it is left to the service."""
    tier = text_at(request, "service_tier", generation.problems)
    _put(generation, "anthropic.request.service_tier", tier if tier != "auto" else None)


def read_system(request: Json, generation: Generation) -> None:
    """`system`: a text, or blocks of text."""
    system = request.get("system")
    if isinstance(system, str):
        generation.system_instructions = [text_part(system)] if system else []
    elif system is not None:
        parts = content_parts(system, generation.problems)
        # The conventions want texts only here.
        generation.system_instructions = [part for part in parts if part.get("type") == "text"]


def read_input_messages(request: Json, generation: Generation) -> None:
    """`messages`. Results of tools are parts of the user's message, as they were sent."""
    generation.input_messages = read_messages(list_at(request, "messages", generation.problems) or [], generation.problems)


def read_tools(request: Json, generation: Generation) -> None:
    """`tools`."""
    generation.tool_definitions = anthropic_tool_definitions(request, generation.problems)


# What was answered.


def read_head(answer: Json, generation: Generation) -> None:
    """Id, model, and why it stopped in Anthropic's own word."""
    generation.response_id = text_at(answer, "id", generation.problems)
    generation.response_model = text_at(answer, "model", generation.problems)
    _put(generation, "anthropic.message.stop_reason", as_text(answer.get("stop_reason")))


def read_message_answer(answer: Json, generation: Generation) -> None:
    """The one message that was answered."""
    content = answer.get("content")
    reason = text_at(answer, "stop_reason", generation.problems)
    if content is None and reason is None:
        note(generation.problems, "the answer has no content")
        return
    message = Message(as_text(answer.get("role")) or "assistant", content_parts(content, generation.problems))
    _only_message(message, reason, generation)


def read_completion(answer: Json, generation: Generation) -> None:
    """The answer of the older text completions."""
    text, reason = text_at(answer, "completion", generation.problems), text_at(answer, "stop_reason", generation.problems)
    if text is None and reason is None:
        return
    message = Message("assistant", [text_part(text)] if text is not None else [])
    _only_message(message, reason, generation)


def _only_message(message: Message, reason: str | None, generation: Generation) -> None:
    message.finish_reason = FINISH_REASONS.get(reason, reason) if reason is not None else None
    generation.output_messages = [message]
    generation.finish_reasons = [message.finish_reason] if message.finish_reason is not None else []
    generation.all_finished = message.finish_reason is not None


def read_message_usage(answer: Json, generation: Generation) -> None:
    """`usage`, and the tier that it names."""
    generation.usage = messages_usage(answer.get("usage"), generation.problems)
    reported = as_object(answer.get("usage"))
    if reported is not None:
        _put(generation, "anthropic.response.service_tier", as_text(reported.get("service_tier")))


def messages_usage(reported: object, problems: Problems) -> Usage | None:
    """Token counts of the Messages API; None where none were reported.

    >>> messages_usage({"input_tokens": 21, "cache_read_input_tokens": 1733, "output_tokens": 568}, []).input
    1754
    """
    source = as_object(reported)
    if source is None:
        if reported is not None:
            note(problems, f"usage is {kind(reported)}")
        return None
    usage = _counts(source, problems)
    usage.raw = source
    for item in as_list(source.get("iterations")) or ():
        iteration = as_object(item)
        if iteration is not None:
            _add_iteration(usage, iteration, problems)
    if usage.input is None and usage.output is None and usage.cache_read is None and usage.cache_write is None:
        return None
    return usage


def _counts(source: Json, problems: Problems) -> Usage:
    usage = Usage(output=_count(source, "output_tokens", problems))
    usage.cache_read = _count(source, "cache_read_input_tokens", problems)
    usage.cache_write = _count(source, "cache_creation_input_tokens", problems)
    fresh = _count(source, "input_tokens", problems)
    if fresh is not None:
        usage.input = fresh + (usage.cache_read or 0) + (usage.cache_write or 0)
    written = object_at(source, "cache_creation", problems, "usage.")
    if written is not None:
        usage.cache_write_hour = _count(written, "ephemeral_1h_input_tokens", problems)
    details = object_at(source, "output_tokens_details", problems, "usage.")
    usage.reasoning = _count(details, "thinking_tokens", problems) if details is not None else None
    tools = object_at(source, "server_tool_use", problems, "usage.")
    usage.web_searches = _count(tools, "web_search_requests", problems) if tools is not None else None
    return usage


def _add_iteration(usage: Usage, iteration: Json, problems: Problems) -> None:
    """Rounds inside of one answer. Those of the model itself are in the totals already, a compaction and other models' are not."""
    model = as_text(iteration.get("model"))
    own = _counts(iteration, problems)
    if iteration.get("type") == "compaction":
        for name in ("input", "output", "cache_read", "cache_write", "cache_write_hour"):
            count = getattr(own, name)
            if count is not None:
                setattr(usage, name, (getattr(usage, name) or 0) + count)
    elif model is not None and iteration.get("type") == "advisor_message":
        usage.others = [*(usage.others or ()), OtherUsage(model, own)]


def _count(source: Json, name: str, problems: Problems) -> int | None:
    return count_at(source, name, problems, "usage.")


def _put(generation: Generation, name: str, value: object) -> None:
    if value is not None:
        generation.vendor_attributes[name] = value
