"""Masking: what the patterns find and leave, every copy of a text, functions that fail or hang, and every destination."""

from __future__ import annotations

import base64
import json
import logging
import random
import sqlite3
import threading
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracer
from tests.support import PATIENCE, collecting
from tracer.call import Attempt, Call, Failure
from tracer.export.spans import spans_of
from tracer.masking.masker import FAILED, TOO_SLOW, Masker
from tracer.masking.patterns import PATTERNS, SECRETS, Pattern
from tracer.reading import read_call
from tracer.reading.record import Record
from tracer.runtime import Runtime
from tracer.settings import Settings

KEY = "sk-" + "proj-abcdefghijkl0123456789"
FOUND = {
    "api_keys": (
        KEY,
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a1" * 18,
        "xoxb-" + "123456789012-abc",
        "AIza" + "b" * 35,
        "sk_live_" + "0123456789ab",
        "lsv2_pt_" + "0" * 32 + "_1234567890",
        "hf_" + "A" * 34,
    ),
    "bearer": ("Bearer abcdefghijklmnop1234", "bearer  AbCd.efgh-ijkl_mnop"),
    "jwt": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",),
    "private_keys": (
        "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nno end at all",
    ),
    "cards": ("4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009"),
    "emails": ("jane.doe+x@example.co.uk",),
}
LEFT = {
    "api_keys": ("task-force-of-the-united-nations", "sk-short", "disk-abcdefghijklmnopqrstuvw", "ghp_short"),
    "bearer": ("the bearer of this letter", "Bearer of good news"),
    "jwt": ("eyJhbGciOiJIUzI1NiJ9", "eyJ.eyJ.x"),
    "private_keys": ("-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----", "a PRIVATE KEY is secret"),
    "cards": ("4111 1111 1111 1112", "1234567890123", "1732542145123456789012", "0000 0000 0000 0000"),
    "emails": ("@everyone", "a @ b", "user@localhost"),
}


def chat_record(prompt: str, answer: str = "fine", **fields: Any) -> Record:
    request = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}]})
    body = orjson.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}]})
    attempt = Attempt(0, status=200, request_body=request, response_body=body)
    return read_call(Call(1, 1, 1, kind="llm", operation="chat", ending="completed", attempts=[attempt], **fields))


def texts_of(record: Record) -> str:
    """Everything that a destination could write."""
    return f"{spans_of(record, Settings())}{record.generation}{record.call.metadata}{record.call.input_json}{record.call.failure}"


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in FOUND.items() for text in texts])
def test_what_is_found(name: str, text: str) -> None:
    result = PATTERNS[name].mask(f"before {text} after")
    assert result.startswith(("before [", "before Bearer ["))
    assert text not in result
    assert name == "private_keys" or result.endswith("] after")


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in LEFT.items() for text in texts])
def test_what_is_left(name: str, text: str) -> None:
    assert PATTERNS[name].mask(text) == text


@given(st.text(), st.sampled_from(sorted(FOUND)), st.text())
def test_a_secret_is_found_inside_of_anything_and_masking_twice_is_masking_once(before: str, name: str, after: str) -> None:
    pattern = PATTERNS[name]
    text = f"{before}: {FOUND[name][0]}; {after}"
    once = pattern.mask(text)
    assert FOUND[name][0] not in once
    assert pattern.mask(once) == once


def test_each_pattern_can_be_switched_and_secrets_are_the_default() -> None:
    prompt = " ".join(texts[0] for texts in FOUND.values())
    for name, texts in FOUND.items():
        record = chat_record(prompt)
        Masker([name], 1).mask(record)
        assert texts[0] not in texts_of(record)
        others = [other[0] for key, other in FOUND.items() if key != name]
        assert all(orjson.dumps(other)[1:-1].decode() in texts_of(record) or other in repr(texts_of(record)) for other in others[:1])
    record = chat_record(prompt)
    Masker(Settings().mask, 1).mask(record)
    assert [name for name in FOUND if FOUND[name][0].partition("\n")[0] not in texts_of(record)] == [
        name for name in FOUND if name in SECRETS
    ]


FILE = base64.b64encode(random.Random(1).randbytes(300_000)).decode()
"""With the marks of keys in it, as any large file has them by chance."""

NEAR_A_FILE = {
    "before": (KEY + " " + FILE, "[API key] " + FILE),
    "behind": (FILE + " " + KEY, FILE + " [API key]"),
    "joined": (FILE + "." + KEY, FILE + ".[API key]"),
    "lines": ("\n".join([*["word"] * 1500, "AKIA" + "ABCDEFGHIJKLMNOP"]), "\n".join([*["word"] * 1500, "[API key]"])),
    "header": ("data:text/plain;key=" + KEY + ";base64," + FILE, "data:text/plain;key=[API key];base64," + FILE),
    "token": ("Bearer " + FILE, "Bearer [token]"),
}


@pytest.mark.parametrize("text", [FILE, "data:image/png;base64," + FILE])
def test_a_file_is_left_and_not_searched(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert any(hint in FILE for hint in (*PATTERNS["api_keys"].hints, *PATTERNS["jwt"].hints))
    record = chat_record(text)
    searched: list[str] = []

    def search(_pattern: Pattern, text: str) -> str:
        searched.append(text)
        return text

    monkeypatch.setattr(Pattern, "mask", search)
    Masker(("secrets", "emails"), 1).mask(record)
    assert searched == []
    assert record.generation is not None
    assert record.generation.input_messages[0].parts[0]["content"] == text


@pytest.mark.parametrize(("text", "shown"), NEAR_A_FILE.values(), ids=NEAR_A_FILE)
def test_what_is_near_a_file_is_masked(text: str, shown: str) -> None:
    record = chat_record(text)
    Masker(("secrets",), 1).mask(record)
    assert record.generation is not None
    assert record.generation.input_messages[0].parts[0]["content"] == shown


BLANKS = (" ", "   ", "\n", "\r\n\t", "\u00a0", "\u2003 ", " " * 100, " \n" * 50, "\n" * 200, " \u00a0" * 70)
FILLERS = ("", "prose " * 5000, "a_word_of_many_letters " * 500, "中文 " * 3000)


@pytest.mark.parametrize("filler", FILLERS, ids=["alone", "prose", "long words", "not ASCII"])
@pytest.mark.parametrize("blanks", BLANKS, ids=ascii)
def test_a_token_is_found_behind_any_blanks(blanks: str, filler: str) -> None:
    """The hint and the token may be far from each other, and escaped in JSON."""
    for ascii_only in (False, True):
        record = chat_record("x")
        text = f"{filler}Bearer{blanks}abcdefghijklmnop1234"
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}, ensure_ascii=ascii_only).encode()
        record = read_call(replace(record.call, attempts=[replace(record.call.attempts[0], request_body=body)]))
        Masker(("secrets",), 1).mask(record)
        assert record.generation is not None
        assert record.generation.input_messages[0].parts[0]["content"] == filler + "Bearer [token]"


def test_a_long_text_without_secrets_is_searched_where_they_could_be_only(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "The bearer of this letter is known to me. " * 1000 + "responsibilities " * 10
    monkeypatch.setattr(Pattern, "mask", lambda _pattern, _text: pytest.fail("nothing to look for"))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    Masker(("secrets",), 1).mask(chat_record(text))


def test_functions_are_asked_about_files_too() -> None:
    record = chat_record(FILE)
    Masker(("secrets", f"{__name__}:shout"), 1).mask(record)
    assert record.generation is not None
    assert record.generation.input_messages[0].parts[0]["content"] == shout(FILE)


def failure_with(text: str) -> Failure:
    try:
        raise ValueError(text)
    except ValueError as error:
        return Failure("ValueError", text, trace=traceback.TracebackException.from_exception(error))


def test_every_copy_is_masked() -> None:
    record = chat_record(
        f"my key is {KEY}",
        f"yours is {KEY}",
        metadata={"nested": [{"deep": KEY}]},
        tags=(KEY,),
        session=KEY,
        user=KEY,
        attributes={"own": KEY},
        input_json=orjson.dumps({"a": KEY}),
        output_json=orjson.dumps(KEY),
        failure=failure_with(f"Incorrect API key provided: {KEY}"),
    )
    record.call.attempts[0].failure = failure_with(KEY)
    record.outcome = "failed"
    Masker(["secrets"], 1).mask(record)
    assert record.generation is not None
    assert record.generation.request is not None
    assert record.generation.answer is not None
    assert record.generation.request["messages"] == [{"role": "user", "content": "my key is [API key]"}]
    assert KEY not in texts_of(record)
    assert "[API key]" in str(record.call.metadata)
    assert record.call.input_json == b'{"a":"[API key]"}'
    (span,) = spans_of(record, Settings())
    (event,) = span.events
    assert "Incorrect API key provided: [API key]" in str(event.attributes["exception.stacktrace"])


def test_the_callers_own_objects_are_not_touched() -> None:
    metadata: dict[str, object] = {"key": [KEY]}
    record = chat_record("x", metadata=metadata)
    Masker(["secrets"], 1).mask(record)
    assert metadata == {"key": [KEY]}


def test_a_secret_over_several_pieces_of_a_stream_is_found() -> None:
    pieces = [
        b'data: {"choices":[{"index":0,"delta":{"content":' + orjson.dumps(piece) + b"}}]}\n\n" for piece in (KEY[:2], KEY[2:7], KEY[7:])
    ]
    attempt = Attempt(0, status=200, pieces=[*pieces, b"data: [DONE]\n\n"], content_type="text/event-stream")
    record = read_call(Call(1, 1, 1, kind="llm", operation="chat", streaming=True, ending="completed", attempts=[attempt]))
    assert KEY in texts_of(record)
    Masker(["secrets"], 1).mask(record)
    assert KEY not in texts_of(record)


# Functions.


def shout(text: str) -> str:
    return text.upper()


def fail(text: str) -> str:
    raise RuntimeError(text)


def number(text: str) -> str:
    return len(text)  # type: ignore[return-value]


hold = threading.Event()


def hang(text: str) -> str:
    hold.wait(PATIENCE)
    return text


HERE = __name__


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "masks_of_the_test", sys.modules[HERE])


def test_a_function_comes_after_the_patterns_and_leaves_the_protocol_alone() -> None:
    record = chat_record(f"hello {KEY}")
    Masker(["secrets", "masks_of_the_test:shout"], PATIENCE).mask(record)
    assert record.generation is not None
    (message,) = record.generation.input_messages
    assert (message.role, message.parts) == ("user", [{"type": "text", "content": "HELLO [API KEY]"}])
    assert record.withheld == ""


@pytest.mark.parametrize("function", ["fail", "number", "missing", "hang"])
def test_a_function_that_fails_costs_the_content_and_not_the_record(function: str, caplog: pytest.LogCaptureFixture) -> None:
    hold.clear()
    masker = Masker([f"masks_of_the_test:{function}"], 0.1 if function == "hang" else PATIENCE)
    try:
        for _ in range(2):
            record = chat_record("private", "secret", metadata={"a": "private"}, failure=failure_with("private"), user="private")
            record.outcome = "failed"
            masker.mask(record)
            shown = texts_of(record)
            assert "private" not in shown.partition("request_model")[0].replace("exception.stacktrace", "")
            assert "secret" not in shown
            assert record.withheld == (TOO_SLOW if function == "hang" else FAILED)
            (span, *_) = spans_of(record, Settings())
            assert span.attributes["tracer.content.withheld"] == record.withheld
            assert span.attributes["error.type"] == "ValueError"
    finally:
        hold.set()
    (line,) = caplog.records
    assert line.levelno == logging.WARNING
    assert "Check TRACER_MASK" in line.getMessage()
    assert "private" not in caplog.text


def test_a_function_that_hung_once_is_used_again_when_it_is_back() -> None:
    hold.clear()
    masker = Masker(["masks_of_the_test:hang"], 0.05)
    record = chat_record("a")
    masker.mask(record)
    assert record.withheld == TOO_SLOW
    hold.set()

    def masked_again() -> bool:
        again = chat_record("b")
        masker.mask(again)
        return not again.withheld

    from tests.support import wait_until

    wait_until(masked_again)


def test_a_running_call_is_announced_masked_and_stays_as_it_is() -> None:
    call = Call(1, 1, 1, input_json=orjson.dumps(KEY), metadata={"a": KEY})
    shown = Masker(["secrets"], 1).preview(call)
    assert (shown.input_json, shown.metadata) == (b'"[API key]"', {"a": "[API key]"})
    assert (call.input_json, call.metadata, call.masked) == (orjson.dumps(KEY), {"a": KEY}, False)


# Destinations.


def test_store_console_otlp_and_spool_get_the_same(fresh_runtime: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, spool = tmp_path / "traces.sqlite", tmp_path / "spool"
    with collecting() as collector:
        collector.close_door()
        tracer.configure(local=str(store), console=True, otlp_endpoint=collector.url, spool=str(spool), quiet=True, exit_timeout=5)
        with tracer.trace("a", inputs={"key": KEY}, metadata={"key": KEY}) as run:
            run.set_output({"key": KEY})
        with pytest.raises(ValueError, match="sk-"), tracer.trace("b"):
            raise ValueError(KEY)
        assert not tracer.flush(1)
        on_disk = b"".join(path.read_bytes() for path in spool.iterdir())
        collector.open_door()
        assert tracer.flush(PATIENCE)
        sent = b"".join(collector.bodies)
        tracer.shutdown(5)
    connection = sqlite3.connect(store)
    stored = str(connection.execute("SELECT * FROM spans").fetchall())
    connection.close()
    printed = capsys.readouterr().err
    for data in (on_disk.decode("utf-8", "replace"), sent.decode("utf-8", "replace"), stored, printed):
        assert KEY not in data
        assert "[API key]" in data


def test_withheld_content_is_counted(fresh_runtime: Runtime, tmp_path: Path) -> None:
    tracer.configure(local=str(tmp_path / "traces.sqlite"), mask="masks_of_the_test:fail", quiet=True)
    with tracer.trace("a", inputs={"a": "b"}):
        pass
    assert tracer.flush(PATIENCE)
    account = tracer.status()["destinations"]["local"]
    assert (account["exported"], account["shortened"]) == (1, {FAILED: 1})
    tracer.shutdown(5)
