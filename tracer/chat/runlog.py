"""The log of a streamed run as JSON patches (RFC 6902), in the shape that LangChain's `astream_log` made common."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pprint import pformat
from typing import Any, cast
from uuid import UUID

from tracer.chat.messages import AIMessageChunk, add_chunks

Operation = dict[str, Any]


class RunLogPatch:
    """One step of the log: `ops` are JSON-patch operations. Patches add up to a `RunLog`.

    >>> begin = RunLogPatch({"op": "replace", "path": "", "value": {"streamed_output": []}})
    >>> (begin + RunLogPatch({"op": "add", "path": "/streamed_output/-", "value": "piece"})).state
    {'streamed_output': ['piece']}
    """

    __slots__ = ("ops",)
    __hash__ = None  # type: ignore[assignment]  # a value that can change

    def __init__(self, *ops: Operation) -> None:
        self.ops: list[Operation] = list(ops)

    def __add__(self, other: object) -> RunLog:
        if type(other) is not RunLogPatch:
            return NotImplemented
        ops = self.ops + other.ops
        return RunLog(*ops, state=apply_patch(None, ops))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.ops == other.ops

    def __repr__(self) -> str:
        return f"RunLogPatch({pformat(self.ops)[1:-1]})"


class RunLog(RunLogPatch):
    """All steps so far (`ops`) and what they lead to (`state`): id, streamed_output, final_output, logs."""

    __slots__ = ("state",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, *ops: Operation, state: Any) -> None:
        self.ops = list(ops)
        self.state = state

    def __add__(self, other: object) -> RunLog:
        if type(other) is not RunLogPatch:
            return NotImplemented
        return RunLog(*self.ops, *other.ops, state=apply_patch(self.state, other.ops))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunLog) and self.state == other.state and self.ops == other.ops

    def __repr__(self) -> str:
        return f"RunLog({pformat(self.state)})"


def apply_patch(state: Any, operations: list[Operation]) -> Any:
    """The state after `add` and `replace` operations. `state` and the operations stay as they are.

    Raises ValueError for other operations and for paths that lead nowhere.

    >>> apply_patch({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}, {"op": "replace", "path": "/a/0", "value": 0}])
    {'a': [0, 2]}
    """
    state = _copied(state)
    for operation in operations:
        if operation["op"] not in ("add", "replace"):
            raise ValueError(f"unknown JSON-patch operation {operation['op']!r}")
        state = _applied(state, operation["op"], operation["path"], _copied(operation["value"]))
    return state


def _applied(state: Any, op: str, path: str, value: Any) -> Any:
    if not path:
        return value
    *way, last = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
    place: Any = state
    try:
        for step in way:
            place = place[_key(place, step)]
        if op == "add" and isinstance(place, list):
            items = cast("list[Any]", place)
            items.insert(len(items) if last == "-" else int(last), value)
        else:
            key = _key(place, last)
            if op == "replace":
                place[key]  # what is replaced must be there
            place[key] = value
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"the JSON-patch path {path!r} leads nowhere") from error
    return state


def _key(place: Any, step: str) -> int | str:
    return int(step) if isinstance(place, list) else step


def _copied(value: Any) -> Any:
    """Containers are copied, so that log and patches share none; messages are values and stay."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_copied(item) for item in cast("list[Any]", value)]
    return value


async def run_log(chunks: AsyncGenerator[AIMessageChunk, None], run_id: UUID) -> AsyncGenerator[RunLogPatch, None]:
    """The log of a stream: its begin, each piece, its final output. Closing it closes the stream."""
    taken: list[AIMessageChunk] = []
    try:
        start: dict[str, Any] = {"final_output": None, "id": str(run_id), "logs": {}, "streamed_output": []}
        yield RunLogPatch({"op": "replace", "path": "", "value": start})
        async for chunk in chunks:
            taken.append(chunk)
            yield RunLogPatch({"op": "add", "path": "/streamed_output/-", "value": chunk})
        yield RunLogPatch({"op": "replace", "path": "/final_output", "value": _final_output(taken)})
    finally:
        await chunks.aclose()


def _final_output(chunks: list[AIMessageChunk]) -> dict[str, Any]:
    if not chunks:
        return {"generations": [[]], "llm_output": None, "run": None}
    message = add_chunks(chunks)
    info = {key: message.response_metadata[key] for key in ("finish_reason", "logprobs") if key in message.response_metadata}
    generation: dict[str, Any] = {"generation_info": info, "message": message, "text": message.text}
    return {"generations": [[generation]], "llm_output": None, "run": None}
