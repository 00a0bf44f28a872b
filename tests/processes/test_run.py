"""`tracer run` and `tracer.instrument`: programs as they are, traced by the environment alone, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import OUR_PREFIXES, ROOT
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer

PLAIN = "pydanticai.openai.openai_prompted_output.0"
STREAM = "otel.genai.async_chat_completion_streaming"

OPENAI_PROGRAM = """
import asyncio, sys
from openai import AsyncOpenAI, OpenAI

plain, stream = sys.argv[1:]
messages = [{"role": "user", "content": "hi"}]
client = OpenAI(api_key="none", base_url=plain)
client.chat.completions.create(model="m", messages=messages)
for chunk in OpenAI(api_key="none", base_url=stream).chat.completions.create(model="m", messages=messages, stream=True):
    assert chunk.choices

async def main():
    async with AsyncOpenAI(api_key="none", base_url=plain) as client:
        await client.chat.completions.create(model="m", messages=messages)

asyncio.run(main())
sys.exit(7)
"""

LANGCHAIN_PROGRAM = """
import sys
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="m", api_key="none", base_url=sys.argv[1])
(ChatPromptTemplate.from_template("{x}") | model | StrOutputParser()).invoke({"x": "hi"})
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer(Behaviour(honour_usage=1)) as running:
        yield running


def run(folder: Path, command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """`python -m tracer run …` with the given variables and no others of ours."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OUR_PREFIXES)}
    environment.update(variables, PYTHONPATH=str(ROOT))
    line = [sys.executable, "-m", "tracer", "run", *command]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)


def shown(store: Path) -> list[dict[str, Any]]:
    """What `tracer show --json` says of a store: every span."""
    line = [sys.executable, "-m", "tracer", "show", "--store", str(store), "--last", "100", "--json"]
    printed = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout

    def spans_in(value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            if "span_id" in value and "name" in value:
                yield value  # pyright: ignore[reportUnknownVariableType]
            for inner in value.values():  # pyright: ignore[reportUnknownVariableType]
                yield from spans_in(inner)
        elif isinstance(value, list):
            for inner in value:  # pyright: ignore[reportUnknownVariableType]
                yield from spans_in(inner)

    return list(spans_in(json.loads(printed)))


@pytest.mark.parametrize("as_module", [False, True])
def test_a_plain_openai_program_is_traced_unchanged(tmp_path: Path, server: ReplayServer, as_module: bool) -> None:
    (tmp_path / "app.py").write_text(OPENAI_PROGRAM)
    program = ["-m", "app"] if as_module else ["app.py"]
    arguments = [server.base_url(PLAIN), server.base_url(STREAM)]
    done = run(tmp_path, [*program, *arguments], TRACER_LOCAL=str(tmp_path / "t.sqlite"))
    assert done.returncode == 7, done.stderr
    spans = shown(tmp_path / "t.sqlite")
    assert [(span["name"], span["outcome"]) for span in spans] == [("chat m", "completed")] * 3


def test_nothing_set_nothing_done(tmp_path: Path, server: ReplayServer) -> None:
    (tmp_path / "app.py").write_text(OPENAI_PROGRAM)
    done = run(tmp_path, ["app.py", server.base_url(PLAIN), server.base_url(STREAM)])
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["app.py"]


def test_a_langchain_program_is_traced_with_its_tree(tmp_path: Path, server: ReplayServer) -> None:
    pytest.importorskip("langchain_openai", reason="needs langchain-openai (pip install langchain-core langchain-openai)")
    (tmp_path / "app.py").write_text(LANGCHAIN_PROGRAM)
    done = run(tmp_path, ["app.py", server.base_url(PLAIN)], TRACER_LOCAL=str(tmp_path / "t.sqlite"))
    assert done.returncode == 0, done.stderr
    spans = {span["name"]: span for span in shown(tmp_path / "t.sqlite")}
    assert set(spans) == {"RunnableSequence", "ChatPromptTemplate", "chat m", "StrOutputParser"}
    root = spans["RunnableSequence"]["span_id"]
    assert {span["parent_span_id"] for name, span in spans.items() if name != "RunnableSequence"} == {root}


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    done = run(tmp_path, ["missing.py"])
    assert done.returncode == 2
    assert "there is no file missing.py" in done.stderr


def test_instrument_is_undone(server: ReplayServer, tmp_path: Path) -> None:
    program = """
import sys
import tracer
from openai import OpenAI

from openai._base_client import SyncAPIClient

own = SyncAPIClient.request
tracer.instrument()
tracer.instrument()
client = OpenAI(api_key="none", base_url=sys.argv[1])
wrapped = tracer.wrap(client)
messages = [{"role": "user", "content": "hi"}]
client.chat.completions.create(model="m", messages=messages)
wrapped.chat.completions.create(model="m", messages=messages)
assert tracer.status()["started"] == 2, tracer.status()
tracer.uninstrument()
assert SyncAPIClient.request is own
client.chat.completions.create(model="m", messages=messages)
assert tracer.status()["started"] == 2, tracer.status()
wrapped.chat.completions.create(model="m", messages=messages)
assert tracer.status()["started"] == 3, tracer.status()
"""
    (tmp_path / "app.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TRACER_LOCAL": str(tmp_path / "t.sqlite")}
    line = [sys.executable, "app.py", server.base_url(PLAIN)]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
