"""Our calls as spans of the application's provider: begun and ended in the thread of the caller, so that they nest and can be flushed.

This module is loaded only after the application has loaded OpenTelemetry itself.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from functools import partial
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace as otel_trace
from opentelemetry.context.context import Context
from opentelemetry.trace import SpanContext, SpanKind
from opentelemetry.trace.status import Status, StatusCode

from tracer.call import Call
from tracer.export import names
from tracer.export.attributes import attributes_at_start
from tracer.export.backend_spans import backend_spans_of
from tracer.export.resource import SCOPE_NAME, version
from tracer.export.span import CLIENT, AttributeValue, SpanData
from tracer.export.spans import end_of, kind_of, span_name
from tracer.host.deferred import defer, is_all_but_read
from tracer.host.later import Later
from tracer.host.recorded import LentContext, RecordedSpan, context_under
from tracer.pipeline.ledger import Account
from tracer.pipeline.readings import CallReader
from tracer.reading.record import Record
from tracer.runtime import count_of, report_fault, runtime
from tracer.scope import Parent, Scope
from tracer.settings import Settings

_SUPPRESSED = getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
_KINDS = {True: SpanKind.CLIENT, False: SpanKind.INTERNAL}


class Recorder:
    """Begins and ends spans with the provider that is in use, and counts them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tracer: Any = None
        self.after_fork()

    def use(self, provider: Any) -> None:
        """Take a provider for the calls that begin from now on; open ones stay with the one they began with."""
        self._tracer = provider.get_tracer(SCOPE_NAME, version(), schema_url=names.SCHEMA_URL)

    def after_fork(self) -> None:
        """Count from nothing, without a thread of the parent: functions that mask have one of their own."""
        self._reader = CallReader(self._settings)
        self._later: Later[RecordedSpan] = Later(self.end, self._reader.warm_up)
        self._books = threading.Lock()
        self._account = Account()
        self._sampled_out = 0
        self._started = itertools.count()

    # A call begins.

    def begin(self, call: Call, scope: Scope) -> None:
        """Begin the span of a call under what is nearest: our own parent, or a span of the application that was opened inside of it."""
        current = otel_context.get_current()
        if current.get(_SUPPRESSED):
            return
        if not self._later.started:
            self._later.start()
        elif self._later:
            self._later.catch_up()
        try:
            call.host = self._begun(call, scope.parent, current)
        except Exception as fault:
            self._lose("error")
            if not report_fault("beginning a span with the application's tracer provider", fault):
                raise
        next(self._started)

    def _begun(self, call: Call, parent: Parent | None, current: Context) -> RecordedSpan:
        while isinstance(current, LentContext) and (parent is None or parent.host is not current.span):
            current = current.earlier  # Lent by a sibling: several calls of a framework may begin at one place.
        outside = otel_trace.get_current_span(current).get_span_context()
        inside = context_under(parent, outside, current)
        if inside is None:
            inside = current
            call.parent_span_id = outside.span_id if outside.is_valid else None
            call.parent_is_remote = outside.is_remote
        name = span_name(Record(call, ""))
        span = self._tracer.start_span(
            name,
            context=inside,
            kind=_KINDS[kind_of(call) == CLIENT],
            attributes=attributes_at_start(call),
            start_time=call.started_wall,
        )
        own: SpanContext = span.get_span_context()
        if own.is_valid:
            call.trace_id = own.trace_id
            # A provider that takes no part hands on its parent's span: then the id stays ours.
            call.span_id = call.span_id if own.span_id == call.parent_span_id else own.span_id
            call.sampled = bool(own.trace_flags.sampled)
        return RecordedSpan(self, call, name, span, own, otel_trace.set_span_in_context(span, inside), outside)

    # It ends.

    def end_later(self, recorded: RecordedSpan) -> None:
        """End a span as soon as no lock can be held. Safe in finalizers."""
        self._later.put(recorded)

    def end(self, recorded: RecordedSpan) -> None:
        """Write what the call was into its span, and end that. Spans that are not recorded are not read."""
        call, span, context = recorded.call, recorded.span, recorded.inside
        # What outlives the call must not keep its content alive, and a call is not to wait for the garbage collection.
        recorded.call = recorded.span = recorded.inside = None
        if call is None or span is None or context is None:
            return
        try:
            if not span.is_recording():
                with self._books:
                    self._sampled_out += 1
                return
            if is_all_but_read(call) and defer(span, partial(self._read_later, call)):
                span.end(end_of(call))
            else:
                self._end_read(call, span, context, recorded.name)
        except BaseException as fault:
            self._lose("error")
            if not isinstance(fault, Exception) or not report_fault("ending a span with the application's tracer provider", fault):
                raise
        else:
            with self._books:
                self._account.exported += 1

    def _end_read(self, call: Call, span: Any, context: Context, name: str) -> None:
        own, *attempts = self._read(call)
        try:
            _write(span, own, name)
            for attempt in attempts:
                self._end_attempt(attempt, context)
        finally:
            span.end(own.end)

    def _read(self, call: Call) -> list[SpanData]:
        record = self._reader.read(call)
        spans = backend_spans_of(record, self._settings)
        if record.withheld:
            with self._books:
                self._account.shorten(record.withheld, 1)
        return spans

    def _read_later(self, call: Call) -> Iterable[tuple[str, AttributeValue]]:
        """The attributes of a call whose span has ended already, for whoever looks at them."""
        try:
            return _in_order(self._read(call)[0])
        except Exception as fault:
            with self._books:
                self._account.exported -= 1
            self._lose("error")
            if not report_fault("reading a call for a span of the application's tracer provider", fault):
                raise
            return ()

    def _end_attempt(self, attempt: SpanData, context: Context) -> None:
        span = self._tracer.start_span(attempt.name, context, SpanKind.CLIENT, attempt.attributes, start_time=attempt.start)
        if attempt.error is not None:
            span.set_status(Status(StatusCode.ERROR, attempt.error or None))
        span.end(attempt.end)

    def _lose(self, reason: str) -> None:
        with self._books:
            self._account.drop(reason, 1)

    # The whole.

    def flush(self, timeout: float) -> bool:
        """Wait until everything that was left for later is done."""
        return self._later.catch_up(max(timeout, 0.001))

    def shutdown(self, timeout: float) -> bool:
        """End what is left, and the thread."""
        done = self.flush(timeout)
        self._later.stop()
        return done

    def balance(self) -> dict[str, Any]:
        """The account of this destination, with a number of started calls of its own: earlier ones had no provider to go to."""
        with self._books:
            return {
                "started": count_of(self._started),
                "open": sum(1 for call in tuple(runtime.open_calls.values()) if call.host is not None),
                "exported": self._account.exported,
                "sampled_out": self._sampled_out,
                "dropped": dict(self._account.dropped),
                **({"shortened": dict(self._account.shortened)} if self._account.shortened else {}),
                "queued": len(self._later),
            }


def _in_order(data: SpanData) -> Iterable[tuple[str, AttributeValue]]:
    # Where the provider has room for few attributes, the first ones written are dropped: the least important go first.
    return reversed(data.attributes.items())


def _write(span: Any, data: SpanData, name: str) -> None:
    span.set_attributes(dict(_in_order(data)))
    if data.name != name:
        span.update_name(data.name)
    for event in data.events:
        span.add_event(event.name, event.attributes, event.time)
    if data.error is not None:
        span.set_status(Status(StatusCode.ERROR, data.error or None))
