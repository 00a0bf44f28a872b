"""Off: without variables nothing heavy is loaded and nothing is started, opened or written."""

from __future__ import annotations

import json

from tests.support import run_program

HEAVY = (
    "opentelemetry.sdk",
    "opentelemetry.exporter",
    "grpc",
    "sqlite3",
    "genai_prices",
    "rich",
    "wrapt",
    "requests",
    "tracer.export.otlp",
)

CANNED_CALL = """
import json, os, sys, threading
import openai
from openai import OpenAI

try:
    import httpx2 as httpx
except ImportError:
    import httpx
if not issubclass(openai.DefaultHttpxClient, httpx.Client):
    import httpx

ANSWER = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
bare = OpenAI(
    api_key="none",
    base_url="http://canned.invalid/v1",
    http_client=openai.DefaultHttpxClient(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=ANSWER))),
)

def call(client):
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}]).choices[0].message.content

assert call(bare) == "hello"
"""


def test_import_loads_next_to_nothing() -> None:
    ended = run_program("""
        import sys
        before = set(sys.modules)
        import tracer
        new = sorted(set(sys.modules) - before)
        tracer.__version__
        print(*new)
    """)
    assert ended.status == 0, ended.err
    new = ended.out.split()
    assert "tracer" in new
    assert len(new) < 10
    assert not [name for name in new if name.startswith(HEAVY)]


def test_wrap_and_a_call_load_start_open_and_write_nothing() -> None:
    ended = run_program(
        CANNED_CALL
        + """
events = []
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def hook(name, arguments):
    if name == "open":
        _, mode, flags = arguments
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & WRITING):
            events.append(f"{name} {arguments[0]}")
    elif name.startswith(("socket.", "sqlite3.", "subprocess.", "os.fork", "_thread.start", "os.mkdir", "signal.")):
        events.append(name)

sys.addaudithook(hook)
before = set(sys.modules)
import tracer

client = tracer.wrap(bare)
assert client is not bare
assert call(client) == "hello"
with tracer.context(session="s"), tracer.trace("a") as run:
    assert run.id is None
    assert call(client) == "hello"
assert tracer.flush()
new = sorted(set(sys.modules) - before)
print(json.dumps({"new": new, "events": events, "threads": threading.active_count(), "started": tracer.status()["started"]}))
""",
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert ended.status == 0, ended.err
    assert ended.err == ""
    found = json.loads(ended.out)
    assert [name for name in found["new"] if name.startswith(HEAVY)] == []
    assert found["events"] == []
    assert (found["threads"], found["started"]) == (1, 0)


def test_the_same_program_records_when_a_variable_is_set(tmp_path: object) -> None:
    """The call above is one that would be seen."""
    ended = run_program(
        CANNED_CALL
        + """
import tracer
assert call(tracer.wrap(bare)) == "hello"
assert tracer.flush()
print(tracer.status()["destinations"]["local"]["exported"])
""",
        TRACER_LOCAL=f"{tmp_path}/x.sqlite",
        TRACER_QUIET="true",
    )
    assert (ended.status, ended.out, ended.err) == (0, "1\n", "")


def test_ruled_out_means_the_client_itself() -> None:
    for name, value in (("TRACER_ENABLED", "false"), ("OTEL_SDK_DISABLED", "true")):
        ended = run_program(
            CANNED_CALL + "import tracer\nassert tracer.wrap(bare) is bare\nprint(call(bare))", TRACER_CONSOLE="true", **{name: value}
        )
        assert (ended.status, ended.out, ended.err) == (0, "hello\n", "")
