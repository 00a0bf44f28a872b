"""The verbs of a chat model on any object: one before, one after, and a shell for calls, coroutines and streams.

One call of the object is one record. A verb that the same object calls on its own way there (`invoke` by `generate`) is part of it; the
calls that a batch makes for its inputs are records of their own, below one for the batch.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from tracer.call import ABANDONED, CHAIN, COMPLETED, FAILED, LLM, STOPPED, Call
from tracer.capture.failure import ending_of, failure_of
from tracer.capture.jsonable import to_json
from tracer.capture.object_streams import AsyncStream, Stream, is_async_stream, is_stream
from tracer.capture.object_values import answer_json, given_input, model_of, piece_json, piece_kind_of, request_json
from tracer.capture.threads import carry_scope_into_threads
from tracer.runtime import begin_call, close_call, new_call, ready, recording, report_fault, serving
from tracer.scope import Scope, current, enter, leave, under

OPERATION = "object"
"""`Call.operation` of a call that was seen at an object's own verbs."""

_MANY = ("batch", "abatch")
_GROUPS = ("generate", "agenerate")
VERBS = ("invoke", "ainvoke", "stream", "astream", *_MANY, *_GROUPS, "__call__")

_KEPT_PIECES = 10_000


@dataclass(slots=True)
class Verb:
    """One call of a verb that is under way."""

    call: Call
    inner: Any
    scope: Scope
    many: bool
    request: bytes = b""
    calls_inside: int = 0
    """Calls that the object made on itself for the single inputs."""


_under_way: dict[int, Verb] = {}
"""By run id: what the innermost span is, where it is one of ours."""


def traced_verb(name: str, inner: Any, bare: Callable[..., Any]) -> Callable[..., Any]:
    """`bare` with a record around each call: same signature, same kind of function."""
    flags = _flags(bare)
    if flags & inspect.CO_COROUTINE:

        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            verb = _begin(name, inner, args, kwargs)
            if verb is None:
                return await bare(*args, **kwargs)
            return await _awaited(verb, functools.partial(bare, *args, **kwargs))

        return _like(bare, coroutine)

    if flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        # Nothing is asked before the first piece is.
        kind = AsyncStream if flags & inspect.CO_ASYNC_GENERATOR else Stream

        def generator(*args: Any, **kwargs: Any) -> Any:
            return kind(bare(*args, **kwargs), begin=lambda: _watched(_begin(name, inner, args, kwargs)))

        return _like(bare, generator)

    def function(*args: Any, **kwargs: Any) -> Any:
        verb = _begin(name, inner, args, kwargs)
        return bare(*args, **kwargs) if verb is None else _called(verb, functools.partial(bare, *args, **kwargs))

    return _like(bare, function)


def _like(bare: Any, function: Any) -> Callable[..., Any]:
    """`functools.wraps` in a third of its time: a method is looked up at every call."""
    function.__wrapped__ = bare
    function.__name__ = getattr(bare, "__name__", "")
    function.__qualname__ = getattr(bare, "__qualname__", "")
    function.__doc__ = bare.__doc__
    function.__module__ = getattr(bare, "__module__", None)
    return function


def _flags(bare: Any) -> int:
    """The kind of a function; `inspect` finds the same, in ten times the time."""
    return getattr(getattr(getattr(bare, "__func__", bare), "__code__", None), "co_flags", 0)


# Before.


def _begin(name: str, inner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Verb | None:
    """Open the record of a call, or None where it is not one: nothing is recorded here, or it is a part of another."""
    try:
        ready()
        scope = current()
        if not recording(scope):
            return None
        carry_scope_into_threads()
        above = _under_way.get(scope.parent.run_id or 0) if scope.parent is not None else None
        if above is not None and above.inner is inner:
            if not above.many:
                return None
            above.calls_inside += 1
        return _open(name, inner, scope, args, kwargs)
    except Exception as fault:
        if not report_fault("beginning a call of an object", fault):
            raise
        return None


def _open(name: str, inner: Any, scope: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Verb:
    given = given_input(args, kwargs)
    prompts = cast("list[Any]", given) if isinstance(given, list | tuple) else []
    groups = name in _GROUPS and bool(prompts) and isinstance(prompts[0], list | tuple | str)
    several = name in _MANY or (groups and len(prompts) > 1)
    request = request_json(inner, args, kwargs, name in _MANY or groups)
    model = model_of(inner)
    above = serving(scope) if not several else None
    call = above or new_call(LLM, scope)
    call.library = type(inner).__module__.partition(".")[0]
    call.name = call.name or type(inner).__name__
    call.operation = OPERATION
    call.model = model
    verb = Verb(call, inner, scope, several, request)
    call.input_json = request
    if above is None:
        begin_call(call, scope)
        _under_way[call.run_id] = verb
    return verb


def _inside(verb: Verb) -> Scope:
    inside = under(verb.call, verb.scope)
    if not verb.many:
        inside.absorbers = [verb.call]
    return inside


# The call: shells around the same before and after.


def _called(verb: Verb, bare: Callable[[], Any]) -> Any:
    inside = _inside(verb)
    earlier = enter(inside)
    try:
        result = bare()
    except BaseException as error:
        end_verb(verb, error=error)
        raise
    finally:
        leave(earlier)
    if is_async_stream(result):
        return AsyncStream(result, Watched(verb, inside))
    if is_stream(result):
        return Stream(result, Watched(verb, inside))
    if isinstance(result, asyncio.Future):
        cast("asyncio.Future[Any]", result).add_done_callback(functools.partial(_settled, verb))
        return cast("Any", result)
    if inspect.iscoroutine(result):
        return _awaited(verb, lambda: result)
    end_verb(verb, result)
    return result


async def _awaited(verb: Verb, bare: Callable[[], Any]) -> Any:
    earlier = enter(_inside(verb))
    try:
        result = await bare()
    except BaseException as error:
        end_verb(verb, error=error)
        raise
    finally:
        leave(earlier)
    end_verb(verb, result)
    return result


def _settled(verb: Verb, future: asyncio.Future[Any]) -> None:
    if future.cancelled():
        end_verb(verb, error=asyncio.CancelledError())
    else:
        error = future.exception()
        end_verb(verb, None if error is not None else future.result(), error)


# Streams.


def _watched(verb: Verb | None) -> Watched | None:
    return None if verb is None else Watched(verb, _inside(verb))


class Watched:
    """A stream of a call: its pieces, its clock and its end."""

    __slots__ = ("_clock", "_pieces", "_verb", "inside")

    def __init__(self, verb: Verb, inside: Scope) -> None:
        self._verb = verb
        self.inside = inside
        self._pieces: list[bytes] = []
        self._clock: list[int] = []
        call = verb.call
        call.streaming = True
        call.stream_clock = self._clock
        call.piece_kinds = []

    def asked(self) -> None:
        """The consumer wants a piece."""
        self._clock.append(time.perf_counter_ns())

    def came(self, piece: Any) -> None:
        """A piece has come."""
        self._clock.append(time.perf_counter_ns())
        try:
            kinds = self._verb.call.piece_kinds
            if kinds is not None:
                kinds.append(piece_kind_of(piece))
            if len(self._pieces) < _KEPT_PIECES:
                # At once: the consumer may change the piece, and a dropped stream ends where nothing of the application may run.
                self._pieces.append(piece_json(piece))
        except Exception as fault:
            if not report_fault("watching a stream of an object", fault):
                raise

    def ends(self, error: BaseException | None = None) -> None:
        """The stream was exhausted, or raised."""
        end_verb(self._verb, error=error, pieces=self._pieces)

    def left(self, finalizing: bool) -> None:
        """The consumer closed or dropped it."""
        end_verb(self._verb, ending=STOPPED if self._pieces else ABANDONED, pieces=self._pieces, finalizing=finalizing)


# After.


def end_verb(
    verb: Verb,
    result: Any = None,
    error: BaseException | None = None,
    pieces: Sequence[bytes] | None = None,
    ending: str = COMPLETED,
    finalizing: bool = False,
) -> None:
    """End the record once, with what had come by then."""
    call = verb.call
    _under_way.pop(call.run_id, None)
    if call.ending:
        return
    try:
        _fill(verb, result, error, pieces)
        if error is not None:
            ending = STOPPED if isinstance(error, GeneratorExit) and pieces else ending_of(error)
            call.failure = failure_of(error) if not isinstance(error, GeneratorExit) else None
    except Exception as fault:
        if not report_fault("ending a call of an object", fault):
            raise
        ending = FAILED if isinstance(error, Exception) else ending
    close_call(call, ending, finalizing=finalizing)


def _fill(verb: Verb, result: Any, error: BaseException | None, pieces: Sequence[bytes] | None) -> None:
    call = verb.call
    inner_failed = call.inner is not None and call.inner.ending == FAILED and error is None
    if verb.calls_inside or inner_failed or call.operation != OPERATION:
        # The model was asked by the calls inside, which have records (and tokens) of their own.
        call.kind, call.operation = CHAIN, "span"
        if not call.content_inputs:
            call.input_json = None
        call.output_json = None
        if call.content_outputs and error is None:
            call.output_json = to_json(result) if pieces is None else b"[" + b",".join(pieces) + b"]"
    elif pieces is not None:
        call.output_json = b'{"pieces":[' + b",".join(pieces) + b"]}"
    elif error is None:
        call.output_json = answer_json(cast("list[Any]", result) if verb.many and isinstance(result, list | tuple) else [result])
