"""Other tracers beside ours: the same call, each in a process of its own, and a check that each really delivered everything.

Every process measures the untraced SDK and then the traced one, since some tracers patch the SDK itself. O is a process like the others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from benchmarks import programs
from benchmarks.measure import Row, caller_time

BLOCKS = 40
CALLS = 20
_RUNS = 3


def _ours(endpoint: str) -> programs.Running:
    return programs.wrapped(otlp_endpoint=endpoint)


def ours_to_langsmith(endpoint: str) -> programs.Running:
    """Our wrapped client, to a LangSmith-style backend."""
    return programs.wrapped(langsmith_tracing=True, langsmith_key="none", langsmith_endpoint=endpoint)


def langsmith_sdk(endpoint: str) -> programs.Running:
    """The wrapper of LangSmith's own SDK."""
    os.environ.update(LANGSMITH_TRACING="true", LANGSMITH_API_KEY="none", LANGSMITH_ENDPOINT=endpoint)
    from langsmith import Client
    from langsmith.wrappers import wrap_openai

    langsmith = Client()
    client = wrap_openai(programs.client(), tracing_extra={"client": langsmith})
    return lambda: programs.call(client), langsmith.flush


def _official(endpoint: str) -> programs.Running:
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    return _instrumented(OpenAIInstrumentor(), endpoint)


def _openinference(endpoint: str) -> programs.Running:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    return _instrumented(OpenAIInstrumentor(), endpoint)


def _openllmetry(endpoint: str) -> programs.Running:
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    return _instrumented(OpenAIInstrumentor(), endpoint)


def _instrumented(instrumentor: Any, endpoint: str) -> programs.Running:
    provider, _ = programs.otel_tracer(endpoint + "/v1/traces")
    instrumentor.instrument(tracer_provider=provider)
    client = programs.client()
    return lambda: programs.call(client), provider.force_flush


PEERS: dict[str, Callable[[str], programs.Running]] = {
    "OTel span by hand": programs.by_hand,
    "tracer": _ours,
    "tracer to LangSmith": ours_to_langsmith,
    "langsmith wrap_openai": langsmith_sdk,
    "official genai-openai": _official,
    "openinference": _openinference,
    "openllmetry": _openllmetry,
}


def rows() -> list[Row]:
    """For each peer what a small call adds, in the caller's thread and in all threads, as a multiple of the span by hand.

    The untraced call is the same in every process, so the least of all counts for all: another program of the machine that was busy while
    one of them measured it, and idle later, would make a peer look free.
    """
    runs = [(name, _run(name)) for _ in range(_RUNS) for name in PEERS]
    bare = min(measured["bare"] for _, measured in runs)
    bare_everywhere = min(measured["bare_everywhere"] for _, measured in runs)
    best: dict[str, tuple[float, float]] = {}
    for name in PEERS:
        own = [measured for peer, measured in runs if peer == name]
        caller, everywhere = (min(measured[part] for measured in own) for part in ("traced", "traced_everywhere"))
        best[name] = caller - bare, everywhere - bare_everywhere
    caller_o, everywhere_o = best["OTel span by hand"]
    table: list[Row] = []
    for name, (caller, everywhere) in best.items():
        table.append(Row(f"{name}: caller's thread", caller / caller_o, "O"))
        table.append(Row(f"{name}: CPU of all threads", everywhere / everywhere_o, "O"))
    ours, theirs = best["tracer to LangSmith"], best["langsmith wrap_openai"]
    table.append(Row("tracer to LangSmith, all threads, of wrap_openai's", ours[1] / theirs[1], "x", "langsmith_all"))
    table.append(Row("tracer to LangSmith, caller, of tracer to OTLP", ours[0] / best["tracer"][0], "x", "langsmith_caller"))
    return table


def _run(name: str) -> dict[str, float]:
    receiver = subprocess.Popen([sys.executable, "-m", "benchmarks.receiver"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert receiver.stdout is not None
    endpoint = f"http://127.0.0.1:{receiver.stdout.readline().strip()}"
    try:
        ended = subprocess.run([sys.executable, "-m", "benchmarks.peers", name, endpoint], capture_output=True, text=True, check=False)
        if ended.returncode:
            raise RuntimeError(f"{name}:\n{ended.stderr[-2000:]}")
        measured = json.loads(ended.stdout.splitlines()[-1])
        with urllib.request.urlopen(endpoint + "/count", timeout=10) as answer:
            arrived = int(answer.read())
    finally:
        receiver.communicate("", timeout=10)
    if arrived != measured["calls"]:
        raise RuntimeError(f"{name}: {arrived} of {measured['calls']} calls arrived")
    return measured


def main() -> None:
    """Measure one peer and print what it adds."""
    name, endpoint = sys.argv[1:]
    bare = programs.client()
    untraced = [caller_time(lambda: programs.call(bare), CALLS) for _ in range(BLOCKS)]
    begin = time.process_time_ns()
    for _ in range(BLOCKS * CALLS):
        programs.call(bare)
    untraced_everywhere = (time.process_time_ns() - begin) / BLOCKS / CALLS / 1000
    call, flush = PEERS[name](endpoint)
    caller_time(call, CALLS)
    flush()
    begin = time.process_time_ns()
    traced = [caller_time(call, CALLS) for _ in range(BLOCKS)]
    flush()
    everywhere = (time.process_time_ns() - begin) / BLOCKS / CALLS / 1000
    told = {"bare": min(untraced), "bare_everywhere": untraced_everywhere, "traced": min(traced), "traced_everywhere": everywhere}
    print(json.dumps({**told, "calls": CALLS * (BLOCKS + 1)}))


if __name__ == "__main__":
    main()
