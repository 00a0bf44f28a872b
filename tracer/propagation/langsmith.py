"""LangSmith's headers: `langsmith-trace`, which is a dotted order, and its entries in `baggage`.

Written where a LangSmith-style backend is a destination. Its SDK reads them (`tracing_context(parent=headers)`), and we read the SDK's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from tracer.dotted_order import dotted_order_of, runs_in
from tracer.propagation.carrier import LONGEST
from tracer.propagation.w3c import baggage_entry
from tracer.scope import Parent, Scope
from tracer.settings import Settings

HEADER = "langsmith-trace"
PREFIX = "langsmith-"
_METADATA, _TAGS, _PROJECT = "langsmith-metadata", "langsmith-tags", "langsmith-project"
_SESSION = "session_id"
"""What LangSmith groups runs into a thread by."""


@dataclass(slots=True)
class Inherited:
    """What a caller's baggage says of the runs below."""

    session: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, object] = field(default_factory=dict[str, object])
    project: str = ""


def read_run(carrier: Mapping[str, str]) -> Parent | None:
    """The run that `langsmith-trace` names, without a span; None without one. Raises `ValueError` for one that is malformed.

    The trace id is the root's run id, as it is for traces of ours.
    """
    text = carrier.get(HEADER)
    if not text:
        return None
    if len(text) > LONGEST:
        raise ValueError(HEADER)
    try:
        runs = runs_in(text)
    except ValueError:
        raise ValueError(HEADER) from None
    return Parent(runs[0], 0, runs[-1], True, True, runs[0], dotted_order=text)


def write_run(parent: Parent) -> dict[str, str]:
    """The header of a run; none for a span that is no run."""
    order = dotted_order_of(parent)
    return {HEADER: order} if order else {}


def read_entries(baggage: Mapping[str, str]) -> Inherited:
    """LangSmith's entries in a baggage; what is malformed is left out.

    `ls_…` metadata describe the caller's run (its provider, its model) and not ours.
    """
    found = Inherited(project=baggage.get(_PROJECT, ""))
    found.tags = tuple(tag for tag in baggage.get(_TAGS, "").split(",") if tag)
    try:
        metadata = json.loads(baggage.get(_METADATA, "{}"))
    except (ValueError, RecursionError):
        return found
    if isinstance(metadata, dict):
        kept = cast("dict[str, object]", metadata)
        session = kept.pop(_SESSION, None)
        found.session = session if isinstance(session, str) else None
        found.metadata = {name: value for name, value in kept.items() if not name.startswith("ls_")}
    return found


def write_entries(scope: Scope, settings: Settings) -> list[str]:
    """What LangSmith is to know of the runs below: project, session, tags and metadata."""
    project = (scope.caller.project if scope.caller else "") or settings.langsmith_project
    entries = [baggage_entry(_PROJECT, project)]
    if scope.tags:
        entries.append(baggage_entry(_TAGS, ",".join(scope.tags)))
    metadata = {**(scope.metadata or {}), **({_SESSION: scope.session} if scope.session else {})}
    if metadata and not settings.langsmith_hide_metadata:
        entries.append(baggage_entry(_METADATA, json.dumps(metadata, default=str)))
    return entries
