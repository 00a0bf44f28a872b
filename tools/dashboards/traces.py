"""Traces: the slow, the failed, the expensive, the stopped; one trace as a whole, with its prompts and answers."""

from __future__ import annotations

from tools.dashboards import traceql as t
from tools.dashboards.tables import SPANS, TEMPO, TRACE, Box, Dashboard, Panel, Query

_CONTENT = "span.gen_ai.system_instructions, span.gen_ai.input.messages, span.gen_ai.output.messages, span.input.value, span.output.value"


def _search(title: str, condition: str, equals: str, description: str, width: int = 12) -> Panel:
    return Panel(title, SPANS, "", (Query(t.spans(condition), equals),), description, engine=TEMPO, width=width)


PANELS = (
    _search("Slow", f"{t.CALL} && duration > $slow && span.tracer.outcome != nil", "slow calls", "Longer than the time at the top."),
    _search("Failed", f'{t.CALL} && span.tracer.outcome = "failed"', "failed calls", "Those that raised an error, with its type."),
    _search("Expensive", f"{t.CALL} && span.tracer.cost.total > $expensive", "expensive calls", "More than the amount at the top."),
    _search(
        "Stopped",
        f'{t.CALL} && span.tracer.outcome =~ "stopped|cancelled|abandoned|unfinished"',
        "stopped calls",
        "Left by the caller, cancelled, never read, or cut off by the end of the process.",
    ),
    _search("By your own condition", f"{t.SERVICE} && ($condition)", "calls by a condition", "TraceQL, from the field at the top.", 24),
    Panel(
        "Trace $trace",
        TRACE,
        "",
        (Query("$trace", "spans of a trace"),),
        "A click on a span id in the tables above brings its trace here.",
        engine=TEMPO,
        width=24,
        height=16,
    ),
    Panel(
        "Prompts and answers of trace $trace",
        SPANS,
        "",
        (Query(t.spans('trace:id = "$trace" && span.tracer.outcome != nil', _CONTENT), "contents of a trace"),),
        "As they were recorded (JSON). TRACER_CONTENT decides what is.",
        engine=TEMPO,
        width=24,
        height=12,
    ),
)

BOXES = (
    Box("slow", "Slow is more than", "5s", "A duration of TraceQL, such as 500ms or 1m"),
    Box("expensive", "Expensive is more than", "0.01", "In the currency of the prices, written with a point"),
    Box("condition", "Condition", 'span.gen_ai.response.finish_reasons = "tool_call"', "Any condition of TraceQL on a span"),
    Box("trace", "Trace", "", "A trace id as Tempo shows it: without zeros at its beginning"),
)

DASHBOARD = Dashboard("traces", "tracer-traces", "tracer: traces", __doc__ or "", PANELS, BOXES)
