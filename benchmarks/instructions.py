"""Counted instructions instead of clocks: the same again and again, whatever else the machine is doing. Needs valgrind.

Each program runs in a process of its own under callgrind; counting is switched on after its first calls. Differences between programs
are what is of interest, so what switching on costs takes itself out.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import peers, programs
from benchmarks.measure import Row

CALLS = 100
SCHEDULE_DELAY = 5000.0
"""Milliseconds that spans are gathered, as OpenTelemetry's batch processor does: calls are fifty times slower here, and would be sent
one by one otherwise."""
_WARM = 30
_CHUNKS = 50
_TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Count:
    """Instructions for one call."""

    caller: float
    """In the thread that makes the call."""
    all: float
    """In all threads, delivery included."""

    def __sub__(self, other: Count) -> Count:
        return Count(self.caller - other.caller, self.all - other.all)


def available() -> bool:
    """Whether valgrind is installed."""
    return shutil.which("valgrind") is not None and shutil.which("callgrind_control") is not None


def count(program: str, payload: str, endpoint: str) -> Count:
    """What one call of a program takes. Raises RuntimeError when the process fails."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            "--separate-threads=yes",
            f"--callgrind-out-file={folder}/out",
            sys.executable,
            "-m",
            "benchmarks.instructions",
            program,
            payload,
            endpoint,
        ]
        ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "0"}, check=False)
        totals = {path.name: _total(path) for path in Path(folder).glob("out-*")}
        if ended.returncode or not totals:
            raise RuntimeError(f"{program} {payload} failed:\n{ended.stderr[-2000:]}")
    return Count(totals["out-01"] / CALLS, sum(totals.values()) / CALLS)


def _total(path: Path) -> int:
    found = _TOTAL.search(path.read_text(errors="replace"))
    return int(found[1]) if found else 0


def rows(endpoint: str) -> list[Row]:
    """The rows of the table that are counted."""
    bare, off, on = (count(name, "small", endpoint) for name in ("bare", "model-off", "model-on"))
    table = [
        Row("ChatModel.invoke over the bare call, off, instructions", 100 * (off - bare).caller / bare.caller, "%", "chat_model_off"),
        Row("ChatModel.invoke over the bare call, on, instructions", 100 * (on - bare).caller / bare.caller, "%", "chat_model_on"),
    ]
    bare_stream, stream_off, stream_on = (count(name, "small", endpoint) for name in ("stream", "model-stream-off", "model-stream-on"))
    table += [
        Row(
            f"ChatModel.stream over the bare one, {state}, instructions", 100 * (stream - bare_stream).caller / bare_stream.caller, "%", key
        )
        for state, stream, key in (("off", stream_off, "chat_model_chunk_off"), ("on", stream_on, "chat_model_chunk_on"))
    ]
    for payload in programs.PAYLOADS:
        bare = bare if payload == "small" else count("bare", payload, endpoint)
        by_hand = count("span", payload, endpoint) - bare
        ours = count("ours", payload, endpoint) - bare
        table += [
            Row(f"{payload} call, caller's instructions", ours.caller / by_hand.caller, "O", f"{payload}_caller_instructions"),
            Row(f"{payload} call, all threads' instructions", ours.all / by_hand.all, "O", f"{payload}_all_instructions"),
        ]
    return table


def peer_rows(endpoint: str) -> list[Row]:
    """Beside LangSmith's own SDK, with everything delivered to the same backend."""
    bare, ours, theirs = (count(name, "small", endpoint) for name in ("bare", "ours-to-langsmith", "langsmith-sdk"))
    return [
        Row(
            "tracer to LangSmith, all threads' instructions, of wrap_openai's",
            (ours - bare).all / (theirs - bare).all,
            "x",
            "langsmith_all",
        ),
        Row("tracer to LangSmith, caller's instructions, of wrap_openai's", (ours - bare).caller / (theirs - bare).caller, "x"),
    ]


def main() -> None:
    """Run one program under callgrind."""
    program, payload, endpoint = sys.argv[1:]
    call, flush = _PROGRAMS[program](payload, endpoint)
    for _ in range(_WARM):
        call()
    flush()
    gc.collect()
    gc.freeze()
    _switch("on")
    for _ in range(CALLS):
        call()
    flush()
    sys.stdout.flush()
    os._exit(0)


def _switch(state: str) -> None:
    subprocess.run(["callgrind_control", "-i", state, str(os.getpid())], check=True, capture_output=True)


def _bare(payload: str) -> programs.Running:
    client = programs.client()
    return lambda: programs.call(client, payload), lambda: None


def _model(endpoint: str) -> programs.Running:
    import tracer

    tracer.configure(quiet=True, otlp_endpoint=endpoint)
    chat = tracer.ChatModel(programs.client(), model="gpt-4o-mini", temperature=0.5, max_tokens=100)
    return lambda: chat.invoke(programs.TURNS), lambda: tracer.flush(60)


def _bare_stream() -> programs.Running:
    client = programs.stream_client(_CHUNKS)
    return lambda: programs.bare_stream(client), lambda: None


def _model_stream(endpoint: str) -> programs.Running:
    import tracer

    tracer.configure(quiet=True, otlp_endpoint=endpoint, stream_usage="off")
    chat = tracer.ChatModel(programs.stream_client(_CHUNKS), model="gpt-4o-mini")
    return lambda: programs.drain(chat.stream(programs.TURNS)), lambda: tracer.flush(60)


def _to_langsmith(endpoint: str) -> programs.Running:
    from tracer.pipeline import destinations
    from tracer.pipeline.sender import Gather

    # As for OTLP; the SDK waits for up to a quarter of a second after each run, so that here it never sends before there are a hundred.
    destinations.LANGSMITH_GATHER = Gather(SCHEDULE_DELAY / 1000, destinations.LANGSMITH_GATHER.records)
    return peers.ours_to_langsmith(endpoint)


_PROGRAMS: dict[str, Callable[[str, str], programs.Running]] = {
    "bare": lambda payload, _endpoint: _bare(payload),
    "span": lambda payload, endpoint: programs.by_hand(endpoint, payload),
    "ours": lambda payload, endpoint: programs.wrapped(payload, otlp_endpoint=endpoint, otlp_schedule_delay=SCHEDULE_DELAY),
    "model-off": lambda _payload, _endpoint: _model(""),
    "model-on": lambda _payload, endpoint: _model(endpoint),
    "stream": lambda _payload, _endpoint: _bare_stream(),
    "model-stream-off": lambda _payload, _endpoint: _model_stream(""),
    "model-stream-on": lambda _payload, endpoint: _model_stream(endpoint),
    "ours-to-langsmith": lambda _payload, endpoint: _to_langsmith(endpoint),
    "langsmith-sdk": lambda _payload, endpoint: peers.langsmith_sdk(endpoint),
}

if __name__ == "__main__":
    main()
