"""Every client of an OpenAI-generated SDK and every run of LangChain in this process, without a change to the program.

The only place that patches classes of others, and only when asked (`tracer.instrument()`, `tracer run`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from tracer.capture.http import traced_http
from tracer.capture.import_hook import stop_waiting, when_imported
from tracer.capture.kinds import is_async_client
from tracer.capture.langchain_joining import leave_runs_alone, trace_every_run
from tracer.capture.sdk import async_call, is_traced, sync_call

_SDK_MODULES = ("openai._base_client", "anthropic._base_client")
_CLASSES = ("SyncAPIClient", "AsyncAPIClient")

_patched: dict[type[Any], tuple[Callable[..., Any], Callable[..., Any]]] = {}
"""Classes with a `request` of ours: their own, and ours."""

_requesting: ContextVar[object] = ContextVar("tracer_requesting", default=None)
"""The client whose request is being made: a subclass's `request` may call that of its base."""


def instrument_all() -> None:
    """Patch what is loaded, and what is loaded later as soon as it is. Twice is once."""
    for name in _SDK_MODULES:
        when_imported(name, _patch)
    trace_every_run()


def uninstrument_all() -> None:
    """Give every class its own `request` back; LangChain's later runs are left alone.

    Where somebody else has patched after us, ours stays below theirs and only forwards.
    """
    for name in _SDK_MODULES:
        stop_waiting(name)
    for kind, (own, ours) in _patched.items():
        if kind.__dict__.get("request") is ours:
            kind.request = own
    _patched.clear()
    leave_runs_alone()


def _patch(module: Any) -> None:
    for name in _CLASSES:
        for kind in _with_subclasses(getattr(module, name)):
            own = kind.__dict__.get("request")
            if own is not None and kind not in _patched:
                ours = _recorded(kind, own, is_async_client(kind))
                _patched[kind] = (own, ours)
                kind.request = ours


def _with_subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    """Others patch `request` on the classes below: what they put there hides that of the base."""
    yield kind
    for below in kind.__subclasses__():
        yield from _with_subclasses(below)


def _passes(kind: type[Any], client: Any) -> bool:
    """Whether a request is recorded elsewhere: by the hooks of a wrapped client, or by the call that it is a part of."""
    return kind not in _patched or is_traced(client) or _requesting.get() is client


def _recorded(kind: type[Any], own: Any, asynchronous: bool) -> Callable[..., Any]:
    if asynchronous:

        @functools.wraps(own)
        async def async_request(self: Any, *args: Any, **kwargs: Any) -> Any:
            bare = own.__get__(self, type(self))
            if _passes(kind, self):
                return await bare(*args, **kwargs)
            _see_wire(self)
            earlier = _requesting.get()
            _requesting.set(self)
            try:
                return await async_call(self, bare, args, kwargs)
            finally:
                _requesting.set(earlier)

        return async_request

    @functools.wraps(own)
    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        bare = own.__get__(self, type(self))
        if _passes(kind, self):
            return bare(*args, **kwargs)
        _see_wire(self)
        earlier = _requesting.get()
        _requesting.set(self)
        try:
            return sync_call(self, bare, args, kwargs)
        finally:
            _requesting.set(earlier)

    return request


def _see_wire(client: Any) -> None:
    """Put the wire seam into a client at its first call; it only forwards once nothing is recorded any more."""
    client._client = traced_http(client._client)
