"""Errors that providers put into bodies and events, in their several spellings."""

from __future__ import annotations

from tracer.reading.generation import Generation
from tracer.reading.values import Json, as_list, as_object, as_text, as_whole

_ANSWER_KEYS = ("choices", "output", "data", "content")


def is_error_body(body: Json) -> bool:
    """The body says what went wrong and holds no answer."""
    return bool(body.get("error")) and not any(body.get(key) is not None for key in _ANSWER_KEYS)


def read_error(generation: Generation, body: object) -> None:
    """Take code and message of an error: the body of a failed request, an event of a stream, or `error` of a response.

    Known spellings: `{"error": {"code", "message", "type"}}`, `{"error": "text"}`, a list of these, `{"message", "code"}`,
    `{"detail": "text"}`, `{"detail": [{"msg"}]}`, `{"errors": […]}`. The first error that came counts.
    """
    error = _innermost(body, depth=0)
    if isinstance(error, str):
        message, code = error or None, None
    else:
        fields = as_object(error)
        if fields is None:
            return
        message, code = _message(fields), _code(fields)
    if generation.error_code is None and generation.error_message is None:
        generation.error_code = code
        generation.error_message = message


def _innermost(body: object, depth: int) -> object:
    if depth > 4:
        return None
    items = as_list(body)
    if items is not None:
        return _innermost(items[0], depth + 1) if items else None
    fields = as_object(body)
    if fields is None:
        return body
    for name in ("error", "errors", "detail"):
        inner = fields.get(name)
        if inner:
            return _innermost(inner, depth + 1) if not isinstance(inner, bool) else fields
    return fields


def _message(fields: Json) -> str | None:
    for name in ("message", "msg", "error_message", "title"):
        text = as_text(fields.get(name))
        if text is not None:
            return text
    return None


def _code(fields: Json) -> str | None:
    """The most telling name: a code in words, else the status or type in words, else the number."""
    type_ = as_text(fields.get("type"))
    for name in (as_text(fields.get("code")), as_text(fields.get("status")), type_ if type_ not in ("error", "value_error") else None):
        if name is not None:
            return name
    number = as_whole(fields.get("code"))
    return str(number) if number is not None else None
