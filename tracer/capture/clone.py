"""A shallow clone of an SDK client: same type and state, resources of its own, the original untouched.

`client.copy()` of the SDKs is not used: on openai 1.x and 2.x it changes the URLs of Azure clients with a deployment, loses strict
validation, and fails for subclasses with an `__init__` of their own.
"""

from __future__ import annotations

import functools
import types
from typing import Any

from tracer.capture.kinds import class_of


def clone_of(client: Any) -> Any:
    """A clone; what the client has made already (`client.chat`) points to the clone there."""
    clone = object.__new__(class_of(client))
    clone.__dict__.update(client.__dict__)
    _rebind_resources(client, clone)
    if clone.__dict__.get("_middleware_chain") is not None:
        # Anthropic's chain of middleware is a closure over the client that it was built for.
        clone._middleware_chain = clone._build_middleware_chain()
    return clone


def _rebind_resources(client: Any, clone: Any) -> None:
    """Resources that the client has made already (`client.chat`) point to the client: the clone gets its own."""
    memo: dict[int, Any] = {id(client): clone}
    for name, value in client.__dict__.items():
        if name in ("_client", "request"):
            continue
        _rebind(clone, name, value, client, memo)


def _rebind(owner: Any, name: str, value: Any, client: Any, memo: dict[int, Any]) -> None:
    kind = class_of(value)
    if value is client or id(value) in memo:
        owner.__dict__[name] = memo[id(value)]
    elif isinstance(value, types.MethodType | types.FunctionType):
        owner.__dict__[name] = _rebound(value, memo)
    elif "Raw" in kind.__name__ or "WithStream" in kind.__name__:
        # These hold closures over the methods they stand for; they are made anew from what they belong to.
        if isinstance(getattr(class_of(owner), name, None), functools.cached_property):
            owner.__dict__.pop(name, None)
        elif hasattr(value, "__dict__"):
            owner.__dict__[name] = kind(owner)
    elif getattr(value, "__dict__", {}).get("_client") is client:
        copy = object.__new__(kind)
        memo[id(value)] = copy
        copy.__dict__.update(value.__dict__)
        owner.__dict__[name] = copy
        for inner_name, inner in value.__dict__.items():
            _rebind(copy, inner_name, inner, client, memo)


def _rebound(value: Any, memo: dict[int, Any]) -> Any:
    """What others have put in the place of a method (LangSmith's `wrap_openai` does), acting for the clone.

    Such a function closes over the bare method of the original, so it is copied with the clone's in its closure.
    """
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, types.MethodType):
        owner = memo.get(id(value.__self__))
        return value if owner is None else types.MethodType(value.__func__, owner)
    if not isinstance(value, types.FunctionType) or value.__closure__ is None:
        return value
    memo[id(value)] = value  # A function may close over itself.
    cells = tuple(_rebound_cell(cell, memo) for cell in value.__closure__)
    if all(cell is bare for cell, bare in zip(cells, value.__closure__, strict=True)):
        return value
    made: Any = types.FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, cells)
    made.__kwdefaults__ = value.__kwdefaults__
    functools.update_wrapper(made, value)
    memo[id(value)] = made
    if "__wrapped__" in value.__dict__:
        made.__wrapped__ = _rebound(value.__dict__["__wrapped__"], memo)
    else:
        del made.__wrapped__
    return made


def _rebound_cell(cell: types.CellType, memo: dict[int, Any]) -> types.CellType:
    try:
        content = cell.cell_contents
    except ValueError:  # Empty.
        return cell
    rebound = _rebound(content, memo)
    return cell if rebound is content else types.CellType(rebound)
