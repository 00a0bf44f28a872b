"""`tracer status`: files in use and left behind, the local store, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracer
from tests.support import PATIENCE
from tracer.cli.main import main
from tracer.export.transport import Item
from tracer.runtime import Runtime
from tracer.spool.file import SpoolFile


def test_it_tells_of_the_spool_and_the_store(fresh_runtime: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "traces.sqlite"
    tracer.configure(local=str(store), quiet=True)
    with tracer.trace("a"), tracer.trace("b"):
        pass
    assert tracer.flush(PATIENCE)
    tracer.shutdown(PATIENCE)
    left = SpoolFile.make(tmp_path / "spool" / "1-4711-a.spool")
    left.write("otlp OTLP endpoint http://localhost:4318/v1/traces", b"", [Item({"a": b"b"})] * 3)
    left.release()
    used = SpoolFile.make(tmp_path / "spool" / "2-4712-b.spool")
    capsys.readouterr()
    assert main(["status", "--spool", str(tmp_path / "spool"), "--store", str(store)]) == 0
    used.release()
    out = capsys.readouterr().out
    assert "left by process 4711: 3 records for otlp OTLP endpoint http://localhost:4318/v1/traces\n" in out
    assert "in use by process 4712: " in out
    assert "1 traces with 2 spans\n" in out
    assert " ago, the newest " in out


def test_with_nothing_set(no_variables: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[1] == "Spool: none (TRACER_SPOOL is not set)."
    assert out[2].startswith("Local store: none at ")


def test_what_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.spool").write_bytes(b"nothing of ours" * 1000)
    (tmp_path / "traces.sqlite").write_bytes(b"nothing of ours" * 1000)
    assert main(["status", "--spool", str(tmp_path), "--store", str(tmp_path / "traces.sqlite")]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("tracer: ") == 2
