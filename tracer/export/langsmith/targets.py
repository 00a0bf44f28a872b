"""Where runs go: the one backend of the settings, or the several of `LANGSMITH_RUNS_ENDPOINTS`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import orjson

from tracer.export.endpoint import without_secrets
from tracer.export.langsmith.ids import derived_id, derived_order
from tracer.export.langsmith.run import LangSmithRun
from tracer.settings import DEFAULT_LANGSMITH, Settings


@dataclass(frozen=True, slots=True)
class Target:
    """One backend. `name` is that of its account in the ledger; `project` beats that of a run; `derived`: runs get other ids there."""

    name: str
    url: str
    key: str | None = None
    workspace: str | None = None
    project: str | None = None
    derived: bool = False

    @property
    def shown(self) -> str:
        """The address as it may be logged."""
        return without_secrets(self.url)

    def adapted(self, run: LangSmithRun) -> LangSmithRun:
        """The run as it is named in this target's project."""
        project = self.project or run.session_name
        if not self.derived:
            return run if run.session_name == project else replace(run, session_name=project)
        return replace(
            run,
            id=derived_id(run.id, project),
            trace_id=derived_id(run.trace_id, project),
            parent_run_id=None if run.parent_run_id is None else derived_id(run.parent_run_id, project),
            dotted_order=derived_order(run.dotted_order, project),
            session_name=project,
        )


def targets_of(settings: Settings) -> list[Target]:
    """The backends that the settings ask for.

    >>> [target.url for target in targets_of(Settings(langsmith_endpoint="https://example.com/api/v1/"))]
    ['https://example.com/api/v1']
    """
    if not settings.langsmith_runs_endpoints:
        url = (settings.langsmith_endpoint or DEFAULT_LANGSMITH).rstrip("/")
        return [Target(account_name(1), url, settings.langsmith_key, settings.langsmith_workspace)]
    entries: list[dict[str, str | bool]] = orjson.loads(settings.langsmith_runs_endpoints)
    primary = any(entry.get("primary") for entry in entries)
    return [_target_of(number, entry, primary, settings.langsmith_project) for number, entry in enumerate(entries, 1)]


def _target_of(number: int, entry: dict[str, str | bool], primary: bool, usual: str) -> Target:
    project = _text(entry.get("project_name"))
    return Target(
        account_name(number),
        str(entry["api_url"]),
        _text(entry.get("api_key")),
        _text(entry.get("workspace_id")),
        project,
        derived=not entry.get("primary") and (primary or project not in (None, usual)),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def account_name(number: int) -> str:
    """The name of the account of the first, second … target.

    >>> account_name(1), account_name(2)
    ('langsmith', 'langsmith 2')
    """
    return "langsmith" if number == 1 else f"langsmith {number}"
