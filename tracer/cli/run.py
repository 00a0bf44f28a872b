"""`tracer run`: a program as it is, traced by the environment alone."""

from __future__ import annotations

import argparse
import os
import runpy
import sys


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`tracer run app.py [args]` or `tracer run -m module [args]`."""
    parser = commands.add_parser("run", help="run a program with every model call traced", description=__doc__)
    parser.add_argument("-m", dest="as_module", action="store_true", help="the program is the name of a module")
    parser.add_argument("program", help="a Python file, or with -m a module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the program finds in sys.argv")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the program in this process as `python` would; its exit status becomes ours."""
    import tracer

    if not options.as_module and not os.path.exists(options.program):
        print(f"tracer run: there is no file {options.program}", file=sys.stderr)
        return 2
    tracer.instrument()
    sys.argv = [options.program, *options.arguments]
    if options.as_module:
        sys.path[0] = os.getcwd()
        runpy.run_module(options.program, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(options.program))
        runpy.run_path(options.program, run_name="__main__")
    return 0
