"""Metrics for Prometheus to fetch. Needs the extra `prometheus`."""

from __future__ import annotations

import inspect
import threading
from importlib import import_module
from typing import Any

from tracer.settings import Settings


class Scrape:
    """`reader` is the official one; its text is served at `/metrics` of the host and port of the settings.

    Raises where the extra is not installed or the port is taken; the message says what to do.
    """

    def __init__(self, settings: Settings) -> None:
        # The marked place of lazy imports: the official exporter, and the client library that serves.
        try:
            from opentelemetry.exporter.prometheus import PrometheusMetricReader

            client = import_module("prometheus_client")
        except ImportError as error:
            raise RuntimeError(f"{error}. Run: pip install 'chat-tracer[prometheus]'") from error
        place = f"{settings.prometheus_host}:{settings.prometheus_port}"
        # Older versions of the exporter know the global registry only.
        own = "registry" in inspect.signature(PrometheusMetricReader).parameters
        registry = client.CollectorRegistry() if own else client.REGISTRY
        try:
            self._server, self._thread = client.start_http_server(settings.prometheus_port, settings.prometheus_host, registry)
        except OSError as error:
            raise RuntimeError(
                f"{place} cannot be listened on ({error.strerror or error}). Set OTEL_EXPORTER_PROMETHEUS_HOST or "
                "OTEL_EXPORTER_PROMETHEUS_PORT; each process needs a port of its own"
            ) from error
        options: dict[str, Any] = {"registry": registry} if own else {}
        self.reader: Any = PrometheusMetricReader(**options)
        self.port = self._server.server_address[1]

    def close(self) -> None:
        """Stop serving."""
        # `shutdown` waits for the serving thread, which may be in the middle of an answer to somebody who does not take it.
        threading.Thread(target=self._stop, name="tracer scrape end", daemon=True).start()

    def _stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def leave(self) -> None:
        """In a forked child: close this process's copy of the parent's socket."""
        self._server.socket.close()
