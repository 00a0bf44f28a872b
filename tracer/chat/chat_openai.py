"""`ChatOpenAI`: a chat model that makes its clients itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracer.chat.model import ChatModel
from tracer.settings import environment_value

DEFAULT_MODEL = "gpt-4o-mini"


class ChatOpenAI(ChatModel):
    """A chat model at OpenAI, or at any address that speaks its API; every call is recorded.

    The key is `openai_api_key` (or `api_key`; a text, or a function that gives one), else OPENAI_API_KEY. `timeout` in seconds.
    Arguments that are not named here are parameters of every request (`temperature`, `max_tokens`, `seed` …). `http_client` and
    `http_async_client` are HTTP clients of your own.

    Raises ValueError without a key.

    >>> chat = ChatOpenAI(openai_api_key="sk-…", temperature=0)
    >>> chat.model
    'gpt-4o-mini'
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        openai_api_key: str | Callable[[], Any] | None = None,
        api_key: str | Callable[[], Any] | None = None,
        base_url: str | None = None,
        timeout: Any = None,
        max_retries: int | None = None,
        organization: str | None = None,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
        http_client: Any = None,
        http_async_client: Any = None,
        model_kwargs: Mapping[str, Any] | None = None,
        streaming: bool = False,  # noqa: ARG002  # LangChain's programs may pass it; how an answer comes is the verb's choice here
        **parameters: Any,
    ) -> None:
        import openai

        aliases = {"model_name": model, "openai_api_base": base_url, "request_timeout": timeout, "openai_organization": organization}
        model, base_url, timeout, organization = (
            parameters.pop(alias, None) if value is None else value for alias, value in aliases.items()
        )
        given = {"base_url": base_url, "timeout": timeout, "max_retries": max_retries, "organization": organization}
        settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        settings.update(api_key=_key(openai_api_key or api_key), default_headers=default_headers, default_query=default_query)
        async_client = openai.AsyncOpenAI(**settings, http_client=http_async_client) if http_async_client is not None else None
        client = openai.OpenAI(**settings, http_client=http_client)
        super().__init__(client, model=model or DEFAULT_MODEL, async_client=async_client, **{**(model_kwargs or {}), **parameters})


def _key(given: Any) -> Any:
    # pydantic's SecretStr, as LangChain takes it.
    reveal = getattr(given, "get_secret_value", None)
    key = reveal() if reveal is not None else given
    if not (key or environment_value("OPENAI_API_KEY")):
        raise ValueError("ChatOpenAI needs a key: give openai_api_key=… (or api_key=…), or set the environment variable OPENAI_API_KEY.")
    return key or None
