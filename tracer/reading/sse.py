"""Server-sent events: the bytes of a stream to the data of its events."""

from __future__ import annotations

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
DONE = b"[DONE]"
"""What OpenAI's streams of chunks have as the data of their last event. The SDKs read nothing behind it."""


def looks_like_events(data: bytes) -> bool:
    """The bytes begin as an event stream does and not as JSON, HTML or plain text."""
    return data.removeprefix(_BYTE_ORDER_MARK).lstrip(b"\r\n").startswith(_FIELDS)


def event_data(data: bytes) -> tuple[list[bytes], set[int]]:
    """The data of every event in order, `[DONE]` included, and the positions of those that were named `error`.

    Takes what the SDKs take: all three line ends, comments, fields in any order, data over several lines. An event that was cut
    at the end is given as far as it came.

    >>> event_data(b': hello\\n\\ndata: {"a":1}\\n\\nevent: error\\ndata: {}\\n\\n')
    ([b'{"a":1}', b'{}'], {1})
    """
    if b"\r" in data:
        # JSON escapes carriage returns, so these are line ends.
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    data = data.removeprefix(_BYTE_ORDER_MARK)
    plain = _plain_events(data)
    return (plain, set()) if plain is not None else _any_events(data)


def _plain_events(data: bytes) -> list[bytes] | None:
    """The common stream, `data: …` and a blank line for each event and nothing else, by one call into C; None for any other."""
    if data[:6] != b"data: ":
        return None
    found = data.split(b"\n\ndata: ")
    # Only the ends are trimmed: a copy of the whole stream would cost as much as splitting it.
    found[0] = found[0][6:]
    found[-1] = found[-1].removesuffix(b"\n\n")
    return None if [content for content in found if b"\n" in content] else found


def _any_events(data: bytes) -> tuple[list[bytes], set[int]]:
    found: list[bytes] = []
    errors: set[int] = set()
    for block in data.split(b"\n\n"):
        head, separator, content = block.partition(b"\ndata: ")
        # An event with a name, as the Responses API sends them: one line for the name and one for the data.
        if not separator or head[:7] != b"event: " or b"\n" in head or b"\n" in content or head == b"event: error":
            name, lines = _fields(block)
            if lines is None:
                continue
            content = lines
            if name == b"error":
                errors.add(len(found))
        found.append(content)
    return found, errors


def _fields(block: bytes) -> tuple[bytes, bytes | None]:
    name = b""
    lines: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.strip()
    # An event without data, or with an empty one, is a sign of life and no chunk.
    return name, b"\n".join(lines) if any(lines) else None
