"""`make langsmith-diff`: the quickstart with both, LangChain's model under LangSmith's own tracer and ours, and the fields that differ.

Everything stays on loopback: a scripted model answers, and an imitation of LangSmith's API takes the runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.chat.chat_loopback import Loopback
from tests.langsmith_allowed import EVERYWHERE, OF_CHAT_MODELS, OF_LANGCHAIN, OF_THE_QUICKSTART
from tests.langsmith_fields import complaints_about, differences, unexplained
from tests.langsmith_pairs import INFO
from tests.langsmith_server import langsmith
from tests.support import ROOT, clean_environment

QUICKSTART = Path("examples/quickstart.py")
ALLOWED = (*EVERYWHERE, *OF_LANGCHAIN, *OF_CHAT_MODELS, *OF_THE_QUICKSTART)
Json = dict[str, Any]

WITH_SDK = """
import runpy, sys, warnings
warnings.simplefilter("ignore")
import langchain_openai
import tracer
tracer.wrap = lambda model: model
cells = runpy.run_path(sys.argv[1])
chat = langchain_openai.ChatOpenAI(model="gpt-4o-mini")
from langchain_core.messages import convert_to_messages
import asyncio
plain = lambda group: convert_to_messages([(str(item.type), str(item.content)) for item in group])
messages = plain(cells["MESSAGES"])
cells["sync_cells"](chat, messages)
asyncio.run(cells["async_cells"](chat, messages))
for group in ([("human", "Translate this sentence from English to French: I love programming.")],
              [("system", "You translate English to French."), ("human", "I love programming.")]):
    chat.invoke(convert_to_messages(group))
cells["generate_cell"](chat, [plain(group) for group in cells["BATCH_MESSAGES"]])
from langchain_core.tracers.langchain import wait_for_all_tracers
wait_for_all_tracers()
"""
"""The same cells, asking LangChain's model, which its own tracer follows by the environment."""


def runs_of(arguments: list[str], model: Loopback, info: Json | None = None, **environment: str) -> list[Json]:
    """The runs that a program sends to an imitation of LangSmith's API."""
    with langsmith(info or INFO) as server:
        subprocess.run(
            [sys.executable, "-W", "ignore", *arguments],
            check=True,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            env={
                **clean_environment(),
                "PYTHONPATH": str(ROOT),
                "OPENAI_API_KEY": "none",
                "OPENAI_BASE_URL": model.base_url,
                "LANGSMITH_ENDPOINT": server.url,
                "LANGSMITH_API_KEY": "none",
                "LANGCHAIN_TRACING_V2": "true",
                "TRACER_QUIET": "true",
                **environment,
            },
            timeout=120,
        )
        server.complaints.clear()
        return list(server.runs.values())


def both(program: Path = QUICKSTART) -> tuple[list[Json], list[Json]]:
    """The runs of the program's cells: of the SDK, and ours."""
    model = Loopback()
    try:
        theirs = runs_of(["-c", WITH_SDK, str(program)], model, TRACER_ENABLED="false")
        return theirs, runs_of([str(program)], model, TRACER_EXIT_TIMEOUT="20")
    finally:
        model.stop()


def report(theirs: list[Json], ours: list[Json]) -> tuple[list[str], bool]:
    """Every field that differs, with the reason, in lines; and whether all is well."""
    found = differences(theirs, ours)
    left, _ = unexplained(found, ALLOWED)
    lines = [f"{len(theirs)} runs of LangSmith's own tracer, {len(ours)} of ours"]
    for difference in found:
        reason = next((entry.reason for entry in ALLOWED if entry.fits(difference)), "NOT EXPLAINED")
        lines += [f"  {difference}", f"      {reason}"]
    wrong = complaints_about(ours)
    lines += [f"  {text}" for text in wrong]
    lines.append(f"{len(found)} fields differ, {len(left)} without a reason; {len(wrong)} rules of ids and times are broken")
    return lines, not left and not wrong and len(theirs) == len(ours)


def main() -> int:
    """Print it; the status is 1 where something has no reason."""
    lines, well = report(*both(Path(sys.argv[1]) if len(sys.argv) > 1 else QUICKSTART))
    print(*lines, sep=os.linesep)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
