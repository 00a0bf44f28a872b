"""A short script with one of everything that a dashboard shows: run in a process of its own by `test_dashboards.py`.

Every number of calls is fixed. `python -m tests.backends.dashboard_traffic NUMBER`: the NUMBER makes users and sessions of their own.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import openai

import tracer
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import Recording, load
from tracer.replay.sdk import call_arguments, client_arguments
from tracer.replay.server import ReplayServer

USERS = 3
STALL = Behaviour(delay=5.1)
"""Longer than the 5 seconds that count as a stall."""
FILTERED = "gpt-4o-mini"


def ask(server: ReplayServer, recording: Recording, behaviour: Behaviour | None = None, stop_after: int = -1, retries: int = 0) -> None:
    """One recorded call through a traced client, read to the end or to chunk `stop_after`; the provider's errors are expected."""
    arguments: dict[str, Any] = {**client_arguments(server, recording, behaviour), "max_retries": retries}
    with (openai.AzureOpenAI if recording.azure else openai.OpenAI)(**arguments) as bare:
        client = tracer.wrap(bare)
        function: Any = client.chat.completions.create if recording.api == "chat" else client.embeddings.create
        try:
            answer = function(**call_arguments(recording, function))
            if hasattr(answer, "__next__"):
                for number, _ in enumerate(answer, 1):
                    if number == stop_after:
                        break
                answer.close()
        except openai.APIError:
            pass


def one_user(server: ReplayServer, recordings: list[Recording]) -> None:
    """An agent's work: every recording once, retries, a failure, a stream that is stopped, a tool and a retrieval."""
    plain = [item for item in recordings if item.api == "chat" and not item.streamed and item.status == 200]
    streams = [item for item in recordings if item.api == "chat" and item.streamed and item.status == 200]
    with tracer.trace("answer", kind="chain"), tracer.trace("helper", kind="agent"):
        for recording in recordings:
            ask(server, recording)
        ask(server, plain[0], Behaviour(fail=2, status=429), retries=3)
        for _ in range(4):
            ask(server, plain[0], Behaviour(fail=9, status=429))
        ask(server, plain[1], Behaviour(fail=9, status=400))
        ask(server, streams[0], stop_after=1)
        with tracer.trace("look up", kind="tool"):
            pass
        with tracer.trace("find", kind="retriever"):
            pass


def main(number: str) -> None:
    recordings = [item for item in load() if item.api in ("chat", "embeddings")]
    streams = [item for item in recordings if item.api == "chat" and item.streamed and item.status == 200]
    with ReplayServer() as server:
        stalled = threading.Thread(target=ask, args=(server, min(streams, key=lambda item: len(item.body)), STALL))
        stalled.start()
        for user in range(USERS):
            with tracer.context(session=f"session-{number}-{user % 2}", user=f"user-{number}-{user}", metadata={"plan": "free"}):
                one_user(server, recordings)
        stalled.join()


if __name__ == "__main__":
    main(sys.argv[1])
