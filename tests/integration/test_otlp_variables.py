"""OpenTelemetry's variables, one by one, from the environment to what arrives: what a good value does, and that a bad one is said in one
line that names variable, value and what is accepted, and loses nothing."""

from __future__ import annotations

import json
import logging
import ssl
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import tracer
from tests.integration.grpc_support import certificate_files, grpc_credentials, serving_grpc
from tests.integration.otlp_support import Collector, attributes, free_port, serving
from tests.support import PATIENCE, ROOT, wait_until
from tracer.export import notices
from tracer.pipeline.pipeline import Pipeline
from tracer.runtime import Runtime, runtime


@pytest.fixture
def collector() -> Generator[Collector, None, None]:
    with serving(Collector()) as running:
        yield running


@pytest.fixture
def environment(fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A new process, as far as the library can tell."""
    monkeypatch.setattr(notices, "_warned", set[str]())
    monkeypatch.setattr("tracer.pipeline.outcomes.PATIENCE", 0)
    no_variables.setenv("TRACER_QUIET", "true")
    return no_variables


def record_one(name: str = "step") -> None:
    with tracer.trace(name, kind="chain") as run:
        run.set_input({"question": "why " * 100})


def record_failure() -> None:
    with pytest.raises(ValueError, match="too"), tracer.trace("step", kind="chain"):
        raise ValueError("too bad")


def account() -> dict[str, Any]:
    found: dict[str, Any] = tracer.status()["destinations"]["otlp"]
    return found


@dataclass(frozen=True, slots=True)
class Arrived:
    """A span and the request that brought it."""

    path: str
    headers: dict[str, str]
    resource: dict[str, object]
    span: Span

    @property
    def attributes(self) -> dict[str, object]:
        return attributes(self.span.attributes)


def arrived(collector: Collector) -> Arrived:
    (path, headers, _), (request,) = collector.requests[0], collector.decoded()
    (resource,) = request.resource_spans
    return Arrived(path, headers, attributes(resource.resource.attributes), collector.spans()[0])


@dataclass(frozen=True, slots=True)
class Case:
    """`effect`: what holds of a span with the good value, and does not hold without."""

    names: tuple[str, ...]
    good: str
    effect: Callable[[Arrived], bool]
    bad: str | None
    record: Callable[[], None] = record_one


def both(suffix: str) -> tuple[str, ...]:
    return (f"OTEL_EXPORTER_OTLP_{suffix}", f"OTEL_EXPORTER_OTLP_TRACES_{suffix}")


def is_short_json(text: object) -> bool:
    json.loads(str(text))
    return len(str(text)) <= 200


CASES = (
    Case(both("PROTOCOL"), "http/json", lambda got: got.headers["content-type"] == "application/json", "udp"),
    Case(both("HEADERS"), "X-Key=a%20b,x-other=1", lambda got: got.headers.get("x-key") == "a b", "x-key"),
    Case(both("COMPRESSION"), "gzip", lambda got: got.headers.get("content-encoding") == "gzip", "zip"),
    Case(both("COMPRESSION"), "deflate", lambda got: got.headers.get("content-encoding") == "deflate", "br"),
    Case(("OTEL_SERVICE_NAME",), "shop", lambda got: got.resource["service.name"] == "shop", None),
    Case(("OTEL_RESOURCE_ATTRIBUTES",), "team=a%2Cb,x=1", lambda got: got.resource.get("team") == "a,b", "team"),
    Case(("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS",), "process", lambda got: "process.pid" in got.resource, "nonsense"),
    Case(("OTEL_ATTRIBUTE_COUNT_LIMIT",), "3", lambda got: len(got.attributes) == 3 and got.span.dropped_attributes_count > 0, "many"),
    Case(("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",), "2", lambda got: len(got.attributes) == 2 and got.span.dropped_attributes_count > 0, "-1"),
    Case(
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        "200",
        lambda got: is_short_json(got.attributes["input.value"]) and got.attributes.get("tracer.content.truncated") is True,
        "long",
    ),
    Case(
        ("OTEL_SPAN_EVENT_COUNT_LIMIT",),
        "0",
        lambda got: len(got.span.events) == 0 and got.span.dropped_events_count == 1,
        "none",
        record_failure,
    ),
    Case(
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
        "1",
        lambda got: len(got.span.events[0].attributes) == 1 and got.span.events[0].dropped_attributes_count > 0,
        "1.5",
        record_failure,
    ),
)
GOOD = [pytest.param(case, name, id=f"{name}={case.good}") for case in CASES for name in case.names]
BAD = [pytest.param(case, name, id=f"{name}={case.bad}") for case in CASES for name in case.names if case.bad]
# Covered by tests of their own below.
BAD_ONLY = (
    *((name, "soon") for name in both("TIMEOUT")),
    *((name, "ftp://collector") for name in ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",)),
    *((name, "/no/such/file.pem") for suffix in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY") for name in both(suffix)),
    *((name, "perhaps") for name in both("INSECURE")),
    ("OTEL_SDK_DISABLED", "1"),
    ("OTEL_TRACES_EXPORTER", "zipkin"),
    ("OTEL_TRACES_SAMPLER", "dice"),
    ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
    ("OTEL_BSP_EXPORT_TIMEOUT", "-1"),
)
UNUSED = (
    "OTEL_BLRP_SCHEDULE_DELAY",
    "OTEL_BLRP_MAX_QUEUE_SIZE",
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BLRP_EXPORT_TIMEOUT",
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_PYTHON_ID_GENERATOR",
    "OTEL_PYTHON_TRACER_CONFIGURATOR",
    "OTEL_PYTHON_METER_CONFIGURATOR",
    "OTEL_PYTHON_LOGGER_CONFIGURATOR",
    "OTEL_CONFIG_FILE",
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED",
    "OTEL_LOG_LEVEL",
)
"""Of signals that the library does not send, or read by nobody here."""


@pytest.mark.parametrize(("case", "name"), GOOD)
def test_a_good_value(case: Case, name: str, collector: Collector, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    case.record()
    assert tracer.flush(PATIENCE)
    assert not case.effect(arrived(collector))
    tracer.shutdown()
    collector.requests.clear()
    runtime.configured = False
    environment.setenv(name, case.good)
    case.record()
    assert tracer.flush(PATIENCE)
    assert case.effect(arrived(collector))


def said_about(name: str, caplog: pytest.LogCaptureFixture) -> str:
    lines = [entry.getMessage() for entry in caplog.records if entry.name == "tracer"]
    (line,) = [line for line in lines if line.startswith(f"tracer: {name}=")]
    assert lines == [line]
    assert "\n" not in line
    return line


@pytest.mark.parametrize(("name", "bad"), [*((param.values[1], param.values[0].bad) for param in BAD), *BAD_ONLY])  # type: ignore[union-attr]
def test_a_bad_value_is_said_and_loses_nothing(
    name: str, bad: str, collector: Collector, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    environment.setenv(name, bad)
    with caplog.at_level(logging.WARNING):
        record_one()
        assert tracer.flush(PATIENCE)
        assert account()["exported"] == 1
        assert account()["dropped"] == {}
    line = said_about(name, caplog)
    assert ("'…'" if "HEADERS" in name else repr(bad)) in line
    assert "accepted is" in line
    assert [span.name for span in collector.spans()] == ["step"]


def test_a_bad_general_endpoint_is_said_and_other_destinations_get_the_records(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector")
    environment.setenv("TRACER_LOCAL", str(tmp_path / "x.sqlite"))
    record_one()
    assert tracer.flush(PATIENCE)
    line = said_about("OTEL_EXPORTER_OTLP_ENDPOINT", caplog)
    assert line == "tracer: OTEL_EXPORTER_OTLP_ENDPOINT='ftp://collector' is not valid: accepted is a URL, or host:port. Using none."
    destinations = tracer.status()["destinations"]
    assert (list(destinations), destinations["local"]["exported"]) == (["local"], 1)


def test_the_other_variables_do_nothing(collector: Collector, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    for name in UNUSED:
        environment.setenv(name, "nonsense")
    record_one()
    assert tracer.flush(PATIENCE)
    assert account()["exported"] == 1
    assert caplog.records == []


# Those whose effect is not in one span.


def test_endpoints(collector: Collector, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url + "/base/")
    record_one()
    assert tracer.flush(PATIENCE)
    tracer.shutdown()
    runtime.configured = False
    environment.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url + "/as/it/is")
    record_one()
    assert tracer.flush(PATIENCE)
    assert [path for path, _, _ in collector.requests] == ["/base/v1/traces", "/as/it/is"]


def test_sdk_disabled(collector: Collector, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    environment.setenv("OTEL_SDK_DISABLED", "True")
    client = object()
    assert tracer.wrap(client) is client
    record_one()
    assert tracer.flush(PATIENCE)
    assert collector.requests == []


def test_no_exporter(collector: Collector, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    environment.setenv("OTEL_TRACES_EXPORTER", "none")
    record_one()
    assert tracer.flush(PATIENCE)
    assert (collector.requests, tracer.status()["on"]) == ([], False)


@pytest.mark.parametrize(
    ("variables", "kept"),
    [
        ({"OTEL_TRACES_SAMPLER": "always_off"}, 0),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, 0),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1"}, 4),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on", "OTEL_TRACES_SAMPLER_ARG": "0"}, 4),
    ],
)
def test_samplers(variables: dict[str, str], kept: int, collector: Collector, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    for name, value in variables.items():
        environment.setenv(name, value)
    for _ in range(4):
        record_one()
    assert tracer.flush(PATIENCE)
    assert len(collector.spans()) == kept
    assert (account()["exported"], account()["sampled_out"]) == (kept, 4 - kept)


@pytest.mark.parametrize(("name", "text"), [*((name, "0.2") for name in both("TIMEOUT")), ("OTEL_BSP_EXPORT_TIMEOUT", "200")])
def test_timeouts(name: str, text: str, collector: Collector, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    collector.hang = threading.Event()
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    environment.setenv(name, text)
    record_one()
    wait_until(lambda: "did not answer within 0.2 s; 1 record waits to be sent." in caplog.text)
    assert account()["queued"] == 1
    tracer.shutdown(0.1)


@pytest.mark.parametrize("signal", ["", "TRACES_"])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_certificates(protocol: str, signal: str, environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = certificate_files(tmp_path)
    for suffix, path in {"CERTIFICATE": files.authority, "CLIENT_CERTIFICATE": files.client, "CLIENT_KEY": files.key}.items():
        environment.setenv(f"OTEL_EXPORTER_OTLP_{signal}{suffix}", path)
    environment.setenv(f"OTEL_EXPORTER_OTLP_{signal}PROTOCOL", protocol)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "server.pem").write_bytes(b"".join(files.server))
    context.load_cert_chain(tmp_path / "server.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(files.authority)
    with serving(Collector(tls=context)) as http, serving_grpc(credentials=grpc_credentials(files, clients=True)) as grpc:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"https://{grpc.target}" if protocol == "grpc" else http.url)
        record_one()
        assert tracer.flush(PATIENCE)
        assert [span.name for span in (grpc if protocol == "grpc" else http).spans()] == ["step"]
        tracer.shutdown()


@pytest.mark.parametrize("name", both("INSECURE"))
def test_insecure(name: str, environment: pytest.MonkeyPatch) -> None:
    with serving_grpc() as collector:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.target)
        environment.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        environment.setenv(name, "true")
        record_one()
        assert tracer.flush(PATIENCE)
        assert [span.name for span in collector.spans()] == ["step"]
        tracer.shutdown()


def sizes(collector: Collector) -> list[int]:
    return [len(request.resource_spans[0].scope_spans[0].spans) for request in collector.decoded()]


def test_batch_size(collector: Collector, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    environment.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    for _ in range(5):
        record_one()
    assert tracer.flush(PATIENCE)
    assert max(sizes(collector)) <= 2
    assert sum(sizes(collector)) == 5


def taken() -> int:
    """Records that the worker has handed on."""
    pipeline = runtime.pipeline
    assert isinstance(pipeline, Pipeline)
    return pipeline._accounts.taken


def test_records_are_gathered_until_there_are_enough(collector: Collector, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    environment.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3")
    record_one()
    wait_until(lambda: sizes(collector) == [1])
    for number in range(2, 5):
        record_one()
        # Each is handed on by itself; without the delay it would be sent by itself.
        wait_until(lambda number=number: taken() == number)
    wait_until(lambda: len(collector.requests) == 2)
    assert sizes(collector) == [1, 3]
    record_one()
    assert tracer.flush(PATIENCE)
    assert sizes(collector) == [1, 3, 1]


def test_queue_size(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    environment.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "2")
    for _ in range(5):
        record_one()
    wait_until(lambda: account()["dropped"] == {"queue full": 3})
    assert account()["queued"] == 2
    tracer.shutdown(0.1)


def test_every_variable_is_in_the_page() -> None:
    page = (ROOT / "docs" / "otlp.md").read_text("utf-8")
    tested = {name for case in CASES for name in case.names} | {name for name, _ in BAD_ONLY} | {"OTEL_EXPORTER_OTLP_ENDPOINT", *UNUSED}
    missing = [name for name in sorted(tested) if f"`{name.replace('_TRACES_', '_')}`" not in page and f"`{name}`" not in page]
    assert missing == []
