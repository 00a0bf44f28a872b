"""Clients of the OpenAI family of SDKs (one generator makes openai's and anthropic's): a traced clone of the same type.

Two seams. *The logical call* is the client's own `request`, through which every endpoint goes, sync and async. *The wire* is the
client's HTTP client, whose `send` sees each attempt. The user's own client stays as it is.
"""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tracer.call import LLM, Call
from tracer.capture.clone import clone_of
from tracer.capture.endpoints import MODEL_CALLS, endpoint_of
from tracer.capture.http import traced_http
from tracer.capture.kinds import class_of, is_async_client, is_azure, provider_of_kind, sdk_package
from tracer.capture.streams import tap_stream
from tracer.capture.uploads import fields_sent, uploads_of
from tracer.capture.usage import ask_for_usage, refused_usage
from tracer.capture.watch import Watch
from tracer.runtime import begin_call, new_call, recording, report_fault, runtime, serving
from tracer.scope import Scope, current, enter, leave

_RAW_HEADER = "X-Stainless-Raw-Response"
_MARK = "__tracer_hook__"


def sdk_of(value: object) -> str | None:
    """The package of the SDK whose client `value` is, or None.

    >>> sdk_of("text") is None
    True
    """
    return sdk_package(class_of(value)) if "_client" in getattr(value, "__dict__", {}) else None


def is_traced(client: Any) -> bool:
    """Whether this very client has our hooks already."""
    return getattr(client.__dict__.get("request"), _MARK, None) is client


def traced_client(client: Any) -> Any:
    """A clone of `client` whose calls are recorded: same type, same settings, same connection pool."""
    if is_traced(client):
        return client
    return _install(clone_of(client))


# The seams.


def _install(client: Any) -> Any:
    """Put the two seams into a client that is ours to change."""
    state = client.__dict__
    state["_client"] = traced_http(state["_client"])
    return _hook(client, state.get("request"))


def _hook(client: Any, instance_request: Callable[..., Any] | None) -> Any:
    """Give a client the hooks named in `_HOOKS`, each acting for this very client."""
    state = client.__dict__
    state["request"] = _traced_request(client, instance_request)
    state["copy"] = state["with_options"] = _traced_copy(client)
    state["__reduce_ex__"] = functools.partial(_reduce, client)
    return client


_HOOKS = ("request", "copy", "with_options", "__reduce_ex__")


def _reduce(client: Any, _protocol: int) -> tuple[Any, ...]:
    """Copies of a traced client (`copy.copy`) get hooks of their own: those of the original would act for the original."""
    state = {name: value for name, value in client.__dict__.items() if name not in _HOOKS}
    return _reconstruct, (class_of(client),), state


def _reconstruct(kind: type[Any]) -> Any:
    return _hook(object.__new__(kind), None)


def _traced_copy(client: Any) -> Callable[..., Any]:
    bare = class_of(client).copy

    @functools.wraps(bare)
    def copy(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = bare(self, *args, **kwargs)
        # The SDK has built a new client around our HTTP client, or around one that the caller gave.
        return made if is_traced(made) else _install(made)

    return types.MethodType(copy, client)


# The logical call: two shells around the same before and after.


def _traced_request(client: Any, instance_request: Callable[..., Any] | None) -> Callable[..., Any]:
    """A `request` for this one client: a method of it, as the SDK's own is."""

    kind = class_of(client)
    # The bare method is asked for at each call: others may patch the class later.
    if is_async_client(kind):

        async def async_request(self: Any, *args: Any, **kwargs: Any) -> Any:
            return await async_call(self, instance_request or kind.request.__get__(client), args, kwargs)

        hook: Any = async_request
    else:

        def request(self: Any, *args: Any, **kwargs: Any) -> Any:
            return sync_call(self, instance_request or kind.request.__get__(client), args, kwargs)

        hook = request
    functools.update_wrapper(hook, getattr(instance_request, "__func__", instance_request) or kind.request)
    setattr(hook, _MARK, client)
    return types.MethodType(hook, client)


def sync_call(client: Any, bare: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One request through `bare`, recorded if calls are recorded here."""
    scope = current()
    begun = _begin(client, scope, args, kwargs) if recording(scope) else None
    if begun is None:
        return bare(*args, **kwargs)
    watch, tries = begun
    earlier = enter(watch)
    try:
        for sent_args, sent_kwargs in tries:
            try:
                result = bare(*sent_args, **sent_kwargs)
            except BaseException as error:
                if _gives_up(watch, error):
                    raise
            else:
                return _after(watch, result)
    finally:
        leave(earlier)


async def async_call(client: Any, bare: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The same for an async client."""
    scope = current()
    begun = _begin(client, scope, args, kwargs) if recording(scope) else None
    if begun is None:
        return await bare(*args, **kwargs)
    watch, tries = begun
    earlier = enter(watch)
    try:
        for sent_args, sent_kwargs in tries:
            try:
                result = await bare(*sent_args, **sent_kwargs)
            except BaseException as error:
                if _gives_up(watch, error):
                    raise
            else:
                return _after(watch, result)
    finally:
        leave(earlier)


def _gives_up(watch: Watch, error: BaseException) -> bool:
    """End the call by `error`, unless the endpoint refused what we added: then it is tried once more as the caller asked.

    The next try happens outside of the caller's exception handler, so that no context clings to what comes of it.
    """
    call = watch.call
    try:
        refused = refused_usage(call, error)
    except Exception as fault:
        if not report_fault("reading a refusal", fault):
            raise
        # It may have been for what we added, which must not be the caller's trouble.
        refused = call.asked_usage and hasattr(error, "status_code")
    if refused:
        call.asked_usage = False
        return False
    watch.fail(error)
    return True


_Arguments = tuple[tuple[Any, ...], dict[str, Any]]
_Begun = tuple[Watch, tuple[_Arguments, ...]]


def _begin(client: Any, scope: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Begun | None:
    """Open the call; gives back what to send: the caller's arguments, before them those that ask for usage where that is wanted."""
    as_given = (args, kwargs)
    try:
        options: Any = kwargs["options"] if "options" in kwargs else args[1]
        call = _open(client, scope, options, bool(kwargs.get("stream")))
    except Exception as fault:
        if not report_fault("beginning a call", fault):
            raise
        return None
    watch = Watch(call, scope)
    if not call.streaming:
        return watch, (as_given,)
    try:
        body = ask_for_usage(call, options.json_data, getattr(options, "extra_json", None))
        if body is None:
            return watch, (as_given,)
        asking = _with_body(options, body)
        call.asked_usage = True
        if "options" in kwargs:
            return watch, ((args, {**kwargs, "options": asking}), as_given)
        return watch, ((args[:1] + (asking,) + args[2:], kwargs), as_given)
    except Exception as fault:
        if not report_fault("asking for usage", fault):
            raise
        return watch, (as_given,)


def _with_body(options: Any, body: dict[str, Any]) -> Any:
    """A copy of request options with another body; pydantic 2 and 1 name the copy differently."""
    copied = options.model_copy() if hasattr(options, "model_copy") else options.copy()
    copied.json_data = body
    return copied


def _open(client: Any, scope: Scope, options: Any, stream: bool) -> Call:
    # Whatever may be of an unexpected shape is looked at before the call begins: an open call must end.
    path = options.url
    method = "POST"
    known = MODEL_CALLS.get(path) if options.method == "post" else None
    if known is None:
        path = str(path).partition("?")[0]
        method = str(options.method).upper()
        known = MODEL_CALLS.get(path) if method == "POST" else None
    body = options.json_data
    headers = options.headers
    facts = _facts(client)
    api_version = _api_version(client, options) if facts[5] else ""
    template = ""
    if known is not None:
        kind, operation = known
        fields = uploads = None
    else:
        if "://" in path:
            facts, path = _elsewhere(facts, path)
        kind, operation, template = endpoint_of(method, path)
        fields, uploads = fields_sent(options), uploads_of(options)
    model = body.get("model") if issubclass(type(body), dict) else None
    raw = issubclass(type(headers), dict) and _RAW_HEADER in headers
    # A call of a language model serves the run of a framework around it; an image that is asked for meanwhile is another matter.
    above = serving(scope) if kind == LLM and not template else None
    call = above or new_call(kind, scope)
    call.method = method
    call.path = path
    call.template = template
    call.operation = operation
    call.streaming = stream
    call.raw = raw
    call.fields = fields
    call.uploads = uploads
    _, call.server_host, call.server_port, call.base_path, call.library, call.azure, call.provider = facts
    call.api_version = api_version
    if isinstance(model, str):
        call.model = model
    return above or begin_call(call, scope)


def _api_version(client: Any, options: Any) -> str:
    """What an Azure client puts into every query, unless the caller asks for another version."""
    query: dict[str, object] = {**client._custom_query, **(options.params or {})}
    asked = query.get("api-version")
    return asked if isinstance(asked, str) else ""


def _elsewhere(facts: _Facts, address: str) -> tuple[_Facts, str]:
    """The facts and the path of a request to a whole URL: the next page of a list, or a file at another host."""
    url, _, _, base_path, library, azure, provider = facts
    split = urlsplit(address)
    path = "/" + split.path.removeprefix(base_path).lstrip("/")
    if split.hostname == url.host:
        return facts, path
    return (url, split.hostname or "", split.port or (443 if split.scheme == "https" else 80), "", library, azure, provider), path


_FACTS = "_tracer_facts"
_Facts = tuple[Any, str, int, str, str, bool, str]


def _facts(client: Any) -> _Facts:
    """The client's base URL, its host, port and path, the SDK's package, whether it is Azure's, and who answers if that is said.

    Found once for each URL object.
    """
    url = client._base_url
    known = client.__dict__.get(_FACTS)
    if known is None or known[0] is not url:
        kind = class_of(client)
        port = url.port or (443 if url.scheme == "https" else 80)
        known = client.__dict__[_FACTS] = (
            url,
            url.host,
            port,
            url.path,
            sdk_package(kind) or "",
            is_azure(kind),
            _provider(url.host, port, kind),
        )
    return known


def _provider(host: str, port: int, kind: type[Any]) -> str:
    named = runtime.settings.providers
    return named.get(f"{host}:{port}") or named.get(host) or provider_of_kind(kind)


def _after(watch: Watch, result: Any) -> Any:
    """What the SDK gives back goes to the caller as it is; streams are watched, everything else is over."""
    if watch.call.streaming:
        try:
            state = getattr(result, "__dict__", {})
            if _is_stream(result):
                tap_stream(result, watch)
            elif "http_response" in state and hasattr(result, "_parse"):
                _watch_parse(result, watch)
        except Exception as fault:
            if not report_fault("watching an answer", fault):
                raise
    watch.hand_over()
    return result


def _is_stream(result: Any) -> bool:
    """An SDK's stream of events. Its iterator is a field, or in Anthropic's newer versions made when it is first asked for."""
    return "_iterator" in getattr(result, "__dict__", {}) or hasattr(class_of(result), "__stream__")


def _watch_parse(raw: Any, watch: Watch) -> None:
    """A raw response makes its stream when the caller asks for it: watch that stream then.

    The inner `_parse` is what makes it, once. The hook must not hold the response: one that refers to itself would outlive its last
    user (and `raw.parse` has to stay a method that does).
    """
    bare = class_of(raw)._parse
    this = weakref.ref(raw)

    def parse(*args: Any, **kwargs: Any) -> Any:
        parsed = bare(this(), *args, **kwargs)
        if _is_stream(parsed):
            tap_stream(parsed, watch)
        return parsed

    raw._parse = parse
