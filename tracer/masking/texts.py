"""Every text of a record that masking has to see: taken out, masked, and put back all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, cast

import orjson

from tracer.call import Call, Failure
from tracer.evaluation import Feedback
from tracer.reading.generation import Generation, Message
from tracer.reading.record import Record

Mask = Callable[[str], str]

# Fields of a generation that are words of the protocol and names of models, not anybody's texts.
_OURS = frozenset(
    ("operation", "provider", "api_type", "request_model", "output_type", "service_tier", "finish_reasons", "response_id", "response_model")
    + ("response_service_tier", "system_fingerprint", "embedding_dimensions", "usage", "cost", "error_code", "chunk_kinds", "all_finished")
)
_FIELDS = tuple(name for name in Generation.__dataclass_fields__ if name not in _OURS)
_CALL_JSON = tuple(name for name in ("input_json", "output_json", "serialized_json") if name in Call.__dataclass_fields__)
_CALL_VALUES = ("metadata", "attributes", "tags", "session", "user", "name")
_texts = attrgetter(*_FIELDS)
_answered = attrgetter("answer", "error_message")
_call_values = attrgetter(*_CALL_VALUES)
_call_json = attrgetter(*_CALL_JSON)
# Values under these keys are words of the protocol: without them a message is none.
_STRUCTURE = frozenset(("type", "role", "finish_reason", "object"))


@dataclass(frozen=True, slots=True)
class Change:
    """A field and what is to stand in it."""

    owner: object
    field: str
    value: object

    def make(self) -> None:
        """Put it there."""
        setattr(self.owner, self.field, self.value)


@dataclass(frozen=True, slots=True)
class StackText:
    """A stack trace that is text already."""

    text: str

    def format(self) -> Iterator[str]:
        """The text."""
        yield self.text


def bytes_of(record: Record) -> bytes:
    """All texts of the record in one, to search it quickly; `ValueError` or `TypeError` where they cannot be written out."""
    call, generation = record.call, record.generation
    values: list[object] = list(_call_values(call))
    found = [data for data in _call_json(call) if data is not None]
    if generation is not None and (generation.request is None or generation.answer is None):
        values += _texts(generation)
    elif generation is not None:
        # Messages and parameters are made from request and answer, and need no search of their own.
        values += _answered(generation)
        body = generation.request_json
        # An escape could hide a character of ASCII from the search. A single character is found fifty times as fast as several.
        if body is not None and not (b"\\" in body and b"\\u00" in body):
            found.append(body)
        else:
            values.append(generation.request)
    found.append(orjson.dumps(values, default=_as_text, option=orjson.OPT_NON_STR_KEYS))
    found += [
        f"{failure.message}\n{stack_of(failure)}\n{getattr(failure, 'shown', '')}".encode("utf-8", "replace") for failure in _failures(call)
    ]
    return b"\n".join(found)


def masked(record: Record, mask: Mask) -> list[Change]:
    """What has to be changed so that every text of the record is masked; nothing is changed yet."""
    changes: list[Change] = []
    generation, call = record.generation, record.call
    if generation is not None:
        changes += [Change(generation, name, _masked(getattr(generation, name), mask)) for name in _FIELDS]
    if call.masked:
        return changes  # Another destination's reading of the same call has done it.
    return [*changes, *masked_call(call, mask)]


def masked_call(call: Call, mask: Mask) -> list[Change]:
    """The same for what the call itself holds."""
    changes = [Change(call, name, _masked(getattr(call, name), mask)) for name in (*_CALL_JSON, *_CALL_VALUES)]
    changes.append(Change(call, "masked", True))
    if call.failure is not None:
        changes.append(Change(call, "failure", _masked_failure(call.failure, mask)))
    changes += [
        Change(attempt, "failure", _masked_failure(attempt.failure, mask)) for attempt in call.attempts if attempt.failure is not None
    ]
    return changes


def withheld(record: Record, reason: str) -> list[Change]:
    """What has to be changed so that nothing is left that should have been masked, and a mark says so."""
    changes: list[Change] = []
    call, generation = record.call, record.generation
    if generation is not None:
        changes += [Change(generation, name, _emptied(getattr(generation, name))) for name in _FIELDS]
    changes += [Change(call, name, None) for name in (*_CALL_JSON, "session", "user")]
    changes += [Change(call, "tags", ()), Change(call, "masked", True), Change(record, "withheld", reason)]
    changes += [Change(call, "metadata", {MARK: reason}), Change(call, "attributes", {MARK: reason})]
    if call.failure is not None:
        changes.append(Change(call, "failure", _bare(call.failure)))
    changes += [Change(attempt, "failure", _bare(attempt.failure)) for attempt in call.attempts if attempt.failure is not None]
    return changes


_JUDGEMENT = ("value", "comment", "correction")


def masked_feedback(feedback: Feedback, mask: Mask) -> list[Change]:
    """What has to be changed in feedback so that every text of it is masked."""
    return [Change(feedback, name, _masked(getattr(feedback, name), mask)) for name in _JUDGEMENT]


def withheld_feedback(feedback: Feedback, reason: str) -> list[Change]:
    """What has to be changed in feedback so that nothing is left that should have been masked; the score stays."""
    told = any(getattr(feedback, name) is not None for name in _JUDGEMENT)
    changes = [Change(feedback, name, None) for name in _JUDGEMENT]
    return [*changes, Change(feedback, "comment", f"({reason})")] if told else []


MARK = "tracer.content.withheld"
"""Says why a record has no content: `mask failed` or `mask too slow`."""


def stack_of(failure: Failure) -> str:
    """The stack trace as text; empty where there is none or it cannot be written."""
    if failure.trace is None:
        return ""
    try:
        return "".join(failure.trace.format())
    except Exception:
        # Formatting runs code of the caller's own exception classes and reads source files.
        return ""


def _failures(call: Call) -> Iterator[Failure]:
    for holder in (call, *call.attempts):
        if holder.failure is not None:
            yield holder.failure


def _masked(value: Any, mask: Mask) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, bytes):
        return _masked_json(value, mask)
    if isinstance(value, dict):
        entries = cast("dict[Any, Any]", value)
        return {key: item if key in _STRUCTURE and isinstance(item, str) else _masked(item, mask) for key, item in entries.items()}
    if isinstance(value, list):
        return [_masked(item, mask) for item in cast("list[Any]", value)]
    if isinstance(value, tuple):
        return tuple(_masked(item, mask) for item in cast("tuple[Any, ...]", value))
    if isinstance(value, Message):
        return replace(value, parts=_masked(value.parts, mask), name=_masked(value.name, mask))
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask(_as_text(value))


def _masked_json(data: bytes, mask: Mask) -> bytes:
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError:
        return mask(data.decode("utf-8", "replace")).encode("utf-8", "replace")
    return orjson.dumps(_masked(value, mask))


def _masked_failure(failure: Failure, mask: Mask) -> Failure:
    stack = stack_of(failure)
    changed: Any = {"shown": mask(shown)} if (shown := getattr(failure, "shown", "")) else {}
    return replace(failure, message=mask(failure.message), trace=StackText(mask(stack)) if stack else None, **changed)


def _bare(failure: Failure) -> Failure:
    return Failure(failure.type, "", failure.code, failure.status)


def _emptied(value: object) -> object:
    if isinstance(value, list):
        return []
    return {} if isinstance(value, dict) else None


def _as_text(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"
