"""Programs: one for each way to ask an SDK for the answer of a recording."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.fidelity.seen import Seen, chain_of
from tests.integration.capture_support import HTTP, helpers_of, resource_of
from tracer.replay.recordings import Recording
from tracer.replay.sdk import call_arguments


def arguments_of(client: Any, recording: Recording, *, stream: bool = True) -> dict[str, Any]:
    return call_arguments(recording, resource_of(client, recording).create, stream=stream)


def is_stream(recording: Recording) -> bool:
    return recording.streamed


def response_facts(raw: Any) -> list[Any]:
    """What of a raw response does not differ from one request to the next."""
    http = raw.http_response
    return [
        type(raw),
        type(http),
        raw.status_code,
        dict(raw.headers),
        raw.method,
        str(raw.url),
        getattr(raw, "retries_taken", None),
        raw.request_id if hasattr(raw, "request_id") else None,
        raw.is_closed if hasattr(raw, "is_closed") else None,
        raw.http_request.content,
        dict(raw.http_request.headers),
        http.is_stream_consumed,
        http.num_bytes_downloaded,
        isinstance(http.stream, HTTP.SyncByteStream),
        isinstance(http.stream, HTTP.AsyncByteStream),
    ]


def as_created(client: Any, recording: Recording, seen: Seen) -> None:
    answer = resource_of(client, recording).create(**arguments_of(client, recording))
    seen.note(type(answer))
    if is_stream(recording):
        seen.note(type(answer.response), answer.response.status_code, dict(answer.response.headers), answer.response.is_closed)
        for piece in answer:
            seen.note(piece)
        seen.note(answer.response.is_closed, answer.response.is_stream_consumed, next(answer, "over"))
    else:
        seen.note(answer, getattr(answer, "_request_id", None))


def in_with(client: Any, recording: Recording, seen: Seen) -> None:
    answer = resource_of(client, recording).create(**arguments_of(client, recording))
    if not is_stream(recording):
        return
    with answer as stream:
        seen.note(stream is answer)
        for piece in stream:
            seen.note(piece)
    seen.note(stream.response.is_closed)


def through_raw(client: Any, recording: Recording, seen: Seen) -> None:
    raw = resource_of(client, recording).with_raw_response.create(**arguments_of(client, recording))
    seen.note(*response_facts(raw))
    parsed = raw.parse()
    seen.note(type(parsed), raw.parse() is parsed)
    if is_stream(recording):
        seen.note(*parsed)
    else:
        seen.note(parsed, raw.text, raw.content)
    seen.note(*response_facts(raw))


def through_streaming_raw(client: Any, recording: Recording, seen: Seen) -> None:
    with resource_of(client, recording).with_streaming_response.create(**arguments_of(client, recording)) as raw:
        seen.note(*response_facts(raw))
        parsed = raw.parse()
        seen.note(type(parsed))
        if is_stream(recording):
            seen.note(*parsed)
        else:
            seen.note(parsed, raw.text())
        seen.note(*response_facts(raw))
    seen.note(raw.is_closed)


def by_lines(client: Any, recording: Recording, seen: Seen) -> None:
    with resource_of(client, recording).with_streaming_response.create(**arguments_of(client, recording)) as raw:
        seen.note(list(raw.iter_lines()))
        seen.note(*response_facts(raw))


def through_helper(client: Any, recording: Recording, seen: Seen) -> None:
    if recording.api not in ("chat", "responses"):
        return
    helpers = helpers_of(client, recording.api)
    if is_stream(recording):
        manager = helpers.stream(**arguments_of(client, recording, stream=False))
        seen.note(type(manager))
        with manager as stream:
            seen.note(type(stream))
            for event in stream:
                seen.note(event)
            final = stream.get_final_completion() if recording.api == "chat" else stream.get_final_response()
            seen.note(final)
        seen.note(stream._response.is_closed if hasattr(stream, "_response") else None)
    else:
        seen.note(helpers.parse(**arguments_of(client, recording, stream=False)))


def stopped_early(client: Any, recording: Recording, seen: Seen) -> None:
    if not is_stream(recording):
        return
    stream = resource_of(client, recording).create(**arguments_of(client, recording))
    for piece in stream:
        seen.note(piece)
        break
    seen.note(stream.response.is_closed)
    stream.close()
    seen.note(stream.response.is_closed, stream.response.is_stream_consumed)
    stream.close()


def error_of_the_caller(client: Any, recording: Recording, seen: Seen) -> None:
    """The caller fails in the middle, while it handles an error of its own."""
    if not is_stream(recording):
        return
    try:
        raise LookupError("earlier")
    except LookupError:
        with resource_of(client, recording).create(**arguments_of(client, recording)) as stream:
            for piece in stream:
                seen.note(piece)
                raise ValueError("of the caller")  # noqa: B904  # its context is what this is about


PROGRAMS = [
    as_created,
    in_with,
    through_raw,
    through_streaming_raw,
    by_lines,
    through_helper,
    stopped_early,
    error_of_the_caller,
]


# The same, async.


async def a_as_created(client: Any, recording: Recording, seen: Seen) -> None:
    answer = await resource_of(client, recording).create(**arguments_of(client, recording))
    seen.note(type(answer))
    if is_stream(recording):
        seen.note(type(answer.response), answer.response.status_code, dict(answer.response.headers), answer.response.is_closed)
        async for piece in answer:
            seen.note(piece)
        seen.note(answer.response.is_closed, answer.response.is_stream_consumed)
    else:
        seen.note(answer, getattr(answer, "_request_id", None))


async def a_in_with(client: Any, recording: Recording, seen: Seen) -> None:
    answer = await resource_of(client, recording).create(**arguments_of(client, recording))
    if not is_stream(recording):
        return
    async with answer as stream:
        seen.note(stream is answer)
        async for piece in stream:
            seen.note(piece)
    seen.note(stream.response.is_closed)


async def a_through_raw(client: Any, recording: Recording, seen: Seen) -> None:
    raw = await resource_of(client, recording).with_raw_response.create(**arguments_of(client, recording))
    seen.note(*response_facts(raw))
    parsed = raw.parse()
    seen.note(type(parsed), raw.parse() is parsed)
    if is_stream(recording):
        seen.note([piece async for piece in parsed])
    else:
        seen.note(parsed, raw.text, raw.content)
    seen.note(*response_facts(raw))


async def a_through_streaming_raw(client: Any, recording: Recording, seen: Seen) -> None:
    async with resource_of(client, recording).with_streaming_response.create(**arguments_of(client, recording)) as raw:
        seen.note(*response_facts(raw))
        parsed = await raw.parse()
        seen.note(type(parsed))
        if is_stream(recording):
            seen.note([piece async for piece in parsed])
        else:
            seen.note(parsed, await raw.text())
        seen.note(*response_facts(raw))
    seen.note(raw.is_closed)


async def a_by_lines(client: Any, recording: Recording, seen: Seen) -> None:
    async with resource_of(client, recording).with_streaming_response.create(**arguments_of(client, recording)) as raw:
        seen.note([line async for line in raw.iter_lines()])
        seen.note(*response_facts(raw))


async def a_through_helper(client: Any, recording: Recording, seen: Seen) -> None:
    if recording.api not in ("chat", "responses"):
        return
    helpers = helpers_of(client, recording.api)
    if is_stream(recording):
        manager = helpers.stream(**arguments_of(client, recording, stream=False))
        seen.note(type(manager))
        async with manager as stream:
            seen.note(type(stream))
            async for event in stream:
                seen.note(event)
            seen.note(await (stream.get_final_completion() if recording.api == "chat" else stream.get_final_response()))
    else:
        seen.note(await helpers.parse(**arguments_of(client, recording, stream=False)))


async def a_stopped_early(client: Any, recording: Recording, seen: Seen) -> None:
    if not is_stream(recording):
        return
    stream = await resource_of(client, recording).create(**arguments_of(client, recording))
    async for piece in stream:
        seen.note(piece)
        break
    seen.note(stream.response.is_closed)
    await stream.close()
    seen.note(stream.response.is_closed, stream.response.is_stream_consumed)
    await stream.close()


async def a_error_of_the_caller(client: Any, recording: Recording, seen: Seen) -> None:
    if not is_stream(recording):
        return
    try:
        raise LookupError("earlier")
    except LookupError:
        async with await resource_of(client, recording).create(**arguments_of(client, recording)) as stream:
            async for piece in stream:
                seen.note(piece)
                raise ValueError("of the caller")  # noqa: B904  # its context is what this is about


ASYNC_PROGRAMS = [
    a_as_created,
    a_in_with,
    a_through_raw,
    a_through_streaming_raw,
    a_by_lines,
    a_through_helper,
    a_stopped_early,
    a_error_of_the_caller,
]

Way = Callable[[Any, Recording, Seen], None]
AsyncWay = Callable[[Any, Recording, Seen], Awaitable[None]]


def observed(program: Way, client: Any, recording: Recording) -> Seen:
    seen = Seen()
    try:
        program(client, recording, seen)
    except Exception as error:
        seen.error = chain_of(error)
    return seen


async def async_observed(program: AsyncWay, client: Any, recording: Recording) -> Seen:
    seen = Seen()
    try:
        await program(client, recording, seen)
    except Exception as error:
        seen.error = chain_of(error)
    return seen
