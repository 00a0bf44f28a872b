"""How the text of a setting becomes a value. Each parser raises `ValueError` for a text that it does not accept."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
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


def header_value(text: str) -> str:
    """The same for what is sent in a header, which takes no line breaks and no letters beyond ASCII."""
    value = unquoted(text)
    if not value.isascii() or not value.isprintable():
        raise ValueError(text)
    return value


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


NOWHERE = ""
"""An address that was given and cannot be used: what was meant for it goes nowhere else."""


def own_base_url(text: str) -> str:
    """A base URL in the place of which the default, somebody else's host, must not be taken."""
    try:
        return base_url(text)
    except ValueError:
        raise PartlyAcceptedError(NOWHERE, "none, and nothing is sent to the default") from None


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


_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_QUERY = re.compile(r"(?<=\?)\S+")


def without_credentials(text: str) -> str:
    """The text with user names, passwords and query strings of addresses masked.

    >>> without_credentials("http://me:secret@host/v1?key=1")
    'http://****@host/v1?****'
    """
    return _QUERY.sub("****", _CREDENTIALS.sub("****", text))
