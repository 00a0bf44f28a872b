"""Calls made by hand for the reader tests: a request, an answer and how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from tracer.call import COMPLETED, FAILED, Attempt, Call
from tracer.reading import read_call
from tracer.reading.generation import Generation, Message, Part
from tracer.replay.recordings import Recording, by_id

CHAT = "chat"
RESPONSES = "responses"
COMPLETIONS = "completions"
EMBEDDINGS = "embeddings"


def answered(
    answer: object,
    request: object = None,
    *,
    operation: str = CHAT,
    status: int = 200,
    ending: str = COMPLETED,
    content_type: str = "application/json",
    **fields: Any,
) -> Call:
    """A call with an unstreamed answer. Bytes are taken as they are, anything else is written as JSON."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    attempt = Attempt(0, status=status, request_body=_request(request), response_body=body, content_type=content_type)
    return Call(1, 1, 1, operation=operation, ending=ending, attempts=[attempt], **fields)


def streamed(
    pieces: Sequence[bytes] | bytes,
    request: object = None,
    *,
    operation: str = CHAT,
    ending: str = COMPLETED,
    encoding: str = "",
    content_type: str = "text/event-stream",
    first_piece: int = 0,
    **fields: Any,
) -> Call:
    """A call with a streamed answer, as the pieces of bytes that came."""
    attempt = Attempt(
        0,
        status=200,
        request_body=_request(request),
        pieces=[pieces] if isinstance(pieces, bytes) else list(pieces),
        content_type=content_type,
        content_encoding=encoding,
        first_piece=first_piece,
    )
    return Call(1, 1, 1, operation=operation, ending=ending, attempts=[attempt], streaming=True, **fields)


def _request(request: object) -> bytes | None:
    if request is None or isinstance(request, bytes):
        return request
    return json.dumps(request).encode()


def read(call: Call) -> Generation:
    """The generation of a call of which one is expected."""
    generation = read_call(call).generation
    assert generation is not None
    return generation


def events(*contents: object, done: bool = True) -> bytes:
    """An event stream of these JSON values, in the form of chat completions."""
    stream = b"".join(b"data: " + json.dumps(content).encode() + b"\n\n" for content in contents)
    return stream + b"data: [DONE]\n\n" if done else stream


def named_events(*contents: dict[str, Any]) -> bytes:
    """An event stream of these objects, in the form of the Responses API."""
    return b"".join(f"event: {content['type']}\ndata: {json.dumps(content)}\n\n".encode() for content in contents)


def chunk(delta: object = None, *, index: object = 0, finish: object = None, **fields: object) -> dict[str, object]:
    """One chunk of a chat completion with one choice."""
    choice: dict[str, object] = {"index": index, "delta": {} if delta is None else delta, "logprobs": None, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m-1", "choices": [choice], **fields}


def texts(*words: str, finish: str | None = "stop") -> list[dict[str, object]]:
    """The chunks of a plain answer: a role, words, a finish reason."""
    last = [chunk({}, finish=finish)] if finish is not None else []
    return [chunk({"role": "assistant", "content": ""}), *(chunk({"content": word}) for word in words), *last]


def taken(count: int, *, step: int = 10, waiting: bool = False) -> list[int]:
    """Clock readings of a caller who took `count` pieces; each wait and each pause between takes `step` nanoseconds."""
    return [position * step for position in range(1, 2 * count + 1 + int(waiting))]


def recorded(recording: Recording | str, *, cut: int = 0, ending: str = "", **fields: Any) -> Call:
    """The call of a recording. `cut` is the length of the pieces in which the body came, 0 for one at a time."""
    if isinstance(recording, str):
        recording = by_id(recording)
    body = recording.body.encode()
    attempt = Attempt(
        0, status=recording.status, request_body=json.dumps(recording.request).encode(), content_type=recording.headers["content-type"]
    )
    if recording.streamed:
        attempt.pieces = cuts(body, range(cut, len(body), cut)) if cut else [body]
    else:
        attempt.response_body = body
    fields.setdefault("azure", recording.azure)
    ending = ending or (COMPLETED if recording.status < 400 else FAILED)
    return Call(1, 1, 1, operation=recording.api, ending=ending, attempts=[attempt], streaming=recording.streamed, **fields)


def cuts(data: bytes, positions: Iterable[int]) -> list[bytes]:
    """The data cut at these positions."""
    edges = [0, *sorted(positions), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def only(messages: list[Message]) -> Message:
    """The one message of a list."""
    assert len(messages) == 1
    return messages[0]


def parts_of(generation: Generation) -> list[Part]:
    """The parts of the one message that was answered."""
    return only(generation.output_messages).parts


def text_of(generation: Generation) -> str:
    """The text of the one message that was answered."""
    return "".join(str(part["content"]) for part in parts_of(generation) if part["type"] == "text")


def counts(generation: Generation) -> dict[str, object]:
    """The counts of the usage that were reported."""
    usage = generation.usage
    assert usage is not None
    return {name: getattr(usage, name) for name in usage.__slots__ if name != "raw" and getattr(usage, name) is not None}
