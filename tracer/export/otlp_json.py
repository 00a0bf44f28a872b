"""OTLP's JSON form of a request, from its protobuf form.

protobuf's own mapping is that of OTLP but for two things, which the OTLP specification names: trace and span ids are hexadecimal,
and enumerations are numbers.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import orjson

from tracer.export.endpoint import LOGS, TRACES, Signal

_IDS = ("traceId", "spanId", "parentSpanId")
_LISTS = {TRACES: ("resourceSpans", "scopeSpans", "spans"), LOGS: ("resourceLogs", "scopeLogs", "logRecords")}


def json_of(request: bytes, signal: Signal = TRACES) -> bytes:
    """An export request as JSON."""
    # Imported where it is used: only users of http/json pay for it.
    from google.protobuf.json_format import MessageToDict

    message = _request(request, signal)
    written: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    resources, scopes, entries = _LISTS[signal]
    for resource in written[resources]:
        for scope in resource[scopes]:
            for entry in scope[entries]:
                entry.update((name, b64decode(entry[name]).hex()) for name in _IDS if name in entry)
    return orjson.dumps(written)


def _request(data: bytes, signal: Signal) -> Any:
    if signal is LOGS:
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

        return ExportLogsServiceRequest.FromString(data)
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    return ExportTraceServiceRequest.FromString(data)


def rejected_in(body: bytes, signal: Signal = TRACES) -> tuple[int, str]:
    """How many spans (or whatever the signal has) the JSON answer says were rejected, and why."""
    try:
        partial = orjson.loads(body)["partialSuccess"]
        # 64-bit numbers are texts in protobuf's JSON; both forms are accepted.
        return max(int(partial.get(signal.rejected) or 0), 0), str(partial.get("errorMessage") or "")
    except (ValueError, TypeError, KeyError, AttributeError):
        return 0, ""
