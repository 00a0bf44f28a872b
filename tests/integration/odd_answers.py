"""Answers that no provider should give, by name: status, headers and body. Served by `OddServer` at `/<name>/v1`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support import running_server

JSON = "application/json"
EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Odd:
    """One answer."""

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])


def _chat(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    return {**whole, **changes}


def _choice(**changes: Any) -> dict[str, Any]:
    return _chat(choices=[{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}, **changes}])


def _message(**changes: Any) -> dict[str, Any]:
    return _choice(message={"role": "assistant", "content": "hello", **changes})


def _call(**changes: Any) -> dict[str, Any]:
    call = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}, **changes}
    return _message(content=None, tool_calls=[{name: value for name, value in call.items() if value != "absent"}])


def _half_gzip(body: bytes) -> bytes:
    packed = gzip.compress(body)
    return packed[: len(packed) // 2]


def _bad_gzip(body: bytes) -> bytes:
    packed = gzip.compress(body)
    return packed[:-30] + bytes(20) + packed[-10:]


def _deep(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = {"in": value}
    return value


def _body(value: Any) -> Odd:
    return Odd(json.dumps(value).encode())


_PLAIN: dict[str, Any] = {
    "choices null": _chat(choices=None),
    "choices absent": {name: value for name, value in _chat().items() if name != "choices"},
    "choices empty": _chat(choices=[]),
    "choices a text": _chat(choices="none"),
    "choices an object": _chat(choices={"0": {}}),
    "choices of numbers": _chat(choices=[1, 2]),
    "choice null": _chat(choices=[None]),
    "two thousand choices": _chat(
        choices=[{"index": i, "finish_reason": "stop", "message": {"role": "assistant", "content": str(i)}} for i in range(2000)]
    ),
    "index a text": _choice(index="0"),
    "index negative": _choice(index=-5),
    "index huge": _choice(index=10**30),
    "finish reason a number": _choice(finish_reason=7),
    "finish reason unknown": _choice(finish_reason="because"),
    "message null": _choice(message=None),
    "message a text": _choice(message="hello"),
    "message a list": _choice(message=["hello"]),
    "role unknown": _message(role="oracle"),
    "role null": _message(role=None),
    "content a number": _message(content=42),
    "content a list": _message(content=[{"type": "text", "text": "a"}, "b", 3, None]),
    "content an object": _message(content={"text": "a"}),
    "content true": _message(content=True),
    "refusal an object": _message(refusal={"why": "no"}),
    "tool calls null": _message(tool_calls=None),
    "tool calls a text": _message(tool_calls="f()"),
    "tool calls of null": _message(tool_calls=[None]),
    "tool call without function": _call(function="absent"),
    "tool call with function null": _call(function=None),
    "tool call without id": _call(id="absent"),
    "tool call of unknown type": _call(type="magic"),
    "arguments an object": _call(function={"name": "f", "arguments": {"a": 1}}),
    "arguments broken": _call(function={"name": "f", "arguments": '{"a": '}),
    "arguments a number": _call(function={"name": "f", "arguments": 5}),
    "function name null": _call(function={"name": None, "arguments": "{}"}),
    "usage null": _chat(usage=None),
    "usage a text": _chat(usage="a lot"),
    "usage a list": _chat(usage=[1, 2, 3]),
    "usage a number": _chat(usage=3),
    "tokens as texts": _chat(usage={"prompt_tokens": "12", "completion_tokens": "3", "total_tokens": "15"}),
    "tokens fractions": _chat(usage={"prompt_tokens": 1.5, "completion_tokens": 2.5, "total_tokens": 4.0}),
    "tokens negative": _chat(usage={"prompt_tokens": -1, "completion_tokens": -2, "total_tokens": -3}),
    "tokens huge": _chat(usage={"prompt_tokens": 10**25, "completion_tokens": 2**63, "total_tokens": 2**64}),
    "tokens true": _chat(usage={"prompt_tokens": True, "completion_tokens": False, "total_tokens": None}),
    "token details a text": _chat(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "prompt_tokens_details": "x"}),
    "id a number": _chat(id=5),
    "model null": _chat(model=None),
    "model a list": _chat(model=["m"]),
    "error in a 200": {"error": {"message": "not today", "type": "server_error", "code": 17}},
    "error a text in a 200": {"error": "not today"},
    "error beside choices": _chat(error={"message": "half"}),
    "lone surrogate": _message(content="a\ud800b"),
    "null characters": _message(content="a\x00b\x1fc"),
    "right-to-left and emoji": _message(content="\u202eabc 👩‍👩‍👧‍👦 \ufeff"),
    "two hundred levels": _message(content="x", extra=_deep(200)),
    "a list": [_chat()],
    "a number": 7,
    "a text": "hello",
    "null": None,
    "true": True,
    "empty object": {},
}

_RAW: dict[str, Odd] = {
    "empty": Odd(b""),
    "only spaces": Odd(b"   \n "),
    "HTML": Odd(b"<html><body>502 Bad Gateway</body></html>", "text/html"),
    "HTML called JSON": Odd(b"<html></html>"),
    "broken JSON": Odd(b'{"id": "c1", "choices": [{"index": 0,'),
    "two objects": Odd(json.dumps(_chat()).encode() + b"\n" + json.dumps(_chat()).encode()),
    "NaN": Odd(json.dumps(_chat(usage={"prompt_tokens": float("nan"), "completion_tokens": float("inf")})).encode()),
    "duplicate keys": Odd(b'{"id": "a", "id": "b", "object": "chat.completion", "created": 1, "model": "m", "choices": [], "choices": []}'),
    "byte order mark": Odd(b"\xef\xbb\xbf" + json.dumps(_chat()).encode()),
    "latin-1": Odd(json.dumps(_message(content="é"), ensure_ascii=False).encode("latin-1")),
    "UTF-16": Odd(json.dumps(_chat()).encode("utf-16")),
    "ten megabytes": Odd(json.dumps(_message(content="0123456789" * 1_000_000)).encode()),
    "gzip that is none": Odd(json.dumps(_chat()).encode(), headers={"content-encoding": "gzip"}),
    "unknown encoding": Odd(json.dumps(_chat()).encode(), headers={"content-encoding": "magic"}),
    "text/plain": Odd(json.dumps(_chat()).encode(), "text/plain"),
    "no content type": Odd(json.dumps(_chat()).encode(), ""),
    "no content": Odd(b"", status=204),
    "created": Odd(json.dumps(_chat()).encode(), status=201),
    "gzip broken part-way": Odd(_half_gzip(json.dumps(_chat()).encode()), headers={"content-encoding": "gzip"}),
    "gzip broken after a good beginning": Odd(_bad_gzip(json.dumps(_chat()).encode()), headers={"content-encoding": "gzip"}),
    "redirect in a circle": Odd(b"", status=307, headers={"location": "{self}"}),
    "redirect to an answer": Odd(b"", status=307, headers={"location": "/plain/{choices null}/v1/chat/completions"}),
    "redirect to a good answer by GET": Odd(b"", status=303, headers={"location": "/good"}),
    "redirect to nowhere": Odd(b"", status=302, headers={"location": "/nowhere"}),
    "teapot": Odd(b"short and stout", "text/plain", 418),
    "error without a body": Odd(b"", status=400),
    "error that is a list": Odd(b"[1, 2]", status=400),
    "error whose message is an object": Odd(json.dumps({"error": {"message": {"a": 1}, "code": ["x"]}}).encode(), status=422),
    "server error in HTML": Odd(b"<h1>oops</h1>", "text/html", 500),
}

PLAIN: dict[str, Odd] = {**{name: _body(value) for name, value in _PLAIN.items()}, **_RAW}


def _chunk(*choices: Any, **changes: Any) -> dict[str, Any]:
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-1", "choices": list(choices), **changes}


def _delta(text: Any = "a", **changes: Any) -> dict[str, Any]:
    return {"index": 0, "delta": {"content": text}, "finish_reason": None, **changes}


def _events(*events: Any, done: bool = True, between: bytes = b"") -> Odd:
    lines = [b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n" + between for event in events]
    return Odd(b"".join(lines) + (b"data: [DONE]\n\n" if done else b""), EVENTS)


_END = _delta(None, delta={}, finish_reason="stop")
_USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def _tool_delta(**call: Any) -> dict[str, Any]:
    return _delta(delta={"tool_calls": [call]})


STREAMS: dict[str, Odd] = {
    "delta null": _events(_chunk(_delta(delta=None)), _chunk(_END)),
    "delta a text": _events(_chunk(_delta(delta="a")), _chunk(_END)),
    "delta absent": _events(_chunk({"index": 0, "finish_reason": None}), _chunk(_END)),
    "choices null in a chunk": _events(_chunk(_delta()), {**_chunk(), "choices": None}),
    "choices absent in a chunk": _events({"id": "c1"}, _chunk(_delta())),
    "choices a text in a chunk": _events({**_chunk(), "choices": "x"}),
    "content a number in a delta": _events(_chunk(_delta(5)), _chunk(_delta([1])), _chunk(_END)),
    "tool call without index": _events(_chunk(_tool_delta(id="t", function={"name": "f", "arguments": "{}"})), _chunk(_END)),
    "tool call index a text": _events(_chunk(_tool_delta(index="0", id="t", function={"name": "f", "arguments": "{"})), _chunk(_END)),
    "tool call delta without function": _events(_chunk(_tool_delta(index=0, id="t")), _chunk(_tool_delta(index=0)), _chunk(_END)),
    "tool call arguments an object": _events(_chunk(_tool_delta(index=0, function={"name": "f", "arguments": {"a": 1}})), _chunk(_END)),
    "tool calls null in a delta": _events(_chunk(_delta(delta={"tool_calls": None, "content": None})), _chunk(_END)),
    "usage in every chunk": _events(*[_chunk(_delta(), usage=_USAGE)] * 3, _chunk(_END, usage=_USAGE)),
    "usage a text in a chunk": _events(_chunk(_delta(), usage="x"), _chunk(_END)),
    "chunks after finish": _events(_chunk(_delta()), _chunk(_END), _chunk(_delta("more"))),
    "finish twice": _events(_chunk(_END), _chunk(_END)),
    "index negative in a stream": _events(_chunk(_delta(index=-1)), _chunk(_END)),
    "index a text in a stream": _events(_chunk(_delta(index="0")), _chunk(_END)),
    "a thousand choices": _events(_chunk(*[_delta(index=i) for i in range(1000)]), _chunk(*[{**_END, "index": i} for i in range(1000)])),
    "no DONE": _events(_chunk(_delta()), _chunk(_END), done=False),
    "only DONE": _events(),
    "nothing": Odd(b"", EVENTS),
    "events after DONE": _events(_chunk(_delta()), b"[DONE]", _chunk(_delta("late"))),
    "broken event": _events(_chunk(_delta()), b'{"id": "c1", "choi', _chunk(_END)),
    "event a number": _events(5, _chunk(_END)),
    "event a list": _events([1], _chunk(_END)),
    "event null": _events(None, _chunk(_END)),
    "event empty": _events(b"", _chunk(_END)),
    "comments between": _events(_chunk(_delta()), _chunk(_END), between=b": keep-alive\n\n"),
    "events with names": Odd(b"event: message\ndata: " + json.dumps(_chunk(_delta())).encode() + b"\n\ndata: [DONE]\n\n", EVENTS),
    "event called error": Odd(b'event: error\ndata: {"message": "boom"}\n\n', EVENTS),
    "error object in a stream": _events(_chunk(_delta()), {"error": {"message": "boom", "code": 500}}, _chunk(_END)),
    "error a text in a stream": _events(_chunk(_delta()), {"error": "boom"}),
    "ids and retries": Odd(b"id: 7\nretry: 10\ndata: " + json.dumps(_chunk(_delta())).encode() + b"\n\n", EVENTS),
    "data in two lines": Odd(b'data: {"id": "c1",\ndata: "choices": []}\n\ndata: [DONE]\n\n', EVENTS),
    "carriage returns": Odd(b"data: " + json.dumps(_chunk(_delta())).encode() + b"\r\rdata: [DONE]\r\r", EVENTS),
    "no end of the last event": Odd(b"data: " + json.dumps(_chunk(_delta())).encode(), EVENTS),
    "half a character": Odd(b'data: {"id": "\xc3', EVENTS),
    "lone surrogate in a stream": _events(_chunk(_delta("a\ud83d")), _chunk(_delta("\ude00b")), _chunk(_END)),
    "NaN in a stream": _events(_chunk(_delta(), extra=float("nan")), _chunk(_END)),
    "deep event": _events(_chunk(_delta(), extra=_deep(200)), _chunk(_END)),
    "JSON where a stream was asked for": _body(_chat()),
    "JSON called a stream": Odd(json.dumps(_chat()).encode(), EVENTS),
    "HTML where a stream was asked for": Odd(b"<html>", "text/html"),
    "a stream called JSON": Odd(_events(_chunk(_delta()), _chunk(_END)).body, JSON),
    "gzip that is none in a stream": Odd(_events(_chunk(_delta())).body, EVENTS, headers={"content-encoding": "gzip"}),
    "gzip broken part-way in a stream": Odd(
        _half_gzip(_events(*[_chunk(_delta(f"{i}")) for i in range(50)]).body), EVENTS, headers={"content-encoding": "gzip"}
    ),
    "redirected stream": Odd(b"", status=307, headers={"location": "/stream/{usage in every chunk}/v1/chat/completions"}),
    "redirected stream in a circle": Odd(b"", status=308, headers={"location": "{self}"}),
    "refused stream": Odd(b'{"error": {"message": "no"}}', status=400),
}

RESPONSES: dict[str, Odd] = {
    "output null": _body({"id": "r1", "object": "response", "output": None, "status": "completed"}),
    "output a text": _body({"id": "r1", "object": "response", "output": "hi"}),
    "output of nulls": _body({"id": "r1", "object": "response", "output": [None]}),
    "output item unknown": _body({"id": "r1", "object": "response", "output": [{"type": "magic", "spell": 1}]}),
    "content null": _body({"id": "r1", "object": "response", "output": [{"type": "message", "content": None}]}),
    "response usage a text": _body({"id": "r1", "object": "response", "output": [], "usage": "x"}),
    "status a number": _body({"id": "r1", "object": "response", "output": [], "status": 5}),
    "failed without an error": _body({"id": "r1", "object": "response", "output": [], "status": "failed", "error": None}),
    "arguments an object in a response": _body(
        {"id": "r1", "object": "response", "output": [{"type": "function_call", "name": "f", "arguments": {"a": 1}}]}
    ),
    "empty response": Odd(b""),
    "response a list": _body([]),
}


def _response(**changes: Any) -> dict[str, Any]:
    return {"id": "r1", "object": "response", "created_at": 1, "model": "m-1", "output": [], "status": "in_progress", **changes}


def _named(*events: Any, done: bytes = b"") -> Odd:
    """Events as of the Responses API and of Anthropic's: each has its type as its name too."""
    lines: list[bytes] = []
    for event in events:
        name = event.get("type", "?") if isinstance(event, dict) else "?"  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        lines.append(f"event: {name}\ndata: ".encode() + data + b"\n\n")
    return Odd(b"".join(lines) + done, EVENTS)


_CREATED = {"type": "response.created", "response": _response(), "sequence_number": 0}
_TEXT = {"type": "response.output_text.delta", "item_id": "i1", "output_index": 0, "content_index": 0, "delta": "a", "sequence_number": 1}
_COMPLETED = {"type": "response.completed", "response": _response(status="completed"), "sequence_number": 2}

RESPONSE_STREAMS: dict[str, Odd] = {
    "without an end": _named(_CREATED, _TEXT),
    "without a beginning": _named(_TEXT, _COMPLETED),
    "nothing at all": Odd(b"", EVENTS),
    "only an end": _named(_COMPLETED),
    "completed twice": _named(_CREATED, _COMPLETED, _COMPLETED),
    "text after completed": _named(_CREATED, _COMPLETED, _TEXT),
    "response null": _named({**_CREATED, "response": None}, {**_COMPLETED, "response": None}),
    "response a text": _named({**_COMPLETED, "response": "done"}),
    "response absent": _named({"type": "response.completed"}),
    "output null in completed": _named(_CREATED, {**_COMPLETED, "response": _response(status="completed", output=None)}),
    "output of numbers in completed": _named(_CREATED, {**_COMPLETED, "response": _response(output=[1, None])}),
    "usage a list in completed": _named(_CREATED, {**_COMPLETED, "response": _response(usage=[1])}),
    "tokens as texts in completed": _named(
        _CREATED, {**_COMPLETED, "response": _response(usage={"input_tokens": "1", "output_tokens": "2"})}
    ),
    "delta a number": _named(_CREATED, {**_TEXT, "delta": 5}, _COMPLETED),
    "delta null": _named(_CREATED, {**_TEXT, "delta": None}, _COMPLETED),
    "index a text": _named(_CREATED, {**_TEXT, "output_index": "0"}, _COMPLETED),
    "index huge": _named(_CREATED, {**_TEXT, "output_index": 10**20}, _COMPLETED),
    "type unknown": _named(_CREATED, {"type": "response.magic", "spell": 1}, _COMPLETED),
    "type a number": _named({"type": 5}, _COMPLETED),
    "type absent": _named({"delta": "a"}, _COMPLETED),
    "item null": _named(_CREATED, {"type": "response.output_item.done", "output_index": 0, "item": None}, _COMPLETED),
    "failed": _named(_CREATED, {"type": "response.failed", "response": _response(status="failed", error={"code": "x", "message": "no"})}),
    "failed with an error that is a text": _named({"type": "response.failed", "response": _response(status="failed", error="no")}),
    "incomplete without a reason": _named({"type": "response.incomplete", "response": _response(incomplete_details=None)}),
    "error event": _named(_CREATED, {"type": "error", "code": "c", "message": "boom", "param": None}),
    "error event without anything": _named(_CREATED, {"type": "error"}),
    "broken event of a response": _named(_CREATED, b'{"type": "resp', _COMPLETED),
    "event a list of a response": _named([1], _COMPLETED),
    "DONE at the end": _named(_CREATED, _COMPLETED, done=b"data: [DONE]\n\n"),
    "JSON where events were asked for": _body(_response(status="completed")),
}


def _message_of(**changes: Any) -> dict[str, Any]:
    return {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 2},
        **changes,
    }


_ANTHROPIC: dict[str, Any] = {
    "content null": _message_of(content=None),
    "content a text": _message_of(content="hello"),
    "content of texts": _message_of(content=["hello", None, 5]),
    "content empty": _message_of(content=[]),
    "block without a type": _message_of(content=[{"text": "a"}]),
    "block unknown": _message_of(content=[{"type": "magic", "spell": 1}]),
    "text null": _message_of(content=[{"type": "text", "text": None}]),
    "tool input a text": _message_of(content=[{"type": "tool_use", "id": "t", "name": "f", "input": "{}"}]),
    "tool without anything": _message_of(content=[{"type": "tool_use"}]),
    "thinking a number": _message_of(content=[{"type": "thinking", "thinking": 5, "signature": None}]),
    "citations a text": _message_of(content=[{"type": "text", "text": "a", "citations": "b"}]),
    "stop reason unknown": _message_of(stop_reason="because"),
    "stop reason a number": _message_of(stop_reason=5),
    "usage null": _message_of(usage=None),
    "usage a text": _message_of(usage="a lot"),
    "tokens as texts": _message_of(usage={"input_tokens": "1", "output_tokens": "2", "cache_read_input_tokens": "3"}),
    "tokens negative": _message_of(usage={"input_tokens": -1, "output_tokens": -2}),
    "cache creation a list": _message_of(usage={"input_tokens": 1, "output_tokens": 2, "cache_creation": [1]}),
    "role null": _message_of(role=None),
    "model a list": _message_of(model=["m"]),
    "id a number": _message_of(id=5),
    "error in a 200": {"type": "error", "error": {"type": "overloaded_error", "message": "no"}},
    "error a text": {"type": "error", "error": "no"},
    "a list": [1],
    "null": None,
    "two hundred levels": _message_of(extra=_deep(200)),
    "lone surrogate": _message_of(content=[{"type": "text", "text": "a\ud800b"}]),
}

ANTHROPIC: dict[str, Odd] = {
    **{name: _body(value) for name, value in _ANTHROPIC.items()},
    "empty": Odd(b""),
    "HTML": Odd(b"<html></html>", "text/html"),
    "broken JSON": Odd(b'{"id": "m1", "content": ['),
    "overloaded": Odd(b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', status=529),
    "error that is a list": Odd(b"[1]", status=400),
    "gzip broken part-way": Odd(_half_gzip(json.dumps(_message_of()).encode()), headers={"content-encoding": "gzip"}),
    "redirect in a circle": Odd(b"", status=307, headers={"location": "{self}"}),
}

_MESSAGE_START = {"type": "message_start", "message": _message_of(content=[], stop_reason=None)}
_BLOCK_START = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
_BLOCK_DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}
_BLOCK_STOP = {"type": "content_block_stop", "index": 0}
_MESSAGE_DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 5}}
_MESSAGE_STOP = {"type": "message_stop"}
_WHOLE = (_MESSAGE_START, _BLOCK_START, _BLOCK_DELTA, _BLOCK_STOP, _MESSAGE_DELTA, _MESSAGE_STOP)

ANTHROPIC_STREAMS: dict[str, Odd] = {
    "whole": _named(*_WHOLE),
    "without a start": _named(*_WHOLE[1:]),
    "without a stop": _named(*_WHOLE[:-1]),
    "nothing at all": Odd(b"", EVENTS),
    "only a stop": _named(_MESSAGE_STOP),
    "started twice": _named(_MESSAGE_START, *_WHOLE),
    "events after the stop": _named(*_WHOLE, _BLOCK_DELTA),
    "block not started": _named(_MESSAGE_START, _BLOCK_DELTA, _MESSAGE_DELTA, _MESSAGE_STOP),
    "message null": _named({"type": "message_start", "message": None}, *_WHOLE[1:]),
    "message a text": _named({"type": "message_start", "message": "m"}, *_WHOLE[1:]),
    "delta null": _named(_MESSAGE_START, _BLOCK_START, {**_BLOCK_DELTA, "delta": None}, *_WHOLE[3:]),
    "delta of unknown type": _named(_MESSAGE_START, _BLOCK_START, {**_BLOCK_DELTA, "delta": {"type": "magic"}}, *_WHOLE[3:]),
    "text a number": _named(_MESSAGE_START, _BLOCK_START, {**_BLOCK_DELTA, "delta": {"type": "text_delta", "text": 5}}, *_WHOLE[3:]),
    "index a text": _named(_MESSAGE_START, {**_BLOCK_START, "index": "0"}, {**_BLOCK_DELTA, "index": "0"}, *_WHOLE[3:]),
    "index absent": _named(_MESSAGE_START, {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}, *_WHOLE[4:]),
    "index huge": _named(_MESSAGE_START, {**_BLOCK_START, "index": 10**20}, *_WHOLE[4:]),
    "block null": _named(_MESSAGE_START, {**_BLOCK_START, "content_block": None}, *_WHOLE[2:]),
    "tool input broken": _named(
        _MESSAGE_START,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}},
        {**_BLOCK_DELTA, "delta": {"type": "input_json_delta", "partial_json": '{"a": '}},
        *_WHOLE[3:],
    ),
    "usage a text in the delta": _named(*_WHOLE[:4], {**_MESSAGE_DELTA, "usage": "x"}, _MESSAGE_STOP),
    "tokens as texts in the delta": _named(*_WHOLE[:4], {**_MESSAGE_DELTA, "usage": {"output_tokens": "5"}}, _MESSAGE_STOP),
    "overloaded in the middle": _named(*_WHOLE[:3], {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    "error a text in the middle": _named(*_WHOLE[:3], {"type": "error", "error": "no"}),
    "event unknown": _named({"type": "magic"}, *_WHOLE),
    "type and name differ": Odd(b"event: ping\ndata: " + json.dumps(_BLOCK_DELTA).encode() + b"\n\n", EVENTS),
    "no names": Odd(b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in _WHOLE), EVENTS),
    "broken event of a message": _named(*_WHOLE[:2], b'{"type": "content_', *_WHOLE[3:]),
    "JSON where events were asked for": _body(_message_of()),
    "gzip broken part-way": Odd(_half_gzip(_named(*_WHOLE * 5).body), EVENTS, headers={"content-encoding": "gzip"}),
    "refused stream": Odd(b'{"type":"error","error":{"type":"invalid_request_error","message":"no"}}', status=400),
}


@dataclass(slots=True)
class OddServer:
    """The address, and the number of requests."""

    url: str
    requests: list[bytes]

    def base_url(self, kind: str, name: str) -> str:
        """For a client that is to get this answer."""
        return f"{self.url}/{kind}/{_number(kind, name)}/v1"


TABLES = {
    "plain": PLAIN,
    "stream": STREAMS,
    "responses": RESPONSES,
    "responses-stream": RESPONSE_STREAMS,
    "anthropic": ANTHROPIC,
    "anthropic-stream": ANTHROPIC_STREAMS,
}


def _number(kind: str, name: str) -> int:
    return list(TABLES[kind]).index(name)


def _location(target: str, path: str) -> str:
    """Where an answer sends its client: `{self}` is where it came from, another name in braces that answer's number."""
    if target == "{self}":
        return path
    before, brace, rest = target.partition("{")
    name, _, after = rest.partition("}")
    return f"{before}{_number(before.strip('/'), name)}{after}" if brace else target


@contextmanager
def odd_server() -> Generator[OddServer, None, None]:
    """Serve all of them."""
    requests: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            pass

        def do_GET(self) -> None:
            found = self.path == "/good"
            self._answer(_body(_chat()) if found else Odd(b'{"error": {"message": "not found"}}', status=404))

        def do_POST(self) -> None:
            requests.append(self.rfile.read(int(self.headers["content-length"])))
            _, kind, number, *_ = self.path.split("/")
            self._answer(list(TABLES[kind].values())[int(number)])

        def _answer(self, odd: Odd) -> None:
            self.send_response(odd.status)
            if odd.content_type:
                self.send_header("content-type", odd.content_type)
            for name, value in odd.headers.items():
                self.send_header(name, _location(value, self.path) if name == "location" else value)
            if odd.status != 204:
                self.send_header("content-length", str(len(odd.body)))
            self.end_headers()
            if odd.status != 204:
                self.wfile.write(odd.body)

    with running_server(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        yield OddServer(address, requests)
