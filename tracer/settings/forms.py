"""Forms of text that one setting alone has, and the value of each; like `tracer.parsing`, with `ValueError` for what is not accepted."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import cast

from tracer import parsing


def propagators(text: str) -> tuple[str, ...]:
    """A comma list of the formats of `OTEL_PROPAGATORS`, each once; `none` stands alone.

    >>> propagators("B3, baggage,b3"), propagators("none")
    (('b3', 'baggage'), ())
    """
    names = tuple(dict.fromkeys(parsing.choice_list("tracecontext", "baggage", "b3", "b3multi", "jaeger", "none")(text)))
    if "none" in names and len(names) > 1:
        raise ValueError(text)
    return () if names == ("none",) else names


def dialects(text: str) -> tuple[str, ...]:
    """What is to be told beside OpenTelemetry's names: a comma list of dialects, each once, without `otel`, which is always there.

    >>> dialects("OTel, phoenix"), dialects("otel")
    (('phoenix',), ())
    """
    names = parsing.choice_list("otel", "previous", "phoenix", "langfuse", "langsmith")(text)
    return tuple(name for name in dict.fromkeys(names) if name != "otel")


def capture_content(text: str) -> str:
    """The four values of `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` in lower case, and the older true and false.

    >>> capture_content("True"), capture_content("EVENT_ONLY")
    ('span_only', 'event_only')
    """
    lowered = text.strip().lower()
    if lowered in ("true", "1"):
        return "span_only"
    if lowered in ("false", "0"):
        return "no_content"
    if lowered not in ("no_content", "span_only", "event_only", "span_and_event"):
        raise ValueError(text)
    return lowered


_RUNS_ENDPOINT_KEYS = {"api_url": str, "api_key": str, "project_name": str, "workspace_id": str, "primary": bool}


def runs_endpoints(text: str) -> str:
    """LangSmith's several backends, checked and written in one form: a JSON list of `api_url`, `api_key`, `project_name`, `workspace_id`
    and `primary`, the first of which must be there.

    >>> runs_endpoints('{"https://example.com/": "key"}')
    '[{"api_url": "https://example.com", "api_key": "key"}]'
    """
    # Imported where it is used: hardly anyone sets this, and everyone pays at start.
    import json

    given: object = json.loads(text)
    if isinstance(given, dict):
        given = [{"api_url": address, "api_key": key} for address, key in cast("dict[str, object]", given).items()]
    if not isinstance(given, list) or not given:
        raise ValueError(text)
    return json.dumps([_runs_endpoint(entry) for entry in cast("list[object]", given)])


def own_runs_endpoints(text: str) -> str:
    """The same; one that cannot be used does not bring the default, somebody else's host, into its place."""
    try:
        return runs_endpoints(text)
    except (ValueError, TypeError):
        raise parsing.PartlyAcceptedError(parsing.NOWHERE, "none, and nothing is sent to the default") from None


def _runs_endpoint(entry: object) -> dict[str, object]:
    if not isinstance(entry, dict) or "api_url" not in entry:
        raise ValueError
    found: dict[str, object] = {}
    for key, kind in _RUNS_ENDPOINT_KEYS.items():
        value = cast("dict[str, object]", entry).get(key)
        if value is None:
            continue
        if not isinstance(value, kind):
            raise ValueError(key)
        if isinstance(value, str) and key != "project_name":
            value = parsing.base_url(value) if key == "api_url" else parsing.header_value(value)
        found[key] = value
    return found


def keep_rules(text: str) -> tuple[str, ...]:
    """`errors`, `stopped` and `slow>SECONDS`, one or more of them.

    >>> keep_rules("Errors, slow > 2.5")
    ('errors', 'slow>2.5')
    """
    rules = tuple("".join(rule.split()).lower() for rule in text.split(",") if rule.strip())
    for rule in rules:
        name, more, bound = rule.partition(">")
        if (more and (name != "slow" or not 0 <= float(bound) < float("inf"))) or (not more and name not in ("errors", "stopped")):
            raise ValueError(text)
    if not rules:
        raise ValueError(text)
    return rules


LIMITS = {"otlp": ("tempo", "jaeger", "langsmith", "none"), "langsmith": ("langsmith", "none")}
"""Names of limits by destination (`tracer.export.limits.NAMED`)."""


def limits(text: str) -> dict[str, str]:
    """Names of limits, each for the destination before `=`. `langsmith` alone is for LangSmith, other names alone are for OTLP.

    >>> limits("tempo"), limits("otlp=Jaeger, langsmith=langsmith")
    ({'otlp': 'tempo'}, {'otlp': 'jaeger', 'langsmith': 'langsmith'})
    """
    chosen: dict[str, str] = {}
    for entry in text.lower().split(","):
        place, is_given, name = (part.strip() for part in entry.rpartition("="))
        place = place if is_given else "langsmith" if name == "langsmith" else "otlp"
        if place in chosen or name not in LIMITS.get(place, ()):
            raise ValueError(text)
        chosen[place] = name
    return chosen


MASKS = ("secrets", "api_keys", "bearer", "jwt", "private_keys", "cards", "emails")
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def masks(text: str) -> tuple[str, ...]:
    """`off`, or names of built-in patterns and functions.

    >>> masks("secrets, shop.privacy:mask"), masks("off")
    (('secrets', 'shop.privacy:mask'), ())
    """
    entries = tuple(entry.strip() for entry in text.split(",") if entry.strip())
    if tuple(map(str.lower, entries)) in (("off",), ("none",), ("false",)):
        return ()
    entries = tuple(entry if ":" in entry else entry.lower() for entry in entries)
    if not entries or any(entry not in MASKS and not _FUNCTION.fullmatch(entry) for entry in entries):
        raise ValueError(text)
    return entries


def trusted_callers(text: str) -> tuple[str, ...]:
    """`none`, `all`, or hosts, addresses and networks.

    >>> trusted_callers("10.0.0.0/8, gateway.internal"), trusted_callers("none")
    (('10.0.0.0/8', 'gateway.internal'), ())
    """
    entries = tuple(entry.strip() for entry in text.split(",") if entry.strip())
    if entries == ("none",):
        return ()
    if ("none" in entries or "all" in entries) and len(entries) > 1:
        raise ValueError(text)
    for entry in entries:
        if "/" in entry:
            ip_network(entry, strict=False)
        elif not re.fullmatch(r"[A-Za-z0-9._:-]+", entry):
            raise ValueError(text)
    return entries


def provider_names(text: str) -> dict[str, str]:
    """Pairs of host (or host and port) and provider; both in lower case, none of them empty.

    >>> provider_names("LocalHost:8000=vllm")
    {'localhost:8000': 'vllm'}
    """
    named = {key.lower(): value.lower() for key, value in parsing.pairs(text).items()}
    if any("/" in key or not value for key, value in named.items()):
        raise ValueError(text)
    return named
