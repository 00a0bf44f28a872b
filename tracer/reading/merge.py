"""What the mergers of streams have in common: the kinds of chunks and the interface."""

from __future__ import annotations

from typing import Any, Protocol

TEXT = "text"
REASONING = "reasoning"
TOOL_CALL = "tool_call"
USAGE = "usage"
OTHER = "other"
NO_CHUNK = ""
"""What is no chunk to the caller: the SDKs keep it to themselves."""


class Merger(Protocol):
    """Takes the events of one stream in order and makes of them what the unstreamed endpoint would have answered."""

    def add(self, event: dict[str, Any]) -> str:
        """Take one event and say what it brought: `text`, `reasoning`, `tool_call`, `usage`, `other`, or nothing where it is no chunk."""
        ...

    def answer(self) -> dict[str, Any] | None:
        """The answer so far; None if no event said anything."""
        ...
