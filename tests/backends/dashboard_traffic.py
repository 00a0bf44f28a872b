"""A short script with one of everything that a dashboard shows, run in a process of its own by `test_dashboards.py`.

    python -m tests.backends.dashboard_traffic stalled|plain|faulty USER …

Every number of calls is fixed. At the end it prints what its own HTTP client has seen and what the ledger says, as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import openai

import tracer
from tests.integration.metrics_support import ask_by
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import Recording, load
from tracer.replay.sdk import client_arguments
from tracer.replay.server import ReplayServer
from tracer.runtime import report_fault

STALLED = "langsmith.openai_test_chat_async_api.2"
"""A stream of few pieces."""
STALL = Behaviour(delay=5.1)
"""Longer than the 5 seconds that count as a stall."""


def broken_mask(text: str) -> str:
    """For TRACER_MASK: records keep nothing of their contents then, and the ledger says so."""
    raise ValueError(len(text))


@dataclass
class Wire:
    """What went over the wire, seen by the HTTP client and not by the library."""

    statuses: Counter[str] = field(default_factory=Counter[str])
    models: Counter[str] = field(default_factory=Counter[str])
    """Requests by their model."""
    refused: Counter[str] = field(default_factory=Counter[str])
    """Those of them that were answered with status 429."""
    sent: int = 0
    responses: list[Any] = field(default_factory=list[Any])

    def seen(self, response: Any) -> None:
        body: bytes = response.request.content
        self.sent += len(body)
        self.statuses[str(response.status_code)] += 1
        model = json.loads(body)["model"]
        self.models[model] += 1
        if response.status_code == 429:
            self.refused[model] += 1
        self.responses.append(response)

    def told(self) -> dict[str, Any]:
        received = sum(response.num_bytes_downloaded for response in self.responses)
        return {"statuses": self.statuses, "models": self.models, "refused": self.refused, "sent": self.sent, "received": received}


@dataclass
class Traffic:
    """Calls to a replay server."""

    server: ReplayServer
    wire: Wire = field(default_factory=Wire)

    def ask(self, recording: Recording, behaviour: Behaviour | None = None, stop_after: int = -1, retries: int = 0) -> None:
        """One recorded call through a traced client, read to the end or to chunk `stop_after`; the provider's errors are expected."""
        arguments: dict[str, Any] = {**client_arguments(self.server, recording, behaviour), "max_retries": retries}
        http = openai.DefaultHttpxClient(event_hooks={"response": [self.wire.seen]})
        with (openai.AzureOpenAI if recording.azure else openai.OpenAI)(**arguments, http_client=http) as bare:
            ask_by(bare, recording, stop_after)

    def of_one_user(self, recordings: list[Recording]) -> None:
        """An agent's work: every recording once, retries, failures, a stream that is stopped, a tool and a retrieval."""
        plain = [item for item in recordings if item.api == "chat" and not item.streamed and item.status == 200]
        streams = [item for item in recordings if item.api == "chat" and item.streamed and item.status == 200]
        with tracer.trace("answer", kind="chain"), tracer.trace("helper", kind="agent"):
            for recording in recordings:
                self.ask(recording)
            self.ask(plain[0], Behaviour(fail=2, status=429), retries=3)
            for _ in range(4):
                self.ask(plain[0], Behaviour(fail=9, status=429))
            self.ask(plain[1], Behaviour(fail=9, status=400))
            self.ask(streams[0], stop_after=1)
            with tracer.trace("look up", kind="tool"):
                pass
            with tracer.trace("find", kind="retriever"):
                pass


def main(users: list[str], stalled: bool, faulty: bool) -> None:
    recordings = [item for item in load() if item.api in ("chat", "embeddings")]
    with ReplayServer() as server:
        traffic = Traffic(server)
        slow = [threading.Thread(target=traffic.ask, args=(item, STALL)) for item in recordings if stalled and item.id == STALLED]
        for thread in slow:
            thread.start()
        for number, user in enumerate(users):
            with tracer.context(session=f"session {number % 2}", user=user, metadata={"plan": "free" if number else "paid"}):
                traffic.of_one_user(recordings)
        for thread in slow:
            thread.join()
    if faulty:
        report_fault("proof", ValueError("for the panel of faults"))
    tracer.shutdown(5)
    print(json.dumps({**traffic.wire.told(), "ledger": tracer.status()}))


if __name__ == "__main__":
    main(sys.argv[2:], sys.argv[1] == "stalled", sys.argv[1] == "faulty")
