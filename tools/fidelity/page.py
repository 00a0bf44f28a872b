"""`docs/fidelity.md`: which environment fills which column, how the page is written, and how its cells are read again."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from typing import Any

from tools.fidelity.environments import ROOT, Environment

PAGE = ROOT / "docs" / "fidelity.md"
SAME = "no difference"
MISSING = "– "  # noqa: RUF001
"""How a cell begins whose program cannot be run there."""

TITLES = {"openai": "OpenAI's SDK", "anthropic": "Anthropic's SDK", "frameworks": "Frameworks over a wrapped client"}
COLUMNS = {
    "openai": ("openai-1", "openai-2", "installed"),
    "anthropic": ("openai-1", "installed"),
    "frameworks": ("frameworks", "installed"),
}
_NAMED = {
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "frameworks": ("openai", "instructor", "litellm", "openai-agents", "pydantic-ai-slim", "langchain-openai"),
}
"""The packages whose versions stand above a column."""

KNOWN = {"what it holds itself (`vars`)"}
"""Rows that differ, and why they may: said on the page."""

HEAD = """\
# The difference table

<!-- Made by `make fidelity`. Do not edit. -->

Each row is a program (or several). It is run bare, over a client from `tracer.wrap`, and after `tracer.instrument()`, against a server on
loopback or a transport in memory, with recording on. Compared is all that a program can see: values with their types and set fields,
signatures, exceptions with their bodies, contexts and causes, warnings, what is read when, and every byte of the requests.
`TRACER_STREAM_USAGE` is off for that; recorded chat streams run once more with `auto`, where the requests may differ by
`stream_options` and what the program sees may not. Each request has to belong to a record. A cell that
begins with a dash says why there is nothing to compare.

`make fidelity` makes the environments of the columns (locked in `requirements/`, kept in a cache folder) and this page;
`make test` compares the column of the installed versions, and the others where their environments are there.

What differs, and is kept: a wrapped client holds its hooks in its own dictionary, and its HTTP client is a stand-in (`isinstance` and
`__class__` say the HTTP library's class, `type` does not). Without them the SDK's classes would have to be patched, which only
`tracer.instrument()` does.
"""

SUITES = (ROOT / "tools" / "fidelity" / "suites.md").read_text("utf-8")
"""The page's last section, which is not made."""

Cells = dict[str, dict[str, str]]
"""By section and row."""


@dataclass(frozen=True, slots=True)
class Column:
    """What one environment says of one family of programs."""

    title: str
    cells: Cells


Pages = dict[str, list[Column]]
"""Columns by family."""


def run(environment: Environment) -> dict[str, Column]:
    """Run the programs there; gives its columns by family, of those whose packages it has. Raises `RuntimeError` if that fails."""
    families = [family for family, names in COLUMNS.items() if environment.name in names]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("TRACER_", "OTEL_", "LANGSMITH_", "LANGCHAIN_"))}
    ended = subprocess.run(
        [str(environment.python), "-m", "tests.fidelity", *families],
        cwd=ROOT,
        env={**variables, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"{environment.name}: the programs ended with {ended.returncode}: {ended.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(ended.stdout)
    return {family: Column(_title(family, found["versions"]), _in_cells(cells)) for family, cells in found["cells"].items()}


def _title(family: str, versions: dict[str, str]) -> str:
    return ", ".join(f"{package} {versions[package]}" for package in _NAMED[family] if package in versions)


def _in_cells(cells: Cells) -> Cells:
    return {section: {row: _in_cell(text) for row, text in rows.items()} for section, rows in cells.items()}


def _in_cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "/")


def written(pages: Pages) -> str:
    """The whole page."""
    parts = [HEAD]
    for family, columns in pages.items():
        parts.append(f"## {TITLES[family]}\n")
        sections: dict[str, dict[str, None]] = {}
        for column in columns:
            for section, rows in column.cells.items():
                sections.setdefault(section, {}).update(dict.fromkeys(rows))
        for section, rows in sections.items():
            lines = [_line("program", *(column.title for column in columns)), _line(*["---"] * (len(columns) + 1))]
            lines += [_line(row, *(column.cells.get(section, {}).get(row, MISSING.strip()) for column in columns)) for row in rows]
            parts.append("\n".join([f"### {section}\n", *lines, ""]))
    return "\n".join([*parts, SUITES])


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def read(text: str) -> Pages:
    """The columns of a page, by family."""
    families = {title: family for family, title in TITLES.items()}
    pages: Pages = {}
    family = section = ""
    for line in text.removesuffix(SUITES).splitlines():
        if line.startswith("## "):
            family = families[line[3:]]
        elif line.startswith("### "):
            section = line[4:]
        elif line.startswith("| "):
            name, *cells = line[2:-2].split(" | ")
            if name == "program":
                columns = pages.setdefault(family, [Column(title, {}) for title in cells])
            elif name != "---":
                for column, cell in zip(columns, cells, strict=True):
                    column.cells.setdefault(section, {})[name] = cell
    return pages


def differing(cells: Cells) -> list[str]:
    """Rows that differ without being known to."""
    return [
        f"{row}: {cell}"
        for rows in cells.values()
        for row, cell in rows.items()
        if cell != SAME and not cell.startswith(MISSING.strip()) and row not in KNOWN
    ]
