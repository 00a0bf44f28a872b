"""Records made by hand, for tests of what lies behind the reading."""

from __future__ import annotations

import time

from tracer.call import COMPLETED, LLM, Attempt, Call, Failure
from tracer.reading.generation import Cost, Generation, Message, Usage
from tracer.reading.record import Clocks, Record
from tracer.scope import new_run_id, new_span_id

SECOND = 1_000_000_000


def model_call(
    *,
    parent: Call | None = None,
    model: str = "gpt-4o-mini",
    started_wall: int | None = None,
    seconds: float = 0.5,
    outcome: str = COMPLETED,
    failure: Failure | None = None,
    statuses: tuple[int, ...] = (200,),
    answer: str = "It is sunny.",
    first_chunk: float | None = None,
    cost: float | None = 0.00123,
) -> Record:
    """A chat call that has ended, with usage of 12 and 34 tokens."""
    wall = time.time_ns() if started_wall is None else started_wall
    run_id = new_run_id(wall)
    call = Call(run_id, parent.trace_id if parent else run_id, new_span_id(), parent.span_id if parent else None)
    call.kind, call.operation, call.library, call.model = LLM, "chat", "openai", model
    call.started_wall, call.started, call.ended = wall, 5 * SECOND, 5 * SECOND + int(seconds * SECOND)
    call.session, call.user, call.tags = "s1", "u7", ("beta", "two")
    call.ending, call.failure = outcome, failure
    call.attempts = [
        Attempt(started=call.started + index, ended=call.started + index + 1, status=status) for index, status in enumerate(statuses)
    ]
    if first_chunk is not None:
        call.streaming = True
        call.stream_clock = [call.started, call.started + 1, call.started + 2, call.started + 3]
    generation = Generation(
        request_model=model,
        response_model=f"{model}-2024-07-18",
        input_messages=[Message("user", [{"type": "text", "content": "How is the weather in Paris?"}])],
        output_messages=[Message("assistant", [{"type": "text", "content": answer}], finish_reason="stop")],
        usage=Usage(input=12, output=34),
        cost=None if cost is None else Cost(cost, None, None, "USD", "test"),
    )
    return Record(call, outcome, generation, Clocks(time_to_first_chunk=first_chunk, chunks=2 if first_chunk is not None else None))


def own_span(name: str, kind: str = "chain", *, parent: Call | None = None, started_wall: int | None = None) -> Record:
    """A span of the application that has ended after one second."""
    wall = time.time_ns() if started_wall is None else started_wall
    run_id = new_run_id(wall)
    call = Call(run_id, parent.trace_id if parent else run_id, new_span_id(), parent.span_id if parent else None)
    call.kind, call.name, call.operation = kind, name, "span"
    call.started_wall, call.started, call.ended = wall, SECOND, 2 * SECOND
    call.input_json, call.output_json = b'{"city":"Paris"}', b'"sunny"'
    call.ending = COMPLETED
    return Record(call, COMPLETED)
