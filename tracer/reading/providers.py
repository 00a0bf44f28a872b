"""Which provider answers at a host (`gen_ai.provider.name`)."""

from __future__ import annotations

OPENAI = "openai"
AZURE_OPENAI = "azure.ai.openai"

PROVIDERS: dict[str, str] = {
    "api.openai.com": OPENAI,
    "openai.azure.com": AZURE_OPENAI,
    "models.inference.ai.azure.com": "azure.ai.inference",
    "azure.com": AZURE_OPENAI,
    "amazonaws.com": "aws.bedrock",
    "api.aws": "aws.bedrock",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "api.anthropic.com": "anthropic",
    "api.groq.com": "groq",
    "openrouter.ai": "openrouter",
    "api.deepseek.com": "deepseek",
    "api.together.xyz": "together",
    "api.together.ai": "together",
    "api.mistral.ai": "mistral_ai",
    "api.x.ai": "x_ai",
    "api.perplexity.ai": "perplexity",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "api.z.ai": "zai",
    "open.bigmodel.cn": "zai",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
    "snowflakecomputing.com": "snowflake",
}
"""Hosts, or the ends of hosts, and the provider's name; the longest match counts."""


def provider_of(host: str, *, azure: bool = False) -> str:
    """The provider that answers at a host; an unknown host speaks OpenAI's protocol and counts as `openai`.

    >>> provider_of("api.groq.com"), provider_of("my.openai.azure.com"), provider_of("127.0.0.1"), provider_of("localhost", azure=True)
    ('groq', 'azure.ai.openai', 'openai', 'azure.ai.openai')
    """
    if azure:
        return AZURE_OPENAI
    end = host.lower().rstrip(".")
    while end:
        provider = PROVIDERS.get(end)
        if provider is not None:
            return provider
        end = end.partition(".")[2]
    return OPENAI
