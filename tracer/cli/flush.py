"""`tracer flush`: send what processes that have ended left in the spool."""

from __future__ import annotations

import argparse
from pathlib import Path

from tracer import settings
from tracer.cli.output import complain
from tracer.export.notices import records_text
from tracer.pipeline.recovery import recover
from tracer.spool.listing import look_into

DESCRIPTION = "Send what processes that have ended left in the spool directory, to the destinations that the environment names."
EPILOG = """\
Records go only to the destination that they were recorded for: same kind, same address. What running processes have in
the directory they send themselves. Exit status: 0 when nothing is left but what is in use, else 1."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "flush",
        help="send what ended processes left in the spool",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--spool", metavar="DIR", help="the directory (default: TRACER_SPOOL)")
    parser.add_argument("--timeout", type=_seconds, default=30.0, metavar="SECONDS", help="give up after this time (default: 30)")
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e9:
        raise ValueError(text)
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """Carry out the command; gives the exit status."""
    found = settings.read()[0]
    directory = arguments.spool or found.spool
    if not directory:
        return complain("no spool directory is named. Set TRACER_SPOOL, or name it with --spool DIR.")
    done = recover(found.replaced(spool=directory), arguments.timeout)
    print(f"{records_text(done.sent)} of earlier processes arrived.")
    for trouble in done.troubles:
        complain(trouble)
    left = 0
    for file in look_into(Path(directory)):
        if file.trouble:
            left += complain(f"{file.path}: {file.trouble}")
        for address, records in (file.records or {}).items():
            left += records
            complain(f"{records_text(records)} left in {file.path} for {address}.")
    return 1 if left else 0
