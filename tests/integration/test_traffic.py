"""The demo's traffic: what it says that it will send is what the application sees and what is recorded."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.support import run_program
from tools.stack.situations import SITUATIONS
from tools.stack.traffic import Traffic
from tracer.store.reader import StoreReader

TURNS = len(SITUATIONS) + 3

PROGRAM = f"""
import json, warnings
warnings.simplefilter("ignore")
import tracer
from tools.stack.traffic import Traffic
traffic = Traffic(turns={TURNS}, seed=3)
sent = traffic.send()
assert sent == traffic.expected(), (sent.text(), traffic.expected().text())
print(sent.text())
assert tracer.flush(30)
print(json.dumps(tracer.status()["destinations"]["local"]))
"""


def test_what_is_sent_is_what_was_expected_and_what_is_recorded(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    ended = run_program(PROGRAM, TRACER_LOCAL=str(store), TRACER_QUIET="true")
    assert (ended.status, ended.err) == (0, "")
    sent, account = map(json.loads, ended.out.splitlines())
    assert (account["exported"], account["dropped"]) == (sent["spans"], {})
    with StoreReader(store) as reader:
        traces = list(reader.traces(1000))
    spans = [span for trace in traces for span in trace.spans]
    calls = [span for span in spans if span.kind in ("llm", "embedding")]
    assert len(traces) == sent["turns"] == TURNS
    assert Counter(span.outcome for span in calls) == sent["outcomes"]
    assert Counter(json.loads(span.attributes)["gen_ai.request.model"] for span in calls) == sent["models"]
    assert Counter(span.kind for span in spans if span.parent_span_id is None) == sent["kinds"]
    tools = Counter(json.loads(span.attributes)["gen_ai.tool.name"] for span in spans if span.kind == "tool")
    assert tools == sent["tools"]


def test_the_seed_decides() -> None:
    first = Traffic(turns=200, seed=1).expected()
    assert first == Traffic(turns=200, seed=1).expected()
    assert first != Traffic(turns=200, seed=2).expected()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_situation_is_met(seed: int) -> None:
    turns = Traffic(turns=len(SITUATIONS), seed=seed).turns
    assert {turn.situation.name for turn in turns} == {situation.name for situation in SITUATIONS}


def test_sessions_have_one_user_each_and_several_turns() -> None:
    turns = Traffic(turns=200, seed=1).turns
    users: dict[str, set[str]] = {}
    for turn in turns:
        users.setdefault(turn.session, set()).add(turn.user)
    assert len(users) == 50
    assert all(len(found) == 1 for found in users.values())
