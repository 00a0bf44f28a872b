"""Streams that an object gives: the very iterator, seen from outside piece by piece.

The consumer gets a stand-in of the same class. The scope of the call is set for the making of each piece only: between two pieces the
consumer's code runs, which is no part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import wrapt

from tracer.scope import Scope, enter, leave

_ObjectProxy: Any = wrapt.ObjectProxy
"""Typed loosely, as proxies are."""


class Watch(Protocol):
    """Who is told of the pieces."""

    inside: Scope

    def asked(self) -> None:
        """A piece is asked for."""

    def came(self, piece: Any) -> None:
        """It has come."""

    def ends(self, error: BaseException | None = None) -> None:
        """No more will come."""

    def left(self, finalizing: bool) -> None:
        """The consumer wants no more."""


def is_stream(value: object) -> bool:
    """Whether `value` gives pieces one by one, once."""
    return hasattr(type(value), "__next__")


def is_async_stream(value: object) -> bool:
    """The same for `async for`."""
    return hasattr(type(value), "__anext__")


class _Watched(_ObjectProxy):
    """What both kinds share. Where nothing is asked before the first piece is, `begin` opens the record then, or gives None."""

    def __init__(self, stream: Any, watch: Watch | None = None, begin: Callable[[], Watch | None] | None = None) -> None:
        _ObjectProxy.__init__(self, stream)
        self._self_watch = watch
        self._self_begin = begin

    def _self_started(self) -> Watch | None:
        begin, self._self_begin = self._self_begin, None
        if begin is not None:
            self._self_watch = begin()
        return self._self_watch

    def _self_over(self, error: BaseException | None) -> None:
        watch, self._self_watch = self._self_watch, None
        if watch is not None:
            watch.ends(error)

    def _self_left(self, finalizing: bool = False) -> None:
        watch, self._self_watch = self._self_watch, None
        self._self_begin = None
        if watch is not None:
            watch.left(finalizing)

    def __del__(self) -> None:
        try:
            self._self_left(finalizing=True)
        except AttributeError:
            pass  # It was never made whole.


class Stream(_Watched):
    """A generator or another iterator."""

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self._self_step(self.__wrapped__.__next__)

    def send(self, value: Any) -> Any:
        """As of a generator."""
        return self._self_step(self.__wrapped__.send, value)

    def throw(self, *details: Any) -> Any:
        """As of a generator."""
        return self._self_step(self.__wrapped__.throw, *details)

    def close(self) -> None:
        """As of the iterator; the call was left by its consumer."""
        try:
            self.__wrapped__.close()
        finally:
            self._self_left()

    def __enter__(self) -> Any:
        entered = self.__wrapped__.__enter__()
        return self if entered is self.__wrapped__ else entered

    def __exit__(self, *details: object) -> Any:
        try:
            return self.__wrapped__.__exit__(*details)
        finally:
            self._self_left()

    def _self_step(self, step: Callable[..., Any], *args: Any) -> Any:
        watch = self._self_watch or self._self_started()
        if watch is None:
            return step(*args)
        watch.asked()
        earlier = enter(watch.inside)
        try:
            piece = step(*args)
        except StopIteration:
            self._self_over(None)
            raise
        except BaseException as error:
            self._self_over(error)
            raise
        finally:
            leave(earlier)
        watch.came(piece)
        return piece


class AsyncStream(_Watched):
    """An async generator or another async iterator."""

    def __aiter__(self) -> Any:
        return self

    def __anext__(self) -> Any:
        return self._self_step(self.__wrapped__.__anext__)

    def asend(self, value: Any) -> Any:
        """As of an async generator."""
        return self._self_step(self.__wrapped__.asend, value)

    def athrow(self, *details: Any) -> Any:
        """As of an async generator."""
        return self._self_step(self.__wrapped__.athrow, *details)

    async def aclose(self) -> None:
        """As of the iterator; the call was left by its consumer."""
        try:
            await self.__wrapped__.aclose()
        finally:
            self._self_left()

    async def __aenter__(self) -> Any:
        entered = await self.__wrapped__.__aenter__()
        return self if entered is self.__wrapped__ else entered

    async def __aexit__(self, *details: object) -> Any:
        try:
            return await self.__wrapped__.__aexit__(*details)
        finally:
            self._self_left()

    async def _self_step(self, step: Callable[..., Any], *args: Any) -> Any:
        watch = self._self_watch or self._self_started()
        if watch is None:
            return await step(*args)
        watch.asked()
        earlier = enter(watch.inside)
        try:
            piece = await step(*args)
        except StopAsyncIteration:
            self._self_over(None)
            raise
        except BaseException as error:
            self._self_over(error)
            raise
        finally:
            leave(earlier)
        watch.came(piece)
        return piece
