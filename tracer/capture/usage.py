"""Token usage of chat streams: asked for where the caller did not, and taken out again before the caller sees it.

OpenAI sends usage on a chat stream only when `stream_options.include_usage` is set. It then puts `"usage": null` into every chunk and
sends one more chunk with `choices: []` at the end. Only what follows from our asking is hidden:

- `usage` is taken out of `model_fields_set` where it is null, so that a chunk equals one that never had it;
- the chunk that has usage and no choices is not passed on, unless the endpoint was seen to send it unasked. An answer that bears
  OpenAI's mark (a `system_fingerprint` that begins with `fp_`) but had no null before is such a case: OpenAI writes the nulls whenever
  it was asked. Other servers (vLLM among them) leave them out, and a chunk without choices that nobody asked for breaks programs.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, cast

from tracer.call import Call
from tracer.runtime import report_fault, runtime

_CHAT = "chat"


def ask_for_usage(call: Call, body: Any, extra: Any) -> dict[str, Any] | None:
    """The request body with `stream_options.include_usage`, or None where it is not to be asked for."""
    mode = runtime.settings.stream_usage
    if mode == "off" or call.operation != _CHAT or not call.streaming or call.raw or not isinstance(body, dict):
        return None
    if mode == "auto" and (call.endpoint in runtime.usage_refused or call.endpoint in runtime.usage_unasked):
        return None
    given = cast("dict[str, Any]", body)
    if isinstance(extra, dict) and "stream_options" in extra:
        return None
    options = given.get("stream_options")
    if options is None and "stream_options" not in given:
        return {**given, "stream_options": {"include_usage": True}}
    if isinstance(options, dict) and "include_usage" not in options:
        return {**given, "stream_options": {**cast("dict[str, Any]", options), "include_usage": True}}
    return None


def refused_usage(call: Call, error: BaseException) -> bool:
    """Whether the endpoint refused the request because of the option we added; remembered if so."""
    if not call.asked_usage or getattr(error, "status_code", None) not in (400, 422):
        return False
    try:
        said = f"{error} {getattr(error, 'body', '')}"
    except Exception:
        return False
    if "stream_options" not in said and "include_usage" not in said:
        return False
    runtime.usage_refused.add(call.endpoint)
    return True


def usage_filter(call: Call) -> Callable[[Any], bool]:
    """For one stream: a function that says of each chunk whether it is there only because we asked, and takes the nulls out of others.

    A closure and not an object, since it runs for every chunk.
    """
    nulls = False
    fields_of: Callable[[Any], set[str]] | None = None

    def hides(chunk: Any) -> bool:
        nonlocal nulls, fields_of
        try:
            if chunk.usage is None:
                if fields_of is None:
                    fields_of = _fields_getter(chunk)
                fields = fields_of(chunk)
                if "usage" in fields:
                    fields.discard("usage")
                    nulls = True
                return False
            return not chunk.choices and _follows_from_asking(call, chunk, nulls)
        except AttributeError:
            return False  # Not a chat chunk: nothing of it follows from our asking.
        except Exception as fault:
            if not report_fault("hiding usage", fault):
                raise
            return False

    return hides


def _fields_getter(chunk: Any) -> Callable[[Any], set[str]]:
    """Reads the set of fields that an answer really had; pydantic 2 and 1 keep it under different names."""
    return attrgetter("__pydantic_fields_set__" if hasattr(chunk, "__pydantic_fields_set__") else "__fields_set__")


def _follows_from_asking(call: Call, chunk: Any, nulls: bool) -> bool:
    if not nulls and str(getattr(chunk, "system_fingerprint", None) or "").startswith("fp_"):
        runtime.usage_unasked.add(call.endpoint)
        return False
    call.hidden_pieces += 1
    return True
