"""Where people look at a run: the address of its page at a LangSmith-style backend."""

from __future__ import annotations

import threading
import time
from typing import cast
from urllib.parse import quote, urlsplit, urlunsplit

import orjson

from tracer.export.http import Http
from tracer.export.langsmith.ids import derived_id
from tracer.export.langsmith.server import headers_of
from tracer.export.langsmith.targets import targets_of
from tracer.export.notices import logger
from tracer.export.texts import well_formed
from tracer.settings import Settings

TIMEOUT = 3.0
"""Seconds that the backend may take to say which project has a name."""

AGAIN = 60.0
"""Seconds after which a backend that could not say it is asked again."""

_HOSTED = "smith.langchain.com"
_LOCAL = ("localhost", "127.0.0.1", "::1")


class Pages:
    """Pages at the first backend of the settings. Each project is asked about once, by whoever wants to know first; others wait for it."""

    def __init__(self, settings: Settings) -> None:
        self._target = targets_of(settings)[0]
        self._own_project = settings.langsmith_project
        self._http = Http(headers_of(self._target))
        self._lock = threading.Lock()
        self._places: dict[str, str] = {}
        self._not_before: dict[str, float] = {}

    def of(self, run_id: str, project: str = "") -> str | None:
        """The page of a run of a project (by default that of the settings); None while the backend does not say where the project is."""
        name = self._target.project or project or self._own_project
        place = self._place_of(name)
        if place is None:
            return None
        run_id = derived_id(run_id, name) if self._target.derived else run_id
        return f"{web_address(self._target.url)}{place}/r/{run_id}?poll=true"

    def _place_of(self, project: str) -> str | None:
        with self._lock:
            known = self._places.get(project)
            if known is not None or time.monotonic() < self._not_before.get(project, 0.0):
                return known
            trouble = self._ask(project)
            if trouble:
                self._not_before[project] = time.monotonic() + AGAIN
                logger.warning("tracer: the page of a run is not known: LangSmith endpoint %s %s.", self._target.shown, trouble)
            return self._places.get(project)

    def _ask(self, project: str) -> str:
        """Note where a project is; gives what went wrong."""
        url = f"{self._target.url}/sessions?limit=1&name={quote(well_formed(project), safe='')}&include_stats=false"
        try:
            answer = self._http.request("GET", url, TIMEOUT)
        except Exception as error:
            return f"cannot be asked for the project {project!r} ({type(error).__name__})"
        finally:
            self._http.close()
        if not answer.ok:
            return f"does not say where the project {project!r} is (HTTP {answer.status})"
        found = _first(answer.body)
        tenant, identifier = found.get("tenant_id"), found.get("id")
        if not (isinstance(tenant, str) and isinstance(identifier, str)):
            return f"knows no project {project!r} yet"
        self._places[project] = f"/o/{quote(tenant)}/projects/p/{quote(identifier)}"
        return ""


def _first(body: bytes) -> dict[str, object]:
    try:
        answer: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    first = next(iter(cast("list[object]", answer)), None) if isinstance(answer, list) else None
    return cast("dict[str, object]", first) if isinstance(first, dict) else {}


def web_address(api: str) -> str:
    """Where people look, by the address that programs use.

    >>> web_address("https://eu.api.smith.langchain.com"), web_address("https://traces.example.com/api/v1")
    ('https://eu.smith.langchain.com', 'https://traces.example.com')
    """
    parts = urlsplit(api)
    host = parts.hostname or ""
    if host in _LOCAL:
        return "http://localhost"  # The API has a port of its own there.
    if host.endswith(_HOSTED):
        return f"https://{'.'.join(label for label in host.split('.') if label != 'api')}"
    path = parts.path.removesuffix("/v1").removesuffix("/api")
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", "")).rstrip("/")
