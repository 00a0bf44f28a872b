"""Token usage of chat streams: asked for where the caller did not, and taken out again before the caller sees it.

OpenAI sends usage on a chat stream only when `stream_options.include_usage` is set. It then puts `"usage": null` into every chunk and
sends one more chunk with `choices: []` at the end. Only what follows from our asking is hidden:

- `usage` is taken out of `model_fields_set` where it is null, so that a chunk equals one that never had it;
- the chunk that has usage and no choices is not passed on, unless the endpoint was seen to send it unasked. An answer that bears
  OpenAI's mark (a `system_fingerprint` that begins with `fp_`) but had no null before is such a case: OpenAI writes the nulls whenever
  it was asked. Other servers (vLLM among them) leave them out, and a chunk without choices that nobody asked for breaks programs.
"""

from __future__ import annotations

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


class UsageFilter:
    """Decides for each chunk of one stream whether the caller sees it, and takes the nulls out of those it does."""

    __slots__ = ("_call", "_fields_set", "_nulls", "_off")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._fields_set = ""
        self._nulls = False
        self._off = False

    def hides(self, chunk: Any) -> bool:
        """True for the chunk that is there only because we asked."""
        if self._off:
            return False
        try:
            if chunk.usage is None:
                fields = getattr(chunk, self._fields_set or self._find(chunk))
                if "usage" in fields:
                    self._nulls = True
                    fields.discard("usage")
                return False
            return not chunk.choices and self._follows_from_asking(chunk)
        except AttributeError:
            # Not a chat chunk: nothing of it follows from our asking.
            self._off = True
            return False
        except Exception as fault:
            self._off = True
            if not report_fault("hiding usage", fault):
                raise
            return False

    def _find(self, chunk: Any) -> str:
        """Where pydantic keeps the set of given fields: version 2 and version 1 differ."""
        self._fields_set = "__pydantic_fields_set__" if hasattr(chunk, "__pydantic_fields_set__") else "__fields_set__"
        return self._fields_set

    def _follows_from_asking(self, chunk: Any) -> bool:
        call = self._call
        if not self._nulls and str(getattr(chunk, "system_fingerprint", None) or "").startswith("fp_"):
            runtime.usage_unasked.add(call.endpoint)
            return False
        call.hidden_pieces += 1
        return True
