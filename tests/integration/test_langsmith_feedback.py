"""Feedback at a LangSmith-style backend: beside runs or by itself, in every way of negotiating, under every fault, over loopback."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

import pytest
from langsmith import Client
from langsmith.utils import LangSmithWarning

from tests.integration.otlp_support import of_the_export
from tests.langsmith_server import BATCH_ONLY, FULL, NO_ZSTD, PROFILES, Fault, LangSmith, Request, langsmith
from tests.langsmith_version import AS_IT_IS_NOW
from tests.support import Delivering, wait_until
from tests.unit.evaluation_support import some_feedback
from tracer.evaluation import Feedback
from tracer.export.langsmith.destination import FeedbackTransport, feedback_transports_of
from tracer.export.langsmith.evaluations import MOST_UNKNOWN
from tracer.export.langsmith.ids import derived_id
from tracer.settings import Settings


def transport_to(server: LangSmith, **values: Any) -> FeedbackTransport:
    (transport,) = feedback_transports_of(Settings(langsmith_endpoint=server.url, langsmith_key="key", **values))
    return transport


def delivering(server: LangSmith, **values: Any) -> Delivering:
    return Delivering(transport_to(server, **values))


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_gets_it_once(profile: str) -> None:
    with langsmith(PROFILES[profile]) as server:
        destination = delivering(server)
        given = [some_feedback(score=number) for number in range(7)]
        destination.deliver(given)
        assert destination.outcome == (7, {})
        assert sorted(kept["score"] for kept in server.feedback.values()) == list(range(7))
        assert set(server.feedback) == {str(UUID(int=feedback.id)) for feedback in given}
        assert set(server.counts.values()) == {1}
        forms = {(request.path, request.headers.get("content-encoding")) for request in server.ingests}
        # Where nobody says that it may, it does not ride beside runs.
        assert forms == {
            "full": {("/runs/multipart", "zstd")},
            "small limits": {("/runs/multipart", "zstd")},
            "no zstd": {("/runs/multipart", None)},
        }.get(profile, {("/feedback", None)})


def test_an_earlier_server_gets_it_one_by_one() -> None:
    with langsmith({**FULL, "version": "0.8.9"}) as server:
        destination = delivering(server)
        destination.deliver([some_feedback(), some_feedback()])
        assert destination.outcome == (2, {})
        assert [request.path for request in server.ingests] == ["/feedback", "/feedback"]


def test_without_a_trace_it_does_not_ride() -> None:
    with langsmith() as server:
        destination = delivering(server)
        destination.deliver([some_feedback(), some_feedback(root_run_id=0), some_feedback()])
        assert destination.outcome == (3, {})
        assert sorted(request.path for request in server.ingests) == ["/feedback", "/runs/multipart"]
        assert sum("trace_id" in kept for kept in server.feedback.values()) == 2


def test_it_says_what_was_given() -> None:
    feedback = some_feedback(
        key="right", score=0.123456, value={"grade": "B"}, comment="näh \ud83d", correction={"answer": 7}, source="reviewer"
    )
    with langsmith() as server:
        destination = delivering(server)
        destination.deliver([feedback, some_feedback(score=True, source="model")])
        first, second = server.feedback.values()
        run_id = str(UUID(int=feedback.run_id))
        assert {name: value for name, value in first.items() if not name.endswith("_at")} == {
            "id": str(UUID(int=feedback.id)),
            "run_id": run_id,
            "trace_id": run_id,
            "key": "right",
            "score": 0.1235,
            "value": {"grade": "B"},
            "comment": "näh \ufffd",
            "correction": {"answer": 7},
            "feedback_source": {"type": "api", "metadata": {"source": "reviewer"}},
        }
        assert (second["score"], second["feedback_source"]) == (True, {"type": "model"})


@AS_IT_IS_NOW
def test_the_same_as_that_of_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fields of LangSmith's own client, but for times, ids, and nulls."""
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    run_id = UUID(int=some_feedback().run_id)
    said: dict[str, Any] = {"score": 0.123456, "value": "fine", "comment": "so so", "correction": {"answer": 7}}
    scale = {"scale_up_qsize_trigger": 1000, "scale_up_nthreads_limit": 16, "scale_down_nempty_trigger": 4}
    info = {**NO_ZSTD, "batch_ingest_config": {**NO_ZSTD["batch_ingest_config"], **scale}}
    with langsmith(info) as server:
        client: Any = Client(api_url=server.url, api_key="key")
        monkeypatch.setattr("tests.langsmith_server.FEEDBACK_MAY", AnyName())
        with pytest.warns(LangSmithWarning, match="session_id"):
            client.create_feedback(run_id, "right", trace_id=run_id, feedback_source_type="api", **said)
        wait_until(lambda: len(server.feedback) == 1)
        client.cleanup()
        destination = delivering(server)
        destination.deliver([some_feedback(run_id=run_id.int, root_run_id=run_id.int, key="right", **said)])
        theirs, ours = (without_what_differs(kept) for kept in server.feedback.values())
        assert ours == theirs


class AnyName(set[str]):
    """Every name is in it."""

    def __rsub__(self, other: object) -> set[str]:
        return set()


def without_what_differs(kept: dict[str, Any]) -> dict[str, Any]:
    source = {name: value for name, value in kept["feedback_source"].items() if value}
    return {
        **{name: value for name, value in kept.items() if value is not None and name not in ("id", "created_at", "modified_at")},
        "feedback_source": source,
    }


FAULTS: dict[str, list[Fault]] = {
    "429": [Fault(429), Fault(429)],
    "429 with seconds": [Fault(429, {"Retry-After": "0.1"})],
    "500": [Fault(500)],
    "503": [Fault(503)],
    "reset": [Fault(reset=True)],
    "taken, then reset": [Fault(reset=True, taken=True)],
    "late answer": [Fault(202, taken=True, delay=0.8)],
    "there already": [Fault(409, taken=True)],
    "413": [Fault(413)],
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_and_nothing_is_there_twice(fault: str, profile: str, caplog: pytest.LogCaptureFixture) -> None:
    with langsmith(PROFILES[profile], faults=list(FAULTS[fault])) as server:
        transport = transport_to(server)
        transport.timeout = 0.3
        destination = Delivering(transport)
        destination.deliver([some_feedback(comment="fine " * 100, score=number) for number in range(5)])
        assert destination.outcome == (5, {})
        assert sorted(kept["score"] for kept in server.feedback.values()) == list(range(5))
        assert of_the_export(caplog) == []
        destination.sender.close(1)


def test_a_server_without_the_form_gets_it_one_by_one() -> None:
    def refused(request: Request) -> Fault | None:
        return Fault(404) if request.path == "/runs/multipart" else None

    with langsmith(FULL, choose=refused) as server:
        destination = delivering(server)
        destination.deliver([some_feedback(), some_feedback()])
        destination.deliver([some_feedback()])
        assert destination.outcome == (3, {})
        assert [request.path for request in server.ingests] == ["/runs/multipart", "/feedback", "/feedback", "/feedback"]


def test_a_run_that_is_on_its_way_is_waited_for() -> None:
    with langsmith(BATCH_ONLY, faults=[Fault(404), Fault(404)]) as server:
        destination = delivering(server)
        destination.deliver([some_feedback()])
        assert destination.outcome == (1, {})
        assert len(server.ingests) == 3


def test_a_run_that_never_comes_costs_only_its_own(caplog: pytest.LogCaptureFixture) -> None:
    def unknown(request: Request) -> Fault | None:
        return Fault(404) if b'"nowhere"' in request.body else None

    with langsmith(BATCH_ONLY, choose=unknown) as server:
        destination = delivering(server)
        destination.deliver([some_feedback(), some_feedback(key="nowhere"), some_feedback()])
        assert destination.outcome == (2, {"refused:404": 1})
        assert sum(b'"nowhere"' in request.body for request in server.ingests) <= MOST_UNKNOWN
        (line,) = [entry.getMessage() for entry in of_the_export(caplog)]
        assert "refused feedback (HTTP 404" in line
        assert "Check that the run with this id was sent there" in line


@pytest.mark.parametrize("profile", ["full", "batch only"])
def test_one_that_is_refused_costs_no_other(profile: str) -> None:
    def refused(request: Request) -> Fault | None:
        return Fault(422) if b'"odd"' in request.body else None

    with langsmith(PROFILES[profile], choose=refused) as server:
        destination = delivering(server)
        destination.deliver([some_feedback(key="odd" if number == 3 else "fine") for number in range(6)])
        assert destination.outcome == (5, {"refused:422": 1})
        assert len(server.feedback) == 5


def test_a_wrong_key_stops_sending(caplog: pytest.LogCaptureFixture) -> None:
    with langsmith(always=Fault(401)) as server:
        destination = delivering(server)
        destination.deliver([some_feedback()])
        destination.deliver([some_feedback()])
        assert destination.outcome == (0, {"refused:401": 2})
        assert len(server.ingests) == 1
        (line,) = [entry.getMessage() for entry in of_the_export(caplog)]
        assert "Check LANGSMITH_API_KEY." in line


def test_what_is_too_long_is_cut() -> None:
    info = {**FULL, "batch_ingest_config": {"use_multipart_endpoint": True, "size_limit": 100, "size_limit_bytes": 3000}}
    with langsmith(info) as server:
        destination = delivering(server)
        destination.deliver([some_feedback(score=1, comment="ä" * 20_000, correction={"answer": "b" * 5000}), some_feedback(score=2)])
        assert destination.outcome == (2, {})
        assert destination.account.shortened == {"too large": 1}
        first = next(kept for kept in server.feedback.values() if kept["score"] == 1)
        assert "bytes left out" in first["comment"]
        assert "correction" not in first
        assert first["extra"] == {"tracer.content.truncated": True}


def test_it_is_sampled_as_its_trace_is() -> None:
    # Known buckets: docs of the protocol, section 13.
    sampled, left_out = (UUID(text).int for text in ("01a20782-87c4-77ed-bd28-60881602883b", "01a20781-e041-77c1-8ffe-165e3258fb59"))
    with langsmith() as server:
        destination = delivering(server, langsmith_sampling_rate=0.5)
        destination.deliver(
            [
                some_feedback(root_run_id=sampled),
                some_feedback(root_run_id=left_out),
                some_feedback(run_id=sampled, root_run_id=0),
                some_feedback(run_id=left_out, root_run_id=0),
            ]
        )
        assert (destination.account.exported, destination.account.sampled_out) == (2, 2)
        assert len(server.feedback) == 2


def test_in_a_further_project_it_is_about_the_run_as_it_is_called_there() -> None:
    feedback: Feedback = some_feedback()
    entries = '[{"api_url":"%s","api_key":"a"},{"api_url":"%s","api_key":"b","project_name":"other"}]'
    with langsmith() as first, langsmith() as second:
        settings = Settings(langsmith_runs_endpoints=entries % (first.url, second.url), langsmith_project="lab")
        for transport in feedback_transports_of(settings):
            Delivering(transport).deliver([feedback])
        (kept,), (derived,) = first.feedback.values(), second.feedback.values()
        assert kept["run_id"] == str(UUID(int=feedback.run_id))
        assert derived["run_id"] == derived["trace_id"] == derived_id(kept["run_id"], "other")
        assert derived["id"] == derived_id(kept["id"], "other")


def test_two_threads_share_nothing() -> None:
    """Runs and feedback go out at the same time over connections of their own."""
    with langsmith() as server:
        destinations = [delivering(server) for _ in range(2)]
        threads = [threading.Thread(target=destination.deliver, args=([some_feedback()],)) for destination in destinations]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [destination.outcome for destination in destinations] == [(1, {}), (1, {})]
