"""Token counts in the spellings of OpenAI and of servers that speak its protocol."""

from __future__ import annotations

from dataclasses import fields as fields_of

from tracer.reading.generation import Usage
from tracer.reading.values import LARGEST, Json, Problems, as_number, as_object, kind, note, object_at, whole_at

_NOT_COUNTS = ("cost", "raw", "others")
_COUNTS = tuple(field.name for field in fields_of(Usage) if field.name not in _NOT_COUNTS)


_CACHE_READ = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens")
"""Beside the totals: DeepSeek, Moonshot and Together, Mistral, LiteLLM."""
_CACHE_WRITE = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
"""Among the details: OpenRouter, LiteLLM, Alibaba."""


def read_usage(answer: Json, problems: Problems) -> Usage | None:
    """The usage of an answer; None where none was reported. Counts of a wrong kind are dropped, never guessed.

    >>> read_usage({"usage": {"prompt_tokens": 3, "completion_tokens": 0}}, []).output
    0
    """
    reported = answer.get("usage")
    if reported is None:
        # Groq's streams put it beside its own request id.
        vendor = as_object(answer.get("x_groq"))
        reported = vendor.get("usage") if vendor is not None else None
    if reported is None:
        return None
    source = as_object(reported)
    if source is None:
        note(problems, f"usage is {kind(reported)}")
        return None
    usage = Usage(raw=source)
    _read_totals(source, usage, problems)
    _read_input_details(source, usage, problems)
    _read_output_details(source, usage, problems)
    _put_reasoning_into_output(usage)
    usage.cost = _cost(source, problems)
    if usage.cost is None and all(getattr(usage, name) is None for name in _COUNTS):
        return None
    return usage


def _read_totals(source: Json, usage: Usage, problems: Problems) -> None:
    usage.input = _count(source, ("prompt_tokens", "input_tokens"), problems)
    usage.output = _count(source, ("completion_tokens", "output_tokens"), problems)
    usage.total = _count(source, ("total_tokens",), problems)


def _read_input_details(source: Json, usage: Usage, problems: Problems) -> None:
    details = _details(source, ("prompt_tokens_details", "input_tokens_details", "input_token_details"), problems)
    usage.cache_read = _count(details, ("cached_tokens",), problems)
    if usage.cache_read is None:
        usage.cache_read = _count(source, _CACHE_READ, problems)
    usage.cache_write = _count(details, _CACHE_WRITE, problems)
    if usage.cache_write is None:
        usage.cache_write = _count(source, ("cache_creation_input_tokens",), problems)
    usage.input_audio = _count(details, ("audio_tokens",), problems)
    usage.input_text = _count(details, ("text_tokens",), problems)
    usage.input_image = _count(details, ("image_tokens",), problems)


def _read_output_details(source: Json, usage: Usage, problems: Problems) -> None:
    details = _details(source, ("completion_tokens_details", "output_tokens_details", "output_token_details"), problems)
    usage.reasoning = _count(details, ("reasoning_tokens",), problems)
    if usage.reasoning is None:
        usage.reasoning = _count(source, ("reasoning_tokens",), problems)
    usage.output_audio = _count(details, ("audio_tokens",), problems)
    usage.output_text = _count(details, ("text_tokens",), problems)
    usage.output_image = _count(details, ("image_tokens",), problems)


def _put_reasoning_into_output(usage: Usage) -> None:
    """xAI (and some gateways for Gemini) count reasoning beside the output, not within; their own total says so."""
    if not usage.reasoning or usage.input is None or usage.output is None:
        return
    if usage.total == usage.input + usage.output + usage.reasoning:
        usage.output += usage.reasoning


def _details(source: Json, names: tuple[str, ...], problems: Problems) -> Json:
    for name in names:
        details = object_at(source, name, problems, "usage.")
        if details is not None:
            return details
    return {}


def _count(source: Json, names: tuple[str, ...], problems: Problems) -> int | None:
    for name in names:
        value = source.get(name)
        if value is None:
            continue
        if type(value) is int and 0 <= value <= LARGEST:
            return value  # As it should be, and nearly always is.
        count = whole_at(source, name, problems, "usage.")
        if count is not None and count >= 0:
            return count
        if count is not None:
            note(problems, f"usage.{name} is negative")
    return None


def _cost(source: Json, problems: Problems) -> float | None:
    reported = source.get("cost")
    if reported is None:
        return None
    # Perplexity splits it: {"input_tokens_cost": …, "total_cost": …}.
    split = as_object(reported)
    cost = as_number(split.get("total_cost") if split is not None else reported)
    if cost is None or cost < 0:
        note(problems, f"usage.cost is {'negative' if cost is not None else kind(reported)}")
        return None
    return cost
