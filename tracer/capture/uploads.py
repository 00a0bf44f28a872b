"""What the options of a request say about its query, its form and its files. Nothing is ever read from a file or an iterator."""

from __future__ import annotations

import io
import mimetypes
import os
from collections.abc import Iterator
from typing import Any, cast

from tracer.call import Upload
from tracer.capture.kinds import class_of

_PLAIN = (str, int, float, bool)
_MOST_UPLOADS = 32


def fields_sent(options: Any) -> dict[str, object] | None:
    """Plain values of the query, and of the form where the body is one (there is no body of bytes then).

    Only values that nobody can change afterwards, and lists of them; which of them are recorded is for the reader to say.
    """
    sources: list[Any] = [options.params]
    if _is_form(options):
        sources.append(options.json_data)
    found: dict[str, object] = {}
    for source in sources:
        if not isinstance(source, dict):
            continue
        for name, value in cast("dict[Any, Any]", source).items():
            if isinstance(value, _PLAIN):
                found[str(name)] = value
            elif isinstance(value, list):
                found[str(name)] = [item for item in cast("list[Any]", value) if isinstance(item, _PLAIN)]
    return found or None


def _is_form(options: Any) -> bool:
    if options.files:
        return True
    headers = options.headers
    said = cast("dict[str, Any]", headers).get("Content-Type") if isinstance(headers, dict) else None
    return isinstance(said, str) and said.startswith("multipart/")


def uploads_of(options: Any) -> tuple[Upload, ...] | None:
    """Field, size and media type of each file, as far as they are known without reading one."""
    files = options.files
    if not files:
        return None
    return tuple(_upload(str(field), file) for field, file in _pairs(files)) or None


def _pairs(files: Any) -> Iterator[tuple[Any, Any]]:
    # The SDKs have made a dictionary or a list of pairs of what the caller gave; anything else may be spent by looking at it.
    if isinstance(files, dict):
        yield from list(cast("dict[Any, Any]", files).items())[:_MOST_UPLOADS]
    elif isinstance(files, list | tuple):
        for item in cast("list[Any]", files)[:_MOST_UPLOADS]:
            if isinstance(item, tuple) and len(cast("tuple[Any, ...]", item)) == 2:
                yield cast("tuple[Any, Any]", item)


def _upload(field: str, file: Any) -> Upload:
    """A file is its content, or a tuple of name, content, media type and headers."""
    name, content, content_type = None, file, None
    if isinstance(file, tuple):
        given = cast("tuple[Any, ...]", file)
        name = given[0] if given else None
        content = given[1] if len(given) > 1 else None
        content_type = given[2] if len(given) > 2 else None
    elif type(content) is io.BufferedReader:
        name = content.name
    if not isinstance(content_type, str):
        # As the HTTP library guesses it.
        content_type = mimetypes.guess_type(name)[0] if isinstance(name, str) else None
    return Upload(field, _size(content), content_type or "")


def _size(content: Any) -> int | None:
    """Only types whose methods are not the caller's own are asked."""
    kind = class_of(content)
    if kind in (bytes, bytearray):
        return len(content)
    if kind is str:
        return len(content.encode("utf-8", "surrogatepass"))
    if kind is memoryview:
        return int(content.nbytes)
    if kind is io.BytesIO:
        return len(content.getbuffer())
    if kind in (io.BufferedReader, io.FileIO):
        try:
            return os.fstat(content.fileno()).st_size
        except (OSError, ValueError):
            return None
    return None
