"""The public names: there, loaded on first use, typed, documented."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import pytest

import tracer
from tests.support import ROOT, run_program

NAMES = sorted(set(tracer.__all__) - {"__version__"})


def test_the_names_of_this_step_are_there() -> None:
    assert {"wrap", "trace", "context", "current", "configure", "flush", "shutdown", "status", "__version__"} <= set(tracer.__all__)


@pytest.mark.parametrize("name", tracer.__all__)
def test_each_name_loads_and_is_listed(name: str) -> None:
    assert getattr(tracer, name) is not None
    assert name in dir(tracer)


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_documented_and_typed(name: str) -> None:
    value: Any = getattr(tracer, name)
    assert inspect.getdoc(value)
    if inspect.isfunction(value):
        for parameter in inspect.signature(value).parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty
        assert inspect.signature(value).return_annotation is not inspect.Signature.empty


def test_unknown_names_raise_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'tracer' has no attribute 'wrapp'"):
        getattr(tracer, "wrapp")  # noqa: B009
    assert not hasattr(tracer, "nothing")
    # Python asks modules for such names by itself.
    assert not hasattr(tracer, "__path_of_nothing__")


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "tracer" / "__init__.py").read_text("utf-8"))
    seen = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tracer.")
        for alias in node.names
        if alias.asname
    }
    assert seen == set(NAMES)


def test_star_import_and_submodules() -> None:
    ended = run_program(
        "from tracer import *; print(callable(wrap), callable(trace)); import tracer.settings; print(tracer.settings.__name__)"
    )
    assert (ended.status, ended.out.split()) == (0, ["True", "True", "tracer.settings"])


def test_the_version_is_that_of_the_distribution() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    found = re.search(r'^version = "(.+)"$', text, re.MULTILINE)
    assert found is not None
    assert tracer.__version__ == found[1]


def test_the_package_is_marked_as_typed() -> None:
    assert (ROOT / "tracer" / "py.typed").is_file()
