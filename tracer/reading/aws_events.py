"""Amazon's binary event stream (`application/vnd.amazon.eventstream`), in which Bedrock sends the events of a model, as server-sent events.

A frame: length of all and of the headers (4 bytes each), a checksum, headers, payload, a checksum. A header: length and text of its
name, a type byte, for texts (type 7) two bytes of length and the value. Facts: the AWS specification of `vnd.amazon.event-stream`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from tracer.reading.json_text import parse
from tracer.reading.values import Problems, as_object, as_text, note

_PRELUDE = 12
_CHECKSUM = 4
_TEXT = 7
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_VARIABLE = (6, _TEXT)


def is_aws_stream(content_type: str) -> bool:
    """The answer came in Amazon's framing."""
    return "amazon.eventstream" in content_type.lower()


def to_server_sent(data: bytes, problems: Problems) -> bytes:
    """The events as a server-sent stream: what the model said, and errors in the form that Anthropic's own service gives them.

    A frame that was cut at the end is left out.
    """
    lines: list[bytes] = []
    try:
        for headers, payload in _frames(data):
            lines += _event(headers, payload)
    except (ValueError, IndexError):
        note(problems, "a frame of the event stream is broken")
    return b"".join(lines)


def _frames(data: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    start = 0
    while start + _PRELUDE <= len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        head = int.from_bytes(data[start + 4 : start + 8], "big")
        if length < _PRELUDE + head + _CHECKSUM:
            raise ValueError("a frame is shorter than its parts")
        if start + length > len(data):
            return
        body = start + _PRELUDE
        yield _headers(data[body : body + head]), data[body + head : start + length - _CHECKSUM]
        start += length


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    while position < len(data):
        name_end = position + 1 + data[position]
        name, kind = data[position + 1 : name_end].decode("utf-8", "replace"), data[name_end]
        position = name_end + 1
        if kind in _VARIABLE:
            size = int.from_bytes(data[position : position + 2], "big")
            position += 2
            if kind == _TEXT:
                found[name] = data[position : position + size].decode("utf-8", "replace")
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise ValueError("a header of an unknown type")
        position += size
    return found


def _event(headers: dict[str, str], payload: bytes) -> list[bytes]:
    fields = as_object(parse(payload)) if payload else None
    if headers.get(":message-type") in ("exception", "error"):
        code = headers.get(":exception-type") or headers.get(":error-code") or "error"
        message = (as_text(fields.get("message")) if fields is not None else None) or headers.get(":error-message")
        error = {"type": "error", "error": {"type": code, "message": message}}
        return [b"event: error\ndata: ", json.dumps(error).encode(), b"\n\n"]
    content = as_text(fields.get("bytes")) if fields is not None else None
    return [b"data: ", base64.b64decode(content), b"\n\n"] if content is not None else []
