"""`LangSmithTransport`: runs to one LangSmith-style backend, in the best way that this backend takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tracer.call import Call
from tracer.export.http import Answer
from tracer.export.langsmith import wire
from tracer.export.langsmith.evaluations import FeedbackTransport
from tracer.export.langsmith.fitting import fitted
from tracer.export.langsmith.ids import is_sampled
from tracer.export.langsmith.run import LangSmithRun, run_of, start_of
from tracer.export.langsmith.server import BATCH, MALFORMED, MULTIPART, SINGLE, TIMEOUT, UNKNOWN, Server
from tracer.export.langsmith.targets import Target, targets_of
from tracer.export.notices import Notices
from tracer.export.transport import ACCEPTED, RETRY, Item, Limits, Packed, Verdict
from tracer.reading.record import Record
from tracer.settings import Settings

LEFT = "posted by "
"""How the reason begins why a record did not go to LangSmith from here; the rest is who posts it."""


def transports_of(settings: Settings) -> list[LangSmithTransport]:
    """A transport for each backend that the settings ask for."""
    return [LangSmithTransport(settings, target) for target in targets_of(settings)]


def feedback_transports_of(settings: Settings) -> list[FeedbackTransport]:
    """A transport of feedback for each of the same backends."""
    return [FeedbackTransport(settings, target) for target in targets_of(settings)]


class LangSmithTransport:
    """Records as runs to one target.

    Making one imports and opens nothing. The server is asked what it takes before the first request, in the sender's thread.
    """

    def __init__(self, settings: Settings, target: Target) -> None:
        self.name = target.name
        self.timeout = TIMEOUT
        self.frame = b""
        self._settings = settings
        self._target = target
        self._notices = Notices()
        self._server = Server(settings, target)
        self.place = self._server.place

    # The worker's side.

    def pack(self, records: Sequence[Record]) -> Packed:
        """One item for each run of a sampled trace."""
        packed = Packed()
        for record in records:
            if record.call.left_to:
                packed.delivery.drop(LEFT + record.call.left_to, 1)
                continue
            try:
                run = run_of(record, self._settings)
                if self._is_sampled(run):
                    packed.items.append(wire.item_of(self._target.adapted(run)))
                else:
                    packed.delivery.sampled_out += 1
            except Exception as error:
                packed.delivery.drop("unreadable", 1)
                self._notices.lost("unreadable", 1, f"a record could not be written as a LangSmith run ({error!r})")
        return packed

    def open(self, calls: Sequence[Call], /) -> list[Item]:
        """Creates of runs that go on."""
        items = [self._opening(call) for call in calls if not call.left_to]
        return [item for item in items if item is not None]

    def _opening(self, call: Call) -> Item | None:
        try:
            run = start_of(call, self._settings)
            return wire.item_of(self._target.adapted(run), opens=True) if self._is_sampled(run) else None
        except Exception:
            return None  # The run arrives whole when it is over, or is counted then.

    def _is_sampled(self, run: LangSmithRun) -> bool:
        return is_sampled(run.trace_id, self._settings.langsmith_sampling_rate)

    def shorten(self, item: Item, limit: int) -> dict[str, bytes] | None:
        """Cut inside inputs and outputs, or leave them out; then what else is large."""
        return fitted(item, limit)

    # The sender's side.

    def limits(self, timeout: float, /) -> Limits:
        """The server's limits as caps."""
        return self._server.limits(timeout)

    def send(self, items: Sequence[Item], timeout: float) -> Verdict:
        """Send the items in the best form that the server has not refused yet."""
        server = self._server
        try:
            answer = self._request(items, timeout)
            if answer.status in UNKNOWN and server.form == MULTIPART:
                server.form = BATCH
                answer = self._request(items, timeout)
        except Exception as error:
            return server.judge_error(error, timeout)
        # 409: the run is there already; an earlier answer got lost.
        if answer.ok or answer.status == 409:
            return Verdict(ACCEPTED)
        verdict = server.judge(answer, "the runs")
        if answer.status in MALFORMED:
            return replace(verdict, doubtful=True)
        if answer.status in UNKNOWN and server.form == BATCH:
            server.form = SINGLE
            return replace(verdict, outcome=RETRY, after=0.0)
        if answer.status in UNKNOWN and server.form == SINGLE and not items[0].follows:
            return server.no_such_backend(verdict)
        return verdict

    def _request(self, items: Sequence[Item], timeout: float) -> Answer:
        server = self._server
        if server.form == MULTIPART:
            return server.multipart(items, timeout)
        if server.form == BATCH:
            return server.json("POST", "/runs/batch", wire.batch(items), timeout)
        (item,) = items
        method, path = ("PATCH", f"/runs/{item.key}") if item.follows else ("POST", "/runs")
        return server.json(method, path, wire.single(item), timeout)

    def close(self) -> None:
        """Let go of connections."""
        self._server.close()
