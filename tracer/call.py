"""The one record of the library: what was asked, what came back, when, and how it ended.

A `Call` is filled by the capture side in the caller's thread and read by everything behind the queue. It holds references and
clock readings and has no logic: nothing here parses, copies or sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tracer.factories import new_list

COMPLETED = "completed"
FAILED = "failed"
STOPPED = "stopped"
CANCELLED = "cancelled"
ABANDONED = "abandoned"
UNFINISHED = "unfinished"

OUTCOMES = (COMPLETED, FAILED, STOPPED, CANCELLED, ABANDONED, UNFINISHED)
"""The six ways a call can end (design §6). Only `failed` is an error."""

LLM = "llm"
EMBEDDING = "embedding"
CHAIN = "chain"
TOOL = "tool"
RETRIEVER = "retriever"
AGENT = "agent"
REQUEST = "request"

KINDS = (LLM, EMBEDDING, CHAIN, TOOL, RETRIEVER, AGENT, REQUEST)
"""What a record is about. `llm` and `embedding` are model calls, `request` any other endpoint of a provider."""


ENDPOINT = "endpoint"
"""`Call.operation` of requests that no convention knows: only a few facts of them are read."""


class Trace(Protocol):
    """A stack trace that can be written; `traceback.TracebackException` is one."""

    def format(self) -> Iterator[str]:
        """Its lines."""
        ...


@dataclass(slots=True)
class Failure:
    """What is kept of an exception: no frame and no object of the caller stays alive through it.

    `type` is the qualified class name (`openai.RateLimitError`), bare for builtins; `code` the provider's own error code;
    `status` the HTTP status.
    """

    type: str
    message: str
    code: str | None = None
    status: int | None = None
    trace: Trace | None = None
    shown: str = ""
    """Its `repr`, where that could be had."""


@dataclass(slots=True, frozen=True)
class Upload:
    """One file of a form, as far as it is known without reading it: field, size in bytes, media type."""

    field: str
    size: int | None = None
    content_type: str = ""


@dataclass(slots=True, eq=False, repr=False)
class Attempt:
    """One HTTP request of a call. A call has more than one when the SDK retried.

    Bodies are references to the bytes that the HTTP library holds: `request_body` as sent, `response_body` as read (already
    decompressed), `pieces` as they passed in a stream (still compressed if `content_encoding` says so). Times are readings of the
    monotonic clock in nanoseconds.
    """

    started: int
    ended: int = 0
    first_piece: int = 0
    """When the first bytes of a streamed body came; 0 where the body was read at once."""
    status: int | None = None
    request_id: str | None = None
    request_body: bytes | None = None
    request_bytes: int = 0
    """Size of a body that is not kept, where the request says it."""
    response_body: bytes | None = None
    pieces: list[bytes] | None = None
    response_bytes: int = 0
    complete: bool = True
    """False when `pieces` leaves out bytes beyond the size that is kept."""
    content_type: str = ""
    content_encoding: str = ""
    failure: Failure | None = None


class HostSpan(Protocol):
    """The span of a call in the application's own telemetry, as far as the code that records calls has to know it."""

    def attach(self, lease: object) -> Callable[[], object] | None:
        """Make it the current span there; gives what puts the earlier one back. With a lease it stays until that is over."""
        ...

    def end(self, finalizing: bool) -> None:
        """The call has ended. While `finalizing` no lock is taken and no code of others is run: its span ends a little later."""
        ...

    def tracestate(self) -> str:
        """What other systems of the trace have left for those that come after (W3C `tracestate`)."""
        ...


class Ancestor(Protocol):
    """A call above another one, as far as its descendants need to know it: enough to say where in a trace they are."""

    @property
    def run_id(self) -> int | None:
        """Its run id; None for a span of other telemetry."""
        ...

    @property
    def started_wall(self) -> int:
        """When it began, in Unix nanoseconds; 0 where that is not known."""
        ...

    @property
    def above(self) -> Ancestor | None:
        """The call above it."""
        ...

    @property
    def dotted_order(self) -> str:
        """Its place in a trace that came from another process, as LangSmith writes it; empty for calls of this process."""
        ...

    @property
    def project(self) -> str:
        """The LangSmith project of a trace that came from another process; empty for calls of this process."""
        ...


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """One record: a model call, another request to a provider, or a span of the application's own (`tracer.trace`).

    Times: `started_wall` is Unix time in nanoseconds; `started`, `ended` and `stream_clock` are readings of the monotonic clock in
    nanoseconds. `stream_clock` alternates: before a piece was asked for, when it came, before the next was asked for, …
    """

    # Identity. The run id is a UUIDv7 as an integer; trace and span id as in OpenTelemetry.
    run_id: int
    trace_id: int
    span_id: int
    parent_span_id: int | None = None
    parent_run_id: int | None = None
    parent_is_remote: bool = False
    root_run_id: int = 0
    """The run id of the outermost call above this one: its trace id, except under spans of other telemetry. 0: its trace id."""
    above: Ancestor | None = None
    """The call above this one. A chain of small objects, so that naming all ancestors costs nothing here."""
    sampled: bool = True
    host: HostSpan | None = None
    """Its span in the application's own telemetry, if there is any; the ids above are then that span's."""

    # What it is.
    kind: str = REQUEST
    name: str = ""
    operation: str = ""
    """Which reader understands the bodies: chat, responses, completions, embeddings, messages, image, …, endpoint for any other
    endpoint of a provider, or span."""
    library: str = ""
    method: str = ""
    path: str = ""
    template: str = ""
    """The path with `{id}` for ids, for endpoints beside those of language models."""
    server_host: str = ""
    server_port: int | None = None
    base_path: str = ""
    azure: bool = False
    api_version: str = ""
    """Of Azure's API, as the query names it."""
    provider: str = ""
    """Who answers, where settings or the client itself say so; otherwise it is read from the address."""
    model: str | None = None
    """The model asked for, as far as it is known when the call starts."""
    streaming: bool = False
    raw: bool = False
    """The caller asked for a raw response (`with_raw_response`, `with_streaming_response`)."""
    by_chat_model: bool = False
    """One of our own chat models made this call (`tracer.chat`)."""
    asked_usage: bool = False
    """The usage of this stream was asked for by us and is hidden from the caller."""

    # Own spans: JSON, made when it was handed in, since the caller may change its objects later.
    input_json: bytes | None = None
    output_json: bytes | None = None
    left_to: str = ""
    """Who posts it to LangSmith in our place; empty for what we post."""
    input_is_value: bool = False
    output_is_value: bool = False
    """It was no mapping of names to values, although JSON may have made an object of it."""
    serialized_json: bytes | None = None
    """The constructor of the framework's object whose run this is, without what is none of a record's business."""

    # The wire.
    fields: dict[str, object] | None = None
    """Plain values of a query or a form, by name; bodies that are bytes are with the attempts."""
    uploads: tuple[Upload, ...] | None = None
    """Files of a form."""
    attempts: list[Attempt] = field(default_factory=new_list)

    # Clocks.
    started_wall: int = 0
    started: int = 0
    ended: int = 0
    stream_clock: list[int] | None = None
    hidden_pieces: int = 0
    """Pieces that came because we asked for usage and that the caller never saw (counted at the end of `stream_clock`)."""

    # Calls seen through a framework's callbacks.
    piece_times: list[int] | None = None
    """When each piece came, where nobody can tell how long it was waited for."""
    piece_kinds: list[str] | None = None
    """What each of these pieces brought: text, reasoning, tool_call or other."""
    inner: Call | None = None
    """The client call that served this one. It has no record of its own; what it saw on the wire fills what is empty here."""
    absorbed: bool = False
    """This is such an inner call."""

    # How it ended.
    ending: str = ""
    failure: Failure | None = None

    # Where it belongs.
    session: str | None = None
    user: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, object] | None = None
    content_inputs: bool = True
    content_outputs: bool = True
    attributes: dict[str, object] | None = None
    """Further attributes set by the application through a run handle."""
    masked: bool = False
    """What the call itself holds of texts went through the masks already."""

    @property
    def endpoint(self) -> str:
        """Host, port and whole path: what is learned about a service is remembered under this."""
        return f"{self.server_host}:{self.server_port}{self.base_path}{self.path}"


def pieces_taken(call: Call) -> int:
    """How many pieces of a stream the caller took.

    >>> pieces_taken(Call(1, 1, 1, stream_clock=[0, 5, 7, 9, 11]))
    2
    """
    return len(call.stream_clock) // 2 - call.hidden_pieces if call.stream_clock else 0
