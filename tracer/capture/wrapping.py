"""`tracer.wrap`: which kind of object gets which capture."""

from __future__ import annotations

from typing import TypeVar

from tracer.capture.langchain import is_langchain, traced_runnable
from tracer.capture.sdk import sdk_of, traced_client

_Target = TypeVar("_Target")


def traced(target: _Target) -> _Target:
    """A traced stand-in of the same type. Raises `TypeError` for something without any call we know."""
    if sdk_of(target) is not None:
        return traced_client(target)
    if is_langchain(target):
        return traced_runnable(target)
    raise TypeError(
        f"tracer.wrap() cannot wrap {type(target).__module__}.{type(target).__qualname__}: it wraps clients of the OpenAI SDK "
        "(OpenAI, AsyncOpenAI, AzureOpenAI, AsyncAzureOpenAI and subclasses, with any base_url) and models, chains and graphs of "
        "LangChain."
    )
