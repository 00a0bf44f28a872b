"""A pytest plugin for the SDKs' own tests: wraps the clients that they make, or instruments the SDKs, and writes outcomes down.

    python -m pytest -p tools.fidelity.suite_plugin --clients {bare,wrapped,instrumented} --told FOLDER ...

Loaded by `tools.fidelity.sdk_suites`, before the tests' own `conftest.py`.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import tracer

BARE, WRAPPED, INSTRUMENTED = MODES = ("bare", "wrapped", "instrumented")
SDKS = ("openai", "anthropic")
WORST = ("passed", "skipped", "failed")

outcomes: dict[str, str] = {}
"""By test; of its three phases the worst."""
reasons: dict[str, str] = {}
"""Of tests that failed, in a line."""
stand_ins: dict[int, Any] = {}
"""By the identity of the SDK's class."""


def wrapping(kind: type[Any]) -> Any:
    """A class that makes wrapped clients of `kind` and otherwise is `kind`, as far as tests can tell: `isinstance`, patched attributes."""

    class Wrapping(type(kind)):
        def __call__(cls, *positional: Any, **named: Any) -> Any:
            return tracer.wrap(kind(*positional, **named) if cls is made else super().__call__(*positional, **named))

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, kind) if cls is made else super().__instancecheck__(instance)

        def __setattr__(cls, name: str, value: Any) -> None:
            setattr(kind, name, value) if cls is made else super().__setattr__(name, value)

        def __delattr__(cls, name: str) -> None:
            delattr(kind, name) if cls is made else super().__delattr__(name)

    made: Any = None
    made = Wrapping(kind.__name__, (kind,), {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__})
    return made


def replace_in(module: Any) -> None:
    """Clients of this module's namespace are wrapped from now on."""
    for name, value in list(vars(module).items()):
        if id(value) in stand_ins:
            setattr(module, name, stand_ins[id(value)])


def stand_in_for(sdk: str) -> None:
    """Put stand-ins for the client classes into the SDK's public namespace, for the tests to import."""
    module = importlib.import_module(sdk)
    base = importlib.import_module(f"{sdk}._base_client").BaseClient
    # Not by `isinstance`: it would have the proxies of openai's module-level client load it. Nobody but the SDK makes the private one.
    kinds = [value for value in vars(module).values() if issubclass(type(value), type) and issubclass(value, base)]
    kinds = [kind for kind in kinds if not kind.__name__.startswith("_")]
    stand_ins.update({id(kind): wrapping(kind) for kind in kinds})
    replace_in(module)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Ours."""
    parser.addoption("--clients", choices=MODES, default=BARE)
    parser.addoption("--told", type=Path, required=True, help="folder for what is written down")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before anything of the tests is imported."""
    asked = early_config.known_args_namespace
    if asked.clients == BARE:
        return
    tracer.configure(local=str(asked.told / f"{os.getpid()}.sqlite"), quiet=True)
    if asked.clients == INSTRUMENTED:
        tracer.instrument()
    else:
        for sdk in SDKS:
            if importlib.util.find_spec(sdk) is not None:
                stand_in_for(sdk)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that import a client class from a private module get the stand-in too."""
    for name in {item.module.__name__ for item in items if isinstance(item, pytest.Function)}:
        replace_in(sys.modules[name])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Of the phases of a test, keep the worst."""
    outcomes[report.nodeid] = max(outcomes.get(report.nodeid, "passed"), report.outcome, key=WORST.index)
    if report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        reasons[report.nodeid] = getattr(crash, "message", report.longreprtext).partition("\n")[0]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write down what happened in this process, and of our own side what was recorded."""
    folder: Path = session.config.option.told
    status = tracer.status()
    told = {"outcomes": outcomes, "reasons": reasons, "calls": status["started"], "faults": status["faults"]}
    if hasattr(session.config, "workerinput"):  # Reports go to the process that hands out the tests.
        told |= {"outcomes": {}, "reasons": {}}
    (folder / f"{os.getpid()}.json").write_text(json.dumps(told), "utf-8")
