"""What the commands say of spans and traces, in words: the same in the terminal and on the page."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tracer.call import EMBEDDING, FAILED, LLM, STOPPED
from tracer.cli.forest import Totals
from tracer.export import names
from tracer.export.wording import money
from tracer.store.reader import Trace, attributes_of, tags_of
from tracer.store.rows import ATTEMPT, SpanRow


def calls_words(sums: Totals) -> str:
    """How many model calls.

    >>> calls_words(Totals(calls=2))
    '2 model calls'
    """
    return "1 model call" if sums.calls == 1 else f"{sums.calls} model calls"


def cost_words(sums: Totals) -> str:
    """The cost of a trace, and how many calls it is known for if not for all; empty where nothing is known.

    >>> from collections import Counter
    >>> cost_words(Totals(calls=3, priced=1, cost=Counter(USD=0.5)))
    '$0.50 (known for 1 of 3 calls)'
    """
    cost = " + ".join(money(total, currency) for currency, total in sums.cost.items())
    return cost + (f" (known for {sums.priced} of {sums.calls} calls)" if cost and sums.priced < sums.calls else "")


def shared_tags(trace: Trace) -> list[str]:
    """Tags that every span has, in their order; they are said once, for the trace."""
    of_spans = [tags_of(row) for row in trace.spans if row.kind != ATTEMPT]
    return [tag for tag in (of_spans[0] if of_spans else []) if all(tag in tags for tags in of_spans)]


def shared_session(trace: Trace) -> str | None:
    """The session, where all spans agree on it."""
    sessions = {row.session for row in trace.spans if row.kind != ATTEMPT}
    return sessions.pop() if len(sessions) == 1 else None


def shared_user(trace: Trace) -> str | None:
    """The user, where all spans agree on it."""
    users = {row.user for row in trace.spans if row.kind != ATTEMPT}
    return users.pop() if len(users) == 1 else None


def no_tokens(row: SpanRow) -> str:
    """What stands in place of tokens that a call should have and has not."""
    return "tokens not reported" if row.kind in (LLM, EMBEDDING) and row.outcome != FAILED else ""


def ending(row: SpanRow, chunks: object) -> str:
    """How a span ended, in a word or a few."""
    if row.outcome != STOPPED or chunks is None:
        return row.outcome
    return "stopped after 1 chunk" if chunks == 1 else f"stopped after {chunks} chunks"


def error_words(row: SpanRow) -> str:
    """Type and message of an error; empty where there was none."""
    return f"{row.error_type or ''} {row.error_message or ''}".strip()


def value_words(value: object) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(slots=True)
class AttemptFacts:
    """One HTTP request of a call that was tried more than once: `result` is a status or the type of an error, `wait` in seconds."""

    number: int
    result: str
    wait: float | None


def attempt_facts(row: SpanRow) -> AttemptFacts:
    """What the span of an attempt says."""
    attributes = attributes_of(row)
    status = attributes.get(names.HTTP_RESPONSE_STATUS_CODE)
    return AttemptFacts(
        number=int(attributes.get(names.HTTP_REQUEST_RESEND_COUNT, 0)) + 1,
        result=str(status) if status is not None else row.error_type or "",
        wait=attributes.get(names.ATTEMPT_WAIT),
    )
