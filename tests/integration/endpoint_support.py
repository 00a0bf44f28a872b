"""Every method of an SDK's resources that sends a request: found by looking, called with made-up arguments, answered from its own types."""

from __future__ import annotations

import functools
import inspect
import json
import re
import typing
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import UnionType
from typing import Any, Literal, Union

import typing_extensions
from pydantic import BaseModel

from tests.support import running_server
from tracer.capture.kinds import class_of

PRIVATE = "confidential"
"""In every made-up text, so that a test can see where texts end up."""

_VOLATILE = ("host", "idempotency-key", "x-stainless-retry-count", "x-stainless-read-timeout")
_OMITTED = ("Omit", "NotGiven")
_DEEPEST = 6


# Methods.


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a resource: `files.content`, and the path template that stands in its source."""

    name: str
    verb: str
    template: str

    @property
    def route(self) -> str:
        """Verb and path with `{id}` for every parameter."""
        return f"{self.verb} {self.template}"

    def of(self, client: Any) -> Any:
        """The method of this client."""
        return functools.reduce(getattr, self.name.split("."), client)


_SENDS = re.compile(r'self\._(get_api_list|get|post|put|delete|patch)\(\s*(?:path_template\(\s*)?f?"([^"]*)"')


def methods_of(client: Any, resource: type[Any], *, parents: str = "") -> Iterator[Method]:
    """All methods that send one request, by their source. Helpers that call others (`poll`, `stream`, `parse` …) are left out."""
    kind: Any = class_of(client)
    for name in sorted(dir(client)):
        if name.startswith("_") or name in ("with_raw_response", "with_streaming_response"):
            continue
        found: Any = inspect.getattr_static(kind, name, None)
        if not inspect.isfunction(found):
            # The openai SDK before 1.58 made its resources with the client.
            value = getattr(client, name) if found is None or isinstance(found, (property, functools.cached_property)) else None
            if isinstance(value, resource):
                yield from methods_of(value, resource, parents=f"{parents}{name}.")
        elif parents:
            sends = _SENDS.search(inspect.getsource(found))
            if sends is not None:
                verb, template = sends.groups()
                verb = _list_verb(found) if verb == "get_api_list" else verb.upper()
                yield Method(parents + name, verb, re.sub(r"\{\w+\}", "{id}", template.partition("?")[0]))


def _list_verb(function: Any) -> str:
    said = re.search(r'method="(\w+)"', inspect.getsource(function))
    return said.group(1).upper() if said else "GET"


# Arguments and answers, made from types.


def arguments_of(function: Any) -> tuple[list[Any], dict[str, Any]]:
    """The least that a method has to be given."""
    bare = inspect.unwrap(function)
    overloads = typing_extensions.get_overloads(bare)
    signature_of = overloads[0] if overloads else bare
    hints = _hints(getattr(signature_of, "__func__", signature_of))
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for name, parameter in inspect.signature(signature_of).parameters.items():
        if name == "self" or parameter.default is not inspect.Parameter.empty or parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        value = made(hints.get(name, str), name)
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            named[name] = value
        else:
            positional.append(value)
    return positional, named


def _hints(function: Any) -> dict[str, Any]:
    try:
        return typing_extensions.get_type_hints(function)
    except (NameError, TypeError):
        return {}


def made(kind: Any, name: str, depth: int = 0) -> Any:
    """A plausible value of a type: the first of its alternatives, required fields only, short lists."""
    if isinstance(kind, typing_extensions.TypeAliasType):
        return made(kind.__value__, name, depth)
    origin, inner = typing_extensions.get_origin(kind), typing_extensions.get_args(kind)
    if origin in (typing.Annotated, typing_extensions.Required, typing_extensions.NotRequired, typing.ClassVar):
        return made(inner[0], name, depth)
    if origin is Literal:
        return inner[0]
    if origin in (Union, UnionType):
        return _alternative(inner, name, depth)
    if _is_model(kind):
        return model(kind, depth + 1)
    if typing_extensions.is_typeddict(kind):
        return {} if depth > _DEEPEST else _mapping(kind, depth + 1)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return {}
    if origin is not None:
        return [made(inner[0], name, depth + 1)] if inner and depth < _DEEPEST else []
    return _plain(kind, name)


def _plain(kind: Any, name: str) -> Any:
    text = f"{name}-{PRIVATE}-1"
    values: dict[Any, Any] = {
        int: 3,
        float: 0.5,
        bool: True,
        bytes: text.encode(),
        list: [],
        dict: {},
        object: {},
        Any: {},
        type(None): None,
    }
    return values.get(kind, text)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _alternative(alternatives: tuple[Any, ...], name: str, depth: int) -> Any:
    wanted = [kind for kind in alternatives if kind is not type(None) and getattr(kind, "__name__", "") not in _OMITTED]
    if any("PathLike" in str(kind) or "IO[bytes]" in str(kind) for kind in wanted):
        return ("sound.wav", b"\x00\x01" + PRIVATE.encode(), "audio/wav")
    return made(wanted[0], name, depth) if wanted else None


def _mapping(kind: Any, depth: int) -> dict[str, Any]:
    hints = typing_extensions.get_type_hints(kind, include_extras=True)
    # With annotations that are texts the class itself does not know which of its keys are required.
    needed = [name for name, hint in hints.items() if typing_extensions.get_origin(hint) is typing_extensions.Required]
    return {name: made(hints[name], name, depth) for name in needed}


def model(kind: type[BaseModel], depth: int = 0) -> dict[str, Any]:
    """The JSON of a response model."""
    return {
        description.alias or name: made(description.annotation, name, depth)
        for name, description in kind.model_fields.items()
        if description.is_required() and depth <= _DEEPEST
    }


def answer_of(function: Any) -> tuple[str, bytes]:
    """Media type and body that a method may be answered with, by the type that it returns."""
    bare = inspect.unwrap(function)
    overloads = typing_extensions.get_overloads(bare)
    returned: Any = _hints(overloads[0] if overloads else bare).get("return")
    origin, inner = typing_extensions.get_origin(returned), typing_extensions.get_args(returned)
    if origin in (Union, UnionType):
        returned = inner[0]
    elif origin is not None and inner:
        # An awaitable page is a page.
        returned = origin if origin is not typing.Annotated else inner[0]
    name = getattr(returned, "__name__", "")
    if returned is None or returned is type(None):
        return "", b""
    if "BinaryResponse" in name or "BinaryAPIResponse" in name:
        return "application/octet-stream", b"\x89bytes" * 7
    if returned is str:
        return "text/plain", b"just text"
    if "Page" in name or "Paginator" in name:
        item = model(inner[0]) if inner and _is_model(inner[0]) else {}
        return "application/json", json.dumps({"object": "list", "data": [item], "has_more": False}).encode()
    if _is_model(returned):
        return "application/json", json.dumps(model(returned)).encode()
    return "application/json", b"{}"


# The server.


@dataclass(slots=True)
class Sent:
    """A request as it came over the wire; what differs by chance is left out."""

    verb: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class AnyServer:
    """Answers every request with what was laid ready for it."""

    address: str = ""
    content_type: str = "application/json"
    body: bytes = b"{}"
    status: int = 200
    bodies: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    """Media types and bodies that come first, one for each request."""
    sent: list[Sent] = field(default_factory=list[Sent])

    def lay(self, content_type: str, body: bytes, status: int = 200) -> None:
        """Answer with this from now on."""
        self.content_type, self.body, self.status = content_type, body, status

    def taken(self) -> list[Sent]:
        """The requests that came since the last time."""
        taken, self.sent = self.sent, []
        return taken


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if "content-length" in handler.headers:
        return handler.rfile.read(int(handler.headers["content-length"]))
    parts: list[bytes] = []
    while handler.headers.get("transfer-encoding") == "chunked" and (size := int(handler.rfile.readline(), 16)):
        parts.append(handler.rfile.read(size))
        handler.rfile.readline()
    if parts or "transfer-encoding" in handler.headers:
        handler.rfile.readline()
    return b"".join(parts)


def _sent(handler: BaseHTTPRequestHandler) -> Sent:
    body = _body(handler)
    headers = {name.lower(): value for name, value in handler.headers.items() if name.lower() not in _VOLATILE}
    content_type, _, boundary = headers.get("content-type", "").partition("boundary=")
    if boundary:
        body = body.replace(boundary.encode(), b"BOUNDARY")
        headers["content-type"] = content_type
    return Sent(handler.command, handler.path, headers, body)


@contextmanager
def any_server() -> Generator[AnyServer, None, None]:
    """Serve on loopback."""
    owner = AnyServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            owner.sent.append(_sent(self))
            content_type, body = owner.bodies.pop(0) if owner.bodies else (owner.content_type, owner.body)
            self.send_response_only(owner.status if content_type or owner.status >= 400 else 204)
            if content_type:
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Callers that leave before the end are what some tests are about."""

    with running_server(Server(("127.0.0.1", 0), Handler)) as owner.address:
        yield owner


def serving_anything() -> Iterator[AnyServer]:
    """For a fixture."""
    with any_server() as running:
        yield running
