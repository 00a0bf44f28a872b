"""Run log, config, batching, tools and schemas, and the clients of a chat model, each on its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from contextvars import ContextVar
from typing import Any
from uuid import UUID, uuid4

import openai
import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from tracer.chat import ChatModel, ChatOpenAI
from tracer.chat.batching import run_all, run_all_async
from tracer.chat.clients import Clients
from tracer.chat.config import for_each, merged, upcoming
from tracer.chat.runlog import RunLog, RunLogPatch, apply_patch
from tracer.chat.structured import binding_for
from tracer.chat.tools import strict_schema, tool_choice_for, tool_definition

# Run log.


def test_patches_add_up_and_stay_as_they_are() -> None:
    begin = RunLogPatch({"op": "replace", "path": "", "value": {"streamed_output": [], "final_output": None}})
    piece = RunLogPatch({"op": "add", "path": "/streamed_output/-", "value": "a"})
    end = RunLogPatch({"op": "replace", "path": "/final_output", "value": {"done": True}})
    log = begin + piece + piece + end
    assert isinstance(log, RunLog)
    assert log.state == {"streamed_output": ["a", "a"], "final_output": {"done": True}}
    assert begin.ops[0]["value"] == {"streamed_output": [], "final_output": None}
    assert log == RunLog(*log.ops, state=log.state)
    assert log != begin
    assert repr(piece) == "RunLogPatch({'op': 'add', 'path': '/streamed_output/-', 'value': 'a'})"


def test_patch_paths() -> None:
    assert apply_patch({"a/b": {"~": 1}}, [{"op": "replace", "path": "/a~1b/~0", "value": 2}]) == {"a/b": {"~": 2}}
    assert apply_patch({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}]) == {"a": [1, 2, 3]}
    for operation in (
        {"op": "replace", "path": "/no", "value": 1},
        {"op": "add", "path": "/a/b/c", "value": 1},
        {"op": "add", "path": "/a/9x", "value": 1},
    ):
        with pytest.raises(ValueError, match="leads nowhere"):
            apply_patch({"a": [1]}, [operation])
    with pytest.raises(ValueError, match="unknown"):
        apply_patch({}, [{"op": "remove", "path": "/a", "value": None}])


# Config.


def test_configs_merge_and_one_run_id_names_one_run() -> None:
    run_id = uuid4()
    base = merged({"tags": ["a"], "metadata": {"k": 1, "l": 1}}, {"tags": ["b", "a"], "metadata": {"l": 2}, "run_id": run_id})
    assert base == {"tags": ["a", "b"], "metadata": {"k": 1, "l": 2}, "run_id": run_id}
    first, second = (upcoming(item) for item in for_each(base, None, 2))
    assert first.run_id == run_id.int
    assert second.run_id not in (None, run_id.int)
    assert (first.tags, first.metadata) == (second.tags, second.metadata) == (("a", "b"), {"k": 1, "l": 2})
    assert upcoming({"run_id": str(run_id)}).run_id == upcoming({"run_id": run_id.int}).run_id == run_id.int
    assert UUID(int=upcoming({}).run_id or 0).version == 7
    with pytest.raises(ValueError, match="1 configs were given for 2 inputs"):
        for_each({}, [{}], 2)


# Batching.


def test_threads_keep_order_context_and_limit() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="outside")
    variable.set("inside")
    running, most, lock = 0, 0, threading.Lock()

    def call(number: int) -> tuple[int, str]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.002)
        with lock:
            running -= 1
        return number, variable.get()

    assert run_all(call, list(range(20)), max_concurrency=3) == [(number, "inside") for number in range(20)]
    assert most == 3
    assert run_all(call, []) == []


def test_the_first_exception_is_raised_and_no_more_is_begun() -> None:
    begun: list[int] = []

    def call(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise ValueError(number)
        threading.Event().wait(0.02)
        return number

    with pytest.raises(ValueError, match="1"):
        run_all(call, list(range(50)), max_concurrency=2)
    assert len(begun) < 50


async def test_tasks_are_limited_and_cancelled() -> None:
    ended: list[str] = []
    running, most = 0, 0

    async def call(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await asyncio.sleep(30 if number == 3 else 0.001)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        finally:
            running -= 1
        if number == 7:
            raise ValueError("seven")
        return number

    assert await run_all_async(call, [0, 1, 2], max_concurrency=2) == [0, 1, 2]
    assert most == 2
    outcome: list[Any] = await run_all_async(call, [1, 7, 2], return_exceptions=True)
    assert [outcome[0], str(outcome[1]), outcome[2]] == [1, "seven", 2]
    with pytest.raises(ValueError, match="seven"):
        await run_all_async(call, [3, 7])
    assert ended == ["cancelled"]
    task = asyncio.ensure_future(run_all_async(call, [3, 3, 1]))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled"] * 3
    assert running == 0


# Tools and schemas.


class Weather(BaseModel):
    """Weather at a place."""

    place: str
    days: int = Field(default=1, description="how many days")


class WeatherDict(TypedDict, total=False):
    """Weather at a place."""

    place: str


def weather(place: str, days: int = 1) -> str:
    """Weather at a place."""
    return f"{place} {days}"


@pytest.mark.parametrize("tool", [Weather, WeatherDict, weather])
def test_tools_of_every_kind(tool: Any) -> None:
    definition = tool_definition(tool)
    function = definition["function"]
    assert definition["type"] == "function"
    assert function["name"] == tool.__name__
    assert function["description"] == "Weather at a place."
    assert function["parameters"]["properties"]["place"]["type"] == "string"
    assert "strict" not in function
    strict = tool_definition(tool, strict=True)["function"]
    assert strict["strict"] is True
    assert strict["parameters"]["additionalProperties"] is False
    assert strict["parameters"]["required"] == list(function["parameters"]["properties"])


def test_tools_as_dicts() -> None:
    whole: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {}}}
    assert tool_definition(whole) == whole
    assert tool_definition({"name": "f", "parameters": {}}) == whole
    assert tool_definition({"title": "f", "type": "object"})["function"]["name"] == "f"
    assert tool_definition({"type": "web_search"}) == {"type": "web_search"}
    with pytest.raises(TypeError, match="keys are what"):
        tool_definition({"what": 1})
    with pytest.raises(TypeError, match="not of type int"):
        tool_definition(5)


def test_tool_choice() -> None:
    definitions = [tool_definition(weather)]
    assert tool_choice_for("auto", definitions) == "auto"
    assert tool_choice_for("any", definitions) == tool_choice_for(True, definitions) == "required"
    assert tool_choice_for("weather", definitions) == {"type": "function", "function": {"name": "weather"}}
    assert tool_choice_for(None, definitions) is None
    with pytest.raises(ValueError, match="'other' is none of: auto, none, required, any, weather"):
        tool_choice_for("other", definitions)


def test_strict_schema_reaches_nested_objects() -> None:
    class Outer(BaseModel):
        inner: list[Weather]
        choice: Weather = Field(description="one")

    made = strict_schema(Outer.model_json_schema())
    assert made["$defs"]["Weather"]["required"] == ["place", "days"]
    assert "default" not in made["$defs"]["Weather"]["properties"]["days"]
    assert made["properties"]["choice"] == {"$ref": "#/$defs/Weather"}


def test_response_formats() -> None:
    schema = {"title": "Weather", "type": "object", "properties": {"place": {"type": "string"}}}
    assert binding_for(schema, "json_schema") == {
        "response_format": {"type": "json_schema", "json_schema": {"name": "Weather", "schema": schema}}
    }
    named = {"name": "w", "schema": schema, "strict": True}
    ready = {"type": "json_schema", "json_schema": named}
    assert binding_for(named, "json_schema") == binding_for(ready, "json_schema") == {"response_format": ready}
    assert binding_for(named, "function_calling")["tools"][0]["function"]["parameters"] == schema
    assert binding_for(Weather, "json_schema")["response_format"]["json_schema"]["strict"] is True
    assert binding_for(None, "json_mode") == {"response_format": {"type": "json_object"}}
    with pytest.raises(ValueError, match="none of json_schema, function_calling, json_mode"):
        binding_for(Weather, "magic")
    with pytest.raises(TypeError, match="pydantic class, a TypedDict or a JSON schema"):
        binding_for(5, "json_schema")


# Clients.


def test_the_async_client_has_the_settings_of_the_sync_one() -> None:
    client = openai.OpenAI(
        api_key="sk-1",
        base_url="http://localhost:1/v1",
        organization="org",
        project="proj",
        timeout=3.5,
        max_retries=7,
        default_headers={"x-a": "1"},
        default_query={"q": "1"},
    )
    made = other_of(client)
    assert type(made) is openai.AsyncOpenAI
    for name in ("api_key", "base_url", "organization", "project", "timeout", "max_retries", "_custom_headers", "_custom_query"):
        assert getattr(made, name) == getattr(client, name), name
    back = other_of(made, sync=True)
    assert type(back) is openai.OpenAI
    assert back.default_headers["x-a"] == "1"


def test_azure_clients_of_both_kinds() -> None:
    client = openai.AzureOpenAI(
        api_key="key", azure_endpoint="https://example.openai.azure.com", azure_deployment="d1", api_version="2024-06-01"
    )
    made = other_of(client)
    assert type(made) is openai.AsyncAzureOpenAI
    back = other_of(made, sync=True)
    for item in (made, back):
        assert str(item.base_url) == str(client.base_url)
        assert item._api_version == "2024-06-01"
        assert item._custom_query == client._custom_query
        assert item.api_key == "key"
        for name in ("_azure_endpoint", "_azure_deployment"):  # not in every version of the SDK
            assert getattr(item, name, None) == getattr(client, name, None)


async def test_key_functions_become_async() -> None:
    client = openai.AzureOpenAI(azure_ad_token_provider=lambda: "token", azure_endpoint="https://example.openai.azure.com", api_version="1")
    made = await Clients(client).for_async()
    assert await made._get_azure_ad_token() == "token"

    async def provide() -> str:
        return "token"

    only_async = openai.AsyncAzureOpenAI(
        azure_ad_token_provider=provide, azure_endpoint="https://example.openai.azure.com", api_version="1"
    )
    with pytest.raises(TypeError, match="`azure_ad_token_provider` is an async function"):
        other_of(only_async, sync=True)


def test_event_loops_side_by_side_have_a_client_each() -> None:
    clients = Clients(openai.OpenAI(api_key="k"))
    together = threading.Barrier(2, timeout=10)

    async def work() -> Any:
        client = await clients.for_async()
        together.wait()
        assert await clients.for_async() is client
        return client

    one, other = run_all(lambda _: asyncio.run(work()), [1, 2])
    assert one is not other
    assert one.is_closed()
    assert len(clients._derived) == 0


class OwnClient(openai.OpenAI):
    pass


def test_what_cannot_be_carried_over_is_said_when_it_is_needed() -> None:
    with openai.OpenAI(api_key="k", http_client=openai.DefaultHttpxClient()) as custom:
        chat = ChatModel(custom, model="m")
        with pytest.raises(TypeError, match=r"an async client, .* custom HTTP client\. Give both: ChatModel\(client, async_client=…\)"):
            asyncio.run(chat.ainvoke("hi"))
        both = ChatModel(custom, async_client=openai.AsyncOpenAI(api_key="k"), model="m")
        assert asyncio.run(both._clients.for_async()).api_key == "k"
    with pytest.raises(TypeError, match=r"cannot be made from a .*OwnClient"):
        asyncio.run(ChatModel(OwnClient(api_key="k"), model="m").ainvoke("hi"))


def test_clients_that_are_none() -> None:
    with pytest.raises(TypeError, match=r"client is a int, which has neither `chat\.completions\.create` nor `messages\.create`"):
        ChatModel(5)
    with pytest.raises(TypeError, match="not an async client"):
        ChatModel(openai.OpenAI(api_key="k"), async_client=openai.OpenAI(api_key="k"))
    with pytest.raises(TypeError, match="give the sync one first"):
        ChatModel(openai.AsyncOpenAI(api_key="k"), async_client=openai.AsyncOpenAI(api_key="k"))


def test_no_key_names_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ValueError, match=r"openai_api_key=.*api_key=.*OPENAI_API_KEY"):
        ChatOpenAI()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    assert ChatOpenAI()._clients.sync().api_key == "sk-env"
    assert ChatOpenAI(openai_api_key="sk-1", openai_api_base="http://x/v1", request_timeout=4)._clients.sync().timeout == 4


def other_of(client: Any, *, sync: bool = False) -> Any:
    clients = Clients(client)
    return clients.sync() if sync else asyncio.run(clients.for_async())


# Importing.


def test_importing_is_cheap_and_needs_no_langchain() -> None:
    program = (
        "import sys\n"
        "sys.modules['langchain_core'] = None\n"
        "from tracer.chat import HumanMessage, ChatModel\n"
        "for name in ('openai', 'pydantic', 'langchain_core.messages', 'asyncio', 'httpx'):\n"
        "    assert name not in sys.modules, name\n"
        "import tracer.chat\n"
        "assert 'ChatOpenAI' in dir(tracer.chat)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    without = (
        "import sys\n"
        "sys.modules['langchain_core'] = None\n"
        "from tracer.chat import ChatOpenAI\n"
        "chat = ChatOpenAI(openai_api_key='k')\n"
        "for use in (chat.as_langchain, lambda: chat | str):\n"
        "    try:\n"
        "        use()\n"
        "    except ImportError as error:\n"
        "        assert 'chat-tracer[langchain]' in str(error), error\n"
        "    else:\n"
        "        raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", without], check=True)
