"""The committed difference table says what the programs say now, and the comparison behind it finds what differs."""

# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.fidelity.families import openai_family
from tests.fidelity.programs import WRAPPED, Program, World
from tests.fidelity.running import MISSING, Observation, as_it_is, cells_of, difference, differences, observe
from tests.fidelity.wire import Wire
from tools.fidelity.environments import COMMAND, ENVIRONMENTS, INSTALLED, Environment
from tools.fidelity.page import COLUMNS, KNOWN, PAGE, SAME, differing, read, run, written
from tracer.replay.behaviour import Behaviour
from tracer.runtime import Runtime, runtime


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda environment: environment.name)
def test_the_page_says_what_the_programs_say(environment: Environment) -> None:
    if not environment.made:
        reason = f"the environment {environment.name} is not there; make it with `{COMMAND}`"
        print(reason)
        pytest.skip(reason)
    pages = read(PAGE.read_text("utf-8"))
    columns = run(environment)
    assert columns
    for family, column in columns.items():
        committed = pages[family][COLUMNS[family].index(environment.name)]
        assert differing(column.cells) == []
        if environment is not INSTALLED or column.title == committed.title:
            assert column.title == committed.title
            own = {section: rows for section, rows in column.cells.items() if rows}
            assert own == {section: {row: committed.cells[section][row] for row in rows} for section, rows in own.items()}
        else:
            print(f"installed is {column.title}, the page says {committed.title}: the cells were checked, not compared")


def test_the_page_has_no_difference_but_the_known_ones() -> None:
    text = PAGE.read_text("utf-8")
    pages = read(text)
    assert written(pages) == text
    for family, columns in pages.items():
        assert len(columns) == len(COLUMNS[family])
        for column in columns:
            assert differing(column.cells) == []
            assert sum(cell == SAME for rows in column.cells.values() for cell in rows.values()) > (50 if family == "openai" else 3)
    assert {row for columns in pages.values() for column in columns for rows in column.cells.values() for row in rows} >= KNOWN


# The comparison.


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as running:
        yield running


def asking(change: Callable[[World, Any], Any]) -> Program:
    """A program that asks a client which is changed on the way."""

    def run_it(world: World) -> None:
        world.note(world.ask(change(world, world.wrap(world.client()))))

    return Program("asks", run_it, (("section", "row"),), ("openai",))


def unchanged(_world: World, client: Any) -> Any:
    return client


def told(wire: Wire, program: Program, traced: Program | None = None) -> list[str]:
    """What is found between two bare runs."""
    try:
        bare = observe(program, openai_family(), wire, as_it_is)
        ours = observe(traced or program, openai_family(), wire, as_it_is)
    finally:
        gc.unfreeze()
    return differences(bare, replace(ours, started=1), WRAPPED)


def test_two_bare_runs_do_not_differ(wire: Wire) -> None:
    assert told(wire, asking(unchanged)) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda world, client: client.with_options(default_headers={"x-more": "1"}), "requests[0]"),
        (lambda world, client: client.with_options(max_retries=5), ""),
        (lambda world, client: world.client("openinference.tool_calls.cached_tokens.1"), "values[1]"),
        (lambda world, client: world.client(None, Behaviour(fail=9, status=400)), "values[1]: 0 instead of 1"),
    ],
    ids=["a header", "an option that shows in nothing", "another answer", "an error"],
)
def test_a_change_is_found(wire: Wire, change: Any, place: str) -> None:
    found = told(wire, asking(unchanged), asking(change))
    assert bool(found) is bool(place)
    assert place in " ".join(found)


def test_a_call_without_a_record_is_found(fresh_runtime: Runtime) -> None:
    assert runtime is fresh_runtime
    assert differences(Observation(requests=1), Observation(requests=1), WRAPPED) == ["no record"]


def test_a_broken_program_is_no_comparison() -> None:
    program = asking(unchanged)
    assert cells_of([program], {"asks": ["the program is broken: x"]}) == {"section": {"row": "asks: the program is broken: x"}}
    assert cells_of([program], {"asks": "openai 1 has no such thing"}) == {"section": {"row": f"{MISSING}openai 1 has no such thing"}}
    assert cells_of([program], {"asks": []}) == {"section": {"row": SAME}}


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ([1, {"a": (1, 2)}], [1, {"a": (1, 2)}], ""),
        ([1, {"a": (1, 2)}], [1, {"a": (1, 3)}], "v[1]['a'][1]: 3 instead of 2"),
        ({"a": 1}, {"a": 1, "b": 2}, "v: also `b`"),
        ({"a": 1, "b": 2}, {"a": 1}, "v: without `b`"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "v: other order"),
        ([1], [1, 2], "v: 2 instead of 1: [1, 2] instead of [1]"),
        ((1,), [1], "v: [1] instead of (1,)"),
        (True, 1, "v: 1 instead of True"),
        (float("nan"), float("nan"), ""),
    ],
)
def test_differences_are_named(theirs: Any, ours: Any, said: str) -> None:
    assert difference("v", theirs, ours) == said
