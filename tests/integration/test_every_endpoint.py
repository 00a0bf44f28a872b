"""Every method of the SDKs' resources, bare and wrapped: the same request, the same result, and one record of the right name."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic._resource import SyncAPIResource as AnthropicResource  # pyright: ignore[reportPrivateUsage]
from openai._resource import SyncAPIResource as OpenAIResource  # pyright: ignore[reportPrivateUsage]

import tracer
from tests.integration.capture_support import Calls, async_http_client, capturing, close_http_clients, http_client
from tests.integration.endpoint_support import PRIVATE, AnyServer, Method, Sent, answer_of, any_server, arguments_of, methods_of
from tests.support import ROOT
from tracer.export.langsmith.run import run_of
from tracer.export.spans import spans_of
from tracer.reading import read_call
from tracer.reading.facts import FACTS, PARAMETERS
from tracer.settings import Settings

OPERATIONS = {
    "POST /chat/completions": "chat",
    "POST /responses": "chat",
    "POST /responses/compact": "chat",
    "POST /v1/messages": "chat",
    "POST /completions": "text_completion",
    "POST /embeddings": "embeddings",
    "POST /images/generations": "generate_content",
    "POST /images/edits": "generate_content",
    "POST /images/variations": "generate_content",
    "POST /audio/speech": "generate_content",
    "POST /audio/transcriptions": "generate_content",
    "POST /audio/translations": "generate_content",
    "POST /videos": "generate_content",
    "POST /videos/edits": "generate_content",
    "POST /videos/extensions": "generate_content",
    "POST /videos/{id}/remix": "generate_content",
    "POST /moderations": "moderation",
    "POST /decisions": "decision",
    "POST /vector_stores/{id}/search": "retrieval",
    "GET /responses/{id}": "fetch_response",
    "GET /chat/completions/{id}": "fetch_response",
    "GET /threads/{id}/runs/{id}": "fetch_response",
    "POST /threads/runs": "invoke_agent",
    "POST /threads/{id}/runs": "invoke_agent",
    "POST /threads/{id}/runs/{id}/submit_tool_outputs": "invoke_agent",
    "POST /assistants": "create_agent",
    "POST /agents": "create_agent",
    "POST /v1/agents": "create_agent",
}
"""Every other endpoint has none."""

PLACES = (
    "url.path",
    "gen_ai.request.model",
    "gen_ai.conversation.id",
    "tracer.response.id",
    "tracer.response.status",
    "tracer.response.model",
    "tracer.response.object",
    "tracer.response.purpose",
    "tracer.response.expires_at",
    "tracer.response.seconds",
    "tracer.response.size",
)
"""Of endpoints without an operation, attributes that may hold a text of the request or the answer, beside allow-listed ones."""

ASKED = ("tracer.request.input_file_id", "tracer.request.language", "tracer.request.mime_type", "tracer.request.training_file")

SYNC: dict[str, Any] = {"openai": openai.OpenAI, "anthropic": anthropic.Anthropic}
ASYNC: dict[str, Any] = {"openai": openai.AsyncOpenAI, "anthropic": anthropic.AsyncAnthropic}
KEYS: dict[str, Any] = {"api_key": "none", "max_retries": 0}


LOOKED_AT = {sdk: kind(**KEYS) for sdk, kind in SYNC.items()}
"""Clients that send nothing."""

METHODS = {
    "openai": list(methods_of(LOOKED_AT["openai"], OpenAIResource)),
    "anthropic": list(methods_of(LOOKED_AT["anthropic"], AnthropicResource)),
}
ROWS = [
    pytest.param(sdk, method, asynchronous, id=f"{sdk}-{method.name}-{'async' if asynchronous else 'sync'}")
    for sdk, methods in METHODS.items()
    for method in methods
    for asynchronous in (False, True)
    # Hundreds of methods for administrators, which differ in nothing but their paths, are called once.
    if not (asynchronous and "organization." in method.name)
]


@pytest.fixture(scope="module")
def server() -> Iterator[AnyServer]:
    with any_server() as running:
        yield running


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    with capturing() as captured:
        yield captured
    await close_http_clients()


def client_at(server: AnyServer, sdk: str, *, asynchronous: bool) -> Any:
    """A bare client at the server."""
    kind = (ASYNC if asynchronous else SYNC)[sdk]
    more: dict[str, Any] = {"admin_api_key": "none"} if "admin_api_key" in inspect.signature(kind).parameters else {}
    http = async_http_client() if asynchronous else http_client()
    return kind(**KEYS, **more, base_url=f"{server.address}/v1" if sdk == "openai" else server.address, http_client=http)


async def shown(result: Any) -> Any:
    """A result as something that can be compared."""
    if hasattr(result, "model_dump"):
        return type(result), result.model_dump(warnings=False)
    if hasattr(result, "read"):
        read = result.read()
        return type(result), await read if inspect.isawaitable(read) else read
    if hasattr(result, "__aiter__"):
        return type(result), [item async for item in result]
    iterates = hasattr(result, "__iter__") and not isinstance(result, str | bytes)
    return type(result), [*result] if iterates else result


async def outcome(function: Any, arguments: tuple[list[Any], dict[str, Any]]) -> Any:
    positional, named = arguments
    try:
        result = function(*positional, **named)
        return await shown(await result if inspect.isawaitable(result) else result)
    except Exception as error:
        return type(error), str(error), type(error.__cause__), type(error.__context__)


async def compared(server: AnyServer, client: Any, method: Method, answer: tuple[str, bytes], status: int = 200) -> tuple[Any, list[Sent]]:
    """The outcome and the requests of the wrapped client, which are those of the bare one."""
    server.lay(*answer, status)
    function = method.of(client)
    arguments = arguments_of(function)
    bare = await outcome(function, arguments)
    sent = server.taken()
    wrapped = await outcome(method.of(tracer.wrap(client)), arguments)
    assert wrapped == bare
    again = server.taken()
    assert again == sent
    return bare, again


def check_record(calls: Calls, method: Method, sent: list[Sent]) -> None:
    """One record, with the operation and the name that the endpoint has, and no text of the body in it that is not on a list."""
    assert len(sent) == 1
    record = read_call(calls.only())
    span = spans_of(record, Settings())[0]
    operation = OPERATIONS.get(method.route)
    assert record.generation is not None
    assert record.generation.problems == []
    assert span.attributes.get("gen_ai.operation.name") == operation
    if operation is None:
        assert span.name == method.route
        assert span.attributes["url.template"] == method.template
        assert span.attributes["http.request.method"] == method.verb
        told = {name for name, value in span.attributes.items() if PRIVATE in str(value)}
        assert {name for name in told if not name.startswith("tracer.request.")} <= set(PLACES)
        assert {name for name in told if name.startswith("tracer.request.")} <= set(ASKED)
        run = run_of(record, Settings())
        asked, answered = json.loads(run.inputs or b"{}"), json.loads(run.outputs or b"{}")
        assert {name for name, value in asked.items() if PRIVATE in str(value)} <= {name.rpartition(".")[2] for name in (*ASKED, *PLACES)}
        assert {name for name, value in answered.items() if PRIVATE in str(value)} <= {name.rpartition(".")[2] for name in PLACES}
    else:
        assert span.name.split(" ")[0] == operation
        if operation != "create_agent":
            assert PRIVATE not in span.name.replace(f"model-{PRIVATE}-1", "")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("sdk", "method", "asynchronous"), ROWS)
async def test_nothing_differs_and_one_record_is_made(
    sdk: str, method: Method, asynchronous: bool, server: AnyServer, calls: Calls
) -> None:
    client = client_at(server, sdk, asynchronous=asynchronous)
    found, sent = await compared(server, client, method, answer_of(method.of(LOOKED_AT[sdk])))
    assert not (isinstance(found[0], type) and issubclass(found[0], Exception)), found
    check_record(calls, method, sent)


def test_the_methods_are_found() -> None:
    assert len(METHODS["openai"]) > 100
    assert {method.route for methods in METHODS.values() for method in methods} >= set(OPERATIONS) - {"POST /agents", "POST /v1/agents"}
    assert asyncio.iscoroutinefunction(ASYNC["openai"](**KEYS, http_client=async_http_client()).files.create)


def test_the_page_of_endpoints_says_what_is_so() -> None:
    text = (ROOT / "docs" / "endpoints.md").read_text("utf-8")
    table = text.partition("## Which operation")[2].partition("**Not traced")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| ")]
    told: dict[str, str] = {}
    for endpoints, operation in rows[1:-1]:
        verb = endpoints.split()[0]
        told |= {f"{verb} {path}": operation.split("`")[1].split()[0] for path in re.findall(r"`(/[^`]+)`", endpoints)}
    # Newer versions of Anthropic's SDK have no method for it any more.
    assert told.pop("POST /v1/complete") == "text_completion"
    assert told == OPERATIONS
    for title, names in (("Parameters", PARAMETERS), ("Facts", FACTS)):
        paragraph = re.search(rf"^{title}: (.*?)\n\n", text, re.DOTALL | re.MULTILINE)
        assert paragraph is not None
        assert tuple(re.findall(r"`(\w+)`", paragraph.group(1))) == names
