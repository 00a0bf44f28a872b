"""Server-sent events as bytes: splitting a recorded body and changing it the way a behaviour asks for."""

from __future__ import annotations

import json
import re
from typing import Any

from tracer.replay.behaviour import Behaviour

_EVENT = re.compile(rb".+?(?:\r?\n\r?\n|\Z)", re.DOTALL)
_DONE = b"data: [DONE]\n\n"
OVERLOADED = b'event: error\ndata: {"type":"error","error":{"details":null,"type":"overloaded_error","message":"Overloaded"}}\n\n'
"""What Anthropic sends in the middle of a stream when it has to give up."""


def split(body: bytes) -> list[bytes]:
    r"""The events of a stream, each with the blank line that ends it.

    >>> split(b"data: 1\n\ndata: 2\n\n")
    [b'data: 1\n\n', b'data: 2\n\n']
    """
    return _EVENT.findall(body)


def shaped(events: list[bytes], behaviour: Behaviour, request: dict[str, Any], api: str) -> list[bytes]:
    """The pieces to send: usage, end mark, comments, line ends and piece size as `behaviour` says."""
    if behaviour.honour_usage and api in ("chat", "completions"):
        events = _with_usage(events) if wants_usage(request) else _without_usage(events)
    if behaviour.overload >= 0:
        events = [*events[: behaviour.overload], OVERLOADED]
    if behaviour.no_done:
        events = [event for event in events if event.strip() != b"data: [DONE]"]
    if behaviour.comments:
        events = [b": keep-alive\n\n" + event for event in events]
    if behaviour.crlf:
        events = [event.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for event in events]
    if behaviour.pieces > 0:
        whole = b"".join(events)
        return [whole[start : start + behaviour.pieces] for start in range(0, len(whole), behaviour.pieces)]
    return events


def wants_usage(request: dict[str, Any]) -> bool:
    """Whether a request body asks for the usage of its stream."""
    options = request.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _chunk(event: bytes) -> dict[str, Any] | None:
    """The JSON of an event that is a chunk of a completion, None for any other."""
    if not event.startswith(b"data: {"):
        return None
    chunk = json.loads(event[6:])
    return chunk if isinstance(chunk, dict) and "choices" in chunk else None  # pyright: ignore[reportUnknownVariableType]


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _is_usage_chunk(chunk: dict[str, Any]) -> bool:
    return not chunk["choices"] and bool(chunk.get("usage"))


def _without_usage(events: list[bytes]) -> list[bytes]:
    result: list[bytes] = []
    for event in events:
        chunk = _chunk(event)
        if chunk is None or "usage" not in chunk:
            result.append(event)
        elif not _is_usage_chunk(chunk):
            if chunk["usage"] is None:
                del chunk["usage"]
            result.append(_event(chunk))
    return result


def _with_usage(events: list[bytes]) -> list[bytes]:
    """Every other chunk says `"usage": null`; a usage chunk stands before the end mark."""
    result: list[bytes] = []
    last: dict[str, Any] | None = None
    has_usage = False
    for event in events:
        chunk = _chunk(event)
        if chunk is not None:
            last = chunk
            has_usage = has_usage or bool(chunk.get("usage"))
            if "usage" not in chunk:
                chunk["usage"] = None
                event = _event(chunk)
        result.append(event)
    if last is None or has_usage:
        return result
    end = len(result) - 1 if result[-1] == _DONE else len(result)
    result.insert(end, _event({**last, "choices": [], "usage": _stand_in(events)}))
    return result


def _stand_in(events: list[bytes]) -> dict[str, int]:
    """A usage for recordings without one: not what the provider counted, but steady, for tests of the mechanism."""
    answer = sum(1 for event in events if _chunk(event) is not None)
    return {"prompt_tokens": 10, "completion_tokens": answer, "total_tokens": 10 + answer}
