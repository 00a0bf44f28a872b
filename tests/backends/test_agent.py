"""`agent.yaml`, run: secrets masked, nothing lost that it has accepted, spans counted, and what it says when it cannot go on."""

from __future__ import annotations

import json
from pathlib import Path

import grpc

from tests.backends.gateway_support import TOKEN, agent, counted, receiver, recorded
from tests.backends.programs import free_port, local, poll
from tests.integration.grpc_support import Files, aborting
from tests.support import Ended, run_program

CALLS = """
import json, tracer
for number in range({calls}):
    with tracer.trace(f"call {{number}}", kind="llm", metadata={{"plan": "frei für alle 😀"}}) as run:
        run.set_input({{"text": {text!r} * {times}}})
print(tracer.flush(30))
print(json.dumps(tracer.status()["destinations"]["otlp"]))
"""

SECRETS = {
    "OpenAI": "sk-proj-" + "a1B2" * 8,
    "Anthropic": "sk-ant-api03-" + "xY9_" * 8,
    "LangSmith": "lsv2_pt_" + "0f1e" * 8,
    "AWS": "AKIA" + "ABCD1234EFGH5678",
    "GitHub": "ghp_" + "Zz09" * 9,
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.SflKxwRJSMeKKF2QT4",
}


def send(endpoint: str, calls: int, text: str = "hello", times: int = 1, **variables: str) -> Ended:
    return run_program(
        CALLS.format(calls=calls, text=text, times=times),
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        OTEL_SERVICE_NAME="shop",
        TRACER_QUIET="true",
        **variables,
    )


def account(ended: Ended) -> tuple[int, dict[str, int]]:
    whole = json.loads(ended.out.splitlines()[-1])
    return whole["exported"], whole["dropped"]


def test_secrets_are_masked_and_the_rest_is_left_as_it_was(tmp_path: Path, files: Files) -> None:
    text = "frei für alle 😀 " + " ".join(SECRETS.values()) + " end"
    with receiver(files=files) as behind, agent(tmp_path, behind.target, files) as running:
        assert account(send(running.endpoint, 1, text, TRACER_MASK="off")) == (1, {})
        (span,) = poll(behind.spans)
    assert [whose for whose, secret in SECRETS.items() if secret.encode() in span.SerializeToString()] == []
    values = {item.key: item.value.string_value for item in span.attributes}
    assert values["input.value"] == json.dumps({"text": f"frei für alle 😀 {' '.join(['****'] * 6)} end"}, ensure_ascii=False).replace(
        ": ", ":"
    )
    assert values["tracer.metadata.plan"] == "frei für alle 😀"
    assert not [key for key in values if key.startswith("redaction.")]
    assert behind.metadata[0]["authorization"] == f"Bearer {TOKEN}"


def test_a_killed_agent_loses_nothing_that_it_had_accepted(tmp_path: Path, files: Files) -> None:
    port = free_port()
    with agent(tmp_path, local(port), files) as running:
        ended = send(running.endpoint, 500, "x", 2000)
        assert account(ended) == (500, {})
        running.process.kill()
    with receiver(port, files) as behind, agent(tmp_path, local(port), files) as running:
        names = poll(lambda: {span.name for span in behind.spans()} if len(behind.spans()) >= 500 else None)
    assert names == {f"call {number}" for number in range(500)}


def test_killed_while_the_gateway_refuses_it_sends_all_of_it_later(tmp_path: Path, files: Files) -> None:
    with receiver(files=files) as behind:
        behind.always = aborting(grpc.StatusCode.UNAVAILABLE, "not now")
        with agent(tmp_path, behind.target, files) as running:
            assert account(send(running.endpoint, 50)) == (50, {})
            poll(lambda: behind.requests)
            running.process.kill()
        behind.requests.clear()
        behind.always = None
        with agent(tmp_path, behind.target, files):
            poll(lambda: len(behind.spans()) >= 50)
        assert {span.name for span in behind.spans()} == {f"call {number}" for number in range(50)}


def test_a_full_queue_refuses_and_the_library_keeps_what_was_refused(tmp_path: Path, files: Files) -> None:
    """Neither the agent's memory nor its disk grows above what was given; what does not fit stays with the application, and is said."""
    port = free_port()
    with agent(tmp_path, local(port), files, QUEUE_BYTES="600000") as running:
        ended = send(running.endpoint, 40, "x", 50_000, TRACER_EXIT_TIMEOUT="2", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="1")
        exported, dropped = account(ended)
        assert ended.out.splitlines()[0] == "False"
        assert 0 < exported < 40
        assert counted(running.telemetry, "otelcol_exporter_enqueue_failed_spans") > 0
        waiting = json.loads(ended.out.splitlines()[-1])["queued"]
        assert (exported + waiting, dropped) == (40, {})
        assert [line for line in ended.lines if "otlp" in line.lower()]


def test_an_agent_that_is_down_is_said_in_one_line(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    ended = send(f"http://{local(free_port())}", 5, TRACER_EXIT_TIMEOUT="2", TRACER_LOCAL=str(store))
    exported, _ = account(ended)
    assert (ended.status, exported) == (0, 0)
    assert ended.lines
    assert len(recorded(store)) == 5
