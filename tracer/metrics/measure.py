"""From a record to what is measured of it: pure functions, one for each group of instruments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tracer.call import AGENT, CHAIN, EMBEDDING, LLM, RETRIEVER, TOOL, Attempt, Call, pieces_taken
from tracer.export import names
from tracer.export.attributes import OWN_SPAN, error_type_of, model_of, operation_of, usage_source_of
from tracer.export.spans import attempt_error_of
from tracer.metrics import instruments as of
from tracer.metrics import labels
from tracer.metrics.instruments import Instrument
from tracer.metrics.labels import Labels, labels_of
from tracer.reading.generation import Usage
from tracer.reading.providers import provider_of_call
from tracer.reading.record import Record
from tracer.settings import V01

STALL = 5.0
"""Seconds without a chunk that count as a stall."""

_NANOSECONDS = 1e9
_UNKNOWN = "unknown"


class Measurement(NamedTuple):
    """One value for one instrument."""

    instrument: Instrument
    value: float
    labels: Labels


def measure(record: Record, version: str) -> Iterator[Measurement]:
    """Everything that is measured of a record; `version` is that of the conventions whose names are used (`TRACER_METRICS`)."""
    call = record.call
    identity = identity_of(record)
    error = labels_of({names.ERROR_TYPE: error_type_of(record)})
    duration = max(call.ended - call.started, 0) / _NANOSECONDS
    if call.kind in (LLM, EMBEDDING):
        yield from _model_call(record, version, identity, error, duration)
    elif call.operation == OWN_SPAN:
        yield from _own_span(call, version, identity, error, duration)
    outcome = labels_of({names.OUTCOME: record.outcome, labels.KIND: call.kind})
    yield Measurement(of.ALL_CALLS, 1, {**identity, **outcome, **error})
    yield from _wire(call, identity)


def identity_of(record: Record) -> Labels:
    """What was asked, of whom: operation, provider, models, address."""
    call, generation = record.call, record.generation
    own = call.operation == OWN_SPAN
    return labels_of(
        {
            names.OPERATION_NAME: operation_of(record),
            names.PROVIDER_NAME: generation.provider if generation else None if own else provider_of_call(call),
            names.REQUEST_MODEL: model_of(record),
            names.RESPONSE_MODEL: generation.response_model if generation else None,
            names.SERVER_ADDRESS: call.server_host,
            names.SERVER_PORT: (call.server_port or 443) if call.server_host else None,
        }
    )


def _model_call(record: Record, version: str, identity: Labels, error: Labels, duration: float) -> Iterator[Measurement]:
    embedding = record.call.kind == EMBEDDING
    if version == V01:
        yield Measurement(of.EMBEDDINGS_DURATION if embedding else of.INFERENCE_DURATION, duration, {**identity, **error})
        yield from _tokens_v01(record, identity, error, embedding)
    else:
        yield Measurement(of.OPERATION_DURATION, duration, {**identity, **error})
        yield from _tokens_v141(record, identity)
    yield from _stream(record, version, identity)
    yield from _money(record, identity)


def _tokens_v141(record: Record, identity: Labels) -> Iterator[Measurement]:
    usage = _usage(record)
    for kind, count in (("input", usage.input), ("output", usage.output)):
        if count is not None:
            yield Measurement(of.TOKEN_USAGE, count, {**identity, labels.TOKEN_TYPE: kind})
    # Parts of the two above: in the same instrument they would be added to them once more.
    yield from _token_parts(usage, identity)


def _tokens_v01(record: Record, identity: Labels, error: Labels, embedding: bool) -> Iterator[Measurement]:
    usage = _usage(record)
    if embedding:
        if usage.input is not None:
            yield Measurement(of.EMBEDDINGS_TOKENS, usage.input, identity)
        return
    by_kind = (
        (of.INPUT_TOKENS, of.CALL_INPUT_TOKENS, usage.input, (usage.input_text, usage.input_image, usage.input_audio)),
        (of.OUTPUT_TOKENS, of.CALL_OUTPUT_TOKENS, usage.output, (usage.output_text, usage.output_image, usage.output_audio)),
    )
    for total, of_call, count, parts in by_kind:
        if count is not None:
            yield Measurement(of_call, count, {**identity, **error})
        for modality, part in _by_modality(count or 0, parts):
            yield Measurement(total, part, {**identity, labels.MODALITY: modality})
    yield from _token_parts(usage, {**identity, labels.MODALITY: _UNKNOWN})


def _by_modality(count: int, parts: tuple[int | None, int | None, int | None]) -> list[tuple[str, int]]:
    """The count split by modality, as far as the provider told it; what is left has an unknown one."""
    told = [(name, part) for name, part in zip(("text", "image", "audio"), parts, strict=True) if part]
    rest = count - sum(part for _, part in told)
    if rest < 0:
        return [(_UNKNOWN, count)]
    return [*told, (_UNKNOWN, rest)] if rest or not told else told


def _token_parts(usage: Usage, identity: Labels) -> Iterator[Measurement]:
    parts = ((of.CACHE_READ_TOKENS, usage.cache_read), (of.CACHE_WRITE_TOKENS, usage.cache_write), (of.REASONING_TOKENS, usage.reasoning))
    for instrument, count in parts:
        if count is not None:
            yield Measurement(instrument, count, identity)


def _usage(record: Record) -> Usage:
    return (record.generation.usage if record.generation else None) or Usage()


def _stream(record: Record, version: str, identity: Labels) -> Iterator[Measurement]:
    call, clocks = record.call, record.clocks
    if not call.streaming:
        return
    mean = _between_chunks(call)
    measured = (
        (of.FIRST_CHUNK_V01 if version == V01 else of.FIRST_CHUNK_V141, clocks.time_to_first_chunk),
        (of.PER_CHUNK_V01 if version == V01 else of.PER_CHUNK_V141, mean),
        (of.PROVIDER_TIME, clocks.provider_time),
        (of.CONSUMER_TIME, clocks.consumer_time),
        (of.LONGEST_GAP, clocks.longest_gap),
        (of.STALLS, 1 if (clocks.longest_gap or 0) >= STALL else None),
    )
    for instrument, value in measured:
        if value is not None:
            yield Measurement(instrument, max(value, 0), identity)


def _between_chunks(call: Call) -> float | None:
    """Mean time from one chunk to the next, in seconds; None where there were not two."""
    came = call.stream_clock[1::2][: pieces_taken(call)] if call.stream_clock is not None else call.piece_times or ()
    return (came[-1] - came[0]) / (len(came) - 1) / _NANOSECONDS if len(came) > 1 else None


def _money(record: Record, identity: Labels) -> Iterator[Measurement]:
    cost = record.generation.cost if record.generation else None
    source = usage_source_of(record)
    if cost is not None:
        yield Measurement(of.COST, cost.total, {**identity, **labels_of({names.COST_CURRENCY: cost.currency})})
    elif source == "reported":
        yield Measurement(of.UNPRICED, 1, identity)
    if source == "missing":
        which = labels_of({names.REQUEST_STREAM: record.call.streaming, names.OUTCOME: record.outcome})
        yield Measurement(of.USAGE_MISSING, 1, {**identity, **which})


def _own_span(call: Call, version: str, identity: Labels, error: Labels, duration: float) -> Iterator[Measurement]:
    if call.kind == TOOL:
        yield Measurement(of.TOOL_DURATION, duration, {**labels_of({names.TOOL_NAME: call.name}), **error})
    elif call.kind == CHAIN and version != V01:
        yield Measurement(of.WORKFLOW_DURATION, duration, {**labels_of({labels.WORKFLOW_NAME: call.name}), **error})
    elif call.kind in (AGENT, CHAIN):
        yield Measurement(of.AGENT_DURATION, duration, {**identity, **labels_of({names.AGENT_NAME: call.name}), **error})
    elif call.kind == RETRIEVER:
        yield Measurement(of.OPERATION_DURATION, duration, {**identity, **error})


def _wire(call: Call, identity: Labels) -> Iterator[Measurement]:
    sent = received = 0
    for attempt in attempts_of(call):
        result = {names.HTTP_RESPONSE_STATUS_CODE: attempt.status, names.ERROR_TYPE: attempt_error_of(attempt)}
        yield Measurement(of.ATTEMPTS, 1, {**identity, **labels_of(result)})
        sent += len(attempt.request_body or b"")
        received += attempt.response_bytes or len(attempt.response_body or b"")
    for direction, count in (("transmit", sent), ("receive", received)):
        if count:
            yield Measurement(of.PAYLOAD, count, {**identity, labels.DIRECTION: direction})


def attempts_of(call: Call) -> list[Attempt]:
    """The requests of a call, or of the client call that served it."""
    return call.attempts or (call.inner.attempts if call.inner is not None else [])
