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
from tracer.runtime import runtime

_CHAT = "chat"


def ask_for_usage(call: Call, body: Any, extra: Any) -> dict[str, Any] | None:
    """The request body with `stream_options.include_usage`, or None where it is not to be asked for."""
    mode = runtime.settings.stream_usage
    if mode == "off" or call.operation != _CHAT or not call.streaming or call.raw or not isinstance(body, dict):
        return None
    if mode == "auto" and (runtime.usage_refused or runtime.usage_unasked):
        endpoint = call.endpoint
        if endpoint in runtime.usage_refused or endpoint in runtime.usage_unasked:
            return None
    if isinstance(extra, dict) and "stream_options" in extra:
        return None
    given = cast("dict[str, Any]", body)
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
    said = f"{error} {getattr(error, 'body', '')}"
    if "stream_options" not in said and "include_usage" not in said:
        return False
    runtime.usage_refused.add(call.endpoint)
    return True


class HiddenUsage:
    """For one stream whose usage we asked for: the taps take the nulls out themselves, and ask here about a chunk without choices."""

    __slots__ = ("_call", "nulls")

    def __init__(self, call: Call) -> None:
        self._call = call
        self.nulls = False
        """A chunk with `"usage": null` was seen."""

    def hides(self, chunk: Any) -> bool:
        """Whether a chunk that has usage is there only because we asked."""
        call = self._call
        if chunk.choices:
            return False
        if not self.nulls and str(getattr(chunk, "system_fingerprint", None) or "").startswith("fp_"):
            runtime.usage_unasked.add(call.endpoint)
            return False
        call.hidden_pieces += 1
        return True

    def take_null_from(self, chunk: Any) -> None:
        """The same for models of pydantic 1. A piece that is no chat chunk is left as it is: nothing of it follows from our asking."""
        fields = getattr(chunk, "__fields_set__", None)
        if isinstance(fields, set) and getattr(chunk, "usage", None) is None and "usage" in fields:
            cast("set[str]", fields).discard("usage")
            self.nulls = True
