"""Shortened content: valid, within the limit, untouched when it fits."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.export.shorten import BLOB_HEAD, BLOB_LIMIT, shorten
from tracer.export.texts import shorten_text
from tracer.export.values import json_bytes

LONG = st.tuples(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), st.integers(100, 3000))
TEXT: st.SearchStrategy[str] = st.text(st.characters(codec="utf-8"), max_size=40) | LONG.map(lambda pair: pair[0] * pair[1])
TREE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | TEXT,
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(TEXT, inner, max_size=20),
    max_leaves=60,
)


def text_message(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def size(sections: dict[str, bytes]) -> int:
    return sum(map(len, sections.values()))


@given(st.lists(TREE, max_size=10), TREE, st.integers(1, 6000))
@settings(deadline=None, max_examples=60)
def test_any_content_is_valid_and_within_the_limit(first: Any, second: Any, limit: int) -> None:
    sections = {"gen_ai.input.messages": json_bytes(first), "output.value": json_bytes(second)}
    before = dict(sections)
    result = shorten(sections, limit)
    assert size(result.sections) <= limit
    assert sections == before
    assert set(result.sections) <= set(sections)
    for data in result.sections.values():
        json.loads(data)
    if size(sections) <= limit:
        assert result.sections is sections
        assert not result.cut
    else:
        assert result.cut
        assert result.original_bytes == size(sections)
        assert result.original_sha256 == hashlib.sha256(b"".join(sections.values())).hexdigest()


@given(st.lists(TEXT, min_size=1, max_size=20), st.integers(400, 6000))
@settings(deadline=None)
def test_messages_stay_messages(texts: list[str], limit: int) -> None:
    sections = {"gen_ai.output.messages": json_bytes([{**text_message(text), "finish_reason": "stop"} for text in texts])}
    for message in json.loads(shorten(sections, limit).sections["gen_ai.output.messages"]):
        assert isinstance(message["role"], str)
        assert isinstance(message["finish_reason"], str)
        assert all(isinstance(part["type"], str) and isinstance(part["content"], str) for part in message["parts"])


def test_the_longest_text_is_cut_and_short_ones_stay_whole() -> None:
    sections = {"m": json_bytes([text_message("short"), text_message("head " + "x" * 50_000 + " tail")])}
    result = shorten(sections, 10_000)
    short, long = (message["parts"][0]["content"] for message in json.loads(result.sections["m"]))
    assert short == "short"
    assert long.startswith("head x")
    assert long.endswith("x tail")
    assert 9_000 < size(result.sections) <= 10_000
    left_out = 50_010 - len(long.replace(long[long.index(" … [") : long.index("] … ") + 4], ""))
    assert f"[{left_out} bytes left out]" in long


def test_texts_full_of_escapes_use_most_of_the_room() -> None:
    sections = {"m": json_bytes([text_message('"\n\\' * 30_000)])}
    assert 8_000 < size(shorten(sections, 10_000).sections) <= 10_000


def test_many_messages_keep_first_and_last() -> None:
    sections = {"gen_ai.input.messages": json_bytes([text_message(f"number {number}") for number in range(5_000)])}
    result = shorten(sections, 20_000)
    messages = json.loads(result.sections["gen_ai.input.messages"])
    assert messages[0] == text_message("number 0")
    assert messages[-1] == text_message("number 4999")
    (note,) = [message for message in messages if message["role"] == "tracer"]
    assert note["parts"][0]["content"] == f"… [{5_000 - (len(messages) - 1)} entries left out] …"
    assert 5_000 < size(result.sections) <= 20_000


def test_parts_of_one_message() -> None:
    message = {"role": "user", "parts": [{"type": "text", "content": str(number)} for number in range(5_000)]}
    (found,) = json.loads(shorten({"m": json_bytes([message])}, 5_000).sections["m"])
    assert found["role"] == "user"
    assert found["parts"][0] == {"type": "text", "content": "0"}
    assert all(part["type"] == "text" for part in found["parts"])


def test_wide_mappings_and_long_keys() -> None:
    for value in ({f"key {number}": number for number in range(10_000)}, {"k" * 100_000: 1}):
        result = shorten({"a": json_bytes(value)}, 3_000)
        assert isinstance(json.loads(result.sections["a"]), dict)
        assert size(result.sections) <= 3_000


def test_deep_json_and_broken_json() -> None:
    for data in (b"[" * 1000 + b"1" * 5000 + b"]" * 1000, b'{"cut": "' + b"x" * 5000):
        result = shorten({"a": data}, 1_000)
        assert result.cut
        assert size(result.sections) <= 1_000
        for found in result.sections.values():
            json.loads(found)


def test_base64_data_becomes_a_reference_even_where_there_is_room() -> None:
    content = base64.b64encode(bytes(range(256)) * 100).decode()
    image = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": content}
    small = {"type": "blob", "modality": "audio", "content": "QUJD"}
    sections = {"m": json_bytes([{"role": "user", "parts": [image, small, {"type": "text", "content": content}]}])}
    result = shorten(sections, 1_000_000)
    assert result.cut
    parts = json.loads(result.sections["m"])[0]["parts"]
    assert parts[0] == {
        "type": "blob",
        "modality": "image",
        "mime_type": "image/png",
        "content": content[:BLOB_HEAD],
        "bytes": len(content),
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
    }
    assert base64.b64decode(parts[0]["content"]) == bytes(range(256))[: BLOB_HEAD * 3 // 4]
    assert parts[1] == small
    assert parts[2]["content"] == content


def test_a_blob_up_to_the_small_size_is_kept() -> None:
    part = {"type": "blob", "modality": "image", "content": "A" * BLOB_LIMIT}
    result = shorten({"m": json_bytes([{"role": "user", "parts": [part]}])}, 1_000_000)
    assert not result.cut


def test_no_room_at_all() -> None:
    assert shorten({"a": b'"' + b"x" * 100 + b'"'}, 3).sections == {}


def test_what_fits_costs_almost_nothing() -> None:
    sections = {"m": json_bytes([text_message("x" * 100_000)])}
    began = time.perf_counter()
    for _ in range(100):
        shorten(sections, 200_000)
    assert (time.perf_counter() - began) / 100 < 0.01


def test_the_time_grows_as_the_content_does() -> None:
    def seconds(times: int) -> float:
        messages = [text_message("word " * 100_000 * times), *(text_message(str(number)) for number in range(1000 * times))]
        sections = {"m": json_bytes(messages)}
        began = time.process_time()
        assert size(shorten(sections, 10_000 * times).sections) <= 10_000 * times
        return time.process_time() - began

    assert min(seconds(16), seconds(16)) < 64 * min(seconds(1) for _ in range(5))


@given(st.text(st.characters(codec="utf-8")), st.integers(0, 200))
def test_short_texts(text: str, limit: int) -> None:
    found = shorten_text(text, limit)
    assert len(found.encode()) <= limit
    if len(text.encode()) <= limit:
        assert found == text


@pytest.mark.parametrize("text", ["x" * 1000, "é" * 1000, "😀" * 1000])
def test_texts_keep_head_and_tail(text: str) -> None:
    found = shorten_text("A" + text + "Z", 300)
    assert found[0] == "A"
    assert found[-1] == "Z"
    assert 290 <= len(found.encode()) <= 300
    head, _, rest = found.partition(" … [")
    count, _, tail = rest.partition(" bytes left out] … ")
    assert int(count) + len(head.encode()) + len(tail.encode()) == len(text.encode()) + 2
