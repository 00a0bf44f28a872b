"""Zipkin's B3 headers: one (`b3`) or several (`X-B3-TraceId` and others).

Source: https://github.com/openzipkin/b3-propagation
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tracer.runtime import runtime
from tracer.scope import Parent

_TRACE = r"[0-9a-fA-F]{32}|[0-9a-fA-F]{16}"
_SPAN = r"[0-9a-fA-F]{16}"
_PLACE = re.compile(rf"({_TRACE})-({_SPAN})(?:-([01d])(?:-{_SPAN})?)?")
_DECISIONS = {"1": True, "true": True, "d": True, "0": False, "false": False}


def read_b3(carrier: Mapping[str, str]) -> Parent | None:
    """The span that B3 headers name, the single one first; None without one. Raises `ValueError` for headers that are malformed.

    Where the caller has left the sampling decision to us, it is made as for a new trace.
    """
    single = carrier.get("b3")
    if single is not None:
        return None if single in _DECISIONS else _single(single)
    if "x-b3-traceid" in carrier:
        return _several(carrier)
    return None


def write_b3_single(parent: Parent) -> dict[str, str]:
    """The one header."""
    return {"b3": f"{parent.trace_id:032x}-{parent.span_id:016x}-{int(parent.sampled)}"}


def write_b3_several(parent: Parent) -> dict[str, str]:
    """The several headers."""
    return {
        "x-b3-traceid": f"{parent.trace_id:032x}",
        "x-b3-spanid": f"{parent.span_id:016x}",
        "x-b3-sampled": str(int(parent.sampled)),
    }


def _single(text: str) -> Parent:
    match = _PLACE.fullmatch(text)
    if match is None:
        raise ValueError("b3")
    return _parent(match[1], match[2], _DECISIONS[match[3]] if match[3] else None)


def _several(carrier: Mapping[str, str]) -> Parent:
    trace, span = carrier["x-b3-traceid"], carrier.get("x-b3-spanid", "")
    decision = carrier.get("x-b3-sampled", "").lower()
    if not re.fullmatch(_TRACE, trace) or not re.fullmatch(_SPAN, span) or decision not in ("", *_DECISIONS):
        raise ValueError("x-b3-traceid")
    if carrier.get("x-b3-flags") == "1":  # Debug: wanted in any case.
        decision = "d"
    return _parent(trace, span, _DECISIONS.get(decision))


def _parent(trace: str, span: str, sampled: bool | None) -> Parent:
    trace_id, span_id = int(trace, 16), int(span, 16)
    if not trace_id or not span_id:
        raise ValueError("b3")
    return Parent(trace_id, span_id, None, runtime.sampler(trace_id, None) if sampled is None else sampled, True)
