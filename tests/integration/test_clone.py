"""The wrapped client itself: type, state, copies, pickling, signatures, and the original that stays as it was."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import openai
import pytest

from tests.integration.capture_support import (
    HTTP,
    MESSAGES,
    PLAIN,
    STREAM,
    Calls,
    async_http_client,
    client_of_kind,
    helpers_of,
    http_client,
    make_client,
    need,
)
from tracer.capture.kinds import class_of
from tracer.capture.sdk import is_traced
from tracer.capture.wrapping import traced
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import by_id
from tracer.replay.server import ReplayServer

MADE_ON_FIRST_USE = "chat" in vars(openai.OpenAI)
AZURE = "openllmetry.azure.chat_reasoning.0"


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


def ask(client: Any) -> Any:
    return client.chat.completions.create(model="m", messages=MESSAGES)


async def ask_later(client: Any) -> Any:
    return await client.chat.completions.create(model="m", messages=MESSAGES)


def client_kinds() -> dict[str, Callable[[ReplayServer], Any]]:
    return {
        "OpenAI": lambda server: make_client(server, PLAIN),
        "AsyncOpenAI": lambda server: make_client(server, PLAIN, asynchronous=True),
        "AzureOpenAI": lambda server: make_client(server, AZURE),
        "AsyncAzureOpenAI": lambda server: make_client(server, AZURE, asynchronous=True),
    }


EVERY_KIND = pytest.mark.parametrize("make", client_kinds().values(), ids=client_kinds())


def is_async(client: Any) -> bool:
    return isinstance(client, openai.AsyncOpenAI)


def state_of(value: Any) -> dict[str, Any]:
    """What the object holds itself."""
    return value.__dict__


def shown(value: Any) -> str:
    """As text, without addresses: some headers are sentinels made anew each time."""
    return re.sub("0x[0-9a-f]+", "", repr(value))


# Type and state.


@EVERY_KIND
def test_a_wrapped_client_is_of_the_same_type(server: ReplayServer, captured: Calls, make: Callable[[ReplayServer], Any]) -> None:
    bare = make(server)
    wrapped = traced(bare)
    assert wrapped is not bare
    assert type(wrapped) is type(bare)
    assert wrapped.__class__ is bare.__class__
    assert isinstance(wrapped, (openai.OpenAI, openai.AsyncOpenAI))
    assert type(bare).__repr__ is object.__repr__ or repr(wrapped) == repr(bare)
    assert wrapped == wrapped
    assert hash(wrapped) != hash(bare)
    assert isinstance(wrapped._client, type(bare._client))
    assert isinstance(wrapped._client, HTTP.AsyncClient if is_async(bare) else HTTP.Client)
    assert wrapped._client == bare._client


@EVERY_KIND
def test_settings_are_those_of_the_original(server: ReplayServer, captured: Calls, make: Callable[[ReplayServer], Any]) -> None:
    bare = make(server)
    wrapped = traced(bare)
    hooks = {"_client", "request", "copy", "with_options", "__reduce_ex__"}
    for name, value in state_of(bare).items():
        of_client = type(value).__module__.startswith(("openai.resources", "openai._client"))
        if name not in hooks and not of_client:
            assert state_of(wrapped)[name] is value or state_of(wrapped)[name] == value, name
    assert set(state_of(wrapped)) - set(state_of(bare)) <= hooks
    for name in ("api_key", "base_url", "timeout", "max_retries", "default_headers", "default_query", "auth_headers", "user_agent"):
        if hasattr(bare, name):
            assert shown(getattr(wrapped, name)) == shown(getattr(bare, name)), name
    assert wrapped.is_closed() is bare.is_closed() is False


@EVERY_KIND
def test_the_original_stays_untouched_and_untraced(server: ReplayServer, captured: Calls, make: Callable[[ReplayServer], Any]) -> None:
    bare = make(server)
    before = dict(state_of(bare))
    traced(bare)
    after = dict(state_of(bare))
    assert list(after) == list(before)
    assert all(after[name] is value for name, value in before.items())
    assert not is_traced(bare)


def test_calls_of_the_original_are_not_recorded(server: ReplayServer, captured: Calls) -> None:
    bare = make_client(server, PLAIN)
    wrapped = traced(bare)
    ask(bare)
    ask(bare.with_options(timeout=3))
    captured.none()
    ask(wrapped)
    captured.only()


@EVERY_KIND
def test_wrapped_twice_is_wrapped_once(server: ReplayServer, captured: Calls, make: Callable[[ReplayServer], Any]) -> None:
    wrapped = traced(make(server))
    assert traced(wrapped) is wrapped


def methods_of(client: Any) -> dict[str, Any]:
    """Callables that programs use, by name."""
    found: dict[str, Any] = {
        name: getattr(client, name) for name in ("request", "copy", "with_options", "get", "post", "close", "is_closed")
    }
    chat = client.chat.completions
    for label, owner in {
        "chat": chat,
        "raw": chat.with_raw_response,
        "streaming": chat.with_streaming_response,
        "embeddings": client.embeddings,
        "models": client.models,
        "helpers": helpers_of(client),
    }.items():
        for name in ("create", "parse", "stream", "list"):
            if hasattr(owner, name):
                found[f"{label}.{name}"] = getattr(owner, name)
    return found


@EVERY_KIND
def test_signatures(server: ReplayServer, captured: Calls, make: Callable[[ReplayServer], Any]) -> None:
    bare = make(server)
    wrapped = traced(bare)
    theirs, ours = methods_of(bare), methods_of(wrapped)
    assert list(ours) == list(theirs)
    for name, method in theirs.items():
        assert inspect.signature(ours[name]) == inspect.signature(method), name
        assert inspect.iscoroutinefunction(ours[name]) == inspect.iscoroutinefunction(method), name
        assert ours[name].__name__ == method.__name__, name
        assert ours[name].__doc__ == method.__doc__, name


def test_signatures_of_raw_responses(server: ReplayServer, captured: Calls) -> None:
    def parse_of(client: Any) -> Any:
        return client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, stream=True).parse

    bare = make_client(server, STREAM)
    assert inspect.signature(parse_of(traced(bare))) == inspect.signature(parse_of(bare))
    assert inspect.ismethod(parse_of(traced(bare)))


def pickle_of_old(client: Any) -> bytes:
    return pickle.dumps(client, 2)


@EVERY_KIND
@pytest.mark.parametrize("operation", [copy.deepcopy, pickle.dumps, pickle_of_old], ids=["deepcopy", "pickle", "pickle2"])
def test_what_the_sdk_cannot_do_fails_alike(
    server: ReplayServer, captured: Calls, make: Callable[[ReplayServer], Any], operation: Callable[[Any], Any]
) -> None:
    def failure(client: Any) -> Any:
        try:
            operation(client)
        except Exception as error:
            return type(error), str(error)
        return None

    bare = make(server)
    assert failure(traced(bare)) == failure(bare)
    bare.chat.completions  # noqa: B018  # used: its resources are there
    assert failure(traced(bare)) == failure(bare)


# Copies.


def test_a_shallow_copy_acts_for_itself(server: ReplayServer, captured: Calls) -> None:
    need(MADE_ON_FIRST_USE, "resources made on first use, so that copies share those of the original")
    wrapped = traced(make_client(server, PLAIN, Behaviour(fail=1)))
    copied = copy.copy(wrapped)
    assert copied is not wrapped
    assert type(copied) is type(wrapped)
    assert is_traced(copied)
    assert is_traced(wrapped)
    copied.api_key = "of the copy"
    copied.max_retries = 2
    assert wrapped.api_key == "none"
    ask(copied)
    call = captured.only()
    assert [attempt.status for attempt in call.attempts] == [429, 200]
    assert server.requests()[-1].headers["authorization"] == "Bearer of the copy"
    captured.clear()
    ask(wrapped)
    assert server.requests()[-1].headers["authorization"] == "Bearer none"
    captured.only()
    assert traced(copied) is copied


def test_a_copy_of_a_used_client_does_what_a_copy_of_a_bare_one_does(server: ReplayServer, captured: Calls) -> None:
    """Resources that are there already belong to the original, with the SDK as with us."""

    def key_sent(client: Any) -> str:
        ask(client)
        copied = copy.copy(client)
        copied.api_key = "of the copy"
        ask(copied)
        return server.requests()[-1].headers["authorization"]

    bare = make_client(server, PLAIN)
    theirs = key_sent(bare)
    captured.none()
    assert key_sent(traced(make_client(server, PLAIN))) == theirs
    assert len(captured) == 2


async def test_a_shallow_copy_of_an_async_client(server: ReplayServer, captured: Calls) -> None:
    copied = copy.copy(traced(make_client(server, PLAIN, asynchronous=True)))
    copied.api_key = "of the copy"
    await ask_later(copied)
    captured.only()


@pytest.mark.parametrize("name", ["copy", "with_options"])
@pytest.mark.parametrize("azure", [False, True])
def test_options_are_traced_once(server: ReplayServer, captured: Calls, name: str, azure: bool) -> None:
    bare = client_of_kind("azure" if azure else "openai", server, PLAIN, asynchronous=False)
    theirs = getattr(bare, name)(timeout=3, max_retries=1, default_headers={"x-mine": "1"})
    ours = getattr(traced(bare), name)(timeout=3, max_retries=1, default_headers={"x-mine": "1"})
    assert type(ours) is type(theirs)
    assert (ours.timeout, ours.max_retries, ours.base_url) == (theirs.timeout, theirs.max_retries, theirs.base_url)
    ask(theirs)
    captured.none()
    ask(ours)
    call = captured.only()
    assert len(call.attempts) == 1
    their_request, our_request = server.requests()[-2:]
    assert (their_request.path, their_request.headers, their_request.body) == (our_request.path, our_request.headers, our_request.body)
    captured.clear()
    again = getattr(ours.with_options(timeout=2), name)(timeout=1)
    ask(again)
    captured.only()
    assert again.timeout == 1
    assert traced(again) is again


def test_a_copy_with_an_http_client_of_its_own(server: ReplayServer, captured: Calls) -> None:
    own = http_client()
    client = traced(make_client(server, PLAIN)).copy(http_client=own)
    ask(client)
    assert len(captured.only().attempts) == 1
    assert client._client == own


async def test_async_options_are_traced_once(server: ReplayServer, captured: Calls) -> None:
    client = traced(make_client(server, PLAIN, asynchronous=True)).with_options(timeout=3).copy(max_retries=1)
    await ask_later(client)
    assert len(captured.only().attempts) == 1


# Closing.


def test_closing_closes_the_shared_pool(server: ReplayServer, captured: Calls) -> None:
    """As the SDK's own copies do."""
    bare = make_client(server, PLAIN)
    wrapped = traced(bare)
    with wrapped as entered:
        assert entered is wrapped
        ask(entered)
    assert wrapped.is_closed()
    assert bare.is_closed()


async def test_closing_an_async_client(server: ReplayServer, captured: Calls) -> None:
    bare = make_client(server, PLAIN, asynchronous=True)
    async with traced(bare) as wrapped:
        await ask_later(wrapped)
    assert wrapped.is_closed()
    assert bare.is_closed()


def test_the_pool_outlives_the_original(server: ReplayServer, captured: Calls) -> None:
    """`client = wrap(OpenAI())`: the SDK closes its own HTTP client when that is collected."""
    recording = by_id(PLAIN)
    client = traced(openai.OpenAI(api_key="none", base_url=server.base_url(recording.id)))
    gc.collect()
    ask(client)
    assert not client.is_closed()
    captured.only()
    client.close()


def test_errors_of_a_closed_client(server: ReplayServer, captured: Calls) -> None:
    bare = make_client(server, PLAIN)
    bare.close()
    with pytest.raises((RuntimeError, openai.APIConnectionError)) as theirs:
        ask(bare)
    with pytest.raises((RuntimeError, openai.APIConnectionError)) as ours:
        ask(traced(bare))
    assert (type(ours.value), str(ours.value)) == (type(theirs.value), str(theirs.value))
    captured.only()


# Kinds of clients.


def test_strict_validation(server: ReplayServer, captured: Calls) -> None:
    """Kept by the clone (the SDK's own `copy()` loses it)."""

    def answer(_request: Any) -> Any:
        return HTTP.Response(200, headers={"content-type": "application/json"}, content=b'{"id": "c", "choices": "none"}')

    def client() -> Any:
        transport = HTTP.MockTransport(answer)
        return openai.OpenAI(
            api_key="none",
            base_url="http://replay.test/v1",
            http_client=http_client(transport=transport),
            max_retries=0,
            _strict_response_validation=True,
        )

    with pytest.raises(openai.APIResponseValidationError) as theirs:
        ask(client())
    with pytest.raises(openai.APIResponseValidationError) as ours:
        ask(traced(client()))
    assert str(ours.value) == str(theirs.value)
    assert type(ours.value.__cause__) is type(theirs.value.__cause__)
    call = captured.only()
    assert call.ending == "failed"
    assert call.failure is not None
    assert call.failure.type == "openai.APIResponseValidationError"


def test_azure_with_a_deployment(server: ReplayServer, captured: Calls) -> None:
    bare = make_client(server, AZURE)
    ask(bare)
    ask(traced(bare))
    theirs, ours = server.requests()[-2:]
    assert (ours.path, ours.headers, ours.body) == (theirs.path, theirs.headers, theirs.body)
    call = captured.only()
    assert call.azure
    assert (call.operation, call.path, call.model) == ("chat", "/chat/completions", "m")


class Tenant(openai.OpenAI):
    """A subclass with an `__init__` that the SDK's `copy()` cannot call."""

    def __init__(self, server_url: str, tenant: str) -> None:
        super().__init__(api_key="none", base_url=server_url, max_retries=0, http_client=http_client())
        self.tenant = tenant


class Counting(openai.OpenAI):
    """A subclass that overrides the funnel itself."""

    asked = 0

    def request(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        return cast("Any", super().request)(*args, **kwargs)


class Signing(openai.OpenAI):
    """A subclass that changes options and requests on their way."""

    def _prepare_request(self, request: Any) -> None:
        request.headers["x-signature"] = "signed"


def test_a_subclass_with_its_own_init(server: ReplayServer, captured: Calls) -> None:
    bare = Tenant(server.base_url(PLAIN), "t1")
    wrapped = traced(bare)
    assert type(wrapped) is Tenant
    assert wrapped.tenant == "t1"
    ask(wrapped)
    captured.only()
    with pytest.raises(TypeError) as theirs:
        bare.with_options(timeout=1)
    with pytest.raises(TypeError) as ours:
        wrapped.with_options(timeout=1)
    assert str(ours.value) == str(theirs.value)


def test_a_subclass_that_overrides_request(server: ReplayServer, captured: Calls) -> None:
    bare = Counting(api_key="none", base_url=server.base_url(PLAIN), http_client=http_client())
    wrapped = traced(bare)
    ask(wrapped)
    assert (wrapped.asked, bare.asked) == (1, 0)
    captured.only()


def test_a_subclass_that_changes_requests(server: ReplayServer, captured: Calls) -> None:
    ask(traced(Signing(api_key="none", base_url=server.base_url(PLAIN), http_client=http_client())))
    assert server.requests()[-1].headers["x-signature"] == "signed"
    captured.only()


def test_a_request_replaced_on_the_instance(server: ReplayServer, captured: Calls) -> None:
    """Other instrumentation that sits on the client already keeps its say."""
    bare = make_client(server, PLAIN)
    seen: list[str] = []
    funnel = bare.request

    def request(*args: Any, **kwargs: Any) -> Any:
        seen.append("asked")
        return funnel(*args, **kwargs)

    bare.request = request
    ask(traced(bare))
    assert seen == ["asked"]
    captured.only()
    assert bare.request is request


def test_a_custom_http_client(server: ReplayServer, captured: Calls) -> None:
    """Event hooks, headers and subclasses of the HTTP client keep working."""
    seen: list[str] = []

    class Custom(HTTP.Client):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            seen.append("sent")
            return HTTP.Client.send(self, *args, **kwargs)

    own = Custom(headers={"x-own": "1"}, event_hooks={"request": [lambda _request: seen.append("hooked")]}, trust_env=False)  # pyright: ignore[reportUnknownLambdaType]
    with own:
        wrapped = traced(make_client(server, PLAIN, http_client=own))
        ask(wrapped)
        assert seen == ["sent", "hooked"]
        assert server.requests()[-1].headers["x-own"] == "1"
        assert isinstance(wrapped._client, Custom)
        assert wrapped._client.headers is own.headers
    captured.only()


# Clients that were used before.

USED: dict[str, Callable[[Any], Any]] = {
    "chat": lambda client: client.chat.completions,
    "raw": lambda client: client.chat.completions.with_raw_response,
    "streaming": lambda client: client.chat.completions.with_streaming_response,
    "client raw": lambda client: client.with_raw_response.chat.completions,
    "embeddings": lambda client: client.embeddings.with_raw_response,
    "models": lambda client: client.models,
}


@pytest.mark.parametrize("use", USED.values(), ids=USED)
def test_a_client_that_was_used_before(server: ReplayServer, captured: Calls, use: Callable[[Any], Any]) -> None:
    """Resources that were made before wrapping belong to the original; the clone has its own."""
    bare = make_client(server, PLAIN)
    made = use(bare)
    wrapped = traced(bare)
    assert use(bare) is made
    assert use(wrapped) is not made
    ask(wrapped)
    assert len(captured) == 1
    wrapped.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert len(captured) == 2
    with wrapped.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as raw:
        raw.parse()
    assert len(captured) == 3
    wrapped.with_raw_response.chat.completions.create(model="m", messages=MESSAGES)
    assert len(captured) == 4
    helpers_of(wrapped).parse(model="m", messages=MESSAGES)
    assert len(captured) == 5
    wrapped.models.list()
    assert len(captured) == 6
    ask(bare)
    bare.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    bare.with_raw_response.chat.completions.create(model="m", messages=MESSAGES)
    helpers_of(bare).parse(model="m", messages=MESSAGES)
    bare.models.list()
    assert len(captured) == 6


@pytest.mark.parametrize("use", USED.values(), ids=USED)
async def test_an_async_client_that_was_used_before(server: ReplayServer, captured: Calls, use: Callable[[Any], Any]) -> None:
    bare = make_client(server, PLAIN, asynchronous=True)
    use(bare)
    wrapped = traced(bare)
    await ask_later(wrapped)
    await wrapped.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    async with wrapped.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as raw:
        await raw.parse()
    await wrapped.with_raw_response.chat.completions.create(model="m", messages=MESSAGES)
    await helpers_of(wrapped).parse(model="m", messages=MESSAGES)
    assert len(captured) == 5
    await ask_later(bare)
    await bare.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert len(captured) == 5


def every_resource(owner: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """All resources below a client, and their raw twins."""
    kind = class_of(owner)
    made_on_use = [name for name in dir(kind) if type(getattr(kind, name)).__name__ == "cached_property"]
    for name in sorted({*made_on_use, *(name for name in state_of(owner) if not name.startswith("_"))}):
        value = getattr(owner, name)
        if hasattr(value, "_client") and type(value).__module__.startswith("openai.resources"):
            yield name, value
            if depth < 4:
                for below, found in every_resource(value, depth + 1):
                    yield f"{name}.{below}", found


def test_every_resource_belongs_to_its_client(server: ReplayServer, captured: Calls) -> None:
    """Whatever the original has made, no resource of the clone leads back to it."""
    bare = make_client(server, PLAIN)
    theirs = dict(every_resource(bare))
    assert len(theirs) > 20
    wrapped = traced(bare)
    ours = dict(every_resource(wrapped))
    assert list(ours) == list(theirs)
    for name, resource in ours.items():
        assert resource._client is wrapped, name
        assert type(resource) is type(theirs[name]), name
    for name, resource in every_resource(bare):
        assert resource._client is bare, name
        assert resource is theirs[name], name


def test_two_clones_of_one_client(server: ReplayServer, captured: Calls) -> None:
    bare = make_client(server, PLAIN)
    first, second = traced(bare), traced(bare)
    assert first is not second
    ask(first)
    ask(second)
    assert len(captured) == 2


def test_copies_record_their_own_calls(server: ReplayServer, captured: Calls) -> None:
    wrapped = traced(make_client(server, PLAIN))
    copies = [copy.copy(wrapped) for _ in range(3)]
    for client in [*copies, wrapped]:
        ask(client)
    assert len(captured) == 4


def test_what_cannot_be_wrapped_says_what_can() -> None:
    for value in (object(), "text", openai.OpenAI, openai):
        with pytest.raises(TypeError, match="OpenAI"):
            traced(value)


def test_async_http_clients_are_told_apart(captured: Calls) -> None:
    client = traced(openai.AsyncOpenAI(api_key="none", http_client=async_http_client()))
    assert inspect.iscoroutinefunction(client._client.send)
    assert inspect.signature(client._client.request) == inspect.signature(HTTP.AsyncClient(trust_env=False).request)
