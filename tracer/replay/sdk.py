"""How an SDK is pointed at a recording: arguments of the client and of the call, without importing the SDK."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import Recording, by_id
from tracer.replay.server import ReplayServer


def client_arguments(server: ReplayServer, recording: Recording, behaviour: Behaviour | None = None) -> dict[str, Any]:
    """Keyword arguments for `OpenAI` or `AsyncOpenAI`, the Azure clients where `recording.azure` is true, or Anthropic's.

    Retries are off; add `max_retries` where they are wanted.
    """
    common: dict[str, Any] = {"api_key": "none", "max_retries": 0}
    if recording.anthropic:
        # This SDK has the version in its paths.
        return {**common, "base_url": server.root(recording.id, behaviour)}
    if not recording.azure:
        return {**common, "base_url": server.base_url(recording.id, behaviour)}
    deployment = recording.path.split("/openai/deployments/")[1].split("/")[0]
    version = recording.query.partition("api-version=")[2]
    return {**common, "azure_endpoint": server.root(recording.id, behaviour), "azure_deployment": deployment, "api_version": version}


def call_arguments(recording_or_id: Recording | str, function: Callable[..., Any], *, stream: bool = True) -> dict[str, Any]:
    """The recorded request as keyword arguments of `function`; what it does not know goes into `extra_body`.

    `stream=False` leaves out the stream flag, for `.stream()` helpers and `parse`.
    """
    recording = by_id(recording_or_id) if isinstance(recording_or_id, str) else recording_or_id
    known = inspect.signature(function).parameters
    arguments: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in recording.request.items():
        if name == "stream" and not stream:
            continue
        if recording.api == "embeddings" and (name, value) == ("encoding_format", "base64"):
            continue
        (arguments if name in known else extra)[name] = value
    if extra:
        arguments["extra_body"] = extra
    return arguments
