"""LangSmith's SDK, LangChain and ours in one process: one tree, each run posted once by its own library, right parents both ways."""

from __future__ import annotations

import pytest

from tests.integration.chat.chat_loopback import Loopback
from tests.langsmith_fields import complaints_about
from tests.langsmith_pairs import INFO
from tests.langsmith_server import langsmith
from tests.langsmith_version import AS_IT_IS_NOW
from tests.support import run_program

pytestmark = AS_IT_IS_NOW

BEGIN = """
import asyncio, contextvars, threading
import tracer
"""
IMPORT = "from langsmith import get_current_run_tree, trace, traceable, tracing_context\n"
END = """
from langsmith import Client
from langsmith.run_trees import get_cached_client
get_cached_client().flush()
assert tracer.flush(20)
"""

PLAIN = """
@traceable
def leaf():
    pass

@traceable
def theirs():
    with tracer.trace("ours in theirs"):
        leaf()
        with tracer.trace("ours in ours"):
            pass
        with tracing_context(tags=["t"]):
            pass
        leaf()
    leaf()
    with tracer.trace("ours by the side"):
        with trace("block"):
            leaf()
        leaf()
    leaf()

with tracer.trace("ours"):
    theirs()
    with tracer.trace("ours beside theirs"):
        pass
theirs()
leaf()
with tracer.trace("alone"):
    pass
assert get_current_run_tree() is None
"""
IN_PLAIN = sorted(
    [
        "alone",
        "leaf",
        "ours",
        "ours > ours beside theirs",
        *(
            f"{above}theirs{below}"
            for above in ("", "ours > ")
            for below in (
                *("", " > leaf", " > leaf", " > ours in theirs", " > ours in theirs > ours in ours"),
                *(" > ours in theirs > leaf", " > ours in theirs > leaf", " > ours by the side", " > ours by the side > leaf"),
                *(" > ours by the side > block", " > ours by the side > block > leaf"),
            )
        ),
    ]
)

OTHERS = """
@traceable
async def leaf():
    await asyncio.sleep(0)

@traceable
def pieces():
    with tracer.trace("in pieces"):
        yield 1
    with tracer.trace("in pieces"):
        yield 2

@traceable
async def theirs(name):
    with tracer.trace(name):
        await asyncio.gather(leaf(), leaf())

async def main():
    with tracer.trace("ours"):
        await asyncio.gather(theirs("a"), theirs("b"))

asyncio.run(main())
with tracer.trace("streams"):
    list(pieces())

@traceable
def in_a_thread():
    with tracer.trace("ours in a thread"):
        pass

with tracer.trace("threads"):
    tree = get_current_run_tree()

    def work():
        with tracing_context(parent=tree):
            in_a_thread()

    for run in (contextvars.copy_context().run, lambda work: work()):
        thread = threading.Thread(target=run, args=(work,))
        thread.start()
        thread.join()

@traceable
def handler():
    pass

with tracer.continue_from(HEADERS):
    handler()
    with tracer.trace("job"):
        handler()
"""
ROOT = "20261123T082453002678Z01a20782-0c0a-7940-a194-910cc8b1d75c"
IN_OTHERS = sorted(
    [
        "ours",
        *["ours > theirs"] * 2,
        "ours > theirs > a",
        "ours > theirs > b",
        *["ours > theirs > a > leaf"] * 2,
        *["ours > theirs > b > leaf"] * 2,
        "streams",
        "streams > pieces",
        *["streams > pieces > in pieces"] * 2,
        "threads",
        *["threads > in_a_thread"] * 2,
        *["threads > in_a_thread > ours in a thread"] * 2,
        "(elsewhere) > handler",
        "(elsewhere) > job",
        "(elsewhere) > job > handler",
    ]
)

WITH_LANGCHAIN = """
from langchain_core.runnables import RunnableLambda

def chain(name, step):
    return RunnableLambda(step).with_config(run_name=name)

@traceable
def theirs():
    chain("chain in theirs", inside).invoke(1)

@traceable
def leaf():
    pass

def inside(_):
    with tracer.trace("ours in a chain"):
        leaf()

with tracer.trace("ours"):
    chain("chain in ours", inside).invoke(1)
    theirs()
chain("chain", lambda _: theirs()).invoke(1)
list(chain("streamed", inside).stream(1))
asyncio.run(chain("async", inside).ainvoke(1))
chain("batch", inside).batch([1, 2])
from langchain_core.tracers.langchain import wait_for_all_tracers
wait_for_all_tracers()
"""
INSIDE = ("", " > ours in a chain", " > ours in a chain > leaf")
IN_LANGCHAIN = sorted(
    [
        "ours",
        "ours > theirs",
        "chain",
        "chain > theirs",
        *(
            above + below
            for above in (
                "ours > chain in ours",
                "ours > theirs > chain in theirs",
                "chain > theirs > chain in theirs",
                "streamed",
                "async",
                "batch",
                "batch",
            )
            for below in INSIDE
        ),
    ]
)

PROGRAMS = {
    "plain": (PLAIN, IN_PLAIN),
    "asynchronous, streams, threads, headers": (OTHERS.replace("HEADERS", repr({"langsmith-trace": ROOT})), IN_OTHERS),
    "langchain": (WITH_LANGCHAIN, IN_LANGCHAIN),
}


@pytest.mark.parametrize("ways", ["defer", "replace"])
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("first", ["tracer first", "langsmith first"])
def test_all_are_one_tree(program: str, ways: str, first: str) -> None:
    text, expected = PROGRAMS[program]
    begin = BEGIN + IMPORT if first == "tracer first" else IMPORT + BEGIN
    with langsmith(INFO) as server:
        ended = run_program(
            begin + text + END,
            LANGSMITH_TRACING="true",
            LANGSMITH_API_KEY="k",
            LANGSMITH_ENDPOINT=server.url,
            LANGSMITH_PROJECT="lab",
            TRACER_LANGCHAIN=ways,
            TRACER_TRUST_HEADERS="all",
            TRACER_QUIET="1",
            TRACER_EXIT_TIMEOUT="20",
        )
        assert ended.status == 0, ended.err
        runs = list(server.runs.values())
        assert set(server.counts.values()) == {1}
        # That of the SDK may overtake its create; the imitation is stricter than the SDK.
        server.complaints[:] = [text for text in server.complaints if "before its create" not in text]
    by_id = {run["id"]: run for run in runs}

    def path(run_id: str) -> str:
        run = by_id.get(run_id)
        if run is None:
            return "(elsewhere)"
        return f"{path(run['parent_run_id'])} > {run['name']}" if run.get("parent_run_id") else run["name"]

    assert sorted(map(path, by_id)) == expected
    assert complaints_about(runs) == []
    assert {run["session_name"] for run in runs} == {"lab"}


MODELS = """
import openai
from langsmith.wrappers import wrap_openai

def ask(client):
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    list(client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True))

bare = openai.OpenAI(api_key="k", base_url=BASE_URL)

@traceable(run_type="llm")
def a_model_of_my_own():
    ask(tracer.wrap(bare))

a_model_of_my_own()
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for made in (wrap_openai(tracer.wrap(bare)), tracer.wrap(wrap_openai(openai.OpenAI(api_key="k", base_url=BASE_URL)))):
        ask(made)
        with tracer.trace("ours"):
            ask(made)
assert tracer.flush(20)
dropped = tracer.status()["destinations"]["langsmith"]["dropped"]
assert dropped == {"posted by LangSmith's own SDK": 8}, dropped
"""


def test_a_client_that_both_have_wrapped_makes_each_run_once() -> None:
    models = Loopback()
    with langsmith(INFO) as server:
        ended = run_program(
            BEGIN + IMPORT + MODELS.replace("BASE_URL", repr(models.base_url)) + END,
            LANGSMITH_TRACING="true",
            LANGSMITH_API_KEY="k",
            LANGSMITH_ENDPOINT=server.url,
            TRACER_QUIET="1",
            TRACER_EXIT_TIMEOUT="20",
        )
        models.stop()
        assert ended.status == 0, ended.err
        server.complaints[:] = [text for text in server.complaints if "before its create" not in text]
        names = sorted(run["name"] for run in server.runs.values())
    assert names == ["ChatOpenAI"] * 10 + ["a_model_of_my_own", "ours", "ours"]


def test_its_run_goes_into_its_project_with_ours_in_it() -> None:
    program = """
@traceable(project_name="other")
def theirs():
    with tracer.trace("ours"):
        pass

theirs()
"""
    with langsmith(INFO) as server:
        ended = run_program(
            BEGIN + IMPORT + program + END,
            LANGSMITH_TRACING="true",
            LANGSMITH_API_KEY="k",
            LANGSMITH_ENDPOINT=server.url,
            TRACER_QUIET="1",
            TRACER_EXIT_TIMEOUT="20",
        )
        assert ended.status == 0, ended.err
        assert {run["name"]: run["session_name"] for run in server.runs.values()} == {"theirs": "other", "ours": "other"}


SWITCHED_OFF = """
import json
tracer.configure(**json.loads(SETTINGS))

@traceable
def theirs():
    with tracer.trace("ours"):
        assert get_current_run_tree() is None

with tracer.trace("above"):
    theirs()
print(tracer.status()["destinations"])
"""


@pytest.mark.parametrize("which", ["the SDK", "ours"])
def test_where_only_one_sends_neither_knows_of_the_other(which: str) -> None:
    """A run that nobody posts is no parent."""
    with langsmith(INFO) as server:
        ours_alone = f'{{"langsmith_tracing": true, "langsmith_key": "k", "langsmith_endpoint": "{server.url}"}}'
        none_of_ours = '{"langsmith_tracing": false, "console": false}'
        on = {"LANGSMITH_TRACING": "true", "LANGSMITH_API_KEY": "k", "LANGSMITH_ENDPOINT": server.url}
        program = SWITCHED_OFF.replace("SETTINGS", repr(ours_alone if which == "ours" else none_of_ours))
        if which == "the SDK":
            program = program.replace("assert get_current_run_tree() is None", "assert get_current_run_tree().name == 'theirs'")
        ended = run_program(BEGIN + IMPORT + program + END, TRACER_QUIET="1", TRACER_EXIT_TIMEOUT="20", **({} if which == "ours" else on))
        assert ended.status == 0, ended.err
        found = sorted((run["name"], run.get("parent_run_id") is None) for run in server.runs.values())
    assert found == ([("above", True), ("ours", False)] if which == "ours" else [("theirs", True)])
