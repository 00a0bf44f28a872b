"""`tracer feedback`: say what you think of a run."""

from __future__ import annotations

import argparse
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import tracer
from tracer import api, settings
from tracer.capture.evaluating import Unusable, feedback_of
from tracer.cli.output import complain
from tracer.evaluation import API, Feedback
from tracer.export.texts import well_formed
from tracer.store.place import store_path
from tracer.store.reader import Place, StoreReader
from tracer.store.schema import StoreError

DESCRIPTION = "Say what you think of a run: to LangSmith-style backends where they are on, and to the local store where the run is there."
EPILOG = """\
RUN is a run id (`run.id` of a handle, `tracer.run_id` on a span) as a UUID. Where the run is in the local store, its
span id and the beginning of either will do.
A VALUE that is JSON (a number, true, an object) is taken as that, anything else as text.
Exit status: 0 when it has arrived everywhere or is kept in the spool, 1 when not, 2 for a wrong call of the command."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "feedback",
        help="say what you think of a run",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_id", metavar="RUN", help="the run's id")
    parser.add_argument("key", metavar="KEY", help="what is judged, such as helpful")
    parser.add_argument("--score", type=_score, metavar="NUMBER", help="a number, true or false")
    parser.add_argument("--value", type=_value, metavar="VALUE", help="a judgement in words, or JSON")
    parser.add_argument("--comment", metavar="TEXT", help="a remark")
    parser.add_argument("--correction", type=_object, metavar="JSON", help="what would have been right, an object")
    parser.add_argument("--source", default=API, metavar="WORD", help="who judges: api (default), model, or a word of your own")
    parser.add_argument("--store", metavar="PATH", help="the store's file (default: TRACER_LOCAL, or the usual place)")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="give up after this time (default: 10)")
    parser.set_defaults(run=run)


def _score(text: str) -> bool | int | float:
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        return float(text)


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _object(text: str) -> dict[str, Any]:
    value: object = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return cast("dict[str, Any]", value)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the command; gives the exit status."""
    path = Path(arguments.store).expanduser() if arguments.store else store_path(settings.read()[0].local)
    try:
        place = _looked_up(path, arguments.run_id)
        given = _feedback(arguments, place)
    except (StoreError, sqlite3.Error) as error:
        return complain(f"cannot read {path}: {error}.")
    except Unusable as problem:
        return complain(str(problem))
    # Where the run is in the store, what is said of it belongs beside it.
    local: dict[str, Any] = {"local": str(path)} if place is not None or arguments.store else {}
    tracer.configure(quiet=True, **local)
    if api.submit_feedback(given) is None:
        return 1
    tracer.flush(arguments.timeout)
    tracer.shutdown(1.0)
    return _tell(given)


def _looked_up(path: Path, text: str) -> Place | None:
    if not path.is_file():
        return None
    with StoreReader(path) as store:
        return store.run(text)


def _feedback(arguments: argparse.Namespace, place: Place | None) -> Feedback:
    which = arguments.run_id if place is None else UUID(place.run_id)
    # A terminal may give bytes that are no text.
    comment = None if arguments.comment is None else well_formed(arguments.comment)
    given = feedback_of(which, arguments.key, arguments.score, arguments.value, comment, arguments.correction, arguments.source)
    if place is None:
        return given
    return replace(
        given,
        root_run_id=int(place.root_run_id, 16) if place.root_run_id else 0,
        trace_id=int(place.trace_id, 16),
        span_id=int(place.span_id, 16),
    )


def _tell(given: Feedback) -> int:
    """Where it went; gives the exit status."""
    failed = 0
    for name, account in tracer.status()["feedback"].items():
        if account["exported"]:
            print(f"{name}: {given.key} for run {UUID(int=given.run_id)}")
        elif account["sampled_out"]:
            print(f"{name}: the run's trace is sampled out (LANGSMITH_TRACING_SAMPLING_RATE), and so is its feedback")
        elif account.get("spooled"):
            print(f"{name}: kept in the spool until it can be sent")
        else:
            failed += complain(f"{name}: not sent ({', '.join(account['dropped']) or 'no time left'}).")
    return 1 if failed else 0
