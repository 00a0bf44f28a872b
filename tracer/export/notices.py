"""Notices about lost records: one line per reason and minute, and silence for other libraries while we export."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracer.settings import Settings

INTERVAL = 60.0
"""Seconds between two lines for the same reason."""

logger = logging.getLogger("tracer")


class Notices:
    """Says each reason at most once a minute, with the number of records since the last line."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}
        self._records: dict[str, int] = {}
        self._texts: dict[str, tuple[str, str]] = {}
        # The worker and a sender's thread both have things to say.
        self._lock = threading.Lock()

    def lost(self, reason: str, records: int, text: str, advice: str = "") -> None:
        """Count `records` lost for `reason` and log `tracer: <text>; <n> records dropped. <advice>` if it is time for a line."""
        with self._lock:
            count = self._records.get(reason, 0) + records
            due = self._is_due(reason)
            self._records[reason] = 0 if due else count
            self._texts[reason] = text, advice
        if due:
            _say_lost(count, text, advice)

    def rest(self) -> None:
        """Say what was counted since the last line of each reason, whether it is time or not: nothing comes after this."""
        with self._lock:
            left = [(count, *self._texts[reason]) for reason, count in self._records.items() if count]
            self._records.clear()
        for count, text, advice in left:
            _say_lost(count, text, advice)

    def waiting(self, reason: str, records: int, text: str, advice: str = "") -> None:
        """Log that `records` wait because of `reason`, if it is time for a line; nothing is lost yet."""
        with self._lock:
            due = self._is_due(f"waiting {reason}")
        if due:
            noun = "waits" if records == 1 else "wait"
            logger.warning("tracer: %s; %s %s to be sent.%s", text, records_text(records), noun, f" {advice}" if advice else "")

    def _is_due(self, reason: str) -> bool:
        now = time.monotonic()
        if now - self._said.get(reason, -INTERVAL) < INTERVAL:
            return False
        self._said[reason] = now
        return True


def _say_lost(count: int, text: str, advice: str) -> None:
    logger.warning("tracer: %s; %s dropped.%s", text, records_text(count), f" {advice}" if advice else "")


def records_text(count: int) -> str:
    """A number of records in words.

    >>> records_text(1), records_text(12)
    ('1 record', '12 records')
    """
    return f"{count} record" if count == 1 else f"{count} records"


_warned: set[str] = set()


def warn_once(text: str) -> None:
    """Log a line the first time it comes up in this process, however often destinations are made."""
    if text not in _warned:
        _warned.add(text)
        logger.warning("tracer: %s", text)


def no_place_for_events(settings: Settings) -> str:
    """What is said where events of model calls are asked for and nothing takes them."""
    lost = "" if settings.content_on_spans else ", so OpenTelemetry gets no prompts and answers"
    return (
        f"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT={(settings.capture_message_content or '').upper()} asks for events, and there "
        f"is nowhere for them to go{lost}: set OTEL_EXPORTER_OTLP_LOGS_ENDPOINT or OTEL_LOGS_EXPORTER=otlp, or a logger provider of "
        "OpenTelemetry."
    )


class _Quiet(threading.local):
    on = False


_quiet = _Quiet()
_SILENCED = ("opentelemetry.", "urllib3.", "requests.")


class _DropOurs(logging.Filter):
    """Drops what other libraries log while they work for us; a host application's own exporter keeps its log."""

    def filter(self, record: logging.LogRecord) -> bool:
        _ = record
        return not _quiet.on


_drop_ours = _DropOurs()


def silence_exporters() -> None:
    """Put the filter on every logger of the exporters, once they are imported; doing it again changes nothing.

    Filters hold for the very logger only, not for those below it, and the names differ from version to version.
    """
    for name, found in list(logging.root.manager.loggerDict.items()):
        if name.startswith(_SILENCED) and isinstance(found, logging.Logger) and _drop_ours not in found.filters:
            found.addFilter(_drop_ours)


@contextmanager
def quiet() -> Generator[None, None, None]:
    """While it is open, this thread's calls into the exporters log nothing."""
    before = _quiet.on
    _quiet.on = True
    try:
        yield
    finally:
        _quiet.on = before
