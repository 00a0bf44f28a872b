"""OTLP over TLS and mutual TLS, by every protocol, with certificates made here: right, wrong, missing, broken and replaced ones."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.integration.grpc_support import Files, GrpcCollector, certificate_files, grpc_credentials, serving_grpc
from tests.integration.otlp_support import Collector, delivering, free_port, llm_record, of_the_export, serving
from tests.support import Delivering, wait_until
from tracer.export import notices
from tracer.settings import Settings, read

PROTOCOLS = pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return certificate_files(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracer.pipeline.outcomes.PATIENCE", 0)
    monkeypatch.setattr(notices, "_warned", set[str]())


class Encrypted:
    """A server of either kind over TLS."""

    def __init__(self, endpoint: str, collector: Collector | GrpcCollector) -> None:
        self.endpoint = endpoint
        self._collector = collector

    @property
    def spans(self) -> list[Span]:
        return self._collector.spans()


@contextmanager
def encrypted(protocol: str, files: Files, folder: Path, clients: bool = False, port: int = 0) -> Generator[Encrypted, None, None]:
    if protocol == "grpc":
        with serving_grpc(port=port, credentials=grpc_credentials(files, clients)) as collector:
            yield Encrypted(f"https://{collector.target}", collector)
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (folder / "server.pem").write_bytes(b"".join(files.server))
    context.load_cert_chain(folder / "server.pem")
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(files.authority)
    with serving(Collector(tls=context, port=port)) as http:
        yield Encrypted(http.url, http)


def to(server: Encrypted, protocol: str, **values: str) -> Delivering:
    return delivering(Settings(otlp_endpoint=server.endpoint, otlp_protocol=protocol, **values))  # pyright: ignore[reportArgumentType]


def waits(destination: Delivering, caplog: pytest.LogCaptureFixture, close: bool = True) -> str:
    """Hand a record in, and give what is said while it waits; then give it up, so that nobody speaks to a server that is going away."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        destination.put([llm_record()])
        wait_until(lambda: bool(of_the_export(caplog)))
    assert destination.outcome == (0, {})
    assert destination.waiting == 1
    (line,) = [entry.getMessage() for entry in of_the_export(caplog)]
    assert "1 record waits to be sent." in line
    assert "\n" not in line
    if close:
        destination.sender.close(5)
    return line


@PROTOCOLS
def test_an_authority_of_ones_own(protocol: str, files: Files, tmp_path: Path) -> None:
    with encrypted(protocol, files, tmp_path) as server:
        assert to(server, protocol, otlp_certificate=files.authority).deliver([llm_record()]).exported == 1
        assert [span.name for span in server.spans] == ["chat gpt-4o"]


@PROTOCOLS
@pytest.mark.parametrize("authority", ["other_authority", None])
def test_a_server_that_nobody_vouches_for(
    protocol: str, authority: str | None, files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = {"otlp_certificate": getattr(files, authority)} if authority else {}
    with encrypted(protocol, files, tmp_path) as server:
        line = waits(to(server, protocol, **values), caplog)
        assert server.spans == []
    assert line.lower().count("tls") >= 1
    assert line.endswith("Check OTEL_EXPORTER_OTLP_CERTIFICATE, and OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE where the endpoint asks for one.")


@PROTOCOLS
@pytest.mark.parametrize("together", [False, True])
def test_a_client_certificate(protocol: str, together: bool, files: Files, tmp_path: Path) -> None:
    own = (
        {"otlp_client_certificate": files.client_with_key}
        if together
        else {"otlp_client_certificate": files.client, "otlp_client_key": files.key}
    )
    with encrypted(protocol, files, tmp_path, clients=True) as server:
        assert to(server, protocol, otlp_certificate=files.authority, **own).deliver([llm_record()]).exported == 1
        assert len(server.spans) == 1


@PROTOCOLS
@pytest.mark.parametrize("client", ["none", "stranger"])
def test_a_missing_or_a_wrong_client_certificate(
    protocol: str, client: str, files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = {"otlp_client_certificate": files.stranger, "otlp_client_key": files.stranger_key}
    with encrypted(protocol, files, tmp_path, clients=True) as server:
        line = waits(to(server, protocol, otlp_certificate=files.authority, **(stranger if client == "stranger" else {})), caplog)
        assert server.spans == []
    assert "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE where the endpoint asks for one" in line


@PROTOCOLS
@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"])
@pytest.mark.parametrize("content", ["", "not a certificate\n", None])
def test_files_that_are_none(
    protocol: str, variable: str, content: str | None, files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "given.pem"
    file.write_text(content or "")
    environment = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": files.authority,
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": files.client,
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": files.key,
    }
    good = Path(environment[variable]).read_bytes()
    chosen, problems, _ = read({**environment, variable: str(file)})
    assert problems == []
    if content is None:
        file.unlink()  # After the settings were read.
    with encrypted(protocol, files, tmp_path, clients=True) as server:
        destination = delivering(chosen.replaced(otlp_endpoint=server.endpoint, otlp_protocol=protocol))
        line = waits(destination, caplog, close=False)
        assert f"cannot be reached ({variable}={str(file)!r}" in line
        assert f"Set {variable}" in line
        # Once the file is right, everything goes on.
        file.write_bytes(good)
        assert destination.deliver([llm_record(1)]).exported == 2


@PROTOCOLS
def test_a_key_with_a_password(protocol: str, files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = serialization.load_pem_private_key(Path(files.key).read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret"))
    )
    own = {"otlp_client_certificate": files.client, "otlp_client_key": str(locked)}
    with encrypted(protocol, files, tmp_path, clients=True) as server:
        line = waits(to(server, protocol, otlp_certificate=files.authority, **own), caplog)
    assert f"OTEL_EXPORTER_OTLP_CLIENT_KEY={str(locked)!r}" in line
    assert "which must have no password" in line


@pytest.mark.parametrize("suffix", ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"])
@pytest.mark.parametrize("signal", ["", "TRACES_"])
def test_paths_that_lead_nowhere_are_named(suffix: str, signal: str) -> None:
    name = f"OTEL_EXPORTER_OTLP_{signal}{suffix}"
    _, (problem,), _ = read({name: "/no/such/file.pem"})
    assert str(problem) == f"{name}='/no/such/file.pem' is not valid: accepted is the path of a file. Using none."


def test_a_key_without_a_certificate_is_said(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    delivering(Settings(otlp_endpoint="https://127.0.0.1:1", otlp_client_key=files.key))
    (line,) = [entry.getMessage() for entry in caplog.records]
    assert line == (
        f"tracer: OTEL_EXPORTER_OTLP_CLIENT_KEY={files.key!r} is not used: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE to the certificate "
        "that belongs to it."
    )


@PROTOCOLS
def test_certificates_are_replaced_while_the_program_runs(protocol: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = certificate_files(tmp_path / "old"), certificate_files(tmp_path / "new")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(Path(old.authority).read_bytes())
    with encrypted(protocol, old, tmp_path, port=port) as server:
        destination = to(server, protocol, otlp_certificate=str(trusted))
        assert destination.deliver([llm_record()]).exported == 1
    with encrypted(protocol, new, tmp_path, port=port):
        destination.put([llm_record(1)])
        wait_until(lambda: "Check OTEL_EXPORTER_OTLP_CERTIFICATE" in destination.sender.trouble)
        trusted.write_bytes(Path(new.authority).read_bytes())
        assert destination.deliver([llm_record(2)]).exported == 3


@pytest.mark.parametrize(
    ("scheme", "advice"),
    [
        ("http", "Begin OTEL_EXPORTER_OTLP_ENDPOINT with https:// if the endpoint is encrypted."),
        ("", "or set OTEL_EXPORTER_OTLP_INSECURE=true, if the endpoint is not encrypted."),
    ],
)
def test_grpc_with_the_wrong_idea_of_encryption(
    scheme: str, advice: str, files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Without a scheme it is encrypted, as the specification has it.
    with encrypted("grpc", files, tmp_path) as tls, serving_grpc() as plain:
        target = tls.endpoint.partition("//")[2] if scheme else plain.target
        destination = delivering(Settings(otlp_endpoint=f"{scheme}://{target}" if scheme else target, otlp_protocol="grpc"))
        assert waits(destination, caplog).endswith(advice)
