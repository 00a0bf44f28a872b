"""LangSmith's headers with its real SDK on the other side: what it writes we read, and what we write it reads."""

from __future__ import annotations

import importlib
from typing import Any
from uuid import UUID

import pytest
from langsmith import Client, run_trees

import tracer
from tests.integration.capture_support import PLAIN, create, make_client
from tests.support import record_into
from tracer.call import Call
from tracer.dotted_order import runs_in
from tracer.export.langsmith.run import run_of, start_of
from tracer.reading import read_call
from tracer.replay.server import ReplayServer
from tracer.settings import Settings

# Their types are partly unknown to the checker.
RunTree: Any = run_trees.RunTree
_helpers: Any = importlib.import_module("langsmith.run_helpers")
tracing_context, traceable, get_current_run_tree = _helpers.tracing_context, _helpers.traceable, _helpers.get_current_run_tree

ON = Settings(
    trust_headers=("all",), langsmith_tracing=True, langsmith_key="k", langsmith_endpoint="http://127.0.0.1:9", langsmith_project="ours"
)


class Posted(Client):
    """The SDK's client without a connection: runs end here."""

    def create_run(self, name: str, inputs: Any, run_type: Any, **fields: Any) -> None:
        """Keep what would be sent."""
        posted.append({"name": name, **fields})

    def update_run(self, run_id: Any, **fields: Any) -> None:
        """Only beginnings count here."""


CLIENT = Posted(api_url="http://127.0.0.1:9", api_key="k", auto_batch_tracing=False)
posted: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def nothing_posted() -> None:
    posted.clear()


@pytest.fixture
def ours(calls: list[Call]) -> list[Call]:
    record_into(calls, ON)
    return calls


def hexadecimal(run_id: int) -> str:
    return str(UUID(int=run_id))


def test_what_the_sdk_writes_we_read(ours: list[Call]) -> None:
    root = RunTree(name="root", client=CLIENT, project_name="theirs", tags=["beta", "a b"], extra={"metadata": {"plan": "fr\u00e9e,1"}})
    child = root.create_child(
        "child", tags=["beta", "a b"], extra={"metadata": {"plan": "fr\u00e9e,1", "session_id": "s1", "ls_method": "x"}}
    )
    with tracer.continue_from(child.to_headers()), tracer.trace("job") as run:
        headers = tracer.headers()
    (call,) = ours
    assert (hexadecimal(call.trace_id), hexadecimal(call.parent_run_id or 0)) == (str(root.id), str(child.id))
    assert call.above is not None
    assert call.above.dotted_order == child.dotted_order
    assert (call.tags, call.metadata, call.session) == (("beta", "a b"), {"plan": "fr\u00e9e,1"}, "s1")
    # And on to the next process, where the SDK reads it again.
    again = RunTree.from_headers(headers, client=CLIENT)
    assert again is not None
    assert (again.trace_id, again.parent_run_id, again.id) == (root.id, child.id, run.id)
    assert again.dotted_order.startswith(child.dotted_order + ".")
    assert again.session_name == "theirs"


def test_runs_go_into_the_callers_project(ours: list[Call]) -> None:
    child = RunTree(name="root", client=CLIENT, project_name="theirs").create_child("child")
    with tracer.continue_from(child.to_headers()), tracer.trace("job"), tracer.trace("deep"):
        pass
    with tracer.trace("of our own"):
        pass
    projects = {call.name: [run.session_name for run in (run_of(read_call(call), ON), start_of(call, ON))] for call in ours}
    assert projects == {"job": ["theirs", "theirs"], "deep": ["theirs", "theirs"], "of our own": ["ours", "ours"]}


def test_a_project_from_callers_who_are_not_trusted_is_ignored(calls: list[Call]) -> None:
    record_into(calls, ON.replaced(trust_headers=()))
    headers = RunTree(name="root", client=CLIENT, project_name="theirs").to_headers()
    with tracer.continue_from(headers), tracer.trace("job"):
        pass
    assert run_of(read_call(calls[0]), ON).session_name == "ours"


def test_headers_inside_of_traceable(ours: list[Call]) -> None:
    seen: dict[str, Any] = {}

    @traceable(client=CLIENT)
    def outside() -> None:
        tree = get_current_run_tree()
        assert tree is not None
        seen.update(id=tree.id, headers={name.encode(): value.encode() for name, value in tree.to_headers().items()})

    with tracing_context(enabled=True, project_name="theirs"):
        outside()
    with tracer.continue_from(list(seen["headers"].items())), tracer.trace("job"):
        pass
    assert hexadecimal(ours[0].parent_run_id or 0) == str(seen["id"])


def test_what_we_write_the_sdk_reads(ours: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    said = tracer.context(session="s 1", user="u7", tags=["beta", "x=y"], metadata={"plan": "fr\u00e9e", "n": 1})
    with said, tracer.trace("root") as root, tracer.trace("child") as child:
        headers = tracer.headers()
    tree = RunTree.from_headers(headers, client=CLIENT)
    assert tree is not None
    assert (tree.trace_id, tree.parent_run_id, tree.id) == (root.id, root.id, child.id)
    assert tree.session_name == "ours"
    assert tree.tags == ["beta", "x=y"]
    assert tree.extra["metadata"] == {"plan": "fr\u00e9e", "n": 1, "session_id": "s 1"}
    # The starts in the order are those of our runs, to the microsecond.
    child_call, root_call = ours
    starts = [segment[:-36] for segment in tree.dotted_order.split(".")]
    assert [int(start[-7:-1]) for start in starts] == [call.started_wall // 1000 % 1_000_000 for call in (root_call, child_call)]

    @traceable(client=CLIENT)
    def inside() -> None:
        pass

    monkeypatch.setattr(run_trees, "_CLIENT", CLIENT)
    with tracing_context(enabled=True, parent=headers):
        inside()
    (run,) = posted
    assert (run["trace_id"], run["parent_run_id"]) == (root.id, child.id)
    assert run["dotted_order"].startswith(headers["langsmith-trace"] + ".")
    assert run["session_name"] == "ours"


def test_there_and_back_through_both(ours: list[Call]) -> None:
    with tracer.trace("ours") as first:
        headers = tracer.headers()
    theirs = RunTree.from_headers(headers, client=CLIENT)
    assert theirs is not None
    child = theirs.create_child("theirs")
    with tracer.continue_from({**headers, **child.to_headers()}), tracer.trace("ours again"):
        pass
    again = ours[-1]
    assert first.id is not None
    assert (again.trace_id, again.root_run_id) == (first.id.int, first.id.int)
    assert hexadecimal(again.parent_run_id or 0) == str(child.id)
    assert f"{again.parent_span_id:016x}" == first.span_id
    assert runs_in(child.dotted_order)[:1] == [again.root_run_id]


def test_only_callers_that_are_trusted(calls: list[Call]) -> None:
    record_into(calls, Settings(trust_headers=("10.0.0.0/8",)))
    headers = RunTree(name="root", client=CLIENT).to_headers()
    for client in (None, "11.0.0.1", "10.0.0.1"):
        with tracer.continue_from(headers, client=client), tracer.trace("job"):
            pass
    assert [call.parent_is_remote for call in calls] == [False, False, True]


def test_a_malformed_header_that_would_raise_in_the_sdk(ours: list[Call], caplog: pytest.LogCaptureFixture) -> None:
    headers = {"langsmith-trace": "20261123T082453002678Znonsense", "baggage": "langsmith-metadata=%7B"}
    with pytest.raises(ValueError):
        RunTree.from_headers(headers, client=CLIENT)
    for _ in range(2):
        with tracer.continue_from(headers), tracer.trace("job"):
            pass
    assert [call.parent_is_remote for call in ours] == [False, False]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("asked", [False, True])
def test_the_model_host_gets_them_only_if_asked(ours: list[Call], asked: bool) -> None:
    record_into(ours, ON.replaced(propagators=("tracecontext", "baggage", "b3", "b3multi", "jaeger")))
    with ReplayServer() as server, tracer.context(session="s1", tags=["beta"]), tracer.trace("job"):
        headers = tracer.headers()
        assert len(headers) == 9
        create(tracer.wrap(make_client(server, PLAIN, default_headers=headers if asked else None)), PLAIN)
        sent = {name.lower() for request in server.requests() for name in request.headers}
    assert sent
    assert sent & set(headers) == (set(headers) if asked else set())
