"""Places that cannot be written: a store that another process has locked, a full disk, a folder that is read-only; no stderr."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support import Ended, run_program

PROGRAM = """
import json, sys, time
import openai
import tracer
from tracer.replay.recordings import by_id
from tracer.replay.sdk import call_arguments
from tracer.replay.server import ReplayServer

RECORD = "otel.genai.async_chat_completion_streaming"

with ReplayServer() as server:
    bare = openai.OpenAI(api_key="none", base_url=server.base_url(RECORD))
    arguments = call_arguments(by_id(RECORD), bare.chat.completions.create)
    expected = [repr(piece) for piece in bare.chat.completions.create(**arguments)]
    {before}
    wrapped = tracer.wrap(bare)
    for _ in range(3):
        assert [repr(piece) for piece in wrapped.chat.completions.create(**arguments)] == expected
    {after}
    tracer.flush({patience})
    status = tracer.status()
    account = status["destinations"]["local"]
    assert status["started"] == account["exported"] + account["queued"] + sum(account["dropped"].values()), status
    print(json.dumps(account))
    bare.close()
"""


def account_of(ended: Ended) -> dict[str, Any]:
    """What the program says of its local store."""
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


def program(before: str = "", after: str = "", patience: float = 20) -> str:
    return PROGRAM.format(before=before, after=after, patience=patience)


def test_a_store_that_another_process_has_locked_holds_nobody_up(tmp_path: Path) -> None:
    place = tmp_path / "store.sqlite"
    assert account_of(run_program(program(), TRACER_LOCAL=str(place), TRACER_QUIET="1"))["exported"] == 3
    with closing(sqlite3.connect(place, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        # A writer waits for five seconds; neither the caller nor the end of the process waits for the writer.
        ended = run_program(program(patience=0.01), TRACER_LOCAL=str(place), TRACER_QUIET="1", TRACER_EXIT_TIMEOUT="0.1")
    assert account_of(ended)["exported"] == 0
    (line,) = ended.err.splitlines()
    assert line.startswith("tracer: ")
    with closing(sqlite3.connect(place)) as reader:
        assert reader.execute("SELECT count(*) FROM traces").fetchone() == (3,)


def test_a_lock_that_lasts_is_one_line_and_counted(tmp_path: Path) -> None:
    place = tmp_path / "store.sqlite"
    assert account_of(run_program(program(), TRACER_LOCAL=str(place), TRACER_QUIET="1"))["exported"] == 3
    with closing(sqlite3.connect(place, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ended = run_program(program(), TRACER_LOCAL=str(place), TRACER_QUIET="1")
    account = account_of(ended)
    assert (account["exported"], account["dropped"]) == (0, {"disk": 3})
    (line,) = ended.err.splitlines()
    assert line.startswith("tracer: ")
    assert "locked" in line


def test_a_full_disk_is_one_line_and_counted(tmp_path: Path) -> None:
    place = tmp_path / "store.sqlite"
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))"
    ended = run_program(program(full), TRACER_LOCAL=str(place), TRACER_QUIET="1")
    account = account_of(ended)
    assert (account["exported"], account["dropped"]) == (0, {"disk": 3})
    (line,) = ended.err.splitlines()
    assert line.startswith("tracer: ")
    assert str(place) in line


READ_ONLY = """
    tracer.configure(local={warm!r}, quiet=True)
    with tracer.trace("warm"):  # What is imported later may be out of reach of the user that follows.
        pass
    assert tracer.flush(20)
    import os
    if os.geteuid() == 0:
        os.setegid(65534)
        os.seteuid(65534)
    tracer.configure(local={place!r}, quiet=True)
"""


def test_a_folder_that_is_read_only_is_one_line_and_counted(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp())  # Not below the folder of the test, which other users cannot enter.
    folder.chmod(0o555)
    place = folder / "store.sqlite"
    try:
        ended = run_program(program(READ_ONLY.format(warm=str(tmp_path / "warm.sqlite"), place=str(place)).strip()))
        assert list(folder.iterdir()) == []
    finally:
        folder.rmdir()
    account = account_of(ended)
    assert (account["exported"], account["dropped"]) == (0, {"disk": 3})
    (line,) = ended.err.splitlines()
    assert line.startswith("tracer: ")
    assert str(place) in line


def test_a_program_without_stderr(tmp_path: Path) -> None:
    for gone in ("sys.stderr = None", "sys.stderr.close()"):
        place = tmp_path / f"{len(gone)}.sqlite"
        assert account_of(run_program(program(gone), TRACER_LOCAL=str(place)))["exported"] == 3
