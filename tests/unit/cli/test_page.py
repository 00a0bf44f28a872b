"""The page of `tracer show --html`: what is on it."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from tests.page_support import Element, read_page, rows
from tests.unit.cli.page_records import asked, judgement, message, page_of, span, text_of
from tracer.call import FAILED, OUTCOMES, STOPPED
from tracer.cli.page.document import POLICY, document
from tracer.export import names
from tracer.store.reader import Trace
from tracer.store.rows import ATTEMPT

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def cells(row: Element) -> list[str]:
    """Duration, tokens, cost and outcome of a row."""
    return [cell.text for cell in row.one_child("summary").children[2:6]]


def section(row: Element, title: str) -> Element:
    (found,) = [part for part in row.all("section") if part.one("h3").text == title]
    return found


# What is on it.


def test_the_head_lets_nothing_in() -> None:
    page = page_of(span(1))
    policies = [meta.attributes["content"] for meta in page.all("meta") if "http-equiv" in meta.attributes]
    assert policies == [POLICY]
    assert POLICY == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    style = page.one("style").text
    assert not re.search(r"url\(|@import|expression|//", style)
    for part in ("prefers-color-scheme: dark", "@media print", "max-width: 62rem", ":focus-visible"):
        assert part in style
    assert page.one("title").text == "span 1 · abababab"
    assert page.attributes["lang"] == "en"


def test_the_heading_says_what_the_terminal_says() -> None:
    call: dict[str, Any] = {"kind": "llm", "input_tokens": 1200, "output_tokens": 34, "session": "s1", "user": "u7", "tags": ["beta"]}
    page = page_of(
        span(1, session="s1", user="u7", tags=["beta", "own"]),
        span(2, 1, start=500, taken=1000, cost=0.5, currency="USD", **call),
        span(3, 1, start=1500, taken=500, **{**call, "outcome": FAILED}),
    )
    facts = {item.one("dt").text: item.one("dd").text for item in page.one("dl").children}
    assert facts == {
        "Start": "2023-11-14T22:13:20Z",
        "Duration": "2.00 s",
        "Model calls": "2",
        "Failed": "1",
        "Tokens in→out": "2,400→68 tokens",
        "Cost": "$0.50 (known for 1 of 2 calls)",
        "Session": "s1",
        "User": "u7",
        "Tags": "beta",
        "Trace id": "ab" * 16,
    }
    assert page.one("h2").text == "span 1"
    assert page.one("section", "trace").attributes["aria-labelledby"] == page.one("h2").attributes["id"]
    assert [chip.text for chip in rows(page)[0].all("span", "chip")] == ["own"]


def test_a_row_says_where_when_and_how() -> None:
    page = page_of(
        span(1, taken=1000),
        span(
            2,
            1,
            start=250,
            taken=500,
            name="chat",
            kind="llm",
            model="gpt-4o",
            input_tokens=12,
            output_tokens=34,
            cost=0.00123,
            time_to_first_chunk=0.125,
            outcome=STOPPED,
            attributes={names.STREAM_CHUNKS: 5},
        ),
        span(3, 2, start=300, taken=10, kind="llm"),
        span(4, 99, start=900, taken=100),
    )
    root, call, third, orphan = rows(page)
    assert [row.one_child("summary").attributes["style"] for row in (root, call, third, orphan)] == [
        f"--level:{level}" for level in (0, 1, 2, 0)
    ]
    assert call.one("span", "name").text.split() == ["level", "2", "llm", "chat", "gpt-4o"]
    assert cells(call) == ["500 ms", "12→34 tokens", "$0.0012", "stopped after 5 chunks"]
    assert cells(third)[1] == "tokens not reported"
    bar = call.one("span", "bar")
    assert bar.attributes == {"class": "bar llm", "style": "left:25.000%;width:50.000%"}
    assert bar.one("span", "first").attributes["style"] == "left:25.000%"
    assert call.one("span", "track").text == "starts at 250 ms, first chunk after 125 ms"
    assert "parent not recorded" in orphan.one_child("summary").text
    assert [tick.text for tick in page.one("span", "ticks").children] == ["0 µs", "250 ms", "500 ms", "750 ms", "1.00 s"]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_is_a_word(outcome: str) -> None:
    (row,) = rows(page_of(span(1, outcome=outcome)))
    assert row.one("span", "outcome").text == outcome
    assert outcome in row.one("span", "outcome").attributes["class"]


def test_an_error_is_in_the_row_and_with_its_stack_below() -> None:
    stack = "Traceback (most recent call last):\n  File x\nValueError: no\n"
    page = page_of(
        span(1, outcome=FAILED, error_type="ValueError", error_message="no\nway", attributes={names.EXCEPTION_STACKTRACE: stack})
    )
    (row,) = rows(page)
    assert row.one("span", "problem").text == "ValueError no way"
    error = section(row, "Error")
    assert error.one("div", "text").text == "no\nway"
    assert error.one("div", "code").text == stack
    assert stack not in section(row, "Span").text


def test_a_row_opens_to_its_timeline_parameters_and_attributes() -> None:
    attributes = {
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.stop_sequences": ["a", "b"],
        "tracer.metadata.plan": "free",
        names.RESPONSE_TIME_TO_FIRST_CHUNK: 0.03,
        names.STREAM_FIRST_TEXT: 0.04,
    }
    attempts = [
        span(2, 1, start=1, taken=5, kind=ATTEMPT, run_id=None, outcome=FAILED, attributes={names.HTTP_RESPONSE_STATUS_CODE: 429}),
        span(
            3,
            1,
            start=16,
            taken=80,
            kind=ATTEMPT,
            run_id=None,
            attributes={names.HTTP_RESPONSE_STATUS_CODE: 200, names.HTTP_REQUEST_RESEND_COUNT: 1, names.ATTEMPT_WAIT: 0.01},
        ),
    ]
    page = page_of(span(1, kind="llm", attributes=attributes, session="s", tags=["one", "two"]), *attempts)
    row, first, second = rows(page)
    moments = [[cell.text for cell in line.children] for line in row.one("table", "timeline").one("tbody").children]
    assert moments == [
        ["+0 µs", "start", "2023-11-14T22:13:20Z"],
        ["+1.0 ms", "attempt 1", "429, took 5.0 ms"],
        ["+16.0 ms", "attempt 2", "200, took 80.0 ms, after waiting 10.0 ms"],
        ["+30.0 ms", "first chunk", ""],
        ["+40.0 ms", "first text", ""],
        ["+100 ms", "end", "completed"],
    ]
    parameters = {line.children[0].text: line.children[1].text for line in section(row, "Parameters").one("tbody").children}
    assert parameters == {"temperature": "0.5", "stop_sequences": '[\n  "a",\n  "b"\n]'}
    others = {line.children[0].text: line.children[1].text for line in section(row, "Attributes").one("tbody").children}
    assert others == {name: str(attributes[name]) for name in list(attributes)[2:]}
    facts = {line.children[0].text: line.children[1].text for line in section(row, "Span").one("tbody").children}
    assert (facts["session"], facts["tags"], facts["span id"]) == ("s", "one, two", f"{1:016x}")
    assert (cells(first)[-1], cells(second)[-1]) == ("failed · 429", "completed · 200")
    assert "attempt 2" in second.one("span", "name").text


def test_feedback_is_shown() -> None:
    said = [judgement(comment="to the point", source="model"), judgement(key="right", score=None, value='"partly"', correction='{"a": 1}')]
    (row,) = rows(page_of(span(1), feedback={f"{1:032x}": said}))
    assert [chip.text for chip in row.all("span", "feedback")] == ["feedback helpful 1", "feedback right"]
    text = section(row, "Feedback").text
    for words in ("helpful", "by model", "to the point", "partly", "should be", '"a": 1'):
        assert words in text


def test_several_traces_have_a_table_of_contents() -> None:
    traces = [Trace(f"{number:032x}", [span(1, name=f"trace {number}", trace_id=f"{number:032x}")]) for number in (1, 2)]
    page = read_page("".join(document(traces, content=False)))
    links = [link.attributes["href"] for link in page.one("nav").all("a")]
    assert links == [f"#{part.attributes['id']}" for part in page.all("section", "trace")]
    assert [heading.text for heading in page.all("h2")] == ["trace 1", "trace 2"]
    assert page.one("h1").text == page.one("title").text == "2 traces"


# Prompts and answers.

CONTENT = {
    names.SYSTEM_INSTRUCTIONS: json.dumps([{"type": "text", "content": "secret system"}]),
    names.INPUT_MESSAGES: message({"type": "text", "content": "secret question"}),
    names.OUTPUT_MESSAGES: message({"type": "text", "content": "secret answer"}, role="assistant", finish_reason="stop"),
    names.TOOL_DEFINITIONS: json.dumps(
        [{"type": "function", "name": "secret_tool", "description": "secret", "parameters": {"a": "secret"}}]
    ),
    names.RETRIEVAL_QUERY: "secret query",
    names.RETRIEVAL_DOCUMENTS: json.dumps([{"id": "secret"}]),
    names.TOOL_CALL_ARGUMENTS: '{"city":"secret"}',
    names.TOOL_CALL_RESULT: '"secret result"',
    names.INPUT_VALUE: '"secret input"',
    names.OUTPUT_VALUE: '"secret output"',
}


def test_there_is_no_prompt_or_answer_unless_asked_for() -> None:
    assert "secret" not in text_of(span(1, attributes=CONTENT))
    (row,) = rows(page_of(span(1, attributes=CONTENT), content=True))
    titles = [part.one("h3").text for part in row.all("section")]
    assert titles[:9] == ["Tools offered", "Asked", "Answered", "Query", "Documents", "Arguments", "Result", "Input", "Output"]
    roles = [(item.one("div", "role").text, item.one("div", "text").text) for item in row.all("li", "message")]
    assert roles == [("system", "secret system"), ("user", "secret question"), ("assistantfinish reason: stop", "secret answer")]
    tool = section(row, "Tools offered")
    assert tool.one("summary").text == "secret_toolfunction"
    assert json.loads(tool.one("div", "code").text) == {"parameters": {"a": "secret"}}
    assert section(row, "Query").one("div", "text").text == "secret query"


def test_parts_of_every_kind_are_shown() -> None:
    parts: list[object] = [
        {"type": "reasoning", "content": "because"},
        {"type": "reasoning", "content": "", "redacted": True},
        {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Paris"}},
        {"type": "tool_call_response", "id": "call_1", "response": {"sky": "clear"}},
        {"type": "tool_call_response", "response": [{"type": "text", "content": "in parts"}], "is_error": True},
        {"type": "server_tool_call", "name": "web_search", "server_tool_call": {"query": "herons"}},
        {"type": "uri", "modality": "image", "uri": "https://example.org/a.png"},
        {"type": "file", "modality": "document", "file_id": "file-1", "filename": "a.pdf"},
        {"type": "generic", "generic_type": "hologram", "depth": 3},
        "not an object",
    ]
    (row,) = rows(page_of(span(1, attributes=asked(*parts)), content=True))
    shown = [part.text for part in section(row, "Asked").all("div", "part")]
    assert shown[:3] == [
        "reasoningbecause",
        "reasoningnot shown by the provider",
        'tool callweathercall_1{\n  "city": "Paris"\n}',
    ]
    assert shown[3] == 'tool resultcall_1{\n  "sky": "clear"\n}'
    assert shown[4] == "tool resulterrorin parts"
    assert '"query": "herons"' in shown[5]
    assert shown[6:8] == ["mediaimage · uri https://example.org/a.png", "mediadocument · filename a.pdf · file_id file-1"]
    assert shown[8].startswith("hologram")
    assert "not an object" in section(row, "Asked").text


def test_structured_output_is_set_out() -> None:
    answer = {names.OUTPUT_MESSAGES: message({"type": "text", "content": '{"city":"Paris"}'}, role="assistant")}
    (plainly,) = rows(page_of(span(1, attributes=answer), content=True))
    assert section(plainly, "Answered").one("div", "text").text == '{"city":"Paris"}'
    (row,) = rows(page_of(span(1, attributes={**answer, names.OUTPUT_TYPE: "json"}), content=True))
    assert section(row, "Answered").one("div", "code").text == '{\n  "city": "Paris"\n}'


def test_an_image_that_was_kept_is_shown() -> None:
    blob = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": base64.b64encode(PNG).decode()}
    page = page_of(span(1, attributes=asked(blob)), content=True)
    assert base64.b64decode(page.one("img").attributes["src"].partition(",")[2]) == PNG
    assert "image · image/png · 96 bytes of base64" in page.text
    assert not page_of(span(1, attributes=asked(blob))).all("img")


@pytest.mark.parametrize(
    "changes",
    [
        {"mime_type": "image/svg+xml"},
        {"mime_type": 'image/png" onerror="alert(1)'},
        {"mime_type": "image/jpeg"},
        {"mime_type": None},
        {"content": '"><script>alert(1)</script>'},
        {"content": "iVBORw0KGgo=\n"},
        {"content": ["iVBORw0KGgo="]},
        {"bytes": 123456, "sha256": "ab" * 32},
    ],
)
def test_other_media_are_a_line(changes: dict[str, object]) -> None:
    blob = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": base64.b64encode(PNG).decode(), **changes}
    page = page_of(span(1, attributes=asked(blob)), content=True)
    assert not page.all("img")
    assert "image" in page.one("div", "part").text
    if "bytes" in changes:
        assert "image/png · 123,456 bytes of base64" in page.text


@pytest.mark.parametrize(
    "odd", ["not JSON", "{", "[1, null, [], {}]", '[{"role": null, "parts": 3}]', '[{"parts": [{"type": 5}]}]', "[" * 5000]
)
def test_odd_content_is_shown_as_it_is(odd: str) -> None:
    values = dict.fromkeys((names.SYSTEM_INSTRUCTIONS, names.INPUT_MESSAGES, names.OUTPUT_MESSAGES, names.TOOL_DEFINITIONS), odd)
    assert len(rows(page_of(span(1, attributes=values), content=True))) == 1
