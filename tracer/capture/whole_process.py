"""Every client of an OpenAI-generated SDK and every run of LangChain in this process, without a change to the program.

The only place that patches classes of others, and only when asked (`tracer.instrument()`, `tracer run`).
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from tracer.capture.http import traced_http
from tracer.capture.import_hook import stop_waiting, when_imported
from tracer.capture.kinds import is_async_client
from tracer.capture.langchain import leave_runs_alone, trace_every_run
from tracer.capture.sdk import async_call, is_traced, sync_call

_SDK_MODULES = ("openai._base_client",)
_CLASSES = ("SyncAPIClient", "AsyncAPIClient")

_patched: dict[type[Any], Callable[..., Any]] = {}
"""Classes with a `request` of ours, and their own."""


def instrument_all() -> None:
    """Patch what is loaded, and what is loaded later as soon as it is. Twice is once."""
    for name in _SDK_MODULES:
        when_imported(name, _patch)
    trace_every_run()


def uninstrument_all() -> None:
    """Give every class its own `request` back; LangChain's later runs are left alone."""
    stop_waiting()
    for kind, own in _patched.items():
        kind.request = own
    _patched.clear()
    leave_runs_alone()


def _patch(module: Any) -> None:
    for name in _CLASSES:
        kind = getattr(module, name)
        if kind not in _patched:
            _patched[kind] = kind.request
            kind.request = _recorded(kind.request, is_async_client(kind))


def _recorded(own: Callable[..., Any], asynchronous: bool) -> Callable[..., Any]:
    if asynchronous:

        @functools.wraps(own)
        async def async_request(self: Any, *args: Any, **kwargs: Any) -> Any:
            bare = types.MethodType(own, self)
            if is_traced(self):  # A client that was wrapped records itself, outside of this.
                return await bare(*args, **kwargs)
            _see_wire(self)
            return await async_call(self, bare, args, kwargs)

        return async_request

    @functools.wraps(own)
    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        bare = types.MethodType(own, self)
        if is_traced(self):
            return bare(*args, **kwargs)
        _see_wire(self)
        return sync_call(self, bare, args, kwargs)

    return request


def _see_wire(client: Any) -> None:
    """Put the wire seam into a client at its first call; it only forwards once nothing is recorded any more."""
    client._client = traced_http(client._client)
