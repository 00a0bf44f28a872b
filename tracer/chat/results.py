"""What `generate` gives back: generations, token usage, run ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tracer.chat.messages import AIMessage, AIMessageChunk


@dataclass(slots=True, kw_only=True)
class ChatGeneration:
    """One answer: its text, what is known about it (`finish_reason`, `logprobs`) and the whole message.

    >>> ChatGeneration(message=AIMessage("Hi"), generation_info={"finish_reason": "stop"})
    ChatGeneration(text='Hi', generation_info={'finish_reason': 'stop'}, message=AIMessage(content='Hi'))
    """

    text: str = ""
    generation_info: dict[str, Any] | None = None
    message: AIMessage

    def __post_init__(self) -> None:
        self.text = self.text or self.message.text


@dataclass(slots=True, kw_only=True)
class ChatGenerationChunk:
    """A piece of an answer. Pieces add up: `ChatGenerationChunk + ChatGenerationChunk`."""

    text: str = ""
    generation_info: dict[str, Any] | None = None
    message: AIMessageChunk

    def __post_init__(self) -> None:
        self.text = self.text or self.message.text

    def __add__(self, other: object) -> ChatGenerationChunk:
        if not isinstance(other, ChatGenerationChunk):
            return NotImplemented
        info = {**(self.generation_info or {}), **(other.generation_info or {})}
        return ChatGenerationChunk(generation_info=info or None, message=self.message + other.message)


@dataclass(slots=True, frozen=True)
class RunInfo:
    """Which run made a result: the id under which it is found in every destination."""

    run_id: UUID


@dataclass(slots=True)
class LLMResult:
    """Results for a list of inputs: for each input its answers (one, unless `n` was asked for).

    `llm_output` has `token_usage` (the sum, in the provider's own names) and `model_name`; `run` one entry for each input.
    """

    generations: list[list[ChatGeneration]]
    llm_output: dict[str, Any] | None = None
    run: list[RunInfo] | None = None

    def __iter__(self) -> Iterator[list[ChatGeneration]]:
        return iter(self.generations)

    def flatten(self) -> list[LLMResult]:
        """One result for each input. The token usage stands with the first, so that a sum over all is right."""
        results: list[LLMResult] = []
        for position, generations in enumerate(self.generations):
            output = self.llm_output
            if output is not None and position:
                no_usage: dict[str, Any] = {}
                output = {**output, "token_usage": no_usage}
            run = [self.run[position]] if self.run else None
            results.append(LLMResult([generations], output, run))
        return results
