"""A record as span attributes, after OpenTelemetry's GenAI conventions v0.1.0."""

from __future__ import annotations

from collections.abc import Mapping

from tracer.call import AGENT, CHAIN, EMBEDDING, FAILED, LLM, TOOL, Call
from tracer.dotted_order import id_text
from tracer.export import names
from tracer.export.content import content_attributes
from tracer.export.span import AttributeValue
from tracer.export.texts import well_formed
from tracer.export.values import attribute_value
from tracer.reading.generation import Cost, Generation, Usage
from tracer.reading.providers import provider_of_call
from tracer.reading.record import Clocks, Record
from tracer.reading.values import LARGEST
from tracer.settings import Settings

OWN_SPAN = "span"
"""`Call.operation` of the application's own spans (`tracer.trace`)."""

_DOUBLES = frozenset(("temperature", "top_p", "frequency_penalty", "presence_penalty"))
_COUNTED = (names.CHAT, names.TEXT_COMPLETION, names.EMBEDDINGS)
_SHORT = 256
_OURS = frozenset((names.OUTCOME, names.RUN_ID))


def attributes_of(record: Record, settings: Settings, *, content: bool = True) -> dict[str, AttributeValue]:
    """All attributes of the record's span: names and types of the GenAI conventions v0.1.0, and `tracer.*` of our own.

    Doubles are floats, counts ints, lists never empty; what is not known is absent, never None. Content is JSON text of at most
    `settings.max_content` bytes; there is none without `content`. Attributes set by the application come last and may replace any but
    `tracer.outcome` and `tracer.run_id`. Example: `attributes_of(record, settings)["gen_ai.usage.input_tokens"]` is `12`.
    """
    call, generation = record.call, record.generation
    attributes: dict[str, AttributeValue] = {}
    if generation is not None:
        values = _generation(call, generation)
        if call.template:
            values.update(_http(call, plain=not generation.operation))
    elif call.operation == OWN_SPAN:
        values = _own_span(call)
    else:
        values = _request(call)
    _put_server(call, values)
    _put_place(call, generation, values)
    _add(attributes, values)
    _put_outcome(record, attributes)
    if call.stream_clock is not None or record.clocks.chunks is not None:
        _add(attributes, _clocks(record.clocks))
    if content:
        attributes.update(content_attributes(record, settings.max_content))
    if call.metadata:
        _add(attributes, {names.METADATA_PREFIX + str(key): value for key, value in call.metadata.items()})
    if call.attributes:
        _add(attributes, {str(key): value for key, value in call.attributes.items() if key not in _OURS})
    return attributes


def attributes_at_start(call: Call) -> dict[str, AttributeValue]:
    """What samplers may decide by: operation, provider, model and address of a call that begins.

    >>> attributes_at_start(Call(1, 1, 1, kind="tool", name="weather", operation="span"))
    {'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': 'weather'}
    """
    attributes: dict[str, AttributeValue] = {}
    if call.operation == OWN_SPAN:
        _add(attributes, _own_span(call))
        return attributes
    values: dict[str, object] = {
        names.OPERATION_NAME: names.OPERATION_OF_READER.get(call.operation),
        names.PROVIDER_NAME: provider_of_call(call) if call.server_host else None,
        names.REQUEST_MODEL: call.model,
    }
    _put_server(call, values)
    _add(attributes, values)
    return attributes


def error_type_of(record: Record) -> str | None:
    """`error.type` of a failed record: the provider's error code, else the exception's class, else `_OTHER`; None if not failed."""
    if record.outcome != FAILED:
        return None
    failure, generation = record.call.failure, record.generation
    code = (failure.code if failure else None) or (generation.error_code if generation else None)
    return code or (failure.type if failure else None) or "_OTHER"


def operation_of(record: Record) -> str:
    """`gen_ai.operation.name` of the record, or an empty text for what the conventions do not know.

    >>> operation_of(Record(Call(1, 1, 1, kind="tool", operation="span"), "completed"))
    'execute_tool'
    """
    if record.generation is not None:
        return record.generation.operation
    if record.call.operation == OWN_SPAN:
        return names.OPERATION_OF_KIND.get(record.call.kind, "")
    return names.OPERATION_OF_READER.get(record.call.operation, "")


def model_of(record: Record) -> str | None:
    """The model asked for, from the request or as it was known at the start."""
    generation = record.generation
    return (generation.request_model if generation else None) or record.call.model


def _add(attributes: dict[str, AttributeValue], values: Mapping[str, object]) -> None:
    """Add what is there, in attribute types."""
    for name, value in values.items():
        if value is None:
            continue
        # Most values are as they should be already; asking that first spares half of the time.
        if type(value) is str:
            if value and len(value) <= _SHORT and value.isascii():
                attributes[name] = value
                continue
        elif (type(value) is int or type(value) is float) and -LARGEST <= value <= LARGEST:
            attributes[name] = value
            continue
        safe = attribute_value(value)
        if safe is not None:
            attributes[name if name.isascii() else well_formed(name)] = safe


def _generation(call: Call, generation: Generation) -> dict[str, object]:
    values: dict[str, object] = {
        names.OPERATION_NAME: generation.operation,
        names.PROVIDER_NAME: generation.provider,
        names.REQUEST_MODEL: generation.request_model or call.model,
        names.REQUEST_STREAM: call.streaming or None,
        names.OUTPUT_TYPE: generation.output_type,
        names.REQUEST_PREVIOUS_RESPONSE_ID: generation.previous_response_id,
        names.PROMPT_NAME: generation.prompt_name,
        names.PROMPT_VERSION: generation.prompt_version,
        names.OPENAI_API_TYPE: generation.api_type,
        names.OPENAI_REQUEST_SERVICE_TIER: None if generation.service_tier == "auto" else generation.service_tier,
        names.RESPONSE_ID: generation.response_id,
        names.RESPONSE_MODEL: generation.response_model,
        names.RESPONSE_STATUS: generation.response_status,
        names.AGENT_NAME: generation.agent_name,
        names.RESPONSE_FINISH_REASONS: generation.finish_reasons,
        names.OPENAI_RESPONSE_SERVICE_TIER: generation.response_service_tier,
        names.OPENAI_RESPONSE_SYSTEM_FINGERPRINT: generation.system_fingerprint,
        names.EMBEDDINGS_DIMENSION_COUNT: generation.embedding_dimensions,
    }
    for name, value in generation.parameters.items():
        values.setdefault(names.REQUEST_PREFIX + name, _parameter(name, value))
    values.update(generation.vendor_attributes)
    if generation.usage is not None:
        values.update(_usage(generation.usage))
    if generation.cost is not None:
        values.update(_cost(generation.cost))
    return values


def _parameter(name: str, value: object) -> object:
    if name in _DOUBLES and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if name == "choice.count" and value == 1:
        return None
    return value


def _usage(usage: Usage) -> dict[str, object]:
    return {
        names.USAGE_INPUT_TOKENS: usage.input,
        names.USAGE_OUTPUT_TOKENS: usage.output,
        names.USAGE_CACHE_READ: usage.cache_read,
        names.USAGE_CACHE_WRITE: usage.cache_write,
        names.USAGE_REASONING: usage.reasoning,
        names.USAGE_TEXT_INPUT: usage.input_text,
        names.USAGE_TEXT_OUTPUT: usage.output_text,
        names.USAGE_IMAGE_INPUT: usage.input_image,
        names.USAGE_AUDIO_INPUT: usage.input_audio,
        names.USAGE_AUDIO_OUTPUT: usage.output_audio,
    }


def _cost(cost: Cost) -> dict[str, object]:
    return {
        names.COST_TOTAL: float(cost.total),
        names.COST_INPUT: None if cost.input is None else float(cost.input),
        names.COST_OUTPUT: None if cost.output is None else float(cost.output),
        names.COST_CURRENCY: cost.currency,
        names.COST_PRICES: cost.prices,
    }


def _own_span(call: Call) -> dict[str, object]:
    values: dict[str, object] = {names.OPERATION_NAME: names.OPERATION_OF_KIND.get(call.kind)}
    if call.kind == TOOL:
        values[names.TOOL_NAME] = call.name
    elif call.kind in (AGENT, CHAIN):
        values[names.AGENT_NAME] = call.name
    if call.model:
        values[names.REQUEST_MODEL] = call.model
    return values


def _request(call: Call) -> dict[str, object]:
    """Any other endpoint of a provider, and model calls whose bodies could not be read."""
    operation = names.OPERATION_OF_READER.get(call.operation)
    values: dict[str, object] = {
        names.OPERATION_NAME: operation,
        names.PROVIDER_NAME: provider_of_call(call),
        names.REQUEST_MODEL: call.model,
    }
    if operation:
        values[names.REQUEST_STREAM] = call.streaming or None
    else:
        values.update(_http(call, plain=True))
    return values


def _http(call: Call, *, plain: bool) -> dict[str, object]:
    """Where a request beside those to language models went; the path itself, with its ids, where nothing else says what it was."""
    return {
        names.HTTP_REQUEST_METHOD: call.method,
        names.URL_TEMPLATE: call.template,
        names.URL_PATH: call.path if plain else None,
        names.HTTP_RESPONSE_STATUS_CODE: call.attempts[-1].status if call.attempts else None,
    }


def _put_server(call: Call, values: dict[str, object]) -> None:
    if call.server_host:
        values[names.SERVER_ADDRESS] = call.server_host
        values[names.SERVER_PORT] = call.server_port or 443


def _put_place(call: Call, generation: Generation | None, values: dict[str, object]) -> None:
    """Where the call belongs. A conversation that the request names itself is closer to the provider than our session."""
    conversation = (generation.conversation_id if generation else None) or call.session
    if call.session:
        values[names.SESSION_ID] = call.session
    if conversation:
        values[names.CONVERSATION_ID] = conversation
    if call.user:
        values[names.USER_ID] = call.user
    if call.tags:
        values[names.TAGS] = call.tags


def _put_outcome(record: Record, attributes: dict[str, AttributeValue]) -> None:
    attributes[names.OUTCOME] = record.outcome
    attributes[names.RUN_ID] = id_text(record.call.run_id)
    if record.outcome == FAILED:
        _add(attributes, {names.ERROR_TYPE: error_type_of(record)})
    source = usage_source_of(record)
    if source is not None:
        attributes[names.USAGE_SOURCE] = source


def usage_source_of(record: Record) -> str | None:
    """Whether the provider reported tokens; that they are missing is said only of calls where it means something."""
    generation = record.generation
    if generation is None:
        return None if record.call.operation == OWN_SPAN or record.call.kind not in (LLM, EMBEDDING) else "missing"
    usage = generation.usage
    if usage is not None and (usage.input is not None or usage.output is not None or usage.total is not None):
        return "reported"
    if generation.operation == names.FETCH_RESPONSE:
        return None
    if generation.response_status in ("queued", "in_progress"):
        return "pending"
    return "missing" if generation.operation in _COUNTED else None


def _clocks(clocks: Clocks) -> dict[str, object]:
    return {
        names.RESPONSE_TIME_TO_FIRST_CHUNK: clocks.time_to_first_chunk,
        names.STREAM_CHUNKS: clocks.chunks,
        names.STREAM_PROVIDER_TIME: clocks.provider_time,
        names.STREAM_CONSUMER_TIME: clocks.consumer_time,
        names.STREAM_LONGEST_GAP: clocks.longest_gap,
        names.STREAM_FIRST_TEXT: clocks.time_to_first_text,
        names.STREAM_FIRST_REASONING: clocks.time_to_first_reasoning,
        names.STREAM_FIRST_TOOL_CALL: clocks.time_to_first_tool_call,
    }
