"""The queries that stand in the generated files, sent to the real engines as Grafana and Prometheus would do it."""

from __future__ import annotations

import base64
import json
import math
import time
import urllib.error
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from tests.backends.dashboard_run import Key, Values
from tests.backends.programs import Stack, get
from tests.support import ROOT

FOLDER = ROOT / "dashboards"
INTERVAL = 60
"""Seconds of `$__interval` in the proof."""
RANGE = 3600
"""Seconds of the chosen time."""


@dataclass(frozen=True, slots=True)
class Target:
    """One query of one panel, as it stands in the file."""

    board: str
    panel: str
    kind: str
    engine: str
    query: str
    instant: bool
    letter: str


def targets_of(board: str, text: str) -> Iterator[Target]:
    """Those of a dashboard's file."""
    for panel in json.loads(text)["panels"]:
        for target in panel["targets"]:
            engine = target["datasource"]["type"]
            instant = target.get("instant") or target.get("metricsQueryType") == "instant"
            query = target["expr"] if engine == "prometheus" else target["query"]
            yield Target(board, panel["title"], panel["type"], engine, query, bool(instant), target["refId"])


def filled(query: str, variables: Mapping[str, str]) -> str:
    """The query with Grafana's variables and the dashboard's own replaced."""
    own = {
        "__range": f"{RANGE}s",
        "__interval": f"{INTERVAL}s",
        "__rate_interval": f"{RANGE}s",
        **variables,
    }
    for name in sorted(own, key=len, reverse=True):
        for form in (f"${{{name}:pipe}}", f"${{{name}}}", f"${name}"):
            query = query.replace(form, own[name])
    assert "$" not in query, query
    return query


def answer(stack: Stack, target: Target, variables: Mapping[str, str]) -> Values:
    """What the engine says."""
    query = filled(target.query, variables)
    if target.engine == "prometheus":
        if target.instant:
            return instant(stack, query)
        return over_time(stack, query, adding="$__interval" in target.query)
    if target.kind == "traces":
        return _trace(stack, query)
    return _traceql_metrics(stack, query) if target.instant else {(span,): 1 for span in search(stack, query)}


def _of_prometheus(stack: Stack, path: str) -> list[dict[str, Any]]:
    try:
        return get(f"{stack.prometheus}/api/v1/{path}")["data"]["result"]
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error


def _key(labels: Mapping[str, str]) -> Key:
    names = sorted(name for name in labels if name != "__name__")
    return tuple(f"{float(labels[name]):g}" if name == "le" else labels[name] for name in names)


def _complete(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Series with all labels that any of them has: Prometheus leaves out empty ones."""
    names = {name for series in found for name in series["metric"]}
    return [{**series, "metric": {**dict.fromkeys(names, ""), **series["metric"]}} for series in found]


def instant(stack: Stack, query: str) -> Values:
    """An instant query of PromQL."""
    found = _complete(_of_prometheus(stack, f"query?query={quote(query)}"))
    return {_key(series["metric"]): float(series["value"][1]) for series in found}


def over_time(stack: Stack, query: str, adding: bool) -> Values:
    """A range query: the last value of each series, or (bars that show a part of the time each) all of them added."""
    end = time.time()
    path = f"query_range?query={quote(query)}&start={end - RANGE:.3f}&end={end:.3f}&step={INTERVAL}"
    values: Values = {}
    for series in _complete(_of_prometheus(stack, path)):
        numbers = [float(value) for _, value in series["values"]]
        values[_key(series["metric"])] = math.fsum(numbers) if adding else numbers[-1]
    return values


def _of_tempo(stack: Stack, path: str) -> Any:
    try:
        return get(f"{stack.tempo}/api/{path}", 30)
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error


def search(stack: Stack, query: str) -> dict[str, dict[str, Any]]:
    """Attributes of the spans that a TraceQL search finds, by span id."""
    end = int(time.time()) + 1
    found = _of_tempo(stack, f"search?q={quote(query)}&limit=100&spss=100&start={end - RANGE}&end={end}")
    return {
        span["spanID"].rjust(16, "0"): {item["key"]: next(iter(item["value"].values())) for item in span.get("attributes", [])}
        for trace in found.get("traces", [])
        for spans in trace["spanSets"]
        for span in spans["spans"]
    }


def _traceql_metrics(stack: Stack, query: str) -> Values:
    end = int(time.time()) + 1
    found = _of_tempo(stack, f"metrics/query?q={quote(query)}&start={end - RANGE}&end={end}")
    return {
        tuple(next(iter(label["value"].values())) for label in series["labels"]): float(series["value"])
        for series in found.get("series", [])
    }


def _trace(stack: Stack, trace: str) -> Values:
    found = _of_tempo(stack, f"v2/traces/{trace}")["trace"]
    spans = [span for resource in found.get("resourceSpans", []) for scope in resource["scopeSpans"] for span in scope["spans"]]
    return {(base64.b64decode(span["spanId"]).hex(),): 1 for span in spans}


def searches_behind(text: str) -> Iterator[tuple[str, str]]:
    """Panel and TraceQL of each link to a search, as they stand in a dashboard's file."""
    for panel in json.loads(text)["panels"]:
        for address in _addresses(panel.get("fieldConfig", {"defaults": {}, "overrides": []})):
            if address.startswith("/explore?"):
                panes = json.loads(parse_qs(urlsplit(address).query)["panes"][0])
                yield panel["title"], panes["traces"]["queries"][0]["query"]


def _addresses(config: dict[str, Any]) -> list[str]:
    """Of all links of a panel's values."""
    links: list[dict[str, str]] = [*config["defaults"].get("links", [])]
    for override in config["overrides"]:
        links += [link for change in override["properties"] if change["id"] == "links" for link in change["value"]]
    return [link["url"] for link in links]


def alike(found: Values, expected: Values) -> bool:
    """Equal but for the last bits of floating point numbers; `SOME` is any number above 0."""
    return found.keys() == expected.keys() and all(
        found[key] > 0 if math.isnan(value) else math.isclose(found[key], value, rel_tol=1e-9, abs_tol=1e-15)
        for key, value in expected.items()
    )
