"""What stands before and after a call of a chat model, the same for sync and async."""

# ruff: noqa: A002  (`input` is the name that LangChain's users pass)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

from tracer.chat.coerce import messages_from
from tracer.chat.config import Config, upcoming
from tracer.chat.interfaces import Interface
from tracer.chat.merging import add_counts
from tracer.chat.results import ChatGeneration, LLMResult, RunInfo
from tracer.runtime import recording
from tracer.scope import Scope, Upcoming, current


@dataclass(slots=True)
class Prepared:
    """One call, ready to be made: the arguments of `create`, and what its record is to be called."""

    arguments: dict[str, Any]
    config: Config
    _upcoming: Upcoming | None = None

    @property
    def upcoming(self) -> Upcoming:
        """What the record is to be called; made when it is first asked for, since nobody asks while nothing is recorded."""
        if self._upcoming is None:
            self._upcoming = upcoming(self.config)
            self._upcoming.by_chat_model = True
        return self._upcoming

    def scope(self) -> Scope | None:
        """The scope in which the next call of a client takes what is said here; None where nothing is recorded."""
        scope = current()
        return replace(scope, upcoming=self.upcoming, host=None) if recording(scope) else None

    @property
    def run(self) -> RunInfo:
        """The run that the call will be."""
        return RunInfo(UUID(int=self.upcoming.run_id or 0))


def prepare(interface: Interface, parameters: dict[str, Any], input: Any, config: Config, stop: str | Sequence[str] | None) -> Prepared:
    """The call for one input. Parameters that are None are left out. Raises TypeError for what is no message."""
    arguments = {name: value for name, value in parameters.items() if value is not None}
    if stop is not None:
        arguments["stop"] = stop if isinstance(stop, str) else list(stop)
    return Prepared(interface.arguments(arguments, messages_from(input)), config)


def result_of(prepared: list[Prepared], generations: list[list[ChatGeneration]], model: str | None) -> LLMResult:
    """The result of several calls, with their token usage added up."""
    usage: dict[str, Any] = {}
    for choices in generations:
        # Each choice of an answer bears the usage of the whole answer.
        add_counts(usage, cast("dict[str, Any]", choices[0].message.response_metadata.get("token_usage") or {}))
    return LLMResult(generations, {"token_usage": usage, "model_name": model}, [item.run for item in prepared])
