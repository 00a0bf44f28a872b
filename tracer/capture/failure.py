"""What is kept of an exception."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from traceback import TracebackException
from typing import Any, cast

from tracer.call import CANCELLED, FAILED, Failure


def ending_of(error: BaseException) -> str:
    """How a call ends that `error` came out of.

    Whatever is no `Exception` (a cancelled task, Ctrl-C, an interpreter exit) took the call away from the outside.

    >>> ending_of(ValueError()), ending_of(asyncio.CancelledError())
    ('failed', 'cancelled')
    """
    return FAILED if isinstance(error, Exception) else CANCELLED


def is_cancellation(error: BaseException | None) -> bool:
    """Whether a task is being cancelled by this exception."""
    return isinstance(error, asyncio.CancelledError)


def type_name(error: BaseException) -> str:
    """The qualified class name; bare for builtins, as the conventions ask for `error.type`.

    >>> type_name(TimeoutError())
    'TimeoutError'
    """
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def failure_of(error: BaseException) -> Failure:
    """Copy type, message, provider's code and the stack of an exception, so that nothing of the caller stays alive through us."""
    try:
        message = str(error)
    except Exception:
        message = "(the exception cannot be shown as text)"
    failure = Failure(type_name(error), message, shown=_shown(error))
    values = cast("Any", error)
    code = getattr(values, "code", None)
    status = getattr(values, "status_code", None)
    body = getattr(values, "body", None)
    if code is None and isinstance(body, Mapping):
        said = cast("Mapping[str, object]", body)
        inner = said.get("error")
        # OpenAI's SDK gives the error itself, Anthropic's the whole body around it.
        code = cast("Mapping[str, object]", inner).get("type") if isinstance(inner, Mapping) else said.get("code")
    failure.code = code if isinstance(code, str) and code else None
    failure.status = status if isinstance(status, int) else None
    # Source lines are looked up later, by whoever formats the stack: that reads files.
    failure.trace = TracebackException(type(error), error, error.__traceback__, lookup_lines=False, compact=True)
    return failure


def _shown(error: BaseException) -> str:
    try:
        return str.__str__(repr(error))
    except Exception:
        return ""
