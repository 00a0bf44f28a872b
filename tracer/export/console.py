"""`ConsoleDestination`: one readable block for each call on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from tracer.call import EMBEDDING, LLM
from tracer.export.attributes import error_type_of
from tracer.export.destination import Delivery
from tracer.export.spans import span_name
from tracer.export.wording import duration, money, one_line, part_text, printable, tokens
from tracer.reading.generation import Message
from tracer.reading.record import Record
from tracer.settings import Settings

_LINE = 160


class ConsoleDestination:
    """Prints calls as they end: name, outcome, duration, tokens, cost, first chunk, error, and the content in short where it is recorded.

    `stream` is stderr unless given; it is looked up at each export, since programs replace it.
    """

    name = "console"

    def __init__(self, settings: Settings, stream: TextIO | None = None) -> None:  # noqa: ARG002
        self._stream = stream
        self._closed = False

    def export(self, records: Sequence[Record]) -> Delivery:
        """Write one block for each record."""
        stream = self._stream or sys.stderr
        delivery = Delivery()
        for record in records:
            reason = "closed" if self._closed else _write(stream, record)
            if reason is None:
                delivery.exported += 1
            else:
                delivery.drop(reason, 1)
        return delivery

    def close(self, timeout: float = 0.0) -> None:  # noqa: ARG002
        """Nothing is open; the stream is not ours."""
        self._closed = True


def _write(stream: TextIO | None, record: Record) -> str | None:
    """Print a record; the reason when it cannot be done. There is no stderr in programs without a terminal on Windows."""
    if stream is None:
        return "no stderr"
    try:
        text = block(record)
    except Exception:
        return "encoding"
    try:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        # One write for each block, so that blocks of several threads do not mix.
        stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()
    except (OSError, ValueError, LookupError):
        return "no stderr"
    return None


def block(record: Record) -> str:
    """The lines for one record, with a line break at the end."""
    lines = [printable(" · ".join(item for item in _facts(record) if item))]
    lines.extend(f"    {label}: {one_line(text, _LINE)}" for label, text in _details(record) if text)
    return "tracer: " + "\n".join(lines) + "\n"


def _facts(record: Record) -> list[str]:
    call, generation = record.call, record.generation
    usage = generation.usage if generation else None
    cost = generation.cost if generation else None
    first = record.clocks.time_to_first_chunk
    attempts = len(call.attempts)
    return [
        span_name(record),
        record.outcome,
        duration(max(call.ended - call.started, 0) / 1e9),
        tokens(usage.input, usage.output) if usage else ("tokens not reported" if call.kind in (LLM, EMBEDDING) and generation else ""),
        money(cost.total, cost.currency) if cost else "",
        f"first chunk {duration(first)}" if first is not None else "",
        f"{attempts} attempts" if attempts > 1 else "",
        f"session {call.session}" if call.session else "",
    ]


def _details(record: Record) -> list[tuple[str, str]]:
    call, generation = record.call, record.generation
    details: list[tuple[str, str]] = []
    if call.content_inputs:
        details.append(("input", _messages(generation.input_messages[-1:]) if generation else _json_text(call.input_json)))
    if call.content_outputs:
        details.append(("output", _messages(generation.output_messages) if generation else _json_text(call.output_json)))
    failure = error_type_of(record)
    if failure is not None:
        message = (call.failure.message if call.failure else "") or (generation.error_message if generation else "") or ""
        details.append(("error", f"{failure}: {message}" if message else failure))
    return details


def _messages(messages: list[Message]) -> str:
    return " | ".join(f"{message.role}: {' '.join(part_text(part) for part in message.parts)}" for message in messages)


def _json_text(data: bytes | None) -> str:
    return data[: 4 * _LINE].decode("utf-8", "replace") if data else ""
