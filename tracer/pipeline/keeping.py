"""`TRACER_KEEP`: whole traces that are worth it are recorded although the sampler said no.

Calls of unsampled traces wait here until the outermost call of this process ends; if one of them failed, was stopped or was slow, all are
recorded, else none. What waits is bounded; the oldest traces give way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tracer.call import FAILED, STOPPED, Call
from tracer.pipeline.weight import weight_of

ERRORS = "errors"
STOPPED_EARLY = "stopped"
SLOW = "slow"

_REMEMBERED = 4096
"""Decided traces that are remembered for calls that end after the outermost one."""

_OVERHEAD = 1024


@dataclass(slots=True, eq=False, repr=False)
class Decision:
    """What becomes of calls that waited: those to record and why, and the numbers of those left out, and of those that had no room."""

    keep: list[Call] = field(default_factory=list[Call])
    reason: str = ""
    left_out: int = 0
    no_room: int = 0


@dataclass(slots=True, eq=False, repr=False)
class _Trace:
    calls: list[Call] = field(default_factory=list[Call])
    bytes: int = 0


class Keeper:
    """`rules` as in the setting. `outcome_of` reads a call where its ending alone does not tell."""

    def __init__(self, rules: Sequence[str], most_records: int, most_bytes: int, outcome_of: Callable[[Call], str]) -> None:
        self._errors = ERRORS in rules
        self._stopped = STOPPED_EARLY in rules
        self._slow = min((float(rule.partition(">")[2]) for rule in rules if rule.startswith(SLOW)), default=float("inf"))
        self._most_records = most_records
        self._most_bytes = most_bytes
        self._outcome_of = outcome_of
        self._traces: dict[int, _Trace] = {}
        self._decided: OrderedDict[int, str] = OrderedDict()
        self.records = 0
        self.bytes = 0

    def consider(self, call: Call) -> Decision:
        """Take a call that has ended, and decide what can be decided."""
        root = call.root_run_id or call.trace_id
        decided = self._decided.get(root)
        if decided is not None:
            return Decision([call], decided) if decided else Decision(left_out=1)
        trace = self._traces.setdefault(root, _Trace())
        weight = weight_of(call) + _OVERHEAD
        trace.calls.append(call)
        trace.bytes += weight
        self.records += 1
        self.bytes += weight
        reason = self._reason(call)
        if reason or call.parent_run_id is None or call.parent_is_remote:
            calls = self._decide(root, reason)
            return Decision(calls, reason) if reason else Decision(left_out=len(calls))
        return self._make_room()

    def _reason(self, call: Call) -> str:
        failed = call.ending == FAILED or bool(call.attempts and (call.attempts[-1].status or 0) >= 400)
        if self._errors and failed:
            return ERRORS
        if self._stopped and call.ending == STOPPED and self._outcome_of(call) == STOPPED:
            return STOPPED_EARLY
        return SLOW if call.ended - call.started > self._slow * 1e9 else ""

    def _decide(self, root: int, reason: str) -> list[Call]:
        trace = self._traces.pop(root)
        self.records -= len(trace.calls)
        self.bytes -= trace.bytes
        self._decided[root] = reason
        if len(self._decided) > _REMEMBERED:
            self._decided.popitem(last=False)
        return trace.calls

    def _make_room(self) -> Decision:
        decision = Decision()
        while self._traces and (self.records > self._most_records or self.bytes > self._most_bytes):
            decision.no_room += len(self._decide(next(iter(self._traces)), ""))
        return decision
