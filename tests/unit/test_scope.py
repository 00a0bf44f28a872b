"""The scope: what calls inherit, ids, and that it is put back whatever the context."""

from __future__ import annotations

import contextvars
import gc
import time
import uuid

from hypothesis import given
from hypothesis import strategies as st

from tracer.call import Call
from tracer.scope import EMPTY, Scope, Within, beside_host, current, enter, extended, leave, new_run_id, new_span_id, under, within

TEXTS = st.none() | st.text()
TAGS = st.lists(st.text(max_size=3), max_size=5).map(lambda tags: tuple(dict.fromkeys(tags)))
METADATA = st.none() | st.dictionaries(st.text(max_size=3), st.integers(), min_size=1)
SCOPES = st.builds(Scope, st.none(), TEXTS, TEXTS, TAGS, METADATA, st.none() | st.booleans())


def test_enter_gives_the_earlier_scope_and_leave_puts_it_back() -> None:
    before = enter(EMPTY)  # Other tests may leave a scope whose lease is over.
    scope = Scope(session="s")
    earlier = enter(scope)
    assert current() is scope
    leave(earlier)
    assert current() is earlier
    leave(before)


def test_leaving_in_another_context_raises_nothing() -> None:
    earlier = enter(Scope(session="s"))
    contextvars.Context().run(leave, earlier)
    assert current().session == "s"
    leave(earlier)
    assert current() is EMPTY


def test_a_call_becomes_the_parent_and_the_rest_is_inherited() -> None:
    call = Call(run_id=1, trace_id=2, span_id=3, sampled=False)
    inside = under(call, Scope(session="s", user="u", tags=("t",), metadata={"m": 1}, enabled=True))
    assert inside.parent is not None
    assert (inside.parent.trace_id, inside.parent.span_id, inside.parent.run_id, inside.parent.sampled) == (2, 3, 1, False)
    assert not inside.parent.remote
    assert (inside.session, inside.user, inside.tags, inside.metadata, inside.enabled) == ("s", "u", ("t",), {"m": 1}, True)


def test_inside_a_clients_call_the_call_is_the_parent() -> None:
    call = Call(run_id=1, trace_id=2, span_id=3)
    inner = Within(call, Scope(session="s"))
    earlier = enter(inner)
    try:
        scope = current()
        assert scope.parent is not None
        assert (scope.parent.span_id, scope.session) == (3, "s")
        assert within() is inner
        # What is opened there is a part of the call still; what goes on in another thread is not.
        opened = enter(under(Call(4, 5, 6), scope))
        assert within() is inner
        assert beside_host(current()).within is None
        leave(opened)
        assert within() is inner
    finally:
        leave(earlier)
    assert within() is None


def test_the_scope_of_a_call_keeps_no_call_in_a_cycle() -> None:
    inner = Within(Call(1, 2, 3), EMPTY)
    scope = inner.inside()
    assert scope.within is inner
    assert not [held for held in gc.get_referents(inner) if isinstance(held, Scope) and held is not EMPTY]


@given(SCOPES, TEXTS, TEXTS, TAGS, METADATA, st.none() | st.booleans())
def test_more_said(
    scope: Scope, session: str | None, user: str | None, tags: tuple[str, ...], metadata: dict[str, object] | None, enabled: bool | None
) -> None:
    before = (scope.session, scope.user, scope.tags, dict(scope.metadata or {}), scope.enabled)
    result = extended(scope, session=session, user=user, tags=tags, metadata=metadata, enabled=enabled)
    assert result.session == (scope.session if session is None else session)
    assert result.user == (scope.user if user is None else user)
    assert result.enabled == (scope.enabled if enabled is None else enabled)
    assert result.tags[: len(scope.tags)] == scope.tags
    assert set(result.tags) == {*scope.tags, *tags}
    assert len(result.tags) == len(set(result.tags))
    assert (result.metadata or {}) == {**(scope.metadata or {}), **(metadata or {})}
    assert (scope.session, scope.user, scope.tags, dict(scope.metadata or {}), scope.enabled) == before


def test_run_ids_are_uuids_of_version_7_with_the_time_in_front() -> None:
    before = time.time_ns() // 1_000_000
    identifier = uuid.UUID(int=new_run_id())
    after = time.time_ns() // 1_000_000
    assert (identifier.version, identifier.variant) == (7, uuid.RFC_4122)
    assert before <= identifier.int >> 80 <= after


@given(st.integers(0, 2**63))
def test_run_ids_of_any_time_are_well_formed(nanoseconds: int) -> None:
    number = new_run_id(nanoseconds)
    identifier = uuid.UUID(int=number)
    assert (identifier.version, identifier.variant) == (7, uuid.RFC_4122)
    assert number >> 80 == nanoseconds // 1_000_000 & 0xFFFF_FFFF_FFFF


def test_ids_differ_and_use_all_their_random_bits() -> None:
    number = 4000
    runs = {new_run_id(0) for _ in range(number)}
    spans = {new_span_id() for _ in range(number)}
    assert len(runs) == len(spans) == number
    assert all(0 < span < 2**64 for span in spans)
    random_bits = [bit for bit in range(76) if bit not in (62, 63)]
    for bit in random_bits:
        assert 0.4 < sum(run >> bit & 1 for run in runs) / number < 0.6
    for bit in range(64):
        assert 0.4 < sum(span >> bit & 1 for span in spans) / number < 0.6
