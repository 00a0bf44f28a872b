"""OTLP's JSON form of a request, from its protobuf form.

protobuf's own mapping is that of OTLP but for two things, which the OTLP specification names: trace and span ids are hexadecimal,
and enumerations are numbers.
"""

from __future__ import annotations

from typing import Any

import orjson

_IDS = ("traceId", "spanId", "parentSpanId")


def json_of(request: bytes) -> bytes:
    """An `ExportTraceServiceRequest` as JSON."""
    # Imported where it is used: only users of http/json pay for it.
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    message = ExportTraceServiceRequest.FromString(request)
    written: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    for resource, written_resource in zip(message.resource_spans, written["resourceSpans"], strict=True):
        for scope, written_scope in zip(resource.scope_spans, written_resource["scopeSpans"], strict=True):
            for span, written_span in zip(scope.spans, written_scope["spans"], strict=True):
                ids = (span.trace_id, span.span_id, span.parent_span_id)
                written_span.update((name, value.hex()) for name, value in zip(_IDS, ids, strict=True) if value)
    return orjson.dumps(written)


def rejected_in(body: bytes) -> tuple[int, str]:
    """How many spans the JSON answer says were rejected, and why."""
    try:
        partial = orjson.loads(body)["partialSuccess"]
        # 64-bit numbers are texts in protobuf's JSON; both forms are accepted.
        return max(int(partial.get("rejectedSpans") or 0), 0), str(partial.get("errorMessage") or "")
    except (ValueError, TypeError, KeyError, AttributeError):
        return 0, ""
