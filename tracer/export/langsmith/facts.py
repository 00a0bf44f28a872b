"""What is said about the process that a run was made in: versions and platform, nothing of its environment."""

from __future__ import annotations

import platform
import sys
from functools import cache
from importlib import metadata

from tracer.export.resource import DISTRIBUTION, version
from tracer.export.values import json_bytes

_LIBRARIES = ("openai", "anthropic", "langchain", "langchain-core", "langgraph")


@cache
def runtime_json(library: str) -> bytes:
    """`extra.runtime` of runs that came through `library` (`openai`, `langchain` …; empty for spans of the application's own).

    Asked for once for each library: the answer stays the same.
    """
    distribution = "langchain-core" if library == "langchain" else library
    facts: dict[str, str | None] = {
        "sdk": DISTRIBUTION,
        "sdk_version": version(),
        "library": distribution or DISTRIBUTION,
        "library_version": _version_of(distribution) if distribution else version(),
        "platform": platform.platform(),
        "runtime": "python",
        "py_implementation": platform.python_implementation(),
        "runtime_version": platform.python_version(),
        **{f"{name.replace('-', '_')}_version": _version_of(name) for name in _LIBRARIES if name.replace("-", "_") in sys.modules},
    }
    return json_bytes({name: value for name, value in facts.items() if value is not None})


def _version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
