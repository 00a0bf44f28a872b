"""Streams of chat completions and of the older completions: chunks to one answer."""

from __future__ import annotations

from typing import Any, cast

from tracer.reading.merge import OTHER, REASONING, TEXT, TOOL_CALL, USAGE
from tracer.reading.merge_parts import join_audio, join_parts, kind_of_parts
from tracer.reading.merge_tool_calls import ToolCallDrafts
from tracer.reading.values import Problems, kind, note

_JOINED = {
    "content": TEXT,
    "text": TEXT,
    "refusal": TEXT,
    "reasoning_content": REASONING,
    "reasoning": REASONING,
    "reasoning_text": REASONING,
    "thinking": REASONING,
}
"""Fields of a delta whose texts are fragments of one text, and the kind of chunk they make."""

_CHOICE_KEYS = frozenset({"index", "delta", "finish_reason", "logprobs", "text"})
_COMMON_KEYS = frozenset({"id", "object", "created", "model", "service_tier", "system_fingerprint", "choices", "usage", "obfuscation"})
_NOT_IN_ANSWER = frozenset({"choices", "usage", "object", "obfuscation"})
_HEAD = ("id", "object", "created", "model", "choices", "usage")


class ChoicesMerger:
    """Merges chunks with `choices`. `layout` is `chat.completion` (deltas make messages) or `text_completion` (texts)."""

    def __init__(self, layout: str, problems: Problems) -> None:
        self._layout = layout
        self._problems = problems
        self._head: dict[str, Any] = {}
        self._last: dict[str, Any] | None = None
        self._width = 0
        self._id: object = None
        self._model: object = None
        self._tier: object = None
        self._fingerprint: object = None
        self._usage: Any = None
        self._choices: dict[int, _Choice] = {}

    def add(self, event: dict[str, Any]) -> str:
        """Take one chunk and say what it brought first."""
        get: Any = event.get
        # Chunks repeat their head; comparing it is far cheaper than copying it each time.
        if (
            len(event) != self._width
            or get("id") != self._id
            or get("model") != self._model
            or get("service_tier") != self._tier
            or get("system_fingerprint") != self._fingerprint
        ):
            self._absorb_head(event)
        self._last = event
        brought = ""
        choices: Any = get("choices")
        known = self._choices
        if choices.__class__ is list:
            for position, choice in enumerate(choices):
                try:
                    draft = known[choice["index"]]
                except (KeyError, TypeError, IndexError):
                    draft = self._choice(choice, position)
                # The chunk counts as what its first choice with content brings; every choice must be taken all the same.
                added = draft.add(choice) if draft is not None else ""
                brought = brought or added
        elif choices is not None:
            note(self._problems, f"choices of a chunk is {kind(choices)}")
        usage = get("usage")
        if usage is not None:
            self._add_usage(usage)
            brought = brought or USAGE
        return brought or OTHER

    def answer(self) -> dict[str, Any] | None:
        """The answer as the unstreamed endpoint gives it; None before the first chunk."""
        if self._last is None:
            return None
        self._absorb_head(self._last)
        whole: dict[str, Any] = {
            "id": self._head.get("id"),
            "object": self._layout,
            "created": self._head.get("created"),
            "model": self._head.get("model"),
            "choices": [self._choices[index].whole(index, self._layout) for index in sorted(self._choices)],
        }
        if self._usage is not None:
            whole["usage"] = self._usage
        whole.update((key, value) for key, value in self._head.items() if key not in _HEAD)
        return whole

    def _absorb_head(self, event: dict[str, Any]) -> None:
        for key, value in event.items():
            if key not in _NOT_IN_ANSWER and (key not in self._head or (value is not None and value != "")):
                self._head[key] = value
        # Fields of a server's own may change from chunk to chunk, so where there are any, every chunk is looked at.
        self._width = len(event) if _COMMON_KEYS.issuperset(event) else 0
        self._id = event.get("id")
        self._model = event.get("model")
        self._tier = event.get("service_tier")
        self._fingerprint = event.get("system_fingerprint")

    def _choice(self, choice: Any, position: int) -> _Choice | None:
        """The draft for a choice that is new, or whose index is missing or odd; None for what is no choice."""
        if not isinstance(choice, dict):
            note(self._problems, f"a choice of a chunk is {kind(choice)}")
            return None
        index = cast("dict[str, Any]", choice).get("index")
        if index.__class__ is not int:
            index = self._odd_index(index, position)
        return self._choices.setdefault(cast("int", index), _Choice(self._problems))

    def _add_usage(self, usage: Any) -> None:
        # Some servers send it with every chunk; the last one counts, and one of a wrong shape never hides a good one.
        if isinstance(usage, dict) or self._usage is None:
            self._usage = usage

    def _odd_index(self, index: Any, position: int) -> int:
        if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 10:
            return int(index)
        if isinstance(index, float) and index.is_integer():
            return int(index)
        if index is not None:
            note(self._problems, f"index of a choice is {kind(index)}")
        return position


class _Choice:
    """One choice on its way: fragments in lists, joined once at the end."""

    __slots__ = ("audio", "extras", "fields", "finish_reason", "function_call", "logprobs", "problems", "texts", "tool_calls")

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.fields: dict[str, Any] = {}
        self.texts: dict[str, list[Any]] = {}
        self.tool_calls = ToolCallDrafts(problems)
        self.function_call: dict[str, Any] | None = None
        self.audio: dict[str, list[Any]] | None = None
        self.finish_reason: str | None = None
        self.logprobs: dict[str, Any] | None = None
        self.extras: dict[str, Any] = {}

    def add(self, choice: dict[str, Any]) -> str:
        brought = ""
        delta: Any = choice.get("delta")
        if delta.__class__ is dict:
            content = delta.get("content")
            if content.__class__ is str and len(delta) == 1 and "content" in self.texts:
                # Nearly all chunks of a long answer are of this kind.
                self.texts["content"].append(content)
                brought = TEXT if content else ""
            else:
                brought = self.add_delta(delta)
        elif delta is not None:
            note(self.problems, f"a delta is {kind(delta)}")
        elif "text" in choice:
            brought = self.add_delta({"text": choice["text"]})
        reason = choice.get("finish_reason")
        if reason:
            self.finish(reason)
        logprobs = choice.get("logprobs")
        if logprobs:
            self.add_logprobs(logprobs)
        if not _CHOICE_KEYS.issuperset(choice):
            self.add_extras(choice)
        return brought

    def add_delta(self, delta: dict[str, Any]) -> str:
        brought = ""
        for key, value in delta.items():
            if value.__class__ is str and key in _JOINED:
                try:
                    self.texts[key].append(value)
                except KeyError:
                    self.texts[key] = [value]
                    self.fields[key] = None
                if value and not brought:
                    brought = _JOINED[key]
            elif value is None:
                self.fields.setdefault(key, None)
            else:
                added = self.add_field(key, value)
                brought = brought or added
        return brought

    def add_field(self, key: str, value: Any) -> str:
        adder = _FIELD_ADDERS.get(key)
        if adder is not None:
            return adder(self, value)
        if key in _JOINED:
            note(self.problems, f"{key} of a delta is {kind(value)}")
        elif isinstance(value, list) and isinstance(self.fields.get(key), list):
            self.fields[key] = self.fields[key] + value
        else:
            self.fields[key] = value
        return ""

    def add_content(self, value: Any) -> str:
        if not isinstance(value, list):
            note(self.problems, f"content of a delta is {kind(value)}")
            return ""
        self.texts.setdefault("content", []).extend(cast("list[Any]", value))
        self.fields.setdefault("content", None)
        return kind_of_parts(cast("list[Any]", value))

    def add_tool_calls(self, value: Any) -> str:
        if not isinstance(value, list):
            note(self.problems, f"tool_calls of a delta is {kind(value)}")
            return ""
        self.fields.setdefault("tool_calls", None)
        self.tool_calls.add(cast("list[Any]", value))
        return TOOL_CALL if value else ""

    def add_function_call(self, value: Any) -> str:
        if not isinstance(value, dict):
            note(self.problems, f"function_call of a delta is {kind(value)}")
            return ""
        call = cast("dict[str, Any]", value)
        self.fields.setdefault("function_call", None)
        self.function_call = self.function_call or {"name": None, "arguments": []}
        self.function_call["name"] = self.function_call["name"] or call.get("name")
        if isinstance(call.get("arguments"), str):
            self.function_call["arguments"].append(call["arguments"])
        return TOOL_CALL

    def add_audio(self, value: Any) -> str:
        if not isinstance(value, dict):
            note(self.problems, f"audio of a delta is {kind(value)}")
            return ""
        self.fields.setdefault("audio", None)
        self.audio = self.audio or {}
        for key, part in cast("dict[str, Any]", value).items():
            if part is not None:
                self.audio.setdefault(key, []).append(part)
        return TEXT if value.get("transcript") else ""  # pyright: ignore[reportUnknownMemberType]

    def add_reasoning_details(self, value: Any) -> str:
        if not isinstance(value, list):
            note(self.problems, f"reasoning_details of a delta is {kind(value)}")
            return ""
        self.fields.setdefault("reasoning_details", None)
        self.texts.setdefault("reasoning_details", []).extend(cast("list[Any]", value))
        return REASONING if value else ""

    def finish(self, reason: Any) -> None:
        if isinstance(reason, str):
            self.finish_reason = reason
        else:
            note(self.problems, f"finish_reason is {kind(reason)}")

    def add_logprobs(self, logprobs: Any) -> None:
        if not isinstance(logprobs, dict):
            note(self.problems, f"logprobs is {kind(logprobs)}")
            return
        self.logprobs = {} if self.logprobs is None else self.logprobs
        for key, value in cast("dict[str, Any]", logprobs).items():
            if isinstance(value, list) and isinstance(self.logprobs.get(key), list):
                self.logprobs[key].extend(value)
            elif value is not None or key not in self.logprobs:
                # The list is copied: later chunks extend it, and the event stays as it came.
                self.logprobs[key] = list(cast("list[Any]", value)) if isinstance(value, list) else value

    def add_extras(self, choice: dict[str, Any]) -> None:
        for key, value in choice.items():
            if key == "message":
                self.add_whole_message(value)
            elif key not in _CHOICE_KEYS and (value is not None or key not in self.extras):
                self.extras[key] = value

    def add_whole_message(self, message: Any) -> None:
        # Some servers repeat the message so far beside each delta, some send it in place of the last one.
        if isinstance(message, dict) and not self.fields:
            self.add_delta(cast("dict[str, Any]", message))

    def whole(self, index: int, layout: str) -> dict[str, Any]:
        if layout == "text_completion":
            text = "".join(self.texts.get("text") or self.texts.get("content") or ())
            choice: dict[str, Any] = {"text": text, "index": index}
        else:
            choice = {"index": index, "message": self.message()}
        return {**choice, "logprobs": self.logprobs, "finish_reason": self.finish_reason, **self.extras}

    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None}
        message.update(self.fields)
        message["role"] = message["role"] or "assistant"
        for key, fragments in self.texts.items():
            message[key] = _joined(key, fragments)
        if self.tool_calls:
            message["tool_calls"] = self.tool_calls.whole()
        elif message.get("tool_calls", ...) is None:
            del message["tool_calls"]
        if self.function_call is not None:
            message["function_call"] = {**self.function_call, "arguments": "".join(self.function_call["arguments"])}
        if self.audio is not None:
            message["audio"] = join_audio(self.audio)
        if message["content"] == "" and (self.tool_calls or self.function_call or self.audio or message.get("refusal")):
            message["content"] = None
        return message


_FIELD_ADDERS = {
    "content": _Choice.add_content,
    "tool_calls": _Choice.add_tool_calls,
    "function_call": _Choice.add_function_call,
    "audio": _Choice.add_audio,
    "reasoning_details": _Choice.add_reasoning_details,
}


def _joined(key: str, fragments: list[Any]) -> Any:
    if key == "reasoning_details":
        return join_parts(fragments)
    if all(isinstance(fragment, str) for fragment in fragments):
        text = "".join(fragments)
        return text if text or key == "content" else None
    return join_parts([{"type": "text", "text": part} if isinstance(part, str) else part for part in fragments if part])
