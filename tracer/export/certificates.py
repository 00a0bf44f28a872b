"""The certificate files of a destination: read anew for each connection, since they are replaced while a program runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tracer.export.transport import RETRY, Verdict
from tracer.settings import Settings

AUTHORITY = "OTEL_EXPORTER_OTLP_CERTIFICATE"
CLIENT = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"
KEY = "OTEL_EXPORTER_OTLP_CLIENT_KEY"


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths of PEM files: the authority that is trusted (None: the usual ones), the client's certificate with or without its key, and
    the key where it has a file of its own."""

    authority: str | None = None
    client: str | None = None
    key: str | None = None

    def trouble(self) -> Verdict | None:
        """What is wrong with the files, None when nothing is. Found out here, since gRPC only says that no connection came about, and
        `requests` would ask for the password of a key on the terminal."""
        # Imported where it is used: 10 ms that only users of certificates should pay.
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.authority)
        except (OSError, ValueError) as error:
            return _trouble(f"{AUTHORITY}={self.authority!r}", error, f"Set {AUTHORITY} to a file of PEM certificates.")
        if self.client is None:
            return None
        try:
            context.load_cert_chain(self.client, self.key, password=_no_password)
        except (OSError, ValueError) as error:
            named = f"{CLIENT}={self.client!r}" + (f" with {KEY}={self.key!r}" if self.key else "")
            return _trouble(named, error, f"Set {CLIENT} and {KEY} to a PEM certificate and its key, which must have no password.")
        return None

    def read(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Contents of the authority's, the key's and the client's file."""
        return _read(self.authority), _read(self.key or self.client), _read(self.client)


def certificates_of(settings: Settings) -> Certificates:
    """Those of the settings."""
    client = settings.otlp_client_certificate
    return Certificates(settings.otlp_certificate, client, settings.otlp_client_key if client else None)


def _trouble(named: str, error: Exception, advice: str) -> Verdict:
    why = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
    return Verdict(RETRY, "certificate", f"cannot be reached ({named} cannot be used: {why})", advice)


def _no_password() -> str:
    raise ValueError("the key has a password")


def _read(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
