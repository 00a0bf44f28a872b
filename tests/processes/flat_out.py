"""Model calls as fast as a program can make them: nothing is lost while the backend keeps up, and the exact loss is stated otherwise."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.processes.fault_backends import PEAK, backend
from tests.support import run_long_program

CALLS = 20_000

CLIENT = (
    PEAK
    + """
import json, sys, threading, time
import httpx2, openai
import tracer

ANSWER = json.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1750000000, "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "It is 330 metres high. " * 8}}],
    "usage": {"prompt_tokens": 120, "completion_tokens": 40, "total_tokens": 160},
}).encode()
MESSAGES = [{"role": "user", "content": "How high is the Eiffel tower, and who built it? " * 4} for _ in range(3)]

def answer(request):
    return httpx2.Response(200, content=ANSWER, headers={"content-type": "application/json"}, request=request)

def client():
    http_client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="none", base_url="http://127.0.0.1:9/v1", http_client=http_client)
"""
)
"""A client of the OpenAI SDK whose transport answers from memory."""

PROGRAM = (
    CLIENT
    + """
def work(client, count):
    for _ in range(count):
        client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)

def timed(client):
    threads = [threading.Thread(target=work, args=(client, CALLS // THREADS)) for _ in range(THREADS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun

bare = client()
work(bare, 50)
wrapped = tracer.wrap(client())
seconds = timed(wrapped)
tracer.shutdown(PATIENCE)
status = tracer.status()
at = status["destinations"]["otlp"]
closes = status["started"] == CALLS == at["exported"] + at["queued"] + sum(at["dropped"].values())
print(json.dumps({
    "exported": at["exported"], "dropped": at["dropped"], "closes": closes, "rate": CALLS / seconds,
    "peak": peak(),
}))
"""
)


@dataclass(frozen=True, slots=True)
class Flood:
    """A row. `records` is TRACER_QUEUE_RECORDS, None for the default."""

    threads: int
    fault: str = ""
    calls: int = CALLS
    records: int | None = None
    patience: float = 60.0

    @property
    def promise(self) -> str:
        """What has to hold."""
        return "the exact loss is counted and said" if self.fault else "all arrive, each once"


ROWS = (Flood(1), Flood(8), Flood(8, "hangs", patience=2.0))


@dataclass(slots=True)
class Flooded:
    """What a row gave."""

    row: Flood
    arrived: int
    lost: int
    rate: float
    peak: float
    broken: list[str] = field(default_factory=list[str])


def measure(row: Flood) -> Flooded:
    """Run the program."""
    with backend(row.fault) as state:
        limit = {} if row.records is None else {"TRACER_QUEUE_RECORDS": str(row.records)}
        code = PROGRAM
        for name, value in {"CALLS": row.calls, "THREADS": row.threads, "PATIENCE": row.patience}.items():
            code = code.replace(name, str(value))
        ended = run_long_program(code, 900, {"OTEL_EXPORTER_OTLP_ENDPOINT": state.url, "TRACER_QUIET": "1", **limit})
        assert ended.status == 0, ended.err
        told: dict[str, Any] = json.loads(ended.out)
        arrived = state.arrived
    lost = sum(told["dropped"].values())
    said = [int(number) for number in re.findall(r"(\d+) records?(?: more)?(?: dropped| came faster| could not be sent before)", ended.err)]
    checks = {
        "the ledger closes": told["closes"],
        "nothing is lost": bool(row.fault) or (lost == 0 and len(arrived) == row.calls),
        "each id once": sum(arrived) == len(arrived),
        "the loss is exact": len(arrived) == told["exported"] and len(arrived) + lost == row.calls,
        "the loss is said": sum(said) == lost,
    }
    result = Flooded(row, len(arrived), lost, told["rate"], told["peak"])
    result.broken = [name for name, kept in checks.items() if not kept]
    return result


TEXT = """\
A program makes {calls:,} calls with the OpenAI SDK and a transport that answers from memory, so that nothing but the processor holds it
up, with the default limits of the queue.

| threads | backend | promise | kept | arrived | lost | calls a second | peak MiB |
|---|---|---|---|---|---|---|---|
"""


def table(found: list[Flooded]) -> str:
    """The section of the page."""
    lines = [TEXT.format(calls=CALLS)]
    for result in found:
        row = result.row
        kept = "yes" if not result.broken else "NO: " + ", ".join(result.broken)
        figures = f"{result.arrived} | {result.lost} | {result.rate:.0f} | {result.peak:.0f}"
        lines.append(f"| {row.threads} | {row.fault or 'healthy'} | {row.promise} | {kept} | {figures} |\n")
    return "".join(lines)
