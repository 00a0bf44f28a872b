"""What the tests of LangChain runs share: LangChain's own view of the tree, and ways to bring our handler into a program."""

# pyright: reportMissingTypeArgument=false, reportUnknownMemberType=false, reportUnknownParameterType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

import tracer
from tracer.call import Call
from tracer.capture.langchain_joining import trace_every_run


class LangChainsView(BaseCallbackHandler):
    """The tree as LangChain tells it to any handler: each run's parent, and what kind of run it is."""

    run_inline = True

    def __init__(self) -> None:
        self.parents: dict[int, int | None] = {}
        self.kinds: dict[int, str] = {}
        self.open: set[int] = set()

    def _begins(self, kind: str) -> Callable[..., None]:
        def begin(*_: Any, run_id: UUID, parent_run_id: UUID | None = None, **__: Any) -> None:
            self.parents[run_id.int] = parent_run_id.int if parent_run_id is not None else None
            self.kinds[run_id.int] = kind

        return begin

    def __getattribute__(self, name: str) -> Any:
        starts = {"on_chat_model": "llm", "on_llm": "llm", "on_chain": "chain", "on_tool": "tool", "on_retriever": "retriever"}
        beginning, _, end = name.rpartition("_")
        return self._begins(starts[beginning]) if end == "start" and beginning in starts else super().__getattribute__(name)


def parents_in_langchain(calls: list[Call]) -> dict[int, int | None]:
    """Each of our records of a LangChain run, and the nearest record above it that is one too."""
    by_span = {call.span_id: call for call in calls}

    def above(call: Call) -> int | None:
        parent = by_span.get(call.parent_span_id or 0)
        while parent is not None and parent.library != "langchain":
            parent = by_span.get(parent.parent_span_id or 0)
        return parent.run_id if parent is not None else None

    return {call.run_id: above(call) for call in calls if call.library == "langchain"}


def paths(calls: list[Call]) -> list[str]:
    """Every record as the names from the root down to it, sorted."""
    by_span = {call.span_id: call for call in calls}

    def path(call: Call | None) -> str:
        if call is None:
            return ""
        above = path(by_span.get(call.parent_span_id)) if call.parent_span_id is not None else ""
        return f"{above}/{call.name}" if above else call.name

    return sorted(path(call) for call in calls)


MODES: dict[str, Callable[[Any], Any]] = {}
"""How a program comes to be traced: its outermost runnable wrapped, every run traced, or both."""


def _mode(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    MODES[function.__name__] = function
    return function


@_mode
def wrapped(runnable: Any) -> Any:
    """As after `tracer.wrap`."""
    return tracer.wrap(runnable)


@_mode
def every_run(runnable: Any) -> Any:
    """As by the environment alone."""
    trace_every_run()
    return runnable


@_mode
def both(runnable: Any) -> Any:
    """Both together."""
    return every_run(wrapped(runnable))
