"""OTLP over HTTP, as protobuf or as JSON."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from tracer.export import otlp_answer, otlp_json
from tracer.export.certificates import AUTHORITY, CLIENT, Certificates
from tracer.export.endpoint import HTTP_JSON, TRACES, Signal
from tracer.export.http import TLS, Answer, Http, judge, judge_error
from tracer.export.transport import Verdict

UNREACHABLE = "Set OTEL_EXPORTER_OTLP_ENDPOINT or start a collector."
BAD_KEY = "Check OTEL_EXPORTER_OTLP_HEADERS. Nothing more is sent there until the settings change."
CERTIFICATES = f"Check {AUTHORITY}, and {CLIENT} where the endpoint asks for one."

_ADVICE = {401: BAD_KEY, 403: BAD_KEY, 404: "Check the path of the endpoint."}
COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": lambda body: gzip.compress(body, 6), "deflate": zlib.compress}


class HttpWire:
    """POSTs requests to one URL. Making one opens nothing."""

    def __init__(
        self,
        endpoint: str,
        protocol: str,
        headers: Mapping[str, str],
        compression: str,
        certificates: Certificates,
        signal: Signal = TRACES,
    ) -> None:
        self._signal = signal
        self._endpoint = endpoint
        self._json = protocol == HTTP_JSON
        self._compress = COMPRESS.get(compression, bytes)
        self._certificates = certificates
        self._checked = False
        client, key = certificates.client, certificates.key
        self._http = Http(
            {
                **headers,
                "content-type": "application/json" if self._json else "application/x-protobuf",
                **({} if compression == "none" else {"content-encoding": compression}),
            },
            certificates.authority,
            (client, key) if client and key else client,
        )

    def send(self, request: bytes, timeout: float) -> Verdict:
        """Send an export request and say what became of it."""
        if not self._checked and self._certificates != Certificates():
            trouble = self._certificates.trouble()
            if trouble is not None:
                return trouble
        self._checked = True
        try:
            body = self._compress(otlp_json.json_of(request, self._signal) if self._json else request)
            answer = self._http.request("POST", self._endpoint, timeout, body)
        except Exception as error:
            return self._failed(judge_error(error, timeout, UNREACHABLE))
        if not answer.ok:
            return judge(answer, f"the {self._signal.what}", _ADVICE)
        return otlp_answer.accepted(*_rejected_in(answer, self._signal), self._signal.what)

    def _failed(self, verdict: Verdict) -> Verdict:
        if TLS not in verdict.text:
            return verdict
        # Certificates that were replaced meanwhile are read by new connections only.
        self._checked = False
        self._http.renew()
        return replace(verdict, advice=CERTIFICATES)

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()


def _rejected_in(answer: Answer, signal: Signal) -> tuple[int, str]:
    kind = answer.headers.get("content-type", "")
    if "json" in kind:
        return otlp_json.rejected_in(answer.body, signal)
    return otlp_answer.rejected_in(answer.body) if "protobuf" in kind else (0, "")
