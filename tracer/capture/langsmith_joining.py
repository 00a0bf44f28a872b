"""LangSmith's own SDK in the same process: its runs (`traceable`, `trace`, its wrappers) and ours are one tree.

What is current there becomes the parent of calls that begin inside of it, and its SDK is told of our run where that is the nearer one.
Both ways only while both send to LangSmith; each posts its own runs. The SDK is not imported to find out.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from tracer.call import Ancestor
from tracer.capture.import_hook import when_imported
from tracer.dotted_order import dotted_order_of, ids_in, moment, project_from, start_of, upwards
from tracer.runtime import report_fault, runtime
from tracer.scope import Parent, Scope, current, find_runs_through

HELPERS = "langsmith.run_helpers"
_CONTEXT = "langsmith._internal._context"
_ASKED = "get_current_run_tree"
_SET = "_set_tracing_context"

_MARK = "_tracer_stands_for"
_SDK = "LangSmith's own SDK"

_apart: ContextVar[bool] = ContextVar("tracer_apart_from_langsmith", default=False)
"""Each is asked what it knows without the other."""

_asked: list[Callable[[], Any]] = []
"""The SDK's own function that says which run is current."""


def join_langsmith() -> None:
    """One tree with the runs of LangSmith's SDK from now on, as soon as that is loaded."""
    when_imported(HELPERS, _join)


def _join(helpers: Any) -> None:
    # Newer versions have it in a module that all others ask.
    places = [module for module in (sys.modules.get(_CONTEXT), helpers) if hasattr(module, _ASKED)]
    asked = getattr(places[0], _ASKED, None) if places else None
    if asked is None or hasattr(asked, "__wrapped__"):
        return
    _asked[:] = [asked]
    setattr(places[0], _ASKED, _telling(asked))
    if places[0] is helpers:
        helpers.get_run_tree_context = getattr(helpers, _ASKED)
    if hasattr(helpers, _SET):
        setattr(helpers, _SET, _restoring(getattr(helpers, _SET)))
    find_runs_through(_found)


# Its runs above ours.


def _found(scope: Scope) -> Scope:
    """The scope inside the SDK's current run, unless what is current of ours lies in that run."""
    try:
        tree = None if _apart.get() else _its_own()
        if tree is None or not _is_posted() or _lies_in(scope.parent, tree.id.int):
            return scope
        return replace(scope, parent=_parent_of(tree, scope.parent), lease=None, absorbers=None, host=None)
    except Exception as fault:
        if not report_fault("finding the run of LangSmith's SDK", fault):
            raise
        return scope


def _parent_of(tree: Any, above: Parent | None) -> Parent:
    """Its run as a parent. It has no span: that of ours above it stays the parent of spans."""
    order, root, run = str(tree.dotted_order), cast("UUID", tree.trace_id).int, cast("UUID", tree.id).int
    project = str(tree.session_name or "")
    if above is None and runtime.host is not None:
        above = runtime.host.parent()
    if above is None:
        above = Parent(root, 0, sampled=runtime.sampler(root, None))
    # Its wrappers of clients say of a run which model it asks: the client's own call, seen by us too, is the same.
    model_call_of = _SDK if tree.run_type == "llm" and "ls_model_name" in tree.extra.get("metadata", {}) else ""
    return replace(
        above,
        run_id=run,
        root_run_id=root,
        dotted_order=order,
        project=project,
        above=above,
        started_wall=0,
        model_call_of=model_call_of,
    )


def _lies_in(parent: Ancestor | None, run_id: int) -> bool:
    return any(run.run_id == run_id for run in upwards(parent))


def _its_own() -> Any:
    """The run that the SDK itself holds for the current one."""
    return _asked[0]() if runtime.settings.langsmith_on and _asked else None


def _is_posted() -> bool:
    """The SDK posts runs that begin here. With a run of ours for the current one it would always say so."""
    return _ask_apart(sys.modules["langsmith.utils"].tracing_is_enabled) is True


def _ask_apart(question: Callable[[], Any]) -> Any:
    token = _apart.set(True)
    try:
        return question()
    finally:
        _apart.reset(token)


# Our runs above its own.


def _telling(asked: Callable[[], Any]) -> Callable[[], Any]:
    @functools.wraps(asked)
    def telling() -> Any:
        tree = asked()
        return tree if _apart.get() else _nearest(tree)

    return telling


def _nearest(tree: Any) -> Any:
    """What stands for our run where that is the nearer one, else the SDK's own."""
    try:
        if not runtime.settings.langsmith_on:
            return tree
        parent = current().parent
        if parent is None or parent.run_id is None or not parent.sampled or (tree is not None and tree.id.int == parent.run_id):
            return tree
        order = dotted_order_of(parent)
        return _stand_in(parent, order, tree) if order and _is_posted() else tree
    except Exception as fault:
        if not report_fault("telling LangSmith's SDK of a run", fault):
            raise
        return tree


def _stand_in(parent: Parent, order: str, tree: Any) -> Any:
    """A run of ours as the SDK sees one of another process: it is never posted, but has children."""
    run_id, trace_id, parent_run_id = ids_in(order)
    made = sys.modules["langsmith.run_trees"].RunTree(
        id=UUID(run_id),
        trace_id=UUID(trace_id),
        parent_run_id=None if parent_run_id is None else UUID(parent_run_id),
        dotted_order=order,
        name="parent",
        run_type="chain",
        start_time=moment(start_of(order)),
        project_name=project_from(parent) or runtime.settings.langsmith_project,
    )
    vars(made)[_MARK] = (tree,)
    return made


def _restoring(setting: Callable[..., Any]) -> Callable[..., Any]:
    """What is current is asked for and set again by whoever changes it for a while: the SDK's own then, since our scope tells of ours."""

    @functools.wraps(setting)
    def restoring(context: Any = None) -> Any:
        return setting(_its_own_part(context))

    return restoring


def _its_own_part(context: Any) -> object:
    try:
        given = cast("dict[str, Any]", context) if isinstance(context, dict) else {}
        tree: Any = given.get("parent")
        stands_for: tuple[Any] | None = getattr(tree, _MARK, None)
        parent = None if stands_for is None else cast("Scope", _ask_apart(current)).parent
        if stands_for is None or parent is None or parent.run_id != tree.id.int:
            return cast("object", context)
        return {**given, "parent": stands_for[0]}
    except Exception as fault:
        if not report_fault("restoring the run of LangSmith's SDK", fault):
            raise
        return cast("object", context)
