"""The SDKs' own public test suites, bare, with wrapped clients and after `tracer.instrument()`: which tests end differently.

    python -m tools.fidelity.sdk_suites --checkout FOLDER [--python FILE] [--steady FILE --specification FILE] [TEST ...]

`FOLDER` is a checkout of openai/openai-python or anthropics/anthropic-sdk-python, or a source distribution of the package, unpacked. Its
own source is tested, in an environment of what is locked in `requirements/suites.txt`; `--python` names the interpreter of another, for
older versions of the SDKs, which need more. The tests of `tests/api_resources` ask a mock server: `steady`, from npm (`@stdy/cli`), over
the API's specification. Without them those tests are left out. Nothing is downloaded but the environment, which is made once.

Tests that end differently are run once more, in one process: what ends differently again is told. The status is 1 if one of them is not
among those of `tools.fidelity.explained`, or if something of ours failed meanwhile.
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
from tools.fidelity.explained import explained

MODES = BARE, *_ = ("bare", "wrapped", "instrumented")
SUITES = Environment("suites", "suites")
RESOURCES = "tests/api_resources"
STEADY = [f"--validator-{place}-{kind}-format=brackets" for place in ("query", "form") for kind in ("array", "object")]
LONGEST_START = 60.0
SHARED = ("-n", "2", "--dist", "loadfile")
ALONE = ("-n", "0")


@dataclass(slots=True)
class Ran:
    """What a run told: outcomes by test, how many calls were traced, and faults of ours by place."""

    outcomes: dict[str, str] = field(default_factory=dict[str, str])
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    """Of tests that failed, in a line."""
    calls: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])

    @property
    def counts(self) -> str:
        """Passed, skipped and failed, as they stand in the table."""
        counted = Counter(self.outcomes.values())
        return " | ".join(str(counted[outcome]) for outcome in ("passed", "skipped", "failed"))


@dataclass(frozen=True, slots=True)
class Suite:
    """What is run: tests of a checkout, by this interpreter, asking that mock server if there is one."""

    checkout: Path
    python: Path
    mock: str | None = None


def run(suite: Suite, mode: str, tests: Sequence[str], *options: str) -> Ran:
    """Run these tests once."""
    not_theirs = ("TRACER_", "OTEL_", "LANGSMITH_", "PYTEST_", "PYTHONDONTWRITEBYTECODE")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(not_theirs)}
    variables["PYTHONPATH"] = os.pathsep.join(map(str, (suite.checkout / "src", ROOT)))
    variables |= {"TEST_API_BASE_URL": suite.mock} if suite.mock else {}
    with tempfile.TemporaryDirectory() as folder:
        ours = ["-p", "tools.fidelity.suite_plugin", "--clients", mode, "--told", folder]
        quiet = ["-p", "no:cacheprovider", "-q", "--tb=native", *options]
        subprocess.run([str(suite.python), "-m", "pytest", *ours, *quiet, *tests], cwd=suite.checkout, env=variables, check=False)
        told = [json.loads(path.read_text("utf-8")) for path in Path(folder).glob("*.json")]
    ran = Ran(calls=sum(one["calls"] for one in told))
    for one in told:
        ran.outcomes |= one["outcomes"]
        ran.reasons |= one["reasons"]
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


def differing(bare: Ran, other: Ran) -> list[str]:
    """Tests that end differently, and such as only one of both has."""
    return sorted(test for test in bare.outcomes | other.outcomes if bare.outcomes.get(test) != other.outcomes.get(test))


def compare(suite: Suite, tests: Sequence[str], *options: str) -> tuple[dict[str, Ran], dict[str, list[str]]]:
    """Run all in each mode; gives what that told, and by mode the tests that end differently, twice."""
    ran = {mode: run(suite, mode, tests, *options) for mode in MODES}
    found: dict[str, list[str]] = {}
    for mode in MODES[1:]:
        suspects = differing(ran[BARE], ran[mode])
        if suspects:
            for one in (BARE, mode):
                again = run(suite, one, suspects, *ALONE)
                ran[one].outcomes |= again.outcomes
                ran[one].reasons |= again.reasons
                ran[one].faults.update(again.faults)
        found[mode] = differing(ran[BARE], ran[mode])
    return ran, found


def tell(ran: dict[str, Ran], found: dict[str, list[str]]) -> bool:
    """Print the rows of the table and the tests that end differently; gives whether all is as it should be."""
    good = True
    for mode, one in ran.items():
        print(f"| {mode} | {one.counts} | {one.calls} | {dict(one.faults) or 'none'} |")
        good = good and not one.faults
    for mode, tests in found.items():
        for test in tests:
            because = explained(test, mode)
            good = good and because is not None
            ends = f"{ran[mode].outcomes.get(test)}, bare {ran[BARE].outcomes.get(test)}"
            print(f"{mode}: {test}: {ends}: {because or 'not explained: ' + ran[mode].reasons.get(test, '')}")
    if not any(found.values()):
        print("No test ends differently.")
    return good


def main() -> int:
    """Carry out the command."""
    parser = argparse.ArgumentParser(description="Run an SDK's own tests bare and traced.")
    parser.add_argument("--checkout", type=Path, required=True)
    parser.add_argument("--python", type=Path, help="another interpreter than that of the locked environment")
    parser.add_argument("--steady", type=Path, help="the mock server's command")
    parser.add_argument("--specification", type=Path, help="OpenAPI, of the same version as the checkout")
    parser.add_argument("tests", nargs="*", default=["tests"])
    asked = parser.parse_args()
    try:
        if asked.python is None:
            SUITES.make()
    except CannotMakeError as error:
        print(f"{SUITES.name}: not made: {error}")
        return 1
    with mock_server(asked.steady, asked.specification) as mock:
        suite = Suite(asked.checkout.resolve(), (asked.python or SUITES.python).absolute(), mock)
        left_out = [] if mock else [f"--ignore={RESOURCES}"]
        return 0 if tell(*compare(suite, asked.tests, *SHARED, *left_out)) else 1


if __name__ == "__main__":
    sys.exit(main())
