"""OTLP over gRPC: a channel of our own, so that a call's status and details say what to do with the records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from tracer.export import otlp_answer
from tracer.export.certificates import Certificates
from tracer.export.endpoint import TRACES, Signal, target_of
from tracer.export.http import NOT_SENT, TIMEOUT, UNREACHABLE
from tracer.export.notices import silence_exporters, warn_once
from tracer.export.otlp_http import BAD_KEY, CERTIFICATES
from tracer.export.otlp_http import UNREACHABLE as START
from tracer.export.texts import shorten_text
from tracer.export.transport import REFUSED, RETRY, STOP, TOO_LARGE, Verdict
from tracer.loading import loading

if TYPE_CHECKING:
    import grpc
    from google.rpc.error_details_pb2 import RetryInfo

NOT_GRPC = "Set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf if the endpoint takes OTLP over HTTP only."
ENCRYPTED = "Begin OTEL_EXPORTER_OTLP_ENDPOINT with https:// if the endpoint is encrypted."
PLAIN = "Begin OTEL_EXPORTER_OTLP_ENDPOINT with http://, or set OTEL_EXPORTER_OTLP_INSECURE=true, if the endpoint is not encrypted."

MISSING = "OTEL_EXPORTER_OTLP_PROTOCOL='grpc' (also meant by port 4317) needs the package grpcio, which cannot be imported."
INSTALL = "Run: pip install grpcio, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf and the endpoint for it, mostly port 4318."

_EXPLANATION = 200
_METADATA_NAME = re.compile(r"[0-9a-z_.-]+")
_METADATA_VALUE = re.compile(r"[\x20-\x7e]*")
_OF_THE_PROTOCOL = frozenset(("connection", "content-length", "content-type", "host", "te", "transfer-encoding"))
_OUTCOMES = {
    "UNAUTHENTICATED": STOP,
    "PERMISSION_DENIED": STOP,
    "INVALID_ARGUMENT": REFUSED,
    "NOT_FOUND": REFUSED,
    "ALREADY_EXISTS": REFUSED,
    "FAILED_PRECONDITION": REFUSED,
    "UNIMPLEMENTED": REFUSED,
}
"""What is left out is worth another try."""
_ADVICE = {"UNAUTHENTICATED": BAD_KEY, "PERMISSION_DENIED": BAD_KEY, "UNIMPLEMENTED": NOT_GRPC}
# The words of gRPC for Go, C++ and Python, of that for Java, and of web servers in front.
_TOO_LARGE = re.compile(r"(larger|bigger) than max|exceeds (the )?max|too large|\bstatus: 413\b", re.IGNORECASE)
_NOT_THERE = re.compile(
    r"failed to connect|connection refused|errors? resolving|name resolution|handshake|socket closed|no route", re.IGNORECASE
)
_REASON = re.compile(r"last error: (?:[A-Z_]+: )?(?:ipv[46]:\S+: )?(?:Failed to connect to remote host: )?(?:connect: )?(.*)", re.DOTALL)


class GrpcWire:
    """Calls the service for one signal at one endpoint. The channel is made with the first request, in the thread that sends it, so that
    none is carried through a fork."""

    def __init__(
        self,
        endpoint: str,
        agent: str,
        headers: Mapping[str, str],
        compression: str,
        certificates: Certificates,
        signal: Signal = TRACES,
    ) -> None:
        self._signal = signal
        self._target, self._secure = target_of(endpoint)
        self._agent = agent
        self._metadata = metadata_of(headers)
        self._compression = compression_of(compression)
        self._certificates = certificates
        self._channel: grpc.Channel | None = None
        self._took_something = False
        """Whether a call ever ended well: the endpoint speaks gRPC."""
        if not _is_installed():
            warn_once(f"{MISSING} {INSTALL} Records wait until then.")

    def send(self, request: bytes, timeout: float) -> Verdict:
        """Send an export request and say what became of it."""
        try:
            # The one place in this file where gRPC is imported: 0.1 s, in the sender's thread.
            with loading:
                import grpc
        except ImportError as error:
            return Verdict(RETRY, "grpcio missing", f"cannot be sent to: {MISSING} ({error})", INSTALL)
        channel = self._channel
        try:
            if channel is None:
                trouble = self._certificates.trouble() if self._secure else None
                if trouble is not None:
                    return trouble
                channel = self._channel = self._open(grpc)
            answer = cast("bytes", channel.unary_unary(self._signal.method)(request, timeout=timeout, metadata=self._metadata))
        except grpc.RpcError as error:
            return self._failed(error, timeout, closed=self._channel is not channel)
        except Exception as error:
            if self._channel is not channel:
                return Verdict(RETRY, UNREACHABLE, "cannot be reached (the connection was closed)", doubtful=True)
            return Verdict(REFUSED, NOT_SENT, f"was sent nothing: the request could not be made ({error})")
        self._took_something = True
        return otlp_answer.accepted(*otlp_answer.rejected_in(answer), self._signal.what)

    def _open(self, grpc: ModuleType) -> grpc.Channel:
        silence_exporters()
        options = (
            ("grpc.primary_user_agent", self._agent),
            # Whoever else in the process speaks to this endpoint has connections, and waits between tries, of its own.
            ("grpc.use_local_subchannel_pool", 1),
            # The sender tries again, and knows when.
            ("grpc.enable_retries", 0),
        )
        compression = grpc.Compression.Gzip if self._compression == "gzip" else grpc.Compression.NoCompression
        if not self._secure:
            return grpc.insecure_channel(self._target, options, compression)
        return grpc.secure_channel(self._target, grpc.ssl_channel_credentials(*self._certificates.read()), options, compression)

    def _failed(self, error: grpc.RpcError, timeout: float, closed: bool) -> Verdict:
        call = cast("grpc.Call", error)
        status, details = call.code().name, call.details() or ""
        if status == "UNAVAILABLE":
            # A channel waits ever longer before it connects again, and answers for the endpoint meanwhile; a new one looks.
            self.close()
        trailing = cast("Sequence[Any]", call.trailing_metadata() or ())
        verdict = judge(status, details, trailing, timeout, self._secure, self._signal.what)
        if status == "CANCELLED" and not (closed or trailing or self._took_something):
            # How an answer that is no gRPC sometimes looks, by when it arrives.
            return replace(verdict, advice=NOT_GRPC)
        return verdict

    def close(self) -> None:
        """Let go of connections."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


def _is_installed() -> bool:
    try:
        return find_spec("grpc") is not None
    except (ImportError, ValueError):
        return False


def metadata_of(headers: Mapping[str, str]) -> tuple[tuple[str, str | bytes], ...]:
    """The headers that gRPC can send; says of others that they are left out.

    >>> metadata_of({"authorization": "Bearer x", "x-bin": "a"})
    (('authorization', 'Bearer x'), ('x-bin', b'a'))
    """
    metadata: list[tuple[str, str | bytes]] = []
    for name, value in headers.items():
        binary = name.endswith("-bin")
        if not _METADATA_NAME.fullmatch(name) or name in _OF_THE_PROTOCOL or name.startswith("grpc-"):
            warn_once(f"OTEL_EXPORTER_OTLP_HEADERS: gRPC cannot send a header called {name!r}. Leaving it out.")
        elif not binary and not _METADATA_VALUE.fullmatch(value):
            warn_once(f"OTEL_EXPORTER_OTLP_HEADERS: gRPC can send only printable ASCII, {name!r} has something else. Leaving it out.")
        else:
            metadata.append((name, value.encode() if binary else value))
    return tuple(metadata)


def compression_of(asked: str) -> str:
    """`none` or `gzip`; gRPC for Python has nothing else that collectors understand."""
    if asked not in ("none", "gzip"):
        warn_once(f"OTEL_EXPORTER_OTLP_COMPRESSION={asked!r} is not possible with gRPC: accepted is none or gzip. Using gzip.")
        return "gzip"
    return asked


def judge(status: str, details: str, trailing: Sequence[Any], timeout: float, secure: bool, what: str = TRACES.what) -> Verdict:
    """What a call means that ended with another status than OK."""
    if status == "UNAVAILABLE" and _NOT_THERE.search(details):
        return _not_there(details, secure)
    if status == "DEADLINE_EXCEEDED":
        return Verdict(RETRY, TIMEOUT, f"did not answer within {timeout:g} s", doubtful=True)
    explanation = " ".join(shorten_text(details, _EXPLANATION).split())
    text = f"refused the {what} (gRPC {status})" + (f": {explanation}" if explanation else "")
    reason = f"refused:{status}"
    if _TOO_LARGE.search(details) and status in ("RESOURCE_EXHAUSTED", "UNKNOWN", "INTERNAL", "INVALID_ARGUMENT"):
        return Verdict(TOO_LARGE, reason, text)
    outcome = _OUTCOMES.get(status, RETRY)
    after = retry_delay(trailing) if outcome == RETRY else None
    # Whoever is away or names a time is not troubled by what was sent.
    doubtful = outcome == RETRY and status != "UNAVAILABLE" and after is None
    return Verdict(outcome, reason, text, _ADVICE.get(status, ""), after=after, doubtful=doubtful)


def _not_there(details: str, secure: bool) -> Verdict:
    found = _REASON.search(details)
    why = " ".join(shorten_text(found[1] if found else details, _EXPLANATION).split())
    if not why[1:2].isupper():
        why = why[:1].lower() + why[1:]
    return Verdict(RETRY, UNREACHABLE, f"cannot be reached ({why})", _connection_advice(details, secure))


def _connection_advice(details: str, secure: bool) -> str:
    if "HTTP/2" in details:
        return NOT_GRPC
    if "WRONG_VERSION_NUMBER" in details:
        return PLAIN
    refused = "failed to connect" in details and "Socket closed" in details
    if secure and (refused or "handshake" in details):
        return CERTIFICATES
    return ENCRYPTED if refused else START


def retry_delay(trailing: Sequence[Any]) -> float | None:
    """Seconds of the `RetryInfo` among the details of a status, or in the header that older servers use; None without one."""
    found = dict(trailing)
    try:
        info = _retry_info(found.get("grpc-status-details-bin"), found.get("google.rpc.retryinfo-bin"))
    except Exception:
        # What a server writes there is its own affair.
        return None
    return None if info is None else max(info.retry_delay.seconds + info.retry_delay.nanos / 1e9, 0.0)


def _retry_info(status: bytes | None, alone: bytes | None) -> RetryInfo | None:
    from google.rpc.error_details_pb2 import RetryInfo
    from google.rpc.status_pb2 import Status

    info = RetryInfo()
    if status is not None and any(detail.Unpack(info) for detail in Status.FromString(status).details):
        return info
    return None if alone is None else RetryInfo.FromString(alone)
