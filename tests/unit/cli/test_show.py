"""`tracer show` and the command line around it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.store.records import model_call, own_span
from tracer.call import FAILED, STOPPED, Call, Failure
from tracer.cli.contents import contents
from tracer.cli.forest import forest, totals, walk
from tracer.cli.main import main
from tracer.export import names
from tracer.reading.record import Record
from tracer.settings import Settings
from tracer.store.reader import StoreReader, Trace
from tracer.store.store import LocalStore

SETTINGS = Settings(otlp_headers={}, resource_attributes={})


def _store(path: Path, *records: Record) -> None:
    store = LocalStore(path, SETTINGS)
    assert store.export(records).exported == len(records)
    store.close()


def _conversation(path: Path) -> Call:
    """A chain with a tool, a plain call, one that was retried, one that was stopped and one that failed; gives the chain's call."""
    root = own_span("answer question")
    wall, call = root.call.started_wall, root.call
    failure = Failure("openai.NotFoundError", "The model\n`gpt-9` does not exist \x1b[31m", status=404)
    _store(
        path,
        model_call(parent=call, started_wall=wall + 1, first_chunk=0.25),
        model_call(parent=call, started_wall=wall + 2, statuses=(429, 200), cost=None),
        model_call(parent=call, started_wall=wall + 3, outcome=STOPPED, first_chunk=0.01),
        model_call(parent=call, started_wall=wall + 4, outcome=FAILED, failure=failure, model="gpt-9", cost=None),
        own_span("get_weather", "tool", parent=call, started_wall=wall + 5),
        root,
    )
    return call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces.sqlite"


def _show(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> str:
    assert main(["show", "--store", str(path), *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def _json(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(_show(capsys, path, "--json", *arguments))


def test_the_tree_says_what_matters(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = _conversation(path)
    lines = _show(capsys, path).splitlines()
    assert lines[0].startswith(f"trace {call.trace_id:032x}  ")
    assert "\x1b" not in "".join(lines)
    assert lines[1] == "4 model calls · 1 failed · 48→136 tokens · $0.0025 (known for 2 of 4 calls)"
    assert lines[2].startswith("└── answer question  1.00 s")
    plain, retried, first, second, stopped, failed, tool = lines[3:]
    assert plain.endswith("chat gpt-4o-mini  500 ms · 12→34 tokens · $0.0012 · first chunk 250 ms · completed · beta, two")
    assert retried.endswith("chat gpt-4o-mini  500 ms · 12→34 tokens · completed · beta, two")
    assert "attempt 1  " in first
    assert "429" in first
    assert "attempt 2  " in second
    assert "200" in second
    assert "after waiting" in second
    assert first.index("attempt") == retried.index("chat") + 4
    assert "stopped after 2 chunks" in stopped
    assert "failed: openai.NotFoundError The model `gpt-9` does not exist \ufffd[31m" in failed
    assert tool.endswith("execute_tool get_weather  1.00 s")


def test_what_all_spans_share_is_said_once(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = own_span("root")
    root.call.session, root.call.user, root.call.tags = "s1", "u7", ("beta",)
    _store(path, root, model_call(parent=root.call))
    lines = _show(capsys, path).splitlines()
    assert lines[0].endswith(" · session s1 · user u7 · beta")
    assert lines[2].endswith("root  1.00 s")
    assert lines[3].endswith(" · completed · two")


def test_content_is_shown_when_asked_for(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _store(path, model_call(answer="first line\nsecond \x1b[2J line"))
    assert "sunny" not in _show(capsys, path)
    text = _show(capsys, path, "--content")
    assert "user: How is the weather in Paris?" in text
    assert "assistant: first line\n" in text
    assert "second \ufffd[2J line" in text
    _store(path, own_span("get_weather", "tool"))
    text = _show(capsys, path, "--content")
    assert 'arguments: {"city": "Paris"}' in text
    assert "result: sunny" in text


def test_what_was_retrieved_is_content(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = model_call()
    assert record.generation is not None
    record.generation.query, record.generation.documents = "42", [{"id": "heron.md", "score": 0.5}]
    _store(path, record)
    assert "heron" not in _show(capsys, path) + _show(capsys, path, "--json")
    content = _json(capsys, path, "--content")[0]["spans"][0]["content"]
    assert (content["retrieval_query"], content["retrieval_documents"]) == ("42", [{"id": "heron.md", "score": 0.5}])
    assert 'retrieval_documents: [{"id": "heron.md", "score": 0.5}]' in _show(capsys, path, "--content")


def test_content_that_is_nested_too_deep_to_read_is_a_text() -> None:
    deep = "[" * 100_000
    assert contents({names.INPUT_VALUE: deep}) == {"input": deep}


def test_long_lines_are_not_cut_in_a_pipe(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = "word " * 400
    _store(path, model_call(answer=answer))
    assert answer.strip() in _show(capsys, path, "--content")


def test_last_and_ids_choose_traces(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = model_call().call.started_wall
    records = [own_span(f"span {index}", started_wall=now + index) for index in range(4)]
    _store(path, *records)
    assert [trace["spans"][0]["name"] for trace in _json(capsys, path)] == ["span 3"]
    assert [trace["spans"][0]["name"] for trace in _json(capsys, path, "--last", "3")] == ["span 1", "span 2", "span 3"]
    assert "span 0" in _show(capsys, path, f"{records[0].call.span_id:016x}")
    assert _show(capsys, path, "--last", "2").count("trace ") == 2


def test_json_has_the_documented_shape(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = _conversation(path)
    (trace,) = _json(capsys, path)
    spans = trace.pop("spans")
    start = trace.pop("start")
    assert start.endswith("Z")
    assert trace.pop("cost") == {"USD": pytest.approx(0.00246)}
    assert trace == {
        "trace_id": f"{call.trace_id:032x}",
        "duration": 1.000000005,
        "calls": 4,
        "failed": 1,
        "input_tokens": 48,
        "output_tokens": 136,
    }
    assert [(span["name"], span["depth"]) for span in spans] == [
        ("answer question", 0),
        ("chat gpt-4o-mini", 1),
        ("chat gpt-4o-mini", 1),
        ("attempt", 2),
        ("attempt", 2),
        ("chat gpt-4o-mini", 1),
        ("chat gpt-9", 1),
        ("execute_tool get_weather", 1),
    ]
    span = spans[1]
    attributes = span.pop("attributes")
    assert attributes["gen_ai.usage.input_tokens"] == 12
    assert not [name for name in attributes if "messages" in name]
    for name in ("span_id", "run_id", "start"):
        assert span.pop(name)
    assert span == {
        "parent_span_id": f"{call.span_id:016x}",
        "depth": 1,
        "name": "chat gpt-4o-mini",
        "kind": "llm",
        "operation": "chat",
        "model": "gpt-4o-mini",
        "duration": 0.5,
        "outcome": "completed",
        "error": None,
        "input_tokens": 12,
        "output_tokens": 34,
        "cost": 0.00123,
        "currency": "USD",
        "time_to_first_chunk": 0.25,
        "session": "s1",
        "user": "u7",
        "tags": ["beta", "two"],
        "feedback": [],
    }
    assert spans[6]["error"]["type"] == "openai.NotFoundError"
    content = _json(capsys, path, "--content")[0]["spans"][1]["content"]
    assert content["input_messages"][0]["parts"] == [{"type": "text", "content": "How is the weather in Paris?"}]
    assert content["output_messages"][0]["finish_reason"] == "stop"


def test_what_cannot_be_shown_is_said(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in ((["show"], "no store at"), (["show", "abc"], "no store at"), (["show", "--json"], "no store at")):
        assert main([*arguments, "--store", str(path)]) == 1
        assert words in capsys.readouterr().err
    assert not path.exists()
    _store(path, own_span("one"))
    assert main(["show", "fff0", "--store", str(path)]) == 1
    assert "no trace, run or span 'fff0'" in capsys.readouterr().err
    path.write_text("something else " * 100)
    for file in path.parent.glob("*-*"):
        file.unlink()
    assert main(["show", "--store", str(path)]) == 1
    assert "not a store" in capsys.readouterr().err


def test_the_store_of_the_setting_is_read(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _store(path, own_span("from the setting"))
    monkeypatch.setenv("TRACER_LOCAL", str(path))
    assert main(["show"]) == 0
    assert "from the setting" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["shwo"], ["show", "--last", "0"], ["show", "--last", "x"], ["show", "a", "--last", "2"], ["env", "x"]]
)
def test_a_wrong_call_of_the_command_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: tracer" in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("tracer 0.")


def _command(path: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tracer", "show", "--store", str(path), *arguments]


def test_a_reader_who_goes_away_is_no_error(path: Path) -> None:
    _store(path, *(model_call(answer="x" * 5000) for _ in range(200)))
    for form in ([], ["--json"], ["--html", "-"]):
        process = subprocess.Popen(_command(path, "--last", "200", "--content", *form), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait()) == (b"", 0)
        process.stderr.close()


def test_an_ascii_pipe_gets_replacements(path: Path) -> None:
    _store(path, model_call(answer="\u2600 sunny"))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(_command(path, "--content"), env=environment, capture_output=True, check=True)
    assert b"assistant: ? sunny" in done.stdout


def test_a_terminal_gets_colour_and_its_width(path: Path) -> None:
    _store(path, model_call(answer="word " * 100))
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(_command(path, "--content"), env=environment, stdout=follower, stderr=subprocess.STDOUT)
    os.close(follower)
    seen = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # Linux answers EIO when the other side is closed.
            break
        if not piece:
            break
        seen += piece
    os.close(leader)
    assert process.wait() == 0
    assert b"\x1b[" in seen
    assert seen.count(b"\n") > 8


def _rows(tmp_path: Path, *records: Record) -> Trace:
    file = tmp_path / "rows.sqlite"
    _store(file, *records)
    with StoreReader(file) as reader:
        return reader.traces()[0]


def test_spans_without_their_parent_and_cycles_are_shown_once(tmp_path: Path) -> None:
    root, lost, one, two, own = (own_span(name) for name in ("root", "lost", "one", "two", "own"))
    for index, record in enumerate((lost, one, two, own)):
        record.call.trace_id = root.call.trace_id
        record.call.started_wall = root.call.started_wall + 1 + index
    lost.call.parent_span_id = 77
    one.call.parent_span_id, two.call.parent_span_id = two.call.span_id, one.call.span_id
    own.call.parent_span_id = own.call.span_id
    trees = forest(_rows(tmp_path, root, lost, one, two, own))
    assert [(node.row.name, depth, node.orphan) for node, depth in walk(trees)] == [
        ("root", 0, False),
        ("lost", 0, True),
        ("one", 0, True),
        ("two", 1, False),
        ("own", 0, True),
    ]


def test_deep_trees_are_shown(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [own_span("level 0")]
    for level in range(1, 1100):
        records.append(own_span(f"level {level}", parent=records[-1].call, started_wall=records[0].call.started_wall + level))
    _store(path, *records)
    assert _json(capsys, path)[0]["spans"][-1]["depth"] == 1099
    assert "level 1099" in _show(capsys, path)


def test_totals_count_model_calls_only(tmp_path: Path) -> None:
    root = own_span("root")
    euro = model_call(parent=root.call, cost=2.0)
    assert euro.generation is not None
    assert euro.generation.cost is not None
    euro.generation.cost.currency = "EUR"
    sums = totals(_rows(tmp_path, root, euro, model_call(parent=root.call, cost=1.0, statuses=(500, 200))))
    assert (sums.calls, sums.priced, sums.failed, sums.input_tokens, sums.output_tokens) == (2, 2, 0, 24, 68)
    assert dict(sums.cost) == {"EUR": 2.0, "USD": 1.0}
