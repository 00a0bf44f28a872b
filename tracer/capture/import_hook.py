"""Run something when a module is imported, now or later, without importing it ourselves.

`import tracer` may need this, so it imports next to nothing itself; finder and loader are of Python's protocol without its base classes.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_waiting: dict[str, list[Callable[[ModuleType], None]]] = {}


def when_imported(name: str, action: Callable[[ModuleType], None]) -> None:
    """Call `action` with the module `name` as soon as it is loaded; at once if it is. An action waits once, however often it is given."""
    module = sys.modules.get(name)
    if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
        _run(action, module)
        return
    waiting = _waiting.setdefault(name, [])
    if action not in waiting:
        waiting.append(action)
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _run(action: Callable[[ModuleType], None], module: ModuleType) -> None:
    try:
        action(module)
    except Exception as fault:
        from tracer.runtime import report_fault  # The lazy place of this module: only when something went wrong.

        if not report_fault(f"setting up tracing of {module.__name__}", fault):
            raise


class _Finder:
    """Finds the modules that are waited for as Python would, with a loader that reports back."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname not in _waiting:
            return None
        # The finders after this one are asked by hand: going through importlib again would come back here.
        for finder in sys.meta_path:
            if isinstance(finder, _Finder):
                continue
            find = getattr(finder, "find_spec", None)
            spec = find(fullname, path, target) if find is not None else None
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader:
    """Loads as the true loader does, then runs what waited."""

    def __init__(self, true: Loader) -> None:
        self._true = true

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._true.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._true
        module.__loader__ = self._true
        self._true.exec_module(module)
        for action in _waiting.pop(module.__name__, []):
            _run(action, module)

    def __getattr__(self, name: str) -> object:
        return getattr(self._true, name)


def stop_waiting(name: str) -> None:
    """Forget what waits for a module (for `uninstrument`).

    The finder stays and finds nothing: taken out of the list while another thread walks through it, it would hide the next finder there.
    """
    _waiting.pop(name, None)
