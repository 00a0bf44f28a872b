"""Whose headers are believed, and what is said of those that are not."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from tracer.runtime import logger, ready


def trusted(client: str | None) -> bool:
    """Whether headers of this caller are believed, by `TRACER_TRUST_HEADERS`."""
    allowed = ready().settings.trust_headers
    if "all" in allowed:
        return True
    if client is None or not allowed:
        return False
    return any(_matches(client, entry) for entry in allowed)


def _matches(client: str, entry: str) -> bool:
    if client == entry:
        return True
    try:
        return ip_address(client) in ip_network(entry, strict=False)
    except ValueError:
        return False


_said: set[str] = set()


def say(reason: str, text: str) -> None:
    """One log line for each reason, whoever gives occasion for it: callers must not be able to fill the log."""
    if reason not in _said:
        _said.add(reason)
        logger.warning("tracer: %s", text)
