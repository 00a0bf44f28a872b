"""Make this checkout importable in the environment that runs this script, as an installed distribution would be.

A path file, the distribution's metadata (so that entry points are found and `importlib.metadata` knows the version), and the commands
beside its Python. No build tool is needed; `pip uninstall chat-tracer` takes it out again.
"""

from __future__ import annotations

import stat
import sys
import sysconfig
from pathlib import Path
from shutil import rmtree

try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib

checkout = Path(__file__).resolve().parent.parent
project = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["project"]
distribution = project["name"].replace("-", "_")
packages = Path(sysconfig.get_paths()["purelib"])
commands = Path(sysconfig.get_paths()["scripts"])
written: list[Path] = []


def write(file: Path, text: str) -> Path:
    """Write a file that belongs to the distribution."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    written.append(file)
    return file


def entry_points() -> dict[str, dict[str, str]]:
    """All entry points by group."""
    return {"console_scripts": project.get("scripts", {}), **project.get("entry-points", {})}


for earlier in packages.glob(f"{distribution}-*.dist-info"):
    rmtree(earlier)

write(packages / "tracer_checkout.pth", f"{checkout}\n")
for name, target in project["scripts"].items():
    module, _, function = target.partition(":")
    code = f"#!{sys.executable}\nimport sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n"
    command = write(commands / name, code)
    command.chmod(command.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

information = packages / f"{distribution}-{project['version']}.dist-info"
requirements = "".join(f"Requires-Dist: {requirement}\n" for requirement in project["dependencies"])
write(information / "METADATA", f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n{requirements}")
groups = (f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in names.items()) for group, names in entry_points().items())
write(information / "entry_points.txt", "\n".join(groups))
write(information / "INSTALLER", "tools/link_checkout.py\n")
write(information / "RECORD", "".join(f"{file},,\n" for file in [*written, information / "RECORD"]))
