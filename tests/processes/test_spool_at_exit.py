"""A process ends while much is still unread and the backend hangs: what can be written is in the spool, the rest is counted and said."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.processes.fault_backends import backend
from tests.processes.test_spool import environment, flush_by_command, ledger_closes
from tests.support import run_program

RECORDS = 3000
PROGRAM = f"""
import json, sys
import tracer

tracer.configure()
sys.setswitchinterval(30)  # The program computes: nothing is read before its end.
for number in range({RECORDS}):
    with tracer.trace(str(number)) as run:
        run.set_input({{"text": "word " * 1000}})
tracer.shutdown(float(sys.stdin.readline()))
print(json.dumps(tracer.status()))
"""


@pytest.mark.parametrize("timeout", [15, 1.5], ids=["time enough", "not enough time"])
def test_what_is_unread_at_the_end_is_in_the_spool_or_said_to_be_lost(timeout: float, tmp_path: Path) -> None:
    with backend("hangs") as state:
        program = PROGRAM.replace("sys.stdin.readline()", repr(str(timeout)))
        ended = run_program(program, **environment(tmp_path, state.url))
        assert ended.status == 0, ended.err
        assert ledger_closes(ended)
        account: dict[str, Any] = json.loads(ended.out)["destinations"]["otlp"]
        lost = account["dropped"].get("exit", 0)
        assert account["spooled"] + lost == RECORDS
        assert set(account["dropped"]) <= {"exit"}
        assert lost == 0 or timeout < 15
        assert said(ended.err, r"(\d+) records? could not be sent before the end of the process") == lost
        assert said(ended.err, r"(\d+) records? could not be sent yet; they are kept in") == account["spooled"]
        assert said(ended.err, r"(\d+) records? went without prompts and answers") == account["shortened"].get("exit", 0)
        state.mend()
        assert flush_by_command(environment(tmp_path, state.url), "--timeout", "40").returncode == 0
        assert Counter(state.arrived) == ({1: account["spooled"]} if account["spooled"] else {})


def said(lines: str, pattern: str) -> int:
    """The number in the line of that pattern; 0 without one."""
    found = re.findall(pattern, lines)
    assert len(found) < 2
    return int(found[0]) if found else 0
