"""LangChain's own LangSmith tracer, which the same variables switch on: exactly one of the two posts LangChain's runs.

`TRACER_LANGCHAIN=defer` leaves them to LangChain's, `replace` keeps that one out.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from tracer.dotted_order import tell
from tracer.runtime import ready, recording, report_fault, runtime
from tracer.scope import current

_MODULE = "langchain_core.tracers.context"
_QUESTION = "_tracing_v2_is_enabled"
_START = "_start_trace"

TRACER_MODULE = "langchain_core.tracers.langchain"
"""Where LangChain's own LangSmith tracer is."""


def posted_by_langchain() -> bool:
    """LangChain's own tracer posts the run that begins now, and this library is to leave that to it."""
    settings = runtime.settings
    if not settings.langsmith_on or settings.langchain != "defer":
        return False
    try:
        # It may also answer "local": then nothing is posted.
        return getattr(sys.modules[_MODULE], _QUESTION)() is True
    except Exception as fault:
        if not report_fault("asking for LangChain's own tracer", fault):
            raise
        return False


def keep_out_where_asked(context_module: Any) -> None:
    """From now on LangChain is told that its own tracer is off, while we record every run in its place."""
    asked = getattr(context_module, _QUESTION, None)
    if asked is None:
        return

    def enabled() -> Any:
        return False if _replaced() else asked()

    setattr(context_module, _QUESTION, enabled)


def note_places(tracer_module: Any) -> None:
    """From now on we know under which places LangChain's own tracer posts its runs: runs of ours below name the same starts."""
    kind: Any = getattr(tracer_module, "LangChainTracer", None)
    start = getattr(kind, _START, None)
    if start is None or hasattr(start, "__wrapped__"):
        return

    @functools.wraps(start)
    def starting(self: Any, run: Any) -> Any:
        result = start(self, run)
        _note_place(run)
        return result

    setattr(kind, _START, starting)


def _note_place(run: Any) -> None:
    try:
        if posted_by_langchain():
            tell(run.id.int, run.dotted_order)
    except Exception as fault:
        if not report_fault("noting a place of LangChain's own tracer", fault):
            raise


def _replaced() -> bool:
    try:
        return bool(
            runtime.every_run
            and ready()
            and runtime.settings.langchain == "replace"
            and runtime.settings.langsmith_on
            and recording(current())
        )
    except Exception as fault:
        if not report_fault("replacing LangChain's own tracer", fault):
            raise
        return False
