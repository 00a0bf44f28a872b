"""`tracer.wrap`: which kind of object gets which capture."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, TypeVar, cast

from tracer.capture.langchain_joining import is_langchain, traced_runnable
from tracer.capture.sdk import sdk_of, traced_client
from tracer.runtime import report_fault

_Target = TypeVar("_Target")

_VERBS = ("invoke", "ainvoke", "stream", "astream", "batch", "abatch", "generate", "agenerate")
_NO_OBJECTS = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def traced(target: _Target) -> _Target:
    """A traced stand-in of the same type, or the target itself if none can be made.

    Raises `TypeError` for something without any call we know.
    """
    capture = _capture_of(target)
    try:
        return capture(target)
    except Exception as fault:
        if not report_fault(f"wrapping {_shown(target)}", fault):
            raise
        return target


def _capture_of(target: object) -> Callable[[Any], Any]:
    if sdk_of(target) is not None:
        return traced_client
    if is_langchain(target):
        return traced_runnable
    if has_verbs(target):
        # The marked place of a lazy import: wrapt takes longer to load than all the rest.
        from tracer.capture.objects import traced_object

        return traced_object
    raise TypeError(
        f"tracer.wrap() cannot wrap {_shown(target)}: it wraps clients of the OpenAI SDK (OpenAI, AsyncOpenAI, AzureOpenAI, "
        "AsyncAzureOpenAI and subclasses, with any base_url) and of Anthropic's, models, chains and graphs of LangChain, and any object "
        f"with one of {', '.join(_VERBS)} or __call__. Functions are traced by the decorator tracer.trace; of a class, wrap its objects."
    )


def has_verbs(target: object) -> bool:
    """Whether `target` is an object that can be asked like a chat model. Classes, modules and functions are not."""
    if isinstance(target, _NO_OBJECTS):
        return False
    return callable(target) or any(callable(getattr(type(target), verb, None)) for verb in _VERBS)


def _shown(target: object) -> str:
    if isinstance(target, _NO_OBJECTS):
        return f"the {type(target).__name__} {getattr(target, '__qualname__', getattr(target, '__name__', ''))}"
    kind = cast("Any", type(target))
    return f"{kind.__module__}.{kind.__qualname__}"
