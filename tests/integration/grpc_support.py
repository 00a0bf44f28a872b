"""A loopback gRPC endpoint for OTLP with the official service classes, and certificates for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import trustme
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.integration.otlp_support import spans_in

Behaviour = Callable[[grpc.ServicerContext], None]


@dataclass
class GrpcCollector:
    """What a gRPC endpoint got. `answers` are what it does with the first requests: abort, wait; the others are accepted with `reply`."""

    target: str = ""
    answers: list[Behaviour] = field(default_factory=list[Behaviour])
    always: Behaviour | None = None
    reply: ExportTraceServiceResponse = field(default_factory=ExportTraceServiceResponse)
    requests: list[ExportTraceServiceRequest] = field(default_factory=list[ExportTraceServiceRequest])
    metadata: list[dict[str, str | bytes]] = field(default_factory=list[dict[str, str | bytes]])

    def spans(self) -> list[Span]:
        """All spans that arrived, those of refused requests too."""
        return spans_in(list(self.requests))


class _Service(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, collector: GrpcCollector) -> None:
        self._collector = collector

    def Export(  # noqa: N802
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        collector = self._collector
        collector.metadata.append(dict(context.invocation_metadata()))
        collector.requests.append(request)
        behaviour = collector.answers.pop(0) if collector.answers else collector.always
        if behaviour is not None:
            behaviour(context)
        return collector.reply


@contextmanager
def serving_grpc(
    collector: GrpcCollector | None = None,
    port: int = 0,
    credentials: grpc.ServerCredentials | None = None,
    options: Sequence[tuple[str, Any]] = (),
) -> Generator[GrpcCollector, None, None]:
    """Serve on loopback."""
    collector = collector or GrpcCollector()
    with ThreadPoolExecutor(4) as workers:
        server = grpc.server(workers, options=[("grpc.so_reuseport", 0), *options])
        add: Callable[[Any, grpc.Server], None] = trace_service_pb2_grpc.add_TraceServiceServicer_to_server  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        add(_Service(collector), server)
        address = f"127.0.0.1:{port}"
        number = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
        collector.target = f"127.0.0.1:{number}"
        server.start()
        try:
            yield collector
        finally:
            server.stop(None).wait(5)


def aborting(status: grpc.StatusCode, details: str = "no", trailing: Sequence[tuple[str, bytes]] = ()) -> Behaviour:
    """Answers with a status other than OK."""

    def abort(context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata(tuple(trailing))
        context.abort(status, details)

    return abort


@contextmanager
def counting(target: str) -> Generator[tuple[str, list[int]], None, None]:
    """A relay in front of `host:port`; gives its own, and a list that has the sizes of what a client sent through it."""
    sizes: list[int] = []
    host, _, port = target.rpartition(":")
    listener = socket.create_server(("127.0.0.1", 0))
    open_sockets = [listener]

    def pump(source: socket.socket, sink: socket.socket, count: bool) -> None:
        try:
            while data := source.recv(65536):
                if count:
                    sizes.append(len(data))
                sink.sendall(data)
        except OSError:
            pass

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection((host, int(port)))
            open_sockets.extend((client, server))
            threading.Thread(target=pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=pump, args=(server, client, False), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", sizes
    finally:
        for each in open_sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()


@dataclass(frozen=True, slots=True)
class Files:
    """A certificate authority, a server it vouches for, and clients: one of its own, one of a stranger. Paths of PEM files."""

    authority: str
    other_authority: str
    client: str
    key: str
    client_with_key: str
    stranger: str
    stranger_key: str
    server: tuple[bytes, bytes]
    """Key and certificate."""


def certificate_files(folder: Path) -> Files:
    """Make them all."""
    ours, theirs = trustme.CA(), trustme.CA()
    client, stranger, server = ours.issue_cert("client"), theirs.issue_cert("stranger"), ours.issue_cert("127.0.0.1", "localhost")

    def written(name: str, *blobs: trustme.Blob) -> str:
        path = folder / name
        path.write_bytes(b"".join(blob.bytes() for blob in blobs))
        return str(path)

    return Files(
        authority=written("ca.pem", ours.cert_pem),
        other_authority=written("other.pem", theirs.cert_pem),
        client=written("client.pem", *client.cert_chain_pems),
        key=written("client.key", client.private_key_pem),
        client_with_key=written("both.pem", client.private_key_and_cert_chain_pem),
        stranger=written("stranger.pem", *stranger.cert_chain_pems),
        stranger_key=written("stranger.key", stranger.private_key_pem),
        server=(server.private_key_pem.bytes(), b"".join(blob.bytes() for blob in server.cert_chain_pems)),
    )


def grpc_credentials(files: Files, clients: bool = False) -> grpc.ServerCredentials:
    """Of the server; `clients`: it asks for a certificate of its own authority."""
    authority = Path(files.authority).read_bytes() if clients else None
    return grpc.ssl_server_credentials([files.server], root_certificates=authority, require_client_auth=clients)
