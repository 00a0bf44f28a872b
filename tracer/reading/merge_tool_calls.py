"""Tool calls of a chat stream: fragments to whole calls, in the order in which the model made them."""

from __future__ import annotations

from typing import Any

from tracer.reading.values import Problems, kind, note


class _Draft:
    """One tool call on its way. `texts` holds the fragments of its arguments (`input` for custom tools)."""

    __slots__ = ("fields", "function", "payload_name", "texts")

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.function: dict[str, Any] = {}
        self.payload_name = "function"
        self.texts: dict[str, list[str]] = {}

    @property
    def id(self) -> object:
        return self.fields.get("id")

    def add(self, fragment: dict[str, Any], problems: Problems) -> None:
        for key, value in fragment.items():
            if key in ("function", "custom"):
                if isinstance(value, dict):
                    self.payload_name = key
                    self.add_payload(value)  # pyright: ignore[reportUnknownArgumentType]
                elif value is not None:
                    note(problems, f"a tool call's {key} is {kind(value)}")
            elif key != "index" and value is not None and (value != "" or key not in self.fields):
                self.fields[key] = value

    def add_payload(self, payload: dict[str, Any]) -> None:
        for key, value in payload.items():
            if key in ("arguments", "input") and isinstance(value, str):
                self.texts.setdefault(key, []).append(value)
            elif value is not None and (value != "" or key not in self.function) and not (key == "name" and self.function.get("name")):
                # Some servers repeat the name in every fragment.
                self.function[key] = value

    def whole(self) -> dict[str, Any]:
        payload = dict(self.function)
        for key, fragments in self.texts.items():
            payload.setdefault(key, "".join(fragments))
        call = {"id": None, "type": self.payload_name, **self.fields}
        if payload or self.payload_name == "custom":
            call[self.payload_name] = payload
        return call


class ToolCallDrafts:
    """The tool calls of one choice.

    Fragments are told apart by `index`. Servers that leave it out are told apart by id, then by name: a fragment with neither
    continues the call begun last.
    """

    __slots__ = ("_by_id", "_by_index", "_drafts", "_problems")

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._drafts: list[tuple[float, int, _Draft]] = []
        self._by_index: dict[int, _Draft] = {}
        self._by_id: dict[str, _Draft] = {}

    def __bool__(self) -> bool:
        return bool(self._drafts)

    def add(self, fragments: list[Any]) -> None:
        """Take the `tool_calls` of one delta."""
        for position, fragment in enumerate(fragments):
            if isinstance(fragment, dict):
                self._draft_of(fragment, position).add(fragment, self._problems)  # pyright: ignore[reportUnknownArgumentType]
            else:
                note(self._problems, f"a tool call is {kind(fragment)}")

    def whole(self) -> list[dict[str, Any]]:
        """All calls, ordered by index."""
        return [draft.whole() for _, _, draft in sorted(self._drafts, key=lambda entry: entry[:2])]

    def _draft_of(self, fragment: dict[str, Any], position: int) -> _Draft:
        index = _index(fragment.get("index"))
        id_ = fragment.get("id") if isinstance(fragment.get("id"), str) and fragment.get("id") else None
        draft = self._known(index, id_, fragment, position)
        if draft is None:
            draft = self._begin(index)
        if index is not None:
            self._by_index[index] = draft
        if id_ is not None:
            self._by_id[id_] = draft
        return draft

    def _known(self, index: int | None, id_: str | None, fragment: dict[str, Any], position: int) -> _Draft | None:
        if index is not None:
            draft = self._by_index.get(index)
            # Some servers number every call 0; a new id together with a name begins a new call.
            another = draft is not None and id_ is not None and draft.id not in (None, "", id_) and _has_name(fragment)
            return None if another else draft
        if id_ is not None:
            return self._by_id.get(id_)
        if _has_name(fragment) or not self._drafts:
            return None
        return self._drafts[position][2] if 0 < position < len(self._drafts) else self._drafts[-1][2]

    def _begin(self, index: int | None) -> _Draft:
        draft = _Draft()
        order = index if index is not None else (self._drafts[-1][0] if self._drafts else -1)
        self._drafts.append((order, len(self._drafts), draft))
        return draft


def _index(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) else None


def _has_name(fragment: dict[str, Any]) -> bool:
    for key in ("function", "custom"):
        payload = fragment.get(key)
        if isinstance(payload, dict) and payload.get("name"):  # pyright: ignore[reportUnknownMemberType]
            return True
    return False
