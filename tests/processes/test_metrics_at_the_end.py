"""Metrics at the end of processes: short scripts, forks, endpoints that hang, and nothing where nothing is set."""

from __future__ import annotations

import json
import os

import pytest

from tests.integration.metrics_support import points_of, receiving, total
from tests.processes.test_off import CANNED_CALL
from tests.support import collecting, run_program

SHORT = CANNED_CALL + "import tracer\nclient = tracer.wrap(bare)\nfor _ in range(3): call(client)\n"


def test_a_short_script_exports_its_last_values() -> None:
    with receiving() as receiver:
        ended = run_program(SHORT, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{receiver.url}/v1/metrics", TRACER_QUIET="true")
        assert (ended.status, ended.err) == (0, "")
        assert total(receiver.last(), "tracer.calls") == 3
        assert total(receiver.last(), "gen_ai.client.token.usage", gen_ai__token__type="input") == 3


def test_a_call_that_is_open_at_the_end_counts_as_unfinished() -> None:
    with receiving() as receiver:
        ended = run_program(
            "import tracer\ntracer.trace('x', kind='tool').__enter__()",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{receiver.url}/v1/metrics",
            TRACER_QUIET="true",
        )
        assert (ended.status, ended.err) == (0, "")
        assert total(receiver.last(), "tracer.calls", tracer__outcome="unfinished") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_counts_its_own_calls() -> None:
    with receiving() as receiver:
        ended = run_program(
            SHORT
            + """
assert tracer.flush()
pid = os.fork()
call(client)
if pid:
    os.waitpid(pid, 0)
else:
    call(client)
""",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{receiver.url}/v1/metrics",
            TRACER_QUIET="true",
        )
        assert (ended.status, ended.err) == (0, "")
        by_process: dict[str, float] = {}
        for export in receiver.exports():
            resource = {item.key: item.value.string_value for item in export.resource_metrics[0].resource.attributes}
            by_process[resource["service.instance.id"]] = total(points_of(export), "tracer.calls")
        assert sorted(by_process.values()) == [2, 4]


def test_an_endpoint_that_hangs_holds_the_end_no_longer_than_the_setting() -> None:
    with collecting(hang=True) as hanging:
        ended = run_program(
            SHORT + "import time\nbegun = time.monotonic()\nimport atexit\natexit._run_exitfuncs()\nprint(time.monotonic() - begun)",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{hanging.url}/v1/metrics",
            TRACER_QUIET="true",
            TRACER_EXIT_TIMEOUT="0.5",
        )
    assert ended.status == 0
    assert float(ended.out) < 2.5


def test_traces_that_cannot_be_sent_are_dropped_records_in_the_last_metrics() -> None:
    with collecting(hang=True) as hanging, receiving() as receiver:
        ended = run_program(
            SHORT,
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{hanging.url}/v1/traces",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{receiver.url}/v1/metrics",
            TRACER_QUIET="true",
            TRACER_EXIT_TIMEOUT="3",
        )
        assert ended.status == 0
        points = receiver.last()
        assert total(points, "tracer.calls") == 3
        assert total(points, "tracer.records", tracer__destination="otlp", tracer__state="dropped") == 3


HOST = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

def install():
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
"""


@pytest.mark.parametrize(
    "order", ["install()\nimport tracer\nclient = tracer.wrap(bare)", "import tracer\nclient = tracer.wrap(bare)\ninstall()"]
)
@pytest.mark.parametrize("local", ["true", ""])
def test_the_application_s_provider_has_the_last_values_when_it_ends(order: str, local: str, tmp_path: object) -> None:
    with receiving() as receiver:
        ended = run_program(
            CANNED_CALL + HOST + order + "\ncall(client)\ncall(client)\n",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{receiver.url}/v1/metrics",
            TRACER_QUIET="true",
            TRACER_LOCAL=local and f"{tmp_path}/store.sqlite",
        )
        assert (ended.status, ended.err) == (0, "")
        assert total(receiver.last(), "tracer.calls") == 2
        # Ours has exported nothing beside it.
        assert len({export.resource_metrics[0].resource.SerializeToString() for export in receiver.exports()}) == 1


def test_nothing_of_metrics_is_loaded_where_nothing_is_set(tmp_path: object) -> None:
    show = "import json\nprint(json.dumps(sorted(name for name in sys.modules if 'metric' in name)))\n"
    code = SHORT + "tracer.flush()\n" + show
    for variables in ({}, {"TRACER_LOCAL": f"{tmp_path}/store.sqlite"}, {"TRACER_METRICS": "v1.41"}):
        ended = run_program(code, TRACER_QUIET="true", **variables)
        assert ended.status == 0, ended.err
        assert json.loads(ended.out) == []
    with receiving() as receiver:
        ended = run_program(code, TRACER_QUIET="true", OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{receiver.url}/v1/metrics")
    assert "tracer.metrics.hub" in json.loads(ended.out)
