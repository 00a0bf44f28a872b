"""Where our runs differ from those of LangSmith's SDK on purpose, and why. `docs/langsmith.md` lists the reasons.

Each entry has to be needed by some scenario: a test fails for those that are not.
"""

from __future__ import annotations

from typing import Any

from tests.langsmith_fields import MISSING, Allowed, only_ours, only_sdks

_LLM = r"outputs\.generations\[0\]\[0\]\.message\.kwargs"


def both(sdk: Any, ours: Any) -> bool:
    """Each has its own."""
    return MISSING not in (sdk, ours)


EVERYWHERE = (
    Allowed(
        r"extra\.runtime\.(sdk|sdk_version|library|library_version)",
        "Each names itself; ours names the library that was called and its version.",
        both,
    ),
    Allowed(
        r"extra\.runtime\.(library_version|openai_version|langchain_version|langgraph_version)",
        "Versions of further libraries, where they are loaded.",
        only_ours,
    ),
    Allowed(
        r"extra\.metadata\.revision_id",
        "The SDK runs `git describe` in the application's folder; we start no programs.",
        only_sdks,
    ),
)

OF_CLIENTS = (
    Allowed(r"extra\.metadata\.ls_method", "It names the SDK's own decorator, which had no part in it.", only_sdks),
    Allowed(
        r"inputs\.(extra_body|provider|thinking|reasoning|encoding_format)\b.*|extra\.metadata\.ls_invocation_params\.reasoning\..*",
        "Ours are the parameters of the request as it was sent, so `extra_body` stands where it took effect.",
    ),
    Allowed(r"inputs\.extra_headers\..*", "Headers may hold secrets; they are never recorded.", only_sdks),
    Allowed(r"inputs\.stream", "OpenAI's `parse` says so in its requests.", lambda sdk, ours: (sdk, ours) == (MISSING, False)),
    Allowed(r"inputs\.timeout", "How long a client waits is no part of the request.", only_sdks),
    Allowed(
        r"(inputs|extra\.metadata\.ls_invocation_params)\.response_format\b.*|inputs\.(text_format|text)\b.*",
        "Ours is the schema that was sent, the SDK's the `repr` of a class, or the schema before OpenAI's SDK made it strict.",
    ),
    Allowed(
        r"outputs\.(choices\[0\]\.message|output\[0\]\.content\[0\])\.parsed\..*|outputs\.output_parsed\..*",
        "What `parse` makes of the text is made in the caller; the text is there.",
        only_sdks,
    ),
    Allowed(r"outputs\.obfuscation", "Padding of one chunk, no part of the answer.", only_sdks),
    Allowed(r"outputs\.choices\[\d+\]\.logprobs(\..*)?", "The SDK loses the log probabilities of a stream.", only_ours),
    Allowed(
        r"outputs\.choices\[\d+\]\.message\.(refusal|reasoning|reasoning_content|reasoning_details|channel)\b.*",
        "The SDK loses refusals, reasoning and fields of other providers in a stream.",
        only_ours,
    ),
    Allowed(
        r"outputs\.(error|x_groq)\..*",
        "What a provider says in a stream beside the chunks: the SDK loses it.",
        only_ours,
    ),
    Allowed(
        r"(outputs|extra\.metadata)\.usage_metadata\.input_token_details\.cache_creation",
        "Tokens written to a cache have a price of their own; the SDK leaves them out.",
        only_ours,
    ),
    Allowed(
        r"(outputs|extra\.metadata)\.usage_metadata\.(input|output|total)_token.*",
        "Usage of the older completions, and of streams that the caller did not ask it for: the SDK has none.",
        only_ours,
    ),
    Allowed(r"outputs\.choices\[0\]\.(finish_reason|index)", "The SDK folds streams of the older completions to their text.", only_ours),
    Allowed(
        r"outputs\.text\.format\.schema_?\..*",
        "`schema_` is the name of a field in OpenAI's SDK; the answer says `schema`.",
    ),
    Allowed(r"run", "The SDK does not trace embeddings.", only_ours),
    Allowed(r"outputs", "An answer that never came is not an empty one.", lambda sdk, ours: sdk == {} and ours == MISSING),
    Allowed(
        r"error\..*",
        "A stream that is left by its consumer and a call that was cancelled are no errors (design §6).",
        lambda sdk, ours: ours == MISSING and any(word in str(sdk) for word in ("GeneratorExit", "CancelledError", "NoneType: None")),
    ),
    Allowed(r"extra\.metadata\.tracer\.outcome", "That it was stopped or cancelled is said in the metadata.", only_ours),
)

OF_LANGCHAIN = (
    Allowed(
        r"serialized\.kwargs\.(openai_api_base|max_retries)",
        "Arguments of clients (addresses, which may hold passwords, among them) do not leave.",
        only_sdks,
    ),
    Allowed(r"extra\.metadata\.ls_(integration|retriever_name)", "Which integration of LangSmith's own sent a step.", only_sdks),
    Allowed(r"extra\.(color|defers_inputs)", "Notes that LangChain's classes leave for each other.", only_sdks),
    Allowed(rf"{_LLM}\.tool_call_chunks\[.*", "Chunks of one call, which `tool_calls` has whole.", only_sdks),
    Allowed(r"extra\.tool_call_id", "It stands in the tool's message.", only_sdks),
    Allowed(r"extra\.options(\.tools\[.*)?", "The same tools stand among the parameters."),
    Allowed(
        rf"{_LLM}\.response_metadata(\.(body|headers|status_code)\b.*)?",
        "Bodies and headers of failed requests may hold secrets; the error's text says what was wrong.",
    ),
)

OF_CHAT_MODELS = (
    Allowed(r"extra\.metadata\.lc_versions\..*", "LangChain had no part in it.", only_sdks),
    Allowed(
        r"extra\.(invocation_params|metadata)\.stream",
        "LangChain writes its model's setting, ours is what was asked for.",
        lambda sdk, ours: (sdk, ours) == (False, True),
    ),
    Allowed(
        rf"(extra\.metadata|{_LLM})\.usage_metadata\..*",
        "Usage of a stream that the caller did not ask it for.",
        only_ours,
    ),
    Allowed(r"error\..*", "LangChain raises errors of its own in the place of the SDK's.", both),
    Allowed(r"outputs\..*", "LangChain makes an empty answer of a failed call.", only_sdks),
)

OF_THE_QUICKSTART = (
    Allowed(r"extra\.metadata\.LANG(SMITH|CHAIN)_.*", "Variables of the environment never leave.", only_sdks),
    Allowed(r"extra\.runtime\.langchain(_core)?_version", "A version is told where LangChain is loaded.", only_sdks),
    Allowed(r"extra\.batch_size", "Each input of `generate` is a call of its own.", lambda sdk, ours: ours == 1),
)
