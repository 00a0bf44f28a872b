"""Programs with the helpers of Anthropic's SDK; all others are those of OpenAI's."""

from __future__ import annotations

import inspect
from typing import Any, cast

from tests.fidelity.seen import Seen
from tests.fidelity.ways import (
    ASYNC_PROGRAMS,
    PROGRAMS,
    AsyncWay,
    Way,
    a_through_helper,
    a_through_raw,
    arguments_of,
    response_facts,
    through_helper,
)
from tests.integration.capture_support import resource_of
from tracer.replay.recordings import Recording


def helper_events(client: Any, recording: Recording, seen: Seen) -> None:
    if not recording.streamed:
        return
    manager = resource_of(client, recording).stream(**arguments_of(client, recording, stream=False))
    seen.note(type(manager))
    with manager as stream:
        seen.note(type(stream), type(stream.response), getattr(stream, "request_id", None))
        for event in stream:
            seen.note(event)
        seen.note(stream.get_final_message(), stream.response.is_closed)


def helper_texts(client: Any, recording: Recording, seen: Seen) -> None:
    if not recording.streamed:
        return
    with resource_of(client, recording).stream(**arguments_of(client, recording, stream=False)) as stream:
        seen.note(*stream.text_stream)
        seen.note(stream.current_message_snapshot)


def helper_until_done(client: Any, recording: Recording, seen: Seen) -> None:
    if not recording.streamed:
        return
    with resource_of(client, recording).stream(**arguments_of(client, recording, stream=False)) as stream:
        stream.until_done()
        seen.note(stream.get_final_message(), stream.response.is_closed)


def helper_left(client: Any, recording: Recording, seen: Seen) -> None:
    if not recording.streamed:
        return
    with resource_of(client, recording).stream(**arguments_of(client, recording, stream=False)) as stream:
        for event in stream:
            seen.note(event)
            break
    seen.note(stream.response.is_closed, stream.response.is_stream_consumed)


def all_that_a_stream_has(client: Any, recording: Recording, seen: Seen) -> None:
    if not recording.streamed:
        return
    stream = resource_of(client, recording).create(**arguments_of(client, recording))
    seen.note(next(stream))
    fields = cast("dict[str, Any]", vars(stream))
    seen.note(*sorted(fields), repr(stream).partition(" at ")[0])
    seen.note(*stream, stream.response.is_closed)


HELPERS = [helper_events, helper_texts, helper_until_done, helper_left, all_that_a_stream_has]


async def a_helper_events(client: Any, recording: Recording, seen: Seen) -> None:
    if not recording.streamed:
        return
    manager = resource_of(client, recording).stream(**arguments_of(client, recording, stream=False))
    seen.note(type(manager))
    async with manager as stream:
        seen.note(type(stream))
        async for event in stream:
            seen.note(event)
        seen.note(await stream.get_final_message(), stream.response.is_closed)


async def a_helper_texts(client: Any, recording: Recording, seen: Seen) -> None:
    if not recording.streamed:
        return
    async with resource_of(client, recording).stream(**arguments_of(client, recording, stream=False)) as stream:
        seen.note([text async for text in stream.text_stream])
        seen.note(stream.current_message_snapshot)


async def a_helper_until_done(client: Any, recording: Recording, seen: Seen) -> None:
    if not recording.streamed:
        return
    async with resource_of(client, recording).stream(**arguments_of(client, recording, stream=False)) as stream:
        await stream.until_done()
        seen.note(await stream.get_final_message())


async def a_raw(client: Any, recording: Recording, seen: Seen) -> None:
    """`parse` of a raw response is awaited in newer versions of the SDK."""
    raw = await resource_of(client, recording).with_raw_response.create(**arguments_of(client, recording))
    seen.note(*response_facts(raw))
    parsed: Any = raw.parse()
    parsed = await parsed if inspect.isawaitable(parsed) else parsed
    seen.note(type(parsed))
    if recording.streamed:
        seen.note([piece async for piece in parsed])
    else:
        seen.note(parsed)
    seen.note(*response_facts(raw))


SYNC_WAYS: list[Way] = [program for program in PROGRAMS if program is not through_helper] + HELPERS
ASYNC_WAYS: list[AsyncWay] = [
    *(program for program in ASYNC_PROGRAMS if program not in (a_through_helper, a_through_raw)),
    *(a_raw, a_helper_events, a_helper_texts, a_helper_until_done),
]
