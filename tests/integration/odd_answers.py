"""Answers that no provider should give, by name: status, headers and body. Served by `OddServer` at `/<name>/v1`."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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


@dataclass(slots=True)
class OddServer:
    """The address, and the number of requests."""

    url: str
    requests: list[bytes]

    def base_url(self, kind: str, name: str) -> str:
        """For a client that is to get this answer."""
        return f"{self.url}/{kind}/{list(TABLES[kind]).index(name)}/v1"


TABLES = {"plain": PLAIN, "stream": STREAMS, "responses": RESPONSES}


@contextmanager
def odd_server() -> Generator[OddServer, None, None]:
    """Serve all of them."""
    requests: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            pass

        def do_GET(self) -> None:
            self._answer(Odd(b'{"error": {"message": "not found"}}', status=404))

        def do_POST(self) -> None:
            requests.append(self.rfile.read(int(self.headers["content-length"])))
            _, kind, number, *_ = self.path.split("/")
            self._answer(list(TABLES[kind].values())[int(number)])

        def _answer(self, odd: Odd) -> None:
            self.send_response(odd.status)
            if odd.content_type:
                self.send_header("content-type", odd.content_type)
            for name, value in odd.headers.items():
                self.send_header(name, value)
            if odd.status != 204:
                self.send_header("content-length", str(len(odd.body)))
            self.end_headers()
            if odd.status != 204:
                self.wfile.write(odd.body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield OddServer(f"http://127.0.0.1:{server.server_port}", requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
