"""Where a call belongs: parent, session, user, tags, metadata. In and out of threads and tasks.

The scope is one immutable object in one context variable. It is restored by setting the earlier object, never by resetting a token:
a stream or generator may end in another context than the one it began in.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace

from tracer.call import Ancestor, Call, HostSpan


@dataclass(slots=True, eq=False, repr=False)
class Parent:
    """The span that new calls become children of."""

    trace_id: int
    span_id: int
    run_id: int | None = None
    sampled: bool = True
    remote: bool = False
    root_run_id: int = 0
    """The run id of the outermost call above it; 0 where that is the trace id."""
    host: HostSpan | None = None
    """This span in the application's own telemetry, if it has one there."""
    started_wall: int = 0
    above: Ancestor | None = None
    dotted_order: str = ""
    """The place in a LangSmith trace that came from another process; the last id in it is this one's."""
    project: str = ""
    """The LangSmith project of a trace that came from another process."""
    tracestate: str = ""
    """Of a span in another process: what the systems before us have left for those after us."""
    baggage: tuple[str, ...] = ()
    """Of a span in another process: entries of others in its baggage, to be handed on as they came."""
    model_call_of: str = ""
    """It is a model call that another library in this process posts to LangSmith, this one."""


@dataclass(slots=True, eq=False, repr=False)
class Upcoming:
    """What the next call begun in this scope is to be called, set by layers that stand directly above a captured client.

    It is used once: the first call takes it.
    """

    run_id: int | None = None
    name: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, object] | None = None
    call: Call | None = None
    """The call that took it, for the layer above to find its run."""
    by_chat_model: bool = False
    """One of our own chat models makes the call."""


@dataclass(slots=True, eq=False, repr=False)
class Lease:
    """How long a scope that was set by a callback holds.

    A callback cannot always restore what it set: its end may run in another context. So the scope names a lease, and whoever finds the
    lease over takes the earlier scope instead.
    """

    earlier: Scope
    active: bool = True
    of_many: bool = False
    """The call that lent it is one of several begun together."""


@dataclass(slots=True, eq=False, repr=False)
class Scope:
    """Everything that calls begun here inherit; never changed once made (not frozen, since that triples the cost of making one).

    `enabled` overrides the settings for calls inside: True, False or None (no say)."""

    parent: Parent | None = None
    session: str | None = None
    user: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, object] | None = None
    enabled: bool | None = None
    upcoming: Upcoming | None = None
    foreign: object = None
    """The run of a framework with a context of its own (LangChain) that was current when this scope was made."""
    lease: Lease | None = None
    absorbers: list[Call] | None = None
    """Model calls of a layer above that wait for the client calls that serve them, first come first served; the last stays."""
    host: HostSpan | None = None
    """What becomes the current span of the application's own telemetry when this scope is entered."""
    caller: Parent | None = None
    """The span of another process that the work here goes on from."""
    within: Within | None = None
    """The call of a client in which this scope was made."""


class Within:
    """Stands for the scope inside a client's call, which is made only when somebody asks for it: most often nobody does.

    It is not kept here: the scope refers to its call, and a cycle would keep what the caller drops.
    """

    __slots__ = ("call", "host", "outer")

    def __init__(self, call: Call, outer: Scope) -> None:
        self.call = call
        self.outer = outer
        self.host = call.host

    def inside(self) -> Scope:
        """The scope in which the call is the parent."""
        scope = under(self.call, self.outer)
        scope.within = self
        return scope


EMPTY = Scope()

_current: ContextVar[Scope | Within] = ContextVar("tracer_scope", default=EMPTY)

_finders: list[Callable[[Scope], Scope]] = []
"""At most one: what a framework with a context of its own makes of the scope found in ours."""

_run_finders: list[Callable[[Scope], Scope]] = []
"""At most one: what a library that posts runs beside ours makes of that."""


def current() -> Scope:
    """The scope of the running code; never None."""
    scope = _current.get()
    if type(scope) is not Scope:
        scope = _made(scope)
    while scope.lease is not None and not scope.lease.active:
        scope = scope.lease.earlier
    scope = _finders[0](scope) if _finders else scope
    return _run_finders[0](scope) if _run_finders else scope


def _made(found: Scope | Within) -> Scope:
    return found.inside() if isinstance(found, Within) else found


def within() -> Within | None:
    """The client's call that the running code is a part of."""
    found = _current.get()
    return found.within if isinstance(found, Scope) else found


def as_entered() -> Iterator[Scope]:
    """The scope that was set last here, whatever frameworks make of it; then those that leases were taken upon, one after the other."""
    scope = _made(_current.get())
    yield scope
    while scope.lease is not None:
        scope = scope.lease.earlier
        yield scope


def find_through(finder: Callable[[Scope], Scope] | None) -> None:
    """Ask `finder` on every look-up from now on (None: no longer)."""
    _finders[:] = [] if finder is None else [finder]


def find_runs_through(finder: Callable[[Scope], Scope] | None) -> None:
    """Ask `finder` too, after that of `find_through` (None: no longer)."""
    _run_finders[:] = [] if finder is None else [finder]


@dataclass(slots=True, eq=False, repr=False)
class Earlier:
    """The scope that was current, and what puts the application's own telemetry back to where it was."""

    scope: Scope | Within
    restore: Callable[[], object]


Entered = Scope | Within | Earlier
"""What `enter` gives back."""


def enter(scope: Scope | Within) -> Entered:
    """Make `scope` the current one and give back the earlier, to be handed to `leave`."""
    earlier = _current.get()
    _current.set(scope)
    host = scope.host
    if host is None:
        return earlier
    restore = host.attach(scope.lease if isinstance(scope, Scope) else None)
    return earlier if restore is None else Earlier(earlier, restore)


def leave(earlier: Entered) -> None:
    """Set the earlier scope again."""
    if isinstance(earlier, Earlier):
        earlier.restore()
        earlier = earlier.scope
    _current.set(earlier)


def under(call: Call, scope: Scope) -> Scope:
    """The scope inside `call`: it becomes the parent, everything else is inherited."""
    parent = Parent(
        call.trace_id, call.span_id, call.run_id, call.sampled, False, call.root_run_id, call.host, call.started_wall, call.above
    )
    return Scope(
        parent,
        scope.session,
        scope.user,
        scope.tags,
        scope.metadata,
        scope.enabled,
        None,
        scope.foreign,
        host=call.host,
        caller=scope.caller,
        within=scope.within,
    )


def beside_host(scope: Scope) -> Scope:
    """The same scope for where it is set again: the application's own telemetry stays as it is there, and requests are others'."""
    return scope if scope.host is None and scope.within is None else replace(scope, host=None, within=None)


def extended(
    scope: Scope,
    *,
    session: str | None = None,
    user: str | None = None,
    tags: tuple[str, ...] = (),
    metadata: dict[str, object] | None = None,
    enabled: bool | None = None,
) -> Scope:
    """A scope with more said: later values win, tags are added, metadata is merged."""
    merged_tags = scope.tags + tuple(tag for tag in tags if tag not in scope.tags)
    merged = {**(scope.metadata or {}), **(metadata or {})}
    return replace(
        scope,
        session=scope.session if session is None else session,
        user=scope.user if user is None else user,
        tags=merged_tags,
        metadata=merged or None,
        enabled=scope.enabled if enabled is None else enabled,
        # What is said here holds until it is left, whether or not the surrounding lease is over by then.
        lease=None,
        host=None,
    )


_random = random.Random(os.urandom(16))  # noqa: S311  # ids are no secrets
_bits = _random.getrandbits

if hasattr(os, "register_at_fork"):
    # A forked child must not draw the ids that its parent draws.
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(16)))


_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
_RANDOM_PLACES = (1 << 76) - 1 ^ 0b11 << 62


def new_run_id(wall_nanoseconds: int | None = None) -> int:
    """A UUIDv7 (RFC 9562) as an integer; its first 48 bits are the Unix time in milliseconds.

    >>> import uuid
    >>> uuid.UUID(int=new_run_id()).version
    7
    """
    wall = time.time_ns() if wall_nanoseconds is None else wall_nanoseconds
    return wall // 1_000_000 << 80 | _bits(80) & _RANDOM_PLACES | _VERSION_AND_VARIANT


def new_span_id() -> int:
    """A random, non-zero 64-bit id."""
    return _bits(64) or 1
