"""docs/reliability.md: sections that different commands measure and write."""

from __future__ import annotations

from pathlib import Path

HEAD = """\
# Reliability

<!-- Made by `make faults` (Faults, Flat out) and `make soak` (Soak), from tests/processes. Do not edit. -->
"""
ORDER = ("Faults", "Flat out", "Soak")


def write_section(page: Path, title: str, text: str) -> None:
    """Put the text in place of what stands in that section; the others stay."""
    sections = sections_of(page)
    sections[title] = text
    parts = [f"\n## {name}\n\n{sections[name].strip()}\n" for name in ORDER if name in sections]
    page.write_text(HEAD + "".join(parts), "utf-8")


def sections_of(page: Path) -> dict[str, str]:
    """Texts by title."""
    whole = page.read_text("utf-8") if page.exists() else ""
    found = (part.partition("\n") for part in whole.split("\n## ")[1:])
    return {title: text for title, _, text in found}
