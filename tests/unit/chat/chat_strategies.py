"""Hypothesis strategies for messages."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tracer.chat.messages import (
    OPENAI_ROLE,
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolMessage,
    tool_call,
)

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
ARGS = st.dictionaries(st.text(max_size=6), JSON, max_size=4)
NAMES = st.none() | st.text(min_size=1, max_size=8)
IDS = st.text(min_size=1, max_size=8)

Part = dict[str, Any]


def text_part(text: str) -> Part:
    return {"type": "text", "text": text}


def image_part(url: str) -> Part:
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def audio_part(data: str) -> Part:
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def file_part(name: str) -> Part:
    return {"type": "file", "file": {"file_id": name}}


TEXT = st.text(max_size=10)
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(text_part, TEXT), st.builds(image_part, TEXT), st.builds(audio_part, TEXT), st.builds(file_part, IDS)
)
CONTENT: st.SearchStrategy[Any] = st.text(max_size=20) | st.lists(PARTS, min_size=1, max_size=4)

TOOL_CALLS = st.lists(st.builds(tool_call, IDS, ARGS, IDS), max_size=3)


def _invalid(name: str, args: str, identity: str) -> InvalidToolCall:
    return {"name": name, "args": "{" + args, "id": identity, "error": "?", "type": "invalid_tool_call"}


INVALID_CALLS = st.lists(st.builds(_invalid, IDS, st.sampled_from(["", '"a', '"a":', "]"]), IDS), max_size=2)
KWARGS: list[dict[str, Any]] = [{}, {"refusal": "no"}, {"audio": {"id": "a1"}}]
ROLES: list[dict[str, Any]] = [{}, {OPENAI_ROLE: "developer"}]
EXTRA = st.sampled_from(KWARGS)

MESSAGES: st.SearchStrategy[BaseMessage] = st.one_of(
    st.builds(HumanMessage, CONTENT, name=NAMES),
    st.builds(SystemMessage, CONTENT, name=NAMES, additional_kwargs=st.sampled_from(ROLES)),
    st.builds(AIMessage, CONTENT, name=NAMES, tool_calls=TOOL_CALLS, invalid_tool_calls=INVALID_CALLS, additional_kwargs=EXTRA),
    st.builds(FunctionMessage, CONTENT, name=IDS),
    st.builds(ToolMessage, CONTENT, tool_call_id=IDS),
    st.builds(ChatMessage, CONTENT, name=NAMES, role=st.sampled_from(["critic", "judge", "Überrolle"])),
)
