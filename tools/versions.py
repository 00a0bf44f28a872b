"""The tests with the oldest or the newest versions that are allowed, and the table of what was run.

    python -m tools.versions {oldest,newest} VERSION [--workers N]

Makes an environment of what is locked in `requirements/<name>.txt` with a Python that is installed on this machine, runs the tests of
`tests/unit` and `tests/integration` in it, and writes the row of the table in `docs/versions.md`. Ends with the status of the tests.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tools.fidelity.environments import CannotMakeError, Environment

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "versions.md"
TESTS = ("tests/unit", "tests/integration")
SHOWN = ("openai", "anthropic", "langchain-core", "opentelemetry-sdk", "wrapt", "orjson")
EARLIER = "ignore:Accessing the 'model_fields' attribute on the instance"
"""What a new pydantic says of an old langchain-core."""

IN_WORKERS = ("--dist", "loadfile", "-n")
"""In several processes, each file in one of them."""

VERSIONS = f"import platform, importlib.metadata as m; print(platform.python_version(), *map(m.version, {SHOWN!r}))"


def interpreter(version: str) -> str:
    """A Python of that version that pyenv keeps (its commands on PATH work only for those it has switched on), else what uv finds."""
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = sorted(kept.glob(f"{version}.*/bin/python"))
    return str(found[-1]) if found else version


def run_tests(environment: Environment, workers: int) -> tuple[int, str]:
    """Run them in that many processes; gives the exit status and the counts as they stand in the table: passed, skipped, failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = [*IN_WORKERS, str(workers), "-p", "no:cacheprovider", "-W", EARLIER, f"--junitxml={report}"]
        command = [str(environment.python), "-m", "pytest", *TESTS, *options]
        variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        status = subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode
        (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
    total, skipped, failed, errors = (int(suite.get(name, "0")) for name in ("tests", "skipped", "failures", "errors"))
    return status, f"{total - skipped - failed - errors} | {skipped} | {failed + errors}"


def write_row(name: str, versions: list[str], counts: str) -> None:
    """Put a row into the table, in the place of an earlier one of the same name and Python."""
    row = f"| {name} | {' | '.join(versions)} | {counts} |"
    before, table, after = PAGE.read_text("utf-8").split("\n\n<!-- the table -->\n\n")
    head, rule, *rows = table.splitlines()
    same = f"| {name} | {versions[0]} |"
    rows = sorted([*(line for line in rows if not line.startswith(same)), row], reverse=True)
    PAGE.write_text("\n\n<!-- the table -->\n\n".join([before, "\n".join([head, rule, *rows]), after]), "utf-8")


def main() -> int:
    """Carry out the command."""
    parser = argparse.ArgumentParser(description="Run the tests with the oldest or the newest versions.")
    parser.add_argument("name", choices=("oldest", "newest"))
    parser.add_argument("version", help="of Python, such as 3.10")
    parser.add_argument("--workers", type=int, default=2, help="processes that run tests (default: %(default)s)")
    asked = parser.parse_args()
    environment = Environment(f"{asked.name}-{asked.version}", asked.name, interpreter(asked.version))
    try:
        environment.make()
    except CannotMakeError as error:
        print(f"{environment.name}: not made: {error}")
        return 1
    versions = subprocess.run([str(environment.python), "-c", VERSIONS], capture_output=True, text=True, check=True).stdout.split()
    status, counts = run_tests(environment, asked.workers)
    write_row(asked.name, versions, counts)
    return status


if __name__ == "__main__":
    sys.exit(main())
