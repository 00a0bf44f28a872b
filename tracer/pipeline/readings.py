"""A finished call, read once for all destinations: what was asked and answered, what it cost, and without what is to be masked."""

from __future__ import annotations

from collections import OrderedDict

from tracer.call import UNFINISHED, Call
from tracer.cost import Prices
from tracer.evaluation import Feedback
from tracer.masking.masker import Masker
from tracer.reading import read_call
from tracer.reading.answer import UNDER_WAY
from tracer.reading.generation import Generation
from tracer.reading.record import Record
from tracer.runtime import logger, report_fault, runtime
from tracer.settings import Settings

_MOST_AWAITED = 10_000


class CallReader:
    """Reads calls, and keeps the prices it has looked up and the answers whose tokens are still to be told."""

    def __init__(self, settings: Settings) -> None:
        self._masker = Masker(settings.mask, settings.mask_timeout) if settings.mask else None
        self._prices = Prices(settings.prices)
        self._background = Background()
        if self._prices.problem:
            logger.warning("tracer: %s", self._prices.problem)

    def warm_up(self) -> None:
        """Load the bundled prices, which takes a third of a second."""
        self._prices.rates_of("openai", "gpt-4o-mini")

    @staticmethod
    def unread(call: Call) -> Record:
        """The record of a call whose reading failed, without content: what was not read was not masked either."""
        call.content_inputs = call.content_outputs = False
        return Record(call, call.ending or UNFINISHED)

    def read(self, call: Call) -> Record:
        """Read a call; one that cannot be read gives a record without a generation."""
        try:
            record = read_call(call)
            if record.generation is not None:
                self._background.settle(record.generation)
                record.generation.cost = self._prices.cost_of(record.generation)
                _learn(record)
        except Exception as fault:
            if not report_fault("reading a call", fault):
                logger.error("tracer: reading a call failed", exc_info=fault)
            record = Record(call, call.ending)
        if self._masker is not None:
            self._masker.mask(record)
        return record

    def judged(self, feedback: Feedback) -> Feedback:
        """Feedback as it may be shown: masked, if anything is to be."""
        if self._masker is not None:
            self._masker.mask_feedback(feedback)
        return feedback

    def preview(self, call: Call) -> Call:
        """A call that goes on as it may be shown: masked, if anything is to be."""
        return call if self._masker is None else self._masker.preview(call)


class Background:
    """Answers that are made in the background: their tokens count once, at the first fetch that tells of them.

    The call that asked for such an answer ends before its tokens are known, and whoever waits fetches it again and again. Only what
    this process asked for is counted: another process that looks at the answer must not count it a second time.
    """

    def __init__(self) -> None:
        # With a host provider calls are read in the threads of the callers: each step below is one that nothing comes between.
        self._awaited: OrderedDict[str, bool] = OrderedDict()

    def settle(self, generation: Generation) -> None:
        """Remember an answer that is under way without usage, or give its usage to the fetch that brought it."""
        id_ = generation.response_id
        if id_ is None:
            return
        if generation.operation != _FETCH:
            if generation.usage is None and generation.response_status in UNDER_WAY:
                self._awaited[id_] = True
                if len(self._awaited) > _MOST_AWAITED:
                    self._awaited.popitem(last=False)
        elif generation.fetched_usage is not None and generation.response_status not in UNDER_WAY and self._awaited.pop(id_, False):
            generation.usage = generation.fetched_usage


_FETCH = "fetch_response"


def _learn(record: Record) -> None:
    """Remember endpoints that send usage on a stream although nobody asked."""
    call, generation = record.call, record.generation
    if generation is None or not call.streaming or call.asked_usage or call.operation != "chat" or generation.usage is None:
        return
    options = (generation.request or {}).get("stream_options")
    if not (isinstance(options, dict) and "include_usage" in options):
        runtime.usage_unasked.add(call.endpoint)
