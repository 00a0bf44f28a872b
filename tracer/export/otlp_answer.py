"""What an OTLP endpoint that took a request says about it."""

from __future__ import annotations

from tracer.export.endpoint import TRACES
from tracer.export.texts import shorten_text
from tracer.export.transport import ACCEPTED, Verdict

_EXPLANATION = 200


def accepted(rejected: int, why: str, what: str = TRACES.what) -> Verdict:
    """The request was taken; so many spans (or whatever it holds) of it were not."""
    explanation = shorten_text(why, _EXPLANATION) or "without a reason"
    return Verdict(ACCEPTED, "rejected", f"rejected {rejected} {what} ({explanation})", rejected=rejected)


def rejected_in(body: bytes) -> tuple[int, str]:
    """How many spans an `ExportTraceServiceResponse` says were rejected, and why; the answers of other signals have the same fields."""
    if not body:
        return 0, ""
    # The marked place of the lazy import: the official classes are there by the time an answer is.
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except Exception:
        return 0, ""
    return max(partial.rejected_spans, 0), partial.error_message
