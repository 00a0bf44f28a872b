"""What is recorded of a request and an answer beside content: values of allow-listed names only.

Bodies of these endpoints may hold anything, keys of an organization and passwords of a vault among it: what is not listed here is
not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from tracer.call import Attempt, Call, Upload
from tracer.reading.generation import Generation
from tracer.reading.values import Json, as_list, as_object

REQUEST = "tracer.request."
RESPONSE = "tracer.response."
API_VERSION = REQUEST + "api_version"
REQUEST_SIZE = "http.request.body.size"
RESPONSE_SIZE = "http.response.body.size"

PARAMETERS = (
    "audio_format",
    "background",
    "bytes",
    "completion_window",
    "endpoint",
    "input_fidelity",
    "input_file_id",
    "language",
    "limit",
    "mime_type",
    "moderation",
    "order",
    "output_compression",
    "output_format",
    "partial_images",
    "purpose",
    "quality",
    "response_format",
    "rewrite_query",
    "seconds",
    "size",
    "speed",
    "stream_format",
    "style",
    "timestamp_granularities",
    "training_file",
    "validation_file",
    "variant",
    "voice",
)
"""Request parameters that are recorded under `tracer.request.`, where the conventions have no name."""

FACTS = (
    "bytes",
    "deleted",
    "duration",
    "expires_at",
    "fine_tuned_model",
    "has_more",
    "input_tokens",
    "object",
    "output_format",
    "processing_status",
    "progress",
    "purpose",
    "quality",
    "seconds",
    "size",
    "trained_tokens",
    "usage_bytes",
)
"""Fields of an answer that are recorded under `tracer.response.`; `id` and `status` are where there is no name for them."""

_COUNTS = ("request_counts", "file_counts", "result_counts")
_USAGE = ("input_tokens", "output_tokens", "total_tokens", "seconds")
_LONGEST = 256


def plain(value: object) -> object:
    """The value if it is short and plain, or a list of such texts; else None.

    >>> plain("1024x1024"), plain({"id": "voice_1"}), plain(["word", "segment"])
    ('1024x1024', None, ['word', 'segment'])
    """
    if isinstance(value, str):
        return value if 0 < len(value) <= _LONGEST else None
    if isinstance(value, bool | int | float):
        return value
    items = as_list(value)
    return [item for item in items[:32] if isinstance(item, str) and len(item) <= _LONGEST] or None if items else None


def pick(source: Json, names: Iterable[str]) -> Json:
    """The plain values of these names.

    >>> pick({"size": "1024x1024", "secret": "x"}, ["size", "style"])
    {'size': '1024x1024'}
    """
    return {name: value for name in names if (value := plain(source.get(name))) is not None}


def read_parameters(request: Json, generation: Generation) -> None:
    """Allow-listed parameters."""
    for name, value in pick(request, PARAMETERS).items():
        generation.vendor_attributes[REQUEST + name] = value


def read_api_version(call: Call, generation: Generation) -> None:
    """The version of Azure's API: there is no name for it in the conventions."""
    if call.api_version:
        generation.vendor_attributes[API_VERSION] = call.api_version[:_LONGEST]


def read_uploads(call: Call, generation: Generation) -> None:
    """Files of a form, each as a text of its field, media type and size, as far as they are known."""
    if call.uploads:
        generation.vendor_attributes[REQUEST + "files"] = [_file(upload) for upload in call.uploads]


def _file(upload: Upload) -> str:
    size = "" if upload.size is None else f"{upload.size} bytes"
    return " ".join(filter(None, (upload.field[:_LONGEST], upload.content_type[:_LONGEST], size)))


def read_ids(call: Call, generation: Generation) -> None:
    """What the path itself names: the answer that is fetched, the store that is searched, the conversation or thread."""
    ids = [part for part, name in zip(call.path.split("/"), call.template.split("/"), strict=False) if name == "{id}"]
    if not ids:
        return
    if generation.operation == "fetch_response":
        generation.response_id = unquote(ids[-1])
    elif generation.operation == "retrieval":
        generation.vendor_attributes["gen_ai.data_source.id"] = unquote(ids[0])
    if call.template.startswith(("/conversations/", "/threads/")):
        generation.conversation_id = unquote(ids[0])


def read_sizes(attempt: Attempt, generation: Generation) -> None:
    """How large the bodies were, and the media type of the answer."""
    asked = attempt.request_bytes or len(attempt.request_body or b"")
    if asked:
        generation.vendor_attributes[REQUEST_SIZE] = asked
    if attempt.status is not None:
        generation.vendor_attributes[RESPONSE_SIZE] = attempt.response_bytes
    if attempt.content_type:
        generation.vendor_attributes[RESPONSE + "content_type"] = attempt.content_type[:_LONGEST]


def read_facts(answer: Json, generation: Generation) -> None:
    """Allow-listed fields, counts of what is listed, and tokens that were used by something else than this call."""
    facts = generation.vendor_attributes
    for name, value in pick(answer, FACTS).items():
        facts[RESPONSE + name] = value
    for name in _COUNTS:
        for state, count in (as_object(answer.get(name)) or {}).items():
            if isinstance(count, int) and state.isidentifier():
                facts[f"{RESPONSE}{name}.{state}"] = count
    data = as_list(answer.get("data"))
    if data is not None:
        facts[RESPONSE + "items"] = len(data)


def read_state(answer: Json, generation: Generation) -> None:
    """Of endpoints without an operation: what the answer is about, and the tokens it tells of."""
    read_facts(answer, generation)
    facts = generation.vendor_attributes
    for name, value in pick(answer, ("id", "status", "model")).items():
        facts[RESPONSE + name] = value
    usage = as_object(answer.get("usage"))
    if usage is not None:
        for name, value in pick(usage, _USAGE).items():
            facts[f"{RESPONSE}usage.{name}"] = value
    generation.answer = kept(facts, RESPONSE)


def kept(facts: Json, prefix: str) -> Json:
    """The facts under a prefix, as one object: all that is kept of a body.

    >>> kept({"tracer.response.id": "file-1", "tracer.request.limit": 5}, "tracer.response.")
    {'id': 'file-1'}
    """
    return {name.removeprefix(prefix): value for name, value in facts.items() if name.startswith(prefix)}
