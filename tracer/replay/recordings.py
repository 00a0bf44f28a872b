"""The recorded request/response pairs that the replay server answers with. Their sources and licences stand beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recordings"
OPENAI = "openai"
ANTHROPIC = "anthropic"


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded exchange with a real service.

    `request` is the body that was sent, `body` the text that was answered: JSON, or server-sent events with their blank lines.
    Header names are in lower case. `query` is the query string (Azure's api-version) or empty.
    """

    id: str
    api: str
    """chat, completions, embeddings or responses; messages for Anthropic's."""
    provider: str
    features: tuple[str, ...]
    licence: str
    method: str
    path: str
    query: str
    request_headers: Mapping[str, str]
    request: Mapping[str, Any]
    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def streamed(self) -> bool:
        """The request asked for a stream."""
        return self.request.get("stream") is True

    @property
    def anthropic(self) -> bool:
        """It was recorded from Anthropic's interface, so that its SDK has to be used."""
        return self.api == "messages"

    @property
    def azure(self) -> bool:
        """The path names an Azure deployment, so that the SDK's Azure client has to be used."""
        return "/openai/deployments/" in self.path


def load(family: str = OPENAI) -> list[Recording]:
    """All recordings of a family of interfaces, `openai` or `anthropic`, ordered by file and line.

    >>> len(load()), len(load("anthropic"))
    (45, 16)
    """
    return list(_family(family).values())


def by_id(record_id: str) -> Recording:
    """The recording of that id; `KeyError` when there is none.

    >>> by_id("otel.genai.embeddings_model_not_found").status
    404
    """
    return _family(OPENAI).get(record_id) or _family(ANTHROPIC)[record_id]


@lru_cache(maxsize=2)
def _family(family: str) -> dict[str, Recording]:
    recordings: dict[str, Recording] = {}
    for file in sorted((FOLDER / family).glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                recording = _read(json.loads(line))
                recordings[recording.id] = recording
    return recordings


def _read(data: dict[str, Any]) -> Recording:
    request, response = data["request"], data["response"]
    return Recording(
        id=data["id"],
        api=data["api"],
        provider=data["provider"],
        features=tuple(data["features"]),
        licence=data["licence"],
        method=request["method"],
        path=request["path"],
        query=request.get("query") or "",
        request_headers=request.get("headers") or {},
        request=request["json"],
        status=response["status"],
        headers=response["headers"],
        body=response["body"],
    )
