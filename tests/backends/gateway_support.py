"""An agent and gateways as real collectors, with loopback receivers behind them."""

from __future__ import annotations

import json
import re
import sqlite3
import urllib.request
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.backends.programs import Running, collector, free_port, local
from tests.integration.grpc_support import Files, GrpcCollector, grpc_credentials, serving_grpc

LARGE = (("grpc.max_receive_message_length", 2**26),)
TOKEN = "the-right-token"


@contextmanager
def receiver(port: int = 0, files: Files | None = None) -> Generator[GrpcCollector, None, None]:
    """Stands in for Tempo, or with certificates for a gateway."""
    with serving_grpc(port=port, credentials=grpc_credentials(files) if files else None, options=LARGE) as behind:
        yield behind


@dataclass(slots=True)
class Agent:
    """A running `agent.yaml`."""

    process: Running
    endpoint: str
    telemetry: str


@contextmanager
def agent(folder: Path, gateway: str, files: Files, **variables: str) -> Generator[Agent, None, None]:
    """Send to `gateway` (host:port), whose certificate is one of `files`; the queue is below `folder`."""
    http, telemetry = local(free_port()), free_port()
    with collector(
        ["agent.yaml"],
        folder,
        {
            "OTLP_HTTP_ADDRESS": http,
            "OTLP_GRPC_ADDRESS": local(free_port()),
            "TELEMETRY_PORT": str(telemetry),
            "GATEWAY_ADDRESS": gateway,
            "GATEWAY_TOKEN": TOKEN,
            "GATEWAY_CA": files.authority,
            "SPAN_METRICS_INTERVAL": "300ms",
            **variables,
        },
        "agent",
    ) as process:
        yield Agent(process, f"http://{http}", f"http://{local(telemetry)}/metrics")


@dataclass(slots=True)
class Gateway:
    """A running `gateway.yaml`. Addresses are host:port, of OTLP over gRPC and HTTP with TLS."""

    process: Running
    grpc: str
    http: str
    telemetry: str


@contextmanager
def gateway(
    folder: Path, files: Files, peers: list[str], peer: str, tempo: str, metrics: str, label: str, **variables: str
) -> Generator[Gateway, None, None]:
    """One instance, which listens for the others at `peer` (one of `peers`) and sends spans to `tempo` and metrics to `metrics`."""
    grpc, http, telemetry = local(free_port()), local(free_port()), free_port()
    key, certificate = folder / "server.key", folder / "server.pem"
    key.write_bytes(files.server[0])
    certificate.write_bytes(files.server[1])
    with collector(
        ["gateway.yaml", "targets/tempo.yaml", "targets/prometheus.yaml"],
        folder,
        {
            "GATEWAY_LISTEN": grpc,
            "GATEWAY_HTTP_LISTEN": http,
            "GATEWAY_TOKEN": TOKEN,
            "GATEWAY_CERTIFICATE": str(certificate),
            "GATEWAY_KEY": str(key),
            "GATEWAY_PEERS": json.dumps(peers),
            "PEER_LISTEN": peer,
            "TEMPO_ADDRESS": tempo,
            "PROMETHEUS_URL": metrics,
            "TELEMETRY_PORT": str(telemetry),
            "QUEUE_DIRECTORY": str(folder / f"{label}-queue"),
            **variables,
        },
        label,
    ) as process:
        yield Gateway(process, grpc, http, f"http://{local(telemetry)}/metrics")


def counted(telemetry: str, name: str, *labels: str) -> float:
    """The sum of a collector's own series of that name with all of these `key="value"`."""
    with urllib.request.urlopen(telemetry, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if re.match(rf"{name}(_total)?[{{ ]", line) and all(label in line for label in labels)]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def trace_ids(spans: Iterable[Span]) -> set[str]:
    """In hex."""
    return {span.trace_id.hex() for span in spans}


def recorded(store: Path) -> list[dict[str, Any]]:
    """All spans of a local store, attempts too."""
    with closing(sqlite3.connect(store)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM spans")]
