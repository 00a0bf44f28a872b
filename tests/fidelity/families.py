"""The SDKs: how clients of each are made. What is not installed gives None."""

from __future__ import annotations

import importlib.util

import openai

from tests.fidelity.programs import Family
from tests.integration import capture_support


def openai_family(name: str = "openai") -> Family:
    """OpenAI's SDK."""

    def make_http(*, asynchronous: bool = False, **more: object) -> object:
        return capture_support.async_http_client(**more) if asynchronous else capture_support.http_client(**more)

    return Family(
        name,
        openai,
        capture_support.HTTP,
        capture_support.make_client,
        make_http,
        capture_support.resource_of,
        openai.OpenAI,
        openai.AsyncOpenAI,
        capture_support.PLAIN,
        capture_support.STREAM_USAGE,
    )


def anthropic_family() -> Family | None:
    """Anthropic's SDK."""
    if importlib.util.find_spec("anthropic") is None:
        return None
    import anthropic

    from tests.integration import anthropic_support

    return Family(
        "anthropic",
        anthropic,
        anthropic_support.HTTP,
        anthropic_support.make_client,
        anthropic_support.http_client,
        capture_support.resource_of,
        anthropic.Anthropic,
        anthropic.AsyncAnthropic,
        anthropic_support.PLAIN,
        anthropic_support.STREAM,
    )
