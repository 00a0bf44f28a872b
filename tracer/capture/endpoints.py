"""Which endpoint a request goes to: what kind of call that is, who reads its bodies, and its path without ids."""

from __future__ import annotations

import re

from tracer.call import AGENT, EMBEDDING, ENDPOINT, LLM, REQUEST, RETRIEVER

MODEL_CALLS = {
    "/chat/completions": (LLM, "chat"),
    "/responses": (LLM, "responses"),
    "/responses/compact": (LLM, "responses"),
    "/completions": (LLM, "completions"),
    "/embeddings": (EMBEDDING, "embeddings"),
    "/v1/messages": (LLM, "messages"),
    "/v1/complete": (LLM, "complete"),
}
"""POST to these paths is a call of a language model; its bodies are read in full."""

_OTHERS = {
    "POST /images/generations": (LLM, "image"),
    "POST /images/edits": (LLM, "image"),
    "POST /images/variations": (LLM, "image"),
    "POST /audio/speech": (LLM, "speech"),
    "POST /audio/transcriptions": (LLM, "transcription"),
    "POST /audio/translations": (LLM, "transcription"),
    "POST /videos": (LLM, "video"),
    "POST /videos/edits": (LLM, "video"),
    "POST /videos/extensions": (LLM, "video"),
    "POST /videos/{id}/remix": (LLM, "video"),
    "POST /moderations": (LLM, "moderation"),
    "POST /decisions": (LLM, "decision"),
    "POST /vector_stores/{id}/search": (RETRIEVER, "search"),
    "GET /responses/{id}": (REQUEST, "fetched_response"),
    "GET /chat/completions/{id}": (REQUEST, "fetched_chat"),
    "GET /threads/{id}/runs/{id}": (REQUEST, "fetched_run"),
    "POST /threads/runs": (AGENT, "run"),
    "POST /threads/{id}/runs": (AGENT, "run"),
    "POST /threads/{id}/runs/{id}/submit_tool_outputs": (AGENT, "run"),
    "POST /assistants": (REQUEST, "agent"),
    "POST /agents": (REQUEST, "agent"),
    "POST /v1/agents": (REQUEST, "agent"),
}
"""Further endpoints that the conventions have an operation for, or that ask a model."""

_PLAIN = (REQUEST, ENDPOINT)

_SUB_RESOURCE_WORDS = """
    activate admin_api_keys alerts alpha analytics api_keys apps artifacts audio_speeches audio_transcriptions audit_logs automations
    batches bundles calls cases certificates characters chat checkpoints claude_code claude_tag client_secrets code_interpreter_sessions
    compact completions compliance_settings configuration connectors cost cost_report costs count_tokens data_controls data_retention
    deactivate decisions deployments edits effective embeddings environments extensions external_keys external_storage
    federation_issuers federation_rules file_search_calls generations google graders groups images input_tokens invites items jobs
    managed_settings me moderations notices plugin_marketplaces plugins poll projects providers rate_limits rbac_group_default
    rbac_groups rbac_roles review roles run runs service_accounts sessions skills slack_channels slack_workspaces speech spend_alerts
    spend_limit spend_limit_increase_requests spend_limits stats stream summaries telemetry_destinations templates threads
    transcription_sessions transcriptions translations usage usage_report user_cost_report user_usage_report users validate
    validate_archive validate_repository variations vector_stores voice_consents voices web_search_calls webhooks
    workload_identity_providers workspaces
"""
_SUB_RESOURCES = frozenset(_SUB_RESOURCE_WORDS.split())
"""Words that stand right behind another word in the paths of the SDKs: anything else there is an id."""

_ID = "{id}"
_VERSION = re.compile(r"v\d+(alpha|beta)?\d*")
_WORD = re.compile(r"[a-z][a-z_]{1,39}")


def endpoint_of(method: str, path: str) -> tuple[str, str, str]:
    """Kind, operation (which reader) and template of a request that is none of `MODEL_CALLS`.

    >>> endpoint_of("GET", "/responses/resp_1")
    ('request', 'fetched_response', '/responses/{id}')
    """
    template = template_of(path)
    kind, operation = _OTHERS.get(f"{method} {template}", _PLAIN)
    return kind, operation, template


def template_of(path: str) -> str:
    """The path with `{id}` for whatever may be an id, so that there are few different ones.

    Known words and the first one stay, and so does what looks like a word behind an id; of endpoints that nobody knows yet, this may
    hide a word, but never shows an id.

    >>> template_of("/threads/thread_a1/runs/run_b2/steps"), template_of("/v1/models/claude"), template_of("/new/thing-1/detail")
    ('/threads/{id}/runs/{id}/steps', '/v1/models/{id}', '/new/{id}/detail')
    """
    segments: list[str] = []
    before = ""
    for segment in path.split("/"):
        if segment and not (not before and _VERSION.fullmatch(segment)):
            word = segment in _SUB_RESOURCES or (before in ("", _ID) and _WORD.fullmatch(segment) is not None)
            before = segment = segment if word else _ID
        segments.append(segment)
    return "/".join(segments)
