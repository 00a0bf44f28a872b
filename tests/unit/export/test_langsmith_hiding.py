"""What `LANGSMITH_HIDE_*` keeps back: nothing of it is in any part of a run, begun or finished."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from tracer.call import CHAIN, FAILED, LLM, Attempt, Call, Failure
from tracer.export.langsmith.run import run_of, start_of
from tracer.reading import read_call
from tracer.settings import Settings

ASKED, ANSWERED, NOTED = "the question", "the answer", "the note"


def call(**more: Any) -> Call:
    attempt = Attempt(
        0,
        status=200,
        request_body=b'{"model":"m","messages":[{"role":"user","content":"%s"}]}' % ASKED.encode(),
        response_body=b'{"choices":[{"index":0,"finish_reason":"stop","message":{"content":"%s"}}]}' % ANSWERED.encode(),
    )
    given: dict[str, Any] = {"ending": "completed", "attempts": [attempt], "input_json": b'{"q":"%s"}' % ASKED.encode(), **more}
    return Call(1, 1, 1, kind=LLM, operation="chat", metadata={"n": NOTED}, **given)


def texts(settings: Settings, made: Call) -> str:
    return repr([asdict(run_of(read_call(made), settings)), asdict(start_of(made, settings))])


def test_all_is_sent_where_nothing_is_hidden() -> None:
    text = texts(Settings(), call())
    assert all(part in text for part in (ASKED, ANSWERED, NOTED))


@pytest.mark.parametrize(("flag", "hidden"), [("inputs", ASKED), ("outputs", ANSWERED), ("metadata", NOTED)])
def test_one_flag_hides_its_part_alone(flag: str, hidden: str) -> None:
    hiding: dict[str, Any] = {f"langsmith_hide_{flag}": True}
    text = texts(Settings(**hiding), call())
    assert hidden not in text
    assert all(part in text for part in {ASKED, ANSWERED, NOTED} - {hidden})


@pytest.mark.parametrize("flag", ["inputs", "outputs"])
def test_an_error_that_quotes_content_is_sent_by_its_type(flag: str) -> None:
    failed = call(ending=FAILED, failure=Failure("ValueError", f"cannot use {ASKED!r} and {ANSWERED!r}"))
    hiding: dict[str, Any] = {f"langsmith_hide_{flag}": True}
    run = run_of(read_call(failed), Settings(**hiding))
    assert run.error == "ValueError"
    assert ASKED in (run_of(read_call(failed), Settings()).error or "")


@pytest.mark.parametrize(("flag", "run_type"), [("inputs", "prompt"), ("outputs", "parser")])
def test_what_a_prompt_gives_and_a_parser_takes_is_content_of_the_model(flag: str, run_type: str) -> None:
    step = Call(
        1, 1, 1, kind=CHAIN, library="langchain", ending="completed", attributes={"tracer.run_type": run_type}, input_json=b'{"q":"in"}'
    )
    step.output_json = b'{"a":"out"}'
    hiding: dict[str, Any] = {f"langsmith_hide_{flag}": True}
    run = run_of(read_call(step), Settings(**hiding))
    assert (run.run_type, run.inputs, run.outputs) == (run_type, b"{}", b"{}")
    shown = run_of(read_call(step), Settings())
    assert (shown.inputs, shown.outputs) == (b'{"q":"in"}', b'{"a":"out"}')
