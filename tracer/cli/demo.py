"""`tracer demo`: the main job on recorded traffic, or with `--live` on the real service."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path

from tracer import settings
from tracer.cli.output import complain, console
from tracer.store.place import FILE_NAME

FOLDER = ".demo"
PAGE = "trace.html"

DESCRIPTION = (
    "Run a small program through the OpenAI SDK with tracing on, and show what was recorded. "
    "Answers come from recordings, served on loopback; nothing else is contacted, except OTEL_EXPORTER_OTLP_ENDPOINT if you set it."
)

_SECONDS = 10.0


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("demo", help="trace a small program and show the result", description=DESCRIPTION)
    parser.add_argument("--live", action="store_true", help="use the real OpenAI API, with OPENAI_API_KEY and a cheap model")
    parser.add_argument("--store", metavar="PATH", help=f"where to record (default: {FOLDER}/{FILE_NAME} in the current folder)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the command; gives the exit status."""
    key = settings.environment_value("OPENAI_API_KEY")
    if arguments.live and key is None:
        return complain("--live needs the environment variable OPENAI_API_KEY. Without --live the demo needs no key.")
    path = Path(arguments.store).expanduser() if arguments.store else Path(FOLDER) / FILE_NAME
    import openai

    try:
        trace_id = _record(path, key if arguments.live else None)
    except openai.OpenAIError as error:
        return complain(f"the demo could not go on: {error} (tracer show --store {shlex.quote(str(path))} has what came before)")
    return _report(path, trace_id, live=arguments.live)


def _record(path: Path, key: str | None) -> str | None:
    """Run the program with tracing on; gives the trace id."""
    import tracer
    from tracer.cli.demo_clients import LiveClients, ReplayClients
    from tracer.cli.demo_program import run_program
    from tracer.replay.behaviour import Behaviour
    from tracer.replay.server import ReplayServer

    # Said explicitly, so that what the shell happens to have set does not change what the demo shows or where it writes.
    tracer.configure(
        enabled=True,
        sdk_disabled=False,
        local=str(path.absolute()),
        console=False,
        quiet=True,
        langsmith_tracing=False,
        sampler="always_on",
    )
    try:
        with ReplayServer(Behaviour(wait=0.03, delay=0.005)) as server:
            return run_program(ReplayClients(server) if key is None else LiveClients(server, key))
    finally:
        tracer.flush(timeout=_SECONDS)
        tracer.shutdown(timeout=_SECONDS)


def _report(path: Path, trace_id: str | None, *, live: bool) -> int:
    """Read the trace back from the store and print it."""
    import sqlite3

    from tracer.cli.tree import print_trace
    from tracer.store.reader import StoreReader
    from tracer.store.schema import StoreError

    try:
        with StoreReader(path) as store:
            trace = store.trace(trace_id) if trace_id else None
    except (StoreError, sqlite3.Error) as error:
        return complain(f"nothing was recorded: cannot read {path}: {error}.")
    if trace is None:
        return complain(f"nothing was recorded in {path}.")
    output = console()
    print_trace(output, trace)
    output.print(_closing_words(path, trace.trace_id, live=live))
    return 0


def _closing_words(path: Path, trace_id: str, *, live: bool) -> str:
    replayed = "are recorded ones, served on loopback"
    where = "came from the real OpenAI API, but the retry's from loopback: no 429 can be ordered" if live else replayed
    command = _command()
    store, page = shlex.quote(str(path)), shlex.quote(str(path.with_name(PAGE)))
    return f"""
The answers {where}. The trace is in {path}.

  {command} show --store {store}                    this tree again
  {command} show --store {store} --content          with prompts and answers
  {command} show --store {store} --json             for programs
  {command} show --store {store} --content --html {page}
                                                    a page for the browser, with prompts and answers

In a backend: {_exported()}
  docker run --rm -p 16686:16686 -p 4318:4318 jaegertracing/jaeger:2.20.0
  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 {command} demo
  then open http://localhost:16686/trace/{trace_id if _sends_otlp() else "<the trace id printed above>"}
In a checkout `make stack` starts a collector, Jaeger, Tempo and Prometheus together; dashboards/ is for Grafana."""


def _command() -> str:
    """How the reader can call the command from here; in a checkout it is often not on the path."""
    own = Path(sys.executable).with_name("tracer")
    if not own.exists():
        return f"{shlex.quote(sys.executable)} -m tracer"
    found = shutil.which("tracer")
    if found is not None and own.samefile(found):
        return "tracer"
    here = Path.cwd()
    return shlex.quote(str(own.relative_to(here) if own.is_relative_to(here) else own))


def _sends_otlp() -> bool:
    return settings.read()[0].otlp_on


def _exported() -> str:
    found = settings.read()[0]
    if not found.otlp_on:
        return "spans go to any OTLP backend, for example Jaeger:"
    return f"the spans also went to {found.otlp_traces_endpoint or found.otlp_endpoint or 'http://localhost:4318'}. With Jaeger:"
