"""A finished call, read once for all destinations: what was asked and answered, what it cost, and without what is to be masked."""

from __future__ import annotations

from tracer.call import Call
from tracer.cost import Prices
from tracer.masking.masker import Masker
from tracer.reading import read_call
from tracer.reading.record import Record
from tracer.runtime import logger, report_fault, runtime
from tracer.settings import Settings


class CallReader:
    """Reads calls and keeps the prices it has looked up."""

    def __init__(self, settings: Settings) -> None:
        self._masker = Masker(settings.mask, settings.mask_timeout) if settings.mask else None
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
        if self._masker is not None:
            self._masker.mask(record)
        return record

    def preview(self, call: Call) -> Call:
        """A call that goes on as it may be shown: masked, if anything is to be."""
        return call if self._masker is None else self._masker.preview(call)


def _learn(record: Record) -> None:
    """Remember endpoints that send usage on a stream although nobody asked."""
    call, generation = record.call, record.generation
    if generation is None or not call.streaming or call.asked_usage or call.operation != "chat" or generation.usage is None:
        return
    options = (generation.request or {}).get("stream_options")
    if not (isinstance(options, dict) and "include_usage" in options):
        runtime.usage_unasked.add(call.endpoint)
