"""What the arguments of `tracer.feedback` say, as one `Feedback`; plain values, read at once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import cast

from tracer.call import Call
from tracer.capture.jsonable import snapshot
from tracer.capture.run import Run, call_of
from tracer.evaluation import Feedback
from tracer.runtime import runtime
from tracer.scope import new_run_id

FIX_RUN = "Give a handle (`with tracer.trace(…) as run`, `tracer.current()`) or the run's id (`run.id`)."


@dataclass(slots=True)
class Unusable(Exception):  # noqa: N818
    """An argument has the right type and a value of no use. `argument` names it; the text is a sentence with value and fix."""

    argument: str
    text: str

    def __str__(self) -> str:
        return self.text


def feedback_of(
    run: object,
    key: object,
    score: object = None,
    value: object = None,
    comment: object = None,
    correction: object = None,
    source: object = "api",
) -> Feedback:
    """The arguments as a record. Raises `TypeError` for one of a wrong type, `Unusable` for a value that says nothing."""
    call, run_id = call_and_id(run)
    now = time.time_ns()
    feedback = Feedback(
        id=new_run_id(now),
        run_id=run_id,
        key=_words("key", key, "Name what is judged, such as 'helpful'."),
        score=_score(score),
        value=snapshot(value),
        comment=_text("comment", comment),
        correction=_correction(correction),
        source=_words("source", source, "Say who judges: 'api', 'model', or a word of your own."),
        time=now,
    )
    if call is not None:
        feedback.root_run_id = call.root_run_id or call.trace_id
        feedback.trace_id, feedback.span_id = call.trace_id, call.span_id
        feedback.sampled = call.sampled or bool(runtime.settings.keep)
    return feedback


def call_and_id(run: object) -> tuple[Call | None, int]:
    """The run id of a handle or an id, and its call where that is known here. Raises as `feedback_of`."""
    if isinstance(run, Run):
        call = call_of(run)
        if call is None:
            raise Unusable("run", "run was not recorded: tracing was off where it began.")
        return call, call.run_id
    run_id = _run_id(run)
    return runtime.open_calls.get(run_id), run_id


def _run_id(run: object) -> int:
    if isinstance(run, uuid.UUID):
        return run.int
    if not isinstance(run, str):
        raise TypeError(f"run is of type {type(run).__name__}. {FIX_RUN}")
    try:
        return uuid.UUID(run.strip()).int
    except ValueError:
        raise Unusable("run", f"run is {_shown(run)}, which is no run id. {FIX_RUN}") from None


def _words(argument: str, text: object, fix: str) -> str:
    found = _text(argument, text)
    if found is None or not found.strip():
        raise Unusable(argument, f"{argument} is {found!r}. {fix}")
    return found


def _text(argument: str, text: object) -> str | None:
    if text is None or isinstance(text, str):
        return None if text is None else str.__str__(text)
    raise TypeError(f"{argument} is of type {type(text).__name__}. Give a text.")


def _score(score: object) -> bool | int | float | None:
    if score is None or type(score) in (bool, int):
        return cast("bool | int | None", score)
    if isinstance(score, str) or not (isinstance(score, Real) or hasattr(type(score), "__float__")):
        raise TypeError(f"score is of type {type(score).__name__}. Give a number or a truth value; texts go into value.")
    try:
        number = float(cast("float", score))
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not isfinite(number):
        raise Unusable("score", f"score is {_shown(score)}. Give a finite number, or leave it out.")
    return number


def _correction(correction: object) -> dict[str, object] | None:
    if correction is None:
        return None
    if not isinstance(correction, Mapping):
        raise TypeError(f"correction is of type {type(correction).__name__}. Give a mapping, such as {{'answer': 'what would be right'}}.")
    return cast("dict[str, object]", snapshot(dict(cast("Mapping[str, object]", correction))))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:99] + "…"
