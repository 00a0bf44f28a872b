"""Any object with some of the verbs of a chat model: a proxy of the same class, whose calls are recorded.

The proxy shares the object's state. Methods run with the proxy as `self`, so that calls the object makes on itself are seen, and what
they give back of the same kind (`bind`, `with_…`, copies) is traced as well.
"""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import wrapt

from tracer.capture.verbs import VERBS, traced_verb

_ObjectProxy: Any = wrapt.ObjectProxy
"""Typed loosely, as proxies are."""

_RENEWING = ("bind", "with_", "copy", "model_copy", "configurable_")
"""Methods whose names begin so give a changed copy of the object; it may be of another class with verbs of its own."""


if TYPE_CHECKING:
    _Meta = type
else:
    _Meta = type(_ObjectProxy)  # Without its C part, wrapt has a metaclass of its own.


class _ProxyType(_Meta):
    """The class of proxies for one class of objects. It stands for that class where a method uses `type(self)`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make an object of the proxied class, traced like the one whose method makes it."""
        return traced_object(self.__dict__["_self_kind"](*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_self_kind"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_self_kind"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["_self_kind"], name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self.__dict__.get("_self_kind", self))


class _Proxy(_ObjectProxy):
    """What all proxies share; `_proxy_class` adds what depends on the class of the object."""

    def __getattr__(self, name: str) -> Any:
        inner = self.__wrapped__
        value = getattr(inner, name)
        if name in VERBS and callable(value):
            return traced_verb(name, inner, _bound_to(self, inner, value))
        if isinstance(value, types.MethodType) and value.__self__ is inner:
            return _renewing(name, self, inner, _bound_to(self, inner, value))
        return value

    def __copy__(self) -> Any:
        return traced_object(copy.copy(self.__wrapped__))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return traced_object(copy.deepcopy(self.__wrapped__, memo))

    def __reduce__(self) -> Any:
        return traced_object, (self.__wrapped__,)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return traced_object, (self.__wrapped__,)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __enter__(self) -> Any:
        return _itself(self, self.__wrapped__, self.__wrapped__.__enter__())

    async def __aenter__(self) -> Any:
        return _itself(self, self.__wrapped__, await self.__wrapped__.__aenter__())

    def __or__(self, other: Any) -> Any:
        return _operator("__or__", self, other)

    def __ror__(self, other: Any) -> Any:
        return _operator("__ror__", self, other)


def has_verbs(target: object) -> bool:
    """Whether `target` is an object that can be asked like a chat model."""
    return callable(target) or any(callable(getattr(cast("Any", type(target)), verb, None)) for verb in VERBS)


def traced_object(target: Any) -> Any:
    """A proxy of `target` whose verbs are recorded; of a proxy the proxy itself."""
    if isinstance(type(target), _ProxyType):
        return target
    return type.__call__(_proxy_class(cast("Any", type(target))), target)


@functools.lru_cache(maxsize=256)
def _proxy_class(kind: type[Any]) -> Any:
    members: dict[str, Any] = {
        "_self_kind": kind,
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
    }
    if any("__call__" in base.__dict__ for base in kind.__mro__):
        members["__call__"] = _call
    if not hasattr(kind, "__iter__"):
        members["__iter__"] = None
    return _ProxyType(kind.__name__, (_Proxy,), members)


def _call(self: Any, *args: Any, **kwargs: Any) -> Any:
    inner = self.__wrapped__
    return traced_verb("__call__", inner, _bound_to(self, inner, inner.__call__))(*args, **kwargs)


def _bound_to(proxy: Any, inner: Any, value: Any) -> Any:
    """The method with the proxy as `self`; what is no plain function of Python stays with the object."""
    if isinstance(value, types.MethodType) and value.__self__ is inner and isinstance(value.__func__, types.FunctionType):
        return types.MethodType(value.__func__, proxy)
    return value


def _itself(proxy: Any, inner: Any, result: Any) -> Any:
    return proxy if result is inner else result


def _renewing(name: str, proxy: Any, inner: Any, bound: Callable[..., Any]) -> Callable[..., Any]:
    kind = cast("Any", type(inner))

    @functools.wraps(bound)
    def method(*args: Any, **kwargs: Any) -> Any:
        result = bound(*args, **kwargs)
        if result is inner:
            return proxy
        if isinstance(result, kind) or (
            name.startswith(_RENEWING) and any(callable(getattr(cast("Any", type(result)), verb, None)) for verb in VERBS)
        ):
            return traced_object(result)
        return result

    return method


def _operator(name: str, proxy: Any, other: Any) -> Any:
    """`|` with the proxy in the place of the object, so that what it becomes a part of is traced."""
    function: Any = getattr(cast("Any", type(proxy.__wrapped__)), name, None)
    if not isinstance(function, types.FunctionType):
        return NotImplemented
    return _renewing(name, proxy, proxy.__wrapped__, types.MethodType(function, proxy))(other)
