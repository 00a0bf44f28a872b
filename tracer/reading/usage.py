"""Token counts in the spellings of OpenAI and of servers that speak its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as fields_of
from operator import attrgetter

from tracer.reading.generation import Usage
from tracer.reading.values import LARGEST, Json, Problems, as_number, as_object, count_at, kind, note, object_at

_NOT_COUNTS = ("cost", "raw", "others")
_NAMES_OF_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_NAMES_OF_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_counts_of = attrgetter(*(field.name for field in fields_of(Usage) if field.name not in _NOT_COUNTS))


# For each place the names that it may have, and the count that they tell; the first name that tells it wins.
_TOTALS = {
    "prompt_tokens": "input",
    "input_tokens": "input",
    "completion_tokens": "output",
    "output_tokens": "output",
    "total_tokens": "total",
}
_INPUT_DETAILS = {
    "cached_tokens": "cache_read",
    # OpenRouter, LiteLLM, Alibaba.
    "cache_write_tokens": "cache_write",
    "cache_creation_tokens": "cache_write",
    "cache_creation_input_tokens": "cache_write",
    "audio_tokens": "input_audio",
    "text_tokens": "input_text",
    "image_tokens": "input_image",
}
_OUTPUT_DETAILS = {
    "reasoning_tokens": "reasoning",
    "audio_tokens": "output_audio",
    "text_tokens": "output_text",
    "image_tokens": "output_image",
}
_BESIDE_TOTALS = {
    # DeepSeek, Moonshot and Together, Mistral, LiteLLM.
    "prompt_cache_hit_tokens": "cache_read",
    "cached_tokens": "cache_read",
    "num_cached_tokens": "cache_read",
    "cache_read_input_tokens": "cache_read",
    "cache_creation_input_tokens": "cache_write",
    "reasoning_tokens": "reasoning",
}


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
    _read_counts(source, _TOTALS, usage, problems)
    _read_counts(_details(source, _NAMES_OF_INPUT_DETAILS, problems), _INPUT_DETAILS, usage, problems)
    _read_counts(_details(source, _NAMES_OF_OUTPUT_DETAILS, problems), _OUTPUT_DETAILS, usage, problems)
    _read_counts(source, _BESIDE_TOTALS, usage, problems)
    _put_reasoning_into_output(usage)
    usage.cost = _cost(source, problems)
    if usage.cost is None and set(_counts_of(usage)) == {None}:
        return None
    return usage


def _read_counts(source: Json, counts: Mapping[str, str], usage: Usage, problems: Problems) -> None:
    for name in filter(source.__contains__, counts):
        count = counts[name]
        if getattr(usage, count) is None:
            value = source[name]
            is_sound = type(value) is int and 0 <= value <= LARGEST
            setattr(usage, count, value if is_sound else count_at(source, name, problems, "usage."))


def _put_reasoning_into_output(usage: Usage) -> None:
    """xAI (and some gateways for Gemini) count reasoning beside the output, not within; their own total says so."""
    if not usage.reasoning or usage.input is None or usage.output is None:
        return
    if usage.total == usage.input + usage.output + usage.reasoning:
        usage.output += usage.reasoning


def _details(source: Json, names: tuple[str, ...], problems: Problems) -> Json:
    for name in names:
        details = object_at(source, name, problems, "usage.") if name in source else None
        if details is not None:
            return details
    return {}


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
