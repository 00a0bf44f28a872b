"""Names of attributes, in one table.

`gen_ai.*` and `openai.*`: OpenTelemetry GenAI semantic conventions v0.1.0; `server.*`, `error.*`, `exception.*`, `http.*`, `url.*`,
`session.*`, `user.*`: OpenTelemetry semantic conventions v1.45; `input.value` and its kin: OpenInference; `tracer.*`: our own.
The official constants are not used: they are marked deprecated and lack the newer names.
"""

from __future__ import annotations

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/0.1.0"

OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
CONVERSATION_ID = "gen_ai.conversation.id"
OUTPUT_TYPE = "gen_ai.output.type"
PROMPT_NAME = "gen_ai.prompt.name"
PROMPT_VERSION = "gen_ai.prompt.version"
EMBEDDINGS_DIMENSION_COUNT = "gen_ai.embeddings.dimension.count"

REQUEST_PREFIX = "gen_ai.request."
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
REQUEST_PREVIOUS_RESPONSE_ID = "gen_ai.request.previous_response.id"

RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
RESPONSE_STATUS = "gen_ai.response.status"
RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"

USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE = "gen_ai.usage.cache_write.input_tokens"
USAGE_REASONING = "gen_ai.usage.reasoning.output_tokens"
USAGE_TEXT_INPUT = "gen_ai.usage.text.input_tokens"
USAGE_TEXT_OUTPUT = "gen_ai.usage.text.output_tokens"
USAGE_IMAGE_INPUT = "gen_ai.usage.image.input_tokens"
USAGE_AUDIO_INPUT = "gen_ai.usage.audio.input_tokens"
USAGE_AUDIO_OUTPUT = "gen_ai.usage.audio.output_tokens"

INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"

RETRIEVAL_QUERY = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS = "gen_ai.retrieval.documents"

EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_SCORE = "gen_ai.evaluation.score.value"
EVALUATION_LABEL = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation"

AGENT_NAME = "gen_ai.agent.name"
TOOL_NAME = "gen_ai.tool.name"
TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT = "gen_ai.tool.call.result"

INPUT_VALUE = "input.value"
INPUT_MIME_TYPE = "input.mime_type"
OUTPUT_VALUE = "output.value"
OUTPUT_MIME_TYPE = "output.mime_type"

OPENAI_API_TYPE = "openai.api.type"
OPENAI_REQUEST_SERVICE_TIER = "openai.request.service_tier"
OPENAI_RESPONSE_SERVICE_TIER = "openai.response.service_tier"
OPENAI_RESPONSE_SYSTEM_FINGERPRINT = "openai.response.system_fingerprint"

SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"
SESSION_ID = "session.id"
USER_ID = "user.id"
HTTP_REQUEST_METHOD = "http.request.method"
HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
URL_TEMPLATE = "url.template"
URL_PATH = "url.path"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACKTRACE = "exception.stacktrace"

OUTCOME = "tracer.outcome"
RUN_ID = "tracer.run_id"
USAGE_SOURCE = "tracer.usage.source"
STREAM_CHUNKS = "tracer.stream.chunks"
STREAM_PROVIDER_TIME = "tracer.stream.provider_time"
STREAM_CONSUMER_TIME = "tracer.stream.consumer_time"
STREAM_LONGEST_GAP = "tracer.stream.longest_gap"
STREAM_FIRST_TEXT = "tracer.stream.time_to_first_text"
STREAM_FIRST_REASONING = "tracer.stream.time_to_first_reasoning"
STREAM_FIRST_TOOL_CALL = "tracer.stream.time_to_first_tool_call"
COST_TOTAL = "tracer.cost.total"
COST_INPUT = "tracer.cost.input"
COST_OUTPUT = "tracer.cost.output"
COST_CURRENCY = "tracer.cost.currency"
COST_PRICES = "tracer.cost.prices"
CONTENT_TRUNCATED = "tracer.content.truncated"
CONTENT_BYTES = "tracer.content.bytes"
CONTENT_SHA256 = "tracer.content.sha256"
CONTENT_WITHHELD = "tracer.content.withheld"
TAGS = "tracer.tags"
METADATA_PREFIX = "tracer.metadata."
ATTEMPT_WAIT = "tracer.attempt.wait"
ATTEMPT_REQUEST_ID = "tracer.attempt.request_id"

CHAT = "chat"
TEXT_COMPLETION = "text_completion"
EMBEDDINGS = "embeddings"
INVOKE_AGENT = "invoke_agent"
INVOKE_WORKFLOW = "invoke_workflow"
EXECUTE_TOOL = "execute_tool"
RETRIEVAL = "retrieval"
GENERATE_CONTENT = "generate_content"
FETCH_RESPONSE = "fetch_response"
CREATE_AGENT = "create_agent"
MODERATION = "moderation"
DECISION = "decision"

OPERATION_OF_READER = {
    "chat": CHAT,
    "responses": CHAT,
    "messages": CHAT,
    "langchain": CHAT,
    "object": CHAT,
    "completions": TEXT_COMPLETION,
    "complete": TEXT_COMPLETION,
    "embeddings": EMBEDDINGS,
    "image": GENERATE_CONTENT,
    "speech": GENERATE_CONTENT,
    "transcription": GENERATE_CONTENT,
    "video": GENERATE_CONTENT,
    "moderation": MODERATION,
    "decision": DECISION,
    "search": RETRIEVAL,
    "fetched_response": FETCH_RESPONSE,
    "fetched_chat": FETCH_RESPONSE,
    "fetched_run": FETCH_RESPONSE,
    "agent": CREATE_AGENT,
    "run": INVOKE_AGENT,
}
"""`gen_ai.operation.name` by `Call.operation`, for calls whose bodies could not be read."""

OPERATION_OF_KIND = {
    "chain": INVOKE_WORKFLOW,
    "agent": INVOKE_AGENT,
    "tool": EXECUTE_TOOL,
    "retriever": RETRIEVAL,
    "llm": CHAT,
    "embedding": EMBEDDINGS,
}
"""`gen_ai.operation.name` of the application's own spans by `Call.kind`."""
