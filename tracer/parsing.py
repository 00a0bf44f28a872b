"""How the text of a setting becomes a value. Each parser raises `ValueError` for a text that it does not accept."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from ipaddress import ip_network
from typing import cast
from urllib.parse import unquote, urlsplit

MEBIBYTE = 1024 * 1024


class PartlyAcceptedError(ValueError):
    """A text of which a part is accepted: `value` is taken, and `used` says in words what that is."""

    def __init__(self, value: object, used: str) -> None:
        super().__init__(used)
        self.value = value
        self.used = used


def boolean(text: str) -> bool:
    """`true`, `1`, `yes`, `on` and their opposites, in any case.

    >>> boolean("Yes"), boolean("0")
    (True, False)
    """
    lowered = text.strip().lower()
    if lowered in ("true", "1", "yes", "on"):
        return True
    if lowered in ("false", "0", "no", "off"):
        return False
    raise ValueError(text)


def exactly_true(text: str) -> bool:
    """LangSmith's own rule: only `true` in lower case and without blanks is on. A near miss is reported, since it stays off."""
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def true_only(text: str) -> bool:
    """OpenTelemetry's rule: `true` or `false` in any case, no other words."""
    lowered = text.strip().lower()
    if lowered not in ("true", "false"):
        raise ValueError(text)
    return lowered == "true"


def boolean_or_path(text: str) -> bool | str:
    """A truth value; any other text is a path.

    >>> boolean_or_path("on"), boolean_or_path("calls.sqlite")
    (True, 'calls.sqlite')
    """
    try:
        return boolean(text)
    except ValueError:
        return text.strip()


def choice(*values: str) -> Callable[[str], str]:
    """One of `values`, in any case."""

    def parse(text: str) -> str:
        lowered = text.strip().lower()
        if lowered not in values:
            raise ValueError(text)
        return lowered

    return parse


def choice_list(*values: str) -> Callable[[str], tuple[str, ...]]:
    """A comma list of `values`, at least one.

    >>> choice_list("otlp", "console")("console, OTLP")
    ('console', 'otlp')
    """

    def parse(text: str) -> tuple[str, ...]:
        items = tuple(item.strip().lower() for item in text.split(",") if item.strip())
        if not items or any(item not in values for item in items):
            raise ValueError(text)
        return items

    return parse


def propagators(text: str) -> tuple[str, ...]:
    """A comma list of the formats of `OTEL_PROPAGATORS`, each once; `none` stands alone.

    >>> propagators("B3, baggage,b3"), propagators("none")
    (('b3', 'baggage'), ())
    """
    names = tuple(dict.fromkeys(choice_list("tracecontext", "baggage", "b3", "b3multi", "jaeger", "none")(text)))
    if "none" in names and len(names) > 1:
        raise ValueError(text)
    return () if names == ("none",) else names


def dialects(text: str) -> tuple[str, ...]:
    """What is to be told beside OpenTelemetry's names: a comma list of dialects, each once, without `otel`, which is always there.

    >>> dialects("OTel, phoenix"), dialects("otel")
    (('phoenix',), ())
    """
    names = choice_list("otel", "previous", "phoenix", "langfuse", "langsmith")(text)
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


def number(least: float, most: float) -> Callable[[str], float]:
    """A number within bounds; never NaN."""

    def parse(text: str) -> float:
        value = float(text)
        if not least <= value <= most:
            raise ValueError(text)
        return value

    return parse


def seconds(least: float) -> Callable[[str], float]:
    """A duration of at least `least`, and no longer than the operating system can wait: `inf` would raise where it is used."""
    return number(least, threading.TIMEOUT_MAX)


def milliseconds(text: str) -> float:
    """A duration of 0 or more milliseconds, no longer than the operating system can wait."""
    return number(0, threading.TIMEOUT_MAX)(text)


def export_seconds(text: str) -> float:
    """Seconds above 0. From 1000 on they are milliseconds, which the OpenTelemetry specification has and Python's SDK has not.

    >>> export_seconds("2.5")
    2.5
    """
    value = seconds(0.001)(text)
    if value >= 1000:
        raise PartlyAcceptedError(value / 1000, f"{value / 1000:g} seconds, as if it were milliseconds")
    return value


def whole(least: int) -> Callable[[str], int]:
    """A whole number of at least `least`."""

    def parse(text: str) -> int:
        value = int(text)
        if value < least:
            raise ValueError(text)
        return value

    return parse


def port(text: str) -> int:
    """A port number; 0 is any free one."""
    value = whole(0)(text)
    if value > 65_535:
        raise ValueError(text)
    return value


_UNITS = {"": 1, "b": 1, "kib": 1024, "kb": 1000, "mib": MEBIBYTE, "mb": 1000 * 1000, "gib": 1024**3, "gb": 1000**3}


def byte_count(text: str) -> int:
    """A number of bytes, with or without a unit.

    >>> byte_count("4 MiB"), byte_count("1.5kb"), byte_count("100")
    (4194304, 1500, 100)
    """
    lowered = text.strip().lower()
    digits = lowered.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = lowered[len(digits) :].strip()
    value = float(digits) * _UNITS.get(unit, -1)
    if not 1 <= value < float("inf"):
        raise ValueError(text)
    return int(value)


def stripped(text: str) -> str:
    """The text without surrounding blanks."""
    return text.strip()


def unquoted(text: str) -> str:
    """The text without surrounding blanks and quotes, which `.env` files tend to leave.

    >>> unquoted(' "key" ')
    'key'
    """
    return text.strip().strip("\"'").strip()


def url(text: str) -> str:
    """An address that starts with http:// or https:// and names a host."""
    address = unquoted(text)
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(text)
    _ = parts.port  # raises ValueError when it is no number
    return address


def base_url(text: str) -> str:
    """The same without `/` at its end, to which paths are added."""
    return url(text).rstrip("/")


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
        found[key] = base_url(value) if key == "api_url" and isinstance(value, str) else value
    return found


def true_or_one(text: str) -> bool:
    """`true` or `1` in any case is on, `false` or `0` off."""
    lowered = text.strip().lower()
    if lowered not in ("true", "1", "false", "0"):
        raise ValueError(text)
    return lowered in ("true", "1")


def endpoint(text: str) -> str:
    """An OTLP endpoint; gRPC also takes host:port without a scheme."""
    address = unquoted(text)
    if "://" in address:
        return url(address)
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(text)
    return address


def existing_file(text: str) -> str:
    """The path of a file that is there."""
    path = text.strip()
    if not os.path.isfile(path):
        raise ValueError(text)
    return path


def folder(text: str) -> str:
    """The path of a directory that is there or can be made; `~` is the home directory."""
    path = os.path.expanduser(text.strip())
    if os.path.exists(path) and not os.path.isdir(path):
        raise ValueError(text)
    return path


def pairs(text: str) -> dict[str, str]:
    """`key=value,key2=value2`, keys and values URL-decoded. What is no pair costs none of its neighbours.

    >>> pairs("team=search, region=eu%20west")
    {'team': 'search', 'region': 'eu west'}
    """
    return _pairs(text, _is_named)


def _pairs(text: str, accepted: Callable[[str, str], bool]) -> dict[str, str]:
    result: dict[str, str] = {}
    bad = 0
    for item in text.split(","):
        if not item.strip():
            continue
        key, separator, value = (unquote(part.strip()) for part in item.partition("="))
        if separator and accepted(key, value):
            result[key] = value
        else:
            bad += 1
    if bad and not result:
        raise ValueError(text)
    if bad:
        raise PartlyAcceptedError(result, f"the others ({', '.join(result)})")
    return result


def _is_named(key: str, _value: str) -> bool:
    return bool(key.strip())


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def headers(text: str) -> dict[str, str]:
    """Pairs of which HTTP can carry both sides; names are lower-cased."""
    try:
        return _lowered(_pairs(text, _is_header))
    except PartlyAcceptedError as partly:
        raise PartlyAcceptedError(_lowered(cast("dict[str, str]", partly.value)), partly.used) from None


def _is_header(name: str, value: str) -> bool:
    return bool(_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value))


def _lowered(named: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in named.items()}


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
    named = {key.lower(): value.lower() for key, value in pairs(text).items()}
    if any("/" in key or not value for key, value in named.items()):
        raise ValueError(text)
    return named


_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_QUERY = re.compile(r"(?<=\?)\S+")


def without_credentials(text: str) -> str:
    """The text with user names, passwords and query strings of addresses masked.

    >>> without_credentials("http://me:secret@host/v1?key=1")
    'http://****@host/v1?****'
    """
    return _QUERY.sub("****", _CREDENTIALS.sub("****", text))
