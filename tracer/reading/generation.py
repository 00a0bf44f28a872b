"""`Generation`: what a model call asked and answered, in one neutral form for every provider.

Names follow the OpenTelemetry GenAI conventions v0.1.0 (`gen_ai.*`), from which every destination derives its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tracer.factories import new_dict, new_list

# A part of a message in the conventions' own JSON shape, e.g. {"type": "text", "content": "hi"}.
Part = dict[str, object]


@dataclass(slots=True)
class Message:
    """A message: role as the provider gave it, and its parts in the conventions' JSON shape.

    Types of parts: text, reasoning, tool_call, tool_call_response, server_tool_call, server_tool_call_response, blob, file, uri,
    compaction, generic. `finish_reason` belongs to output messages only.
    """

    role: str
    parts: list[Part] = field(default_factory=new_list)
    name: str | None = None
    finish_reason: str | None = None


@dataclass(slots=True)
class Usage:
    """Token counts as the provider reported them; `None` is "not reported", never 0.

    `input` includes cached tokens, `output` includes reasoning tokens; the others are subsets of these two.
    """

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    input_audio: int | None = None
    output_audio: int | None = None
    input_text: int | None = None
    output_text: int | None = None
    input_image: int | None = None
    output_image: int | None = None
    cache_write_hour: int | None = None
    """Of the tokens written to the cache those that stay for an hour; they cost more."""
    web_searches: int | None = None
    """Searches that the provider made and charges for."""
    others: list[OtherUsage] | None = None
    """What further models used that the provider asked on the way (Anthropic's advisor); not part of the counts above."""
    cost: float | None = None
    """The cost in US dollars that the provider itself reported."""
    raw: dict[str, object] | None = None
    """The usage object as it came, for price tables that know more kinds of tokens."""


@dataclass(slots=True)
class OtherUsage:
    """What another model than the one asked for used."""

    model: str
    usage: Usage


@dataclass(slots=True)
class Cost:
    """Money a call cost. `prices` names the version of the price table, or `provider` where the provider reported the cost."""

    total: float
    input: float | None
    output: float | None
    currency: str
    prices: str


@dataclass(slots=True)
class Generation:
    """One model call read: request, answer, usage. Everything that was not there is `None` or empty.

    `parameters` has the request attributes of the conventions without their prefix (`temperature`, `max_tokens`, `top_p`,
    `stop_sequences`, `seed`, `choice.count`, `reasoning.level`, `encoding_formats` …) with the types the conventions ask for.
    """

    operation: str = "chat"
    """`gen_ai.operation.name`: chat, text_completion, embeddings, …; empty for endpoints that the conventions do not know."""
    provider: str = "openai"
    api_type: str | None = None
    """`openai.api.type`: chat_completions or responses."""
    request_model: str | None = None
    parameters: dict[str, object] = field(default_factory=new_dict)
    output_type: str | None = None
    conversation_id: str | None = None
    previous_response_id: str | None = None
    prompt_name: str | None = None
    prompt_version: str | None = None
    service_tier: str | None = None
    system_instructions: list[Part] = field(default_factory=new_list)
    input_messages: list[Message] = field(default_factory=new_list)
    tool_definitions: list[dict[str, object]] = field(default_factory=new_list)

    output_messages: list[Message] = field(default_factory=new_list)
    finish_reasons: list[str] = field(default_factory=new_list)
    """One for each choice; a choice that broke off has `error` in its place."""
    response_id: str | None = None
    response_model: str | None = None
    response_service_tier: str | None = None
    system_fingerprint: str | None = None
    embedding_dimensions: int | None = None
    response_status: str | None = None
    """`gen_ai.response.status`, where the answer may still be in the making: queued, in_progress, completed, …"""
    agent_name: str | None = None
    query: str | None = None
    """What a search asked for."""
    documents: list[dict[str, object]] = field(default_factory=new_list)
    """What it found, in the conventions' shape."""
    vendor_attributes: dict[str, object] = field(default_factory=new_dict)
    """Further attributes by their whole names: the provider's own (`anthropic.thinking.budget_tokens`) and facts about endpoints."""
    fetched_usage: Usage | None = None
    """Usage that an answer tells of which was only fetched: another call has used it."""
    usage: Usage | None = None
    cost: Cost | None = None
    error_code: str | None = None
    """The provider's own code of an error that came inside an answer or a stream."""
    error_message: str | None = None

    request: dict[str, object] | None = None
    """The request body as it was sent, parsed."""
    request_json: bytes | None = None
    """The same as bytes, where these are valid JSON throughout and hold nothing that had to be taken out."""
    answer: dict[str, object] | None = None
    """The answer body parsed; of a stream, what the unstreamed answer would have been."""

    chunk_kinds: list[str] = field(default_factory=new_list)
    """For each piece of a stream what it brought first: text, reasoning, tool_call, usage or other."""
    all_finished: bool = False
    """Every choice that was begun has its finish reason (a stream whose end the caller did not wait for is complete then)."""
    problems: list[str] = field(default_factory=new_list)
    """What could not be read, for the log and the ledger; the record exists all the same."""
