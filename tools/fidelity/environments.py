"""The environments of the difference table: one for each column, made by uv into a cache folder outside of the checkout.

    python -m tools.fidelity.environments [--run NAME ARGUMENT ...]

Makes what is missing and prints where each one is, or runs the Python of one with these arguments. `TRACER_FIDELITY` names another cache
folder.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "make fidelity"


class CannotMakeError(Exception):
    """An environment could not be made; the text says why."""


def cache_folder() -> Path:
    """The folder outside of the checkout that keeps the environments."""
    named = os.environ.get("TRACER_FIDELITY")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chat-tracer" / "fidelity"


@dataclass(frozen=True, slots=True)
class Environment:
    """Where programs run: what is locked in `requirements/<lock>.txt`, or the environment of developers that runs this."""

    name: str
    lock: str | None
    interpreter: str = sys.executable
    """A path, or a version that uv finds on this machine."""

    @property
    def folder(self) -> Path:
        """Where it is kept, named by everything that decides about it."""
        if self.lock is None:
            return Path(sys.prefix)
        version = sys.version_info[:2] if self.interpreter == sys.executable else self.interpreter
        text = f"{version} {(ROOT / 'requirements' / f'{self.lock}.txt').read_text()}"
        return cache_folder() / f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return Path(sys.executable) if self.lock is None else self.folder / "bin" / "python"

    @property
    def made(self) -> bool:
        """Whether it is there, with all that is locked."""
        return self.lock is None or self._mark.is_file()

    @property
    def _mark(self) -> Path:
        return self.folder / "made"

    def make(self) -> None:
        """Make it if it is not there. Raises `CannotMakeError`."""
        if self.made or self.lock is None:
            return
        if shutil.which("uv") is None:
            raise CannotMakeError(f"needs uv on PATH; then run `{COMMAND}`")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = str(ROOT / "requirements" / f"{self.lock}.txt")
        _run("uv", "venv", "--quiet", "--no-python-downloads", "--python", self.interpreter, str(self.folder))
        _run("uv", "pip", "install", "--quiet", "--require-hashes", "--python", str(self.python), "--requirement", lock)
        self._mark.touch()


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise CannotMakeError(f"`{' '.join(command[:3])}` ended with {ended.returncode}: {ended.stderr.strip()[-800:]}")


INSTALLED = Environment("installed", None)
ENVIRONMENTS = (
    Environment("openai-1", "fidelity-openai-1"),
    Environment("openai-2", "fidelity-openai-2"),
    INSTALLED,
    Environment("frameworks", "frameworks"),
)


def by_name(name: str) -> Environment:
    """The environment of that name; `KeyError` when there is none."""
    return {environment.name: environment for environment in ENVIRONMENTS}[name]


def main() -> int:
    """Carry out the command; the exit status is 1 if something could not be made, else that of the program."""
    parser = argparse.ArgumentParser(description="Make the environments of the difference table.")
    parser.add_argument("--run", nargs=argparse.REMAINDER, metavar="NAME ARGUMENT", help="run the Python of one with these arguments")
    asked = parser.parse_args().run
    status = 0
    for environment in [by_name(asked[0])] if asked else ENVIRONMENTS:
        try:
            environment.make()
            print(f"{environment.name}: {environment.folder}", flush=True)
        except CannotMakeError as error:
            print(f"{environment.name}: not made: {error}", flush=True)
            status = 1
    if status or not asked:
        return status
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([str(by_name(asked[0]).python), *asked[1:]], cwd=ROOT, env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
