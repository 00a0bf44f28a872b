"""Questions about classes, answered once for each class."""

from __future__ import annotations

import functools
from typing import Any

_CLIENT_BASES = ("SyncAPIClient", "AsyncAPIClient")


def class_of(value: object) -> type[Any]:
    """The true class of a value."""
    return type(value)


@functools.lru_cache(maxsize=256)
def sdk_package(kind: type[Any]) -> str | None:
    """The package of the OpenAI-generated SDK whose client class this is, or None.

    >>> sdk_package(int) is None
    True
    """
    for base in kind.__mro__:
        if base.__name__ in _CLIENT_BASES and hasattr(kind, "request"):
            return base.__module__.partition(".")[0]
    return None


@functools.lru_cache(maxsize=256)
def is_azure(kind: type[Any]) -> bool:
    """Whether a client class is one for Azure."""
    return any("Azure" in base.__name__ for base in kind.__mro__)


@functools.lru_cache(maxsize=256)
def provider_of_kind(kind: type[Any]) -> str:
    """The provider that a client class names itself (Anthropic's clients for Bedrock and Vertex do), or nothing.

    >>> provider_of_kind(int)
    ''
    """
    named = getattr(kind, "_gen_ai_provider_name", "")
    # The base class has the SDK's own name: then the address says more.
    return named if isinstance(named, str) and named != sdk_package(kind) else ""


@functools.lru_cache(maxsize=256)
def is_async_client(kind: type[Any]) -> bool:
    """Whether calls of this client class are awaited."""
    return hasattr(kind, "__aenter__")
