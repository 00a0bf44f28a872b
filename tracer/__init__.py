"""Record every call of a chat model as spans, without changing what the caller sees.

    import tracer

    client = tracer.wrap(OpenAI())

Names load on first use: `import tracer` itself costs next to nothing.
"""

from __future__ import annotations

from tracer import environment as _environment

TYPE_CHECKING = False  # Type checkers know the name; importing it from typing would cost a dozen modules.

if TYPE_CHECKING:
    from typing import Any

    from tracer.api import configure as configure
    from tracer.api import context as context
    from tracer.api import current as current
    from tracer.api import feedback as feedback
    from tracer.api import flush as flush
    from tracer.api import instrument as instrument
    from tracer.api import run_url as run_url
    from tracer.api import shutdown as shutdown
    from tracer.api import status as status
    from tracer.api import trace as trace
    from tracer.api import uninstrument as uninstrument
    from tracer.api import wrap as wrap
    from tracer.chat import AIMessage as AIMessage
    from tracer.chat import AIMessageChunk as AIMessageChunk
    from tracer.chat import ChatMessage as ChatMessage
    from tracer.chat import ChatModel as ChatModel
    from tracer.chat import ChatOpenAI as ChatOpenAI
    from tracer.chat import FunctionMessage as FunctionMessage
    from tracer.chat import HumanMessage as HumanMessage
    from tracer.chat import SystemMessage as SystemMessage
    from tracer.chat import ToolMessage as ToolMessage
    from tracer.propagation import continue_from as continue_from
    from tracer.propagation import headers as headers

__version__ = "0.1.0"

_WHERE = {
    "AIMessage": "tracer.chat",
    "AIMessageChunk": "tracer.chat",
    "ChatMessage": "tracer.chat",
    "ChatModel": "tracer.chat",
    "ChatOpenAI": "tracer.chat",
    "FunctionMessage": "tracer.chat",
    "HumanMessage": "tracer.chat",
    "SystemMessage": "tracer.chat",
    "ToolMessage": "tracer.chat",
    "configure": "tracer.api",
    "context": "tracer.api",
    "continue_from": "tracer.propagation",
    "current": "tracer.api",
    "feedback": "tracer.api",
    "flush": "tracer.api",
    "headers": "tracer.propagation",
    "instrument": "tracer.api",
    "run_url": "tracer.api",
    "shutdown": "tracer.api",
    "status": "tracer.api",
    "trace": "tracer.api",
    "uninstrument": "tracer.api",
    "wrap": "tracer.api",
}

__all__ = ["__version__", *sorted(_WHERE)]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(f"module 'tracer' has no attribute {name!r}")
    from importlib import import_module

    import_module("tracer.assembly")  # Where everything is put together.
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})


def _trace_langchain(_: object) -> None:
    """LangChain is there, or on its way: now the rest of the library is needed."""
    from tracer.assembly import trace_langchain

    trace_langchain()


def _wait_for_langchain() -> None:
    from tracer.capture.import_hook import when_imported

    when_imported("langchain_core", _trace_langchain)


if _environment.may_trace():
    # What the variables say exactly, and whether they are good, is read at the first run.
    _wait_for_langchain()
