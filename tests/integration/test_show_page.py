"""`tracer show --html` over recorded traffic: the demo's closing command, and Anthropic's and OpenAI's calls of every kind."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.page_support import Element, read_page, rows
from tests.support import clean_environment, run_program
from tracer.cli.main import main

# A chain over both SDKs: an image that is small enough to be kept and one that is not, tools, thinking, a stream that is
# left, two retries, a failure.
PROGRAM = """
import tracer
from tests.integration import anthropic_support as anthropic, capture_support as openai
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer

IMAGE = "openinference.instrumentor.anthropic_instrumentation_image_input_messages_with_stream"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

with ReplayServer() as server, tracer.trace("many calls", kind="chain") as run:
    def call(record, behaviour=None, support=anthropic, **more):
        client = tracer.wrap(support.make_client(server, record, behaviour, max_retries=2))
        return support.create(client, record, **more)

    for record in (IMAGE, anthropic.TOOLS_STREAM, anthropic.THINKING_STREAM):
        for piece in call(record):
            pass
    call(anthropic.PLAIN, Behaviour(fail=2))
    for piece in call(anthropic.STREAM):
        break
    del piece
    try:
        call(anthropic.NOT_FOUND)
    except Exception as error:
        pass
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PIXEL}}
    asked = {"role": "user", "content": [{"type": "text", "text": "What </script> is <b>this</b>?"}, picture]}
    call(openai.PLAIN, support=openai, messages=[asked])
    tracer.feedback(run, "helpful", score=1)
"""


def _page(capsys: pytest.CaptureFixture[str], store: Path, *arguments: str) -> Element:
    assert main(["show", "--store", str(store), *arguments, "--html", "-"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return read_page(captured.out)


def test_calls_of_both_sdks_are_on_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store.sqlite"
    ended = run_program(PROGRAM, TRACER_LOCAL=str(store), TRACER_QUIET="true", PYTHONWARNINGS="ignore")
    assert (ended.status, ended.err) == (0, "")
    page = _page(capsys, store, "--content")
    found = rows(page)
    root, image, tools, thinking, retried, *attempts, stopped, failed, picture = found
    assert [row.one("span", "outcome").text for row in found] == [
        "completed",
        "completed",
        "completed",
        "completed",
        "completed",
        "failed · 429",
        "failed · 429",
        "completed · 200",
        "stopped after 1 chunk",
        "failed",
        "completed",
    ]
    assert "feedback helpful 1" in root.one_child("summary").text
    assert "image · image/png · 9,240 bytes of base64" in image.text
    assert image.one("span", "first")
    assert "tool call" in tools.text
    assert tools.all("details", "tool")
    assert "reasoning" in {label.text for label in thinking.all("span", "label")}
    assert len(attempts) == 3
    assert "after waiting" in retried.one("table", "timeline").text
    assert "tokens" in stopped.one_child("summary").text
    assert "Traceback (most recent call last)" in failed.one("section", "error").text
    assert "What </script> is <b>this</b>?" in picture.text
    assert [one.attributes["src"][:30] for one in page.all("img")] == ["data:image/png;base64,iVBORw0K"]
    private = _page(capsys, store)
    assert not private.all("li", "message")
    assert "is <b>this</b>?" not in private.text
    assert len(rows(private)) == len(found)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo's folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, _run(folder, "-m", "tracer", "demo")


def _run(folder: Path, *command: str) -> str:
    environment = {**clean_environment(), "PYTHONWARNINGS": "error", "COLUMNS": "200"}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr.count("Error")) == (0, 0), done.stderr
    return done.stdout


def test_the_command_that_the_demo_names_makes_the_page(demo: tuple[Path, str]) -> None:
    folder, said = demo
    (line,) = [line for line in said.splitlines() if "--html" in line]
    arguments = shlex.split(line)
    # The command itself is named as this shell can call it.
    arguments = arguments[arguments.index("show") :]
    assert _run(folder, "-m", "tracer", *arguments) == "The page is in .demo/trace.html\n"
    path = folder / ".demo" / "trace.html"
    assert path.stat().st_mode & 0o777 == 0o600
    page = read_page(path.read_text("utf-8"))
    assert page.one("h2").text == "answer question"
    by_name = {row.one("span", "name").one_child("b").text: row for row in rows(page)}
    tool = by_name["execute_tool get_capital"]
    assert [part.one("h3").text for part in tool.all("section")][:2] == ["Arguments", "Result"]
    assert '"country": "UK"' in tool.text
    assert by_name["chat gpt-4o-2024-08-06"].one("span", "outcome").text == "stopped after 5 chunks"
    assert "model_not_found" in by_name["chat gpt-5.2-proo"].one("span", "problem").text
    assert by_name["attempt 3"].one("span", "outcome").text == "completed · 200"
    structured = [part.text for part in page.all("div", "part") if part.one("span", "label").text == "structured output"]
    assert len(structured) == sum("gpt-5.6-luna" in name for name in by_name)


def test_the_demo_speaks_of_backends_and_its_page(demo: tuple[Path, str]) -> None:
    assert "In a backend: spans go to any OTLP backend" in demo[1]
    assert "viewer" not in demo[1]
