"""The interfaces of chat clients that a model can be made over: OpenAI's chat completions, and Anthropic's messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from tracer.chat.answers import read_answer, read_chunk
from tracer.chat.convert import to_openai
from tracer.chat.messages import AIMessageChunk, BaseMessage
from tracer.chat.results import ChatGeneration

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Interface:
    """How one kind of client is asked and answers."""

    name: str
    """The provider as LangChain's users know it: openai, anthropic."""
    create: Callable[[Any], Callable[..., Any]]
    """The function of a client that makes a call."""
    arguments: Callable[[JsonObject, list[BaseMessage]], JsonObject]
    """Parameters and messages as the arguments of that function."""
    fitted: Callable[[Callable[..., Any], JsonObject], JsonObject]
    """The arguments as this version of the SDK takes them."""
    answer: Callable[[Any], list[ChatGeneration]]
    """What it gives back, as choices."""
    chunks: Callable[[], Callable[[Any], AIMessageChunk | None]]
    """A reader for the pieces of one stream; None for a piece that says nothing."""


def _openai_arguments(parameters: JsonObject, messages: list[BaseMessage]) -> JsonObject:
    asks_usage = parameters.pop("stream_usage", None)
    if asks_usage and parameters.get("stream") and "stream_options" not in parameters:
        parameters["stream_options"] = {"include_usage": True}
    parameters["messages"] = [to_openai(message) for message in messages]
    return parameters


OPENAI = Interface(
    "openai",
    lambda client: client.chat.completions.create,
    _openai_arguments,
    lambda _create, arguments: arguments,
    read_answer,
    lambda: read_chunk,
)


def interface_of(client: Any) -> Interface | None:
    """The interface that a client has; None where it has none."""
    if callable(getattr(getattr(getattr(client, "chat", None), "completions", None), "create", None)):
        return OPENAI
    if callable(getattr(getattr(client, "messages", None), "create", None)):
        return _anthropic()
    return None


@cache
def _anthropic() -> Interface:
    # Lazy: programs with OpenAI's clients need none of it.
    from tracer.chat.anthropic_answers import MessagesReader, read_message
    from tracer.chat.anthropic_request import anthropic_arguments, fitted

    return Interface(
        "anthropic", lambda client: client.messages.create, anthropic_arguments, fitted, read_message, lambda: MessagesReader().read
    )
