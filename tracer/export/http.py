"""HTTP as destinations need it: one request with a bounded wait, and what its end means for the records in it.

The session is that of `requests`, which the official exporters use too: proxies and certificates work as people know them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from tracer.export.endpoint import without_secrets
from tracer.export.notices import silence_exporters
from tracer.export.texts import shorten_text
from tracer.export.transport import REFUSED, RETRY, STOP, TOO_LARGE, Verdict
from tracer.loading import loading

if TYPE_CHECKING:
    import requests

UNREACHABLE = "unreachable"
TIMEOUT = "timeout"
NOT_SENT = "not_sent"

TLS = "TLS: "
"""What the description of a failed handshake begins with."""

_EXPLANATION = 200
_MOST_ANSWER = 64 * 1024
# Between pieces the clock is looked at, and a piece has to be there as a whole: few bytes for a server that drips.
_PIECE = 64
_LARGE = 64 * 1024  # Copying less costs less than sending it by itself.

# Statuses by which a server says that it, not the request, is the trouble.
_TRY_LATER = (408, 425, 429, 502, 503, 504)
_NEVER = (501, 505)
_KEY = (401, 403)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as far as it is of use: at most 64 KiB of the body."""

    status: int
    phrase: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @property
    def ok(self) -> bool:
        """The request was taken; a redirect was not."""
        return 200 <= self.status < 300

    def explanation(self) -> str:
        """What a text or JSON body says, on one line."""
        kind = self.headers.get("content-type", "")
        if "json" not in kind and "text" not in kind:
            return ""
        return " ".join(shorten_text(self.body.decode("utf-8", "replace"), _EXPLANATION).split())


class Pieces:
    """A body that is sent piece by piece, so that it never stands in memory a second time. Small neighbours go together."""

    __slots__ = ("_length", "_pieces")

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: list[bytes] = []
        small: list[bytes] = []
        for piece in pieces:
            if len(piece) < _LARGE:
                small.append(piece)
                continue
            self._pieces += [b"".join(small), piece]
            small = []
        self._pieces.append(b"".join(small))
        self._length = sum(map(len, self._pieces))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter([piece for piece in self._pieces if piece])


class Http:
    """Requests to one destination over kept connections. `certificate` is the path of an authority's file, `client` that of a
    certificate, alone or with its key. A redirect is not followed: a redirected POST arrives as a GET without its body.

    Proxies and authorities that the environment names are looked up for the first request of a session, and requests to one address are
    made from one another: each time anew, both took half of a request's time.
    """

    def __init__(self, headers: Mapping[str, str], certificate: str | None = None, client: str | tuple[str, str] | None = None) -> None:
        self._headers = dict(headers)
        self._certificate = certificate
        self._client = client
        self._session: requests.Session | None = None
        self._new_request: type[requests.Request]
        self._surroundings: Mapping[str, Any] = {}
        self._last: tuple[str, str, requests.PreparedRequest] | None = None

    def request(
        self, method: str, url: str, timeout: float, body: bytes | Pieces | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send and wait for the answer, `timeout` seconds to connect and as many for each part of it. Raises what `requests` does."""
        session = self._session or self._new_session(url)
        deadline = time.monotonic() + 2 * timeout
        request = self._prepared(session, method, url)
        request.headers.update(headers or {})
        # What has a length and can be gone through is sent so, with that length.
        request.prepare_body(body, None)
        with _uninstrumented():
            response = session.send(request, timeout=timeout, allow_redirects=False, **self._surroundings)
            try:
                return Answer(
                    response.status_code,
                    response.reason or "",
                    {name.lower(): value for name, value in response.headers.items()},
                    _beginning(response, deadline),
                )
            finally:
                response.close()

    def _prepared(self, session: requests.Session, method: str, url: str) -> requests.PreparedRequest:
        last = self._last
        # Cookies are in a request's headers.
        if last is None or last[:2] != (method, url) or session.cookies:
            # Without `auth` a .netrc would replace the headers of the settings.
            last = method, url, session.prepare_request(self._new_request(method, url, auth=_leave_alone))
            self._last = None if session.cookies else last
        return last[2].copy()

    def close(self) -> None:
        """Let go of idle connections."""
        session = self._session
        if session is not None:
            session.close()

    def renew(self) -> None:
        """Let go of everything; the next request connects anew, with the certificates as they are then."""
        self.close()
        self._session = None

    def _new_session(self, url: str) -> requests.Session:
        # The one place in this file where requests is imported: 0.2 s, in the sender's thread.
        with loading:
            import requests

        silence_exporters()
        session = requests.Session()
        session.headers.clear()
        session.headers.update(self._headers)
        self._surroundings = session.merge_environment_settings(url, {}, True, self._certificate or True, self._client)
        self._new_request = requests.Request
        self._last = None
        self._session = session
        return session


def judge(answer: Answer, what: str, advice: Mapping[int, str]) -> Verdict:
    """What an answer other than success means; `what` was refused, and `advice` has a sentence for some statuses."""
    status = answer.status
    explanation = answer.explanation()
    text = f"refused {what} (HTTP {status} {answer.phrase}".rstrip() + ")" + (f": {explanation}" if explanation else "")
    verdict = _verdict_of(status)
    return Verdict(
        verdict,
        f"refused:{status}",
        text,
        advice.get(status) or _moved(answer),
        after=retry_after(answer.headers) if verdict == RETRY else None,
        # Any other server error may be about what was sent; a server that is busy or away says so.
        doubtful=status >= 500 and status not in _TRY_LATER,
    )


def _moved(answer: Answer) -> str:
    """What to do about a redirect; without what may be private in an address."""
    location = answer.headers.get("location", "") if 300 <= answer.status < 400 else ""
    if not location:
        return ""
    shown = shorten_text(without_secrets(location), _EXPLANATION)
    return f"It redirects to {shown}, which is not followed: set the endpoint to the address meant."


def _verdict_of(status: int) -> str:
    if status in _KEY:
        return STOP
    if status == 413:
        return TOO_LARGE
    if status in _TRY_LATER or (status >= 500 and status not in _NEVER):
        return RETRY
    return REFUSED


def judge_error(error: Exception, timeout: float, advice: str) -> Verdict:
    """What it means that no answer came. `advice` is for a server that is not there."""
    names = {type(link).__name__ for link in _chain(error)}
    if "ReadTimeout" in names or "ReadTimeoutError" in names:
        return Verdict(RETRY, TIMEOUT, f"did not answer within {timeout:g} s", doubtful=True)
    if not isinstance(error, OSError):
        return Verdict(REFUSED, NOT_SENT, f"was sent nothing: the request could not be made ({error})")
    never_connected = bool(names & {"NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "ProxyError"})
    return Verdict(RETRY, UNREACHABLE, f"cannot be reached ({describe(error)})", advice, doubtful=not never_connected)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that `Retry-After` asks for, given in seconds or as a date; None without a readable one.

    >>> retry_after({"retry-after": "2"})
    2.0
    >>> retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"})
    30.0
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        then = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    try:
        # By the server's own clock, whatever ours says.
        now = parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        now = time.time()
    return max(then - now, 0.0)


def describe(error: BaseException) -> str:
    """The innermost reason of a chain of exceptions in a few words: `connection refused`, `name or service not known`.

    >>> describe(ConnectionRefusedError(111, "Connection refused"))
    'connection refused'
    """
    found: str | None = None
    for link in _chain(error):
        name = type(link).__name__
        if "SSL" in name or "Certificate" in name:
            return TLS + shorten_text(str(link), _EXPLANATION)
        if name in ("ConnectTimeoutError", "ConnectTimeout"):
            return "connecting took too long"
        if isinstance(link, OSError) and link.errno is not None:
            found = link.strerror or os.strerror(link.errno)
    return (found or type(error).__name__).lower()


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


def _beginning(response: requests.Response, deadline: float) -> bytes:
    """The body up to a size. Of a longer, endless or broken one it is what came: the status has said what counts."""
    body = b""
    try:
        for piece in response.iter_content(_PIECE):
            body += piece
            if len(body) >= _MOST_ANSWER or time.monotonic() > deadline:
                break
    except OSError:
        pass
    return body[:_MOST_ANSWER]


def _leave_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


@contextmanager
def _uninstrumented() -> Generator[None, None, None]:
    """Keep an instrumentation of the HTTP library from tracing our own requests, as the official processors do."""
    with loading:
        from opentelemetry import context

    key = getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
    token = context.attach(context.set_value(key, True))
    try:
        yield
    finally:
        context.detach(token)
