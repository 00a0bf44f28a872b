"""Clients for the demo: of the real SDK, wrapped, answered by recordings on loopback or by the real service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai

import tracer
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import by_id
from tracer.replay.sdk import call_arguments, client_arguments
from tracer.replay.server import ReplayServer

LIVE_MODEL = "gpt-4o-mini"

_LIVE_ARGUMENTS = ("messages", "input", "model", "stream", "tools", "tool_choice", "n", "seed", "temperature", "dimensions")


class ReplayClients:
    """Each recording gets a client of its own, whose address names it. Proxy settings of the environment are left aside."""

    def __init__(self, server: ReplayServer) -> None:
        self._server = server

    def client(self, record_id: str, behaviour: Behaviour | None = None, *, retries: int = 0) -> openai.OpenAI:
        """A wrapped synchronous client; close it with `with`."""
        arguments = client_arguments(self._server, by_id(record_id), behaviour)
        arguments["max_retries"] = retries
        return tracer.wrap(openai.OpenAI(**arguments, http_client=openai.DefaultHttpxClient(trust_env=False)))

    def async_client(self, record_id: str, behaviour: Behaviour | None = None) -> openai.AsyncOpenAI:
        """A wrapped asynchronous client; close it with `async with`."""
        arguments = client_arguments(self._server, by_id(record_id), behaviour)
        return tracer.wrap(openai.AsyncOpenAI(**arguments, http_client=openai.DefaultAsyncHttpxClient(trust_env=False)))

    def arguments(self, record_id: str, function: Callable[..., Any], *, keep_model: bool = False) -> dict[str, Any]:  # noqa: ARG002
        """The recorded request as arguments of the SDK's function."""
        return call_arguments(record_id, function)


class LiveClients(ReplayClients):
    """The same requests to the real service, with a cheap model and short answers."""

    def __init__(self, server: ReplayServer, key: str) -> None:
        super().__init__(server)
        self._key = key

    def client(self, record_id: str, behaviour: Behaviour | None = None, *, retries: int = 0) -> openai.OpenAI:
        """A wrapped client of the real service; of the replay server where failures are ordered, which no real service takes."""
        if behaviour is not None and behaviour.fail:
            return super().client(record_id, behaviour, retries=retries)
        return tracer.wrap(openai.OpenAI(api_key=self._key))

    def async_client(self, record_id: str, behaviour: Behaviour | None = None) -> openai.AsyncOpenAI:  # noqa: ARG002
        """A wrapped asynchronous client of the real service."""
        return tracer.wrap(openai.AsyncOpenAI(api_key=self._key))

    def arguments(self, record_id: str, function: Callable[..., Any], *, keep_model: bool = False) -> dict[str, Any]:
        """The recorded request without what only its own provider knows."""
        recording = by_id(record_id)
        recorded = call_arguments(recording, function)
        arguments = {name: value for name, value in recorded.items() if name in _LIVE_ARGUMENTS}
        if recording.api != "embeddings" and not keep_model:
            arguments["model"] = LIVE_MODEL
        if recording.api == "chat":
            arguments["max_completion_tokens"] = 100
            arguments["messages"] = [_plain_message(message) for message in arguments["messages"]]
        return arguments


def _plain_message(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "reasoning"}
