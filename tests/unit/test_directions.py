"""Design §4: who may import whom. Every import statement of the package is looked at, wherever it stands."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGE = ROOT / "tracer"

# What the modules of a room may import of the package, beside those of their own room. Rooms are named by the beginnings of module names.
ALLOWED: dict[str, tuple[str, ...]] = {
    "tracer.factories": (),
    "tracer.call": ("tracer.factories",),
    "tracer.evaluation": (),
    "tracer.parsing": (),
    "tracer.environment": (),
    "tracer.settings": ("tracer.environment", "tracer.parsing"),
    "tracer.scope": ("tracer.call",),
    "tracer.dotted_order": ("tracer.call",),
    "tracer.sampling": ("tracer.scope",),
    "tracer.runtime": ("tracer.call", "tracer.sampling", "tracer.scope", "tracer.settings"),
    "tracer.propagation": ("tracer.dotted_order", "tracer.runtime", "tracer.scope", "tracer.settings"),
    "tracer.capture": ("tracer.call", "tracer.dotted_order", "tracer.evaluation", "tracer.runtime", "tracer.scope"),
    "tracer.reading": ("tracer.call", "tracer.factories"),
    "tracer.masking": ("tracer.call", "tracer.evaluation", "tracer.reading", "tracer.scope"),
    "tracer.loading": (),
    "tracer.bundled_prices": (),
    "tracer.cost": ("tracer.bundled_prices", "tracer.loading", "tracer.reading"),
    "tracer.export": (
        "tracer.call",
        "tracer.cost",
        "tracer.dotted_order",
        "tracer.evaluation",
        "tracer.factories",
        "tracer.loading",
        "tracer.reading",
        "tracer.settings",
    ),
    "tracer.pipeline": (
        "tracer.call",
        "tracer.cost",
        "tracer.evaluation",
        "tracer.export.destination",
        "tracer.export.notices",
        "tracer.export.transport",
        "tracer.loading",
        "tracer.masking",
        "tracer.reading",
        "tracer.runtime",
        "tracer.scope",
        "tracer.settings",
    ),
    "tracer.metrics": (
        "tracer.call",
        "tracer.export",
        "tracer.pipeline.ledger",
        "tracer.reading",
        "tracer.runtime",
        "tracer.scope",
        "tracer.settings",
    ),
    "tracer.host": (
        "tracer.call",
        "tracer.export",
        "tracer.pipeline.exits",
        "tracer.pipeline.ledger",
        "tracer.pipeline.readings",
        "tracer.reading",
        "tracer.runtime",
        "tracer.scope",
        "tracer.settings",
    ),
    "tracer.spool": ("tracer.export.destination", "tracer.export.notices", "tracer.export.transport"),
    "tracer.store": ("tracer.call", "tracer.evaluation", "tracer.export", "tracer.reading", "tracer.settings"),
    "tracer.chat": ("tracer.call", "tracer.capture", "tracer.runtime", "tracer.scope", "tracer.settings"),
    "tracer.start_line": ("tracer.parsing", "tracer.pipeline.destinations", "tracer.runtime", "tracer.settings"),
    "tracer.assembly": (
        "tracer.capture.langchain_joining",
        "tracer.capture.langsmith_joining",
        "tracer.host.hook",
        "tracer.host.loggers",
        "tracer.host.meters",
        "tracer.pipeline",
        "tracer.runtime",
        "tracer.sampling",
        "tracer.settings",
        "tracer.start_line",
    ),
    "tracer.api": (
        "tracer.capture",
        "tracer.dotted_order",
        "tracer.evaluation",
        "tracer.pipeline",
        "tracer.propagation",
        "tracer.runtime",
        "tracer.settings",
        "tracer.assembly",
    ),
    "tracer.instrumentor": ("tracer.api",),
    "tracer.testing": (
        "tracer.assembly",
        "tracer.call",
        "tracer.cost",
        "tracer.export",
        "tracer.reading",
        "tracer.runtime",
        "tracer.sampling",
        "tracer.scope",
        "tracer.settings",
    ),
    "tracer.pytest_plugin": ("tracer.testing",),
    "tracer.replay": (),
    "tracer.cli": ("tracer",),
    "tracer.__main__": ("tracer.cli",),
    "tracer": ("tracer.api", "tracer.assembly", "tracer.capture.import_hook", "tracer.chat", "tracer.propagation", "tracer.environment"),
}

# The few single imports that go against the table, each marked in its module as the lazy place.
EXCEPTIONS = {
    ("tracer.pipeline.destinations", "tracer.store.store"),
    ("tracer.pipeline.destinations", "tracer.spool.spool"),
    ("tracer.pipeline.destinations", "tracer.export.console"),
    ("tracer.pipeline.destinations", "tracer.export.host_logs"),
    ("tracer.pipeline.destinations", "tracer.export.otlp"),
    ("tracer.pipeline.destinations", "tracer.export.otlp_logs"),
    ("tracer.pipeline.destinations", "tracer.export.langsmith.destination"),
    ("tracer.pipeline.destinations", "tracer.metrics.hub"),
    # Who asks for the page of a run.
    ("tracer.api", "tracer.export.langsmith.pages"),
    # The wrapper model wraps its client the way an application does.
    ("tracer.chat.clients", "tracer"),
}

SDKS = ("openai", "anthropic", "langchain", "langchain_core", "langchain_openai", "langsmith", "httpx", "httpx2", "litellm")
SDK_ROOMS = ("tracer.chat", "tracer.cli.demo")
SDK_EXCEPTIONS = {
    # A handler has to be a subclass; made only once langchain_core was imported by somebody else.
    ("tracer.capture.langchain_joining", "langchain_core.callbacks.base"),
}
TELEMETRY_ROOMS = ("tracer.export", "tracer.host", "tracer.metrics", "tracer.cli", "tracer.instrumentor", "tracer.testing")
# Loaded by OpenTelemetry's own tools only.
TELEMETRY_PLUGIN = "tracer.instrumentor"
# Loaded only once the application itself has loaded OpenTelemetry.
AFTER_TELEMETRY = "tracer.host.recorder"
BY_IT_ONLY = ("tracer.host.deferred", "tracer.host.recorded")
SQLITE_ROOMS = ("tracer.store", "tracer.spool", "tracer.cli")


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module: who, what, and whether it is imported when the importing module is."""

    by: str
    module: str
    at_import: bool
    for_types_only: bool


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def statements(node: ast.AST, at_import: bool = True, types: bool = False) -> Iterator[tuple[ast.stmt, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        inside = at_import and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        only_types = types or is_type_checking(child)
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, inside, only_types
        yield from statements(child, inside, only_types)


@lru_cache(maxsize=1)
def sources() -> dict[str, ast.Module]:
    return {module_name(path): ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


@lru_cache(maxsize=1)
def imports() -> tuple[Import, ...]:
    modules = sources()
    found: list[Import] = []
    for name, tree in modules.items():
        for node, at_import, types in statements(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                assert isinstance(node, ast.ImportFrom)
                assert node.level == 0, f"{name} has a relative import"
                assert node.module is not None
                # `from package import module` imports the module.
                names = [f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in modules else node.module for alias in node.names]
            found += [Import(name, module, at_import, types) for module in dict.fromkeys(names)]
        # Names that load on first use.
        found += [Import(name, text, False, False) for text in lazy_places(tree, modules)]
    return tuple(found)


def lazy_places(tree: ast.Module, modules: dict[str, ast.Module]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("tracer.") and node.value in modules:
            yield node.value


def lies_in(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def room_of(module: str) -> str:
    return max((room for room in ALLOWED if room != "tracer" and lies_in(module, (room,))), key=len, default="tracer")


def test_the_imports_are_found() -> None:
    assert Import("tracer.pipeline.destinations", "tracer.store.store", at_import=False, for_types_only=False) in imports()
    assert Import("tracer.scope", "tracer.call", at_import=True, for_types_only=False) in imports()
    assert Import("tracer", "tracer.api", at_import=False, for_types_only=False) in imports()
    assert len(sources()) > 40


def test_every_module_has_a_room() -> None:
    homeless = [module for module in sources() if room_of(module) == "tracer" and module != "tracer"]
    assert homeless == []


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    allowed = (*ALLOWED[room], *(() if room == "tracer" else (room,)))
    wrong = [
        f"{item.by} imports {item.module}"
        for item in imports()
        if room_of(item.by) == room
        and lies_in(item.module, ("tracer",))
        and item.module != item.by
        and not lies_in(item.module, allowed)
        and (item.by, item.module) not in EXCEPTIONS
        and not (item.module == "tracer" and room == "tracer")
    ]
    assert wrong == []


def test_exceptions_are_needed_and_lazy() -> None:
    for pair in EXCEPTIONS | SDK_EXCEPTIONS:
        found = [item for item in imports() if (item.by, item.module) == pair]
        assert found, f"{pair} is not there any more"
        assert not any(item.at_import for item in found)


def test_nobody_but_the_command_line_imports_the_outermost_rooms() -> None:
    wrong = [
        (item.by, item.module)
        for item in imports()
        if lies_in(item.module, ("tracer.store", "tracer.spool", "tracer.cli", "tracer.replay"))
        and not lies_in(item.by, (room_of(item.module), "tracer.cli", "tracer.__main__"))
    ]
    assert set(wrong) == {
        ("tracer.pipeline.destinations", "tracer.store.store"),
        ("tracer.pipeline.destinations", "tracer.spool.spool"),
    }


def outsiders(names: tuple[str, ...], rooms: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(item.by, item.module) for item in imports() if lies_in(item.module, names) and not lies_in(item.by, rooms)]


def test_client_sdks_are_imported_by_the_wrapper_model_and_the_demo_only() -> None:
    demo = tuple(module for module in sources() if module.startswith("tracer.cli.demo"))
    wrong = [pair for pair in outsiders(SDKS, (*SDK_ROOMS, *demo)) if pair not in SDK_EXCEPTIONS]
    assert wrong == []


def test_opentelemetry_is_imported_by_exporters_only_and_when_they_are_used() -> None:
    assert outsiders(("opentelemetry", "grpc", "google"), TELEMETRY_ROOMS) == []
    wrong = [
        item
        for item in imports()
        if lies_in(item.module, ("opentelemetry", "grpc", "google"))
        and item.at_import
        and not item.for_types_only
        and item.by not in (TELEMETRY_PLUGIN, AFTER_TELEMETRY, *BY_IT_ONLY)
    ]
    assert wrong == []
    assert [item.by for item in imports() if item.module == TELEMETRY_PLUGIN] == []
    assert not [item for item in imports() if item.module == AFTER_TELEMETRY and item.at_import and not item.for_types_only]
    assert {item.by for item in imports() if item.module in BY_IT_ONLY} == {AFTER_TELEMETRY}


def test_sqlite_is_imported_by_the_store_only() -> None:
    assert outsiders(("sqlite3",), SQLITE_ROOMS) == []


def test_terminal_libraries_are_imported_by_the_command_line_only() -> None:
    assert outsiders(("rich",), ("tracer.cli",)) == []


def test_slow_price_tables_are_imported_when_they_are_used() -> None:
    assert not [item for item in imports() if lies_in(item.module, ("genai_prices",)) and item.at_import and not item.for_types_only]


def test_no_module_bears_the_name_of_a_public_function() -> None:
    import tracer

    public = {*tracer.__all__, "feedback", "headers", "continue_from", "instrument"}
    assert [module for module in sources() if module.count(".") == 1 and module.split(".")[1] in public] == []


def test_there_are_no_cycles() -> None:
    graph: dict[str, set[str]] = {name: set() for name in sources()}
    for item in imports():
        if item.at_import and not item.for_types_only and item.module in graph and item.module != item.by:
            graph[item.by].add(item.module)
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"cycle: {' → '.join((*path[path.index(module) :], module))}"
        if module not in done:
            for following in sorted(graph[module]):
                visit(following, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_third_party_imports_are_declared() -> None:
    declared = (ROOT / "pyproject.toml").read_text("utf-8").partition("[dependency-groups]")[0]
    names = {item.module.split(".")[0] for item in imports() if not item.for_types_only}
    # Distributions that bring a module of another name.
    brought_by = {
        "google": "opentelemetry-exporter-otlp",
        "grpc": "opentelemetry-exporter-otlp",
        "requests": "opentelemetry-exporter-otlp",
        "pydantic": "openai",
        "httpx": "openai",
    }
    missing = [
        name
        for name in sorted(names - {"tracer", "pytest", "tomllib", *sys.stdlib_module_names})  # pytest loads its plugin itself
        if f'"{brought_by.get(name, name.replace("_", "-"))}' not in declared
    ]
    assert missing == []
