"""The one place where genai-prices is imported: 0.3 s, so only when a cost is first asked for, in the worker's thread.

It would import httpx2, which it needs only to fetch newer prices (never done here). While that goes on in our thread, a half-made `httpx2`
stands in `sys.modules`, where openai 2.x looks for it whenever a client is made: the caller's thread would fail. So that import is put
off until somebody uses it.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_HTTP = "httpx2"
_USES_IT = "genai_prices.update_prices"


def genai_prices() -> Any:
    """The package, imported without httpx2 if nobody has imported that yet."""
    if _HTTP in sys.modules or "genai_prices" in sys.modules:
        return importlib.import_module("genai_prices")
    finder = _WithoutHttp()
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module("genai_prices")
    finally:
        sys.meta_path.remove(finder)


class _WithoutHttp(MetaPathFinder):
    """Finds the module that imports httpx2, and has it loaded with an import statement that puts that off."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of that one module; others find the rest."""
        if fullname != _USES_IT:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and hasattr(spec.loader, "get_code"):
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads as the loader that it stands for does, but for that one import."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's own code."""
        space = vars(module)
        # An import statement asks the builtins of its own module.
        space["__builtins__"] = {**vars(builtins), "__import__": _import}
        exec(self._loader.get_code(module.__name__), space)  # noqa: S102

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def _import(name: str, *details: Any, **more: Any) -> Any:
    return _Later() if name == _HTTP else builtins.__import__(name, *details, **more)


class _Later:
    """Stands for httpx2 until something of it is used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(_HTTP), name)
