"""The `tracer` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from tracer import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; gives the exit status: 0 done, 1 it could not be done, 2 called wrongly.

    >>> main(["show", "--store", "/nowhere"])
    1
    """
    arguments = parser().parse_args(argv)
    try:
        status = int(arguments.run(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`tracer show | head`). Python flushes stdout again at exit, which must not fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return status


def parser() -> argparse.ArgumentParser:
    """The command line of `tracer` with all its commands."""
    from tracer.cli import demo, env, feedback_command, flush, run, show, status

    result = argparse.ArgumentParser(prog="tracer", description="Record the calls of a chat model, and look at them.")
    result.add_argument("--version", action="version", version=f"tracer {__version__}")
    commands = result.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (show, feedback_command, status, env, flush, run, demo):
        command.add_parser(commands)
    return result


if __name__ == "__main__":
    sys.exit(main())
