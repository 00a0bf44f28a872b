"""A prompt of 1 MB on its way to a LangSmith-style backend, over what it takes to serialise it once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import orjson

from benchmarks.measure import Row, least

_TEXTS = ("hello world, some prompt text. " * 33_000, 'line\n"quoted" é ' * 62_500)
"""One without, one with characters that JSON escapes."""
_CHOICE = b'{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}'
_ANSWER = b'{"choices": [' + _CHOICE + b'], "usage": {"prompt_tokens": 1}}'
_ROUNDS = 60
_BATCH = 10
"""Runs that are written together, as the worker does; alone, each step is dominated by cold caches."""


def rows() -> list[Row]:
    """The worse of the two texts for each step: making the parts of the runs and the pieces of the body, and reading the calls before."""
    together, alone, read = (max(values) for values in zip(*map(_ratios, _TEXTS), strict=True))
    return [
        Row(f"{_BATCH} prompts of 1 MB, written for LangSmith, over orjson.dumps of each", together, "x", "langsmith_large"),
        Row("one prompt of 1 MB alone, on cold caches, the same", alone, "x", "langsmith_large_alone"),
        Row("one prompt of 1 MB, read before that, over json.dumps of it", read, "x"),
    ]


def _ratios(text: str) -> tuple[float, float, float]:
    # Imported here: measuring other tracers is not to load ours.
    from tracer.export.langsmith import wire
    from tracer.export.langsmith.run import run_of
    from tracer.reading import read_call
    from tracer.settings import Settings

    requests = [{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"{number} {text}"}]} for number in range(_BATCH)]
    calls = [_call_of(request) for request in requests]
    records, settings = [read_call(call) for call in calls], Settings()

    def write(count: int) -> object:
        items = [wire.item_of(run_of(record, settings)) for record in records[:count]]
        return list(wire.multipart((part for item in items for part in wire.named_parts(item)), "boundary"))

    def dump(count: int) -> None:
        for request in requests[:count]:
            orjson.dumps(request)  # Not kept: ten of them would take new memory each.

    took = least(
        {
            "together": _timed(lambda: write(_BATCH)),
            "read": _timed(lambda: read_call(calls[0])),
            "each": _timed(lambda: dump(_BATCH)),
            "json": _timed(lambda: json.dumps(requests[0])),
            "alone": _timed(lambda: write(1)),
            "json again": _timed(lambda: json.dumps(requests[0])),
            "one": _timed(lambda: dump(1)),
        },
        _ROUNDS,
    )
    return took["together"] / took["each"], took["alone"] / took["one"], took["read"] / took["json"]


def _call_of(request: dict[str, Any]) -> Any:
    from tracer.call import Attempt, Call

    body = json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode()
    attempt = Attempt(0, request_body=body, status=200, response_body=_ANSWER)
    return Call(1, 1, 1, kind="llm", operation="chat", ending="completed", attempts=[attempt])


def _timed(program: Callable[[], object]) -> Callable[[], int]:
    def run() -> int:
        begin = time.perf_counter_ns()
        program()
        return time.perf_counter_ns() - begin

    return run
