"""OpenInference, the names that Arize Phoenix shows and counts by. Attributes of it go before Phoenix's own conversion of `gen_ai.*`.

Source: `openinference-semantic-conventions` (`openinference.semconv.trace`), https://arize-ai.github.io/openinference/spec/.
"""

from __future__ import annotations

from tracer.export import names
from tracer.export.dialects.copies import PLAIN_TEXT
from tracer.export.dialects.subject import Attributes, Part, Said, Subject, as_text, link_of, objects_in, present, renamed, text_of
from tracer.export.values import json_text

KIND = "openinference.span.kind"
LLM = "LLM"
CHAIN = "CHAIN"
EMBEDDING = "EMBEDDING"
RETRIEVER = "RETRIEVER"

KINDS = {
    names.CHAT: LLM,
    names.TEXT_COMPLETION: LLM,
    names.GENERATE_CONTENT: LLM,
    names.EMBEDDINGS: EMBEDDING,
    names.RETRIEVAL: RETRIEVER,
    names.EXECUTE_TOOL: "TOOL",
    names.INVOKE_AGENT: "AGENT",
    names.CREATE_AGENT: "AGENT",
    names.MODERATION: "GUARDRAIL",
}
"""`openinference.span.kind` by operation; anything else is a CHAIN."""

RENAMED = {
    names.USAGE_INPUT_TOKENS: "llm.token_count.prompt",
    names.USAGE_OUTPUT_TOKENS: "llm.token_count.completion",
    names.USAGE_CACHE_READ: "llm.token_count.prompt_details.cache_read",
    names.USAGE_CACHE_WRITE: "llm.token_count.prompt_details.cache_write",
    names.USAGE_AUDIO_INPUT: "llm.token_count.prompt_details.audio",
    names.USAGE_AUDIO_OUTPUT: "llm.token_count.completion_details.audio",
    names.USAGE_REASONING: "llm.token_count.completion_details.reasoning",
    names.COST_TOTAL: "llm.cost.total",
    names.COST_INPUT: "llm.cost.prompt",
    names.COST_OUTPUT: "llm.cost.completion",
    names.AGENT_NAME: "agent.name",
    names.REQUEST_MODEL: "llm.request.model_name",
    names.RESPONSE_MODEL: "llm.response.model_name",
    names.TOOL_NAME: "tool.name",
    names.TOOL_CALL_ARGUMENTS: "tool.parameters",
    names.TAGS: "tag.tags",
}

PROVIDERS = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "aws.bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistralai",
    "x_ai": "xai",
}
"""`llm.provider` where it is another word than `gen_ai.provider.name`."""

SYSTEMS = {
    "openai": "openai",
    "azure.ai.openai": "openai",
    "anthropic": "anthropic",
    "gcp.vertex_ai": "vertexai",
    "mistral_ai": "mistralai",
}
"""`llm.system`, whose API it is, where that is known."""


def of_call(subject: Subject) -> Attributes:
    """What the span of a call gets."""
    attributes = subject.attributes
    kind = KINDS.get(subject.operation, CHAIN)
    added: Attributes = {KIND: kind, **renamed(subject, RENAMED)}
    if subject.metadata:
        added["metadata"] = json_text(subject.metadata)
    total = subject.total_tokens
    if total is not None:
        added["llm.token_count.total"] = total
    if kind in (LLM, EMBEDDING):
        added |= _model(subject, kind)
    if kind == LLM:
        added |= _conversation(subject)
    if kind == RETRIEVER:
        added |= _documents(subject)
        added |= _value(names.INPUT_VALUE, attributes.get(names.RETRIEVAL_QUERY))
    for name, value in ((names.TOOL_CALL_ARGUMENTS, names.INPUT_VALUE), (names.TOOL_CALL_RESULT, names.OUTPUT_VALUE)):
        if name in attributes:
            added |= {value: attributes[name], value.replace("value", "mime_type"): "application/json"}
    return added


def of_attempt(_subject: Subject, _index: int) -> Attributes:
    """What the span of an attempt gets."""
    return {KIND: CHAIN}


def _model(subject: Subject, kind: str) -> Attributes:
    attributes = subject.attributes
    model = attributes.get(names.RESPONSE_MODEL) or attributes.get(names.REQUEST_MODEL)
    provider = str(attributes.get(names.PROVIDER_NAME, ""))
    reasons = attributes.get(names.RESPONSE_FINISH_REASONS)
    if kind == EMBEDDING:
        return present({"embedding.model_name": model})
    return present(
        {
            "llm.model_name": model,
            "llm.provider": PROVIDERS.get(provider, provider),
            "llm.system": SYSTEMS.get(provider),
            "llm.finish_reason": next(iter(reasons), None) if isinstance(reasons, list | tuple) else None,
            "llm.invocation_parameters": json_text(subject.parameters) if subject.parameters else None,
        }
    )


def _conversation(subject: Subject) -> Attributes:
    added: Attributes = {}
    for index, message in enumerate(subject.asked):
        added |= _message(f"llm.input_messages.{index}.message", message)
    for index, message in enumerate(subject.answered):
        added |= _message(f"llm.output_messages.{index}.message", message)
    for index, tool in enumerate(subject.tools):
        added[f"llm.tools.{index}.tool.json_schema"] = json_text(tool)
    # What the list of spans shows of each: the last that was asked, and the answer.
    question = next((message.text for message in reversed(subject.asked) if message.text), None)
    answer = next((message.text for message in subject.answered if message.text), None)
    return {**added, **_value(names.INPUT_VALUE, question), **_value(names.OUTPUT_VALUE, answer)}


def _value(name: str, text: object) -> Attributes:
    return {name: text, name.replace("value", "mime_type"): PLAIN_TEXT} if isinstance(text, str) and text else {}


def _message(prefix: str, message: Said) -> Attributes:
    added: Attributes = {f"{prefix}.role": message.role}
    if message.name:
        added[f"{prefix}.name"] = message.name
    if message.tool_call_id:
        added[f"{prefix}.tool_call_id"] = message.tool_call_id
    if len(message.contents) == 1 and message.contents[0].get("type") == "text":
        added |= present({f"{prefix}.content": message.text})
    else:
        for index, part in enumerate(message.contents):
            added |= _content(f"{prefix}.contents.{index}.message_content", part)
    for index, call in enumerate(message.tool_calls):
        added |= _tool_call(f"{prefix}.tool_calls.{index}.tool_call", call)
    return added


def _content(prefix: str, part: Part) -> Attributes:
    link = link_of(part)
    if link is not None and part.get("modality") == "image":
        return {f"{prefix}.type": "image", f"{prefix}.image.image.url": link}
    kind = "reasoning" if part.get("type") == "reasoning" else "text"
    return present({f"{prefix}.type": kind, f"{prefix}.text": text_of(part)})


def _tool_call(prefix: str, part: Part) -> Attributes:
    return present(
        {
            f"{prefix}.id": as_text(part.get("id") or ""),
            f"{prefix}.function.name": as_text(part.get("name") or ""),
            f"{prefix}.function.arguments": as_text(part.get("arguments", "")),
        }
    )


def _documents(subject: Subject) -> Attributes:
    added: Attributes = {}
    for index, document in enumerate(objects_in(subject.content(names.RETRIEVAL_DOCUMENTS))):
        added |= _document(f"retrieval.documents.{index}.document", document)
    return added


def _document(prefix: str, document: Part) -> Attributes:
    score, metadata = document.get("score"), document.get("metadata")
    return present(
        {
            f"{prefix}.id": as_text(document["id"]) if "id" in document else None,
            f"{prefix}.score": float(score) if isinstance(score, int | float) else None,
            f"{prefix}.content": as_text(document["content"]) if "content" in document else None,
            f"{prefix}.metadata": json_text(metadata) if metadata else None,
        }
    )
