"""A prompt of 1 MB on its way to a LangSmith-style backend, over what it takes to serialise it once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import orjson

from benchmarks.measure import Row, least

_TEXTS = ("hello world, some prompt text. " * 33_000, 'line\n"quoted" é ' * 62_500)
"""One without, one with characters that JSON escapes."""
_CHOICE = b'{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}'
_ANSWER = b'{"choices": [' + _CHOICE + b'], "usage": {"prompt_tokens": 1}}'
_ROUNDS = 60


def rows() -> list[Row]:
    """The worse of the two texts for each step: making the parts of the run and the pieces of the body, and reading the call before."""
    written, read = (max(pair) for pair in zip(*map(_ratios, _TEXTS), strict=True))
    return [
        Row("1 MB prompt, written for LangSmith, over orjson.dumps of it", written, "x", "langsmith_large"),
        Row("1 MB prompt, read before that, over json.dumps of it", read, "x"),
    ]


def _ratios(text: str) -> tuple[float, float]:
    # Imported here: measuring other tracers is not to load ours.
    from tracer.call import Attempt, Call
    from tracer.export.langsmith import wire
    from tracer.export.langsmith.run import run_of
    from tracer.reading import read_call
    from tracer.settings import Settings

    request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
    body = json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode()
    call = Call(
        1,
        1,
        1,
        kind="llm",
        operation="chat",
        ending="completed",
        attempts=[Attempt(0, request_body=body, status=200, response_body=_ANSWER)],
    )
    record, settings = read_call(call), Settings()

    def write() -> object:
        return list(wire.multipart(wire.named_parts(wire.item_of(run_of(record, settings))), "boundary"))

    programs = {
        "write": write,
        "read": lambda: read_call(call),
        "orjson": lambda: orjson.dumps(request),
        "json": lambda: json.dumps(request),
    }
    took = least({name: _timed(program) for name, program in programs.items()}, _ROUNDS)
    return took["write"] / took["orjson"], took["read"] / took["json"]


def _timed(program: Callable[[], object]) -> Callable[[], int]:
    def run() -> int:
        begin = time.perf_counter_ns()
        program()
        return time.perf_counter_ns() - begin

    return run
