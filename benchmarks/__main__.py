"""`make bench`: what tracing costs the caller, as ratios of alternating blocks in one run.

O is one hand-written OpenTelemetry SDK span with the same attributes. Compare figures within one run only: the machine may be busy.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

import tracer
from benchmarks import programs
from benchmarks.chat_model import chat_model
from benchmarks.measure import CALLS, ROUNDS, Row, added
from tracer.call import Call
from tracer.capture.streams import tap_stream
from tracer.capture.watch import Watch

CHUNKS = 1000


def otel_tracer(endpoint: str) -> tuple[Any, Any]:
    """The OpenTelemetry SDK as most programs set it up: batch processor, OTLP over HTTP."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint), max_queue_size=100_000))
    return provider, provider.get_tracer("benchmark")


def small_call(endpoint: str, count: Callable[[], int]) -> list[Row]:
    """A chat call of three messages: off, hand-written span, wrapped."""
    provider, otel = otel_tracer(endpoint + "/v1/traces")
    bare_client = programs.client()
    tracer.configure(quiet=True)
    off_client = tracer.wrap(programs.client())
    _, off = added(lambda: programs.call(bare_client), {"off": lambda: programs.call(off_client)})

    tracer.configure(quiet=True, otlp_endpoint=endpoint)
    on_client = tracer.wrap(programs.client())
    with_span = programs.hand_written(bare_client, otel)
    bare, on = added(lambda: programs.call(bare_client), {"hand": with_span, "ours": lambda: programs.call(on_client)})
    delivered = tracer.flush(30) and provider.force_flush()
    status = tracer.status()["destinations"]["otlp"]
    expected = 2 * (ROUNDS * CALLS + 20)
    arrived = count()
    print(f"bare SDK call {bare:.0f} µs; O adds {on['hand']:.1f} µs, tracer {on['ours']:.1f} µs; spans arrived {arrived} of {expected}")
    if not delivered or arrived != expected or status["dropped"]:
        print(f"not everything was delivered: {status}")
        raise SystemExit(1)
    provider.shutdown()
    return [
        Row("small call, caller's thread", on["ours"] / on["hand"], "O", 0.4),
        Row("off while wrapped, per call", off["off"], "µs", 5.0),
    ]


def beside_host(endpoint: str) -> list[Row]:
    """The same call as a span of the application's own provider, which is the one of the hand-written span."""
    from opentelemetry import trace

    provider, otel = otel_tracer(endpoint + "/v1/traces")
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
        Row("small call beside a provider, caller's thread", on["ours"] / on["hand"], "O", 1.2),
        Row("the same over a span by hand with all attributes", on["ours"] / on["in full"], "x", 1.2),
    ]


def per_chunk() -> list[Row]:
    """What the tap adds for each piece of a stream, with all clocks and with usage being hidden."""
    pieces = programs.chunks(CHUNKS)

    def bare() -> None:
        for _ in programs.CannedStream(pieces):
            pass

    def tapped(asked_usage: bool) -> Callable[[], None]:
        def run() -> None:
            watch = Watch(Call(1, 1, 1, asked_usage=asked_usage))
            stream = programs.CannedStream(pieces)
            tap_stream(stream, watch)
            for _ in stream:
                pass

        return run

    _, extra = added(bare, {"tap": tapped(False), "hiding": tapped(True)})
    return [
        Row("stream, per chunk", extra["tap"] / CHUNKS, "µs", 0.3),
        Row("stream, per chunk, usage asked for and hidden", extra["hiding"] / CHUNKS, "µs", 0.3),
    ]


def import_cost() -> list[Row]:
    """`import tracer` in fresh processes: the least of ten."""
    code = (
        "import sys, time; before = set(sys.modules); begin = time.process_time(); import tracer; "
        "print((time.process_time() - begin) * 1000, len(set(sys.modules) - before))"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() for _ in range(10)]
    return [
        Row("import tracer, CPU", min(float(run[0]) for run in runs), "ms", 10.0),
        Row("import tracer, new modules", float(runs[0][1]), "modules", 9.0),
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
        rows = [*import_cost(), *per_chunk(), *small_call(endpoint, count), *chat_model(endpoint), *beside_host(endpoint)]
    finally:
        receiver.communicate("", timeout=10)
    print(f"\n{'what':<52}{'measured':>12}  {'target':>12}")
    for row in rows:
        mark = "" if row.met else "  missed"
        print(f"{row.what:<52}{row.value:>9.2f} {row.unit:<7} {row.target:>7.2f} {row.unit:<7}{mark}")


if __name__ == "__main__":
    main()
