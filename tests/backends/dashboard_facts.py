"""What each query of a dashboard has to give, computed from the records: by the words that stand in the query's `equals`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tests.backends.dashboard_run import ENVIRONMENT, MODEL_KINDS, Key, Row, Run, Values, added, count
from tools.dashboards.alerts import DEFAULT_BUDGET
from tracer.metrics.instruments import DURATIONS, TOKEN_COUNTS

MODEL = "gen_ai.request.model"
INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
CACHE_READ, CACHE_WRITE = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"
REASONING = "gen_ai.usage.reasoning.output_tokens"
COST = "tracer.cost.total"
FIRST = "gen_ai.response.time_to_first_chunk"
GAP = "tracer.stream.longest_gap"
EXPENSIVE = 0.001
"""What the text fields of the dashboards hold in the proof."""
SLOW = 5.0

SOME = float("nan")
"""Where no record tells the value: any number above 0."""

Fact = Callable[[Run], Values]


def quantile(which: float, values: Iterable[float], bounds: tuple[float, ...] = DURATIONS) -> float:
    """`histogram_quantile` of Prometheus, written once more: linear within the bucket in which the rank falls."""
    found = list(values)
    rank = which * len(found)
    below, start = 0, 0.0
    for bound in bounds:
        upto = sum(value <= bound for value in found)
        if upto >= rank:
            return start + (bound - start) * (rank - below) / (upto - below)
        below, start = upto, bound
    return start


def quantile_by(which: float, rows: Iterable[Row], value: Callable[[Row], float], *names: str) -> Values:
    groups: dict[Key, list[float]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row.get(name, "")) for name in names), []).append(value(row))
    return {key: quantile(which, values) for key, values in groups.items()}


def ratio(part: Values, whole: Values) -> Values:
    """By the keys of both."""
    return {key: part[key] / whole[key] for key in part if whole.get(key)}


def _failed(run: Run) -> list[Row]:
    return [row for row in run.models if row.outcome == "failed"]


def _with(run: Run, name: str) -> list[Row]:
    return [row for row in run.models if name in row.attributes]


def _streams(run: Run) -> list[Row]:
    return _with(run, FIRST)


def _sum(name: str, *by: str) -> Fact:
    return lambda run: added(_with(run, name), lambda row: row.get(name), *by)


def _tokens(run: Run) -> Values:
    return {(): _sum(INPUT)(run)[()] + _sum(OUTPUT)(run)[()]}


def _tokens_by_model(run: Run) -> Values:
    counted = [row for row in run.models if INPUT in row.attributes or OUTPUT in row.attributes]
    return added(counted, lambda row: row.get(INPUT) + row.get(OUTPUT), MODEL)


def _unpriced(run: Run) -> list[Row]:
    return [row for row in run.models if row.get("tracer.usage.source") == "reported" and COST not in row.attributes]


def _missing(run: Run) -> list[Row]:
    return [row for row in run.models if row.get("tracer.usage.source") == "missing"]


def _kind(kind: str, label: str, value: Callable[[Row], float]) -> Fact:
    return lambda run: added([row for row in run.rows if row.kind == kind], value, label)


def _names(kind: str, value: Callable[[Row], float]) -> Fact:
    def fact(run: Run) -> Values:
        sums: Values = {}
        for row in run.rows:
            if row.kind == kind:
                sums[(row.name,)] = sums.get((row.name,), 0) + value(row)
        return sums

    return fact


def _buckets(run: Run) -> Values:
    durations = [row.seconds for row in run.models]
    return {(f"{bound:g}",): sum(value <= bound for value in durations) for bound in (*DURATIONS, float("inf"))}


def _ledger(run: Run) -> Values:
    """By destination, reason, fate: the labels in alphabetical order."""
    sums: dict[Key, float] = {}
    for ledger in run.ledgers:
        for name, account in ledger["destinations"].items():
            for fate in ("exported", "sampled_out"):
                sums[name, "", fate] = sums.get((name, "", fate), 0) + account[fate]
            for reason, number in account["dropped"].items():
                sums[name, reason, "dropped"] = sums.get((name, reason, "dropped"), 0) + number
    return sums


def _dropped(run: Run) -> Values:
    return {(name, reason): number for (name, reason, fate), number in _ledger(run).items() if fate == "dropped"}


def _shortened(run: Run) -> Values:
    sums: dict[Key, float] = {}
    for ledger in run.ledgers:
        for name, account in ledger["destinations"].items():
            for reason, number in account["shortened"].items():
                sums[name, reason] = sums.get((name, reason), 0) + number
    return sums


def _exported(run: Run) -> Values:
    return {(name,): number for (name, _, fate), number in _ledger(run).items() if fate == "exported"}


def _waiting(run: Run) -> Values:
    return {(name, "queued"): 0 for ledger in run.ledgers for name in ledger["destinations"]}


def _ids(rows: Iterable[Row]) -> Values:
    return {(row.span_id,): 1 for row in rows}


def _attempts(run: Run) -> float:
    return sum(run.statuses.values())


def _pauses(run: Run) -> list[Row]:
    """Streams of at least two chunks."""
    return [row for row in run.models if row.get("tracer.stream.chunks") > 1]


def _per_second(run: Run, *by: str) -> Values:
    return ratio(added(_with(run, OUTPUT), lambda row: row.get(OUTPUT), *by), added(run.models, lambda row: row.seconds, *by))


def _one_trace(run: Run) -> list[Row]:
    trace = trace_of(run)
    return [row for row in run.rows if row.trace_id == trace]


def trace_of(run: Run) -> str:
    """The one that the dashboard of traces shows in the proof: the first with a tool in it."""
    return next(row.trace_id for row in run.rows if row.kind == "tool")


def as_tempo_shows(trace_id: str) -> str:
    """Tempo leaves out zeros at the beginning, where it shows an id and where it compares one."""
    return trace_id.lstrip("0")


def _one(number: float) -> Values:
    return {(): number}


PANELS: dict[str, Fact] = {
    "model calls": lambda run: _one(len(run.models)),
    "failed model calls / model calls": lambda run: _one(len(_failed(run)) / len(run.models)),
    "stopped model calls": lambda run: _one(sum(row.outcome == "stopped" for row in run.models)),
    "p50 of durations": lambda run: quantile_by(0.5, run.models, lambda row: row.seconds),
    "p95 of durations": lambda run: quantile_by(0.95, run.models, lambda row: row.seconds),
    "p99 of durations": lambda run: quantile_by(0.99, run.models, lambda row: row.seconds),
    "p95 of durations by model": lambda run: quantile_by(0.95, run.models, lambda row: row.seconds, MODEL),
    "durations by bucket": _buckets,
    "p50 of times to the first chunk": lambda run: quantile_by(0.5, _streams(run), lambda row: row.get(FIRST)),
    "p95 of times to the first chunk": lambda run: quantile_by(0.95, _streams(run), lambda row: row.get(FIRST)),
    "p95 of times to the first chunk by model": lambda run: quantile_by(0.95, _streams(run), lambda row: row.get(FIRST), MODEL),
    "a time for each model with streams": lambda run: dict.fromkeys(count(_pauses(run), MODEL), SOME),
    "p95 of longest gaps by model": lambda run: quantile_by(0.95, _with(run, GAP), lambda row: row.get(GAP), MODEL),
    "tokens": _tokens,
    "tokens by type": lambda run: {("input",): _sum(INPUT)(run)[()], ("output",): _sum(OUTPUT)(run)[()]},
    "tokens by model": _tokens_by_model,
    "input tokens by model": _sum(INPUT, MODEL),
    "output tokens by model": _sum(OUTPUT, MODEL),
    "cached input tokens by model": _sum(CACHE_READ, MODEL),
    "cache-write input tokens by model": _sum(CACHE_WRITE, MODEL),
    "reasoning tokens by model": _sum(REASONING, MODEL),
    "cached input tokens / input tokens": lambda run: ratio(_sum(CACHE_READ)(run), _sum(INPUT)(run)),
    "reasoning tokens / output tokens": lambda run: ratio(_sum(REASONING)(run), _sum(OUTPUT)(run)),
    "output tokens / seconds of calls": _per_second,
    "output tokens / seconds of calls by model": lambda run: _per_second(run, MODEL),
    "cost": _sum(COST),
    "cost by model": _sum(COST, MODEL),
    "cost by provider": _sum(COST, "gen_ai.provider.name"),
    "cost by service": lambda run: {(part.service,): sum(row.get(COST) for row in part.models) for part in run.parts},
    "cost by user": lambda run: added([row for row in _with(run, COST) if row.get("user.id")], lambda row: row.get(COST), "user.id"),
    "cost by session": lambda run: added(
        [row for row in _with(run, COST) if row.get("session.id")], lambda row: row.get(COST), "session.id"
    ),
    "cost by attribute": lambda run: added(
        [row for row in _with(run, COST) if row.get("tracer.metadata.plan")], lambda row: row.get(COST), "tracer.metadata.plan"
    ),
    "cost in other currencies": lambda run: _one(
        sum(row.get(COST) for row in run.models if row.get("tracer.cost.currency", "USD") != "USD")
    ),
    "cost / model calls": lambda run: _one(_sum(COST)(run)[()] / len(run.models)),
    "unpriced model calls / model calls": lambda run: _one(len(_unpriced(run)) / len(run.models)),
    "unpriced model calls by model": lambda run: count(_unpriced(run), MODEL),
    "model calls without usage / model calls": lambda run: _one(len(_missing(run)) / len(run.models)),
    "model calls by outcome": lambda run: count(run.models, "tracer.outcome"),
    "model calls by model": lambda run: count(run.models, MODEL),
    "failed model calls by model": lambda run: count(_failed(run), MODEL),
    "failed model calls by error type": lambda run: count(_failed(run), "error.type"),
    "attempts with status 429 / attempts": lambda run: _one(run.statuses["429"] / _attempts(run)),
    "attempts / model calls": lambda run: _one(_attempts(run) / len(run.models)),
    "attempts by status": lambda run: {(status,): number for status, number in run.statuses.items()},
    "attempts with status 429 by model": lambda run: {(model,): number for model, number in run.refused.items()},
    "stalled streams": lambda run: _one(sum(row.get(GAP) >= 5 for row in run.models)),
    "seconds that streams waited for the provider": _sum("tracer.stream.provider_time"),
    "seconds that streams waited for the caller": _sum("tracer.stream.consumer_time"),
    "runs of tools": _kind("tool", "gen_ai.tool.name", lambda _: 1),
    "seconds of tools": _kind("tool", "gen_ai.tool.name", lambda row: row.seconds),
    "runs of agents": _kind("agent", "gen_ai.agent.name", lambda _: 1),
    "seconds of agents": _kind("agent", "gen_ai.agent.name", lambda row: row.seconds),
    "runs of chains": _names("chain", lambda _: 1),
    "seconds of chains": _names("chain", lambda row: row.seconds),
    "bytes by direction": lambda run: {("transmit",): run.sent, ("receive",): run.received},
    "calls started": lambda run: _one(sum(ledger["started"] for ledger in run.ledgers)),
    "calls ended": lambda run: _one(len(run.calls)),
    "open calls": lambda run: _one(sum(ledger["open"] for ledger in run.ledgers)),
    "dropped records": lambda run: _one(sum(_dropped(run).values())),
    "dropped records by destination and reason": _dropped,
    "shortened records by destination and reason": _shortened,
    "exported records by destination": _exported,
    "the ledger": _ledger,
    "waiting records": _waiting,
    "faults": lambda run: _one(sum(sum(ledger["faults"].values()) for ledger in run.ledgers)),
    "overflows": lambda run: _one(0),
    "slow calls": lambda run: _ids(row for row in run.calls if row.seconds > SLOW),
    "failed calls": lambda run: _ids(row for row in run.calls if row.outcome == "failed"),
    "expensive calls": lambda run: _ids(row for row in run.calls if row.get(COST) > EXPENSIVE),
    "stopped calls": lambda run: _ids(row for row in run.calls if row.outcome in ("stopped", "cancelled", "abandoned", "unfinished")),
    "calls by a condition": lambda run: _ids(row for row in run.calls if "tool_call" in (row.get("gen_ai.response.finish_reasons") or [])),
    "spans of a trace": lambda run: _ids(_one_trace(run)),
    "contents of a trace": lambda run: _ids(row for row in _one_trace(run) if row.name != "attempt"),
}


def _by_service_and_model(fact: Fact) -> Fact:
    """Labels of alerts in alphabetical order: environment, model, service."""
    return lambda run: {(ENVIRONMENT, *key, part.service): value for part in run.parts for key, value in fact(part).items()}


def _of_budget(factor: float) -> Fact:
    return lambda run: {
        (ENVIRONMENT, part.service): factor * sum(row.get(COST) for row in part.models) / DEFAULT_BUDGET for part in run.parts
    }


def _completed(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.outcome == "completed"]


def _by_model(numbers: Mapping[str, int]) -> Values:
    return {(model,): number for model, number in numbers.items()}


ALERTS: dict[str, Fact] = {
    "alert: failed model calls / model calls": _by_service_and_model(
        lambda run: ratio(count(_failed(run), MODEL), count(run.models, MODEL))
    ),
    "alert: p95 of durations": _by_service_and_model(PANELS["p95 of durations by model"]),
    "alert: p95 of times to the first chunk": _by_service_and_model(PANELS["p95 of times to the first chunk by model"]),
    "alert: cost of the last hour * 24 / budget": _of_budget(24),
    "alert: cost of the last day / budget": _of_budget(1),
    "alert: attempts with status 429 / attempts": _by_service_and_model(lambda run: ratio(_by_model(run.refused), _by_model(run.requests))),
    "alert: completed calls without usage / completed calls": _by_service_and_model(
        lambda run: ratio(count(_completed(_missing(run)), MODEL), count(_completed(run.models), MODEL))
    ),
    "alert: dropped records": lambda run: {
        (ENVIRONMENT, part.service, *key): number for part in run.parts for key, number in _dropped(part).items()
    },
}


def _histogram(name: str, values: Callable[[Run], list[float]], bounds: tuple[float, ...] = DURATIONS) -> dict[str, Fact]:
    """The sums over the three series of a histogram; over `_bucket` every value counts in each bucket that holds it."""
    return {
        f"{name}: count": lambda run: _one(len(values(run))),
        f"{name}: sum": lambda run: _one(sum(values(run))),
        f"{name}: bucket": lambda run: _one(sum(value <= bound for value in values(run) for bound in (*bounds, float("inf")))),
    }


def _of(name: str, *kinds: str) -> Callable[[Run], list[float]]:
    return lambda run: [row.get(name) for row in _with(run, name) if row.kind in kinds]


def _seconds(kind: str) -> Callable[[Run], list[float]]:
    return lambda run: [row.seconds for row in run.models if row.kind == kind]


RECORDED: dict[str, Fact] = {
    "model calls": PANELS["model calls"],
    "input tokens": _sum(INPUT),
    "output tokens": _sum(OUTPUT),
    "cost": PANELS["cost"],
    "times between chunks: count": lambda run: _one(len(_pauses(run))),
    "times between chunks: sum": lambda run: _one(SOME),
    "times between chunks: bucket": lambda run: _one(SOME),
    **_histogram("streams", _of(FIRST, *MODEL_KINDS)),
    **_histogram("token usage", lambda run: [*_of(INPUT, *MODEL_KINDS)(run), *_of(OUTPUT, *MODEL_KINDS)(run)], TOKEN_COUNTS),
    **_histogram("inference", _seconds("llm")),
    **_histogram("embeddings", _seconds("embedding")),
    **_histogram("inference input", _of(INPUT, "llm"), TOKEN_COUNTS),
    **_histogram("inference output", _of(OUTPUT, "llm"), TOKEN_COUNTS),
}
"""Of recording rules: sums over all series of a service."""
