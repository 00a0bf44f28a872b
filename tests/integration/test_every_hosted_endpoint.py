"""Every method over the clients for other hosts: Azure with a deployment or a model that names it, Anthropic's at other clouds."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest
from anthropic._resource import SyncAPIResource as AnthropicResource  # pyright: ignore[reportPrivateUsage]
from openai._resource import SyncAPIResource as OpenAIResource  # pyright: ignore[reportPrivateUsage]
from openai.lib.azure import _deployments_endpoints as deployment_paths  # pyright: ignore[reportPrivateUsage]

import tracer
from tests.integration.capture_support import Calls, async_http_client, captured_calls, http_client
from tests.integration.endpoint_checks import check_record, compared
from tests.integration.endpoint_support import PRIVATE, AnyServer, Method, answer_of, methods_of, serving_anything
from tracer.call import FAILED

VERSION = "2024-10-21"
DEPLOYMENT = "heron"
MODEL = f"model-{PRIVATE}-1"
"""As the made-up arguments name it."""
AZURE = {False: openai.AzureOpenAI, True: openai.AsyncAzureOpenAI}
LOOKED_AT: Any = openai.AzureOpenAI(api_key="none", azure_endpoint="http://127.0.0.1", api_version=VERSION)
"""Sends nothing."""
# Azure has no administration of organizations.
METHODS = [method for method in methods_of(LOOKED_AT, OpenAIResource) if "organization." not in method.name]


server = pytest.fixture(scope="module")(serving_anything)
calls = pytest.fixture(captured_calls)


# Azure.


WAYS = [
    pytest.param(method, deployment, asynchronous, id="-".join((method.name, deployment or "model", "async" if asynchronous else "sync")))
    for method in METHODS
    for deployment, asynchronous in ((DEPLOYMENT, False), (None, True), (DEPLOYMENT, True), (None, False))
    # Where a deployment makes no difference, each kind of client is asked once.
    if method.template in deployment_paths or asynchronous == (deployment is None)
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("method", "deployment", "asynchronous"), WAYS)
async def test_azure(method: Method, deployment: str | None, asynchronous: bool, server: AnyServer, calls: Calls) -> None:
    http: Any = async_http_client() if asynchronous else http_client()
    client: Any = AZURE[asynchronous](
        api_key="none", max_retries=0, azure_endpoint=server.address, azure_deployment=deployment, api_version=VERSION, http_client=http
    )
    found, sent = await compared(server, client, method, answer_of(method.of(LOOKED_AT)))
    assert not (isinstance(found[0], type) and issubclass(found[0], Exception)), found
    path, _, query = sent[0].path.partition("?")
    assert f"api-version={VERSION}" in query
    recorded = check_record(calls, method, sent)
    assert recorded["gen_ai.provider.name"] == "azure.ai.openai"
    assert recorded["server.address"] == "127.0.0.1"
    assert recorded["tracer.request.api_version"] == VERSION
    if method.template not in deployment_paths:
        # Older SDKs put the deployment before every path.
        assert path.startswith("/openai/")
        return
    if deployment is None and MODEL.encode() not in sent[0].body:
        assert path == f"/openai{method.template}"
        return
    # Without a deployment of its own, the client takes the model for one.
    model = MODEL if deployment is None else deployment
    assert path == f"/openai/deployments/{model}{method.template}"
    if deployment is None:
        assert recorded["gen_ai.request.model"] == model


def test_the_caller_may_ask_for_another_version(server: AnyServer, calls: Calls) -> None:
    client = tracer.wrap(openai.AzureOpenAI(api_key="none", azure_endpoint=server.address, api_version=VERSION, http_client=http_client()))
    server.lay("application/json", b"{}")
    client.files.list(extra_query={"api-version": "preview"})
    client.with_options(api_version="2025-01-01").files.list()
    assert [call.api_version for call in calls] == ["preview", "2025-01-01"]
    assert [sent.path for sent in server.taken()] == [f"/openai/files?api-version={call.api_version}" for call in calls]


# Anthropic's models at other clouds.


@dataclass(frozen=True, slots=True)
class Host:
    """A client class of Anthropic's SDK for another cloud, and what it needs to ask without that cloud's own packages."""

    kind: str
    arguments: dict[str, Any]
    provider: str

    def client(self, **more: Any) -> Any:
        """A bare client, sync or async."""
        kind = getattr(anthropic, f"Async{self.kind}" if more.pop("asynchronous", False) else self.kind)
        return kind(**self.arguments, max_retries=0, **more)

    @property
    def missing(self) -> str | None:
        """Why it cannot be made with this version."""
        kind = getattr(anthropic, self.kind, None)
        if kind is None:
            return f"anthropic {anthropic.__version__} has no {self.kind}"
        lacks = set(self.arguments) - set(inspect.signature(kind).parameters)
        return f"anthropic {anthropic.__version__}: {self.kind} takes no {', '.join(sorted(lacks))}" if lacks else None


HOSTS = (
    Host("AnthropicBedrock", {"api_key": "none", "aws_region": "eu-west-1"}, "aws.bedrock"),
    Host("AnthropicBedrockMantle", {"api_key": "none", "aws_region": "eu-west-1"}, "aws.bedrock"),
    Host("AnthropicVertex", {"region": "europe-west1", "project_id": "p", "access_token": "none"}, "gcp.vertex_ai"),
    Host("AnthropicFoundry", {"api_key": "none"}, "anthropic"),
    Host("AnthropicAWS", {"api_key": "none", "aws_region": "eu-west-1", "workspace_id": "w"}, "anthropic"),
    Host("AnthropicGoogleCloud", {"project": "p", "location": "europe-west1", "workspace_id": "w", "skip_auth": True}, "anthropic"),
)


def hosted() -> Iterator[Any]:
    """Hosts and methods."""
    for host in HOSTS:
        if host.missing:
            yield pytest.param(host, None, id=host.kind, marks=pytest.mark.skip(reason=host.missing))
            continue
        for method in methods_of(host.client(base_url="http://127.0.0.1"), AnthropicResource):
            # The others go the same way as over Anthropic's own client, to the same paths.
            if not re.search("messages|models|files|completions", method.name):
                continue
            yield pytest.param(host, method, id=f"{host.kind}-{method.name}")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("host", "method"), list(hosted()))
async def test_anthropic_at_other_clouds(host: Host, method: Method, asynchronous: bool, server: AnyServer, calls: Calls) -> None:
    http: Any = async_http_client() if asynchronous else http_client()
    client = host.client(asynchronous=asynchronous, base_url=server.address, http_client=http)
    looked_at = host.client(base_url=server.address)
    found, sent = await compared(server, client, method, answer_of(method.of(looked_at)))
    if not sent:
        # The SDK itself refuses what this cloud does not have.
        assert issubclass(found[0], Exception)
        assert calls.only().ending == FAILED
        return
    recorded = check_record(calls, method, sent)
    # At an address that says nothing, only newer SDKs know whose cloud it is.
    assert recorded["gen_ai.provider.name"] == (host.provider if hasattr(client, "_gen_ai_provider_name") else "anthropic")
    assert recorded["server.address"] == "127.0.0.1"
