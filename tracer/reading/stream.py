"""A streamed answer: events parsed, merged and sorted by what they brought."""

from __future__ import annotations

from typing import Any

from tracer.reading.errors import read_error
from tracer.reading.generation import Generation
from tracer.reading.json_text import parse
from tracer.reading.merge import OTHER, Merger
from tracer.reading.merge_choices import ChoicesMerger
from tracer.reading.merge_events import CompletionMerger, EventsMerger, RunMerger
from tracer.reading.merge_messages import MessagesMerger
from tracer.reading.merge_responses import ResponseMerger
from tracer.reading.sse import DONE, event_data
from tracer.reading.values import Json, guarded, note


def read_stream(data: bytes, operation: str, most_chunks: int | None, generation: Generation) -> Json | None:
    """Merge a stream to the answer that the unstreamed endpoint would have given; None if it brought nothing.

    At most `most_chunks` chunks count (None: all that arrived), for a caller who left may have got less than came over the wire.
    Fills `chunk_kinds` of the generation, and its error if an event carries one.
    """
    contents, error_positions = event_data(data)
    merger = _merger(operation, generation)
    add = merger.add
    kinds = generation.chunk_kinds
    most = len(contents) if most_chunks is None else most_chunks
    for position, content in enumerate(contents):
        if len(kinds) >= most:
            break
        try:
            event: Any = parse(content)
        except ValueError:
            if content.startswith(DONE):
                break
            note(generation.problems, "an event of the stream is not JSON")
            continue
        if event.__class__ is not dict:
            note(generation.problems, "an event of the stream is not an object")
            kinds.append(OTHER)
            continue
        if ("error" in event or "type" in event or error_positions) and _take_error(event, generation, named=position in error_positions):
            # The SDKs raise here, so the caller never saw this event as a chunk; what else it says counts all the same.
            guarded(generation.problems, "an event of the stream", add, event)
            continue
        try:
            brought = add(event)
            if brought:
                kinds.append(brought)
        except Exception as fault:
            note(generation.problems, f"an event of the stream: {type(fault).__name__} while reading")
            kinds.append(OTHER)
    if not kinds and not _has_error(generation):
        note(generation.problems, "the stream has no events")
    return guarded(generation.problems, "the stream as a whole", merger.answer)


def _take_error(event: dict[str, Any], generation: Generation, *, named: bool) -> bool:
    """Take the error of an event, if it has one; True if it is one at which the SDKs raise. `named`: the event's name is `error`."""
    if event.get("error"):
        read_error(generation, event["error"])
        return True
    if named or event.get("type") == "error":
        # The Responses API's own error event has the fields beside its type, and is a chunk like any other.
        read_error(generation, event)
    return False


def _has_error(generation: Generation) -> bool:
    return generation.error_code is not None or generation.error_message is not None


def _merger(operation: str, generation: Generation) -> Merger:
    if operation in ("responses", "fetched_response"):
        return ResponseMerger(generation.problems)
    if operation in ("run", "fetched_run"):
        return RunMerger()
    if operation in ("image", "speech", "transcription"):
        return EventsMerger()
    if operation == "complete":
        return CompletionMerger()
    if operation == "messages":
        return MessagesMerger(generation.problems)
    return ChoicesMerger("text_completion" if operation == "completions" else "chat.completion", generation.problems)
