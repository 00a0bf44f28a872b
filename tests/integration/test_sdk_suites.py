"""The SDKs' own tests, bare and traced: the program behind these rows of `docs/fidelity.md` finds what ends differently, and only that."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tools.fidelity import sdk_suites
from tools.fidelity.explained import EXPLAINED, Explained, explained
from tools.fidelity.sdk_suites import BARE, MODES, Ran, Suite, compare, differing, tell
from tools.fidelity.suite_plugin import wrapping

WRAPPED, INSTRUMENTED = MODES[1:]

TESTS = """
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai._client import OpenAI as Private

GIVEN = {"api_key": "none", "base_url": "http://127.0.0.1:9", "max_retries": 0}

def test_ends_the_same():
    for kind in (OpenAI, Private, openai.OpenAI):
        with kind(**GIVEN) as client, pytest.raises(openai.APIConnectionError):
            client.models.list()
        assert isinstance(client, kind) and kind.__name__ == "OpenAI"

def test_fails():
    assert AsyncOpenAI(**GIVEN).max_retries == 1

def test_looks_for_hooks():
    with OpenAI(**GIVEN) as client:
        assert "request" not in vars(client)

@pytest.mark.skip(reason="to be counted")
def test_is_skipped():
    pass

@pytest.fixture
def ends_badly():
    yield
    raise RuntimeError("in the last phase")

def test_has_a_bad_end(ends_badly):
    pass
"""
FILE = "tests/test_of_an_sdk.py"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "tests").mkdir()
    (folder / FILE).write_text(TESTS, "utf-8")
    # As in the SDKs: their options hold where ours say nothing else.
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "-n 1 --tb=short"\n', "utf-8")
    return Suite(folder, Path(sys.executable))


def test_what_ends_differently_is_found_and_only_that(checkout: Suite) -> None:
    ran, found = compare(checkout, ["tests"])

    looks = f"{FILE}::test_looks_for_hooks"
    assert found == {WRAPPED: [looks], INSTRUMENTED: []}
    assert ran[BARE].outcomes == {
        f"{FILE}::test_ends_the_same": "passed",
        f"{FILE}::test_fails": "failed",
        looks: "passed",
        f"{FILE}::test_is_skipped": "skipped",
        f"{FILE}::test_has_a_bad_end": "failed",
    }
    assert ran[WRAPPED].outcomes == {**ran[BARE].outcomes, looks: "failed"}
    assert ran[INSTRUMENTED].outcomes == ran[BARE].outcomes
    assert [ran[mode].counts for mode in MODES] == ["2 | 1 | 2", "1 | 1 | 3", "2 | 1 | 2"]
    assert [ran[mode].calls for mode in MODES] == [0, 3, 3]
    assert [ran[mode].faults for mode in MODES] == [Counter()] * 3
    assert ran[WRAPPED].reasons[looks].startswith("AssertionError: assert 'request' not in")


def test_a_test_that_only_one_side_has_ends_differently() -> None:
    assert differing(Ran({"a": "passed", "b": "failed"}), Ran({"b": "failed", "c": "passed"})) == ["a", "c"]
    assert differing(Ran({"a": "skipped"}), Ran({"a": "skipped"})) == []


def test_what_is_told_and_when_all_is_good(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    known = (Explained(r"test_hooks\[", (WRAPPED,), "it looks at them"),)
    monkeypatch.setattr(sdk_suites, "explained", partial(explained, reasons=known))
    ran = {
        BARE: Ran({"f::test_hooks[a]": "passed"}),
        WRAPPED: Ran({"f::test_hooks[a]": "failed"}, {"f::test_hooks[a]": "assert 1"}, 2),
    }

    assert tell(ran, {WRAPPED: ["f::test_hooks[a]"]})
    assert capsys.readouterr().out == (
        "| bare | 1 | 0 | 0 | 0 | none |\n"
        "| wrapped | 0 | 0 | 1 | 2 | none |\n"
        "wrapped: f::test_hooks[a]: failed, bare passed: it looks at them\n"
    )
    assert tell({BARE: Ran()}, {WRAPPED: []})
    assert "No test ends differently." in capsys.readouterr().out

    ran[INSTRUMENTED] = ran[WRAPPED]
    assert not tell(ran, {INSTRUMENTED: ["f::test_hooks[a]"]})
    assert "not explained: assert 1" in capsys.readouterr().out
    assert not tell({WRAPPED: Ran(faults=Counter({"beginning a call": 1}))}, {WRAPPED: []})
    assert "{'beginning a call': 1}" in capsys.readouterr().out


def test_each_reason_says_for_whom() -> None:
    for reason in EXPLAINED:
        assert reason.clients
        assert set(reason.clients) <= {WRAPPED, INSTRUMENTED}
        assert reason.because


@pytest.mark.parametrize(
    ("test", "word"),
    [
        ("tests/lib/test_client_copy.py::test_copy_keeps_every_constructor_argument[Anthropic-api_key-all-arguments]", "hooks"),
        ("tests/lib/test_client_copy.py::test_with_options_overrides_win[AsyncAnthropicVertex]", "stand-in"),
        ("tests/lib/test_client_copy.py::test_copy_sends_requests_through_the_http_client[Anthropic]", None),
        ("tests/test_x509_workload_identity.py::test_x509_copy_reuses_effective_transport_and_preserves_identity", "stand-in"),
        ("tests/test_x509_workload_identity_regressions.py::test_async_copy_accepts_an_explicit_x509_identity[copy]", "stand-in"),
        (
            "tests/test_x509_workload_identity_regressions.py::test_sync_copy_can_switch_from_x509_identity_to_api_key[None-copy]",
            "stand-in",
        ),
        ("tests/test_x509_workload_identity_hardening.py::test_sync_copy_accepts_an_explicit_x509_identity[copy]", None),
    ],
)
def test_only_wrapped_clients_may_be_seen_by_their_attributes(test: str, word: str | None) -> None:
    because = explained(test, WRAPPED)
    assert because is None if word is None else word in (because or "")
    assert explained(test, INSTRUMENTED) is None


def test_stand_ins_are_the_class_to_who_looks() -> None:
    class Client:
        answer = 1

    stand_in = wrapping(Client)
    stand_in.answer = 2
    assert Client.answer == 2
    assert isinstance(Client(), stand_in)
    assert (stand_in.__name__, stand_in.__qualname__, stand_in.__module__) == (Client.__name__, Client.__qualname__, Client.__module__)
    del stand_in.answer
    assert not hasattr(Client, "answer")
