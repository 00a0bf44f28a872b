"""LangChain: every run (models, chains, prompts, tools, retrievers, agents, LangGraph nodes) through its own callbacks.

One handler for each process, told about runs in the thread and task in which they happen. It sets no context that it could not
restore: parents of runs come from LangChain's own run ids, parents of what user code does inside a run from LangChain's own context
variable, and a model call lends its scope until the first piece of its answer has come (`scope.Lease`).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, TypeVar, cast
from uuid import UUID

from tracer.call import CANCELLED, CHAIN, COMPLETED, FAILED, LLM, RETRIEVER, STOPPED, TOOL, Call
from tracer.capture.failure import ending_of, failure_of, is_cancellation
from tracer.capture.jsonable import to_json
from tracer.capture.langchain_tracer import posted_by_langchain
from tracer.capture.langchain_values import event_kind, picked, piece_kind, plain_constructor, plain_message, plain_parameters, plain_result
from tracer.capture.threads import carry_scope_into_threads
from tracer.runtime import begin_call, close_call, new_call, ready, recording, report_fault, runtime
from tracer.scope import Lease, Scope, Upcoming, current, enter, under

_SESSION_KEYS = ("thread_id", "session_id", "conversation_id")
_LS_KEYS = (
    "ls_provider",
    "ls_model_name",
    "ls_model_type",
    "ls_temperature",
    "ls_max_tokens",
    "ls_stop",
    "ls_integration",
    "lc_versions",
)

_STEP = "seq:step:"
"""How LangChain tags the steps of a sequence."""

_Callback = TypeVar("_Callback", bound=Callable[..., None])


def _guarded(callback: _Callback) -> _Callback:
    """LangChain takes whatever a callback raises and logs it each time; ours are counted and logged once."""

    @functools.wraps(callback)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            callback(*args, **kwargs)
        except Exception as fault:
            if not report_fault(f"LangChain's {callback.__name__}", fault):
                raise

    return cast("_Callback", guarded)


@dataclass(slots=True, eq=False)
class _Open:
    """A run that is under way."""

    call: Call
    run: UUID
    parent: UUID | None
    is_step: bool = False
    is_model: bool = False
    open_steps: int = 0
    """Steps of this sequence that are under way."""
    lease: Lease | None = None
    waiting: list[Call] | None = None
    task: asyncio.Task[Any] | None = None
    watch: Callable[[asyncio.Task[Any]], None] | None = None
    by_events: bool = False
    """Its pieces are counted by the events of LangChain's newer protocol."""


class LangChainRuns:
    """The callbacks. `tracer.capture.langchain_joining.handler` makes of it a true `BaseCallbackHandler`, of which there is one.

    Copies are the handler itself: two of them would record everything twice.
    """

    run_inline = True
    raise_error = False

    def __init__(self) -> None:
        self._runs: dict[UUID, _Open] = {}

    def __copy__(self) -> LangChainRuns:
        return self

    def __deepcopy__(self, memo: Any) -> LangChainRuns:
        return self

    # Models.

    @_guarded
    def on_chat_model_start(self, serialized: Any, messages: Sequence[Sequence[Any]], *, run_id: UUID, **details: Any) -> None:
        """A chat model is asked."""
        self._model_starts(serialized, [plain_message(item) for group in messages for item in group], run_id, details)

    @_guarded
    def on_llm_start(self, serialized: Any, prompts: Sequence[str], *, run_id: UUID, **details: Any) -> None:
        """A text completion model is asked."""
        self._model_starts(serialized, [{"type": "human", "content": prompt} for prompt in prompts], run_id, details, texts=True)

    def _model_starts(
        self, serialized: Any, messages: list[dict[str, Any]], run_id: UUID, details: dict[str, Any], texts: bool = False
    ) -> None:
        is_one_of_many = _is_one_of_many(details)
        around = current()
        if not (is_one_of_many and _is_of_many(around)):
            _hands_on(around)
        opened = self._open(LLM, serialized, run_id, details)
        if opened is None:
            return
        self._lend(opened, is_one_of_many)
        self._watch_task(opened)
        metadata = cast("Mapping[str, Any]", details.get("metadata") or {})
        opened.call.input_json = to_json(
            {
                "messages": messages,
                "parameters": plain_parameters(details.get("invocation_params")),
                "settings": picked(metadata, _LS_KEYS),
                "stop": cast("Mapping[str, Any]", details.get("options") or {}).get("stop"),
                "batch_size": details.get("batch_size"),
                **({"texts": True} if texts else {}),
            }
        )

    @_guarded
    def on_llm_new_token(self, token: Any, *, run_id: UUID, chunk: Any = None, **_: Any) -> None:
        """A piece of a streamed answer."""
        opened = self._runs.get(run_id)
        if opened is not None:
            _end_lease(opened)
            _piece_comes(opened.call, piece_kind(token, chunk))

    @_guarded
    def on_stream_event(self, event: Any, *, run_id: UUID, **_: Any) -> None:
        """An event of a streamed answer, in `stream_events(version="v3")`. Most models tell of the same piece as a token before that."""
        opened = self._runs.get(run_id)
        if opened is not None:
            _end_lease(opened)
            if opened.by_events or opened.call.piece_times is None:
                opened.by_events = True
                _piece_comes(opened.call, event_kind(event))

    @_guarded
    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """A model has answered."""
        self._end(run_id, response)

    @_guarded
    def on_llm_error(self, error: BaseException, *, run_id: UUID, response: Any = None, **_: Any) -> None:
        """A model call came to nothing, was cancelled, or its stream was left."""
        self._end(run_id, response, error)

    # Chains, prompts, parsers, graph nodes.

    @_guarded
    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **details: Any) -> None:
        """A chain, prompt, parser or graph node begins."""
        opened = self._open(CHAIN, serialized, run_id, details)
        if opened is None:
            return
        call = opened.call
        kind = details.get("run_type")
        if kind and kind != CHAIN:
            call.attributes = {"tracer.run_type": kind}
        if call.content_inputs:
            _keep_input(call, inputs)

    @_guarded
    def on_chain_end(self, outputs: Any, *, run_id: UUID, inputs: Any = None, **_: Any) -> None:
        """It has come to its end; streams tell their inputs only now."""
        opened = self._runs.get(run_id)
        if opened is None:
            return
        call = opened.call
        if inputs and call.content_inputs and call.input_json in (None, b'{"input":""}', b'""', b"{}"):
            _keep_input(call, inputs)
        # A stream that is left in the middle is told as a good end, but then its steps have not ended.
        self._end(run_id, outputs, GeneratorExit() if opened.open_steps > 0 else None)

    @_guarded
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """It raised."""
        self._end(run_id, None, error)
        if is_cancellation(error):
            # Models and retrievers inside say nothing of being cancelled.
            for opened in list(self._runs.values()):
                if opened.parent == run_id:
                    self._end(opened.run, None, error)

    # Tools and retrievers.

    @_guarded
    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, inputs: Any = None, **details: Any) -> None:
        """A tool is called."""
        opened = self._open(TOOL, serialized, run_id, details)
        if opened is None:
            return
        self._lend(opened)
        self._watch_task(opened)
        if opened.call.content_inputs:
            opened.call.input_json = to_json(inputs if inputs is not None else input_str)

    @_guarded
    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """A tool has answered."""
        self._end(run_id, output)

    @_guarded
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A tool raised."""
        self._end(run_id, None, error)

    @_guarded
    def on_retriever_start(self, serialized: Any, query: str, *, run_id: UUID, **details: Any) -> None:
        """Documents are asked for."""
        opened = self._open(RETRIEVER, serialized, run_id, details)
        if opened is None:
            return
        self._lend(opened)
        self._watch_task(opened)
        if opened.call.content_inputs:
            opened.call.input_json = to_json({"query": query})

    @_guarded
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_: Any) -> None:
        """Documents were found."""
        self._end(run_id, documents)

    @_guarded
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A retriever raised."""
        self._end(run_id, None, error)

    # What they share.

    def inside(self, scope: Scope, run: UUID) -> Scope:
        """The scope inside a run of LangChain; `scope` itself if the run is not recorded."""
        opened = self._runs.get(run)
        return scope if opened is None else _inside(scope, opened)

    def _open(self, kind: str, serialized: Any, run_id: UUID, details: dict[str, Any]) -> _Open | None:
        ready()
        if run_id in self._runs:
            return None
        parent_run = details.get("parent_run_id")
        scope = self._scope_of(parent_run, _is_one_of_many(details))
        if not recording(scope):
            return None
        carry_scope_into_threads()
        given = cast("dict[str, Any]", details.get("metadata") or {})
        metadata = {name: value for name, value in given.items() if not name.startswith(("ls_", "lc_"))}
        name = details.get("name") or _name_of(serialized) or kind
        tags = tuple(details.get("tags") or ())
        upcoming = Upcoming(run_id.int, name, tags, metadata or None)
        scope = Scope(
            scope.parent,
            scope.session,
            scope.user,
            scope.tags,
            scope.metadata,
            scope.enabled,
            upcoming,
            caller=scope.caller,
            within=scope.within,
        )
        call = new_call(kind, scope)
        call.library = "langchain"
        call.left_to = "LangChain's own tracer" if posted_by_langchain() else ""
        call.operation = "langchain" if kind == LLM else "span"
        call.serialized_json = _serialized(kind, serialized, details, call)
        if kind == LLM and isinstance(given.get("ls_model_name"), str):
            call.model = cast("str", given["ls_model_name"])
        for key in _SESSION_KEYS:
            if call.session is None and isinstance(metadata.get(key), str):
                call.session = cast("str", metadata[key])
        is_step = any(str(tag).startswith(_STEP) for tag in tags)
        opened = self._runs[run_id] = _Open(begin_call(call, scope), run_id, parent_run, is_step, kind == LLM)
        self._count_step(opened, 1)
        return opened

    def _count_step(self, opened: _Open, change: int) -> None:
        sequence = self._runs.get(opened.parent) if opened.is_step and opened.parent is not None else None
        if sequence is not None:
            sequence.open_steps += change

    def _scope_of(self, parent_run: UUID | None, is_one_of_many: bool) -> Scope:
        """Where a run belongs: under the parent LangChain names, or a run or span inside of that one which is nearer.

        Steps that are handed the config of a run above (fallbacks do it, and functions that pass theirs on) name that run as their parent.
        """
        scope = current()
        while is_one_of_many and scope.lease is not None and scope.lease.of_many:
            scope = scope.lease.earlier  # Its siblings have begun, not a call that it is part of.
        if parent_run is None or scope.foreign == parent_run:
            return scope
        parent = self._runs.get(parent_run)
        return scope if parent is None or self._lies_in(scope, parent_run) else _inside(scope, parent)

    def _lies_in(self, scope: Scope, run: UUID) -> bool:
        inner = self._runs.get(cast("UUID", scope.foreign))
        while inner is not None and inner.run != run:
            inner = self._runs.get(inner.parent) if inner.parent is not None else None
        return inner is not None

    def _lend(self, opened: _Open, is_one_of_many: bool = False) -> None:
        """The call becomes the parent of what happens inside until its lease is over; a model call takes client calls in."""
        scope = current()
        siblings = scope.absorbers if is_one_of_many and _is_of_many(scope) else None
        inner = under(opened.call, scope)
        inner.lease = opened.lease = Lease(scope, of_many=is_one_of_many)
        if opened.call.kind == LLM:
            # Several prompts asked at once wait in line for the client calls that serve them.
            inner.absorbers = opened.waiting = [] if siblings is None else siblings
            opened.waiting.append(opened.call)
        enter(inner)

    def _watch_task(self, opened: _Open) -> None:
        """LangChain says nothing when a task is cancelled that awaits a model: the end of the task does."""
        try:
            opened.task = asyncio.current_task()
        except RuntimeError:
            return  # No loop runs here.
        if opened.task is not None:
            opened.watch = functools.partial(self._task_ends, opened.run)
            opened.task.add_done_callback(opened.watch)

    @_guarded
    def _task_ends(self, run_id: UUID, task: asyncio.Task[Any]) -> None:
        """A run that has not ended by now was cancelled, whatever became of the task; streams tell it, and pass through many tasks."""
        opened = self._runs.get(run_id)
        if opened is not None and not opened.call.streaming:
            self._end(run_id, None, (None if task.cancelled() else task.exception()) or asyncio.CancelledError())

    def _end(self, run_id: UUID, output: Any, error: BaseException | None = None) -> None:
        opened = self._runs.pop(run_id, None)
        if opened is None:
            return
        _end_lease(opened)
        self._count_step(opened, -1)
        if opened.task is not None and opened.watch is not None:
            opened.task.remove_done_callback(opened.watch)
        call = opened.call
        ending = COMPLETED if error is None else FAILED
        try:
            # What a model answered also holds its usage; content that is not wanted is left out by whoever writes the span.
            if output is not None and (call.content_outputs or call.operation == "langchain"):
                told: Any = plain_result(output) if opened.is_model else output
                call.output_json = to_json(told)
                call.output_is_value = not isinstance(told, dict)
            if error is not None:
                ending = _ending_of(error)
                call.failure = failure_of(error) if ending in (FAILED, CANCELLED) else None
        finally:
            close_call(call, ending)


def _ending_of(error: BaseException) -> str:
    # LangGraph leaves a node by an exception for an interrupt (somebody is to be asked) or a jump to another graph.
    bubbles = any(kind.__name__ == "GraphBubbleUp" and kind.__module__ == "langgraph.errors" for kind in type(error).__mro__)
    return STOPPED if bubbles or isinstance(error, GeneratorExit) else ending_of(error)


def _is_one_of_many(details: Mapping[str, Any]) -> bool:
    return (details.get("batch_size") or 1) > 1


def _is_of_many(scope: Scope) -> bool:
    """Whether the call that lent this scope is one of several begun together."""
    return scope.lease is not None and scope.lease.of_many


def _hands_on(scope: Scope) -> None:
    """A model that asks another model is a step around that one, and no model call of its own: tokens count once."""
    for outer in scope.absorbers or ():
        outer.kind, outer.operation = CHAIN, "span"
        outer.input_json = outer.input_json if outer.content_inputs else None
    if scope.absorbers:
        scope.absorbers.clear()


def _end_lease(opened: _Open) -> None:
    if opened.lease is not None:
        opened.lease.active = False
        opened.lease = None
    if opened.waiting is not None and opened.call in opened.waiting:
        # A scope that nobody restores must not keep the call alive.
        opened.waiting.remove(opened.call)


def _piece_comes(call: Call, kind: str | None) -> None:
    if kind is None:
        return
    if call.piece_times is None or call.piece_kinds is None:
        call.streaming = True
        call.piece_times, call.piece_kinds = [], []
    call.piece_times.append(perf_counter_ns())
    call.piece_kinds.append(kind)


def _name_of(serialized: Any) -> str:
    if not isinstance(serialized, Mapping):
        return ""
    values = cast("Mapping[str, Any]", serialized)
    path = values.get("id")
    return str(values.get("name") or (cast("list[Any]", path)[-1] if isinstance(path, list) and path else ""))


def _keep_input(call: Call, inputs: Any) -> None:
    call.input_json = to_json(inputs)
    call.input_is_value = not isinstance(inputs, dict)


def _serialized(kind: str, serialized: Any, details: Mapping[str, Any], call: Call) -> bytes | None:
    """The constructor of a model or prompt, where somebody takes it: LangSmith shows it. A template is content."""
    if not (call.content_inputs and runtime.settings.langsmith_tracing and isinstance(serialized, dict)):
        return None
    if kind == LLM:
        return to_json(plain_constructor(cast("dict[str, Any]", serialized)))
    return to_json(cast("object", serialized)) if details.get("run_type") == "prompt" else None


def _inside(scope: Scope, opened: _Open) -> Scope:
    inside = under(opened.call, scope)
    inside.foreign = opened.run
    return inside
