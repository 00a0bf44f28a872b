"""LangChain's own LangSmith tracer, which the same variables switch on: exactly one of the two posts LangChain's runs.

`TRACER_LANGCHAIN=defer` leaves them to LangChain's, `replace` keeps that one out.
"""

from __future__ import annotations

import sys
from typing import Any

from tracer.runtime import ready, recording, report_fault, runtime
from tracer.scope import current

_MODULE = "langchain_core.tracers.context"
_QUESTION = "_tracing_v2_is_enabled"


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
