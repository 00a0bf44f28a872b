"""Programs about kinds of clients (Azure, strict, subclasses, the module's own) and about endpoints beside the recorded ones."""

# Clients of several SDKs in several versions: looked at as a program without types does.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import io
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any, cast

import openai
from pydantic import BaseModel

from tests.fidelity.programs import INSTRUMENTED, OPENAI, World, program
from tests.fidelity.seen import chain_of
from tests.integration.capture_support import http_client
from tracer.replay.recordings import by_id

KINDS = "Kinds of clients"
ENDPOINTS = "Endpoints and options"


def _azure(world: World, kind: Any, **more: Any) -> Any:
    arguments = {"azure_endpoint": world.wire.replay.root(world.family.plain), "api_version": "2024-06-01", "max_retries": 0}
    asynchronous = kind is openai.AsyncAzureOpenAI
    http = world.family.make_http(asynchronous=asynchronous)
    return world.wrap(kind(**{**arguments, "http_client": http, **more}))


@program(KINDS, "Azure: deployment, `azure_ad_token_provider`, `with_options`", families=OPENAI)
def azure(world: World) -> None:
    plain = _azure(world, openai.AzureOpenAI, api_key="none", azure_deployment="d")
    world.note(world.ask(plain), plain.base_url, type(plain), plain.chat.completions._client is plain)
    world.note(plain._azure_deployment if hasattr(plain, "_azure_deployment") else None)
    named = _azure(world, openai.AzureOpenAI, api_key="none")
    world.note(world.ask(named), world.ask(named, model="another"), named.base_url)
    tokens = iter(("first", "second", "third"))
    provided = _azure(world, openai.AzureOpenAI, azure_ad_token_provider=lambda: next(tokens), azure_deployment="d")
    world.note(world.ask(provided), world.ask(provided))
    changed = plain.with_options(timeout=3, default_headers={"x-a": "1"})
    world.note(type(changed), changed.base_url)
    world.attempt(world.ask, changed)
    world.attempt(lambda: plain.copy(azure_deployment="e").base_url)
    embeddings = "pydanticai.embeddings.openai.0"
    world.attempt(lambda: plain.embeddings.create(**world.arguments(plain, embeddings)))


@program(KINDS, "Azure: deployment, `azure_ad_token_provider`, `with_options`", families=OPENAI)
async def async_azure(world: World) -> None:
    async def token() -> str:
        return "of the provider"

    client = _azure(world, openai.AsyncAzureOpenAI, azure_ad_token_provider=token, azure_deployment="d")
    world.note(await world.ask(client), client.base_url, type(client))


@program(KINDS, "`_strict_response_validation=True`: kept, good answers and bad ones")
def strict(world: World) -> None:
    client = world.client(_strict_response_validation=True)
    world.note(client._strict_response_validation)
    world.attempt(world.ask, client)
    stream = world.client(world.family.stream, _strict_response_validation=True)
    world.attempt(lambda: list(world.ask(stream, world.family.stream)))
    bad = b'{"id": "c", "choices": "none", "content": 3}'
    headers = {"content-type": "application/json"}
    client = world.over(lambda _: world.family.http.Response(200, headers=headers, content=bad), _strict_response_validation=True)
    world.attempt(world.ask, client)
    world.attempt(world.ask, client.with_options(timeout=2))


@program(KINDS, "a subclass with its own `__init__`, `request`, `_prepare_options`, `_prepare_request`, `auth_headers`")
def subclasses(world: World) -> None:
    base: Any = world.family.client
    template = world.family.make(world.wire.replay, world.family.plain)

    class Tenant(base):
        def __init__(self, tenant: str) -> None:
            super().__init__(api_key="none", base_url=template.base_url, max_retries=0, http_client=world.family.make_http())
            self.tenant = tenant
            self.asked = 0

        def request(self, *args: Any, **kwargs: Any) -> Any:
            self.asked += 1
            return super().request(*args, **kwargs)

        def _prepare_options(self, options: Any) -> Any:
            options = super()._prepare_options(options)
            world.note("options", str(options.url), options.method)
            return options

        def _prepare_request(self, request: Any) -> None:
            request.headers["x-signature"] = f"{self.tenant} {self.asked}"

        @property
        def auth_headers(self) -> dict[str, str]:
            return {"X-Api-Key" if world.family.name == "anthropic" else "Authorization": f"Bearer {self.tenant}"}

    client = world.wrap(Tenant("t1"))
    world.note(type(client).__name__, isinstance(client, Tenant), client.tenant)
    world.note(world.ask(client), client.asked, world.ask(client), client.asked)
    failed: list[Any] = []
    try:
        client.with_options(timeout=1)
    except TypeError as error:
        failed.append(chain_of(error))
    world.note(failed)


@program(KINDS, "`request` replaced on the object before wrapping")
def replaced(world: World) -> None:
    bare = world.family.make(world.wire.replay, world.family.plain)
    funnel = bare.request

    def request(*args: Any, **kwargs: Any) -> Any:
        world.note("asked", len(args), sorted(kwargs))
        return funnel(*args, **kwargs)

    bare.request = request
    client = world.wrap(bare)
    world.note(world.ask(client), client.request.__name__, bare.request is request)


@program(KINDS, "the module's own client (`openai.chat.completions.create`), by `instrument` only", families=OPENAI, modes=(INSTRUMENTED,))
def module_client(world: World) -> None:
    module: Any = openai
    names = ("api_key", "base_url", "http_client", "max_retries", "default_headers", "timeout")
    earlier = {name: getattr(module, name) for name in names}
    try:
        for record_id in (world.family.plain, world.family.stream):
            module._reset_client()
            module.api_key, module.base_url = "none", world.wire.replay.base_url(record_id)
            module.http_client, module.max_retries, module.default_headers = http_client(), 0, {"x-module": "1"}
            answer = module.chat.completions.create(**world.arguments(world.client(), record_id))
            world.note(type(answer), list(answer) if record_id == world.family.stream else answer)
            world.note(type(module.chat.completions._client), module.api_key, module.models._client.max_retries)
    finally:
        for name, value in earlier.items():
            setattr(module, name, value)
        module._reset_client()


# Endpoints.


def _endpoint(world: World, content: bytes, kind: str = "application/json", **headers: str) -> Any:
    def answer(request: Any) -> Any:
        sent = request.read()
        world.note(request.method, str(request.url), dict(request.headers), sent)
        return world.family.http.Response(200, headers={"content-type": kind, **headers}, content=content)

    return world.over(answer)


@program(ENDPOINTS, "models: `retrieve`, `list` and its pages")
def models(world: World) -> None:
    world.needs(hasattr(world.client(), "models"), "models")
    model = b'{"id": "m%d", "object": "model", "created": 1, "owned_by": "o"}'
    page = b'{"object": "list", "data": [%s], "has_more": false, "first_id": "m1", "last_id": "m2"}' % b", ".join([model % 1, model % 2])
    client = _endpoint(world, page)
    listed = client.models.list()
    # Old versions of Anthropic's SDK go on whatever `has_more` says.
    items = list(islice(listed, 5))
    world.note(type(listed), items, listed.has_next_page(), listed.data, [item.id for item in islice(client.models.list(), 5)])
    world.note(_endpoint(world, model % 3).models.retrieve("m3"))
    raw = client.models.with_raw_response.list()
    world.note(raw.parse(), raw.status_code)


@program(ENDPOINTS, "low-level `get`, `post`, `put`, `delete`, with `cast_to`, `options`, `stream`")
def low_level(world: World) -> None:
    client = world.client()
    for kind in (object, dict[str, Any], str, world.family.http.Response):
        path = by_id(world.family.plain).path.removeprefix("/v1") if world.family.name == "openai" else by_id(world.family.plain).path
        world.attempt(lambda kind=kind, path=path: _plain(client.post(path, cast_to=cast("Any", kind), body={"model": "m"})))
        world.attempt(lambda kind=kind: _plain(client.get("/other", cast_to=cast("Any", kind), options={"headers": {"x": "1"}})))
        world.attempt(lambda kind=kind: _plain(client.delete("/other", cast_to=cast("Any", kind), options={"timeout": 2})))


def _plain(answer: Any) -> Any:
    return [type(answer), answer.content, answer.is_closed] if hasattr(answer, "content") else answer


@program(ENDPOINTS, "files and audio: multipart bodies, answers of bytes, `stream_to_file`", families=OPENAI)
def files(world: World) -> None:
    client = _endpoint(world, b'{"id": "f", "object": "file", "bytes": 3, "created_at": 1, "filename": "a", "purpose": "p"}')
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(b"{}\n" * 1000)
        with path.open("rb") as opened:
            world.note(client.files.create(file=opened, purpose="batch"), opened.tell())
        world.note(client.files.create(file=path, purpose="batch"))
        world.note(client.files.create(file=("b.txt", io.BytesIO(b"abc"), "text/plain"), purpose="assistants"))
        heard = _endpoint(world, b'{"text": "hi"}').audio.transcriptions.create(file=("a.mp3", b"123"), model="whisper-1")
        world.note(heard)
        sound = b"\x00\x01" * 5000
        spoken = _endpoint(world, sound, "audio/mpeg")
        answer = spoken.audio.speech.create(model="tts-1", voice="alloy", input="hi")
        target = Path(folder) / "out"
        answer.write_to_file(target)
        world.note(type(answer), answer.content == sound, target.read_bytes() == sound, answer.response.is_closed, answer.read() == sound)
        with spoken.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="hi") as streaming:
            world.note(type(streaming), streaming.http_response.num_bytes_downloaded)
            streaming.stream_to_file(target)
        world.note(target.read_bytes() == sound, streaming.is_closed)
        with spoken.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="hi") as streaming:
            world.note(len(next(streaming.iter_bytes(7))))
        world.note(streaming.is_closed)


class City(BaseModel):
    """What a model is to give."""

    city: str
    country: str


@program(ENDPOINTS, "`parse` into a class, a finish by length, refusals, tools", families=OPENAI)
def parsed(world: World) -> None:
    head = '{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, '
    content = '"message": {"role": "assistant", "content": %s, "refusal": %s}, "finish_reason": "%s"}], "usage": null}'
    for text, refusal, finish in (
        ('"{\\"city\\": \\"Paris\\", \\"country\\": \\"France\\"}"', "null", "stop"),
        ('"{\\"city\\": 3}"', "null", "stop"),
        ('"{"', "null", "length"),
        ("null", '"no"', "stop"),
        ("null", "null", "content_filter"),
    ):
        client = _endpoint(world, (head + content % (text, refusal, finish)).encode())
        completions = client.chat.completions if hasattr(client.chat.completions, "parse") else client.beta.chat.completions
        messages = [{"role": "user", "content": "hi"}]
        world.attempt(completions.parse, model="m", messages=messages, response_format=City)
        tools = [openai.pydantic_function_tool(City)]
        world.attempt(completions.parse, model="m", messages=messages, tools=tools)
        world.attempt(completions.parse, model="m", messages=messages, tools=[{"type": "function", "function": {"name": "f"}}])
