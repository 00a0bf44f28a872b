"""`tracer show --html`: where the page goes, and how its file is written."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page_support import read_page, rows
from tests.unit.store.records import model_call, own_span
from tracer.cli.main import main
from tracer.cli.private_file import write_private
from tracer.reading.record import Record
from tracer.settings import Settings
from tracer.store.store import LocalStore


def _store(path: Path, *records: Record) -> None:
    store = LocalStore(path, Settings(otlp_headers={}, resource_attributes={}))
    assert store.export(records).exported == len(records)
    store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "traces.sqlite"
    root = own_span("answer question")
    _store(path, root, model_call(parent=root.call, answer="It is sunny."))
    return path


def _show(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> str:
    assert main(["show", "--store", str(path), *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def _refused(capsys: pytest.CaptureFixture[str], path: Path, page: Path) -> str:
    assert main(["show", "--store", str(path), "--html", str(page)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tracer: cannot write ")
    assert captured.err.count("\n") == 1
    assert not [item.name for item in path.parent.iterdir() if item.name.startswith(".tracer-")]
    return captured.err


def test_the_page_is_written_and_said_where(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert _show(capsys, path, "--html", str(page)) == f"The page is in {page}\n"
    assert [" ".join(row.one("span", "name").text.split()) for row in rows(read_page(page.read_text("utf-8")))] == [
        "level 1 chain answer question",
        "level 2 llm chat gpt-4o-mini beta two",
    ]
    assert "sunny" not in page.read_text("utf-8")
    _show(capsys, path, "--content", "--html", str(page))
    assert "It is sunny." in page.read_text("utf-8")


def test_standard_output_takes_it_too(path: Path) -> None:
    command = [sys.executable, "-m", "tracer", "show", "--store", str(path), "--content", "--html", "-"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert done.stderr == b""
    page = read_page(done.stdout.decode("utf-8"))
    assert "12→34 tokens" in page.text


def test_chosen_traces_are_on_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = own_span("another")
    _store(path, other)
    page = read_page(_show(capsys, path, "--last", "2", "--html", "-"))
    assert [heading.text for heading in page.all("h2")] == ["answer question", "another"]
    page = read_page(_show(capsys, path, f"{other.call.trace_id:032x}", "--html", "-"))
    assert [heading.text for heading in page.all("h2")] == ["another"]


def test_json_and_html_exclude_each_other(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["show", "--store", str(path), "--json", "--html", "-"])
    assert ended.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_a_terminal_is_told_what_to_open(path: Path, tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "tracer", "show", "--store", str(path), "--html", "the page.html"]
    environment = {**os.environ, "COLUMNS": "1000", "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=follower, stderr=subprocess.STDOUT)
    assert process.wait() == 0
    os.close(follower)
    said = os.read(leader, 65536).decode()
    os.close(leader)
    assert f"The page is in the page.html; open {(tmp_path / 'the page.html').as_uri()}" in said


def test_bad_places_are_one_clear_line(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, link, fifo = tmp_path / "folder", tmp_path / "link", tmp_path / "fifo"
    folder.mkdir()
    target = tmp_path / "target"
    target.write_text("theirs")
    link.symlink_to(target)
    os.mkfifo(fifo)
    for place in (folder, link, fifo):
        assert "is not a regular file" in _refused(capsys, path, place)
    assert target.read_text() == "theirs"
    assert link.is_symlink()
    assert "it is the store itself" in _refused(capsys, path, path)
    assert "No such file or directory" in _refused(capsys, path, tmp_path / "missing" / "page.html")
    assert "Not a directory" in _refused(capsys, path, target / "page.html")
    assert "File name too long" in _refused(capsys, path, tmp_path / ("x" * 300))


def test_nothing_to_show_leaves_the_file_alone(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["show", "fff0", "--store", str(path), "--html", str(page)]) == 1
    assert "no trace, run or span" in capsys.readouterr().err
    assert not page.exists()


def test_the_file_is_private_from_the_first_moment_and_replaced_at_the_last(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("earlier")
    page.chmod(0o644)
    seen: list[tuple[str, list[int]]] = []

    def pieces() -> Iterator[str]:
        for piece in ("one", " two \u2192\n"):
            beside = [item for item in tmp_path.iterdir() if item != page]
            seen.append((page.read_text(), [stat.S_IMODE(item.stat().st_mode) for item in beside]))
            yield piece

    mask = os.umask(0)
    try:
        write_private(page, pieces())
    finally:
        os.umask(mask)
    assert seen == [("earlier", [0o600])] * 2
    assert page.read_bytes() == "one two \u2192\n".encode()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("error", [RuntimeError("in the middle"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_fails_in_the_middle_leaves_the_earlier_page(tmp_path: Path, error: BaseException) -> None:
    page = tmp_path / "page.html"
    page.write_text("earlier")

    def pieces() -> Iterator[str]:
        yield "half"
        raise error

    with pytest.raises(type(error)):
        write_private(page, pieces())
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("page.html", "earlier")]


def test_a_link_put_there_meanwhile_is_not_followed(tmp_path: Path) -> None:
    page, target = tmp_path / "page.html", tmp_path / "target"
    target.write_text("theirs")

    def pieces() -> Iterator[str]:
        page.symlink_to(target)
        yield "ours"

    with pytest.raises(FileExistsError):
        write_private(page, pieces())
    assert target.read_text() == "theirs"
