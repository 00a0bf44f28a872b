"""Streams of typed events that end with the answer: images, transcriptions, speech, runs of assistants."""

from __future__ import annotations

from typing import Any, cast

from tracer.reading.merge import NO_CHUNK, OTHER, TEXT

_MESSAGE = "thread.message"
_RUN = "thread.run"


class EventsMerger:
    """Keeps what the last events say; pieces of sound and half-made pictures are left out."""

    def __init__(self) -> None:
        self._answer: dict[str, Any] = {}
        self._pictures: list[Any] = []
        self._texts: list[str] = []

    def add(self, event: dict[str, Any]) -> str:
        """Take one event and say what it brought."""
        type_ = event.get("type")
        if not isinstance(type_, str):
            return OTHER
        if type_.endswith(".completed"):
            self._pictures.append(event)
        elif type_.endswith(".done"):
            self._answer = event
        elif type_ == "transcript.text.delta":
            delta = event.get("delta")
            if isinstance(delta, str):
                self._texts.append(delta)
                return TEXT
        return OTHER

    def answer(self) -> dict[str, Any] | None:
        """What the unstreamed endpoint would have answered, as far as it came."""
        if self._pictures:
            return {**self._pictures[-1], "data": self._pictures}
        if self._answer:
            return self._answer
        return {"text": "".join(self._texts)} if self._texts else None


class CompletionMerger:
    """Anthropic's older text completions: pieces of one text."""

    def __init__(self) -> None:
        self._last: dict[str, Any] | None = None
        self._texts: list[str] = []

    def add(self, event: dict[str, Any]) -> str:
        """Take one event and say what it brought."""
        if event.get("type") != "completion":
            return NO_CHUNK
        self._last = event
        text = event.get("completion")
        if not isinstance(text, str) or not text:
            return OTHER
        self._texts.append(text)
        return TEXT

    def answer(self) -> dict[str, Any] | None:
        """The last event with the whole text."""
        return None if self._last is None else {**self._last, "completion": "".join(self._texts)}


class RunMerger:
    """The events of an assistant's run: the run as it was last told, and the messages that came."""

    def __init__(self) -> None:
        self._run: dict[str, Any] | None = None
        self._messages: dict[str, dict[str, Any]] = {}
        self._texts: dict[str, list[str]] = {}

    def add(self, event: dict[str, Any]) -> str:
        """Take one event and say what it brought."""
        # Where the name of an event matters, the SDK puts the name around its data; on the wire the data tells itself what it is.
        kind = event.get("object")
        if kind == _RUN:
            self._run = event
        elif kind == _MESSAGE:
            self._messages[str(event.get("id"))] = event
        elif kind == f"{_MESSAGE}.delta":
            texts = _texts_of(event.get("delta"))
            self._texts.setdefault(str(event.get("id")), []).extend(texts)
            return TEXT if texts else OTHER
        return OTHER

    def answer(self) -> dict[str, Any] | None:
        """The run with its messages under `messages`; a message that did not end is made of its pieces."""
        if self._run is None:
            return None
        messages = [self._message(id_, message) for id_, message in self._messages.items()]
        return {**self._run, "messages": messages}

    def _message(self, id_: str, message: dict[str, Any]) -> dict[str, Any]:
        if message.get("content") or id_ not in self._texts:
            return message
        return {**message, "content": [{"type": "text", "text": {"value": "".join(self._texts[id_])}}]}


def _texts_of(delta: Any) -> list[str]:
    content = cast("dict[str, Any]", delta).get("content") if isinstance(delta, dict) else None
    found: list[str] = []
    for part in cast("list[Any]", content) if isinstance(content, list) else ():
        text = cast("dict[str, Any]", part).get("text") if isinstance(part, dict) else None
        value = cast("dict[str, Any]", text).get("value") if isinstance(text, dict) else None
        if isinstance(value, str):
            found.append(value)
    return found
