"""`read_call`: from the raw bytes of a call to one `Record`."""

from __future__ import annotations

from tracer.call import CANCELLED, COMPLETED, ENDPOINT, FAILED, UNFINISHED, Attempt, Call, pieces_taken
from tracer.reading.answer import read_answer
from tracer.reading.aws_events import is_aws_stream, to_server_sent
from tracer.reading.clocks import read_clocks
from tracer.reading.compression import decompress
from tracer.reading.endpoints import OUTPUT_TYPES, read_endpoint_request
from tracer.reading.errors import is_error_body, read_error
from tracer.reading.facts import RESPONSE, kept, read_api_version, read_ids, read_sizes, read_state, read_uploads
from tracer.reading.generation import Generation
from tracer.reading.json_text import parse, parse_exactly
from tracer.reading.langchain import OBJECT, read_asked, read_langchain, take_from_client
from tracer.reading.langchain import OPERATION as LANGCHAIN
from tracer.reading.outcome import final_outcome
from tracer.reading.providers import OPENAI, provider_by_mark, provider_of_call
from tracer.reading.record import Clocks, Record
from tracer.reading.request import read_request
from tracer.reading.sse import looks_like_events
from tracer.reading.stream import read_stream
from tracer.reading.tools import without_secrets
from tracer.reading.values import Json, as_object, guarded, kind, note, read_each

# Operation of the call: its name in the conventions and OpenAI's name of the interface.
_OPERATIONS: dict[str, tuple[str, str | None]] = {
    "chat": ("chat", "chat_completions"),
    "responses": ("chat", "responses"),
    "messages": ("chat", None),
    "completions": ("text_completion", None),
    "complete": ("text_completion", None),
    "embeddings": ("embeddings", None),
    # The conventions' word for models that give more than text.
    "image": ("generate_content", None),
    "speech": ("generate_content", None),
    "transcription": ("generate_content", None),
    "video": ("generate_content", None),
    # They have none for these, and leave custom ones free.
    "moderation": ("moderation", None),
    "decision": ("decision", None),
    "search": ("retrieval", None),
    "fetched_response": ("fetch_response", None),
    "fetched_chat": ("fetch_response", None),
    "fetched_run": ("fetch_response", None),
    "agent": ("create_agent", None),
    "run": ("invoke_agent", None),
    ENDPOINT: ("", None),
    LANGCHAIN: ("chat", None),
    OBJECT: ("chat", None),
}

FIRST_ERROR_STATUS = 400


def read_call(call: Call) -> Record:
    """Read a call whose ending is known. Never raises; what could not be read is in `generation.problems`.

    >>> body = b'{"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}'
    >>> call = Call(1, 1, 1, operation="chat", ending="completed", attempts=[Attempt(0, status=200, response_body=body)])
    >>> read_call(call).generation.output_messages[0].parts
    [{'type': 'text', 'content': 'hi'}]
    """
    generation = _generation_for(call)
    problems = generation.problems if generation is not None else []
    if generation is not None:
        if call.operation in (LANGCHAIN, OBJECT):
            guarded(problems, "run", read_langchain, call, generation)
            inner = read_call(call.inner).generation if call.inner is not None else None
            guarded(problems, "client call", take_from_client, call, generation, inner)
        else:
            read_each(_STEPS, call, generation, problems)
            if not call.provider:
                generation.provider = provider_by_mark(generation.provider, generation.system_fingerprint)
    outcome = guarded(problems, "outcome", final_outcome, call, generation) or call.ending or UNFINISHED
    if generation is not None and outcome in (FAILED, CANCELLED):
        guarded(problems, "finish reasons", _mark_broken_choices, generation)
    kinds = generation.chunk_kinds if generation is not None else ()
    streamed = kinds or call.stream_clock is not None or call.piece_times
    clocks = guarded(problems, "clocks", read_clocks, call, kinds) if streamed else None
    return Record(call, outcome, generation, clocks or Clocks())


def read_begun(call: Call) -> Generation | None:
    """What is known of a model call that goes on: its request. Never raises.

    >>> read_begun(Call(1, 1, 1, operation="chat", attempts=[Attempt(0, request_body=b'{"model": "m"}')])).request_model
    'm'
    """
    generation = _generation_for(call)
    if generation is None:
        return None
    if call.operation in (LANGCHAIN, OBJECT):
        guarded(generation.problems, "run", read_asked, call, generation)
    else:
        read_each(_ASKED, call, generation, generation.problems)
    return generation


def _generation_for(call: Call) -> Generation | None:
    names = _OPERATIONS.get(call.operation)
    return Generation(operation=names[0], api_type=names[1], request_model=call.model) if names is not None else None


def _read_provider(call: Call, generation: Generation) -> None:
    generation.provider = provider_of_call(call) or OPENAI


def _read_request(call: Call, generation: Generation) -> None:
    body = call.attempts[-1].request_body if call.attempts else None
    if call.template:
        _read_endpoint_request(call, body, generation)
        return
    if not body:
        return
    exact = False
    try:
        value, exact = parse_exactly(body)
        request = as_object(value)
    except ValueError:
        request = None
    if request is None:
        note(generation.problems, "the request is not a JSON object")
        return
    generation.request = without_secrets(request)
    generation.request_json = body if exact and generation.request is request else None
    read_request(request, call.operation, generation)


def _read_answer(call: Call, generation: Generation) -> None:
    attempt = call.attempts[-1] if call.attempts else None
    if attempt is None:
        return
    if call.template:
        _read_endpoint_answer(call, attempt, generation)
        return
    if attempt.response_body is None and attempt.pieces is None:
        return
    if not attempt.complete:
        note(generation.problems, "the answer is larger than what is kept")
    data = _body(attempt, generation)
    if is_aws_stream(attempt.content_type):
        data = to_server_sent(data, generation.problems)
    answer = _read_events(call, data, generation) if _is_stream(attempt, data) else _read_json(attempt, data, generation)
    if answer is None:
        return
    generation.answer = answer
    read_answer(answer, call.operation, generation)


def _read_endpoint_request(call: Call, body: bytes | None, generation: Generation) -> None:
    """Query, form and JSON body in one."""
    request = {**(call.fields or {}), **(_object_of(body) or {})}
    generation.output_type = OUTPUT_TYPES.get(call.operation)
    read_endpoint_request(request, call.operation, generation)
    read_uploads(call, generation)
    read_ids(call, generation)


def _read_endpoint_answer(call: Call, attempt: Attempt, generation: Generation) -> None:
    """Bodies that are kept here are JSON, events or plain text; of any other the size is all there is."""
    read_sizes(attempt, generation)
    data = b""
    if attempt.complete and (attempt.response_body is not None or attempt.pieces is not None):
        data = _body(attempt, generation)
    if (attempt.status or 0) >= FIRST_ERROR_STATUS:
        read_error(generation, _object_of(data))
        return
    answer = _endpoint_answer(call, attempt, data, generation)
    if answer is not None and answer.get("error") and not (answer.get("id") or answer.get("object")):
        read_error(generation, answer)
    elif answer is not None and call.operation == ENDPOINT:
        read_state(answer, generation)
    elif answer is not None:
        generation.answer = answer
        read_answer(answer, call.operation, generation)
    if generation.answer is None:
        generation.answer = kept(generation.vendor_attributes, RESPONSE)


def _endpoint_answer(call: Call, attempt: Attempt, data: bytes, generation: Generation) -> Json | None:
    if call.operation == ENDPOINT and "json" not in attempt.content_type:
        return None
    if _is_stream(attempt, data):
        return read_stream(data, call.operation, _most_chunks(call), generation)
    answer = _object_of(data)
    if answer is None and data and call.operation == "transcription":
        return {"text": data.decode("utf-8", "replace")}
    return answer


def _object_of(data: bytes | None) -> Json | None:
    """The JSON object in these bytes, if they are one; anything else is no fault here."""
    try:
        return as_object(parse(data)) if data else None
    except ValueError:
        return None


def _body(attempt: Attempt, generation: Generation) -> bytes:
    if attempt.response_body is not None:
        return attempt.response_body
    return decompress(attempt.pieces or (), attempt.content_encoding, generation.problems)


def _is_stream(attempt: Attempt, data: bytes) -> bool:
    """By what the bytes are: servers answer streams with plain JSON, and label either wrongly."""
    if data.lstrip()[:1] in (b"{", b"["):
        return False
    return looks_like_events(data) or "event-stream" in attempt.content_type.lower()


def _read_events(call: Call, data: bytes, generation: Generation) -> Json | None:
    if call.operation == "embeddings":
        note(generation.problems, "the answer is a stream")
        return None
    return read_stream(data, call.operation, _most_chunks(call), generation)


def _most_chunks(call: Call) -> int | None:
    """How many chunks count: what came beyond the caller's reach after it left is no part of what it was answered."""
    if call.stream_clock is None or call.ending in (COMPLETED, FAILED):
        return None
    return pieces_taken(call) + call.hidden_pieces


def _read_json(attempt: Attempt, data: bytes, generation: Generation) -> Json | None:
    if not data.strip():
        note(generation.problems, "the answer is empty")
        return None
    try:
        body = parse(data)
    except ValueError:
        note(generation.problems, "the answer is not JSON")
        return None
    failed = (attempt.status or 0) >= FIRST_ERROR_STATUS
    answer = as_object(body)
    if failed or (answer is not None and is_error_body(answer)):
        read_error(generation, body)
        return None
    if answer is None:
        note(generation.problems, f"the answer is {kind(body)}")
    return answer


_ASKED = (("provider", _read_provider), ("request", _read_request))
_STEPS = (*_ASKED, ("version", read_api_version), ("answer", _read_answer))


def _mark_broken_choices(generation: Generation) -> None:
    """A choice that was under way when the call failed or was cancelled ended by that."""
    for message in generation.output_messages:
        message.finish_reason = message.finish_reason or "error"
    generation.finish_reasons = [message.finish_reason or "error" for message in generation.output_messages]
