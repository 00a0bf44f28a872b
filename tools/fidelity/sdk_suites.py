"""The SDKs' own public test suites, bare, with wrapped clients and after `tracer.instrument()`: which tests end differently.

    python -m tools.fidelity.sdk_suites --checkout FOLDER [--steady FILE --specification FILE] [TEST ...]

`FOLDER` is a checkout of openai/openai-python or anthropics/anthropic-sdk-python. Its own source is tested, in an environment of what is
locked in `requirements/suites.txt`. The tests of `tests/api_resources` ask a mock server: `steady`, from npm (`@stdy/cli`), over the API's
specification. Without them those tests are left out. Nothing is downloaded but the environment, which is made once.

Tests that end differently are run once more, in one process: what ends differently again is told, and ends this program with status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools.fidelity.environments import ROOT, CannotMakeError, Environment

MODES = BARE, *_ = ("bare", "wrapped", "instrumented")
SUITES = Environment("suites", "suites")
RESOURCES = "tests/api_resources"
STEADY = [f"--validator-{place}-{kind}-format=brackets" for place in ("query", "form") for kind in ("array", "object")]
LONGEST_START = 60.0


@dataclass(slots=True)
class Ran:
    """What a run told: outcomes by test, how many calls were traced, and faults of ours by place."""

    outcomes: dict[str, str] = field(default_factory=dict[str, str])
    calls: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])

    @property
    def counts(self) -> str:
        """Passed, skipped and failed, as they stand in the table."""
        counted = Counter(self.outcomes.values())
        return " | ".join(str(counted[outcome]) for outcome in ("passed", "skipped", "failed"))


def run(checkout: Path, mode: str, tests: Sequence[str], mock: str | None, *options: str) -> Ran:
    """Run these tests of the checkout."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("TRACER_", "OTEL_", "LANGSMITH_", "PYTEST_"))}
    variables["PYTHONPATH"] = os.pathsep.join(map(str, (checkout / "src", ROOT)))
    variables |= {"TEST_API_BASE_URL": mock} if mock else {}
    with tempfile.TemporaryDirectory() as folder:
        ours = ["-p", "tools.fidelity.suite_plugin", "--clients", mode, "--told", folder]
        quiet = ["-o", "addopts=", "-p", "no:cacheprovider", "-q", "--tb=short", *options]
        subprocess.run([str(SUITES.python), "-m", "pytest", *ours, *quiet, *tests], cwd=checkout, env=variables, check=False)
        told = [json.loads(path.read_text("utf-8")) for path in Path(folder).glob("*.json")]
    ran = Ran(calls=sum(one["calls"] for one in told))
    for one in told:
        ran.outcomes |= one["outcomes"]
        ran.faults.update(one["faults"])
    return ran


@contextmanager
def mock_server(steady: Path | None, specification: Path | None) -> Generator[str | None, None, None]:
    """The address of a running `steady`; none if there is nothing to start."""
    if steady is None or specification is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(steady), "--host", "127.0.0.1", "-p", str(port), *STEADY, str(specification)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(f"http://127.0.0.1:{port}/_x-steady/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _await(address: str) -> None:
    deadline = time.monotonic() + LONGEST_START
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def compare(checkout: Path, tests: Sequence[str], mock: str | None) -> int:
    """Run all, print the rows of the table and the tests that end differently; gives how many these are."""
    left_out = [] if mock else [f"--ignore={RESOURCES}"]
    ran = {mode: run(checkout, mode, tests, mock, "-n", "2", "--dist", "loadfile", *left_out) for mode in MODES}
    told: list[str] = []
    for mode in MODES[1:]:
        suspects = [test for test, outcome in ran[BARE].outcomes.items() if ran[mode].outcomes.get(test) != outcome]
        if suspects:
            again = {one: run(checkout, one, suspects, mock).outcomes for one in (BARE, mode)}
            for one, outcomes in again.items():
                ran[one].outcomes |= outcomes
        told += [
            f"{mode}: {test}: {ran[mode].outcomes.get(test)}, bare {ran[BARE].outcomes[test]}"
            for test in suspects
            if ran[mode].outcomes.get(test) != ran[BARE].outcomes[test]
        ]
    for mode in MODES:
        print(f"| {mode} | {ran[mode].counts} | {ran[mode].calls} | {dict(ran[mode].faults) or 'none'} |")
    print("\n".join(told) or "No test ends differently.")
    return len(told)


def main() -> int:
    """Carry out the command."""
    parser = argparse.ArgumentParser(description="Run an SDK's own tests bare and traced.")
    parser.add_argument("--checkout", type=Path, required=True)
    parser.add_argument("--steady", type=Path, help="the mock server's command")
    parser.add_argument("--specification", type=Path, help="OpenAPI, of the same version as the checkout")
    parser.add_argument("tests", nargs="*", default=["tests"])
    asked = parser.parse_args()
    try:
        SUITES.make()
    except CannotMakeError as error:
        print(f"{SUITES.name}: not made: {error}")
        return 1
    with mock_server(asked.steady, asked.specification) as mock:
        return 1 if compare(asked.checkout.resolve(), asked.tests, mock) else 0


if __name__ == "__main__":
    sys.exit(main())
