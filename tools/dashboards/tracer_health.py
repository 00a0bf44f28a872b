"""Tracer health: where every record went, what was lost and why, and what waits."""

from __future__ import annotations

from tools.dashboards import promql as p
from tools.dashboards import traceql as t
from tools.dashboards.tables import BARS, LINES, STAT, TABLE, Dashboard, Panel, Query

_RECORDS = "tracer_records_total"
_DROPPED = f'{p.SERVICE},tracer_state="dropped"'
_SHORTENED = t.found(f"{t.SERVICE} && span.tracer.content.truncated = true")
_ALL = t.found(f"{t.SERVICE} && span.tracer.outcome != nil")


def _stat(title: str, query: str, equals: str, description: str, search: str = _ALL, limits: tuple[float, ...] = ()) -> Panel:
    return Panel(title, STAT, "short", (Query(query, equals),), description, search=search, limits=limits, width=4, height=4)


PANELS = (
    _stat("Started", p.or_zero(p.total("tracer_calls_started_total", p.SERVICE)), "calls started", "Calls and own spans that have begun."),
    _stat("Ended", p.or_zero(p.total("tracer_calls_total", p.SERVICE)), "calls ended", "Those that have ended, by whatever ending."),
    _stat("Open", p.or_zero(f"sum (tracer_calls_open{{{p.SERVICE}}})"), "open calls", "Those that have begun and not ended."),
    _stat(
        "Dropped",
        p.or_zero(p.total(_RECORDS, _DROPPED)),
        "dropped records",
        "Records that reached a destination neither now nor later. 0 is right.",
        limits=(1, 100),
    ),
    _stat(
        "Faults",
        p.or_zero(p.total("tracer_faults_total", p.SERVICE)),
        "faults",
        "Errors inside of tracer, which the program never sees. 0 is right.",
        limits=(1, 10),
    ),
    _stat(
        "Labels left out",
        p.or_zero(p.total("tracer_metrics_overflows_total", p.SERVICE)),
        "overflows",
        "Measurements without their labels, because an instrument has more than 1,000 sets of them. Sums stay exact.",
        limits=(1, 1000),
    ),
    Panel(
        "Ledger",
        TABLE,
        "short",
        (Query(p.total(_RECORDS, p.SERVICE, by="tracer_destination, tracer_state, tracer_reason"), "the ledger"),),
        "Every record by destination and fate; in each destination they add up to those that have ended, less those that wait.",
        columns=(
            ("tracer_destination", "Destination", ""),
            ("tracer_state", "Fate", ""),
            ("tracer_reason", "Reason", ""),
            ("Value", "Records", "short"),
        ),
        search=_ALL,
    ),
    Panel(
        "Waiting",
        LINES,
        "short",
        (
            Query(
                f"sum by (tracer_destination, tracer_state) (tracer_records_waiting{{{p.SERVICE}}})",
                "waiting records",
                "{{tracer_destination}}, {{tracer_state}}",
            ),
        ),
        "Records on their way, in the queue or on disk. Rising for long: the destination is down or too slow.",
        limits=(5000, 9000),
        search=_ALL,
    ),
    Panel(
        "Dropped by reason",
        BARS,
        "short",
        (
            Query(
                p.total(_RECORDS, _DROPPED, p.INTERVAL, "tracer_destination, tracer_reason"),
                "dropped records by destination and reason",
                "{{tracer_destination}}: {{tracer_reason}}",
            ),
        ),
        "Records that are lost, and why.",
        search=_ALL,
    ),
    Panel(
        "Shortened by reason",
        BARS,
        "short",
        (
            Query(
                p.total("tracer_records_shortened_total", p.SERVICE, p.INTERVAL, "tracer_destination, tracer_reason"),
                "shortened records by destination and reason",
                "{{tracer_destination}}: {{tracer_reason}}",
            ),
        ),
        "Records that lost a part of their contents to a limit.",
        search=_SHORTENED,
    ),
    Panel(
        "Payload",
        BARS,
        "bytes",
        (
            Query(
                p.total("tracer_payload_bytes_total", p.CALL, p.INTERVAL, "network_io_direction"),
                "bytes by direction",
                "{{network_io_direction}}",
            ),
        ),
        "Bodies sent to providers and received from them.",
        search=t.found(f"{t.MODEL_CALL} && span.gen_ai.usage.input_tokens > 10000"),
    ),
    Panel(
        "Records exported",
        BARS,
        "short",
        (
            Query(
                p.total(_RECORDS, f'{p.SERVICE},tracer_state="exported"', p.INTERVAL, "tracer_destination"),
                "exported records by destination",
                "{{tracer_destination}}",
            ),
        ),
        "What arrived at its destination.",
        search=_ALL,
    ),
)

DASHBOARD = Dashboard("tracer-health", "tracer-health", "tracer: health", __doc__ or "", PANELS)
