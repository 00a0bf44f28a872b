"""How the one handler gets into LangChain: into wrapped models and chains, and into every run while that is wanted."""

from __future__ import annotations

import sys
from typing import Any, cast

from tracer.capture.import_hook import when_imported
from tracer.capture.langchain_tracer import TRACER_MODULE, keep_out_where_asked, note_places
from tracer.runtime import ready, recording, report_fault, runtime
from tracer.scope import Scope, current, find_through

_made: list[Any] = []


def handler() -> Any:
    """The process's handler; made when LangChain is there, which is not for us to import."""
    if not _made:
        # The marked place of lazy imports: what hears of runs is loaded where there are some.
        from langchain_core.callbacks.base import BaseCallbackHandler

        from tracer.capture.langchain import LangChainRuns

        class TracerHandler(LangChainRuns, BaseCallbackHandler):  # type: ignore[misc]
            """Records LangChain's runs."""

            run_inline = True
            raise_error = False

            def __reduce__(self) -> tuple[Any, ...]:
                return handler, ()

        _made.append(TracerHandler())
    return _made[0]


class _Switch:
    """Stands for the context variable that LangChain asks for a handler: there is one while calls are recorded."""

    def get(self) -> Any:
        """The handler, or None where nothing is recorded."""
        try:
            if runtime.every_run and ready() and recording(current()):
                find_through(_found)
                return handler()
        except Exception as fault:
            if not report_fault("joining LangChain", fault):
                raise
        return None


_switch = _Switch()
_registered: list[Any] = []


def trace_every_run() -> None:
    """Bring the handler into every run of LangChain in this process, wrapped or not, as soon as LangChain is loaded."""
    runtime.every_run = True
    when_imported("langchain_core.tracers.context", _register)


def leave_runs_alone() -> None:
    """Undo `trace_every_run`."""
    runtime.every_run = False


def _register(context_module: Any) -> None:
    """LangChain forgets no hook: once for its module is enough."""
    if context_module not in _registered:
        _registered.append(context_module)
        keep_out_where_asked(context_module)
        when_imported(TRACER_MODULE, note_places)
        context_module.register_configure_hook(_switch, inheritable=True, handle_class=type(handler()))


def _found(scope: Scope) -> Scope:
    """The scope of code that runs inside a LangChain run: LangChain's context variable knows which."""
    config_module = sys.modules.get("langchain_core.runnables.config")
    if config_module is None:
        return scope
    try:
        config = cast("dict[str, Any]", config_module.var_child_runnable_config.get() or {})
        run = getattr(config.get("callbacks"), "parent_run_id", None)
        if run is None or run == scope.foreign:
            return scope
        return handler().inside(scope, run)
    except Exception as fault:
        if not report_fault("finding LangChain's run", fault):
            raise
        return scope


# Wrapping.


def is_langchain(target: object) -> bool:
    """Whether `target` is a Runnable of LangChain (models, chains, bindings, graphs). LangChain is not imported to find out."""
    return any(base.__module__ == "langchain_core.runnables.base" and base.__name__ == "Runnable" for base in type(target).__mro__)


def traced_runnable(target: Any) -> Any:
    """A copy whose runs are recorded: of models the exact type, of chains what `with_config` gives."""
    find_through(_found)
    ours = handler()
    # Asked of the object itself: some hand unknown attributes on to what they hold.
    fields = cast("dict[str, Any]", vars(target))
    if "callbacks" in fields and hasattr(target, "model_copy"):
        if _has_handler(fields["callbacks"], ours):
            return target
        copy = target.model_copy()
        copy.callbacks = _with_handler(fields["callbacks"], ours)
        return copy
    bound = fields.get("config")
    if isinstance(bound, dict) and _has_handler(cast("dict[str, Any]", bound).get("callbacks"), ours):
        return target
    return _with_config(target)(target, callbacks=[ours])


def _with_config(target: Any) -> Any:
    """The `with_config` of its class, but for a runnable that maps another: that would give the config to the other alone."""
    kinds: tuple[Any, ...] = type(target).__mro__
    maps = any(kind.__name__ == "RunnableEach" for kind in kinds)
    return next(kind for kind in kinds if "with_config" in vars(kind) and (not maps or kind.__name__ == "Runnable")).with_config


def _has_handler(callbacks: Any, ours: Any) -> bool:
    handlers: Any = cast("Any", callbacks) if isinstance(callbacks, list) else getattr(callbacks, "handlers", None)
    return any(item is ours for item in cast("list[Any]", handlers or []))


def _with_handler(callbacks: Any, ours: Any) -> Any:
    if callbacks is None:
        return [ours]
    if isinstance(callbacks, list):
        return [*cast("list[Any]", callbacks), ours]
    manager = callbacks.copy()
    manager.add_handler(ours, inherit=True)
    return manager
