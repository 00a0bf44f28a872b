"""A small OpenAI server on loopback with a scripted model, for the tests of the chat model.

The model answers from the request alone: the JSON that a schema asks for, a call of the tool that is offered, or a sentence. Words in
the last message steer it: `FAIL <status>` is answered with that status, `CUT` breaks a stream off in the middle.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

JsonObject = dict[str, Any]

NUMBERS = itertools.count(1)
ANSWER = "The purpose of model regularization is to keep a model from fitting noise."


class Loopback:
    """The server: `requests` are the bodies it got, `base_url` is for a client.

    `gate` holds each piece of a stream back when set, `hold` whole answers.
    """

    def __init__(self) -> None:
        self.requests: list[JsonObject] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.gate: threading.Semaphore | None = None
        self.hold: threading.Event | None = None
        self.sent = 0
        self.broken = threading.Event()
        loopback = self

        class Handler(_Handler):
            server_state = loopback

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_state: Loopback

    def log_message(self, *args: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        pass

    def do_POST(self) -> None:
        body: JsonObject = json.loads(self.rfile.read(int(self.headers["content-length"])))
        state = self.server_state
        state.requests.append(body)
        state.paths.append(self.path)
        state.headers.append({name.lower(): value for name, value in self.headers.items()})
        if state.hold is not None:
            state.hold.wait(10)
            self.close_connection = True
            return
        failure = re.search(r"FAIL (\d+)", last_text(body))
        if failure:
            status = int(failure[1])
            self._send_json(status, {"error": {"message": f"failed with {status}", "type": "scripted", "code": "scripted", "param": None}})
        elif body.get("stream"):
            self._send_stream(body)
        else:
            self._send_json(200, completion(body))

    def _send_json(self, status: int, data: JsonObject) -> None:
        payload = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _send_stream(self, body: JsonObject) -> None:
        state = self.server_state
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        events = [json.dumps(chunk) for chunk in chunks(body)] + ["[DONE]"]
        if "CUT" in last_text(body):
            events = events[:3]
        try:
            for event in events:
                if state.gate is not None and not state.gate.acquire(timeout=10):
                    break
                self.wfile.write(f"data: {event}\n\n".encode())
                self.wfile.flush()
                state.sent += 1
        except OSError:
            state.broken.set()


def last_text(body: JsonObject) -> str:
    """The text of the last message."""
    return text_of(body["messages"][-1].get("content"))


def text_of(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in cast("list[JsonObject]", content))
    return content or ""


def completion(body: JsonObject) -> JsonObject:
    """The whole answer, with as many choices as were asked for."""
    message, finish = reply(body)
    choices = [
        {"index": index, "message": {"role": "assistant", "refusal": None, **message}, "logprobs": None, "finish_reason": finish}
        for index in range(body.get("n") or 1)
    ]
    return {
        "id": f"chatcmpl-{next(NUMBERS)}",
        "object": "chat.completion",
        "created": 1700000000,
        "model": f"{body['model']}-2024-07-18",
        "choices": choices,
        "usage": usage(body, message),
        "system_fingerprint": "fp_scripted",
        "service_tier": "default",
    }


def usage(body: JsonObject, message: JsonObject) -> JsonObject:
    """Token counts: one for each word."""
    asked = sum(len(text_of(item.get("content")).split()) for item in body["messages"]) or 1
    answered = len((message.get("content") or "call").split()) or 1
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
        "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 0},
    }


def reply(body: JsonObject) -> tuple[JsonObject, str]:
    """What the scripted model says: the message and its finish reason."""
    form: JsonObject = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        schema: JsonObject = form["json_schema"].get("schema") or {}
        return {"content": json.dumps(instance(schema, schema, last_text(body)))}, "stop"
    if form.get("type") == "json_object":
        return {"content": json.dumps({"setup": "Why did the cat cross the road?", "punchline": "To get to the other side."})}, "stop"
    called = tool_calls(body)
    if called:
        return {"content": None, "tool_calls": called}, "tool_calls"
    said = re.search(r"Say: (.*)", last_text(body))
    text = said[1] if said else ANSWER
    stops: str | list[str] = body.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop)[0]
    return {"content": text}, "stop"


def tool_calls(body: JsonObject) -> list[JsonObject]:
    offered: list[JsonObject] = body.get("tools") or []
    tools: list[JsonObject] = [tool["function"] for tool in offered if tool.get("type") == "function"]
    choice: Any = body.get("tool_choice")
    answered = body["messages"][-1]["role"] == "tool"
    if not tools or choice == "none" or (answered and choice in (None, "auto")):
        return []
    wanted: str = tools[0]["name"] if isinstance(choice, str | None) else choice["function"]["name"]
    tool = next(item for item in tools if item["name"] == wanted)
    schema: JsonObject = tool.get("parameters") or {}
    arguments = json.dumps(instance(schema, schema, last_text(body)), ensure_ascii=False)
    return [{"id": "call_1", "type": "function", "function": {"name": wanted, "arguments": arguments}}]


def instance(schema: JsonObject, root: JsonObject, prompt: str) -> Any:
    """Some value of a JSON schema; numbers and quoted texts are taken from the prompt."""
    if "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].split("/")[1:]:
            target = target[step]
        return instance(target, root, prompt)
    for key in ("anyOf", "allOf", "oneOf"):
        if key in schema:
            return instance(schema[key][0], root, prompt)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "object":
        properties: JsonObject = schema.get("properties") or {}
        return {name: instance(item, root, prompt) for name, item in properties.items()}
    if kind == "array":
        return [instance(schema.get("items") or {"type": "string"}, root, prompt)]
    numbers = re.findall(r"\d+", prompt)
    quoted = re.search(r"'([^']+)'", prompt)
    return {
        "integer": int(numbers[0]) if numbers else 1,
        "number": float(numbers[0]) if numbers else 1.0,
        "boolean": True,
        "string": quoted[1] if quoted else "San Francisco",
        "null": None,
    }[kind]


def chunks(body: JsonObject) -> Iterator[JsonObject]:
    """The answer as chunks: role first, then a word or a piece of arguments each, the finish reason, and the usage if asked for."""
    message, finish = reply(body)
    options: JsonObject = body.get("stream_options") or {}
    wants_usage = options.get("include_usage")
    identity = f"chatcmpl-{next(NUMBERS)}"

    def chunk(choices: list[JsonObject], counts: JsonObject | None = None) -> JsonObject:
        made: JsonObject = {"id": identity, "object": "chat.completion.chunk", "created": 1700000000}
        made.update(model=f"{body['model']}-2024-07-18", system_fingerprint="fp_scripted", choices=choices)
        return {**made, "usage": counts} if wants_usage else made

    def delta(value: JsonObject, reason: str | None = None) -> JsonObject:
        return chunk([{"index": 0, "delta": value, "logprobs": None, "finish_reason": reason}])

    yield delta({"role": "assistant", "content": "" if message["content"] is not None else None, "refusal": None})
    for word in re.findall(r"\S+\s*", message["content"] or ""):
        yield delta({"content": word})
    calls: list[JsonObject] = message.get("tool_calls") or []
    for index, call in enumerate(calls):
        function = call["function"]
        yield delta({"tool_calls": [{**call, "index": index, "function": {"name": function["name"], "arguments": ""}}]})
        for start in range(0, len(function["arguments"]), 5):
            yield delta({"tool_calls": [{"index": index, "function": {"arguments": function["arguments"][start : start + 5]}}]})
    yield delta({}, finish)
    if wants_usage:
        yield chunk([], usage(body, message))
