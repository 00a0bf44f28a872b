"""How a replay server deviates from answering at once: delays, failures, cuts, odd encodings. Part of the URL, or of the server."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the server does with a request. Everything is off by default.

    In a URL the options follow the record's id: `/c/<id>;delay=0.05;fail=2;status=429/v1`.

    >>> Behaviour(delay=0.05, fail=2).segment()
    ';delay=0.05;fail=2'
    """

    wait: float = 0.0
    """Seconds before the answer begins."""
    delay: float = 0.0
    """Seconds before each event of a stream after the first (or each piece, with `pieces`)."""
    pieces: int = 0
    """Send the body in pieces of this many bytes, so that events and characters are cut in two."""
    cut: int = -1
    """Reset the connection after this many events or pieces; of a plain answer half of the body is sent."""
    fail: int = 0
    """How many requests fail before one is answered."""
    status: int = 429
    """HTTP status of those failures."""
    retry_ms: int = 1
    """`retry-after-ms` of those failures: how long the SDK is asked to wait."""
    hang: int = 0
    """1: never answer; the connection stays open until the server closes."""
    crlf: int = 0
    """1: lines of a stream end with CR LF."""
    comments: int = 0
    """1: a comment line goes before each event, as some servers send to keep a connection alive."""
    overload: int = -1
    """An `overloaded_error` event takes the place of this event of a stream and ends it, as Anthropic does it."""
    no_done: int = 0
    """1: the stream ends without `[DONE]`."""
    gzip: int = 0
    """1: the answer is compressed."""
    honour_usage: int = 0
    """1: follow `stream_options.include_usage` as OpenAI does, whatever the recording did."""
    reject_usage: int = 0
    """1: answer 400 when `stream_options` is in the request, as some compatible servers do."""
    run: int = 0
    """Keeps the failure counts of equal URLs apart; `ReplayServer.base_url` counts it up."""

    def segment(self) -> str:
        """The options that differ from the default, as they stand in a URL."""
        changed = [item.name for item in fields(self) if getattr(self, item.name) != item.default]
        return "".join(f";{name}={getattr(self, name)}" for name in changed)


def parse(options: list[str], base: Behaviour) -> Behaviour:
    """`base` with the options of a URL segment applied; `ValueError` for an unknown name or a value that is no number.

    >>> parse(["cut=3"], Behaviour()).cut
    3
    """
    types: dict[str, type[float | int]] = {item.name: type(getattr(base, item.name)) for item in fields(Behaviour)}
    values: dict[str, float | int] = {}
    for option in options:
        name, _, text = option.partition("=")
        if name not in types:
            raise ValueError(f"unknown option {name!r}")
        values[name] = types[name](text)
    return replace(base, **values)  # pyright: ignore[reportArgumentType]
