"""LangChain's own LangSmith tracer and ours, switched on by the same variables: each run is posted once, by the one that is to."""

from __future__ import annotations

import json

import pytest

from tests.langsmith_pairs import INFO
from tests.langsmith_server import LangSmith, langsmith
from tests.support import run_program

PROGRAM = """
import asyncio, json, threading
import tracer
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool

model = GenericFakeChatModel(messages=iter([AIMessage("one two")] * 20))
chain = ChatPromptTemplate.from_messages([("human", "{question}")]) | model | StrOutputParser()

@tool
def weather(city: str) -> str:
    "Tells the weather."
    with tracer.trace("look up"):
        return "fine"

asked = {"question": "Why?"}
with tracer.trace("ours"):
    chain.invoke(asked)
list(chain.stream(asked))
asyncio.run(chain.ainvoke(asked))
chain.batch([asked, asked])
thread = threading.Thread(target=chain.invoke, args=(asked,))
thread.start()
thread.join()
weather.invoke({"city": "Rome"})
from langchain_core.tracers.langchain import wait_for_all_tracers
wait_for_all_tracers()
tracer.flush(20)
print(json.dumps(tracer.status()["destinations"]["langsmith"]))
"""

CHAINS = 6
OF_LANGCHAIN = sorted(["RunnableSequence", "ChatPromptTemplate", "GenericFakeChatModel", "StrOutputParser"] * CHAINS + ["weather"])
OURS = ["look up", "ours"]


def run(server: LangSmith, **more: str) -> dict[str, dict[str, int]]:
    ended = run_program(
        PROGRAM,
        LANGCHAIN_TRACING_V2="true",
        LANGCHAIN_API_KEY="k",
        LANGCHAIN_ENDPOINT=server.url,
        TRACER_QUIET="1",
        TRACER_EXIT_TIMEOUT="20",
        **more,
    )
    assert ended.status == 0, ended.err
    forgive(server)
    return json.loads(ended.out.splitlines()[-1])


def forgive(server: LangSmith) -> None:
    """What the SDK ends may overtake its create; the imitation is stricter than the SDK."""
    server.complaints[:] = [text for text in server.complaints if "before its create" not in text]


def posted(server: LangSmith, ours: bool) -> list[str]:
    """The names of the runs that came in requests of ours, or of the SDK's."""
    requests = [request for request in server.requests if request.method in ("POST", "PATCH")]
    bodies = [request.body for request in requests if request.headers["user-agent"].startswith("chat-tracer") == ours]
    return sorted(run["name"] for run_id, run in server.runs.items() if any(f'"id":"{run_id}"'.encode() in body for body in bodies))


@pytest.mark.parametrize("setting", [{}, {"TRACER_LANGCHAIN": "defer"}], ids=["default", "defer"])
def test_langchains_own_tracer_posts_its_runs_and_we_the_others(setting: dict[str, str]) -> None:
    with langsmith(INFO) as server:
        account = run(server, **setting)
        assert posted(server, ours=False) == OF_LANGCHAIN
        names = sorted(run["name"] for run in server.runs.values())
        look_up = next(run for run in server.runs.values() if run["name"] == "look up")
        weather = next(run for run in server.runs.values() if run["name"] == "weather")
    assert names == sorted(OF_LANGCHAIN + OURS)
    assert (look_up["parent_run_id"], look_up["trace_id"]) == (weather["id"], weather["trace_id"])
    # The start of a run is that which LangChain's tracer has written, to the microsecond.
    assert look_up["dotted_order"].startswith(weather["dotted_order"] + ".")
    assert account["exported"] == len(OURS)
    assert account["dropped"] == {"posted by LangChain's own tracer": len(OF_LANGCHAIN)}


def test_replaced_it_posts_nothing_and_we_everything() -> None:
    with langsmith(INFO) as server:
        account = run(server, TRACER_LANGCHAIN="replace")
        assert posted(server, ours=False) == []
        assert posted(server, ours=True) == sorted(OF_LANGCHAIN + OURS)
        assert set(server.counts.values()) == {1}
        look_up = next(run for run in server.runs.values() if run["name"] == "look up")
        weather = next(run for run in server.runs.values() if run["name"] == "weather")
    assert look_up["dotted_order"].startswith(weather["dotted_order"] + ".")
    assert (account["exported"], account["dropped"]) == (len(OF_LANGCHAIN + OURS), {})


def test_without_recording_langchains_own_tracer_goes_on() -> None:
    with langsmith(INFO) as server:
        run_program(
            PROGRAM.replace("import tracer\n", "import tracer\ntracer.uninstrument()\n", 1),
            LANGCHAIN_TRACING_V2="true",
            LANGCHAIN_API_KEY="k",
            LANGCHAIN_ENDPOINT=server.url,
            TRACER_QUIET="1",
            TRACER_LANGCHAIN="replace",
        )
        assert posted(server, ours=False) == OF_LANGCHAIN


AGENT = """
import asyncio, threading, warnings
warnings.simplefilter("ignore")
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.prebuilt import create_react_agent

class Agent(GenericFakeChatModel):
    def bind_tools(self, tools, **_):
        return self

@tool
def weather(city: str) -> str:
    "Tells the weather."
    return "fine"

def agent():
    call = {"name": "weather", "args": {"city": "Rome"}, "id": "1", "type": "tool_call"}
    return create_react_agent(Agent(messages=iter([AIMessage("", tool_calls=[call]), AIMessage("it is fine")])), [weather])

asked = {"messages": [("human", "What weather?")]}
agent().invoke(asked)
list(agent().stream(asked))
asyncio.run(agent().ainvoke(asked))
thread = threading.Thread(target=lambda: agent().invoke(asked))
thread.start()
thread.join()
from langchain_core.tracers.langchain import wait_for_all_tracers
wait_for_all_tracers()
"""


def tree(server: LangSmith) -> list[str]:
    """Every run with the names of those above it."""
    runs = server.runs

    def path(run_id: str) -> str:
        above = runs[run_id].get("parent_run_id")
        return f"{path(above)} > {runs[run_id]['name']}" if above else runs[run_id]["name"]

    return sorted(map(path, runs))


@pytest.mark.parametrize("key", [{"LANGCHAIN_API_KEY": "k"}, {}], ids=["with a key", "without a key"])
def test_agents_are_the_tree_that_langchains_tracer_alone_makes(key: dict[str, str]) -> None:
    variables = {"LANGCHAIN_TRACING_V2": "true", "TRACER_QUIET": "1", "TRACER_EXIT_TIMEOUT": "20", **key}
    trees: dict[str, list[str]] = {}
    for way in ("alone", "defer", "replace"):
        with langsmith(INFO) as server:
            begin = "" if way == "alone" else "import tracer\ntracer.context(tags=[]).__enter__()\n"
            ended = run_program(begin + AGENT, **variables, LANGCHAIN_ENDPOINT=server.url, TRACER_LANGCHAIN=way.replace("alone", "defer"))
            assert ended.status == 0, ended.err
            forgive(server)
            trees[way] = tree(server)
            assert set(server.counts.values()) == {1}
            assert bool(posted(server, ours=True)) == (way == "replace")
            assert bool(posted(server, ours=False)) == (way != "replace")
            assert {request.headers.get("x-api-key") for request in server.requests} == {key.get("LANGCHAIN_API_KEY")}
    assert len(trees["alone"]) > 20
    assert trees["defer"] == trees["replace"] == trees["alone"]
