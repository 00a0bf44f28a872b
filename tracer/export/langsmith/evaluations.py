"""`FeedbackTransport`: feedback to one LangSmith-style backend, many in a request beside runs where that is possible, else one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import orjson

from tracer.call import Call
from tracer.dotted_order import iso
from tracer.evaluation import API, MODEL, Feedback
from tracer.export import names
from tracer.export.http import Answer
from tracer.export.langsmith import wire
from tracer.export.langsmith.ids import derived_id, is_sampled
from tracer.export.langsmith.server import MALFORMED, MULTIPART, SINGLE, TIMEOUT, UNKNOWN, Server
from tracer.export.langsmith.targets import Target
from tracer.export.notices import Notices
from tracer.export.texts import shorten_text, well_formed
from tracer.export.transport import ACCEPTED, REFUSED, RETRY, Item, Limits, Packed, Verdict
from tracer.export.values import json_bytes
from tracer.settings import Settings

FIRST_VERSION = (0, 8, 10)
"""The first version of the backend that takes feedback beside runs."""

PART = "feedback"
"""The only part of an item, and what its name in a form begins with."""

MOST_UNKNOWN = 6
"""So often feedback is tried although the backend does not know its run, which may be on its way still."""

_DECIMALS = 4
_CONTENTS = ("correction", "value", "comment")
_NO_RUN = "Check that the run with this id was sent there (LANGSMITH_ENDPOINT, LANGSMITH_PROJECT)."


class FeedbackTransport:
    """Feedback on runs of one target. It bears the id that it got when it was given: what arrives twice is one."""

    def __init__(self, settings: Settings, target: Target) -> None:
        self.name = f"{target.name} feedback"
        self.timeout = TIMEOUT
        self.frame = b""
        self._rate = settings.langsmith_sampling_rate
        self._project = settings.langsmith_project
        self._target = target
        self._notices = Notices()
        self._server = Server(settings, target)
        self._unknown: dict[str, int] = {}
        self.place = self._server.place

    # The worker's side.

    def pack(self, records: Sequence[Feedback]) -> Packed:
        """One item for each on a run of a sampled trace."""
        packed = Packed()
        for feedback in records:
            try:
                if is_sampled(str(UUID(int=feedback.root_run_id or feedback.run_id)), self._rate):
                    packed.items.append(self._item(feedback))
                else:
                    packed.delivery.sampled_out += 1
            except Exception as error:
                packed.delivery.drop("encoding", 1)
                self._notices.lost("encoding", 1, f"feedback could not be written for LangSmith ({error!r})")
        return packed

    def _item(self, feedback: Feedback) -> Item:
        target = self._target

        def named(number: int) -> str:
            text = str(UUID(int=number))
            # Where runs have other ids, so has what is said of them.
            return derived_id(text, target.project or self._project) if target.derived else text

        key = named(feedback.id)
        return Item({PART: json_bytes(_fields(feedback, key, named))}, key=key, overhead=wire.PART_OVERHEAD)

    def open(self, _: Sequence[Call], /) -> list[Item]:
        """Calls that go on are none of its business."""
        return []

    def shorten(self, item: Item, limit: int) -> dict[str, bytes] | None:
        """Cut the comment, and leave out what is no text."""
        fields = cast("dict[str, Any]", orjson.loads(item.parts[PART]))
        if not any(isinstance(fields.get(name), str | dict | list) for name in _CONTENTS):
            return None
        for name in _CONTENTS:
            value: object = fields.get(name)
            excess = len(json_bytes(fields)) + item.overhead + _MARK - limit
            if excess <= 0:
                break
            if isinstance(value, str):
                fields[name] = shorten_text(value, max(len(value.encode()) - excess, 0))
            elif isinstance(value, dict | list):
                del fields[name]
        fields["extra"] = {names.CONTENT_TRUNCATED: True}
        return {PART: json_bytes(fields)}

    # The sender's side.

    def limits(self, timeout: float, /) -> Limits:
        """Those of the server; one by one where it takes no feedback beside runs."""
        limits = self._server.limits(timeout)
        return limits if self._may_ride() else replace(limits, most_items=1)

    def _may_ride(self) -> bool:
        return self._server.form == MULTIPART and self._server.info.version >= FIRST_VERSION

    def send(self, items: Sequence[Item], timeout: float) -> Verdict:
        """Send them together as far as possible. What came before a failure is sent again with it, which does no harm."""
        together = [item for item in items if self._may_ride() and _knows_trace(item)]
        try:
            if together:
                answer = self._server.multipart(together, timeout)
                if answer.status in UNKNOWN:
                    self._server.form = SINGLE
                    together = []
                elif not _is_taken(answer):
                    return self._judged(answer, items)
            for item in items:
                if item not in together:
                    answer = self._server.json("POST", "/feedback", item.parts[PART], timeout)
                    if not _is_taken(answer):
                        return self._judged(answer, items)
                    self._unknown.pop(item.key, None)
        except Exception as error:
            return self._server.judge_error(error, timeout)
        return Verdict(ACCEPTED)

    def _judged(self, answer: Answer, items: Sequence[Item]) -> Verdict:
        verdict = self._server.judge(answer, "feedback")
        if answer.status in UNKNOWN:
            return self._without_run(verdict, items)
        return replace(verdict, doubtful=True) if answer.status in MALFORMED else verdict

    def _without_run(self, verdict: Verdict, items: Sequence[Item]) -> Verdict:
        """The run may be on its way. Each is asked about by itself."""
        verdict = replace(verdict, advice=_NO_RUN, doubtful=True)
        if len(items) > 1:
            return replace(verdict, outcome=REFUSED)
        key = items[0].key
        self._unknown[key] = self._unknown.get(key, 0) + 1
        if self._unknown[key] < MOST_UNKNOWN:
            return replace(verdict, outcome=RETRY)
        del self._unknown[key]
        return replace(verdict, outcome=REFUSED)

    def close(self) -> None:
        """Let go of connections."""
        self._server.close()


_MARK = 60  # Bytes of the note that something was left out.


def _fields(feedback: Feedback, key: str, named: Any) -> dict[str, object]:
    time = iso(feedback.time // 1000)
    source: dict[str, object] = {"type": feedback.source if feedback.source in (API, MODEL) else API}
    if feedback.source not in (API, MODEL):
        source["metadata"] = {"source": well_formed(feedback.source)}
    score = feedback.score
    fields: dict[str, object | None] = {
        "id": key,
        "created_at": time,
        "modified_at": time,
        "run_id": named(feedback.run_id),
        "trace_id": named(feedback.root_run_id) if feedback.root_run_id else None,
        "key": well_formed(feedback.key),
        "score": round(score, _DECIMALS) if isinstance(score, float) else score,
        "value": feedback.value,
        "comment": feedback.comment,
        "correction": feedback.correction,
        "feedback_source": source,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _knows_trace(item: Item) -> bool:
    return "trace_id" in cast("dict[str, object]", orjson.loads(item.parts[PART]))


def _is_taken(answer: Answer) -> bool:
    # 409: it is there already; an earlier answer got lost.
    return answer.ok or answer.status == 409
