"""Whether the application has a tracer provider of its own, and what the runtime asks of it.

Nothing of OpenTelemetry is imported here: an application that has a provider has imported it.
"""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tracer.call import Call
from tracer.host.providers import ELSEWHERE, asked_for
from tracer.pipeline.exits import hook_into_multiprocessing
from tracer.runtime import finish_open_calls, report_fault, runtime
from tracer.scope import Parent, Scope
from tracer.settings import Settings

if TYPE_CHECKING:
    from tracer.host.recorder import Recorder

_API = "opentelemetry.trace"
_CONTEXTS = "opentelemetry.context"


class HostHook:
    """What `runtime.host` is: looks for a provider at each call, and hands calls to a recorder while there is one.

    `content` says whether prompts and whether answers are recorded where there is a provider.
    """

    def __init__(self, settings: Settings, content: tuple[bool, bool]) -> None:
        self._settings = settings
        self._content = content
        self.noticed: Callable[[], None] | None = None
        """Called when the first provider is found."""
        self._closed = False
        self._looked_at: object = None
        self._present = False
        self._recorder: Recorder | None = None
        self._lock = threading.RLock()

    def present(self) -> bool:
        """Whether there is a provider. One that is set, replaced or taken away later is noticed at the next call."""
        api: Any = sys.modules.get(_API)
        found = None if api is None else getattr(api, "_TRACER_PROVIDER", ELSEWHERE)
        if found is ELSEWHERE:
            found = asked_for(_API, "get_tracer_provider", "OTEL_PYTHON_TRACER_PROVIDER")
        return (self._present if found is self._looked_at else self._look_at(found)) and not self._closed

    def parent(self) -> Parent | None:
        """The span that is current in a telemetry of which we are no part: a local root becomes its child."""
        # Another thread, our own exporter's for one, may be importing these at this moment.
        api: Any = sys.modules.get(_API)
        if api is None:
            return None
        contexts: Any = sys.modules.get(_CONTEXTS)
        try:
            # Most often there is nothing at all, which is the cheapest thing to find out.
            if not contexts.get_current() or self.present():
                return None
            context = api.get_current_span().get_span_context()
            if not context.is_valid:
                return None
            return Parent(context.trace_id, context.span_id, None, bool(context.trace_flags.sampled), context.is_remote)
        except Exception as fault:
            if not hasattr(api, "get_current_span") or not hasattr(contexts, "get_current"):
                return None
            if not report_fault("finding the current OpenTelemetry span", fault):
                raise
            return None

    def begin(self, call: Call, scope: Scope) -> None:
        """Begin the call's span, if there is a provider."""
        if self.present() and self._recorder is not None:
            call.content_inputs, call.content_outputs = self._content
            self._recorder.begin(call, scope)

    def flush(self, timeout: float) -> bool:
        """Wait until the spans of calls that were dropped have ended."""
        return self._recorder is None or self._recorder.flush(timeout)

    def shutdown(self, timeout: float) -> bool:
        """End what is left. What ends later is not taken any more."""
        self._closed = True
        return self._recorder is None or self._recorder.shutdown(timeout)

    def balance(self) -> dict[str, Any] | None:
        """Where the calls went that were begun with a provider; None if there never was one."""
        return self._recorder.balance() if self._recorder is not None else None

    def after_fork(self) -> None:
        """Start clean in a forked child: the spans that were open are its parent's."""
        self._lock = threading.RLock()
        if self._recorder is not None:
            self._recorder.after_fork()

    def _look_at(self, found: Any) -> bool:
        with self._lock:
            if found is self._looked_at:
                return self._present
            is_first = self._recorder is None
            try:
                present = found is not None and self._use(found)
            except Exception as fault:
                if not report_fault("joining the application's tracer provider", fault):
                    raise
                present = False
            self._looked_at, self._present = found, present
        if present and is_first and self.noticed is not None:
            self.noticed()
        return present

    def _use(self, provider: Any) -> bool:
        api: Any = sys.modules[_API]
        if isinstance(provider, (api.ProxyTracerProvider, api.NoOpTracerProvider)):
            return False
        if self._recorder is None:
            # The marked place of a lazy import: readers and writers of spans, only where there is somebody to take them.
            from tracer.host.recorder import Recorder

            self._recorder = Recorder(self._settings)
        self._recorder.use(provider)
        # Providers end with the process, in the reverse order of being made: what is still open has to be ended before that.
        atexit.unregister(at_exit)
        atexit.register(at_exit)
        hook_into_multiprocessing(at_exit)
        return True


def at_exit() -> None:
    """Open calls become unfinished spans while the application's provider still takes them."""
    host = runtime.host
    if isinstance(host, HostHook):
        finish_open_calls()
        host.flush(runtime.settings.exit_timeout)


def _after_fork() -> None:
    host = runtime.host
    if isinstance(host, HostHook):
        runtime.open_calls.clear()
        runtime.started = itertools.count()
        host.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
