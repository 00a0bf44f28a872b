"""To and from LangChain's objects. LangChain is imported only when one of its objects is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tracer.chat.coerce import copied, messages_from
from tracer.chat.messages import FIELD_NAMES, BaseMessage

if TYPE_CHECKING:
    from tracer.chat.model import ChatModel

_CLASSES = {
    "human": "HumanMessage",
    "ai": "AIMessage",
    "AIMessageChunk": "AIMessageChunk",
    "system": "SystemMessage",
    "function": "FunctionMessage",
    "tool": "ToolMessage",
    "chat": "ChatMessage",
}


def langchain_module(name: str) -> Any:
    """A module of langchain-core. Raises ImportError that says how to install it."""
    try:
        return import_module(f"langchain_core.{name}")
    except ImportError as error:
        raise ImportError("This needs langchain-core: pip install 'chat-tracer[langchain]' (or: pip install langchain-core).") from error


def to_langchain(message: BaseMessage) -> Any:
    """LangChain's message of the same kind, with everything that ours holds.

    Raises ImportError without langchain-core.
    """
    made = getattr(langchain_module("messages"), _CLASSES[message.type])
    values = {name: copied(getattr(message, name)) for name in FIELD_NAMES[message.type]}
    if message.type == "AIMessageChunk":
        # LangChain makes the calls from the pieces, as we do.
        del values["tool_calls"], values["invalid_tool_calls"]
    return made(**values)


def from_langchain(message: Any) -> BaseMessage:
    """Our message of the same kind as LangChain's, with everything that it holds; told by its shape, LangChain is not imported.

    Raises TypeError for what is no message.
    """
    return messages_from([message])[0]


def langchain_form(chat: ChatModel) -> Any:
    """A `BaseChatModel` over `chat`. Raises ImportError without langchain-core."""
    langchain_module("language_models")
    # The one module that imports langchain-core at its top.
    return import_module("tracer.chat.langchain_model").LangChainChatModel(chat)
