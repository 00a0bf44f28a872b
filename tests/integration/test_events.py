"""Model calls as events of OpenTelemetry: over real loopback connections, decoded with the official protobuf classes, linked to spans."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

import tracer
from tests.integration.otlp_support import SECOND, SPAN_ID, TRACE_ID, WALL, Collector, llm_record, serving
from tests.support import Delivering, run_program
from tracer.evaluation import Feedback
from tracer.export.endpoint import LOGS
from tracer.export.events import DETAILS, EVALUATION, LogEvent, details_event_of, evaluation_event_of
from tracer.export.otlp_log_encoding import encoded_event
from tracer.export.otlp_logs import NO_EVENT, OtlpEvaluationTransport, OtlpLogTransport, item_of
from tracer.masking.masker import Masker
from tracer.reading.generation import Generation
from tracer.reading.record import Record
from tracer.runtime import Runtime
from tracer.settings import Settings, read

EVENT_ONLY = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.fixture
def collector() -> Generator[Collector, None, None]:
    with serving(Collector()) as running:
        yield running


def value_of(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: value_of(pair.value) for pair in value.kvlist_value.values}
    return None if kind is None else getattr(value, kind)


def attributes_of(record: LogRecord) -> dict[str, Any]:
    return {pair.key: value_of(pair.value) for pair in record.attributes}


def logs_in(request: ExportLogsServiceRequest) -> list[LogRecord]:
    return [record for resource in request.resource_logs for scope in resource.scope_logs for record in scope.log_records]


def asking(collector: Collector, **values: Any) -> Settings:
    return Settings(otlp_logs_endpoint=f"{collector.url}/v1/logs", capture_message_content="span_and_event", **values)


def read_event(event: LogEvent) -> LogRecord:
    (record,) = ScopeLogs.FromString(encoded_event(event, 7)).log_records
    return record


# What an event is.


def test_an_event_tells_all_that_the_span_tells_with_content_as_structures() -> None:
    event = details_event_of(llm_record(), Settings())
    assert event is not None
    record = read_event(event)
    assert (record.event_name, record.severity_number, record.severity_text) == (DETAILS, 5, "DEBUG")
    assert (record.trace_id.hex(), record.span_id.hex(), record.flags) == (f"{TRACE_ID:032x}", f"{SPAN_ID:016x}", 1)
    assert (record.time_unix_nano, record.observed_time_unix_nano) == (WALL + 2 * SECOND, 7)
    told = attributes_of(record)
    assert told["gen_ai.input.messages"] == [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    assert told["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "hello"}], "finish_reason": "stop"}
    ]
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.request.temperature"], told["tracer.tags"]) == (12, 0.0, ["beta", "eu"])


def test_only_model_calls_have_events() -> None:
    record = llm_record()
    record.generation = None
    assert details_event_of(record, Settings()) is None
    assert details_event_of(Record(record.call, "completed", Generation(operation="embeddings")), Settings()) is None
    assert details_event_of(Record(record.call, "completed", Generation(operation="generate_content")), Settings()) is not None


@pytest.mark.parametrize("shown", [(False, False), (True, False), (False, True)])
def test_content_rules_hold_in_events(shown: tuple[bool, bool]) -> None:
    record = llm_record(text="PROMPT")
    record.call.content_inputs, record.call.content_outputs = shown
    event = details_event_of(record, Settings())
    assert event is not None
    assert ("PROMPT" in repr(event), "hello" in repr(event)) == shown


def test_masks_and_limits_hold_in_events() -> None:
    secret = "sk-" + "proj-abcdefghijkl0123456789"
    record = llm_record(text=f"{secret} {'x' * 50_000}")
    assert secret in repr(details_event_of(record, Settings()))
    Masker(Settings().mask, 1).mask(record)
    event = details_event_of(record, Settings(max_content=2000))
    assert event is not None
    assert secret not in repr(event)
    assert event.attributes["tracer.content.truncated"] is True
    assert len(repr(event.attributes["gen_ai.input.messages"])) < 2500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), JSON, max_size=4))
def test_any_structure_is_written_as_the_official_classes_read_it(values: dict[str, Any]) -> None:
    found = attributes_of(read_event(LogEvent("e", 1, 5, attributes=values)))
    assert found == _as_sent(values)


def _as_sent(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_sent(item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_as_sent(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return str(value)
    return value


def test_the_deepest_structures_can_be_read() -> None:
    value: Any = "x"
    for _ in range(60):
        value = [{"in": value}]
    (found,) = attributes_of(read_event(LogEvent("e", 1, 5, attributes={"a": value}))).values()
    assert json.dumps(found).count("in") == 60


def judged(key: str = "correct", **fields: Any) -> Feedback:
    return Feedback(id=1, run_id=2, key=key, time=5, **fields)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (judged(score=4), {"gen_ai.evaluation.score.value": 4.0}),
        (judged(score=True), {"gen_ai.evaluation.score.value": 1.0, "gen_ai.evaluation.score.label": "true"}),
        (judged(value="pass", comment="why"), {"gen_ai.evaluation.score.label": "pass", "gen_ai.evaluation.explanation": "why"}),
        (judged(score=0.5, value="half"), {"gen_ai.evaluation.score.value": 0.5, "gen_ai.evaluation.score.label": "half"}),
        (judged(value={"a": 1}), {"gen_ai.evaluation.score.label": '{"a":1}'}),
        (judged(), {}),
    ],
)
def test_a_judgement_as_an_event(given: Feedback, told: dict[str, Any]) -> None:
    record = read_event(evaluation_event_of(given))
    assert (record.event_name, record.trace_id, record.span_id, record.flags) == (EVALUATION, b"", b"", 0)
    assert attributes_of(record) == {"gen_ai.evaluation.name": "correct", **told}


def test_a_judgement_is_linked_to_its_span() -> None:
    record = read_event(evaluation_event_of(judged(score=1, trace_id=TRACE_ID, span_id=SPAN_ID)))
    assert (record.trace_id.hex(), record.span_id.hex(), record.flags) == (f"{TRACE_ID:032x}", f"{SPAN_ID:016x}", 1)


# How it is sent.


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
def test_events_arrive(collector: Collector, protocol: str, compression: str) -> None:
    settings = asking(
        collector,
        otlp_logs_protocol=protocol,
        otlp_logs_headers={"x-team": "a"},
        otlp_logs_compression=compression,
        service_name="shop",
        resource_attributes={},
    )
    destination = Delivering(OtlpLogTransport(settings))
    destination.deliver([llm_record(), llm_record(1), Record(llm_record().call, "completed")])
    destination.sender.close(1)
    assert destination.outcome == (2, {NO_EVENT: 1})
    (path, headers, body), *_ = collector.requests
    assert (path, headers["x-team"]) == ("/v1/logs", "a")
    request = ExportLogsServiceRequest.FromString(body) if protocol == "http/protobuf" else _of_json(body)
    (resource,) = request.resource_logs
    assert "shop" in {pair.value.string_value for pair in resource.resource.attributes}
    assert resource.scope_logs[0].scope.name == "tracer"
    assert resource.scope_logs[0].schema_url.startswith("https://opentelemetry.io/schemas/gen-ai/")
    assert [record.span_id.hex() for record in logs_in(request)] == [f"{SPAN_ID:016x}", f"{SPAN_ID + 1:016x}"]


def _of_json(body: bytes) -> ExportLogsServiceRequest:
    written = json.loads(body)
    for record in written["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        for name in ("traceId", "spanId"):
            record[name] = base64.b64encode(bytes.fromhex(record[name])).decode()
    return json_format.ParseDict(written, ExportLogsServiceRequest())


def test_events_arrive_by_grpc() -> None:
    arrived: list[bytes] = []

    def export(request: bytes, _: Any) -> bytes:
        arrived.append(request)
        answer = ExportLogsServiceResponse()
        answer.partial_success.rejected_log_records = 1
        answer.partial_success.error_message = "too old"
        return answer.SerializeToString()

    server = grpc.server(ThreadPoolExecutor(1))
    service, method = LOGS.method.strip("/").split("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(export)}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        settings = Settings(otlp_logs_endpoint=f"http://127.0.0.1:{port}", otlp_logs_protocol="grpc", resource_attributes={})
        destination = Delivering(OtlpLogTransport(settings))
        destination.deliver([llm_record(), llm_record(1)])
        destination.sender.close(1)
    finally:
        server.stop(None)
    assert destination.outcome == (1, {"rejected": 1})
    (body,) = arrived
    assert len(logs_in(ExportLogsServiceRequest.FromString(body))) == 2


def test_a_judgement_arrives(collector: Collector) -> None:
    destination = Delivering(OtlpEvaluationTransport(asking(collector)))
    destination.deliver([judged(score=1, trace_id=TRACE_ID, span_id=SPAN_ID), judged("\ud800")])
    destination.sender.close(1)
    assert destination.outcome == (2, {})
    records = logs_in(ExportLogsServiceRequest.FromString(collector.requests[0][2]))
    assert [record.event_name for record in records] == [EVALUATION] * 2
    assert records[0].span_id.hex() == f"{SPAN_ID:016x}"


def test_a_refused_event_names_what_was_refused(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    collector.status = 400
    destination = Delivering(OtlpLogTransport(asking(collector)))
    with caplog.at_level(logging.WARNING, "tracer"):
        destination.deliver([llm_record()])
        destination.sender.close(1)
    assert destination.outcome == (0, {"refused:400": 1})
    assert "refused the log records (HTTP 400" in caplog.text


def test_an_event_that_is_too_large_is_shortened_and_stays_a_structure(collector: Collector) -> None:
    collector.most_bytes = 8000
    destination = Delivering(OtlpLogTransport(asking(collector)))
    destination.deliver([llm_record(text="x" * 60_000)])
    destination.sender.close(1)
    assert destination.outcome == (1, {})
    (record,) = logs_in(ExportLogsServiceRequest.FromString(collector.requests[-1][2]))
    told = attributes_of(record)
    assert told["tracer.content.truncated"] is True
    assert told.get("gen_ai.output.messages", [{"role": "assistant"}])[0]["role"] in ("assistant", "tracer")


def test_content_can_be_left_out_altogether() -> None:
    transport = OtlpLogTransport(Settings(otlp_logs_endpoint="http://localhost:1"))
    event = details_event_of(llm_record(text="PROMPT"), Settings())
    assert event is not None
    shortened = transport.shorten(item_of(event), 0)
    assert shortened is not None
    (record,) = ScopeLogs.FromString(shortened["event"]).log_records
    assert "PROMPT" not in repr(attributes_of(record))
    assert attributes_of(record)["gen_ai.usage.input_tokens"] == 12


# When it is sent, and where content goes.


@pytest.mark.parametrize(
    ("environment", "by_otlp", "on_spans"),
    [
        ({}, False, True),
        ({EVENT_ONLY: "EVENT_ONLY"}, False, False),
        ({EVENT_ONLY: "EVENT_ONLY", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"}, True, False),
        ({EVENT_ONLY: "SPAN_AND_EVENT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://h"}, True, True),
        ({EVENT_ONLY: "SPAN_AND_EVENT", "OTEL_LOGS_EXPORTER": "otlp"}, True, True),
        ({EVENT_ONLY: "SPAN_AND_EVENT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h"}, False, True),
        ({EVENT_ONLY: "SPAN_AND_EVENT", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_LOGS_EXPORTER": "none"}, False, True),
        ({EVENT_ONLY: "SPAN_ONLY", "OTEL_LOGS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://h"}, False, True),
        ({"OTEL_LOGS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://h"}, False, True),
    ],
)
def test_which_settings_ask_for_events(environment: dict[str, str], by_otlp: bool, on_spans: bool) -> None:
    settings, problems, _ = read(environment)
    assert (settings.events_by_otlp, settings.content_on_spans, problems) == (by_otlp, on_spans, [])


PROGRAM = """
import json, openai, sys, tracer
from tracer.replay.server import ReplayServer
from tracer.replay.recordings import load
from tracer.replay.sdk import call_arguments, client_arguments
{before}
with ReplayServer() as server:
    recording = next(item for item in load() if item.api == "chat" and not item.azure and not item.streamed)
    client = tracer.wrap(openai.OpenAI(**client_arguments(server, recording)))
    with tracer.trace("outside", kind="chain"):
        client.chat.completions.create(**call_arguments(recording, client.chat.completions.create))
assert tracer.flush(30)
{after}
print(json.dumps(tracer.status()))
"""


def balance(account: dict[str, Any]) -> int:
    return account["exported"] + account["sampled_out"] + account["queued"] + sum(account["dropped"].values())


@pytest.mark.parametrize("mode", ["EVENT_ONLY", "SPAN_AND_EVENT"])
def test_a_program_sends_spans_and_events_and_its_ledger_closes(collector: Collector, mode: str) -> None:
    program = PROGRAM.format(before="", after="")
    done = run_program(program, **{EVENT_ONLY: mode, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "TRACER_QUIET": "true"})
    assert (done.status, done.err) == (0, "")
    status = json.loads(done.out)
    assert set(status["destinations"]) == {"otlp", "otlp-logs"}
    events = status["destinations"]["otlp-logs"]
    assert (events["exported"], events["dropped"]) == (1, {NO_EVENT: 1})
    assert balance(events) == status["started"] == 2
    bodies = {path: body for path, _, body in collector.requests}
    (event,) = logs_in(ExportLogsServiceRequest.FromString(bodies["/v1/logs"]))
    spans = {span.span_id: span for span in Collector(requests=[item for item in collector.requests if item[0] == "/v1/traces"]).spans()}
    span = spans[event.span_id]
    assert (span.trace_id, span.name[:5]) == (event.trace_id, "chat ")
    assert attributes_of(event)["gen_ai.input.messages"][0]["parts"]
    on_span = [pair.key for pair in span.attributes if pair.key == "gen_ai.input.messages"]
    assert on_span == ([] if mode == "EVENT_ONLY" else ["gen_ai.input.messages"])


HOST = """
from opentelemetry import trace as ot
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
kept, spans = InMemoryLogRecordExporter(), InMemorySpanExporter()
provider = LoggerProvider()
provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
{set_logs}
tracers = TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(spans))
{set_spans}
"""
HOST_AFTER = """
events = [item.log_record for item in kept.get_finished_logs()]
print(json.dumps([[e.event_name, e.trace_id, e.span_id, len(e.attributes["gen_ai.input.messages"])] for e in events]))
told = [[s.name, s.context.trace_id, s.context.span_id, "gen_ai.input.messages" in s.attributes] for s in spans.get_finished_spans()]
print(json.dumps(told))
"""


@pytest.mark.parametrize("beside", ["spans", "store"])
def test_a_logger_provider_of_the_application_gets_the_events(collector: Collector, beside: str, tmp_path: Path) -> None:
    before = HOST.format(set_logs="set_logger_provider(provider)", set_spans="ot.set_tracer_provider(tracers)" if beside == "spans" else "")
    more = {"TRACER_LOCAL": str(tmp_path / "s.sqlite")} if beside == "store" else {}
    more |= {EVENT_ONLY: "EVENT_ONLY", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{collector.url}/v1/logs", "TRACER_QUIET": "true"}
    program = PROGRAM.format(before=before, after=HOST_AFTER)
    done = run_program(program, **more)
    assert (done.status, done.err) == (0, "")
    events, spans, status = map(json.loads, done.out.splitlines())
    ((name, trace_id, span_id, messages),) = events
    assert (name, messages > 0) == (DETAILS, True)
    if beside == "spans":
        assert [span_id, False] in [[own, content] for _, trace, own, content in spans if trace == trace_id]
    account = status["destinations"]["host-logs"]
    assert (account["exported"], account["dropped"]) == (1, {NO_EVENT: 1})
    assert balance(account) == 2
    assert collector.requests == []


JUDGE = """
with tracer.trace("judged") as run: pass
tracer.feedback(run, "helpful", score=1, comment="to the point")
assert tracer.flush(30)
"""


def test_feedback_is_an_evaluation_event_by_otlp(collector: Collector) -> None:
    program = PROGRAM.format(before="", after=JUDGE)
    done = run_program(program, **{EVENT_ONLY: "EVENT_ONLY", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "TRACER_QUIET": "true"})
    assert (done.status, done.err) == (0, "")
    events = [
        event for path, _, body in collector.requests if path == "/v1/logs" for event in logs_in(ExportLogsServiceRequest.FromString(body))
    ]
    (judgement,) = [event for event in events if event.event_name == EVALUATION]
    assert attributes_of(judgement) == {
        "gen_ai.evaluation.name": "helpful",
        "gen_ai.evaluation.score.value": 1.0,
        "gen_ai.evaluation.explanation": "to the point",
    }
    sent = [item for item in collector.requests if item[0] == "/v1/traces"]
    (span,) = [span for span in Collector(requests=sent).spans() if span.name == "judged"]
    assert (judgement.trace_id, judgement.span_id) == (span.trace_id, span.span_id)
    account = json.loads(done.out)["feedback"]["otlp-logs"]
    assert (account["given"], account["exported"]) == (1, 1)


def test_feedback_is_an_evaluation_event_of_the_applications_logger_provider() -> None:
    before = HOST.format(set_logs="set_logger_provider(provider)", set_spans="ot.set_tracer_provider(tracers)")
    after = JUDGE + "\nprint([item.log_record.event_name for item in kept.get_finished_logs()])"
    done = run_program(PROGRAM.format(before=before, after=after), **{EVENT_ONLY: "EVENT_ONLY", "TRACER_QUIET": "true"})
    assert (done.status, done.err) == (0, "")
    names, status = done.out.splitlines()
    assert EVALUATION in names
    account = json.loads(status)["feedback"]["host-logs"]
    assert (account["given"], account["exported"]) == (1, 1)


def test_without_a_logger_provider_one_line_says_that_events_go_nowhere() -> None:
    program = PROGRAM.format(before=HOST.format(set_logs="", set_spans="ot.set_tracer_provider(tracers)"), after="")
    done = run_program(program, **{EVENT_ONLY: "EVENT_ONLY", "TRACER_QUIET": "true"})
    assert done.status == 0
    (line,) = done.lines
    assert "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT" in line
    assert balance(json.loads(done.out)["destinations"]["host-logs"]) == 2


def test_events_without_an_endpoint_for_logs_are_said_to_go_nowhere(collector: Collector) -> None:
    variables = {EVENT_ONLY: "EVENT_ONLY", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces", "TRACER_QUIET": "true"}
    done = run_program(PROGRAM.format(before="", after=""), **variables)
    assert done.status == 0
    (line,) = done.lines
    assert "EVENT_ONLY asks for events" in line
    assert "OTEL_LOGS_EXPORTER=otlp" in line
    assert "no prompts" in line


NEW = ("tracer.export.events", "tracer.export.host_logs", "tracer.export.otlp_logs", "tracer.export.dialects.table", "tracer.host.recorder")


def test_nothing_set_loads_nothing(tmp_path: Path) -> None:
    program = f"import sys, tracer\nwith tracer.trace('x'): pass\nassert tracer.flush(5)\nprint([m for m in {NEW} if m in sys.modules])"
    done = run_program(program, TRACER_LOCAL=str(tmp_path / "s.sqlite"), TRACER_QUIET="true", OTEL_LOGS_EXPORTER="otlp")
    assert (done.out.strip(), done.err) == ("[]", "")


def test_the_line_at_start_names_where_events_go(collector: Collector, fresh_runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    tracer.configure(capture_message_content="EVENT_ONLY", otlp_logs_endpoint=f"{collector.url}/v1/logs")
    assert f"OTLP logs {collector.url}/v1/logs" in capsys.readouterr().err
    assert set(tracer.status()["destinations"]) <= {"otlp-logs"}
