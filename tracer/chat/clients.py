"""The two clients of a chat model: the one that was given, and the one for the other kind of call, made from its settings.

Settings of an SDK client are read from its fields, by name, as far as its version has them. What cannot be carried over (a custom
HTTP client, an async key provider for a sync client, a subclass with ways of its own) is said in an error when the other client is
first needed, never before.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable
from importlib import import_module
from threading import Lock
from typing import Any, cast
from weakref import WeakKeyDictionary

from tracer.chat.interfaces import OPENAI, interface_of

_FIELDS = {
    "api_key": "api_key",
    "admin_api_key": "admin_api_key",
    "workload_identity": "workload_identity",
    "provider": "_provider",
    "auth_token": "auth_token",
    "webhook_key": "webhook_key",
    "organization": "organization",
    "project": "project",
    "webhook_secret": "webhook_secret",
    "websocket_base_url": "websocket_base_url",
    "base_url": "_base_url",
    "timeout": "timeout",
    "max_retries": "max_retries",
    "default_headers": "_custom_headers",
    "default_query": "_custom_query",
    "_strict_response_validation": "_strict_response_validation",
    "api_version": "_api_version",
    "azure_ad_token": "_azure_ad_token",
    "azure_ad_token_provider": "_azure_ad_token_provider",
}
"""Argument of an SDK client → the field in which the client keeps it."""

_MADE_BY_PROVIDER = ("api_key", "admin_api_key", "workload_identity", "base_url")
_PAIRS = {"openai": (("OpenAI", "AsyncOpenAI"), ("AzureOpenAI", "AsyncAzureOpenAI")), "anthropic": (("Anthropic", "AsyncAnthropic"),)}
_OTHER_CLASS = {(package, name): other for package, pairs in _PAIRS.items() for pair in pairs for name, other in (pair, (pair[1], pair[0]))}
"""Package and class of a client → the class for the other kind of call."""
_OWN_HTTP_CLIENTS = ("SyncHttpxClientWrapper", "AsyncHttpxClientWrapper")


class Clients:
    """A sync and an async client, traced. Shared by all models bound from one; never copied."""

    __slots__ = ("_async", "_derived", "_lock", "_sync", "interface")

    def __init__(self, client: Any, async_client: Any = None) -> None:
        for given, name in ((client, "client"), (async_client, "async_client")):
            if given is not None and interface_of(given) is None:
                raise TypeError(
                    f"ChatModel: {name} is a {type(given).__qualname__}, which has neither `chat.completions.create` nor `messages.create`."
                )
        self.interface = interface_of(client if client is not None else async_client) or OPENAI
        """How these clients are asked; both have to be of one kind."""
        if async_client is None and is_async_client(client):
            client, async_client = None, client
        if client is not None and is_async_client(client):
            raise TypeError("ChatModel: `client` is an async client although `async_client` is given too; give the sync one first.")
        if async_client is not None and not is_async_client(async_client):
            raise TypeError(f"ChatModel: `async_client` is a {type(async_client).__qualname__}, which is not an async client.")
        if async_client is not None and interface_of(async_client) != self.interface:
            raise TypeError("ChatModel: `client` and `async_client` have to be of one SDK.")
        self._sync = traced(client)
        self._async = traced(async_client)
        self._lock = Lock()
        # Connections belong to the event loop in which they were made, so a client that we make serves one loop only: without
        # this the second `asyncio.run(...)` of a script fails with "Event loop is closed".
        self._derived: WeakKeyDictionary[Any, tuple[Any, AsyncGenerator[None, None]]] = WeakKeyDictionary()

    def __deepcopy__(self, memo: dict[int, Any]) -> Clients:
        return self

    def sync(self) -> Any:
        """The client for sync calls. Raises TypeError if it cannot be made."""
        if self._sync is None:
            with self._lock:
                if self._sync is None:
                    self._sync = traced(_other_client(self._async))
        return self._sync

    async def for_async(self) -> Any:
        """The client for async calls in the running event loop. Raises TypeError if it cannot be made."""
        if self._async is not None:
            return self._async
        import asyncio

        loop = asyncio.get_running_loop()
        known = self._derived.get(loop)
        if known is not None:
            return known[0]
        client = traced(_other_client(self._sync))
        keeper = self._until_the_loop_ends(loop, client)
        self._derived[loop] = client, keeper
        await anext(keeper)
        return client

    async def _until_the_loop_ends(self, loop: Any, client: Any) -> AsyncGenerator[None, None]:
        """Closes a client that we made: the loop ends open generators before it closes, as nothing else of ours would be told."""
        try:
            yield
        finally:
            self._derived.pop(loop, None)
            await client.close()


def traced(client: Any) -> Any:
    """A traced copy of `client`, or itself if it is nothing that can be traced."""
    if client is None:
        return None
    from tracer import wrap

    try:
        return wrap(client)
    except TypeError:
        return client


def is_async_client(client: Any) -> bool:
    """Whether calls of this client are awaited: SDK clients by their class, others by their `create`."""
    names = {base.__name__ for base in type(client).__mro__}
    if names & {"SyncAPIClient", "AsyncAPIClient"}:
        return "AsyncAPIClient" in names
    interface = interface_of(client)
    return interface is not None and inspect.iscoroutinefunction(interface.create(client))


def _other_client(client: Any) -> Any:
    """An async client with the settings of a sync one, and the other way round."""
    kind = cast("type[object]", type(client))
    wanted = "sync" if is_async_client(client) else "async"
    package = kind.__module__.partition(".")[0]
    other_name = _OTHER_CLASS.get((package, kind.__name__))
    if other_name is None:
        raise TypeError(_refusal(wanted, f"one cannot be made from a {kind.__module__}.{kind.__qualname__}"))
    if client._client.__class__.__name__ not in _OWN_HTTP_CLIENTS:
        raise TypeError(_refusal(wanted, "one cannot be made from a client that has a custom HTTP client"))
    if getattr(client, "_middleware", None):
        raise TypeError(_refusal(wanted, "one cannot be made from a client that has middleware"))
    if getattr(client, "_token_cache", None) is not None:
        raise TypeError(_refusal(wanted, "one cannot be made from a client whose credentials are renewed"))
    other = getattr(import_module(package), other_name)
    made = other(**_settings_of(client, other, wanted))
    for name in ("_azure_endpoint", "_azure_deployment"):
        # The address is built from these when the client is made; given as base_url, they must be carried over.
        if hasattr(client, name):
            setattr(made, name, getattr(client, name))
    return made


def _refusal(wanted: str, reason: str) -> str:
    return (
        f"This call needs {'an' if wanted == 'async' else 'a'} {wanted} client, and {reason}. Give both: ChatModel(client, async_client=…)."
    )


def _settings_of(client: Any, other: type, wanted: str) -> dict[str, Any]:
    taken = inspect.signature(other.__init__).parameters
    settings = {argument: getattr(client, field) for argument, field in _FIELDS.items() if argument in taken and hasattr(client, field)}
    key_provider = getattr(client, "_api_key_provider", None)
    if key_provider is not None:
        settings["api_key"] = key_provider
    for name in ("api_key", "azure_ad_token_provider"):
        if name in settings:
            settings[name] = _provider_for(wanted, settings[name], name)
    if settings.get("provider") is not None:
        for name in _MADE_BY_PROVIDER:
            settings.pop(name, None)
    if "_enforce_credentials" in taken:
        settings["_enforce_credentials"] = False  # The given client has passed this check, perhaps by a header.
    return settings


def _provider_for(wanted: str, value: Any, name: str) -> Any:
    """A key or a function that gives one, for the other kind of client."""
    if not callable(value):
        return value
    if wanted == "sync":
        if inspect.iscoroutinefunction(value):
            raise TypeError(_refusal(wanted, f"one cannot be made from a client whose `{name}` is an async function"))
        return value

    async def provide() -> str:
        import asyncio

        # It may ask a server for a token, which must not block the event loop.
        return await asyncio.to_thread(cast("Callable[[], str]", value))

    return provide
