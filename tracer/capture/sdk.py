"""Clients of the OpenAI family of SDKs (one generator makes openai's and anthropic's): a traced clone of the same type.

Two seams. *The logical call* is the client's own `request`, through which every endpoint goes, sync and async. *The wire* is the
client's HTTP client, whose `send` sees each attempt. The user's own client stays as it is.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, cast

from tracer.call import EMBEDDING, LLM, REQUEST, Call
from tracer.capture.clone import clone_of
from tracer.capture.http import traced_http
from tracer.capture.kinds import class_of, is_async_client, is_azure, sdk_package
from tracer.capture.streams import tap_stream
from tracer.capture.usage import ask_for_usage, refused_usage
from tracer.capture.watch import Watch, active
from tracer.runtime import open_call, recording, report_fault
from tracer.scope import current, enter, leave, under

_OPERATIONS = {
    "/chat/completions": (LLM, "chat"),
    "/responses": (LLM, "responses"),
    "/completions": (LLM, "completions"),
    "/embeddings": (EMBEDDING, "embeddings"),
}
"""POST to these paths is read in full; anything else gets a plain span."""

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
    http = state["_client"]
    state["_client"] = traced_http(http)
    state["request"] = _traced_request(client, state.get("request"))
    state["copy"] = state["with_options"] = _traced_copy(client)
    state["__reduce_ex__"] = functools.partial(_reduce, client)
    return client


_HOOKS = ("request", "copy", "with_options", "__reduce_ex__")


def _reduce(client: Any, _protocol: int) -> tuple[Any, ...]:
    """Copies of a traced client (`copy.copy`) get hooks of their own: those of the original would act for the original."""
    state = {name: value for name, value in client.__dict__.items() if name not in _HOOKS}
    return _reconstruct, (class_of(client),), state


def _reconstruct(kind: type[Any]) -> Any:
    client = object.__new__(kind)
    state = client.__dict__
    state["request"] = _traced_request(client, None)
    state["copy"] = state["with_options"] = _traced_copy(client)
    state["__reduce_ex__"] = functools.partial(_reduce, client)
    return client


def _traced_copy(client: Any) -> Callable[..., Any]:
    bare = types.MethodType(class_of(client).copy, client)

    @functools.wraps(bare)
    def copy(*args: Any, **kwargs: Any) -> Any:
        made = bare(*args, **kwargs)
        # The SDK has built a new client around our HTTP client, or around one that the caller gave.
        return made if is_traced(made) else _install(made)

    return copy


# The logical call: two shells around the same before and after.


def _traced_request(client: Any, instance_request: Callable[..., Any] | None) -> Callable[..., Any]:
    bare = instance_request or types.MethodType(class_of(client).request, client)
    traced = _async_request(client, bare) if is_async_client(class_of(client)) else _sync_request(client, bare)
    hook = functools.wraps(bare)(traced)
    setattr(hook, _MARK, client)
    return hook


def _sync_request(client: Any, bare: Callable[..., Any]) -> Callable[..., Any]:
    def request(*args: Any, **kwargs: Any) -> Any:
        scope = current()
        begun = _begin(client, scope, args, kwargs) if recording(scope) else None
        if begun is None:
            return bare(*args, **kwargs)
        watch, sent_args, sent_kwargs = begun
        outer_watch = active.get()
        active.set(watch)
        enter(under(watch.call, scope))
        try:
            try:
                result = bare(*sent_args, **sent_kwargs)
            except BaseException as error:
                if not refused_usage(watch.call, error):
                    watch.fail(error)
                    raise
            else:
                return _after(watch, result)
            # Once more without the option that was ours; outside of the handler, so that no context clings to what comes.
            watch.call.asked_usage = False
            try:
                result = bare(*args, **kwargs)
            except BaseException as error:
                watch.fail(error)
                raise
            return _after(watch, result)
        finally:
            active.set(outer_watch)
            leave(scope)

    return request


def _async_request(client: Any, bare: Callable[..., Any]) -> Callable[..., Any]:
    async def request(*args: Any, **kwargs: Any) -> Any:
        scope = current()
        begun = _begin(client, scope, args, kwargs) if recording(scope) else None
        if begun is None:
            return await bare(*args, **kwargs)
        watch, sent_args, sent_kwargs = begun
        outer_watch = active.get()
        active.set(watch)
        enter(under(watch.call, scope))
        try:
            try:
                result = await bare(*sent_args, **sent_kwargs)
            except BaseException as error:
                if not refused_usage(watch.call, error):
                    watch.fail(error)
                    raise
            else:
                return _after(watch, result)
            watch.call.asked_usage = False
            try:
                result = await bare(*args, **kwargs)
            except BaseException as error:
                watch.fail(error)
                raise
            return _after(watch, result)
        finally:
            active.set(outer_watch)
            leave(scope)

    return request


_Begun = tuple[Watch, tuple[Any, ...], dict[str, Any]]


def _begin(client: Any, scope: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Begun | None:
    """Open the call; gives back the arguments to send, which differ from the caller's only where usage is asked for."""
    try:
        options: Any = kwargs["options"] if "options" in kwargs else args[1]
        call = _open(client, scope, options, bool(kwargs.get("stream")))
    except Exception as fault:
        if not report_fault("beginning a call", fault):
            raise
        return None
    watch = Watch(call)
    try:
        body = ask_for_usage(call, options.json_data, getattr(options, "extra_json", None))
        if body is None:
            return watch, args, kwargs
        asking = _with_body(options, body)
        call.asked_usage = True
        if "options" in kwargs:
            return watch, args, {**kwargs, "options": asking}
        return watch, args[:1] + (asking,) + args[2:], kwargs
    except Exception as fault:
        if not report_fault("asking for usage", fault):
            raise
        return watch, args, kwargs


def _with_body(options: Any, body: dict[str, Any]) -> Any:
    """A copy of request options with another body; pydantic 2 and 1 name the copy differently."""
    copied = options.model_copy() if hasattr(options, "model_copy") else options.copy()
    copied.json_data = body
    return copied


def _open(client: Any, scope: Any, options: Any, stream: bool) -> Call:
    path = str(options.url).partition("?")[0]
    method = str(options.method).upper()
    body = options.json_data
    kind, operation = _OPERATIONS.get(path, (REQUEST, "")) if method == "POST" else (REQUEST, "")
    call = open_call(kind, scope)
    call.method = method
    call.path = path
    call.operation = operation
    call.streaming = stream
    call.library = sdk_package(class_of(client)) or ""
    call.azure = is_azure(class_of(client))
    headers = options.headers
    call.raw = isinstance(headers, dict) and _RAW_HEADER in cast("dict[str, Any]", headers)
    url = client._base_url
    call.server_host = url.host
    call.base_path = url.path
    call.server_port = url.port or (443 if url.scheme == "https" else 80)
    if isinstance(body, dict):
        model = cast("dict[str, Any]", body).get("model")
        call.model = model if isinstance(model, str) else None
    return call


def _after(watch: Watch, result: Any) -> Any:
    """What the SDK gives back goes to the caller as it is; streams are watched, everything else is over."""
    try:
        state = getattr(result, "__dict__", None)
        if state is not None and watch.call.streaming:
            if "_iterator" in state:
                tap_stream(result, watch)
            elif "http_response" in state:
                _watch_parse(result, watch)
    except Exception as fault:
        if not report_fault("watching an answer", fault):
            raise
    watch.hand_over()
    return result


def _watch_parse(raw: Any, watch: Watch) -> None:
    """A raw response makes its stream when the caller asks for it: watch that stream then."""
    bare = raw.parse
    seen: list[int] = []

    def watched(parsed: Any) -> Any:
        if id(parsed) not in seen and "_iterator" in getattr(parsed, "__dict__", {}):
            seen.append(id(parsed))
            tap_stream(parsed, watch)
        return parsed

    if inspect.iscoroutinefunction(bare):
        raw.parse = _async_parse(bare, watched)
    else:
        raw.parse = _sync_parse(bare, watched)


def _sync_parse(bare: Callable[..., Any], watched: Callable[[Any], Any]) -> Callable[..., Any]:
    @functools.wraps(bare)
    def parse(*args: Any, **kwargs: Any) -> Any:
        return watched(bare(*args, **kwargs))

    return parse


def _async_parse(bare: Callable[..., Any], watched: Callable[[Any], Any]) -> Callable[..., Any]:
    @functools.wraps(bare)
    async def parse(*args: Any, **kwargs: Any) -> Any:
        return watched(await bare(*args, **kwargs))

    return parse
