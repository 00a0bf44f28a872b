"""Token counts as LangSmith has them (`usage_metadata`)."""

from __future__ import annotations

from tracer.reading.generation import Generation

_OWN_PRICES = ("priority", "flex")
"""Service tiers whose tokens have prices, and so counts, of their own."""


def usage_metadata(generation: Generation) -> dict[str, object] | None:
    """The counts of a generation; None where none were reported.

    The total is their sum. A detail is left out where it was not reported. In a service tier with its own prices the details bear the
    tier's name, and the tier counts what is in no other detail.

    >>> from tracer.reading.generation import Usage
    >>> usage_metadata(Generation(usage=Usage(input=10, output=6, cache_read=3)))["input_token_details"]
    {'cache_read': 3}
    """
    usage = generation.usage
    if usage is None or (usage.input is None and usage.output is None):
        return None
    asked, answered = usage.input or 0, usage.output or 0
    inputs: dict[str, int | None] = {"audio": usage.input_audio, "cache_read": usage.cache_read}
    outputs: dict[str, int | None] = {"audio": usage.output_audio, "reasoning": usage.reasoning}
    if usage.cache_write is not None:
        hour = usage.cache_write_hour or 0
        inputs["cache_creation"] = usage.cache_write - hour
        inputs["ephemeral_1h_input_tokens"] = hour or None
    tier = generation.response_service_tier
    if tier in _OWN_PRICES:
        inputs = _of_tier(inputs, "cache_read", tier, asked)
        outputs = _of_tier(outputs, "reasoning", tier, answered)
    return {
        "input_tokens": asked,
        "output_tokens": answered,
        "total_tokens": asked + answered,
        "input_token_details": {name: count for name, count in inputs.items() if count is not None},
        "output_token_details": {name: count for name, count in outputs.items() if count is not None},
    }


def _of_tier(details: dict[str, int | None], name: str, tier: str, whole: int) -> dict[str, int | None]:
    counted = details[name]
    others = {key: count for key, count in details.items() if key != name}
    return {**others, f"{tier}_{name}": counted, tier: whole - (counted or 0)}
