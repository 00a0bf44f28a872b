"""The quickstart as a user runs it: environment alone, a process of its own, and what it left in the local store."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from chat_loopback import ANSWER, Loopback

from tests.support import ROOT, clean_environment

CALLS = 10  # invoke, stream, batch, ainvoke, astream, astream_log, two calls, two of generate


def run_quickstart(server: Loopback, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **clean_environment(),
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": server.base_url,
        "PYTHONPATH": str(ROOT),
        **variables,
    }
    return subprocess.run(
        # LangChain warns of its own ways, bare too.
        [sys.executable, "-W", "ignore" if arguments else "error", str(ROOT / "examples" / "quickstart.py"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def without_ids(text: str) -> str:
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)


def test_the_quickstart_prints_what_the_seed_shows(server: Loopback) -> None:
    done = run_quickstart(server)
    message = f"AIMessage(content='{ANSWER}')"
    lines = without_ids(done.stdout).splitlines()
    assert done.stderr == ""
    assert lines[:4] == [message, ANSWER, f"[{message}]", message]
    assert lines[4] == ANSWER
    assert lines[5:10] == [
        "RunLogPatch({'op': 'replace',",
        "  'path': '',",
        "  'value': {'final_output': None,",
        "            'id': 'ID',",
        "            'logs': {},",
    ]
    assert lines.count("RunLogPatch({'op': 'add',") == len(ANSWER.split()) + 2
    assert "  'value': AIMessageChunk(content='The ')})" in lines
    assert lines[-3] == message
    generation = f"ChatGeneration(text='{ANSWER}', generation_info={{'finish_reason': 'stop'}}, message={message})"
    assert lines[-2].startswith(f"LLMResult(generations=[[{generation}], [{generation}]], llm_output={{'token_usage': ")
    assert lines[-2].endswith("'model_name': 'gpt-4o-mini'}, run=[RunInfo(run_id=UUID('ID')), RunInfo(run_id=UUID('ID'))])")
    assert lines[-1].startswith("{'token_usage': {")
    assert len(server.requests) == CALLS


def test_every_call_of_the_quickstart_is_recorded(server: Loopback, tmp_path: Path) -> None:
    store = tmp_path / "traces.sqlite"
    traced = run_quickstart(server, TRACER_LOCAL=str(store), TRACER_QUIET="true")
    assert len(server.requests) == CALLS
    printed = set(re.findall(r"UUID\('([0-9a-f-]{36})'\)|'id': '([0-9a-f-]{36})'", traced.stdout))
    ids = {one or other for one, other in printed}
    assert len(ids) == 3  # the log's and the two of generate
    with closing(sqlite3.connect(store)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(spans)")]
        rows = [dict(zip(columns, row, strict=True)) for row in connection.execute("SELECT * FROM spans")]
    assert len(rows) == CALLS
    text = repr(rows).replace("-", "")
    assert all(run_id.replace("-", "") in text for run_id in ids), "the run ids of the results are those of the records"


def test_the_quickstart_with_langchains_model_wrapped(server: Loopback, tmp_path: Path) -> None:
    store = tmp_path / "traces.sqlite"
    done = run_quickstart(server, "--langchain", TRACER_LOCAL=str(store), TRACER_QUIET="true")
    assert [line for line in done.stderr.splitlines() if "astream_log is deprecated" not in line and not line.startswith("  ")] == []
    assert f"\n{ANSWER}\n" in done.stdout
    assert done.stdout.count("RunLogPatch({'op': 'add',") >= len(ANSWER.split())
    calls = CALLS - 2  # LangChain's model can no longer be called like a function.
    assert len(server.requests) == calls
    with closing(sqlite3.connect(store)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(spans)")]
        rows = [dict(zip(columns, row, strict=True)) for row in connection.execute("SELECT * FROM spans")]
    assert len(rows) == calls
    assert {row["outcome"] for row in rows} == {"completed"}
