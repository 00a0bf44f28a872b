"""Spans as they were sent and as real Jaeger and Tempo give them back, in one form that can be compared."""

from __future__ import annotations

import base64
import gzip
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.backends.programs import Stack, get
from tests.support import running_server

KINDS = {"SPAN_KIND_INTERNAL": 1, "SPAN_KIND_SERVER": 2, "SPAN_KIND_CLIENT": 3}
STATUSES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}


@dataclass(slots=True)
class Seen:
    """A span as it was sent, or as a backend gives it back."""

    name: str
    kind: int
    parent: str
    start: int
    end: int
    status: int
    message: str
    attributes: dict[str, Any]
    events: list[tuple[str, int, dict[str, Any]]]
    resource: dict[str, Any]
    scope: str


@contextmanager
def relay(target: str) -> Generator[tuple[str, list[ExportTraceServiceRequest]], None, None]:
    """A way to `target` for OTLP over HTTP, and what passed through it."""
    passed: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name: value for name, value in self.headers.items() if name.lower() in ("content-type", "content-encoding")}
            if self.path == "/v1/traces":
                passed.append(
                    ExportTraceServiceRequest.FromString(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
                )
            with urllib.request.urlopen(urllib.request.Request(target + self.path, body, headers), timeout=60) as answer:
                self.send_response(answer.status)
                self.send_header("content-length", "0")
                self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with running_server(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url, passed


def sent(requests: list[ExportTraceServiceRequest], trace_id: str) -> dict[str, Seen]:
    """The spans of a trace by span id."""
    return {
        span.span_id.hex(): Seen(
            span.name,
            span.kind,
            span.parent_span_id.hex(),
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            span.status.code,
            span.status.message,
            _pairs(span.attributes),
            [(event.name, event.time_unix_nano, _pairs(event.attributes)) for event in span.events],
            _pairs(resource.resource.attributes),
            scope.scope.name,
        )
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        if span.trace_id.hex() == trace_id
    }


def _pairs(attributes: Any) -> dict[str, Any]:
    return {item.key: _plain(item.value) for item in attributes}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_plain(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, kind)


def jaeger(stack: Stack, trace_id: str) -> dict[str, Seen]:
    """What Jaeger has of a trace."""
    return _seen_in(get(f"{stack.jaeger}/api/v3/traces/{trace_id}", 60)["result"]["resourceSpans"], str)


def tempo(stack: Stack, trace_id: str) -> dict[str, Seen]:
    """What Tempo has of a trace."""
    return _seen_in(get(f"{stack.tempo}/api/v2/traces/{trace_id}", 60)["trace"].get("resourceSpans", []), _from_base64)


def _from_base64(text: str) -> str:
    return base64.b64decode(text).hex()


def _seen_in(resource_spans: list[dict[str, Any]], to_hex: Callable[[str], str]) -> dict[str, Seen]:
    return {
        to_hex(span["spanId"]): _seen(span, to_hex, _read(resource["resource"]), scope["scope"]["name"])
        for resource in resource_spans
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    }


def _seen(span: dict[str, Any], to_hex: Callable[[str], str], resource: dict[str, Any], scope: str) -> Seen:
    kind, status = span["kind"], span.get("status", {})
    code = status.get("code", 0)
    return Seen(
        span["name"],
        KINDS[kind] if isinstance(kind, str) else kind,
        to_hex(span.get("parentSpanId", "")),
        int(span["startTimeUnixNano"]),
        int(span["endTimeUnixNano"]),
        STATUSES[code] if isinstance(code, str) else code,
        status.get("message", ""),
        _read(span),
        [(event["name"], int(event["timeUnixNano"]), _read(event)) for event in span.get("events", [])],
        resource,
        scope,
    )


def _read(holder: dict[str, Any]) -> dict[str, Any]:
    # Jaeger's own remark, for a span that is not within its parent: on a busy machine their clocks are read some microseconds apart.
    return {item["key"]: _value(item["value"]) for item in holder.get("attributes", []) if item["key"] != "@jaeger@warnings"}


def _value(value: dict[str, Any]) -> Any:
    kind, content = next(iter(value.items()))
    if kind == "intValue":
        return int(content)
    if kind == "doubleValue":
        return float(content)
    if kind == "arrayValue":
        return [_value(item) for item in content.get("values", [])]
    return content
