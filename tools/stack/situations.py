"""What an application's turn may look like: which recorded answers, with which trouble, and how each call ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import by_id

COMPLETED, FAILED, STOPPED, CANCELLED = "completed", "failed", "stopped", "cancelled"


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a model."""

    recording: str
    behaviour: Behaviour = Behaviour()  # noqa: RUF009  # frozen
    retries: int = 0
    """What the SDK is allowed."""
    stop_after: int = 0
    """Pieces after which the program closes the stream; 0: it reads all."""
    cancel_after: float = 0.0
    """Seconds after which the program gives the call up; 0: never."""
    tool: str = ""
    """The tool that runs on the answer, if any."""

    @property
    def operation(self) -> str:
        """`gen_ai.operation.name` of its span."""
        return "embeddings" if by_id(self.recording).api == "embeddings" else "chat"

    @property
    def outcome(self) -> str:
        """`tracer.outcome` of its span."""
        if self.cancel_after:
            return CANCELLED
        if self.stop_after:
            return STOPPED
        refused = self.behaviour.fail > self.retries or self.behaviour.cut >= 0
        return FAILED if refused or by_id(self.recording).status >= 400 else COMPLETED

    @property
    def attempts(self) -> list[int]:
        """HTTP statuses of its requests, in order; empty when no answer came."""
        if self.cancel_after:
            return []
        failures = [self.behaviour.status] * min(self.behaviour.fail, self.retries + 1)
        return failures if self.behaviour.fail > self.retries else [*failures, by_id(self.recording).status]

    def slowed(self, pace: float) -> Step:
        """The same at another pace: 1 waits as a provider does, 0 not at all. What a stall or a cancelled call needs stays."""
        if self.cancel_after or self.behaviour.pieces:
            return self
        waits = replace(self.behaviour, wait=self.behaviour.wait * pace, delay=self.behaviour.delay * pace)
        return replace(self, behaviour=waits)


@dataclass(frozen=True, slots=True)
class Situation:
    """One turn of a conversation, recorded as one trace. `weight`: how often among all."""

    name: str
    weight: int
    steps: tuple[Step, ...]
    kind: str = "chain"
    """Of the trace's root: chain or agent."""

    @property
    def tools(self) -> list[str]:
        """Names of the tools that run."""
        return [step.tool for step in self.steps if step.tool]

    @property
    def spans(self) -> int:
        """How many spans it makes; those of attempts are not counted."""
        return 1 + len(self.steps) + len(self.tools)


_QUICK = Behaviour(wait=0.15, delay=0.01)
_USUAL = Behaviour(wait=0.6, delay=0.03)
_SLOW = Behaviour(wait=6.0, delay=0.2)

_EMBEDDINGS = "pydanticai.embeddings.TestOpenAI.test_instrumentation"
_MINI_TOOL_STREAM = "pydanticai.openai.run_stream_sync_streams_real_model.0"
_CACHED = "openinference.tool_calls.cached_tokens.1"
_FULL = "pydanticai.openai.openai_prompted_output.0"
_FULL_STREAM = "openaipy.stream.parse_nothing"
_AGENT_STREAM = "pydanticai.temporal.complex_agent_run.1"
_NEMO = "otel.genai.async_chat_completion_multiple_choices"
_ROUTED = "pydanticai.cache.openrouter_cache_all_settings_real_api.1"
_OPEN_MODEL = "pydanticai.crusoe.crusoe_tool_calling.1"
_REASONING = "pydanticai.thinking_wire_contract.reasoning_wire_contract-groq-qwen3-disable-merges-user-e"
_NO_MODEL = "pydanticai.model_name_suggestions.model_name_suggestion-openai-chat"
_NO_EMBEDDING_MODEL = "otel.genai.embeddings_model_not_found"
_NO_KEY = "langsmith.openai_agents_test_wrap_openai_nests_under_agent_trace.1"
_CLAUDE = "pydanticai.output.strict_none_tool_native_output.1"
_CLAUDE_STREAM = "pydanticai.anthropic.anthropic_code_execution_tool_stream"
_NO_USAGE_STREAM = "langsmith.openai_test_chat_async_api.2"
_STALLED = "otel.genai.async_chat_completion_streaming"


def _stalling() -> Behaviour:
    # Two pieces with more than the five seconds between them that count as a stall.
    return Behaviour(pieces=len(by_id(_STALLED).body.encode()) * 2 // 3, delay=5.2)


SITUATIONS: tuple[Situation, ...] = (
    Situation("answer from documents", 22, (Step(_EMBEDDINGS, _QUICK, tool="rank_documents"), Step(_CACHED, _USUAL))),
    Situation("answer question", 18, (Step(_FULL_STREAM, _USUAL),)),
    Situation("plan trip", 10, (Step(_AGENT_STREAM, _USUAL, tool="get_weather"), Step(_FULL, _USUAL)), "agent"),
    Situation("look up capital", 9, (Step(_MINI_TOOL_STREAM, _QUICK, tool="get_capital"), Step(_NEMO, _QUICK)), "agent"),
    Situation("review contract", 8, (Step(_CLAUDE, _USUAL), Step(_CLAUDE_STREAM, _USUAL)), "agent"),
    Situation("summarise ticket", 8, (Step(_ROUTED, _USUAL),)),
    Situation("classify mail", 6, (Step(_OPEN_MODEL, _QUICK), Step(_REASONING, _QUICK))),
    Situation("old client", 4, (Step(_NO_USAGE_STREAM, _QUICK),)),
    Situation("retried", 4, (Step(_NEMO, replace(_QUICK, fail=2, status=429, retry_ms=20), retries=2),)),
    Situation("rate limited", 2, (Step(_NEMO, replace(_QUICK, fail=9, status=429, retry_ms=20), retries=1),)),
    Situation("overloaded", 1, (Step(_FULL, replace(_QUICK, fail=9, status=503)),)),
    Situation("no such model", 1, (Step(_NO_MODEL, _QUICK),)),
    Situation("no such embedding model", 1, (Step(_NO_EMBEDDING_MODEL, _QUICK),)),
    Situation("wrong key", 1, (Step(_NO_KEY, _QUICK),)),
    Situation("connection lost", 1, (Step(_FULL_STREAM, replace(_USUAL, cut=4)),)),
    Situation("reader leaves", 4, (Step(_FULL_STREAM, _USUAL, stop_after=5),)),
    Situation("reader cancels", 1, (Step(_FULL, Behaviour(wait=1.0), cancel_after=0.1),)),
    Situation("slow provider", 2, (Step(_FULL_STREAM, _SLOW),)),
    Situation("stalled stream", 1, (Step(_STALLED, _stalling()),)),
)
"""Together about a hundred in weight."""
