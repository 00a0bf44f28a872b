"""The wrapper model: a chat client with the verbs invoke, stream, batch and generate, and its messages and results.

Names load on first use: importing this package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracer.chat.chat_openai import ChatOpenAI as ChatOpenAI
    from tracer.chat.config import Config as Config
    from tracer.chat.messages import AIMessage as AIMessage
    from tracer.chat.messages import AIMessageChunk as AIMessageChunk
    from tracer.chat.messages import BaseMessage as BaseMessage
    from tracer.chat.messages import ChatMessage as ChatMessage
    from tracer.chat.messages import FunctionMessage as FunctionMessage
    from tracer.chat.messages import HumanMessage as HumanMessage
    from tracer.chat.messages import SystemMessage as SystemMessage
    from tracer.chat.messages import ToolMessage as ToolMessage
    from tracer.chat.model import ChatModel as ChatModel
    from tracer.chat.results import ChatGeneration as ChatGeneration
    from tracer.chat.results import ChatGenerationChunk as ChatGenerationChunk
    from tracer.chat.results import LLMResult as LLMResult
    from tracer.chat.results import RunInfo as RunInfo
    from tracer.chat.runlog import RunLog as RunLog
    from tracer.chat.runlog import RunLogPatch as RunLogPatch
    from tracer.chat.structured import StructuredModel as StructuredModel
    from tracer.chat.structured import StructuredOutputError as StructuredOutputError

_MODULES = {
    "chat_openai": ("ChatOpenAI",),
    "config": ("Config",),
    "messages": (
        "AIMessage",
        "AIMessageChunk",
        "BaseMessage",
        "ChatMessage",
        "FunctionMessage",
        "HumanMessage",
        "SystemMessage",
        "ToolMessage",
    ),
    "model": ("ChatModel",),
    "results": ("ChatGeneration", "ChatGenerationChunk", "LLMResult", "RunInfo"),
    "runlog": ("RunLog", "RunLogPatch"),
    "structured": ("StructuredModel", "StructuredOutputError"),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_WHERE)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(f"module 'tracer.chat' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"tracer.chat.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
