"""`tracer.run_url`: the page of a run, as LangSmith's own client says it, asked for once, and never more than asked for."""

from __future__ import annotations

import time
import warnings
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import pytest
from langsmith import Client, schemas, utils

import tracer
from tests.langsmith_server import LangSmith, langsmith
from tests.langsmith_version import AS_IT_IS_NOW
from tests.support import PATIENCE, closed_port
from tracer.export.langsmith.pages import web_address
from tracer.scope import new_run_id

TENANT, PROJECT = (str(UUID(int=number)) for number in (1, 2))
PROJECTS = {name: {"id": PROJECT, "tenant_id": TENANT, "name": name} for name in ("lab", "a b&c")}
RUN_ID = UUID(int=new_run_id())


def configured(server: LangSmith, **values: Any) -> None:
    tracer.configure(**{"langsmith_tracing": True, "langsmith_key": "key", "langsmith_endpoint": server.url, "quiet": True, **values})


def asked(server: LangSmith) -> list[str]:
    return [request.path for request in server.requests if request.path.startswith("/sessions")]


@pytest.mark.usefixtures("fresh_runtime")
@pytest.mark.parametrize("project", PROJECTS)
def test_the_page_is_that_of_the_sdk_and_is_asked_for_once(project: str) -> None:
    with langsmith(projects=PROJECTS) as server:
        configured(server, langsmith_project=project)
        with tracer.trace("answer") as run:
            pass
        assert run.id is not None
        expected = f"http://localhost/o/{TENANT}/projects/p/{PROJECT}/r/{run.id}?poll=true"
        for which in (run, run.id, str(run.id)):
            assert tracer.run_url(which) == expected
        assert len(asked(server)) == 1
        tracer.shutdown(5)
        assert expected == of_the_sdk(server, run.id)


def of_the_sdk(server: LangSmith, run_id: UUID) -> str:
    client: Any = Client(api_url=server.url, api_key="key", auto_batch_tracing=False)
    client._tenant_id = UUID(TENANT)
    made: Any = schemas.RunBase
    run = made(id=run_id, name="answer", start_time=datetime.now(timezone.utc), run_type="chain", trace_id=run_id)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(client.get_run_url(run=run, project_id=PROJECT))


@pytest.mark.usefixtures("fresh_runtime")
def test_below_a_trusted_caller_it_is_in_the_callers_project() -> None:
    with langsmith(projects=PROJECTS) as server:
        configured(server, langsmith_project="other", trust_headers="all")
        headers = {
            "langsmith-trace": f"20261123T082453002678Z{RUN_ID}",
            "baggage": "langsmith-project=lab",
        }
        with tracer.continue_from(headers), tracer.trace("answer") as run:
            pass
        assert tracer.run_url(run) is not None
        assert "name=lab" in asked(server)[0]


TROUBLES: list[tuple[dict[str, Any], str]] = [
    ({"projects": {}}, "knows no project 'lab' yet."),
    ({"projects": PROJECTS, "info_status": 500}, "does not say where the project 'lab' is (HTTP 500)."),
]


@pytest.mark.usefixtures("fresh_runtime")
@pytest.mark.parametrize(("values", "words"), TROUBLES)
def test_what_is_not_known_is_one_line(values: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture) -> None:
    with langsmith(**values) as server:
        configured(server, langsmith_project="lab")
        assert [tracer.run_url(RUN_ID) for _ in range(3)] == [None] * 3
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith(f"tracer: the page of a run is not known: LangSmith endpoint {server.url} ")
        assert line.endswith(words)
        assert len(asked(server)) == 1


@pytest.mark.usefixtures("fresh_runtime")
def test_a_project_with_half_a_character_in_its_name_is_that_in_which_its_runs_are() -> None:
    with langsmith(projects={"l\ufffdb": PROJECTS["lab"]}) as server:
        configured(server, langsmith_project="l\udcffb")
        with tracer.trace("answer") as run:
            pass
        assert tracer.run_url(run) is not None
        assert tracer.flush(PATIENCE)
        assert [kept["session_name"] for kept in server.runs.values()] == ["l\ufffdb"]


@pytest.mark.usefixtures("fresh_runtime")
def test_it_is_asked_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracer.export.langsmith.pages.AGAIN", 0.0)
    with langsmith() as server:
        configured(server, langsmith_project="lab")
        assert tracer.run_url(RUN_ID) is None
        server.projects = PROJECTS
        assert tracer.run_url(RUN_ID) is not None


@pytest.mark.usefixtures("fresh_runtime")
def test_a_backend_that_is_away_does_not_hold_it_up(caplog: pytest.LogCaptureFixture) -> None:
    with langsmith() as server:
        configured(server, langsmith_endpoint=f"http://127.0.0.1:{closed_port()}")
        begun = time.monotonic()
        assert tracer.run_url(RUN_ID) is None
        assert time.monotonic() - begun < 10
        assert "cannot be asked for the project" in caplog.text


@pytest.mark.usefixtures("fresh_runtime")
def test_without_such_a_backend_nothing_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    assert tracer.run_url(RUN_ID) is None
    assert caplog.records == []


@pytest.mark.usefixtures("fresh_runtime")
def test_what_is_no_run(caplog: pytest.LogCaptureFixture) -> None:
    with langsmith(projects=PROJECTS) as server:
        configured(server)
        with pytest.raises(TypeError, match="run is of type int"):
            tracer.run_url(7)  # type: ignore[arg-type]
        assert tracer.run_url("nonsense") is None
        assert "which is no run id" in caplog.text
        assert asked(server) == []


@AS_IT_IS_NOW
@pytest.mark.parametrize(
    "api",
    [
        "https://api.smith.langchain.com",
        "https://eu.api.smith.langchain.com",
        "https://traces.example.com/api",
        "https://traces.example.com/base/api/v1",
        "http://localhost:1984",
        "http://127.0.0.1:1984",
    ],
)
def test_the_address_for_people_is_that_of_the_sdk(api: str) -> None:
    assert web_address(api) == utils.get_host_url(None, api)


def test_a_host_that_is_not_the_hosted_service_stays_itself() -> None:
    assert web_address("https://user:secret@traces.example.com:8443") == "https://traces.example.com:8443"
