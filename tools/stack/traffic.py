"""A demo's traffic: an application with sessions and users whose models answer from recordings on loopback.

    python -m tools.stack.traffic --turns 100 --seed 7 --pace 0

As a program it sends what a user's settings say (`OTEL_EXPORTER_OTLP_ENDPOINT` …), and prints what it has sent as JSON. The number of
turns and the seed decide about every call, so that the counts are the same each time:

    traffic = Traffic(turns=100, seed=7)
    assert traffic.send() == traffic.expected()

The first turns are one of each situation; so with `turns >= len(SITUATIONS)` each panel has something to show.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from types import FrameType
from typing import Any

import anthropic
import openai

import tracer
from tools.stack.situations import CANCELLED, COMPLETED, FAILED, SITUATIONS, STOPPED, Situation, Step
from tracer.replay.recordings import by_id
from tracer.replay.sdk import call_arguments, client_arguments
from tracer.replay.server import ReplayServer

USERS = 12
TURNS_PER_SESSION = 4
PLANS = ("free", "team", "enterprise")

PROVIDER_ERRORS = (openai.APIError, anthropic.APIError)


@dataclass(slots=True)
class Counts:
    """What was sent. Calls are those of models; `spans` has chains, agents and tools too, but no attempts."""

    turns: int = 0
    calls: int = 0
    spans: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    operations: Counter[str] = field(default_factory=Counter[str])
    models: Counter[str] = field(default_factory=Counter[str])
    attempts: Counter[int] = field(default_factory=Counter[int])
    """By HTTP status; those of cancelled calls have none."""
    tools: Counter[str] = field(default_factory=Counter[str])
    kinds: Counter[str] = field(default_factory=Counter[str])
    """Roots by kind: chain or agent."""

    def add(self, situation: Situation, outcomes: Sequence[str]) -> None:
        """Count one turn whose calls ended so."""
        self.turns += 1
        self.calls += len(situation.steps)
        self.spans += situation.spans
        self.kinds[situation.kind] += 1
        self.tools.update(situation.tools)
        self.outcomes.update(outcomes)
        for step in situation.steps:
            self.operations[step.operation] += 1
            self.models[str(by_id(step.recording).request["model"])] += 1
            self.attempts.update(step.attempts)

    def text(self) -> str:
        """One line of JSON."""
        return json.dumps({item.name: getattr(self, item.name) for item in fields(self)}, sort_keys=True)


@dataclass(slots=True)
class Turn:
    """A situation, and who is in it."""

    situation: Situation
    session: str
    user: str
    plan: str


class Traffic:
    """`turns` turns by `seed`. `pace`: how slow providers are, from 0 (at once) to 1 (as real ones). `workers`: turns at once.

    Once `leaving` is set, no further turn begins.
    """

    def __init__(
        self, turns: int = 100, *, seed: int = 7, pace: float = 0.0, workers: int = 4, leaving: threading.Event | None = None
    ) -> None:
        self.turns = _deal(turns, random.Random(seed))
        self._pace = pace
        self._workers = workers
        self._leaving = leaving or threading.Event()

    def expected(self) -> Counts:
        """What `send` will have sent."""
        counts = Counts()
        for turn in self.turns:
            counts.add(turn.situation, [step.outcome for step in turn.situation.steps])
        return counts

    def send(self) -> Counts:
        """Play all turns; gives what came out, as the application saw it."""
        counts = Counts()
        lock = threading.Lock()
        with ReplayServer() as server, ThreadPoolExecutor(self._workers) as pool:
            for outcome in [pool.submit(self._play, server, turn, counts, lock) for turn in self.turns]:
                outcome.result()
        return counts

    def _play(self, server: ReplayServer, turn: Turn, counts: Counts, lock: threading.Lock) -> None:
        if self._leaving.is_set():
            return
        situation = turn.situation
        outcomes: list[str] = []
        with (
            tracer.context(session=turn.session, user=turn.user, tags=[turn.plan], metadata={"plan": turn.plan}),
            tracer.trace(situation.name, kind=situation.kind) as run,
        ):
            run.set_input({"text": f"{situation.name} for {turn.user}"})
            for step in situation.steps:
                outcomes.append(call(server, step.slowed(self._pace)))
                if step.tool:
                    _run_tool(step.tool)
            run.set_output({"outcomes": outcomes})
        with lock:
            counts.add(situation, outcomes)


def _deal(turns: int, chance: random.Random) -> list[Turn]:
    """One of each situation first, the others by weight; sessions of a few turns."""
    weights = [situation.weight for situation in SITUATIONS]
    rest = max(0, turns - len(SITUATIONS))
    chosen = [*SITUATIONS, *chance.choices(SITUATIONS, weights, k=rest)][:turns]
    if rest:
        chance.shuffle(chosen)
    dealt: list[Turn] = []
    for number, situation in enumerate(chosen):
        session = number // TURNS_PER_SESSION
        user = session % USERS
        dealt.append(Turn(situation, f"session-{session:04d}", f"user-{user:02d}", PLANS[user % len(PLANS)]))
    return dealt


def _run_tool(name: str) -> None:
    with tracer.trace(name, kind="tool") as run:
        run.set_input({"query": name})
        run.set_output({"found": 3})


def call(server: ReplayServer, step: Step) -> str:
    """One call of a model through the wrapped SDK; gives how it ended for the application."""
    try:
        if step.cancel_after:
            return asyncio.run(_cancelled(server, step))
        with tracer.wrap(_client(server, step)) as client:
            function = _function(client, step)
            answer = function(**call_arguments(step.recording, function))
            return _read(answer, step.stop_after) if by_id(step.recording).streamed else COMPLETED
    except PROVIDER_ERRORS:
        return FAILED
    except Exception as error:
        # A connection lost in the midst of a stream: the SDKs let their HTTP library's own error through, `httpx` or `httpx2`.
        if type(error).__module__.partition(".")[0].startswith("httpx"):
            return FAILED
        raise


def _client(server: ReplayServer, step: Step, *, asynchronous: bool = False) -> Any:
    recording = by_id(step.recording)
    arguments = {**client_arguments(server, recording, step.behaviour), "max_retries": step.retries}
    sdk = anthropic if recording.anthropic else openai
    # Nothing but loopback is spoken to: no proxy of the environment, and no certificates to load for each client.
    if asynchronous:
        kind: Any = anthropic.AsyncAnthropic if recording.anthropic else openai.AsyncOpenAI
        return kind(**arguments, http_client=sdk.DefaultAsyncHttpxClient(trust_env=False, verify=False))
    kind = anthropic.Anthropic if recording.anthropic else openai.OpenAI
    return kind(**arguments, http_client=sdk.DefaultHttpxClient(trust_env=False, verify=False))


def _function(client: Any, step: Step) -> Any:
    api = by_id(step.recording).api
    if api == "messages":
        return client.messages.create
    return client.embeddings.create if api == "embeddings" else client.chat.completions.create


def _read(stream: Any, stop_after: int) -> str:
    with stream:
        for number, _ in enumerate(stream, 1):
            if number == stop_after:
                return STOPPED
    return COMPLETED


async def _cancelled(server: ReplayServer, step: Step) -> str:
    async with tracer.wrap(_client(server, step, asynchronous=True)) as client:
        function = _function(client, step)
        try:
            await asyncio.wait_for(function(**call_arguments(step.recording, function)), step.cancel_after)
        except (asyncio.TimeoutError, TimeoutError):
            return CANCELLED
        return COMPLETED


def main(arguments: Sequence[str] | None = None) -> int:
    """Send, and print what was sent and what the ledger says of it. SIGINT and SIGTERM let the turns that run come to their end."""
    parser = argparse.ArgumentParser(description="Send a demo's traffic to where the environment says.")
    parser.add_argument("--turns", type=int, default=100, help="turns of conversations, one trace each (100)")
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="go on with further turns for this long (inf: for ever); 0: the turns once"
    )
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same calls (7)")
    parser.add_argument("--pace", type=float, default=0.0, help="0: providers answer at once; 1: as slow as real ones (0)")
    parser.add_argument("--workers", type=int, default=4, help="turns at the same time (4)")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # Of recorded models.
    leaving = threading.Event()

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        leaving.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    deadline = time.monotonic() + options.seconds
    for seed in itertools.count(options.seed):
        print(Traffic(options.turns, seed=seed, pace=options.pace, workers=options.workers, leaving=leaving).send().text(), flush=True)
        if leaving.is_set() or time.monotonic() >= deadline:
            break
    tracer.flush(10)
    print(json.dumps(tracer.status()["destinations"]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
