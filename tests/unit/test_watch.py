"""What is read of the headers of a stream: the same as the HTTP libraries say, found in one go."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import pytest

from tracer.capture.watch import type_and_encoding

GIVEN = [
    [],
    [("Content-Type", "text/event-stream; charset=utf-8"), ("Set-Cookie", "a=1"), ("set-cookie", "b=2")],
    [("content-encoding", "gzip"), ("CONTENT-ENCODING", "br"), ("content-type", "application/json"), ("x-content-type", "no")],
    [("content-type", ""), ("content-type", "text/plain")],
]


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("library", [httpx, httpx2])
def test_type_and_encoding_are_what_the_library_says(given: list[tuple[str, str]], library: Any) -> None:
    headers = library.Headers(given)
    assert type_and_encoding(headers) == (headers.get("content-type", ""), headers.get("content-encoding", ""))


def test_headers_of_another_kind_are_asked() -> None:
    assert type_and_encoding({"content-type": "text/plain"}) == ("text/plain", "")
