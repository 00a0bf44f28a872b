"""Gets the real backends: built from Go's module system into a cache folder outside of the checkout, once for each recipe.

    python -m tools.backends.build [PROGRAM ...] [--minutes 60]

Prints where each program is, or why it is not there. Exit status 0 either way: the tests skip, with that reason, what is missing.
`TRACER_BACKENDS` names another cache folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
COMMAND = "make backends"


@dataclass(slots=True)
class Recipe:
    """How one backend is built."""

    name: str
    text: dict[str, Any]

    @property
    def programs(self) -> list[str]:
        """The names of the executables that it gives."""
        return ["otelcol"] if "manifest" in self.text else [package.rpartition("/")[2] for package in self.text["packages"]]

    @property
    def folder(self) -> Path:
        """Where its executables are kept, named by everything that decides about them."""
        manifest = (HERE / self.text["manifest"]).read_text() if "manifest" in self.text else ""
        digest = hashlib.sha256((json.dumps(self.text, sort_keys=True) + manifest).encode()).hexdigest()
        return cache_folder() / f"{self.name}-{self.text['version']}-{digest[:12]}"

    @property
    def built(self) -> bool:
        """Whether all of its executables are there."""
        return all((self.folder / program).is_file() for program in self.programs)


class BuildError(Exception):
    """A backend could not be built; the text says why."""


def cache_folder() -> Path:
    """The folder outside of the checkout that keeps what was built."""
    named = os.environ.get("TRACER_BACKENDS")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chat-tracer" / "backends"


def recipes() -> list[Recipe]:
    """All of them, the quickest to build first."""
    return [Recipe(name, text) for name, text in tomllib.loads((HERE / "recipes.toml").read_text()).items()]


def program_path(program: str) -> Path | None:
    """The executable called `program`, or None when it was not built (yet)."""
    for recipe in recipes():
        if program in recipe.programs and recipe.built:
            return recipe.folder / program
    return None


def build(recipe: Recipe, deadline: float) -> None:
    """Build one backend; raises `BuildError`."""
    if shutil.which("go") is None:
        raise BuildError(f"needs the Go toolchain (1.26 or newer) on PATH; then run `{COMMAND}`")
    work = recipe.folder.with_suffix(".work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    target = work / "bin"
    target.mkdir()
    if "manifest" in recipe.text:
        _build_collector(recipe, work, target, deadline)
    else:
        _build_module(recipe, work, target, deadline)
    shutil.rmtree(recipe.folder, ignore_errors=True)
    target.rename(recipe.folder)
    shutil.rmtree(work)


def _build_module(recipe: Recipe, work: Path, target: Path, deadline: float) -> None:
    text = recipe.text
    module, version = text["module"], text["version"]
    lines = [f"module backends/{recipe.name}", "go 1.26", f"require {module} {version}"]
    lines += [f"tool {module}/{package}" for package in text["packages"]]
    lines += [f"replace {old} => {new}" for old, new in text.get("replace", {}).items()]
    (work / "go.mod").write_text("\n".join(lines) + "\n")
    if text.get("module_sums"):
        found = json.loads(_run(["go", "mod", "download", "-json", f"{module}@{version}"], work, deadline))
        shutil.copy(Path(found["Dir"]) / "go.sum", work / "go.sum")
        (work / "go.sum").chmod(0o644)
    _run(["go", "mod", "tidy"], work, deadline)
    tags = ["-tags", text["tags"]] if "tags" in text else []
    for package in text["packages"]:
        _compile([*tags, f"{module}/{package}"], target / package.rpartition("/")[2], work, deadline)


def _build_collector(recipe: Recipe, work: Path, target: Path, deadline: float) -> None:
    shutil.copy(HERE / recipe.text["manifest"], work / "builder.yaml")
    builder = f"{recipe.text['module']}@{recipe.text['version']}"
    _run(["go", "run", builder, "--config", "builder.yaml", "--skip-compilation"], work, deadline)
    _compile(["."], target / "otelcol", work / "otelcol", deadline)


def _compile(what: Sequence[str], output: Path, folder: Path, deadline: float) -> None:
    _run(["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(output), *what], folder, deadline)


def _run(command: Sequence[str], folder: Path, deadline: float) -> str:
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-p=2 -buildvcs=false"}
    left = deadline - time.monotonic()
    if left <= 0:
        raise BuildError("the time given was over before it was built (--minutes)")
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, error = process.communicate(timeout=left)
    except subprocess.TimeoutExpired:
        # Its compilers too: they would keep the machine busy.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise BuildError("the time given was over while it was built (--minutes)") from None
    if process.returncode:
        raise BuildError(f"`{' '.join(command[:3])}` ended with {process.returncode}: {error.strip()[-800:]}")
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what is missing."""
    parser = argparse.ArgumentParser(description="Build the real backends of the tests.")
    parser.add_argument("programs", nargs="*", help="prometheus, collector, jaeger, tempo (all)")
    parser.add_argument("--minutes", type=float, default=60.0, help="give up after this time (60)")
    options = parser.parse_args(arguments)
    deadline = time.monotonic() + options.minutes * 60
    for recipe in recipes():
        if options.programs and recipe.name not in options.programs:
            continue
        began = time.monotonic()
        try:
            if not recipe.built:
                print(f"{recipe.name}: building {recipe.text['version']} …", flush=True)
                build(recipe, deadline)
            print(f"{recipe.name}: {', '.join(recipe.programs)} in {recipe.folder} ({time.monotonic() - began:.0f} s)", flush=True)
        except BuildError as error:
            print(f"{recipe.name}: not built: {error}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
