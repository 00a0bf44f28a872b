"""Spans of the application's own: `tracer.trace` for chains, tools, retrievers and agents, and `tracer.context` for what they inherit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar, cast, overload

from tracer.call import KINDS, Call
from tracer.capture.jsonable import snapshots
from tracer.capture.run import Run, end_span
from tracer.capture.shells import decorated
from tracer.capture.threads import carry_scope_into_threads
from tracer.runtime import begin_call, new_call, ready, recording, report_fault
from tracer.scope import Entered, Scope, as_entered, current, enter, extended, leave, under

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Entered:
    """The entries of one context manager that were not left yet: the scope set, the earlier one, and the call opened.

    Threads and tasks may share a context manager. Whoever leaves finds its own entry by the scope it is in.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        # Keyed by the entry's identity, so that threads take out exactly their own in one step.
        self._entries: dict[int, tuple[Scope, Entered, Call | None]] = {}

    def enter(self, scope: Scope, call: Call | None = None) -> None:
        """Make `scope` the current one until `leave`."""
        entry = (scope, enter(scope), call)
        self._entries[id(entry)] = entry

    def leave(self) -> Call | None:
        """Set the earlier scope again; gives the call that was opened with the entry."""
        entries = list(self._entries.values())
        # A framework's callback may have lent a scope since then, and nobody takes it back: what it was lent upon counts.
        for here in as_entered():
            entry = next((entry for entry in reversed(entries) if entry[0] is here), None)
            if entry is not None:
                leave(entry[1])
                break
        else:
            # Left elsewhere than entered, such as a generator that is finalized in another thread: the scope there is not ours.
            if not entries:
                return None
            entry = entries[-1]
        self._entries.pop(id(entry), None)
        return entry[2]


class Trace:
    """What `trace` gives back: a context manager (sync and async, can be entered more than once, in threads too) and a decorator."""

    __slots__ = ("_entered", "_inputs", "_kind", "_metadata", "_name", "_tags")

    def __init__(self, name: str | None, kind: str, inputs: object, tags: tuple[str, ...], metadata: Mapping[str, object] | None) -> None:
        self._name = name
        self._kind = kind
        self._inputs = inputs
        self._tags = tags
        self._metadata = snapshots(metadata) if metadata else None
        self._entered = _Entered()

    def __enter__(self) -> Run:
        ready()
        scope = current()
        call = self._open(scope) if recording(scope) else None
        if call is not None and self._inputs is not None:
            Run(call).set_input(self._inputs)
        self._entered.enter(scope if call is None else under(call, scope), call)
        return Run(call)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        call = self._entered.leave()
        if call is not None:
            end_span(call, error)

    async def __aenter__(self) -> Run:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: _Function) -> _Function:
        return decorated(function, self._open)

    def _open(self, scope: Scope, default_name: str = "") -> Call | None:
        try:
            carry_scope_into_threads()
            call = new_call(self._kind, scope)
            call.operation = "span"
            call.name = call.name or self._name or default_name or self._kind
            call.tags = call.tags + tuple(tag for tag in self._tags if tag not in call.tags)
            if self._metadata:
                call.metadata = {**(call.metadata or {}), **self._metadata}
            return begin_call(call, scope)
        except Exception as fault:
            if not report_fault("beginning a span", fault):
                raise
            return None


@overload
def trace(name: _Function, /) -> _Function: ...


@overload
def trace(
    name: str | None = None,
    kind: str = "chain",
    *,
    inputs: object = None,
    tags: tuple[str, ...] | list[str] = (),
    metadata: Mapping[str, object] | None = None,
) -> Trace: ...


def trace(
    name: Any = None,
    kind: str = "chain",
    *,
    inputs: object = None,
    tags: tuple[str, ...] | list[str] = (),
    metadata: Mapping[str, object] | None = None,
) -> Any:
    """A span of your own around a piece of the program; calls inside become its children.

    Use it with `with` (or `async with`), or as a decorator of functions, coroutines, generators and async generators, whose arguments
    and results are then recorded. `kind` is one of chain, tool, retriever, agent, llm, embedding.

        with tracer.trace("answer question", kind="chain") as run:
            run.set_output(answer("How high is the Eiffel tower?"))

        @tracer.trace(kind="tool")
        def weather(city: str) -> str: ...

    Raises `ValueError` for an unknown kind; nothing else of ours ever reaches the caller.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not known: accepted is one of {', '.join(KINDS)}.")
    if callable(name):
        return Trace(None, kind, None, (), None)(cast("Any", name))
    return Trace(name, kind, inputs, tuple(tags), metadata)


class Context:
    """What `context` gives back: a context manager, sync and async, that can be entered more than once, in threads too."""

    __slots__ = ("_enabled", "_entered", "_metadata", "_session", "_tags", "_user")

    def __init__(
        self, session: str | None, user: str | None, tags: tuple[str, ...], metadata: Mapping[str, object] | None, enabled: bool | None
    ) -> None:
        self._session = session
        self._user = user
        self._tags = tags
        self._metadata = snapshots(metadata) if metadata else None
        self._enabled = enabled
        self._entered = _Entered()

    def __enter__(self) -> None:
        carry_scope_into_threads()
        scope = extended(current(), session=self._session, user=self._user, tags=self._tags, metadata=self._metadata, enabled=self._enabled)
        self._entered.enter(scope)

    def __exit__(self, *details: object) -> None:
        self._entered.leave()

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *details: object) -> None:
        self.__exit__(*details)
