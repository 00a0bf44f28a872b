"""Settings of LangSmith-style backends, under the names that LangSmith's own client reads."""

from __future__ import annotations

from tracer import parsing
from tracer.environment import LANGSMITH_TRACING
from tracer.settings import forms
from tracer.settings.variable import Table, setting

DEFAULT_LANGSMITH = "https://api.smith.langchain.com"
"""Where runs go when a key is given without an endpoint."""


class LangSmith(Table):
    """Variables of LangSmith and of LangChain."""

    __slots__ = ()

    langsmith_tracing: bool = setting(
        *LANGSMITH_TRACING,
        parse=parsing.exactly_true,
        default=False,
        accepted="exactly `true`, or `false`",
        meaning="Switches tracing on. The first of these that is not blank decides alone.",
    )
    langsmith_key: str | None = setting(
        "LANGSMITH_API_KEY",
        "LANGCHAIN_API_KEY",
        parse=parsing.header_value,
        default=None,
        accepted="a key, in ASCII",
        meaning="Key of a LangSmith-style backend.",
        secret=True,
    )
    langsmith_endpoint: str | None = setting(
        "LANGSMITH_ENDPOINT",
        "LANGCHAIN_ENDPOINT",
        parse=parsing.own_base_url,
        default=None,
        accepted="a URL that starts with http:// or https://",
        meaning="Address of a LangSmith-style backend.",
        default_text=f"{DEFAULT_LANGSMITH} if a key is set",
    )
    langsmith_project: str = setting(
        "HOSTED_LANGSERVE_PROJECT_NAME",
        "LANGSMITH_PROJECT",
        "LANGCHAIN_PROJECT",
        "LANGSMITH_SESSION",
        "LANGCHAIN_SESSION",
        parse=parsing.stripped,
        default="default",
        accepted="a name",
        meaning="Project of a LangSmith-style backend.",
    )
    langsmith_workspace: str | None = setting(
        "LANGSMITH_WORKSPACE_ID",
        "LANGCHAIN_WORKSPACE_ID",
        parse=parsing.header_value,
        default=None,
        accepted="an id, in ASCII",
        meaning="Workspace of a LangSmith-style backend; keys of an organisation need it.",
    )
    langsmith_runs_endpoints: str | None = setting(
        "LANGSMITH_RUNS_ENDPOINTS",
        "LANGCHAIN_RUNS_ENDPOINTS",
        parse=forms.own_runs_endpoints,
        default=None,
        accepted='JSON such as [{"api_url": "https://…", "api_key": "…"}]',
        meaning="Several LangSmith-style backends, all of which get every run; LANGSMITH_ENDPOINT and LANGSMITH_API_KEY are then not used.",
        secret=True,
    )
    langsmith_sampling_rate: float = setting(
        "LANGSMITH_TRACING_SAMPLING_RATE",
        "LANGCHAIN_TRACING_SAMPLING_RATE",
        parse=parsing.number(0, 1),
        default=1.0,
        accepted="a number from 0 to 1",
        meaning="Share of traces that LangSmith-style backends get; other destinations get all.",
    )
    langsmith_batch_limit: int | None = setting(
        "LANGSMITH_BATCH_INGEST_SIZE_LIMIT",
        "LANGCHAIN_BATCH_INGEST_SIZE_LIMIT",
        parse=parsing.whole(1),
        default=None,
        accepted="a whole number above 0",
        meaning="Most runs in one request to a LangSmith-style backend, if the backend's own limit is not lower.",
        default_text="the backend's own limit",
    )
    langsmith_no_compression: bool = setting(
        "LANGSMITH_DISABLE_RUN_COMPRESSION",
        "LANGCHAIN_DISABLE_RUN_COMPRESSION",
        parse=parsing.true_or_one,
        default=False,
        accepted="true or 1, false or 0",
        meaning="Send runs uncompressed.",
    )
    langsmith_hide_inputs: bool = setting(
        "LANGSMITH_HIDE_INPUTS",
        "LANGCHAIN_HIDE_INPUTS",
        parse=parsing.boolean,
        default=False,
        accepted="true or false",
        meaning="LangSmith-style backends get no inputs, and of an error its type only.",
    )
    langsmith_hide_outputs: bool = setting(
        "LANGSMITH_HIDE_OUTPUTS",
        "LANGCHAIN_HIDE_OUTPUTS",
        parse=parsing.boolean,
        default=False,
        accepted="true or false",
        meaning="LangSmith-style backends get no outputs, and of an error its type only.",
    )
    langsmith_hide_metadata: bool = setting(
        "LANGSMITH_HIDE_METADATA",
        "LANGCHAIN_HIDE_METADATA",
        parse=parsing.boolean,
        default=False,
        accepted="true or false",
        meaning="LangSmith-style backends get no metadata.",
    )
