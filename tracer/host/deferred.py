"""The attributes of a span that has ended, read from the call when somebody looks at them: most often an exporter's thread.

Reading a call and writing it down takes several times as long as a span of OpenTelemetry's own, and the caller waits for it. Processors
that hand spans to a thread look at them there, and spans that are dropped on the way are never read.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.attributes import BoundedAttributes

from tracer.call import COMPLETED, FAILED, Attempt, Call
from tracer.export.span import AttributeValue
from tracer.reading.read import FIRST_ERROR_STATUS

Read = Callable[[], Iterable[tuple[str, AttributeValue]]]

_OPERATIONS = frozenset(("chat", "responses", "messages", "completions", "embeddings"))
"""Those whose span is named by operation and model."""

_ERROR = re.compile(rb'"error"(?!\s*:\s*null)')

# OpenTelemetry's SDK has no public way to set attributes that are made later. What is not found as it is known to be is left as it is.
_SDK = "opentelemetry.sdk.trace"
_PLACE = "_attributes"


def is_all_but_read(call: Call) -> bool:
    """Whether name, status, events and attempts of the call's span are known although it is still to be read.

    An answer with an error in it is not, nor a model that the body names otherwise, nor an answer whose tokens are told by another call.

    >>> body = b'{"messages": [], "model": "gpt-4o"}'
    >>> asked = Attempt(0, request_body=body, status=200, response_body=b'{"choices": []}')
    >>> is_all_but_read(Call(1, 1, 1, operation="chat", model="gpt-4o", ending="completed", attempts=[asked]))
    True
    """
    if call.operation not in _OPERATIONS or call.ending == FAILED or call.model is None or len(call.attempts) != 1:
        return False
    attempt = call.attempts[0]
    asked = attempt.request_body
    if not asked or b'"background"' in asked or not _names(asked, call.model):
        return False
    return call.ending != COMPLETED or _is_without_error(attempt)


def _names(asked: bytes, model: str) -> bool:
    name = f'"{model}"'.encode() if model.isascii() else b""
    return bool(name) and (b'"model":' + name in asked or b'"model": ' + name in asked)


def _is_without_error(attempt: Attempt) -> bool:
    if attempt.content_encoding and attempt.response_body is None:
        return False
    answer = attempt.response_body if attempt.response_body is not None else b"".join(attempt.pieces or ())
    return (attempt.status or 0) < FIRST_ERROR_STATUS and _ERROR.search(answer) is None


def defer(span: Any, read: Read) -> bool:
    """Have what `read` gives added to the attributes of a span at the first look at them; False where that cannot be.

    It can be with spans of OpenTelemetry's SDK.
    """
    if type(span).__module__ != _SDK:
        return False
    earlier: Any = getattr(span, _PLACE, None)
    if type(earlier) is not BoundedAttributes:
        return False
    setattr(span, _PLACE, DeferredAttributes(earlier, read))
    return True


class DeferredAttributes(BoundedAttributes):
    """Attributes that are without the state of their base class until something of that is looked for: then it is made."""

    def __init__(self, earlier: BoundedAttributes, read: Read) -> None:
        # The base class is not initialised on purpose: see __getattr__.
        self._earlier: BoundedAttributes | None = earlier
        self._read = read
        self._reading = threading.RLock()
        self._process = os.getpid()

    def __getattr__(self, name: str) -> Any:
        """Asked only for what is not there."""
        if name.startswith("__") or "_process" not in self.__dict__:
            raise AttributeError(name)
        if self._process != os.getpid():  # Forked, perhaps while a thread of the parent was reading.
            self._reading, self._process = threading.RLock(), os.getpid()
        with self._reading:
            earlier = self._earlier
            if earlier is not None:
                for key, value in self._read():
                    earlier[key] = value
                self.__dict__.update({**vars(earlier), **vars(self), "_earlier": None, "_read": tuple})
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(name) from None
