"""Handle of a run, and the end of a span of the application's own."""

from __future__ import annotations

import uuid

from tracer.call import COMPLETED, STOPPED, Call
from tracer.capture.failure import ending_of, failure_of
from tracer.capture.jsonable import snapshot, snapshots, to_json
from tracer.runtime import close_call, report_fault, runtime
from tracer.scope import current


class Run:
    """Handle of a run that is under way or over. While nothing is traced, every method does nothing.

    >>> run = Run(None)
    >>> run.id is None, run.set_output("ignored")
    (True, None)
    """

    __slots__ = ("_call",)

    def __init__(self, call: Call | None) -> None:
        self._call = call

    @property
    def id(self) -> uuid.UUID | None:
        """The run id, the same in every destination (`tracer.run_id` on spans)."""
        return uuid.UUID(int=self._call.run_id) if self._call is not None else None

    @property
    def trace_id(self) -> str | None:
        """The trace id as 32 hexadecimal digits."""
        return f"{self._call.trace_id:032x}" if self._call is not None else None

    @property
    def span_id(self) -> str | None:
        """The span id as 16 hexadecimal digits."""
        return f"{self._call.span_id:016x}" if self._call is not None else None

    def set_input(self, value: object) -> None:
        """What the run was given; kept as JSON at once."""
        if self._call is not None and self._call.content_inputs:
            self._call.input_json = to_json(value)
            self._call.input_is_value = not isinstance(value, dict)

    def set_output(self, value: object) -> None:
        """What the run came to; kept as JSON at once."""
        if self._call is not None and self._call.content_outputs:
            self._call.output_json = to_json(value)
            self._call.output_is_value = not isinstance(value, dict)

    def set_attribute(self, name: str, value: object) -> None:
        """One more attribute on the span: text, number, truth value or a list of these."""
        if self._call is not None:
            self._call.attributes = {**(self._call.attributes or {}), name: snapshot(value)}

    def add_tags(self, *tags: str) -> None:
        """Tags for this run alone."""
        if self._call is not None:
            self._call.tags = self._call.tags + tuple(tag for tag in tags if tag not in self._call.tags)

    def add_metadata(self, **metadata: object) -> None:
        """Metadata for this run alone."""
        if self._call is not None:
            self._call.metadata = {**(self._call.metadata or {}), **snapshots(metadata)}

    def __repr__(self) -> str:
        return f"Run({self.id})"


def call_of(run: Run) -> Call | None:
    """The call behind a handle; None while nothing is traced."""
    return run._call  # pyright: ignore[reportPrivateUsage]


def end_span(call: Call, error: BaseException | None) -> None:
    """End a span of the application's own, by an exception if there is one."""
    if error is None:
        close_call(call, COMPLETED)
        return
    try:
        call.failure = failure_of(error)
    except Exception as fault:
        if not report_fault("reading an error", fault):
            raise
    # A generator that is closed early was left by its consumer.
    left = isinstance(error, GeneratorExit)
    close_call(call, STOPPED if left else ending_of(error), finalizing=left)


def current_run() -> Run | None:
    """Handle of the innermost open span of the running code, or None outside of any."""
    parent = current().parent
    if parent is None or parent.remote or parent.run_id is None:
        return None
    call = runtime.open_calls.get(parent.run_id)
    return Run(call) if call is not None else None
