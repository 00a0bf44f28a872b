"""Jaeger's own headers: `uber-trace-id`, and `uberctx-…` for baggage.

Source: https://www.jaegertracing.io/docs/1.21/client-libraries/#propagation-format
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from tracer.propagation.carrier import JAEGER_BAGGAGE, LONGEST
from tracer.scope import Parent

_PLACE = re.compile(r"([0-9a-fA-F]{1,32}):([0-9a-fA-F]{1,16}):[0-9a-fA-F]{1,16}:([0-9a-fA-F]{1,2})")
_SAMPLED, _DEBUG = 0b01, 0b10


def read_jaeger(carrier: Mapping[str, str]) -> Parent | None:
    """The span that `uber-trace-id` names; None without one. Raises `ValueError` for one that is malformed."""
    text = carrier.get("uber-trace-id")
    if text is None:
        return None
    match = _PLACE.fullmatch(unquote(text)) if len(text) <= LONGEST else None
    if match is None:
        raise ValueError("uber-trace-id")
    trace_id, span_id, flags = (int(field, 16) for field in match.groups())
    if not trace_id or not span_id:
        raise ValueError("uber-trace-id")
    return Parent(trace_id, span_id, None, bool(flags & (_SAMPLED | _DEBUG)), True)


def write_jaeger(parent: Parent) -> dict[str, str]:
    """The header of a span. The id of its own parent is obsolete and left out."""
    return {"uber-trace-id": f"{parent.trace_id:032x}:{parent.span_id:016x}:0:{_SAMPLED if parent.sampled else 0:02x}"}


def read_jaeger_baggage(carrier: Mapping[str, str]) -> dict[str, str]:
    """The entries, by name."""
    return {
        name.removeprefix(JAEGER_BAGGAGE): unquote(value)
        for name, value in carrier.items()
        if name.startswith(JAEGER_BAGGAGE) and len(value) <= LONGEST
    }


def write_jaeger_baggage(values: Mapping[str, object]) -> dict[str, str]:
    """One header for each entry."""
    return {JAEGER_BAGGAGE + name: quote(str(value), safe="", errors="replace") for name, value in values.items()}
