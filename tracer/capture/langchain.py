"""LangChain: every run (models, chains, prompts, tools, retrievers, agents, LangGraph nodes) through its own callbacks.

One handler for each process, told about runs in the thread and task in which they happen. It sets no context that it could not
restore: parents of runs come from LangChain's own run ids, parents of what user code does inside a run from LangChain's own context
variable, and a model call lends its scope until the first piece of its answer has come (`scope.Lease`).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from time import perf_counter_ns
from typing import Any, cast
from uuid import UUID

from tracer.call import CANCELLED, CHAIN, COMPLETED, FAILED, LLM, RETRIEVER, STOPPED, TOOL, Call
from tracer.capture.failure import ending_of, failure_of
from tracer.capture.import_hook import when_imported
from tracer.capture.jsonable import to_json
from tracer.capture.langchain_values import picked, piece_kind, plain_message, plain_parameters, plain_result
from tracer.runtime import close_call, open_call, ready, recording, report_fault, runtime
from tracer.scope import Lease, Scope, Upcoming, current, enter, find_through, under

_SESSION_KEYS = ("thread_id", "session_id", "conversation_id")
_LS_KEYS = ("ls_provider", "ls_model_name", "ls_model_type", "ls_temperature", "ls_max_tokens", "ls_stop")


class LangChainRuns:
    """The callbacks. `tracer.capture.langchain.handler` makes of it a true `BaseCallbackHandler`, of which there is one.

    Copies are the handler itself: two of them would record everything twice.
    """

    run_inline = True
    raise_error = False

    def __init__(self) -> None:
        self._runs: dict[UUID, Call] = {}
        self._leases: dict[UUID, tuple[Lease, list[Call] | None]] = {}

    def __copy__(self) -> LangChainRuns:
        return self

    def __deepcopy__(self, memo: Any) -> LangChainRuns:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return handler, ()

    # Models.

    def on_chat_model_start(self, serialized: Any, messages: Sequence[Sequence[Any]], *, run_id: UUID, **details: Any) -> None:
        """A chat model is asked."""
        self._model_starts(serialized, [plain_message(item) for group in messages for item in group], run_id, details)

    def on_llm_start(self, serialized: Any, prompts: Sequence[str], *, run_id: UUID, **details: Any) -> None:
        """A text completion model is asked."""
        self._model_starts(serialized, [{"type": "human", "content": prompt} for prompt in prompts], run_id, details)

    def _model_starts(self, serialized: Any, messages: list[dict[str, Any]], run_id: UUID, details: dict[str, Any]) -> None:
        call = self._open(LLM, serialized, run_id, details)
        if call is None:
            return
        call.operation = "langchain"
        metadata = cast("Mapping[str, Any]", details.get("metadata") or {})
        call.input_json = to_json(
            {
                "messages": messages,
                "parameters": plain_parameters(details.get("invocation_params")),
                "settings": picked(metadata, _LS_KEYS),
            }
        )
        self._lend(call, run_id)
        self._watch_task(run_id)

    def on_llm_new_token(self, token: Any, *, run_id: UUID, chunk: Any = None, **_: Any) -> None:
        """A piece of a streamed answer."""
        call = self._runs.get(run_id)
        if call is None:
            return
        self._end_lease(run_id)
        kind = piece_kind(token, chunk)
        if kind is None:
            return
        if call.piece_times is None or call.piece_kinds is None:
            call.streaming = True
            call.piece_times, call.piece_kinds = [], []
        call.piece_times.append(perf_counter_ns())
        call.piece_kinds.append(kind)

    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """A model has answered."""
        self._end(run_id, plain_result(response))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, response: Any = None, **_: Any) -> None:
        """A model call came to nothing, was cancelled, or its stream was left."""
        self._end(run_id, plain_result(response) if response is not None else None, error)

    # Chains, prompts, parsers, graph nodes.

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **details: Any) -> None:
        """A chain, prompt, parser or graph node begins."""
        call = self._open(CHAIN, serialized, run_id, details)
        if call is None:
            return
        call.operation = "span"
        kind = details.get("run_type")
        if kind and kind != CHAIN:
            call.attributes = {"tracer.run_type": kind}
        if call.content_inputs:
            call.input_json = to_json(inputs)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, inputs: Any = None, **_: Any) -> None:
        """It has come to its end; streams tell their inputs only now."""
        call = self._runs.get(run_id)
        if call is not None and inputs and call.content_inputs and call.input_json in (None, b'{"input":""}', b'""', b"{}"):
            call.input_json = to_json(inputs)
        self._end(run_id, outputs)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """It raised."""
        self._end(run_id, None, error)

    # Tools and retrievers.

    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, inputs: Any = None, **details: Any) -> None:
        """A tool is called."""
        call = self._open(TOOL, serialized, run_id, details)
        if call is None:
            return
        call.operation = "span"
        if call.content_inputs:
            call.input_json = to_json(inputs if inputs is not None else input_str)

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """A tool has answered."""
        self._end(run_id, output)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A tool raised."""
        self._end(run_id, None, error)

    def on_retriever_start(self, serialized: Any, query: str, *, run_id: UUID, **details: Any) -> None:
        """Documents are asked for."""
        call = self._open(RETRIEVER, serialized, run_id, details)
        if call is None:
            return
        call.operation = "span"
        if call.content_inputs:
            call.input_json = to_json({"query": query})
        self._lend(call, run_id, absorb=False)

    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_: Any) -> None:
        """Documents were found."""
        self._end(run_id, documents)

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A retriever raised."""
        self._end(run_id, None, error)

    # What they share.

    def _open(self, kind: str, serialized: Any, run_id: UUID, details: dict[str, Any]) -> Call | None:
        ready()
        if run_id in self._runs:
            return None
        parent_run = details.get("parent_run_id")
        scope = self._scope_of(parent_run, is_one_of_many=(details.get("batch_size") or 1) > 1)
        if not recording(scope):
            return None
        given = cast("dict[str, Any]", details.get("metadata") or {})
        metadata = {name: value for name, value in given.items() if not name.startswith(("ls_", "lc_"))}
        name = details.get("name") or _name_of(serialized) or kind
        upcoming = Upcoming(run_id.int, name, tuple(details.get("tags") or ()), metadata or None)
        call = open_call(kind, Scope(scope.parent, scope.session, scope.user, scope.tags, scope.metadata, scope.enabled, upcoming))
        call.library = "langchain"
        for key in _SESSION_KEYS:
            if call.session is None and isinstance(metadata.get(key), str):
                call.session = cast("str", metadata[key])
        self._runs[run_id] = call
        return call

    def _scope_of(self, parent_run: UUID | None, is_one_of_many: bool) -> Scope:
        """Where a run belongs: under LangChain's own parent, unless a span of ours was opened inside of that."""
        scope = current()
        if is_one_of_many and scope.lease is not None and scope.absorbers:
            scope = scope.lease.earlier  # Its siblings have begun, not a call that it is part of.
        if parent_run is None or scope.foreign == parent_run:
            return scope
        parent = self._runs.get(parent_run)
        return scope if parent is None else _inside(scope, parent, parent_run)

    def _lend(self, call: Call, run_id: UUID, absorb: bool = True) -> None:
        """The call becomes the parent of what happens inside until its lease is over."""
        scope = current()
        inner = under(call, scope)
        inner.lease = Lease(scope)
        if absorb:
            # Several prompts asked at once wait in line for the client calls that serve them.
            waiting = scope.absorbers if scope.lease is not None and scope.absorbers else None
            inner.absorbers = [call] if waiting is None else waiting
            if waiting is not None:
                waiting.append(call)
        self._leases[run_id] = (inner.lease, inner.absorbers)
        enter(inner)

    def _watch_task(self, run_id: UUID) -> None:
        """LangChain says nothing when a task is cancelled that awaits a model: the end of the task does."""
        try:
            task = asyncio.current_task()
        except RuntimeError:
            return  # No loop runs here.
        if task is not None:
            task.add_done_callback(lambda done: self._task_ends(run_id, done))

    def _task_ends(self, run_id: UUID, task: asyncio.Task[Any]) -> None:
        if run_id in self._runs:
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            self._end(run_id, None, error)

    def _end_lease(self, run_id: UUID) -> None:
        lease, waiting = self._leases.pop(run_id, (None, None))
        if lease is not None:
            lease.active = False
        call = self._runs.get(run_id)
        if waiting and call in waiting:
            # A scope that nobody restores must not keep the call alive.
            waiting.remove(call)

    def _end(self, run_id: UUID, output: Any, error: BaseException | None = None) -> None:
        self._end_lease(run_id)
        call = self._runs.pop(run_id, None)
        if call is None:
            return
        # What a model answered also holds its usage; content that is not wanted is left out by whoever writes the span.
        if output is not None and (call.content_outputs or call.operation == "langchain"):
            call.output_json = to_json(output)
        if error is None:
            close_call(call, COMPLETED)
            return
        ending = STOPPED if isinstance(error, GeneratorExit) else ending_of(error)
        if ending in (FAILED, CANCELLED):
            call.failure = failure_of(error)
        close_call(call, ending)


def _name_of(serialized: Any) -> str:
    if not isinstance(serialized, Mapping):
        return ""
    values = cast("Mapping[str, Any]", serialized)
    path = values.get("id")
    return str(values.get("name") or (cast("list[Any]", path)[-1] if isinstance(path, list) and path else ""))


def _inside(scope: Scope, parent: Call, run: UUID) -> Scope:
    inside = under(parent, scope)
    inside.foreign = run
    return inside


# The one handler, and how it gets into LangChain.

_made: list[Any] = []


def handler() -> Any:
    """The process's handler; made when LangChain is there, which is not for us to import."""
    if not _made:
        from langchain_core.callbacks.base import BaseCallbackHandler

        class TracerHandler(LangChainRuns, BaseCallbackHandler):  # type: ignore[misc]
            """Records LangChain's runs."""

            run_inline = True
            raise_error = False

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
        context_module.register_configure_hook(_switch, inheritable=True, handle_class=type(handler()))


def _found(scope: Scope) -> Scope:
    """The scope of code that runs inside a LangChain run: LangChain's context variable knows which."""
    config_module = sys.modules.get("langchain_core.runnables.config")
    if config_module is None:
        return scope
    config = cast("dict[str, Any]", config_module.var_child_runnable_config.get() or {})
    run = getattr(config.get("callbacks"), "parent_run_id", None)
    if run is None or run == scope.foreign:
        return scope
    parent = handler()._runs.get(run)
    return scope if parent is None else _inside(scope, parent, run)


# Wrapping.


def is_langchain(target: object) -> bool:
    """Whether `target` is a Runnable of LangChain (models, chains, bindings, graphs). LangChain is not imported to find out."""
    return any(base.__module__ == "langchain_core.runnables.base" and base.__name__ == "Runnable" for base in type(target).__mro__)


def traced_runnable(target: Any) -> Any:
    """A copy whose runs are recorded: of models the exact type, of chains what `with_config` gives."""
    find_through(_found)
    ours = handler()
    if hasattr(target, "callbacks") and hasattr(target, "model_copy"):
        if _has_handler(target.callbacks, ours):
            return target
        copy = target.model_copy()
        copy.callbacks = _with_handler(target.callbacks, ours)
        return copy
    bound = getattr(target, "config", None)
    if isinstance(bound, dict) and _has_handler(cast("dict[str, Any]", bound).get("callbacks"), ours):
        return target
    return target.with_config(callbacks=[ours])


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
