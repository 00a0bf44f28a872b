"""Bodies that are sent in pieces: small ones go together, large ones are not copied."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from tests.langsmith_server import NO_ZSTD, langsmith
from tests.support import Delivering
from tracer.call import Call
from tracer.export.http import Answer, Http, Pieces
from tracer.export.langsmith.destination import transports_of
from tracer.reading.record import Record
from tracer.scope import new_run_id
from tracer.settings import Settings

MEGABYTE = b"x" * 2**20


def test_small_neighbours_go_together_and_large_pieces_as_they_are() -> None:
    body = Pieces([b"a", b"b", MEGABYTE, b"c", b"", b"d"])
    first, large, last = body
    assert (first, last, len(body)) == (b"ab", b"cd", len(MEGABYTE) + 4)
    assert large is MEGABYTE
    # It can be gone through again.
    assert [*body] == [*body]


@pytest.mark.parametrize("pieces", [[], [b""], [b"abc"], [MEGABYTE], [MEGABYTE, MEGABYTE]])
def test_nothing_is_lost_and_no_piece_is_empty(pieces: list[bytes]) -> None:
    body = Pieces(iter(pieces))
    assert b"".join(body) == b"".join(pieces)
    assert all(body)
    assert len(body) == sum(map(len, pieces))


def a_record() -> Record:
    run_id = new_run_id()
    call = Call(run_id, run_id, 1, kind="llm", name="large", operation="span", started=1, ended=2)
    call.input_json = b'{"messages":["' + MEGABYTE + b'"]}'
    return Record(call, "completed")


def test_a_large_run_arrives_with_its_length() -> None:
    with langsmith(NO_ZSTD) as server:
        (transport,) = transports_of(Settings(langsmith_endpoint=server.url, langsmith_key="key"))
        destination = Delivering(transport)
        destination.deliver([a_record()])
        assert destination.outcome == (1, {})
        (run,) = server.runs.values()
        assert len(run["inputs"]["messages"][0]) == len(MEGABYTE)
        (request,) = server.ingests
        assert int(request.headers["content-length"]) == len(request.body)
        assert "transfer-encoding" not in request.headers


def test_sending_a_large_run_copies_nothing_large(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []

    def request(_: Http, method: str, url: str, timeout: float, body: Iterator[bytes] | None = None, headers: object = None) -> Answer:
        sent.append(sum(map(len, body or ())))
        return Answer(202, "")

    monkeypatch.setattr(Http, "request", request)
    (transport,) = transports_of(Settings(langsmith_endpoint="http://127.0.0.1:9"))
    items = transport.pack([a_record()]).items
    tracemalloc.start()
    try:
        transport.send(items, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent[0] > len(MEGABYTE)
    assert peak < len(MEGABYTE) / 10
