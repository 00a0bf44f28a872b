"""Runs the programs of the difference table in this environment and prints the cells as JSON: `python -m tests.fidelity [FAMILY ...]`."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError, version

from tests.fidelity.families import anthropic_family, openai_family
from tests.fidelity.programs import Family, Program, registered
from tests.fidelity.recorded_programs import recorded_programs
from tests.fidelity.running import cells_of, compare_all

PACKAGES = ("openai", "anthropic", "httpx", "httpx2", "instructor", "litellm", "openai-agents", "pydantic-ai-slim", "langchain-openai")


def versions() -> dict[str, str]:
    """Versions of what is installed."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def programs_of(family: str) -> list[Program]:
    """All programs of a family."""
    for module in ("client", "calling", "http", "trouble", "framework"):
        importlib.import_module(f"tests.fidelity.{module}_programs")
    own = [program for program in registered if family in program.families]
    return own if family == "frameworks" else [*recorded_programs(family), *own]


def family_of(name: str) -> Family | None:
    """The SDK of a family; None where it is not installed."""
    return anthropic_family() if name == "anthropic" else openai_family(name)


def main() -> int:
    """Print versions, and cells by family, section and row."""
    parser = argparse.ArgumentParser(description="Run the programs of the difference table in this environment.")
    parser.add_argument("families", nargs="*", default=["openai", "anthropic", "frameworks"])
    parser.add_argument("--only", default="", help="programs whose name or row contains this")
    options = parser.parse_args()
    cells: dict[str, dict[str, dict[str, str]]] = {}
    for name in options.families:
        family = family_of(name)
        if family is None or (name == "frameworks" and importlib.util.find_spec("agents") is None):
            continue
        programs = [item for item in programs_of(name) if options.only in item.name or any(options.only in row for _, row in item.rows)]
        with redirect_stdout(sys.stderr):
            results = compare_all(programs, family)
        cells[name] = cells_of(programs, results)
    json.dump({"versions": versions(), "cells": cells}, sys.stdout, indent=1, ensure_ascii=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
