"""The pages: what is made from code is up to date, examples run, names exist, links lead somewhere."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import ROOT, run_program
from tracer.call import OUTCOMES
from tracer.export import names
from tracer.runtime import Runtime
from tracer.settings import VARIABLES

PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("README.md")])
FENCE = re.compile(r"^```python run\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "tracer").rglob("*.py")
    if path.name != "__main__.py"
)


@dataclass(frozen=True, slots=True)
class Example:
    """A block that is marked with ```python run."""

    page: str
    number: int
    code: str


EXAMPLES = [
    Example(page.name, number, code) for page in PAGES for number, code in enumerate(FENCE.findall(page.read_text("utf-8")), start=1)
]


def test_the_settings_page_is_what_the_table_says() -> None:
    ended = subprocess.run(
        [sys.executable, "tools/make_settings_page.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout


def test_the_settings_page_names_every_variable() -> None:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for variable in VARIABLES:
        for name in variable.names:
            assert f"`{name}`" in text
        assert variable.meaning in text
        assert variable.accepted in text


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.page}-{example.number}")
def test_examples_run(example: Example, tmp_path: Path) -> None:
    ended = run_program(f"import os; os.chdir({str(tmp_path)!r})\n{example.code}", XDG_DATA_HOME=str(tmp_path))
    assert (ended.status, ended.err) == (0, "")


def test_there_are_examples() -> None:
    assert {"spans.md"} <= {example.page for example in EXAMPLES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text("utf-8")) if "://" not in target and not target.startswith("mailto:")]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_every_attribute_named_on_the_page_of_spans_is_one() -> None:
    text = (ROOT / "docs" / "spans.md").read_text("utf-8")
    known = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    known |= {"gen_ai.request.<parameter>", "tracer.metadata.<key>", "tracer.items"}
    mentioned = set(re.findall(r"`((?:gen_ai|tracer|openai|server|http|error|exception|session|user)\.[a-z_.<>0-9]+)`", text))
    public = {"tracer.trace", "tracer.context"}
    assert mentioned - public - known == set()
    # Ours are all there.
    ours = {value for value in known if value.startswith("tracer.") and not value.endswith(".")}
    assert ours - mentioned == set()


def test_every_outcome_is_on_the_page_of_spans() -> None:
    text = (ROOT / "docs" / "spans.md").read_text("utf-8")
    assert re.findall(r"^\| `([a-z]+)` \|.*\| (?:unset|ERROR) \|$", text, re.MULTILINE) == list(OUTCOMES)


@pytest.mark.parametrize("module", MODULES)
def test_doctests(module: str, fresh_runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        # Extras: an optional library of another project.
        if error.name is None or error.name.startswith("tracer"):
            raise
        pytest.skip(f"needs {error.name}")
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(loaded).failed == 0
