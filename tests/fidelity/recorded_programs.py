"""Every recording asked for in every way: one program for each pair, in the row of the recording and in the row of the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fidelity.anthropic_ways import ASYNC_WAYS, SYNC_WAYS
from tests.fidelity.programs import ASKING, INSTRUMENTED, WRAPPED, Program, World
from tests.fidelity.ways import ASYNC_PROGRAMS, PROGRAMS
from tracer.replay.recordings import Recording, load

RECORDINGS = "Recorded traffic, each asked for in all ways"
WAYS = "Ways of calling, each over all recordings"

_TITLES = {
    "as_created": "`create`, with `stream=True` where it was recorded",
    "in_with": "stream in a `with` block",
    "through_raw": "`with_raw_response`",
    "through_streaming_raw": "`with_streaming_response`",
    "by_lines": "`with_streaming_response`, read by lines",
    "through_helper": "`stream` helper and `parse`",
    "stopped_early": "stream left after a piece, closed twice",
    "error_of_the_caller": "an error of the caller's in a `with` block",
    "helper_events": "`messages.stream`, its events",
    "helper_texts": "`messages.stream`, its `text_stream`",
    "helper_until_done": "`messages.stream`, `until_done`",
    "helper_left": "`messages.stream`, left after an event",
    "all_that_a_stream_has": "fields of a stream",
    "raw": "`with_raw_response`",
}


def recorded_programs(family: str) -> list[Program]:
    """All pairs of a family."""
    ways: list[Any] = [*PROGRAMS, *ASYNC_PROGRAMS] if family == "openai" else [*SYNC_WAYS, *ASYNC_WAYS]
    return [_pair(family, recording, way) for recording in load(family) for way in ways]


def _pair(family: str, recording: Recording, way: Any) -> Program:
    name: str = way.__name__
    asynchronous = name.startswith("a_")
    title = _TITLES[name.removeprefix("a_")] + (", async" if asynchronous else "")
    chat_stream = recording.api == "chat" and recording.streamed
    return Program(
        f"{recording.id}: {title}",
        _async_run(recording, way) if asynchronous else _run(recording, way),
        ((RECORDINGS, f"`{recording.id}`"), (WAYS, title)),
        (family,),
        (WRAPPED, INSTRUMENTED, ASKING) if chat_stream else (WRAPPED, INSTRUMENTED),
        may_fail=True,
    )


def _run(recording: Recording, way: Callable[..., Any]) -> Callable[[World], Any]:
    def run(world: World) -> None:
        way(world.client(recording.id), recording, world.seen)

    return run


def _async_run(recording: Recording, way: Callable[..., Any]) -> Callable[[World], Any]:
    async def run(world: World) -> None:
        await way(world.client(recording.id, asynchronous=True), recording, world.seen)

    return run
