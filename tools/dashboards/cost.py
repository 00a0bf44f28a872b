"""Cost: what calls cost, by model, service, provider, user, session and any attribute; and what is not known."""

from __future__ import annotations

from tools.dashboards import promql as p
from tools.dashboards import traceql as t
from tools.dashboards.tables import BARS, RANKING, SPANS, STAT, TEMPO, Box, Dashboard, Panel, Query

_COST = "tracer_cost_total"
_USD = f'{p.CALL},tracer_cost_currency="USD"'
_DEAR = t.found(f"{t.CALL} && span.tracer.cost.total > 0.01")
_UNPRICED = t.found(f'{t.MODEL_CALL} && span.tracer.usage.source = "reported" && span.tracer.outcome = "completed"')
_MISSING = t.found(f'{t.MODEL_CALL} && span.tracer.usage.source = "missing"')


def _by_attribute(title: str, attribute: str, equals: str, description: str) -> Panel:
    return Panel(title, RANKING, "currencyUSD", (Query(t.cost_by(attribute), equals),), description, engine=TEMPO, width=8)


PANELS = (
    Panel("Cost", STAT, "currencyUSD", (Query(p.or_zero(p.total(_COST, _USD)), "cost"),), "In this time.", search=_DEAR, width=4, height=4),
    Panel(
        "Last 24 hours",
        STAT,
        "currencyUSD",
        (Query(p.or_zero(p.total(_COST, _USD, "1d")), "cost"),),
        "Whatever time is chosen above; what the budget alerts look at, of one service.",
        search=_DEAR,
        width=4,
        height=4,
    ),
    Panel(
        "A call costs",
        STAT,
        "currencyUSD",
        (Query(p.share(p.or_zero(p.total(_COST, _USD)), p.total("tracer_calls_total", p.MODEL_CALL)), "cost / model calls"),),
        "On average, failed ones included.",
        search=_DEAR,
        width=4,
        height=4,
        decimals=5,
    ),
    Panel(
        "Price not known",
        STAT,
        "percentunit",
        (
            Query(
                p.share(p.or_zero(p.total("tracer_cost_unpriced_total", p.CALL)), p.total("tracer_calls_total", p.MODEL_CALL)),
                "unpriced model calls / model calls",
            ),
        ),
        "Share of calls with tokens but without a price: their cost is in no sum here. TRACER_PRICES adds prices. Its link finds calls "
        "with tokens; in the table those without a price have no cost.",
        limits=(0.01, 0.1),
        search=_UNPRICED,
        width=4,
        height=4,
        decimals=2,
    ),
    Panel(
        "Tokens not known",
        STAT,
        "percentunit",
        (
            Query(
                p.share(p.or_zero(p.total("tracer_usage_missing_total", p.CALL)), p.total("tracer_calls_total", p.MODEL_CALL)),
                "model calls without usage / model calls",
            ),
        ),
        "Share of calls for which no tokens were reported: failed ones, and streams without usage.",
        limits=(0.1, 0.3),
        search=_MISSING,
        width=4,
        height=4,
        decimals=2,
    ),
    Panel(
        "Other currencies",
        STAT,
        "short",
        (Query(p.or_zero(p.total(_COST, f'{p.CALL},tracer_cost_currency!="USD"')), "cost in other currencies"),),
        "Sums in other currencies than USD, which the other panels leave out.",
        limits=(0.01, 1),
        search=_DEAR,
        width=4,
        height=4,
    ),
    Panel(
        "Cost by model",
        BARS,
        "currencyUSD",
        (Query(p.total(_COST, _USD, p.INTERVAL, "gen_ai_request_model"), "cost by model", "{{gen_ai_request_model}}"),),
        "Bars add up to the cost.",
        search=t.of_series("span.gen_ai.request.model"),
    ),
    Panel(
        "Cost by service",
        BARS,
        "currencyUSD",
        (Query(p.total(_COST, _USD, p.INTERVAL, "service_name"), "cost by service", "{{service_name}}"),),
        "Bars add up to the cost.",
        search=t.of_series("resource.service.name", t.CALL),
    ),
    Panel(
        "By model",
        RANKING,
        "currencyUSD",
        (Query(p.total(_COST, _USD, by="gen_ai_request_model"), "cost by model", "{{gen_ai_request_model}}"),),
        "In this time.",
        search=t.of_series("span.gen_ai.request.model"),
        width=8,
    ),
    Panel(
        "By provider",
        RANKING,
        "currencyUSD",
        (Query(p.total(_COST, _USD, by="gen_ai_provider_name"), "cost by provider", "{{gen_ai_provider_name}}"),),
        "In this time.",
        search=t.of_series("span.gen_ai.provider.name"),
        width=8,
    ),
    Panel(
        "Price not known, by model",
        RANKING,
        "short",
        (
            Query(
                p.total("tracer_cost_unpriced_total", p.CALL, by="gen_ai_request_model"),
                "unpriced model calls by model",
                "{{gen_ai_request_model}}",
            ),
        ),
        "Calls in this time.",
        search=t.of_series("span.gen_ai.request.model"),
        width=8,
    ),
    _by_attribute(
        "By user", "span.user.id", "cost by user", "From traces: users are no labels of metrics. Sampled-out traces are not in it."
    ),
    _by_attribute("By session", "span.session.id", "cost by session", "From traces, as by user."),
    _by_attribute("By $attribute", "$attribute", "cost by attribute", "From traces, by the attribute named in the field at the top."),
    Panel(
        "Most expensive calls",
        SPANS,
        "currencyUSD",
        (Query(t.spans(f"{t.CALL} && span.tracer.cost.total > $expensive"), "expensive calls"),),
        "Above the amount in the field at the top.",
        engine=TEMPO,
        width=24,
    ),
)

BOXES = (
    Box(
        "attribute",
        "Attribute",
        "span.tracer.metadata.plan",
        "Any attribute of spans, such as span.tracer.metadata.KEY for tracer.context(metadata=…)",
    ),
    Box("expensive", "Expensive is more than", "0.01", "In the currency of the prices, written with a point"),
)

DASHBOARD = Dashboard("cost", "tracer-cost", "tracer: cost", __doc__ or "", PANELS, BOXES)
