"""Tests of an application replace `time.sleep` to count the pauses of the SDK's retries: those of our threads are not among them."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest

import tracer
from tests.support import PATIENCE, ROOT, runtime_put_back
from tracer.pipeline import batches

WITHOUT_THREADS = {"cli", "replay"}
"""Commands of our own, which run in no application."""


def _sleeps(path: Path) -> list[int]:
    """Lines that look `sleep` up in the module of everybody."""
    tree = ast.parse(path.read_text("utf-8"))
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node) == "time.sleep"]


def test_no_pause_of_ours_is_seen_by_who_replaces_sleep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []
    ours: list[float] = []
    monkeypatch.setattr(time, "sleep", paused.append)
    monkeypatch.setattr(batches, "sleep", ours.append)
    with runtime_put_back() as runtime:
        tracer.configure(local=str(tmp_path / "calls.sqlite"), quiet=True)
        with tracer.trace("work"):
            pass
        assert tracer.flush(PATIENCE)
        assert ours
        assert paused == []
        assert runtime.faults == {}


def test_none_of_our_modules_looks_sleep_up_when_it_pauses() -> None:
    package = ROOT / "tracer"
    found = {
        str(path.relative_to(package)): lines
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in WITHOUT_THREADS and (lines := _sleeps(path))
    }
    assert found == {}
