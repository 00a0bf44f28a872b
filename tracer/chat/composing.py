"""`|`: how a chat model takes part in LangChain's chains without being made of LangChain.

LangChain's `|` accepts three things on its other side: a `Runnable`, a dict, and a callable, which it takes for a function. A chat
model is callable (`chat(messages)`), and `__ror__` is never asked, since LangChain's `__or__` finds a callable acceptable. As a
function it would give whole answers, in our message classes, which LangChain's parsers do not know: streaming would be lost.

The way out that LangChain itself documents: a function whose result is a Runnable is not the end; LangChain runs that Runnable in
its place, with `invoke`, `stream` or `batch` as the chain is run. LangChain tells functions that it calls from others: it passes
`run_manager` to those that declare it. So `__call__` declares it, and when it is given, answers with `as_langchain()`. Pieces arrive
one by one, on both sides of `|`, sync and async, in `RunnableParallel` and `pipe` too; LangChain need not be there when the model is
made, and is not imported by us. The chain shows one more step (`ChatModel`) around the model's run.

Tried and left: a `__class__` property that claims to be a `Runnable` (the model itself would have to speak two message languages,
and pickling breaks), and a subclass of `Runnable` made when langchain is loaded (fails when langchain is imported after the model
was made).
"""

from __future__ import annotations

from typing import Any


class Composable:
    """Base of what can stand in a LangChain chain: needs `invoke` and `as_langchain`."""

    def invoke(self, input: Any, config: Any = None, **parameters: Any) -> Any:  # noqa: A002
        """The answer to one input."""
        raise NotImplementedError

    def as_langchain(self) -> Any:
        """The same as a LangChain object."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        if name == "__name__":
            # The name of the step in LangChain's runs. Not a property: that would be the name of the class, too.
            return type(self).__name__
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __call__(self, messages: Any, *, config: Any = None, run_manager: Any = None, **parameters: Any) -> Any:
        """The same as `invoke`: `chat([HumanMessage("hi")])`.

        `run_manager` is for LangChain only: it gets the LangChain form of this model, to be run in its place.
        """
        if run_manager is not None:
            return self.as_langchain()
        return self.invoke(messages, config, **parameters)

    def __or__(self, other: Any) -> Any:
        return self.as_langchain() | (other.as_langchain() if isinstance(other, Composable) else other)

    def __ror__(self, other: Any) -> Any:
        return other | self.as_langchain()

    def pipe(self, *others: Any, name: str | None = None) -> Any:
        """`self | other | …` as a method, as LangChain has it."""
        return self.as_langchain().pipe(*others, name=name)
