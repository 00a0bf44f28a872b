"""A finished call, read once for a destination: what was asked and answered, and what it cost."""

from __future__ import annotations

from tracer.call import Call
from tracer.cost import Prices
from tracer.reading import read_call
from tracer.reading.record import Record
from tracer.runtime import logger, report_fault, runtime
from tracer.settings import Settings


class CallReader:
    """Reads calls and keeps the prices it has looked up."""

    def __init__(self, settings: Settings) -> None:
        self._prices = Prices(settings.prices)
        if self._prices.problem:
            logger.warning("tracer: %s", self._prices.problem)

    def warm_up(self) -> None:
        """Load the bundled prices, which takes a third of a second."""
        self._prices.rates_of("openai", "gpt-4o-mini")

    def read(self, call: Call) -> Record:
        """Read a call; one that cannot be read gives a record without a generation."""
        try:
            record = read_call(call)
            if record.generation is not None:
                record.generation.cost = self._prices.cost_of(record.generation)
                _learn(record)
        except Exception as fault:
            if not report_fault("reading a call", fault):
                logger.error("tracer: reading a call failed", exc_info=fault)
            record = Record(call, call.ending)
        return record


def _learn(record: Record) -> None:
    """Remember endpoints that send usage on a stream although nobody asked."""
    call, generation = record.call, record.generation
    if generation is None or not call.streaming or call.asked_usage or call.operation != "chat" or generation.usage is None:
        return
    options = (generation.request or {}).get("stream_options")
    if not (isinstance(options, dict) and "include_usage" in options):
        runtime.usage_unasked.add(call.endpoint)
