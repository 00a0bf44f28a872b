"""Every method of the SDKs' resources, bare and wrapped: the same request, the same result, and one record of the right name."""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import Any

import anthropic
import openai
import pytest
from anthropic._resource import SyncAPIResource as AnthropicResource  # pyright: ignore[reportPrivateUsage]
from openai._resource import SyncAPIResource as OpenAIResource  # pyright: ignore[reportPrivateUsage]

from tests.integration.capture_support import Calls, async_http_client, captured_calls, http_client, need
from tests.integration.endpoint_checks import OPERATIONS, check_record, compared
from tests.integration.endpoint_support import AnyServer, Method, answer_of, methods_of, serving_anything
from tests.support import ROOT
from tracer.reading.facts import FACTS, PARAMETERS

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


server = pytest.fixture(scope="module")(serving_anything)
calls = pytest.fixture(captured_calls)


def client_at(server: AnyServer, sdk: str, *, asynchronous: bool) -> Any:
    """A bare client at the server."""
    kind = (ASYNC if asynchronous else SYNC)[sdk]
    more: dict[str, Any] = {"admin_api_key": "none"} if "admin_api_key" in inspect.signature(kind).parameters else {}
    http = async_http_client() if asynchronous else http_client()
    return kind(**KEYS, **more, base_url=f"{server.address}/v1" if sdk == "openai" else server.address, http_client=http)


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
    assert len(METHODS["openai"]) > 60
    assert {"POST /chat/completions", "POST /v1/messages"} <= {method.route for methods in METHODS.values() for method in methods}
    assert asyncio.iscoroutinefunction(ASYNC["openai"](**KEYS, http_client=async_http_client()).files.create)


def test_every_operation_is_one_of_a_method() -> None:
    need(hasattr(LOOKED_AT["openai"], "responses"), "responses")
    assert len(METHODS["openai"]) > 100
    found = {method.route for methods in METHODS.values() for method in methods}
    # Newer versions of Anthropic's SDK have no method for the last any more.
    assert found >= set(OPERATIONS) - {"POST /agents", "POST /v1/agents", "POST /v1/complete"}


def test_the_page_of_endpoints_says_what_is_so() -> None:
    text = (ROOT / "docs" / "endpoints.md").read_text("utf-8")
    table = text.partition("## Which operation")[2].partition("**Not traced")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| ")]
    told: dict[str, str] = {}
    for endpoints, operation in rows[1:-1]:
        verb = endpoints.split()[0]
        told |= {f"{verb} {path}": operation.split("`")[1].split()[0] for path in re.findall(r"`(/[^`]+)`", endpoints)}
    assert told == OPERATIONS
    for title, names in (("Parameters", PARAMETERS), ("Facts", FACTS)):
        paragraph = re.search(rf"^{title}: (.*?)\n\n", text, re.DOTALL | re.MULTILINE)
        assert paragraph is not None
        assert tuple(re.findall(r"`(\w+)`", paragraph.group(1))) == names
