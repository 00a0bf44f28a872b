"""A call's span with the application's provider, and the contexts of OpenTelemetry in which it is the current one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from opentelemetry import context as otel_context
from opentelemetry import trace as otel_trace
from opentelemetry.context.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from tracer.call import Call
from tracer.runtime import report_fault
from tracer.scope import Lease, Parent


class Ending(Protocol):
    """Who ends spans."""

    def end(self, recorded: RecordedSpan) -> None:
        """Write what the call was, and end its span."""
        ...

    def end_later(self, recorded: RecordedSpan) -> None:
        """The same as soon as no lock can be held."""
        ...


class RecordedSpan:
    """A call's span with the application's provider. `inside` is the context with it as the current span; both go when it ends.

    `outside` is the span that was current when it began.
    """

    __slots__ = ("_ending", "call", "context", "inside", "name", "outside", "span")

    def __init__(
        self, ending: Ending, call: Call, name: str, span: Any, context: SpanContext, inside: Context, outside: SpanContext
    ) -> None:
        self._ending = ending
        self.call: Call | None = call
        self.name = name
        self.span = span
        self.context = context
        self.inside: Context | None = inside
        self.outside = outside

    def attach(self, lease: object) -> Callable[[], object] | None:
        """Make it the current span; gives what puts the earlier context back.

        Contexts are put back by setting them: a token could be of another task or thread by then.
        """
        inside = self.inside
        if inside is None:
            return None
        earlier = otel_context.get_current()
        try:
            otel_context.attach(inside if lease is None else LentContext(self, lease, earlier))
        except Exception as fault:
            if not report_fault("entering a span of the application's tracer provider", fault):
                raise
            return None
        return lambda: _put_back(earlier)

    def end(self, finalizing: bool) -> None:
        """The call has ended."""
        if finalizing:
            self._ending.end_later(self)
        else:
            self._ending.end(self)

    def tracestate(self) -> str:
        """What the provider's span hands on of the systems before it."""
        return self.context.trace_state.to_header()


class LentContext(Context):
    """A context that turns into the earlier one when its lease is over, for callbacks whose end may run somewhere else."""

    __slots__ = ("_lease", "earlier", "span")

    def __init__(self, span: RecordedSpan, lease: Any, earlier: Context) -> None:
        super().__init__()
        self._lease: Lease = lease
        self.span = span
        self.earlier = earlier

    def _now(self) -> Context:
        inside = self.span.inside
        return inside if inside is not None and self._lease.active else self.earlier

    def get(self, key: str, default: Any = None) -> Any:
        return self._now().get(key, default)

    def copy(self) -> dict[str, object]:
        return self._now().copy()

    def __getitem__(self, key: str) -> object:
        return self._now()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._now()

    def __len__(self) -> int:
        return len(self._now())


def context_under(parent: Parent | None, outside: SpanContext, current: Context) -> Context | None:
    """The context in which `parent` is current, or None where OpenTelemetry's own current span is nearer.

    Ours is nearer if no span of the application was opened since it began: then what is current is ours, or what was current before it
    (a framework's callbacks cannot always set it), or nothing (a new thread).
    """
    if parent is None or not parent.span_id:
        return None
    host = parent.host
    if host is None:
        if outside.is_valid:
            return None
        flags = TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT)
        state = TraceState.from_header([parent.tracestate]) if parent.tracestate else None
        remote = NonRecordingSpan(SpanContext(parent.trace_id, parent.span_id, parent.remote, flags, state))
        return otel_trace.set_span_in_context(remote, current)
    assert isinstance(host, RecordedSpan)
    if outside == host.context:
        return current
    if outside.is_valid and outside != host.outside:
        return None
    return otel_trace.set_span_in_context(host.span or NonRecordingSpan(host.context), current)


def _put_back(earlier: Context) -> None:
    try:
        otel_context.attach(earlier)
    except Exception as fault:
        if not report_fault("leaving a span of the application's tracer provider", fault):
            raise
