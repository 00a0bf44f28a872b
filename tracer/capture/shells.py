"""Spans around functions: one before, one after, and a shell for each of the four kinds of functions."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, TypeVar, cast

from tracer.call import Call
from tracer.capture.jsonable import to_json
from tracer.capture.run import end_span
from tracer.runtime import ready, recording, runtime
from tracer.scope import Scope, current, enter, leave, under

_Function = TypeVar("_Function", bound=Callable[..., Any])

_COLLECTED_ITEMS = 1000
"""Items of a traced generator that are kept as its output; the rest is counted."""


def decorated(function: _Function, open_span: Callable[[Scope, str], Call | None]) -> _Function:
    """`function` with a span around each call: same kind of function, same signature, same laziness."""
    try:
        signature: inspect.Signature | None = inspect.signature(function)
    except (TypeError, ValueError):
        signature = None

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any], scope: Scope) -> Call | None:
        ready()
        if not recording(scope):
            return None
        call = open_span(scope, getattr(function, "__name__", ""))
        if call is not None and call.content_inputs:
            call.input_json = to_json(_arguments(signature, args, kwargs))
        return call

    if inspect.isasyncgenfunction(function):
        wrapper: Any = _async_generator_shell(function, begin)
    elif inspect.isgeneratorfunction(function):
        wrapper = _generator_shell(function, begin)
    elif inspect.iscoroutinefunction(function):
        wrapper = _async_shell(function, begin)
    else:
        wrapper = _sync_shell(function, begin)
    return cast("_Function", functools.wraps(function)(wrapper))


def _arguments(signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    if signature is not None:
        try:
            bound = dict(signature.bind(*args, **kwargs).arguments)
            bound.pop("self", None)
            return bound
        except TypeError:
            pass  # The call will fail by itself, with Python's own message.
    return {"args": args, "kwargs": kwargs}


_Begin = Callable[[tuple[Any, ...], dict[str, Any], Scope], "Call | None"]


def _end_with(call: Call, result: object) -> None:
    if call.content_outputs and call.output_json is None:
        call.output_json = to_json(result)
        call.output_is_value = not isinstance(result, dict)
    end_span(call, None)


def _sync_shell(function: Callable[..., Any], begin: _Begin) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        scope = current()
        call = begin(args, kwargs, scope)
        if call is None:
            return function(*args, **kwargs)
        earlier = enter(under(call, scope))
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            end_span(call, error)
            raise
        finally:
            leave(earlier)
        _end_with(call, result)
        return result

    return wrapper


def _async_shell(function: Callable[..., Any], begin: _Begin) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        scope = current()
        call = begin(args, kwargs, scope)
        if call is None:
            return await function(*args, **kwargs)
        earlier = enter(under(call, scope))
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            end_span(call, error)
            raise
        finally:
            leave(earlier)
        _end_with(call, result)
        return result

    return wrapper


class _Collected:
    """The items a generator gave, as JSON, up to a bound."""

    __slots__ = ("call", "count", "items", "size")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.items: list[bytes] = []
        self.count = 0
        self.size = 0

    def add(self, item: object) -> None:
        self.count += 1
        if self.call.content_outputs and len(self.items) < _COLLECTED_ITEMS and self.size < runtime.settings.max_content:
            text = to_json(item)
            self.items.append(text)
            self.size += len(text)

    def end(self, error: BaseException | None) -> None:
        call = self.call
        if call.content_outputs and call.output_json is None and self.items:
            call.output_json = b"[" + b",".join(self.items) + b"]"
        if self.count > len(self.items) and call.content_outputs:
            call.attributes = {**(call.attributes or {}), "tracer.items": self.count}
        end_span(call, error)


def _generator_shell(function: Callable[..., Any], begin: _Begin) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        outer = current()
        call = begin(args, kwargs, outer)
        if call is None:
            bare: Generator[Any, Any, Any] = function(*args, **kwargs)
            return (yield from bare)
        inside = under(call, outer)
        collected = _Collected(call)
        inner: Any = None
        sent: Any = None
        thrown: BaseException | None = None
        try:
            while True:
                # The scope is set for this step only: the consumer must not find it between two items.
                earlier = enter(inside)
                try:
                    inner = function(*args, **kwargs) if inner is None else inner
                    item = inner.send(sent) if thrown is None else inner.throw(thrown)
                except StopIteration as stop:
                    collected.end(_closing(thrown))
                    return stop.value
                except BaseException as error:
                    collected.end(error)
                    raise
                finally:
                    leave(earlier)
                collected.add(item)
                sent, thrown = None, None
                try:
                    sent = yield item
                except BaseException as error:  # GeneratorExit too: the function itself decides what closing it means.
                    thrown = error
        finally:
            thrown = None  # Its traceback holds this frame.

    return wrapper


def _closing(thrown: BaseException | None) -> GeneratorExit | None:
    """What a generator ended by that returned: nothing, or being closed before its end."""
    return thrown if isinstance(thrown, GeneratorExit) else None


def _async_generator_shell(function: Callable[..., Any], begin: _Begin) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        outer = current()
        call = begin(args, kwargs, outer)
        inside = under(call, outer) if call is not None else None
        collected = _Collected(call) if call is not None else None
        inner: Any = None
        sent: Any = None
        thrown: BaseException | None = None
        try:
            while True:
                earlier = enter(inside) if inside is not None else None
                try:
                    if inner is None:
                        inner = function(*args, **kwargs)
                        step = _unhooked(inner)
                    else:
                        step = inner.asend(sent) if thrown is None else inner.athrow(thrown)
                    item = await step
                except StopAsyncIteration:
                    if collected is not None:
                        collected.end(_closing(thrown))
                    return
                except BaseException as error:
                    if collected is not None:
                        collected.end(error)
                    raise
                finally:
                    if earlier is not None:
                        leave(earlier)
                if collected is not None:
                    collected.add(item)
                sent, thrown = None, None
                try:
                    sent = yield item
                except BaseException as error:
                    thrown = error
        finally:
            thrown = None

    return wrapper


def _unhooked(generator: AsyncGenerator[Any, Any]) -> Awaitable[Any]:
    """The first step of an async generator that only its shell closes.

    An event loop closes every generator it has met, at its end all at once: with both known to it, one would find the other running.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)
