"""Delivery to a LangSmith-style backend: every way of negotiating, every fault, over loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import xxhash

from tests.integration.otlp_support import free_port, of_the_export
from tests.langsmith_server import FULL, NO_ZSTD, PROFILES, SMALL, Fault, LangSmith, Request, langsmith
from tests.support import PATIENCE, Delivering, wait_until
from tracer.call import FAILED, Call, Failure
from tracer.export.langsmith import wire
from tracer.export.langsmith.destination import LangSmithTransport, transports_of
from tracer.export.langsmith.ids import bucket_of, derived_id, is_sampled, xxh3_128
from tracer.export.langsmith.targets import targets_of
from tracer.pipeline.backoff import Pace
from tracer.reading.generation import Generation
from tracer.reading.record import Record
from tracer.scope import new_run_id
from tracer.settings import Settings, read

SECOND = 1_000_000_000
WALL = 1_795_600_000 * SECOND


def a_call(number: int = 0) -> Call:
    run_id = new_run_id(WALL + number * 1_000_000)
    return Call(
        run_id, run_id, number + 1, kind="llm", name=f"run {number}", operation="span", started_wall=WALL, started=SECOND, ended=2 * SECOND
    )


def a_record(number: int = 0, text: str = "hi", call: Call | None = None) -> Record:
    call = call or a_call(number)
    call.input_json = b'{"messages":["' + text.encode() + b'"]}'
    call.output_json = b'{"answer":"' + text[::-1].encode() + b'"}'
    return Record(call, "completed")


def transport_to(server: LangSmith, **values: Any) -> LangSmithTransport:
    (transport,) = transports_of(Settings(langsmith_endpoint=server.url, langsmith_key="key", **values))
    return transport


def delivering(server: LangSmith, **values: Any) -> Delivering:
    return Delivering(transport_to(server, **values))


def numbered(count: int) -> list[str]:
    return sorted(f"run {number}" for number in range(count))


# Negotiation.


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_gets_every_run_once(profile: str) -> None:
    with langsmith(PROFILES[profile]) as server:
        destination = delivering(server)
        destination.deliver([a_record(number, "x" * 2000) for number in range(20)])
        assert destination.outcome == (20, {})
        assert destination.account.shortened == {}
        assert server.names == numbered(20)
        assert set(server.counts.values()) == {1}
        assert server.patches == {}
        assert [request.path for request in server.requests].count("/info") == 1
        forms = {(request.path, request.headers.get("content-encoding")) for request in server.ingests}
        assert forms == {
            "full": {("/runs/multipart", "zstd")},
            "small limits": {("/runs/multipart", "zstd")},
            "batch only": {("/runs/batch", None)},
        }.get(profile, {("/runs/multipart", None)})
        destination.sender.close(1)


def test_headers() -> None:
    with langsmith() as server:
        delivering(server, langsmith_workspace="w1").deliver([a_record()])
        (request,) = server.ingests
        assert request.headers["x-api-key"] == "key"
        assert request.headers["x-tenant-id"] == "w1"
        assert request.headers["user-agent"].startswith("chat-tracer/")
        assert request.headers["accept"] == "application/json"
        assert "transfer-encoding" not in request.headers
        assert "authorization" not in request.headers


def test_without_a_key_none_is_sent() -> None:
    with langsmith() as server:
        (transport,) = transports_of(Settings(langsmith_endpoint=server.url))
        assert Delivering(transport).deliver([a_record()]).exported == 1
        assert all("x-api-key" not in request.headers and "x-tenant-id" not in request.headers for request in server.requests)


def test_gzip_where_zstd_is_welcome_but_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "zstd_compressor", lambda: None)
    with langsmith() as server:
        assert delivering(server).deliver([a_record()]).exported == 1
        assert server.ingests[0].headers["content-encoding"] == "gzip"


def test_compression_can_be_switched_off() -> None:
    with langsmith() as server:
        assert delivering(server, langsmith_no_compression=True).deliver([a_record()]).exported == 1
        assert "content-encoding" not in server.ingests[0].headers


def test_a_slow_info_gets_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracer.export.langsmith.server.INFO_TIMEOUT", 0.1)
    with langsmith(FULL, info_delay=PATIENCE) as server:
        assert delivering(server).deliver([a_record()]).exported == 1
        assert [request.path for request in server.requests] == ["/info", "/runs/multipart"]
        assert "content-encoding" not in server.ingests[0].headers


@pytest.mark.parametrize("answer", [{}, {"batch_ingest_config": None, "instance_flags": []}, {"batch_ingest_config": {"size_limit": -3}}])
def test_an_odd_info_gets_the_defaults(answer: dict[str, Any]) -> None:
    with langsmith({**FULL, **answer, "batch_ingest_config": FULL["batch_ingest_config"]}) as server:
        assert delivering(server).deliver([a_record()]).exported == 1
    from tracer.export.langsmith.info import Info, info_of

    assert info_of(wire.json_bytes(answer)) == Info()
    assert info_of(b"<html>") == info_of(b"[]") == Info()


def test_the_users_own_limit_of_runs() -> None:
    with langsmith(NO_ZSTD) as server:
        destination = delivering(server, langsmith_batch_limit=2)
        assert destination.deliver([a_record(number) for number in range(5)]).exported == 5
        assert len(server.ingests) == 3


def test_an_oversized_run_is_shortened_to_the_limit_and_its_neighbours_are_not() -> None:
    with langsmith(SMALL) as server:
        destination = delivering(server)
        destination.deliver([a_record(0), a_record(1, "y" * 100_000), a_record(2)])
        assert destination.outcome == (3, {})
        assert destination.account.shortened == {"too large": 1}
        runs = {run["name"]: run for run in server.runs.values()}
        assert runs["run 0"]["inputs"] == runs["run 2"]["inputs"] == {"messages": ["hi"]}
        assert 1000 < len(runs["run 1"]["inputs"]["messages"][0]) < 20_000
        assert runs["run 1"]["extra"]["metadata"]["tracer.content.truncated"] is True
        assert runs["run 1"]["extra"]["metadata"]["tracer.content.bytes"] > 200_000


@pytest.mark.parametrize("where", ["metadata", "many entries", "tags", "serialized", "error", "all"])
def test_a_run_that_is_too_large_beside_its_contents_overshoots_no_limit(where: str) -> None:
    with langsmith(SMALL) as server:
        destination = delivering(server)
        call = a_call(0)
        call.metadata = {"m": "x" * 50_000} if where in ("metadata", "all") else None
        if where == "many entries":
            call.metadata = {f"entry {number}": number for number in range(5000)}
        call.tags = tuple(f"{number:05}" * 20 for number in range(500)) if where in ("tags", "all") else ()
        call.serialized_json = b'{"lc":1,"kwargs":"%s"}' % (b"x" * 50_000) if where in ("serialized", "all") else None
        call.failure = Failure("ValueError", "x" * 50_000) if where in ("error", "all") else None
        record = a_record(call=call)
        record.outcome = FAILED if call.failure is not None else record.outcome
        destination.deliver([record, a_record(1)])
        outcome, shortened, complaints = destination.outcome, destination.account.shortened, list(server.complaints)
        server.complaints.clear()
        assert complaints == []
        assert (outcome, shortened) == ((2, {}), {"too large": 1})
        run = next(run for run in server.runs.values() if run["name"] == call.name)
        assert run["extra"]["metadata"]["tracer.content.truncated"] is True
        assert run["extra"]["runtime"]["sdk"] == "chat-tracer"
        if where == "tags":
            assert run["tags"] == list(call.tags[: len(run["tags"])]) != []


# Faults.


def trouble(status: int, **headers: str) -> Fault:
    return Fault(status, headers)


FAULTS: dict[str, list[Fault]] = {
    "429": [trouble(429), trouble(429)],
    "429 with seconds": [Fault(429, {"Retry-After": "0.2"})],
    "429 with a date": [Fault(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})],
    "500": [trouble(500), trouble(500)],
    "502": [trouble(502)],
    "503": [trouble(503), trouble(503)],
    "503 with seconds": [Fault(503, {"Retry-After": "0"})],
    "425": [trouble(425)],
    "504": [trouble(504)],
    "408": [trouble(408)],
    "reset": [Fault(reset=True), Fault(reset=True)],
    "taken, then reset": [Fault(reset=True, taken=True)],
    "taken, then 500": [Fault(500, taken=True)],
    "there already": [Fault(409, taken=True)],
    "late answer": [Fault(202, taken=True, delay=0.8)],
    "hang": [Fault(hang=True, delay=0.8)],
    "413": [trouble(413)],
    "413, then 500": [trouble(413), trouble(500)],
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_and_nothing_is_there_twice(fault: str, profile: str, caplog: pytest.LogCaptureFixture) -> None:
    with langsmith(PROFILES[profile], faults=list(FAULTS[fault])) as server:
        transport = transport_to(server)
        transport.timeout = 0.3
        destination = Delivering(transport)
        destination.deliver([a_record(number) for number in range(10)])
        assert destination.outcome == (10, {})
        assert server.names == numbered(10)
        # Sent again after a lost answer it bears the same ids, so the server has each once.
        assert len(server.runs) == 10
        most = 2 if "taken" in fault or "late" in fault or fault == "there already" else 1
        assert max(server.counts.values()) <= most
        assert of_the_export(caplog) == []
        destination.sender.close(1)


def deliver_twice_ten(server: LangSmith) -> None:
    destination = delivering(server)
    destination.deliver([a_record(number) for number in range(10)])
    destination.deliver([a_record(number) for number in range(10, 20)])
    assert destination.outcome == (20, {})
    assert server.names == numbered(20)
    assert set(server.counts.values()) == {1}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("status", [404, 405])
def test_without_the_form_every_profile_gets_every_run_once(status: int, profile: str, caplog: pytest.LogCaptureFixture) -> None:
    def refused(request: Request) -> Fault | None:
        return Fault(status) if request.path == "/runs/multipart" else None

    with langsmith(PROFILES[profile], choose=refused) as server:
        deliver_twice_ten(server)
        # What it does not know it is not asked for again.
        assert [request.path for request in server.ingests].count("/runs/multipart") == (0 if profile == "batch only" else 1)
        assert of_the_export(caplog) == []


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("status", [415, 422])
def test_what_cannot_be_read_compressed_every_profile_gets_plain(status: int, profile: str, caplog: pytest.LogCaptureFixture) -> None:
    def refused(request: Request) -> Fault | None:
        return Fault(status) if "content-encoding" in request.headers else None

    with langsmith(PROFILES[profile], choose=refused) as server:
        deliver_twice_ten(server)
        compressed = [request for request in server.ingests if "content-encoding" in request.headers]
        assert len(compressed) == (1 if profile in ("full", "small limits") else 0)
        assert of_the_export(caplog) == []


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refusal_is_not_repeated(status: int, caplog: pytest.LogCaptureFixture) -> None:
    with langsmith(NO_ZSTD, always=Fault(status, {"content-type": "application/json"}, b'{"detail":"no"}')) as server:
        destination = delivering(server)
        destination.deliver([a_record()])
        assert destination.outcome == (0, {f"refused:{status}": 1})
        # Of a server that knows none of the three ways each was tried once.
        assert len(server.ingests) == (3 if status == 404 else 1)
        (line,) = [entry.getMessage() for entry in of_the_export(caplog)]
        assert line.startswith(f"tracer: LangSmith endpoint {server.url} refused the runs (HTTP {status}")


@pytest.mark.parametrize("profile", ["full", "no zstd", "batch only"])
@pytest.mark.parametrize("status", [400, 422])
def test_a_run_that_is_refused_costs_none_of_its_neighbours(status: int, profile: str) -> None:
    def refused(request: Any) -> Fault | None:
        return Fault(status) if b'"run 21"' in request.body else None

    with langsmith(PROFILES[profile], choose=refused) as server:
        destination = delivering(server)
        destination.deliver([a_record(number) for number in range(60)])
        assert destination.outcome == (59, {f"refused:{status}": 1})
        assert server.names == sorted(set(numbered(60)) - {"run 21"})
        assert set(server.counts.values()) == {1}
        assert len(server.ingests) <= 30
        destination.deliver([a_record(60)])
        # It was not the compression.
        assert server.ingests[-1].headers.get("content-encoding") == ("zstd" if profile == "full" else None)


def test_a_server_that_refuses_everything_is_not_asked_about_each_run() -> None:
    with langsmith(NO_ZSTD, always=Fault(400)) as server:
        destination = delivering(server)
        destination.deliver([a_record(number) for number in range(90)])
        assert destination.outcome == (0, {"refused:400": 90})
        assert len(server.ingests) <= 12


@pytest.mark.parametrize("trouble", ["no answer", "503"])
def test_what_a_server_takes_is_asked_again_while_it_cannot_say(trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracer.export.langsmith.server.INFO_AGAIN", 0.0)
    monkeypatch.setattr("tracer.export.langsmith.server.INFO_TIMEOUT", 0.2)
    with langsmith(FULL) as server:
        server.info_delay, server.info_status = (PATIENCE, 0) if trouble == "no answer" else (0, 503)
        destination = delivering(server)
        destination.deliver([a_record(0)])
        server.info_delay, server.info_status = 0, 0
        destination.deliver([a_record(1)])
        destination.deliver([a_record(2)])
        assert [request.headers.get("content-encoding") for request in server.ingests] == [None, "zstd", "zstd"]
        assert [request.path for request in server.requests].count("/info") == 2


@pytest.mark.parametrize(("status", "words"), [(401, "Check LANGSMITH_API_KEY."), (403, "LANGSMITH_WORKSPACE_ID")])
def test_a_wrong_key_is_one_line_and_stops_sending(status: int, words: str, caplog: pytest.LogCaptureFixture) -> None:
    with langsmith(always=Fault(status, {"content-type": "application/json"}, b'{"detail":"key is no good"}')) as server:
        destination = delivering(server)
        for number in range(3):
            destination.deliver([a_record(number)])
        assert destination.outcome == (0, {f"refused:{status}": 3})
        assert destination.account.stopped.startswith(f"refused the runs (HTTP {status}")
        assert len(server.ingests) == 1
        (line,) = [entry.getMessage() for entry in of_the_export(caplog)]
        assert words in line
        assert "… is no good" in line


def without(*paths: str) -> Callable[[Request], Fault | None]:
    def choose(request: Request) -> Fault | None:
        return Fault(404) if request.path in paths else None

    return choose


def test_no_multipart_no_batch() -> None:
    with langsmith(FULL, choose=without("/runs/multipart")) as server:
        assert delivering(server).deliver([a_record(number) for number in range(5)]).exported == 5
        assert [request.path for request in server.ingests] == ["/runs/multipart", "/runs/batch"]
        destination = delivering(server)
        destination.deliver([a_record(5)])
        destination.deliver([a_record(6)])
        assert [request.path for request in server.ingests][2:] == ["/runs/multipart", "/runs/batch", "/runs/batch"]

    with langsmith(FULL, choose=without("/runs/multipart", "/runs/batch")) as server:
        destination = delivering(server)
        destination.deliver([a_record(number) for number in range(3)])
        assert destination.outcome == (3, {})
        assert [request.path for request in server.ingests] == ["/runs/multipart", "/runs/batch", *["/runs"] * 3]
        assert server.names == numbered(3)


@pytest.mark.parametrize("status", [415, 422])
def test_a_server_that_cannot_read_zstd_gets_it_plain_once(status: int) -> None:
    def choose(request: Request) -> Fault | None:
        return Fault(status) if "content-encoding" in request.headers else None

    with langsmith(FULL, choose=choose) as server:
        destination = delivering(server)
        destination.deliver([a_record(0)])
        destination.deliver([a_record(1)])
        assert destination.outcome == (2, {})
        assert [request.headers.get("content-encoding") for request in server.ingests] == ["zstd", None, None]


@pytest.mark.parametrize("profile", PROFILES)
def test_413_halves_and_a_single_run_is_shortened(profile: str) -> None:
    def choose(request: Request) -> Fault | None:
        return Fault(413) if len(request.body) > 15_000 else None

    with langsmith(PROFILES[profile], choose=choose) as server:
        destination = delivering(server)
        destination.deliver([a_record(0), *(a_record(number, "z" * 3000) for number in range(1, 9)), a_record(9, "w" * 50_000)])
        assert destination.outcome == (10, {})
        assert destination.account.shortened == {"too large": 1}
        assert server.names == numbered(10)
        whole = [run for run in server.runs.values() if len(run["inputs"]["messages"][0]) == 3000]
        assert len(whole) == 8
        assert len(server.ingests) < 20


def test_a_run_that_is_too_large_without_contents_is_dropped_alone() -> None:
    def choose(request: Request) -> Fault | None:
        return Fault(413) if b"run 1" in request.body else None

    with langsmith(choose=choose) as server:
        destination = delivering(server)
        destination.deliver([a_record(number) for number in range(3)])
        assert destination.outcome == (2, {"too large": 1})
        assert server.names == ["run 0", "run 2"]


def test_a_run_that_makes_the_server_fail_takes_no_neighbour_along() -> None:
    def choose(request: Request) -> Fault | None:
        return Fault(500) if b"run 3" in request.body else None

    with langsmith(choose=choose) as server:
        destination = delivering(server)
        for number in range(3):
            destination.deliver([a_record(number)])
        destination.put([a_record(number) for number in range(3, 8)])
        for number in range(8, 40):
            if destination.account.dropped:
                break
            destination.put([a_record(number)])
            assert not destination.sender.flush(0.1) or not destination.waiting
        wait_until(lambda: not destination.waiting)
        assert destination.account.dropped == {"refused:500": 1}
        assert "run 3" not in server.names
        assert {f"run {number}" for number in (0, 1, 2, 4, 5, 6, 7)} <= set(server.names)


def test_retry_after_is_waited_for_and_a_flush_does_not_cut_it_short() -> None:
    with langsmith(faults=[Fault(429, {"Retry-After": "1"})]) as server:
        destination = delivering(server)
        destination.put([a_record()])
        wait_until(lambda: bool(server.ingests))
        begun = time.monotonic()
        assert not destination.sender.flush(0.2)
        assert destination.sender.flush(PATIENCE)
        assert time.monotonic() - begun > 0.7
        assert len(server.ingests) == 2


def test_a_hanging_backend_keeps_its_runs_and_close_is_bounded() -> None:
    with langsmith(always=Fault(hang=True)) as server:
        destination = delivering(server)
        destination.put([a_record(number) for number in range(3)])
        wait_until(lambda: bool(server.ingests))
        begun = time.monotonic()
        destination.sender.finish(begun + 0.3)
        assert not destination.sender.flush(0.2)
        destination.sender.close(0.1)
        assert time.monotonic() - begun < 2
        assert destination.waiting == 3
        server.release.set()


def test_runs_wait_until_the_backend_is_back() -> None:
    port = free_port()
    (transport,) = transports_of(Settings(langsmith_endpoint=f"http://127.0.0.1:{port}"))
    destination = Delivering(transport)
    destination.put([a_record(number) for number in range(30)])
    assert not destination.sender.flush(0.2)
    with langsmith(port=port) as server:
        assert destination.sender.flush(PATIENCE)
        assert destination.outcome == (30, {})
        assert server.names == numbered(30)
        destination.sender.close(1)


# Create and patch.


def open_and_record(destination: Delivering, number: int = 0) -> Record:
    call = a_call(number)
    destination.sender.open([call])
    return a_record(number, call=call)


def test_a_run_that_lasts_is_created_and_patched() -> None:
    with langsmith() as server:
        destination = delivering(server)
        record = open_and_record(destination)
        assert destination.sender.flush(PATIENCE)
        (run,) = server.runs.values()
        assert "end_time" not in run
        assert destination.handed_in == destination.account.exported == 0
        destination.deliver([record])
        assert destination.outcome == (1, {})
        (run,) = server.runs.values()
        assert run["outputs"] == {"answer": "ih"}
        assert run["end_time"] > run["start_time"]
        (patch,) = server.patches.values()
        assert patch["parent_run_id"] is None
        # The next run of the same process is whole again.
        destination.deliver([a_record(1)])
        assert len(server.patches) == 1


def test_create_and_patch_are_folded_while_both_wait() -> None:
    with langsmith(faults=[Fault(503), Fault(503)]) as server:
        destination = Delivering(transport_to(server), pace=Pace(0.2, 0.2))
        destination.put([a_record(9)])
        wait_until(lambda: bool(server.ingests))
        destination.put([open_and_record(destination)])
        assert destination.sender.flush(PATIENCE)
        assert destination.outcome == (2, {})
        assert server.patches == {}
        assert len(server.runs) == 2
        assert all(run["end_time"] for run in server.runs.values())


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("fault", ["taken, then reset", "reset", "500", "429", "late answer"])
def test_no_patch_overtakes_its_create(fault: str, profile: str) -> None:
    with langsmith(PROFILES[profile], faults=list(FAULTS[fault])) as server:
        transport = transport_to(server)
        transport.timeout = 0.3
        destination = Delivering(transport)
        record = open_and_record(destination)
        wait_until(lambda: bool(server.ingests))
        others = [a_record(number) for number in range(1, 8)]
        destination.deliver([*others[:3], record, *others[3:]])
        assert destination.outcome == (8, {})
        assert server.names == numbered(8)
        assert server.complaints == []


def test_the_end_of_a_run_whose_create_was_refused_is_a_create() -> None:
    with langsmith(faults=[Fault(400)]) as server:
        destination = delivering(server)
        record = open_and_record(destination)
        assert destination.sender.flush(PATIENCE)
        destination.deliver([record])
        assert destination.outcome == (1, {})
        assert server.patches == {}
        assert server.names == ["run 0"]


# Several backends, sampling, ids.


def test_several_backends_and_ids_of_their_own() -> None:
    with langsmith() as first, langsmith() as second:
        text = f'[{{"api_url":"{first.url}","api_key":"a"}},{{"api_url":"{second.url}/","api_key":"b","project_name":"proj-b"}}]'
        settings, problems, _ = read({"LANGSMITH_TRACING": "true", "LANGSMITH_RUNS_ENDPOINTS": text})
        assert problems == []
        record = a_record()
        for transport in transports_of(settings):
            assert Delivering(transport).deliver([record]).exported == 1
        run_id = str(UUID(int=record.call.run_id))
        (one,), (other,) = first.runs.values(), second.runs.values()
        assert (one["id"], one["session_name"]) == (run_id, "default")
        assert (other["id"], other["session_name"]) == (derived_id(run_id, "proj-b"), "proj-b")
        assert other["dotted_order"] == one["dotted_order"].replace(run_id, other["id"])
        assert [server.ingests[0].headers["x-api-key"] for server in (first, second)] == ["a", "b"]


def test_with_a_primary_all_others_are_derived() -> None:
    text = '[{"api_url":"http://a","primary":true,"project_name":"p"},{"api_url":"http://b"},{"api_url":"http://c","workspace_id":"w"}]'
    targets = targets_of(Settings(langsmith_runs_endpoints=text))
    assert [target.derived for target in targets] == [False, True, True]
    assert [target.name for target in targets] == ["langsmith", "langsmith 2", "langsmith 3"]
    assert targets[2].workspace == "w"


def test_sampling_is_by_trace_and_counted() -> None:
    with langsmith() as server:
        destination = delivering(server, langsmith_sampling_rate=0.5)
        records = [a_record(number) for number in range(200)]
        destination.deliver(records)
        kept = [str(UUID(int=record.call.trace_id)) for record in records if is_sampled(str(UUID(int=record.call.trace_id)), 0.5)]
        assert sorted(server.runs) == sorted(kept)
        assert destination.account.exported == len(kept)
        assert destination.account.sampled_out == 200 - len(kept)
        assert 50 < len(kept) < 150


@pytest.mark.parametrize(
    ("trace_id", "digest", "bucket"),
    [
        ("01a20782-87c4-77ed-bd28-60881602883b", "b15ca44bb3d7929190789212d903ceed", 114989),
        ("01a20781-e041-77c1-8ffe-165e3258fb59", "e88b6a1234551a37dcf09ed460d38c33", 929011),
        ("00000000-0000-0000-0000-000000000000", "33338c298dfbe459119066baeeeb08e8", 440104),
    ],
)
def test_vectors_of_sampling(trace_id: str, digest: str, bucket: int) -> None:
    assert xxh3_128(trace_id.encode()).hex() == digest
    assert bucket_of(trace_id.upper()) == bucket
    assert is_sampled(trace_id, (bucket + 1) / 1e6)
    assert not is_sampled(trace_id, bucket / 1e6)
    assert is_sampled(trace_id, 1)
    assert not is_sampled(trace_id, 0)


@pytest.mark.parametrize("length", range(17, 129))
def test_the_hash_agrees_with_the_reference(length: int) -> None:
    data = bytes((length * 7 + index * 31) % 256 for index in range(length))
    assert xxh3_128(data) == xxhash.xxh3_128_digest(data)


def test_a_long_project_name_still_derives_ids() -> None:
    first = derived_id("01a20782-87c4-77ed-bd28-60881602883b", "p" * 200)
    assert UUID(first).version == 7
    assert first[:13] == "01a20782-87c4"
    assert first != derived_id("01a20782-87c4-77ed-bd28-60881602883b", "p" * 201)


def test_two_senders_do_not_delay_each_other() -> None:
    with langsmith(always=Fault(hang=True)) as stuck, langsmith() as quick:
        slow, fast = delivering(stuck), delivering(quick)
        slow.put([a_record()])
        wait_until(lambda: bool(stuck.ingests))
        assert fast.deliver([a_record()]).exported == 1
        assert slow.waiting == 1
        stuck.release.set()
        slow.sender.close(1)


def test_a_generation_arrives_as_json(caplog: pytest.LogCaptureFixture) -> None:
    with langsmith() as server:
        record = a_record()
        record.generation = Generation(request={"messages": [{"role": "user", "content": "\ud800"}]}, answer={"score": float("nan")})
        assert delivering(server).deliver([record]).exported == 1
        (run,) = server.runs.values()
        assert run["outputs"]["score"] is None
    assert threading.active_count() < 200
