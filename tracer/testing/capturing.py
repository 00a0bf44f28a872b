"""`capture`: for as long as it is open, calls end in it and nowhere else."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, overload
from weakref import WeakValueDictionary

from tracer.assembly import trace_langchain
from tracer.call import Call
from tracer.runtime import runtime
from tracer.sampling import SAMPLERS
from tracer.scope import Parent, Scope
from tracer.testing.calls import CapturedCall
from tracer.testing.tree import tree_of

if TYPE_CHECKING:
    from typing_extensions import Self

made: WeakValueDictionary[int, Capture] = WeakValueDictionary()
"""The captures that somebody still holds, in the order they were opened: for the report of a test, which begins by emptying it."""
_number = itertools.count()


def capture() -> Capture:
    """A context manager (sync and async) that keeps every call that begins inside of it, and keeps it from all destinations.

    Nothing has to be set up, and nothing that is set up takes part: no destination, no tracer provider of the application, no thread, no
    environment variable; prompts and answers are always kept. Calls are those of wrapped clients and models, `ChatModel`, LangChain and
    `tracer.trace`, in threads and tasks too.

        with capture() as calls:
            answer("How high is the Eiffel tower?")
        assert calls.only().usage.input == 12

    Captures nest: the outer one has the calls of the inner one too. Where two are open at once in different tasks, each has its own.
    """
    return Capture()


class Capture(Sequence[CapturedCall]):
    """The calls captured so far, by their start: a sequence. It can be read while it is open and afterwards."""

    def __init__(self) -> None:
        self._calls: list[CapturedCall] = []

    def __enter__(self) -> Self:
        _current.set((*_current.get(), self))
        _stage.open(self)
        return self

    def __exit__(self, *details: object) -> None:
        # Set, not reset: a generator or task may leave in another context than it entered in.
        _current.set(tuple(other for other in _current.get() if other is not self))
        _stage.close(self)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *details: object) -> None:
        self.__exit__(*details)

    # All calls.

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[CapturedCall]:
        return iter(tuple(self._calls))

    @overload
    def __getitem__(self, index: int) -> CapturedCall: ...
    @overload
    def __getitem__(self, index: slice) -> list[CapturedCall]: ...
    def __getitem__(self, index: int | slice) -> CapturedCall | list[CapturedCall]:
        return self._calls[index]

    # Some of them.

    @property
    def model_calls(self) -> list[CapturedCall]:
        """Calls to chat, completion and embedding models."""
        return [call for call in self if call.is_model_call]

    @property
    def open(self) -> list[CapturedCall]:
        """Calls that have not ended, such as streams that were not read to their end."""
        return [call for call in self if call.is_open]

    @property
    def roots(self) -> list[CapturedCall]:
        """Calls that were made in no other captured call."""
        return [call for call in self if call.parent is None]

    def find(self, **wanted: object) -> list[CapturedCall]:
        """Calls whose attributes have these values: `calls.find(model="gpt-4o-mini", outcome="failed")`.

        Raises `AttributeError` for an attribute that calls do not have.
        """
        return [call for call in self if all(getattr(call, name) == value for name, value in wanted.items())]

    def only(self, **wanted: object) -> CapturedCall:
        """The one model call there is; with arguments, the one call that `find` finds.

        Raises `AssertionError` with the tree of all calls where it is none or several.
        """
        found = self.find(**wanted) if wanted else self.model_calls
        if len(found) == 1:
            return found[0]
        what = ", ".join(f"{name}={value!r}" for name, value in wanted.items())
        noun = "calls" if wanted else "model calls"
        raise AssertionError(f"expected one call, found {len(found)} {noun}{f' with {what}' if what else ''}:\n{self.tree()}")

    def clear(self) -> None:
        """Forget what was captured so far."""
        self._calls.clear()

    def tree(self) -> str:
        """All calls as text: under each other as they were made in each other."""
        return tree_of(list(self))

    def __repr__(self) -> str:
        return f"<{len(self)} captured calls>\n{self.tree()}" if self else "<no captured calls>"

    def _take(self, call: Call) -> None:
        self._calls.append(CapturedCall(call, runtime.settings, lambda: list(self)))


_current: ContextVar[tuple[Capture, ...]] = ContextVar("tracer_captures", default=())


class _Stage:
    """Stands in the runtime for destinations and the application's tracer provider, while any capture is open."""

    _REPLACED = (
        "can_record",
        "configured",
        "content",
        "forbidden",
        "host",
        "on",
        "pipeline",
        "running",
        "sampler",
        "set_up",
        "started",
        "submit",
    )

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._open: list[Capture] = []
        self._earlier: dict[str, Any] = {}
        self._ours: set[int] = set()
        """Run ids of calls that began in a capture and have not ended."""

    def open(self, capture: Capture) -> None:
        """Calls go to this capture too from now on."""
        with self._lock:
            self._open.append(capture)
            if len(self._open) == 1:
                self._enter()
        made[next(_number)] = capture
        if "langchain_core" in sys.modules:
            trace_langchain()

    def close(self, capture: Capture) -> None:
        """It takes no more calls. With the last one everything is as it was before the first."""
        with self._lock:
            if capture not in self._open:
                return
            self._open.remove(capture)
            if not self._open:
                # What goes on is listed as open, and its end is nobody's business any more.
                for run_id in self._ours:
                    runtime.open_calls.pop(run_id, None)
                self._ours.clear()
                vars(runtime).update(self._earlier)

    def _enter(self) -> None:
        self._earlier = {name: getattr(runtime, name) for name in self._REPLACED}
        runtime.on = runtime.can_record = runtime.configured = True
        runtime.forbidden = runtime.running = False
        runtime.content = (True, True)
        runtime.pipeline = None
        runtime.host = self
        runtime.sampler = SAMPLERS["always_on"](1.0)
        runtime.started = itertools.count()
        runtime.submit = self.submit
        runtime.set_up = self._set_up_anew

    def _set_up_anew(self) -> None:
        """The program under test has configured tracing: that holds once the last capture is closed."""
        replaced = self._earlier["pipeline"]
        if replaced is not None:
            replaced.shutdown(runtime.settings.exit_timeout)
        set_up = self._earlier["set_up"]
        self._enter()
        self._earlier["set_up"] = set_up

    def submit(self, call: Call) -> None:
        """A call has ended. One that began before any capture goes where it would have gone."""
        if call.run_id in self._ours:
            self._ours.discard(call.run_id)
        else:
            self._earlier["submit"](call)

    # What the runtime asks of the application's telemetry.

    def present(self) -> bool:
        """Calls are recorded here."""
        return True

    def parent(self) -> Parent | None:
        """Spans of the application are none of a capture's business."""
        return None

    def begin(self, call: Call, scope: Scope) -> None:  # noqa: ARG002
        """A call begins. Where no capture is known (a thread that was there before), it belongs to all that are open."""
        here = [capture for capture in _current.get() if capture in self._open]
        self._ours.add(call.run_id)
        for capture in here or tuple(self._open):
            capture._take(call)

    def flush(self, timeout: float) -> bool:  # noqa: ARG002
        """Nothing is on its way."""
        return True

    def shutdown(self, timeout: float) -> bool:  # noqa: ARG002
        """A program under test may end tracing; what it calls is captured all the same."""
        return True

    def balance(self) -> None:
        """No destination, no account."""


_stage = _Stage()
