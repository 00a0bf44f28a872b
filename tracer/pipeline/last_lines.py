"""What is said at the end of a process about records that did not arrive whole, or not yet."""

from __future__ import annotations

from collections.abc import Sequence

from tracer.export.notices import records_text
from tracer.runtime import logger


def say_lost(records: int, overflow: int, troubles: Sequence[str]) -> None:
    """The line for what is lost; senders have said what they lost before. `overflow` are those that the queue had no room for."""
    if overflow:
        logger.warning(
            "tracer: %s came faster than they could be read and did not fit into the queue (TRACER_QUEUE_RECORDS)%s",
            records_text(overflow),
            f"; {records_text(records)} more could not be sent before the end of the process (TRACER_EXIT_TIMEOUT)" if records else "",
        )
        return
    if not records:
        return
    text = "tracer: %s could not be sent before the end of the process (TRACER_EXIT_TIMEOUT)%s"
    logger.warning(text, records_text(records), _joined(troubles))


def say_shortened(records: int) -> None:
    """The line for what had to go without its contents to be in time."""
    if records:
        text = "tracer: %s went without prompts and answers, which could not be read before the end of the process (TRACER_EXIT_TIMEOUT)"
        logger.warning(text, records_text(records))


def say_spooled(records: int, folder: str | None, troubles: Sequence[str]) -> None:
    """The line for what could not be sent and is not lost."""
    if records:
        text = "tracer: %s could not be sent yet; they are kept in %s (TRACER_SPOOL) for the next process or `tracer flush`%s"
        logger.warning(text, records_text(records), folder, _joined(troubles) or ".")


def _joined(troubles: Sequence[str]) -> str:
    return f": {' '.join(troubles)}" if troubles else ""
