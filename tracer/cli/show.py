"""`tracer show`: traces of the local store, as trees, JSON or a page for the browser."""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
from pathlib import Path

from tracer import settings
from tracer.cli.output import complain, console
from tracer.export.texts import well_formed
from tracer.export.wording import printable
from tracer.store.place import store_path
from tracer.store.reader import StoreReader, Trace
from tracer.store.schema import StoreError

DESCRIPTION = "Show traces of the local store: the last one, the last N, or the one with an id."
EPILOG = """\
An id is a trace id, run id or span id, in hex or as a UUID, whole or its beginning.
--json prints one array of traces, oldest first. Each has trace_id, start, duration, calls, failed, input_tokens,
output_tokens, cost and spans; each span has span_id, parent_span_id, run_id, depth, name, kind, operation, model, start,
duration, outcome, error, input_tokens, output_tokens, cost, currency, time_to_first_chunk, session, user, tags and
attributes and feedback, and content with --content. Times are ISO 8601 in UTC, durations in seconds; what is not known is null.
--html FILE writes one page for the browser, private (mode 0600) and complete in itself: no script, nothing fetched. It has the waterfall
of each trace, and every span opens to its facts, with --content to its messages too. FILE - is standard output; an existing file is
replaced.
Exit status: 0, or 1 when there is no store or no such trace or the page cannot be written, or 2 for a wrong call of the command."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "show",
        help="show traces of the local store",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("id", nargs="?", help="trace id, run id or span id, or its beginning")
    which.add_argument("--last", type=_count, default=1, metavar="N", help="the last N traces, oldest first (default: 1)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of a tree")
    form.add_argument("--html", metavar="FILE", help="write a page for the browser instead of a tree; - is standard output")
    parser.add_argument("--content", action="store_true", help="with prompts and answers")
    parser.add_argument("--store", metavar="PATH", help="the store's file (default: TRACER_LOCAL, or the usual place)")
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def run(arguments: argparse.Namespace) -> int:
    """Carry out the command; gives the exit status."""
    path = Path(arguments.store).expanduser() if arguments.store else store_path(settings.read()[0].local)
    if not path.exists():
        return complain(f"there is no store at {path}. Record something with TRACER_LOCAL=true, or name the file with --store PATH.")
    try:
        with StoreReader(path) as store:
            traces = _wanted(store, arguments)
    except (StoreError, sqlite3.Error) as error:
        return complain(f"cannot read {path}: {error}.")
    if not traces:
        return complain(f"no trace, run or span {arguments.id!r} in {path}." if arguments.id else f"there are no traces in {path} yet.")
    if arguments.html is not None:
        return _write_page(traces, path, arguments)
    _print(traces, arguments)
    return 0


def _wanted(store: StoreReader, arguments: argparse.Namespace) -> list[Trace]:
    if not arguments.id:
        return store.traces(last=arguments.last)
    found = store.trace(arguments.id)
    return [found] if found is not None else []


def _print(traces: list[Trace], arguments: argparse.Namespace) -> None:
    if arguments.json:
        from tracer.cli.json_shape import trace_object

        # ASCII, so that any encoding of the terminal can carry it.
        json.dump([trace_object(trace, content=arguments.content) for trace in traces], sys.stdout, indent=2)
        print()
        return
    from tracer.cli.tree import print_trace

    output = console()
    for trace in traces:
        print_trace(output, trace, content=arguments.content)


def _write_page(traces: list[Trace], store: Path, arguments: argparse.Namespace) -> int:
    from tracer.cli.page.document import document

    pieces = document(traces, content=arguments.content)
    if arguments.html == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece.encode())
        return 0
    from tracer.cli.private_file import write_private

    path = Path(arguments.html).expanduser()
    try:
        if _is_of_store(path, store):
            return complain(f"cannot write {path}: it is the store itself.")
        write_private(path, pieces)
    except OSError as error:
        return complain(f"cannot write {path}: {error.strerror or error}.")
    said = printable(well_formed(str(path)))
    opened = f"; open {path.absolute().as_uri()}" if sys.stdout.isatty() else ""
    console().print(f"The page is in {said}{opened}")
    return 0


def _is_of_store(path: Path, store: Path) -> bool:
    files = [store.with_name(store.name + suffix) for suffix in ("", "-wal", "-shm")]
    return path.exists() and any(file.exists() and path.samefile(file) for file in files)
