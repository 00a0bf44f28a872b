"""What the wire said: an HTTP session for the official exporter that remembers how the last request ended.

The exporter only answers success or failure, and names the reason in its log; the session is its public seam.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tracer.export.texts import shorten_text
from tracer.settings import Settings

if TYPE_CHECKING:
    import requests

UNREACHABLE = "unreachable"
TIMEOUT = "timeout"
NOT_SENT = "not_sent"
REFUSED = "refused"

_ADVICE = {
    UNREACHABLE: "Set OTEL_EXPORTER_OTLP_ENDPOINT or start a collector.",
    f"{REFUSED}:401": "Check OTEL_EXPORTER_OTLP_HEADERS.",
    f"{REFUSED}:403": "Check OTEL_EXPORTER_OTLP_HEADERS.",
    f"{REFUSED}:404": "Check the path of the endpoint.",
}
_EXPLANATION = 200


class Reply:
    """How the last request ended: a status, or the exception that came instead of one."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the last request."""
        self.status: int | None = None
        self.phrase = ""
        self.explanation = ""
        self.error: Exception | None = None
        self.rejected = 0

    def answered(self, response: requests.Response) -> None:
        """Take the answer of the endpoint."""
        self.error = None
        self.status = response.status_code
        self.phrase = response.reason or ""
        self.explanation, self.rejected = "", 0
        content_type = response.headers.get("content-type", "")
        if response.status_code >= 400 and ("json" in content_type or "text" in content_type):
            self.explanation = " ".join(shorten_text(response.text, _EXPLANATION).split())
        elif response.content and "protobuf" in content_type:
            self._read_partial_success(response.content)

    def failed(self, error: Exception) -> None:
        """Take the exception that the HTTP library raised."""
        self.clear()
        self.error = error

    def reason(self, timeout: float) -> tuple[str, str, str]:
        """Why an export failed: a word for the ledger, the end of a sentence that begins with the endpoint, and advice or nothing."""
        word, text = self._reason(timeout)
        return word, text, _ADVICE.get(word, "")

    def _reason(self, timeout: float) -> tuple[str, str]:
        if self.error is not None:
            if type(self.error).__name__ == "ReadTimeout" or _chain_has(self.error, "ReadTimeoutError"):
                return TIMEOUT, f"did not answer within {timeout:g} s"
            return UNREACHABLE, f"cannot be reached ({describe(self.error)})"
        if self.status is not None:
            detail = f": {self.explanation}" if self.explanation else ""
            return f"{REFUSED}:{self.status}", f"refused the spans (HTTP {self.status} {self.phrase}".rstrip() + f"){detail}"
        return NOT_SENT, "was sent nothing: the spans could not be encoded"

    def _read_partial_success(self, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

        try:
            partial = ExportTraceServiceResponse.FromString(body).partial_success
        except Exception:
            return
        self.rejected = partial.rejected_spans
        self.explanation = shorten_text(partial.error_message, _EXPLANATION)


def recording_session(reply: Reply, settings: Settings) -> requests.Session:
    """A session that writes every answer or exception into `reply`, and takes its certificates from the settings alone."""
    # The one place in this file where requests is imported; the official exporter depends on it.
    import requests

    certificate, key = settings.otlp_client_certificate, settings.otlp_client_key
    fixed: dict[str, Any] = {
        # The exporter falls back to the environment, whose values may be bad.
        "verify": settings.otlp_certificate or True,
        "cert": (certificate, key) if certificate and key else certificate,
        # A redirected POST arrives as a GET without its body: a redirect is a refusal.
        "allow_redirects": False,
    }

    class RecordingSession(requests.Session):
        def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
            # The exporter may have put what it found in the environment here, and None as an argument falls back to it.
            self.cert = fixed["cert"]
            try:
                response = super().request(method, url, *args, **{**options, **fixed})
            except Exception as error:
                reply.failed(error)
                raise
            reply.answered(response)
            return response

    return RecordingSession()


def describe(error: BaseException) -> str:
    """The innermost reason of a chain of exceptions in a few words: `connection refused`, `name or service not known`.

    >>> describe(ConnectionRefusedError(111, "Connection refused"))
    'connection refused'
    """
    found: str | None = None
    for link in _chain(error):
        name = type(link).__name__
        if "SSL" in name or "Certificate" in name:
            return "TLS: " + shorten_text(str(link), _EXPLANATION)
        if name in ("ConnectTimeoutError", "ConnectTimeout"):
            return "connecting took too long"
        if isinstance(link, OSError) and link.errno is not None:
            found = link.strerror or os.strerror(link.errno)
    return (found or type(error).__name__).lower()


def _chain_has(error: BaseException, name: str) -> bool:
    return any(type(link).__name__ == name for link in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that it was made from: causes, contexts, and those that urllib3 keeps in `reason` and arguments."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop(0)
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
