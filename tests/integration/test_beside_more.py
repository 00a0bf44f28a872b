"""Beside Sentry's and LangSmith's instrumentation of OpenAI's SDK and that of the HTTP library, put in before and after ours."""

# LangSmith's and Sentry's types say less than their objects hold.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

import pytest

pytest.importorskip("sentry_sdk", reason="needs sentry-sdk")
pytest.importorskip("langsmith", reason="needs langsmith")
pytest.importorskip("opentelemetry.instrumentation.httpx", reason="needs opentelemetry-instrumentation-httpx")

import tracer
from tests.integration.capture_support import (
    HTTP,
    PLAIN,
    RESPONSES_STREAM,
    STREAM,
    STREAM_USAGE,
    Calls,
    capturing,
    close_http_clients,
    create,
    make_client,
    need,
)
from tests.integration.host_support import application, id_of, no_host_left, parent_of
from tests.integration.outcomes import Outcome, raised
from tests.integration.test_beside import sdk_put_back, usages
from tracer.capture.whole_process import instrument_all, uninstrument_all
from tracer.capture.wrapping import traced
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer

sentry: Any = importlib.import_module("sentry_sdk")
langsmith: Any = importlib.import_module("langsmith")

Records = Callable[[], list[Any]]
"""What the other one recorded, without ids and times."""


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


async def run(client: Any, record: str, asynchronous: bool) -> Outcome:
    outcome = Outcome()
    try:
        result = await create(client, record) if asynchronous else create(client, record)
        if hasattr(result, "__anext__"):
            await outcome.take_async(result)
        elif hasattr(result, "__next__"):
            outcome.take(result)
        else:
            outcome.keep(result)
    except Exception as error:
        outcome.error = raised(error)
    return outcome


class Vendor:
    """Another instrumentation: `on` puts it into the process for a while, `on_client` into a client."""

    def on(self) -> AbstractContextManager[Records]:
        raise NotImplementedError

    def on_client(self, client: Any) -> Any:
        return client


class Sentry(Vendor):
    """Sentry's integration patches the resources' classes; what it has to send is kept."""

    @contextmanager
    def on(self) -> Generator[Records, None, None]:
        integrations: Any = importlib.import_module("sentry_sdk.integrations")
        integration: Any = importlib.import_module("sentry_sdk.integrations.openai").OpenAIIntegration
        sent: list[Any] = []

        class Kept(cast("type[Any]", importlib.import_module("sentry_sdk.transport").Transport)):
            def capture_envelope(self, envelope: Any) -> None:
                sent.append(envelope)

        with sdk_put_back():
            # Each is set up once in a process, but what it patched was put back.
            for known in (integrations._processed_integrations, integrations._installed_integrations):
                known.discard(integration.identifier)
            sentry.init(
                dsn="http://key@127.0.0.1:9/1",
                transport=Kept,
                integrations=[integration()],
                default_integrations=False,
                auto_enabling_integrations=False,
                traces_sample_rate=1.0,
            )
            try:
                with sentry.start_transaction(name="program"):
                    yield lambda: self._spans(sent)
            finally:
                sentry.get_client().close(0)
                sentry.get_global_scope().set_client(None)

    @staticmethod
    def _spans(sent: list[Any]) -> list[Any]:
        sentry.get_current_scope().transaction.finish()
        items = [json.loads(item.payload.get_bytes()) for envelope in sent for item in envelope.items if item.type == "span"]
        spans: list[Any] = [span for item in items for span in item["items"]]
        return [(span["name"], span["status"], _without_times(span["attributes"])) for span in spans]


def _without_times(attributes: dict[str, Any]) -> dict[str, Any]:
    changing = ("thread", "time_to_first", "segment.id", "release")
    return {name: value for name, value in attributes.items() if not any(part in name for part in changing)}


class LangSmith(Vendor):
    """LangSmith's wrapper puts functions into a client's resources; its runs are kept."""

    def __init__(self) -> None:
        self._client: Any = None

    @contextmanager
    def on(self) -> Generator[Records, None, None]:
        sent: list[dict[str, Any]] = []

        class Kept(cast("type[Any]", langsmith.Client)):
            def request_with_retries(self, method: str, pathname: str, **arguments: Any) -> None:
                sent.append({"method": method, **json.loads(arguments["request_kwargs"]["data"])})

        self._client = Kept(api_url="http://127.0.0.1:9", api_key="none", auto_batch_tracing=False, info={})
        with langsmith.tracing_context(enabled=True, client=self._client):
            yield lambda: [(run["method"], run.get("name"), run.get("run_type"), run.get("inputs"), run.get("outputs")) for run in sent]

    def on_client(self, client: Any) -> Any:
        return importlib.import_module("langsmith.wrappers").wrap_openai(client, tracing_extra={"client": self._client})


VENDORS: dict[str, type[Vendor]] = {"Sentry": Sentry, "LangSmith": LangSmith}
ORDERS = ("wrapped before", "wrapped after", "instrumented before", "instrumented after")


@pytest.mark.filterwarnings("default")  # Of Sentry and LangSmith.
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("record", [PLAIN, STREAM, STREAM_USAGE, RESPONSES_STREAM, "refused"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_results_and_their_records_are_the_same_and_tokens_count_once(
    captured: Calls, server: ReplayServer, vendor: str, order: str, record: str, asynchronous: bool
) -> None:
    behaviour = Behaviour(fail=9, status=400) if record == "refused" else None
    record = PLAIN if record == "refused" else record

    def client() -> Any:
        return make_client(server, record, behaviour, asynchronous=asynchronous, max_retries=0)

    bare = await run(client(), record, asynchronous)
    with capturing("off") as alone:
        assert await run(traced(client()), record, asynchronous) == bare
    truth = usages(alone)
    assert len(truth) == 1
    theirs_alone, theirs = VENDORS[vendor](), VENDORS[vendor]()
    with capturing("off"), theirs_alone.on() as expected:
        with_theirs = await run(theirs_alone.on_client(client()), record, asynchronous)
        expected_records = expected()
    assert expected_records
    with capturing("off") as calls:
        ours = client()
        if order == "wrapped before":
            ours = traced(ours)
        elif order == "instrumented before":
            instrument_all()
        try:
            with theirs.on() as found:
                ours = theirs.on_client(ours)
                if order == "wrapped after":
                    ours = traced(ours)
                elif order == "instrumented after":
                    instrument_all()
                together = await run(ours, record, asynchronous)
                found_records = found()
        finally:
            uninstrument_all()
        assert together == with_theirs
        assert found_records == expected_records
        assert usages(calls) == truth
        assert [call.ending for call in calls] == [call.ending for call in alone]


# The HTTP library's spans.


def http_instrumentor() -> Any:
    module: Any = importlib.import_module("opentelemetry.instrumentation.httpx")
    name = "HTTPX2ClientInstrumentor" if HTTP.__name__ == "httpx2" else "HTTPXClientInstrumentor"
    need(hasattr(module, name), f"instrumentation of {HTTP.__name__}", module.__class__ if not hasattr(module, "__version__") else module)
    return getattr(module, name)()


@pytest.fixture
async def clients_closed() -> AsyncIterator[None]:
    yield
    await close_http_clients()


@pytest.mark.usefixtures("no_variables", "clients_closed")
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("record", [PLAIN, STREAM, RESPONSES_STREAM])
@pytest.mark.parametrize("order", [*ORDERS, "their client before", "their client after"])
async def test_requests_are_spans_below_ours(server: ReplayServer, order: str, record: str, asynchronous: bool) -> None:
    with no_host_left():
        bare = await run(make_client(server, record, asynchronous=asynchronous), record, asynchronous)
    instrumentor = http_instrumentor()
    with application() as app:
        tracer.configure(quiet=True)
        client = make_client(server, record, asynchronous=asynchronous)
        of_client = order.startswith("their client")
        ours_first = order.endswith(("wrapped before", "instrumented before", "client after"))
        try:
            for who in ("ours", "theirs") if ours_first else ("theirs", "ours"):
                if who == "theirs" and of_client:
                    instrumentor.instrument_client(client._client, tracer_provider=app.provider)
                elif who == "theirs":
                    instrumentor.instrument(tracer_provider=app.provider)
                elif order.startswith("instrumented"):
                    tracer.instrument()
                else:
                    client = tracer.wrap(client)
            with app.tracer.start_as_current_span("program") as program:
                assert await run(client, record, asynchronous) == bare
        finally:
            tracer.uninstrument()
            if not of_client:
                instrumentor.uninstrument()
        (request,) = [span for span in app.spans if span.name == "POST"]
        (call,) = [span for span in app.spans if (span.attributes or {}).get("gen_ai.operation.name")]
        assert parent_of(request) == id_of(call)
        assert parent_of(call) == program.get_span_context().span_id
        assert len(app.spans) == 3
