"""`make bench`: what tracing costs the caller, as ratios of alternating blocks in one run.

O is one hand-written OpenTelemetry SDK span with the same attributes. Compare figures within one run only: the machine may be busy.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import tracer
from benchmarks import instructions, large, peers, programs
from benchmarks.chat_model import chat_model
from benchmarks.measure import CALLS, ROUNDS, Row, added, added_everywhere, least, show
from tracer.call import Call
from tracer.capture.streams import tap_stream
from tracer.capture.watch import Watch
from tracer.scope import EMPTY

CHUNKS = 1000
AT_ONCE = 200


def small_call(endpoint: str, count: Callable[[], int]) -> list[Row]:
    """A chat call of three messages: off, hand-written span, wrapped."""
    provider, otel = programs.otel_tracer(endpoint + "/v1/traces")
    bare_client = programs.client()
    tracer.configure(quiet=True)
    off_client = tracer.wrap(programs.client())
    _, off = added(lambda: programs.call(bare_client), {"off": lambda: programs.call(off_client)})

    tracer.configure(quiet=True, otlp_endpoint=endpoint)
    on_client = tracer.wrap(programs.client())
    with_span = programs.hand_written(bare_client, otel)
    bare, on = added(lambda: programs.call(bare_client), {"hand": with_span, "ours": lambda: programs.call(on_client)})
    everywhere = added_everywhere(
        lambda: programs.call(bare_client),
        {"hand": (with_span, provider.force_flush), "ours": (lambda: programs.call(on_client), lambda: tracer.flush(30))},
    )
    delivered = tracer.flush(30) and provider.force_flush()
    status = tracer.status()["destinations"]["otlp"]
    expected = 2 * (ROUNDS * CALLS + 20 + 10 * 200)
    arrived = count()
    print(f"bare SDK call {bare:.0f} µs; O adds {on['hand']:.1f} µs, tracer {on['ours']:.1f} µs; spans arrived {arrived} of {expected}")
    if not delivered or arrived != expected or status["dropped"]:
        print(f"not everything was delivered: {status}")
        raise SystemExit(1)
    provider.shutdown()
    return [
        Row("small call, caller's thread", on["ours"] / on["hand"], "O", "small_caller"),
        Row("small call, CPU of all threads", everywhere["ours"] / everywhere["hand"], "O", "small_all"),
        Row("off while wrapped, per call", off["off"], "µs", "off"),
    ]


def beside_host(endpoint: str) -> list[Row]:
    """The same call as a span of the application's own provider, which is the one of the hand-written span."""
    from opentelemetry import trace

    provider, otel = programs.otel_tracer(endpoint + "/v1/traces")
    trace.set_tracer_provider(provider)
    tracer.configure(quiet=True, content="on")
    bare_client, client = programs.client(), tracer.wrap(programs.client())
    variants = {
        "hand": programs.hand_written(bare_client, otel),
        "in full": programs.hand_written_in_full(bare_client, otel),
        "ours": lambda: programs.call(client),
    }
    _, on = added(lambda: programs.call(bare_client), variants)
    account = tracer.status()["destinations"]["host"]
    print(f"beside a provider: O adds {on['hand']:.1f} µs, with all attributes {on['in full']:.1f} µs, tracer {on['ours']:.1f} µs")
    if account["exported"] != ROUNDS * CALLS + 20:
        raise SystemExit(1)
    tracer.shutdown()
    provider.shutdown()
    return [
        Row("small call beside a provider, caller's thread", on["ours"] / on["hand"], "O", "host"),
        Row("the same over a span by hand with all attributes", on["ours"] / on["in full"], "x"),
    ]


def per_chunk() -> list[Row]:
    """What the tap adds for each piece of a stream, with all clocks and with usage being hidden."""
    pieces = programs.chunks(CHUNKS)

    def bare() -> None:
        for _ in programs.CannedStream(pieces):
            pass

    def tapped(asked_usage: bool) -> Callable[[], None]:
        def run() -> None:
            watch = Watch(Call(1, 1, 1, asked_usage=asked_usage), EMPTY)
            stream = programs.CannedStream(pieces)
            tap_stream(stream, watch)
            for _ in stream:
                pass

        return run

    _, extra = added(bare, {"tap": tapped(False), "hiding": tapped(True)})
    return [
        Row("stream, per chunk", extra["tap"] / CHUNKS, "µs", "chunk"),
        Row("stream, per chunk, usage asked for and hidden", extra["hiding"] / CHUNKS, "µs", "chunk_hiding"),
    ]


def around_a_stream(endpoint: str) -> list[Row]:
    """What is added before the first chunk of a stream and after its last."""
    provider, otel = programs.otel_tracer(endpoint + "/v1/traces")
    tracer.configure(quiet=True, otlp_endpoint=endpoint, stream_usage="off")
    bare_client, client = programs.stream_client(), tracer.wrap(programs.stream_client())

    def opened(openai: Any) -> tuple[int, Any]:
        begin = time.thread_time_ns()
        stream = openai.chat.completions.create(model="gpt-4o-mini", messages=programs.MESSAGES, stream=True)
        pieces = iter(stream)
        next(pieces)
        return time.thread_time_ns() - begin, pieces

    def first(openai: Any) -> int:
        took, pieces = opened(openai)
        for _ in pieces:
            pass
        return took

    def last(openai: Any) -> int:
        _, pieces = opened(openai)
        for _ in range(programs.STREAM_CHUNKS - 1):
            next(pieces)
        begin = time.thread_time_ns()
        next(pieces, None)
        return time.thread_time_ns() - begin

    sync_bare = programs.client()
    _, by_hand = added(lambda: programs.call(sync_bare), {"hand": programs.hand_written(sync_bare, otel)}, rounds=40)
    begin = least({"bare": lambda: first(bare_client), "ours": lambda: first(client)})
    end = least({"bare": lambda: last(bare_client), "ours": lambda: last(client)})
    tracer.flush(30)
    provider.shutdown()
    return [
        Row("stream, before the first chunk", (begin["ours"] - begin["bare"]) / by_hand["hand"], "O", "first_chunk"),
        Row("stream, after the last chunk", end["ours"] - end["bare"], "µs", "last_chunk"),
    ]


def at_once(endpoint: str) -> list[Row]:
    """Two hundred calls at once in one event loop."""
    provider, otel = programs.otel_tracer(endpoint + "/v1/traces")
    tracer.configure(quiet=True, otlp_endpoint=endpoint)
    bare_client, client = programs.async_client(), tracer.wrap(programs.async_client())

    async def all_of(program: Callable[[], Any]) -> int:
        begin = time.thread_time_ns()
        await asyncio.gather(*(program() for _ in range(AT_ONCE)))
        return (time.thread_time_ns() - begin) // AT_ONCE

    loop = asyncio.new_event_loop()

    def in_loop(program: Callable[[], Any]) -> Callable[[], int]:
        return lambda: loop.run_until_complete(all_of(program))

    took = least(
        {
            "bare": in_loop(lambda: programs.call(bare_client)),
            "hand": in_loop(programs.hand_written_async(bare_client, otel)),
            "ours": in_loop(lambda: programs.call(client)),
        },
        rounds=12,
    )
    loop.close()
    tracer.flush(30)
    provider.shutdown()
    return [
        Row(
            f"{AT_ONCE} calls at once, caller's thread, each", (took["ours"] - took["bare"]) / (took["hand"] - took["bare"]), "O", "at_once"
        )
    ]


_SETUP = """
import resource, sys, time
import openai
client = openai.OpenAI(api_key="none", base_url="http://127.0.0.1:9/v1")
client.chat.completions
modules, memory, begin = set(sys.modules), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
import tracer
imported, modules = time.process_time() - begin, set(sys.modules) - modules
tracer.configure(quiet=True, otlp_endpoint="http://127.0.0.1:9")
client = tracer.wrap(client)
client.chat.completions
ready, memory = time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
print(imported * 1000, len(modules), ready * 1000, memory / 1024)
"""


def import_cost() -> list[Row]:
    """`import tracer`, and that with settings and a wrapped client, in fresh processes: the least of ten."""
    runs = [
        list(map(float, subprocess.run([sys.executable, "-c", _SETUP], capture_output=True, text=True, check=True).stdout.split()))
        for _ in range(10)
    ]
    imported, modules, ready, memory = (min(values) for values in zip(*runs, strict=True))
    return [
        Row("import tracer, CPU", imported, "ms", "import"),
        Row("import tracer, new modules", modules, "modules", "modules"),
        Row("import, settings and a wrapped client, CPU", ready, "ms", "setup"),
        Row("import, settings and a wrapped client, memory", memory, "MiB", "setup_memory"),
    ]


def main() -> None:
    """Measure and print the table."""
    receiver = subprocess.Popen([sys.executable, "-m", "benchmarks.receiver"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert receiver.stdout is not None
    endpoint = f"http://127.0.0.1:{receiver.stdout.readline().strip()}"

    def count() -> int:
        with urllib.request.urlopen(endpoint + "/count", timeout=10) as answer:
            return int(answer.read())

    try:
        rows = [
            *import_cost(),
            *per_chunk(),
            *small_call(endpoint, count),
            *around_a_stream(endpoint),
            *at_once(endpoint),
            *chat_model(endpoint),
            *beside_host(endpoint),
        ]
        if "--no-instructions" not in sys.argv[1:]:
            rows += instructions.rows(endpoint) if instructions.available() else []
        rows += large.rows()
        if "--peers" in sys.argv[1:]:
            rows += peers.rows()
            rows += instructions.peer_rows(endpoint) if instructions.available() else []
    finally:
        receiver.communicate("", timeout=10)
    if not instructions.available():
        print("instructions are not counted: valgrind is not installed")
    missed = show(rows)
    if missed:
        print(f"\n{missed} targets of benchmarks/targets.toml are missed by more than their margin")
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
