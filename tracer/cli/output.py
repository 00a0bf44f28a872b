"""Writing to the terminal or into a pipe."""

from __future__ import annotations

import sys
from typing import NoReturn

from rich.console import Console
from rich.text import Text

_WIDE = 1_000_000


class PipeConsole(Console):
    """rich's console, except that a reader who went away is an exception for `main` to handle, not an exit in the middle."""

    def on_broken_pipe(self) -> NoReturn:
        """Called by rich while it handles the error."""
        raise BrokenPipeError


def console() -> Console:
    """A console on stdout. In a pipe: no colour, no markup and no width, so that lines arrive whole."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    terminal = sys.stdout.isatty()
    return PipeConsole(
        file=sys.stdout,
        width=None if terminal else _WIDE,
        no_color=None if terminal else True,
        force_terminal=None if terminal else False,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=not terminal,
    )


def complain(message: str) -> int:
    """Say on stderr what went wrong; gives the exit status 1."""
    print(f"tracer: {message}", file=sys.stderr)
    return 1


def facts(*items: tuple[str, str]) -> Text:
    """Texts with their styles, joined by dots; empty ones are left out."""
    joined = Text()
    for text, style in items:
        if text:
            joined.append(" · " if joined else "", style="dim")
            joined.append(text, style=style)
    return joined
