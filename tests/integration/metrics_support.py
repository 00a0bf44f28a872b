"""What the tests of metrics share: a loopback OTLP receiver, sums over what it got, a mix of recorded calls, an application's provider."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
from opentelemetry.metrics import _internal as metrics_api
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.util._once import Once

import tracer
from tests.support import running_server
from tracer.replay.behaviour import Behaviour
from tracer.replay.recordings import load
from tracer.replay.sdk import call_arguments, client_arguments
from tracer.replay.server import ReplayServer

Attributes = Mapping[str, Any]


@dataclass(slots=True)
class Point:
    """One value of one series: `value` of a counter or gauge, or `value` (sum) and `count` of a histogram."""

    name: str
    attributes: dict[str, Any]
    value: float
    count: int = 0
    start: int = 0
    time: int = 0
    bounds: tuple[float, ...] = ()
    delta: bool = False
    traces: list[str] = field(default_factory=list[str])
    """Trace ids of the exemplars, in hex."""


@dataclass
class Receiver:
    """A loopback OTLP/HTTP endpoint for metrics. `statuses` are answered first, 200 then."""

    url: str = ""
    statuses: list[int] = field(default_factory=list[int])
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list[tuple[str, dict[str, str], bytes]])
    arrived: threading.Event = field(default_factory=threading.Event)

    def exports(self) -> list[ExportMetricsServiceRequest]:
        """All requests that were taken."""
        return [ExportMetricsServiceRequest.FromString(body) for path, _, body in list(self.requests) if path.endswith("/v1/metrics")]

    def last(self) -> list[Point]:
        """The points of the last export: with cumulative temporality, all there is."""
        return points_of(self.exports()[-1])

    def all(self) -> list[Point]:
        """The points of all exports."""
        return [point for export in self.exports() for point in points_of(export)]


def points_of(export: ExportMetricsServiceRequest) -> list[Point]:
    return [
        point
        for resource in export.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in _points(metric)
    ]


def _points(metric: Any) -> Iterator[Point]:
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    for point in data.data_points:
        attributes = {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in point.attributes}
        traces = [] if kind == "gauge" else [exemplar.trace_id.hex() for exemplar in point.exemplars]
        delta = kind != "gauge" and data.aggregation_temporality == 1
        found = Point(metric.name, attributes, 0, start=point.start_time_unix_nano, time=point.time_unix_nano, delta=delta, traces=traces)
        if kind in ("sum", "gauge"):
            found.value = getattr(point, point.WhichOneof("value"))
        else:
            found.value, found.count = point.sum, point.count
            found.bounds = tuple(point.explicit_bounds) if kind == "histogram" else ()
        yield found


def chosen(points: list[Point], name: str, **attributes: Any) -> list[Point]:
    """The points of an instrument with these attributes; dots of their names are written as two underscores."""
    wanted = {key.replace("__", "."): value for key, value in attributes.items()}
    return [point for point in points if point.name == name and wanted.items() <= point.attributes.items()]


def total(points: list[Point], name: str, **attributes: Any) -> float:
    return sum(point.value for point in chosen(points, name, **attributes))


def count(points: list[Point], name: str, **attributes: Any) -> int:
    return sum(point.count for point in chosen(points, name, **attributes))


@contextmanager
def receiving(statuses: list[int] | None = None) -> Generator[Receiver, None, None]:
    """Serve OTLP metrics on loopback."""
    receiver = Receiver(statuses=statuses or [])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            status = receiver.statuses.pop(0) if receiver.statuses else 200
            if status == 200:
                receiver.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()
            receiver.arrived.set()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with running_server(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as receiver.url:
        yield receiver


def ask(server: ReplayServer, recording: Any, behaviour: Behaviour | None = None, stop_after: int = -1, **more: Any) -> None:
    """One recorded call through a traced client; errors of the provider are what the recording says."""
    with openai.OpenAI(**{**client_arguments(server, recording, behaviour), **more}) as bare:
        ask_by(bare, recording, stop_after)


def ask_by(bare: openai.OpenAI, recording: Any, stop_after: int = -1) -> None:
    """The same through a traced copy of a client."""
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


def mix(server: ReplayServer) -> int:
    """A mix of calls: plain, streamed, stopped, retried, failed, embeddings, chain, tool and agent; gives their number."""
    recordings = [item for item in load() if item.api in ("chat", "embeddings") and not item.azure]
    calls = 0
    with tracer.trace("answer", kind="chain"), tracer.trace("helper", kind="agent"):
        for recording in recordings:
            ask(server, recording)
        chats = [item for item in recordings if item.api == "chat" and not item.streamed and item.status == 200]
        streams = [item for item in recordings if item.api == "chat" and item.streamed and item.status == 200]
        ask(server, chats[0], Behaviour(fail=2, status=429), max_retries=3)
        ask(server, chats[0], Behaviour(fail=9, status=400), max_retries=0)
        ask(server, streams[0], stop_after=1)
        with tracer.trace("look up", kind="tool"):
            pass
        with tracer.trace("find", kind="retriever"):
            pass
        calls = len(recordings) + 3 + 2
    return calls + 2


@contextmanager
def host_meter_provider(install: Callable[[Any], None] | None = None) -> Generator[InMemoryMetricReader, None, None]:
    """An application's own global meter provider with a reader in memory; taken away afterwards."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    set_meter_provider(provider)
    try:
        yield reader
    finally:
        set_meter_provider(None)
        provider.shutdown()


def set_meter_provider(provider: MeterProvider | None) -> None:
    setattr(metrics_api, "_METER_PROVIDER_SET_ONCE", Once())  # noqa: B010  # this is what fixtures of applications do
    setattr(metrics_api, "_METER_PROVIDER", provider)  # noqa: B010


def in_memory(reader: InMemoryMetricReader) -> list[Point]:
    """What the application's reader has."""
    data = reader.get_metrics_data()
    found: list[Point] = []
    for resource in data.resource_metrics if data is not None else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for item in metric.data.data_points:
                    point: Any = item
                    value = point.value if hasattr(point, "value") else point.sum
                    traces = [f"{exemplar.trace_id:032x}" for exemplar in point.exemplars if exemplar.trace_id]
                    found.append(Point(metric.name, dict(point.attributes or {}), value, getattr(point, "count", 0), traces=traces))
    return found
