"""Which provider answers at an address (`gen_ai.provider.name`).

Names are those of the conventions where they have one, else the provider's own in lower case.
"""

from __future__ import annotations

from functools import lru_cache

from tracer.call import Call

OPENAI = "openai"
AZURE_OPENAI = "azure.ai.openai"
AZURE_INFERENCE = "azure.ai.inference"
ANTHROPIC = "anthropic"
BEDROCK = "aws.bedrock"

PROVIDERS: dict[str, str] = {
    "api.openai.com": OPENAI,
    "openai.azure.com": AZURE_OPENAI,
    "cognitiveservices.azure.com": AZURE_OPENAI,
    "services.ai.azure.com": AZURE_INFERENCE,
    "inference.ai.azure.com": AZURE_INFERENCE,
    "azure.com": AZURE_OPENAI,
    "amazonaws.com": BEDROCK,
    "api.aws": BEDROCK,
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "rep.googleapis.com": "gcp.vertex_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "api.anthropic.com": ANTHROPIC,
    "api.groq.com": "groq",
    "openrouter.ai": "openrouter",
    "api.deepseek.com": "deepseek",
    "api.together.xyz": "together",
    "api.together.ai": "together",
    "api.mistral.ai": "mistral_ai",
    "api.x.ai": "x_ai",
    "api.fireworks.ai": "fireworks",
    "api.perplexity.ai": "perplexity",
    "api.cerebras.ai": "cerebras",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "api.z.ai": "zai",
    "open.bigmodel.cn": "zai",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
    "snowflakecomputing.com": "snowflake",
    "api.sambanova.ai": "sambanova",
    "integrate.api.nvidia.com": "nvidia",
    "router.huggingface.co": "huggingface",
    "endpoints.huggingface.cloud": "huggingface",
    "api.deepinfra.com": "deepinfra",
    "api.novita.ai": "novita",
    "inference.baseten.co": "baseten",
    "api.minimax.io": "minimax",
    "api.minimaxi.com": "minimax",
    "dashscope.aliyuncs.com": "dashscope",
    "dashscope-intl.aliyuncs.com": "dashscope",
    "api.siliconflow.cn": "siliconflow",
    "api.siliconflow.com": "siliconflow",
    "api.hyperbolic.xyz": "hyperbolic",
    "models.github.ai": "github",
    "api.githubcopilot.com": "github_copilot",
    "ollama.com": "ollama",
    "databricks.com": "databricks",
    "azuredatabricks.net": "databricks",
    "ai-gateway.vercel.sh": "vercel",
}
"""Hosts, or the ends of hosts, and the provider's name; the longest match counts."""

_PORTS = {11434: "ollama"}
"""Ports that one server program alone listens on by default, whatever the host."""

_LOCAL_PORTS = {1234: "lm_studio"}
"""The same on this machine only: elsewhere such a number means nothing."""
_LOCAL = ("localhost", "127.0.0.1", "::1", "host.docker.internal")

_MARKS = {"fp_ollama": "ollama"}
"""`system_fingerprint` of servers that say who they are there."""


@lru_cache(1024)
def provider_of(host: str, *, azure: bool = False, port: int | None = None, path: str = "", otherwise: str = OPENAI) -> str:
    """The provider that answers at an address; one that is not known counts as `otherwise`, whose protocol the client speaks.

    >>> provider_of("api.groq.com"), provider_of("my.openai.azure.com"), provider_of("127.0.0.1"), provider_of("localhost", azure=True)
    ('groq', 'azure.ai.openai', 'openai', 'azure.ai.openai')
    """
    if azure:
        return AZURE_OPENAI
    # Google puts the region into the label itself: europe-west1-aiplatform.googleapis.com.
    end = host.lower().rstrip(".").replace("-aiplatform.", ".aiplatform.")
    while end:
        provider = PROVIDERS.get(end)
        if provider is not None:
            # Azure's newer hosts serve both: OpenAI's own interface has its path.
            return AZURE_OPENAI if provider == AZURE_INFERENCE and path.startswith("/openai") else provider
        end = end.partition(".")[2]
    local = _LOCAL_PORTS.get(port or 0) if host.lower() in _LOCAL else None
    return local or _PORTS.get(port or 0, otherwise)


def provider_of_call(call: Call) -> str:
    """The provider of an SDK client's call: what settings or client name, else what its address says, else the SDK's own."""
    if call.provider:
        return call.provider
    host, path = call.server_host, call.base_path
    if call.library != ANTHROPIC and call.operation != "messages":
        return provider_of(host, azure=call.azure, port=call.server_port, path=path)
    provider = provider_of(host, port=call.server_port, path=path, otherwise=ANTHROPIC)
    # Azure and Amazon only pass on to Anthropic's own service, as its SDK sees it too; Bedrock is a service of Amazon's own.
    passed_on = provider.startswith("azure.") or (provider == BEDROCK and "bedrock" not in host)
    return ANTHROPIC if passed_on else provider


def provider_by_mark(provider: str, fingerprint: str | None) -> str:
    """The provider that an answer itself names, where the address said nothing.

    >>> provider_by_mark("openai", "fp_ollama"), provider_by_mark("groq", "fp_1")
    ('ollama', 'groq')
    """
    return _MARKS.get(fingerprint or "", provider) if provider == OPENAI else provider
