"""Beside an application's own tracer provider: orders of exit, forks, signals, and what is loaded and started when."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from tests.support import collecting, run_program, start_program

PROVIDER = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

def one_line(span):
    outcome = (span.attributes or {}).get("tracer.outcome")
    return f"{span.name} {outcome} {span.parent.span_id if span.parent else None} {span.context.span_id}\\n"

def install():
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=one_line)))
    trace.set_tracer_provider(provider)
    return provider
"""

BEFORE = PROVIDER + "provider = install()\nimport tracer\n"
AFTER = PROVIDER + "import tracer\ntracer.wrap\nwith tracer.trace('early'): pass\nprovider = install()\n"


def ended_spans(out: str) -> list[tuple[str, str]]:
    return [(line.split()[0], line.split()[1]) for line in out.splitlines() if line.count(" ") == 3]


@pytest.mark.parametrize("program", [BEFORE, AFTER], ids=["provider first", "tracer first"])
@pytest.mark.parametrize(
    ("end", "status", "outcome"),
    [
        ("tracer.trace('last').__enter__()", 0, "unfinished"),
        ("tracer.trace('last').__enter__(); sys.exit(3)", 3, "unfinished"),
        ("with tracer.trace('last'): sys.exit(3)", 3, "cancelled"),
        ("with tracer.trace('last'): raise RuntimeError('uncaught')", 1, "failed"),
    ],
)
def test_open_calls_reach_the_provider_before_it_ends(program: str, end: str, status: int, outcome: str) -> None:
    ended = run_program(program + "with tracer.trace('first'): pass\n" + end, TRACER_QUIET="1")
    assert ended.status == status, ended.err
    assert ended_spans(ended.out) == [("first", "completed"), ("last", outcome)]
    assert ended.lines == []


def test_a_provider_made_after_the_first_call_ends_after_our_calls() -> None:
    code = BEFORE + "tracer.trace('open').__enter__()\nlater = TracerProvider()\n"
    assert ended_spans(run_program(code, TRACER_QUIET="1").out) == [("open", "unfinished")]


def test_a_provider_that_is_shut_down_by_hand() -> None:
    code = (
        BEFORE
        + "with tracer.trace('first'): pass\nprovider.shutdown()\nwith tracer.trace('late'): pass\ntracer.trace('open').__enter__()\n"
    )
    ended = run_program(code, TRACER_QUIET="1")
    assert (ended.status, ended.lines) == (0, [])
    assert ended_spans(ended.out) == [("first", "completed")]


def test_a_stream_dropped_at_the_very_end() -> None:
    code = (
        BEFORE
        + """
@tracer.trace
def numbers():
    yield from range(3)

kept = numbers()
next(kept)
"""
    )
    spans = ended_spans(run_program(code, TRACER_QUIET="1").out)
    assert [name for name, _ in spans] == ["numbers"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_clean() -> None:
    code = (
        BEFORE
        + """
import json, os
def account():
    return tracer.status()["destinations"]["host"]
with tracer.trace("before"): pass
with tracer.trace("around") as run:
    child = os.fork()
    if child == 0:
        with tracer.trace("inside"): pass
if child == 0:
    provider.force_flush()
    print(json.dumps(account()), flush=True)
    os._exit(0)
os.waitpid(child, 0)
provider.force_flush()
print(json.dumps(account()), flush=True)
"""
    )
    ended = run_program(code, TRACER_QUIET="1")
    assert ended.status == 0, ended.err
    rows = [line.split() for line in ended.out.splitlines() if line.count(" ") == 3]
    names = [row[0] for row in rows]
    assert sorted(names) == ["around", "before", "inside"]
    ids = {row[0]: row[3] for row in rows}
    assert next(row[2] for row in rows if row[0] == "inside") == ids["around"]
    accounts: list[dict[str, Any]] = [json.loads(line) for line in ended.out.splitlines() if line.startswith("{")]
    assert [(account["started"], account["exported"], account["open"]) for account in accounts] == [(1, 1, 0), (2, 2, 0)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_functions_that_mask_go_on_in_a_forked_child() -> None:
    code = """
import os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
def shown(span):
    return f"{span.attributes.get('gen_ai.tool.call.arguments')}\\n"
def mask(text):
    return text.replace("secret", "[hidden]")
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=shown)))
trace.set_tracer_provider(provider)
import tracer
def ask():
    with tracer.trace("ask", kind="tool") as run:
        run.set_input({"text": "a secret"})
ask()
child = os.fork()
if child == 0:
    ask()
    os._exit(0)
os.waitpid(child, 0)
"""
    ended = run_program(code, TRACER_QUIET="1", TRACER_CONTENT="on", TRACER_MASK="__main__:mask")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines() == ['{"text":"a [hidden]"}'] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_multiprocessing_ends_its_open_calls() -> None:
    code = (
        PROVIDER
        + """
import multiprocessing, multiprocessing.util
provider = install()
import tracer
def work():
    multiprocessing.util.Finalize(None, provider.force_flush, exitpriority=-10)
    with tracer.trace("first"): pass
    tracer.trace("open").__enter__()
if __name__ == "__main__":
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""
    )
    ended = run_program(code, TRACER_QUIET="1")
    assert ended.status == 0, ended.err
    assert ended_spans(ended.out) == [("first", "completed"), ("open", "unfinished")]


@pytest.mark.parametrize(
    ("handler", "status", "spans"),
    [
        ("", -signal.SIGTERM, []),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))", 0, [("open", "unfinished")]),
    ],
    ids=["as Python does", "with a handler of the application's own"],
)
def test_sigterm(handler: str, status: int, spans: list[tuple[str, str]]) -> None:
    code = (
        BEFORE
        + f"""
import signal
{handler}
tracer.trace("open").__enter__()
print("ready", flush=True)
sys.stdin.read()
"""
    )
    process = start_program(code, TRACER_QUIET="1")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == status, err
    assert ended_spans(out) == spans


def test_what_is_loaded_and_started_without_a_provider() -> None:
    code = """
import sys, threading
import tracer
with tracer.trace("nothing"): pass
print(sorted(name for name in sys.modules if name.startswith("opentelemetry") or name == "tracer.host.recorder"))
import opentelemetry.trace
with tracer.trace("nothing"): pass
print("tracer.host.recorder" in sys.modules, threading.active_count(), tracer.status()["on"])
"""
    ended = run_program(code)
    assert (ended.out, ended.err) == ("[]\nFalse 1 False\n", "")


def test_the_endpoint_variables_are_the_providers() -> None:
    use = "import tracer, threading\nwith tracer.trace('mine'): pass\ntracer.flush()\n"
    code = PROVIDER + "install()\n" + use + "print(sorted(thread.name for thread in threading.enumerate()))"
    with collecting() as collector:
        ended = run_program(code, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        assert collector.bodies == []
    assert ended_spans(ended.out) == [("mine", "completed")]
    assert "['MainThread', 'OtelBatchSpanRecordProcessor', 'tracer-host']" in ended.out
    (line,) = ended.lines
    assert line.startswith("tracer: recording to the application's own OpenTelemetry; prompts and answers are not captured (TRACER_CONTENT")
