"""The same program traced by the real `langsmith` SDK and by us, each sending to a loopback imitation of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from tests.integration.capture_support import make_client
from tests.langsmith_server import NO_ZSTD, LangSmith, langsmith
from tests.support import PATIENCE, Delivering, record_into, runtime_put_back
from tracer.api import wrap
from tracer.call import Call
from tracer.export.langsmith.destination import transports_of
from tracer.reading import read_call
from tracer.replay.server import ReplayServer
from tracer.runtime import runtime
from tracer.settings import Settings

Json = dict[str, Any]
Program = Callable[[Any], Any]
"""Uses a traced client; an exception out of it belongs to the program."""

INFO: Json = {
    **NO_ZSTD,
    "batch_ingest_config": {
        **NO_ZSTD["batch_ingest_config"],
        "scale_up_qsize_trigger": 1000,
        "scale_up_nthreads_limit": 16,
        "scale_down_nempty_trigger": 4,
    },
}
"""What the SDK needs to be told."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The SDK's client, and the imitation that it sends to."""

    client: Any
    server: LangSmith

    def taken(self) -> list[Json]:
        """The runs that came since the last time. The imitation is stricter than the SDK: what it says of it is let pass."""
        self.client.flush()
        runs = list(self.server.runs.values())
        self.server.creates.clear()
        self.server.patches.clear()
        self.server.complaints.clear()
        return runs

    def runs_of(self, program: Program, client: Any) -> list[Json]:
        """What the SDK's wrapper of OpenAI's client sends for `program`."""
        tracing_context: Any = import_module("langsmith").tracing_context

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # It calls its own wrappers deprecated.
            from langsmith.wrappers import wrap_openai

            with tracing_context(enabled=True, client=self.client, project_name="default"):
                _run(program, wrap_openai(client, tracing_extra={"client": self.client}))
        return self.taken()


@contextmanager
def reference() -> Generator[Reference, None, None]:
    """The real SDK. Its first call takes many seconds, so one is made for many programs."""
    from langsmith import Client

    with langsmith(INFO) as server:
        made = Reference(Client(api_url=server.url, api_key="key"), server)
        try:
            yield made
        finally:
            made.taken()
            made.client.cleanup()


def runs_of_ours(program: Program, client: Any, **settings: Any) -> list[Json]:
    """What we send for `program`."""
    with recorded(**settings) as runs:
        _run(program, wrap(client))
    return runs


@contextmanager
def recorded(**settings: Any) -> Generator[list[Json], None, None]:
    """Record what happens inside; at the end the list holds the runs as they arrived."""
    runs: list[Json] = []
    calls: list[Call] = []
    with runtime_put_back():
        record_into(calls, Settings(langsmith_tracing=True, **settings))
        yield runs
        assert runtime.open_calls == {}
    runs += delivered(calls, **settings)


def delivered(calls: list[Call], **settings: Any) -> list[Json]:
    """The runs of these calls as a server has them in the end."""
    with langsmith() as server:
        (transport,) = transports_of(Settings(langsmith_endpoint=server.url, **settings))
        destination = Delivering(transport)
        destination.deliver([read_call(call) for call in calls])
        assert destination.outcome == (len(calls), {})
        destination.sender.close(PATIENCE)
        return list(server.runs.values())


def _run(program: Program, client: Any) -> None:
    try:
        program(client)
    except Exception as error:
        error.__traceback__ = None


def with_recording(
    sdk: Reference, record_id: str, program: Program, *, asynchronous: bool = False, **more: Any
) -> tuple[list[Json], list[Json]]:
    """The runs of both for a program that uses a client which is answered with a recording."""
    with ReplayServer() as server:
        first, second = (make_client(server, record_id, asynchronous=asynchronous, **more) for _ in range(2))
        return sdk.runs_of(program, first), runs_of_ours(program, second)
